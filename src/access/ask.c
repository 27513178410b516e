/* Asks: what is to be read. */
#include "access/access.h"

#define WHAT_ALL (ACCESS_META | ACCESS_OUTLINE | ACCESS_OCTETS)

void
access_ask_put(struct buf *b, const struct access_ask *a)
{
	put_u8(b, a->kind);
	put_u8(b, a->fresh);
	put_u8(b, a->submit);
	put_u32(b, a->mailbox);
	put_str(b, a->name);
	put_u64(b, a->since);
	put_u32(b, a->uidnext);
	put_u8(b, (uint8_t)a->what);
	put_u8(b, a->part);
	put_u64(b, a->off);
	put_u64(b, a->len);
	put_str(b, a->uids);
	put_u32(b, a->from.uid);
	put_u64(b, a->from.n);
	put_str(b, a->from.name);
}

bool
access_ask_get(struct str octets, struct access_ask *ret)
{
	struct wire w = wire_of(octets);
	struct access_ask a;
	a.kind = get_u8(&w);
	a.fresh = get_bool(&w);
	a.submit = get_bool(&w);
	a.mailbox = get_u32(&w);
	a.name = get_str(&w, ACCESS_NAME_MAX);
	a.since = get_u64(&w);
	a.uidnext = get_u32(&w);
	a.what = get_u8(&w);
	a.part = get_u8(&w);
	a.off = get_u64(&w);
	a.len = get_u64(&w);
	a.uids = get_str(&w, ACCESS_RANGES_MAX * 8);
	a.from.uid = get_u32(&w);
	a.from.n = get_u64(&w);
	a.from.name = get_str(&w, ACCESS_NAME_MAX);
	bool by_url = a.kind == ACCESS_TOKEN || a.kind == ACCESS_URL;
	if (octets.len > ACCESS_ASK_MAX || !wire_done(&w) || a.kind >= ACCESS_KIND_COUNT ||
	    (a.what & ~WHAT_ALL) || a.part >= ACCESS_PART_COUNT ||
	    (by_url ? a.url.len > ACCESS_URL_MAX : !uidset_octets_ok(a.uids, ACCESS_RANGES_MAX)))
		return false;
	*ret = a;
	return true;
}
