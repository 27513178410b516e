/* Ascending UIDs. */
#include "store/mail_priv.h"

#include "base/check.h"
#include "base/wire.h"

#include <stdlib.h>

void
ranges_add_range(struct ranges *r, struct mail_range x)
{
	r->count += (uint64_t)x.last - x.first + 1;
	if (r->n && r->p[r->n - 1].last + 1 == x.first) {
		r->p[r->n - 1].last = x.last;
		return;
	}
	if (r->n == r->cap) {
		r->cap = r->cap ? r->cap * 2 : 8;
		r->p = xrealloc(r->p, r->cap * sizeof(*r->p));
	}
	r->p[r->n++] = x;
}

void
ranges_add(struct ranges *r, uint32_t uid)
{
	ranges_add_range(r, (struct mail_range){ uid, uid });
}

void
ranges_reset(struct ranges *r)
{
	r->n = 0;
	r->count = 0;
}

void
ranges_done(struct ranges *r)
{
	free(r->p);
	*r = (struct ranges){ 0 };
}

void
ranges_put(struct buf *b, const struct ranges *r)
{
	put_u32(b, (uint32_t)r->n);
	for (size_t i = 0; i < r->n; i++) {
		put_u32(b, r->p[i].first);
		put_u32(b, r->p[i].last);
	}
}

bool
ranges_get(struct wire *w, size_t max, struct ranges *ret)
{
	uint32_t n = get_u32(w);
	uint64_t above = 0;
	*ret = (struct ranges){ 0 };
	if (n > max)
		return false;
	for (uint32_t i = 0; i < n; i++) {
		struct mail_range x = { get_u32(w), 0 };
		x.last = get_u32(w);
		if (w->bad || x.first <= above || x.last < x.first)
			break;
		above = x.last;
		ranges_add_range(ret, x);
		if (i + 1 == n)
			return true;
	}
	if (n == 0 && !w->bad)
		return true;
	ranges_done(ret);
	return false;
}
