#include "roles/dns/dns_priv.h"

#include <stdlib.h>
#include <string.h>

struct entry {
	struct list node; /* cache->used */
	unsigned char address[ADDRESS_LEN];
	int64_t until;
	char name[];
};

static void
forget(struct cache *c, struct entry *e)
{
	map_del(&c->map, str_n(e->address, ADDRESS_LEN));
	list_del(&e->node);
	c->n--;
	free(e);
}

bool
cache_get(struct cache *c, const unsigned char address[ADDRESS_LEN], int64_t now,
    const char **ret_name)
{
	struct entry *e = map_get(&c->map, str_n(address, ADDRESS_LEN));
	if (!e)
		return false;
	if (e->until <= now) {
		forget(c, e);
		return false;
	}
	list_del(&e->node);
	list_add_tail(&c->used, &e->node);
	*ret_name = e->name;
	return true;
}

void
cache_put(struct cache *c, const unsigned char address[ADDRESS_LEN], const char *name, int64_t now,
    uint32_t ttl)
{
	struct entry *old = map_get(&c->map, str_n(address, ADDRESS_LEN));
	size_t n = strlen(name) + 1;
	if (old)
		forget(c, old);
	if (c->n >= CACHE_MAX)
		forget(c, list_entry(c->used.next, struct entry, node));
	struct entry *e = xalloc(sizeof(*e) + n);
	uint32_t seconds = MIN(MAX(ttl, (uint32_t)CACHE_SECONDS_MIN), (uint32_t)CACHE_SECONDS_MAX);
	memcpy(e->address, address, ADDRESS_LEN);
	memcpy(e->name, name, n);
	e->until = now + (int64_t)seconds * 1000;
	list_add_tail(&c->used, &e->node);
	map_put(&c->map, str_n(e->address, ADDRESS_LEN), e);
	c->n++;
}

void
cache_done(struct cache *c)
{
	list_each(n, &c->used) forget(c, list_entry(n, struct entry, node));
	map_done(&c->map);
}
