#include "roles/auth/recent.h"

#include "base/check.h"
#include "base/map.h"

#include <stdlib.h>
#include <string.h>

#define PROBES 8u

struct slot {
	uint64_t key; /* 0: free */
	int64_t at;   /* ms */
};

struct recent {
	unsigned char key[16];
	struct slot slots[RECENT_SLOTS];
};

struct recent *
recent_new(const unsigned char key[16])
{
	struct recent *r = xalloc(sizeof(*r));
	memcpy(r->key, key, sizeof(r->key));
	return r;
}

struct recent *
recent_free(struct recent *r)
{
	if (r)
		explicit_bzero(r->key, sizeof(r->key));
	free(r);
	return NULL;
}

/* The key's own place, or a free one, or the oldest. */
static struct slot *
place_of(struct recent *r, uint64_t key)
{
	struct slot *oldest = NULL;
	for (size_t i = 0; i < PROBES; i++) {
		struct slot *s = &r->slots[(key + i) & (RECENT_SLOTS - 1)];
		if (s->key == key)
			return s;
		if (!oldest || (oldest->key && (!s->key || s->at < oldest->at)))
			oldest = s;
	}
	return oldest;
}

bool
recent_login(struct recent *r, struct str account, int64_t delay_ms, int64_t now_ms)
{
	uint64_t key = siphash(r->key, account);
	key = key ? key : 1;
	struct slot *s = place_of(r, key);
	if (s->key == key && now_ms - s->at < delay_ms)
		return false;
	*s = (struct slot){ key, now_ms };
	return true;
}
