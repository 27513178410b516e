#include "roles/dns/dns_priv.h"

#include <stdlib.h>
#include <string.h>

struct entry {
	struct list node; /* cache->used */
	int64_t until;
	size_t key_len, len;
	char octets[]; /* key, value */
};

void
cache_init(struct cache *c, size_t max, size_t max_octets)
{
	*c = (struct cache){ .max = max, .max_octets = max_octets };
	list_init(&c->used);
}

static struct str
key_of(const struct entry *e)
{
	return str_n(e->octets, e->key_len);
}

static void
forget(struct cache *c, struct entry *e)
{
	map_del(&c->map, key_of(e));
	list_del(&e->node);
	c->n--;
	c->octets -= e->key_len + e->len;
	free(e);
}

bool
cache_get(struct cache *c, struct str key, int64_t now, struct str *ret_value, uint32_t *ret_left)
{
	struct entry *e = map_get(&c->map, key);
	if (!e)
		return false;
	if (e->until <= now) {
		forget(c, e);
		return false;
	}
	list_del(&e->node);
	list_add_tail(&c->used, &e->node);
	*ret_value = str_n(e->octets + e->key_len, e->len);
	*ret_left = (uint32_t)((e->until - now + 999) / 1000);
	return true;
}

void
cache_put(struct cache *c, struct str key, struct str value, int64_t now, uint32_t seconds)
{
	struct entry *old = map_get(&c->map, key);
	if (old)
		forget(c, old);
	if (key.len + value.len > c->max_octets)
		return;
	while (c->n >= c->max || c->octets + key.len + value.len > c->max_octets)
		forget(c, list_entry(c->used.next, struct entry, node));
	struct entry *e = xalloc(sizeof(*e) + key.len + value.len);
	e->key_len = key.len;
	e->len = value.len;
	memcpy(e->octets, key.p, key.len);
	if (value.len)
		memcpy(e->octets + key.len, value.p, value.len);
	e->until = now + (int64_t)seconds * 1000;
	list_add_tail(&c->used, &e->node);
	map_put(&c->map, key_of(e), e);
	c->n++;
	c->octets += key.len + value.len;
}

void
cache_done(struct cache *c)
{
	list_each(n, &c->used) forget(c, list_entry(n, struct entry, node));
	map_done(&c->map);
}
