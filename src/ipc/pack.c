#include "ipc/pack.h"

#define MAGIC STR("PPAK")
#define VERSION 1

void
pack_begin(struct buf *b)
{
	buf_puts(b, MAGIC);
	put_u8(b, VERSION);
}

size_t
pack_letter_begin(struct buf *b)
{
	size_t at = b->len;
	put_u32(b, 0);
	return at;
}

void
pack_letter_end(struct buf *b, size_t at, const struct pack_letter *l)
{
	if (b->failed)
		return;
	if (b->len - at - 4 > PACK_LETTER_MAX) {
		b->failed = true;
		return;
	}
	be32_put((unsigned char *)b->p + at, (uint32_t)(b->len - at - 4));
	put_u64(b, l->time_ms);
	put_u32(b, l->flags);
	put_u32(b, l->header_len);
	put_u8(b, (uint8_t)l->key.len);
	buf_puts(b, l->key);
	put_u8(b, l->there);
	put_str(b, l->was);
	put_str(b, l->value);
	put_str(b, l->where);
}

bool
pack_open(struct str pack, struct wire *ret)
{
	struct wire w = wire_of(pack);
	struct str magic = get_bytes(&w, MAGIC.len);
	uint8_t version = get_u8(&w);
	if (w.bad || !str_eq(magic, MAGIC) || version != VERSION)
		return false;
	*ret = w;
	return true;
}

bool
pack_next(struct wire *w, struct pack_letter *ret)
{
	struct pack_letter l = { 0 };
	if (w->bad || w->left == 0)
		return false;
	l.octets = get_str(w, PACK_LETTER_MAX);
	l.time_ms = get_u64(w);
	l.flags = get_u32(w);
	l.header_len = get_u32(w);
	uint8_t key_len = get_u8(w);
	l.key = get_bytes(w, key_len);
	l.there = get_bool(w);
	l.was = get_str(w, PACK_MARK_MAX);
	l.value = get_str(w, PACK_MARK_MAX);
	l.where = get_str(w, PACK_WHERE_MAX);
	if (l.header_len > l.octets.len || l.time_ms > PACK_TIME_MAX || l.flags > PACK_FLAGS_MAX ||
	    (key_len != 0 && key_len != PACK_KEY_LEN))
		w->bad = true;
	if (w->bad)
		return false;
	*ret = l;
	return true;
}
