/* Changes: what is to be written, and what came of it. */
#include "access/access.h"

#include "base/check.h"

#define KEYWORDS_MAX (ACCESS_KEYWORDS * (2 + ACCESS_KEYWORD_MAX))
#define ATTRS_ALL ((ACCESS_CHILDREN << 1) - 1)

void
access_keyword_put(struct buf *b, struct str name)
{
	if (name.len > UINT16_MAX) {
		b->failed = true;
		return;
	}
	put_u16(b, (uint16_t)name.len);
	buf_puts(b, name);
}

bool
access_keyword_next(struct str *list, struct str *ret)
{
	struct wire w = wire_of(*list);
	struct str name = get_bytes(&w, get_u16(&w));
	if (w.bad)
		return false;
	*ret = name;
	*list = get_rest(&w);
	return true;
}

static bool
keywords_ok(struct str list)
{
	struct str name;
	unsigned n = 0;
	while (list.len) {
		if (!access_keyword_next(&list, &name) || name.len == 0 ||
		    name.len > ACCESS_KEYWORD_MAX || ++n > ACCESS_KEYWORDS)
			return false;
	}
	return true;
}

void
access_new_put(struct buf *b, const struct access_new *l)
{
	put_u64(b, l->id);
	put_u64(b, l->size);
	put_u64(b, l->time_ms);
	put_u64(b, l->flags);
	put_u32(b, l->header_len);
	put_str(b, l->keywords);
	put_str(b, l->outline);
}

bool
access_new_get(struct wire *w, struct access_new *ret)
{
	struct access_new l;
	l.id = get_u64(w);
	l.size = get_u64(w);
	l.time_ms = get_u64(w);
	l.flags = get_u64(w);
	l.header_len = get_u32(w);
	l.keywords = get_str(w, KEYWORDS_MAX);
	l.outline = get_str(w, ACCESS_OUTLINE_MAX);
	if (w->bad || (l.flags & ~(uint64_t)ACCESS_SYSTEM) || !keywords_ok(l.keywords))
		w->bad = true;
	if (!w->bad)
		*ret = l;
	return !w->bad;
}

static bool
letters_ok(struct str octets, unsigned n, bool outlines)
{
	struct wire w = wire_of(octets);
	struct access_new l;
	if (n > ACCESS_LETTERS_MAX)
		return false;
	for (unsigned i = 0; i < n; i++)
		if (!access_new_get(&w, &l) || (outlines && (l.id == 0 || l.id > UINT32_MAX)))
			return false;
	return wire_done(&w);
}

void
access_change_put(struct buf *b, const struct access_change *c)
{
	put_u8(b, c->kind);
	put_u8(b, c->mode);
	put_u32(b, c->mailbox);
	put_str(b, c->name);
	put_str(b, c->to);
	put_u32(b, c->attrs);
	put_str(b, c->uids);
	put_u64(b, c->flags);
	put_str(b, c->keywords);
	put_u64(b, c->unchanged_since);
	put_u8(b, c->only_deleted);
	put_u16(b, c->n_letters);
	put_str(b, c->letters);
}

bool
access_change_get(struct str octets, struct access_change *ret)
{
	struct wire w = wire_of(octets);
	struct access_change c;
	c.kind = get_u8(&w);
	c.mode = get_u8(&w);
	c.mailbox = get_u32(&w);
	c.name = get_str(&w, ACCESS_NAME_MAX);
	c.to = get_str(&w, ACCESS_NAME_MAX);
	c.attrs = get_u32(&w);
	c.uids = get_str(&w, ACCESS_RANGES_MAX * 8);
	c.flags = get_u64(&w);
	c.keywords = get_str(&w, KEYWORDS_MAX);
	c.unchanged_since = get_u64(&w);
	c.only_deleted = get_bool(&w);
	c.n_letters = get_u16(&w);
	c.letters = get_str(&w, ACCESS_CHANGE_MAX);
	if (octets.len > ACCESS_CHANGE_MAX || !wire_done(&w) || c.kind >= ACCESS_CHANGE_COUNT ||
	    c.mode >= ACCESS_MODE_COUNT || (c.attrs & ~(unsigned)ATTRS_ALL) ||
	    (c.flags & ~(uint64_t)ACCESS_SYSTEM) || !uidset_octets_ok(c.uids, ACCESS_RANGES_MAX) ||
	    !keywords_ok(c.keywords) ||
	    !letters_ok(c.letters, c.n_letters, c.kind == ACCESS_OUTLINES))
		return false;
	*ret = c;
	return true;
}

void
access_changed_put(struct buf *b, const struct access_changed *c)
{
	put_u64(b, c->modseq);
	put_u32(b, c->uidvalidity);
	put_u32(b, c->mailbox);
	put_str(b, c->uids);
	put_str(b, c->to_uids);
	put_str(b, c->failed);
}

/* Ranges in any order: what one UID became may lie in front of what another did. */
static bool
pairs_ok(struct str octets)
{
	struct wire w = wire_of(octets);
	while (w.left && !w.bad) {
		uint32_t first = get_u32(&w), last = get_u32(&w);
		if (first == 0 || last < first)
			return false;
	}
	return !w.bad;
}

bool
access_changed_get(struct str octets, struct access_changed *ret)
{
	struct wire w = wire_of(octets);
	struct access_changed c;
	c.modseq = get_u64(&w);
	c.uidvalidity = get_u32(&w);
	c.mailbox = get_u32(&w);
	c.uids = get_str(&w, UIDSET_RANGES_MAX * 8);
	c.to_uids = get_str(&w, UIDSET_RANGES_MAX * 8);
	c.failed = get_str(&w, UIDSET_RANGES_MAX * 8);
	if (!wire_done(&w) || !uidset_octets_ok(c.uids, UIDSET_RANGES_MAX) ||
	    !pairs_ok(c.to_uids) || !uidset_octets_ok(c.failed, UIDSET_RANGES_MAX))
		return false;
	*ret = c;
	return true;
}
