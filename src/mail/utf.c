#include "mail/utf.h"

static bool
is_tail(char c)
{
	return ((unsigned char)c & 0xc0) == 0x80;
}

/* What may follow the first octet, RFC 3629 4: no overlong form, no surrogate, no more than there
 * is. */
static bool
is_second(unsigned char first, unsigned char c)
{
	unsigned char least = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
	unsigned char most = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
	return c >= least && c <= most;
}

int
utf_next(struct str s, uint32_t *ret)
{
	unsigned char c = (unsigned char)s.p[0];
	int n = c < 0x80 ? 1 : c < 0xc2 || c > 0xf4 ? -1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
	if (n <= 1) {
		*ret = c;
		return n;
	}
	uint32_t v = c & (0x7fu >> n);
	for (int i = 1; i < n; i++) {
		if ((size_t)i == s.len)
			return 0;
		if (i == 1 ? !is_second(c, (unsigned char)s.p[1]) : !is_tail(s.p[i]))
			return -1;
		v = v << 6 | ((unsigned char)s.p[i] & 0x3f);
	}
	*ret = v;
	return n;
}

size_t
utf_write(char o[4], uint32_t c)
{
	size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	static const unsigned char lead[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
	o[0] = (char)(lead[n] | c >> 6 * (n - 1));
	for (size_t i = 1; i < n; i++)
		o[i] = (char)(0x80 | (c >> 6 * (n - 1 - i) & 0x3f));
	return n;
}

void
utf_put(struct buf *out, uint32_t c)
{
	if (buf_reserve(out, 4))
		out->len += utf_write(out->p + out->len, c);
}

size_t
utf_ascii(struct str s)
{
	size_t i = 0;
	for (; i + 32 <= s.len; i += 32) {
		uint64_t v[4];
		memcpy(v, s.p + i, 32);
		if ((v[0] | v[1] | v[2] | v[3]) & UINT64_C(0x8080808080808080))
			break;
	}
	while (i < s.len && !((unsigned char)s.p[i] & 0x80))
		i++;
	return i;
}
