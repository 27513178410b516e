#include "base/wire.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "be32_put and friends swap always");

void
put_u8(struct buf *b, uint8_t v)
{
	buf_put(b, &v, 1);
}

void
put_u16(struct buf *b, uint16_t v)
{
	unsigned char t[2] = { (unsigned char)(v >> 8), (unsigned char)v };
	buf_put(b, t, 2);
}

void
put_u32(struct buf *b, uint32_t v)
{
	unsigned char t[4];
	be32_put(t, v);
	buf_put(b, t, 4);
}

void
put_u64(struct buf *b, uint64_t v)
{
	unsigned char t[8];
	be64_put(t, v);
	buf_put(b, t, 8);
}

void
put_str(struct buf *b, struct str s)
{
	if (s.len > UINT32_MAX) {
		b->failed = true;
		return;
	}
	put_u32(b, (uint32_t)s.len);
	buf_puts(b, s);
}

struct wire
wire_of(struct str s)
{
	return (struct wire){ (const unsigned char *)s.p, s.len, false };
}

struct str
get_bytes(struct wire *w, size_t n)
{
	if (w->bad || n > w->left) {
		w->bad = true;
		return STR_NULL;
	}
	struct str s = { (const char *)w->p, n };
	w->p += n;
	w->left -= n;
	return s;
}

uint8_t
get_u8(struct wire *w)
{
	struct str s = get_bytes(w, 1);
	return w->bad ? 0 : (uint8_t)s.p[0];
}

uint16_t
get_u16(struct wire *w)
{
	struct str s = get_bytes(w, 2);
	if (w->bad)
		return 0;
	const unsigned char *u = (const unsigned char *)s.p;
	return (uint16_t)(u[0] << 8 | u[1]);
}

uint32_t
get_u32(struct wire *w)
{
	struct str s = get_bytes(w, 4);
	return w->bad ? 0 : be32_get((const unsigned char *)s.p);
}

uint64_t
get_u64(struct wire *w)
{
	struct str s = get_bytes(w, 8);
	return w->bad ? 0 : be64_get((const unsigned char *)s.p);
}

bool
get_bool(struct wire *w)
{
	uint8_t v = get_u8(w);
	if (v > 1)
		w->bad = true;
	return v == 1;
}

struct str
get_str(struct wire *w, size_t max)
{
	uint32_t n = get_u32(w);
	if (n > max)
		w->bad = true;
	return get_bytes(w, n);
}

struct str
get_rest(struct wire *w)
{
	return get_bytes(w, w->left);
}

bool
wire_done(const struct wire *w)
{
	return !w->bad && w->left == 0;
}
