#include "base/wire.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "be32_put and friends swap always");

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

bool
get_bool(struct wire *w)
{
	uint8_t v = get_u8(w);
	if (v > 1)
		w->bad = true;
	return v == 1;
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
