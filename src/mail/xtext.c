#include "mail/xtext.h"

#include "base/utf8.h"

#include <stdint.h>

static bool
is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F');
}

static unsigned
hex_value(char c)
{
	return (unsigned)(c <= '9' ? c - '0' : c - 'A' + 10);
}

bool
xtext_valid(struct str s)
{
	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] < '!' || s.p[i] > '~' || s.p[i] == '=')
			return false;
		if (s.p[i] != '+')
			continue;
		if (s.len - i < 3 || !is_hex(s.p[i + 1]) || !is_hex(s.p[i + 2]))
			return false;
		i += 2;
	}
	return s.len > 0;
}

bool
xtext_decode(struct buf *out, struct str s)
{
	size_t start = out->len;
	if (!xtext_valid(s))
		return false;
	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] == '+') {
			buf_putc(out, (char)(hex_value(s.p[i + 1]) << 4 | hex_value(s.p[i + 2])));
			i += 2;
		} else {
			buf_putc(out, s.p[i]);
		}
	}
	if (out->failed)
		buf_trunc(out, start);
	return !out->failed;
}

/* --- RFC 6533 3 --- */

/* The character at the start of valid UTF-8, which is taken off. */
static uint32_t
next_char(struct str *s)
{
	unsigned char c = (unsigned char)s->p[0];
	size_t n = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
	uint32_t v = n == 1 ? c : c & (0x7fu >> n);
	for (size_t i = 1; i < n && i < s->len; i++)
		v = v << 6 | ((unsigned char)s->p[i] & 0x3f);
	*s = str_skip(*s, n);
	return v;
}

static void
put_char(struct buf *out, uint32_t v)
{
	if (v < 0x80) {
		buf_putc(out, (char)v);
		return;
	}
	unsigned more = v < 0x800 ? 1 : v < 0x10000 ? 2 : 3;
	static const unsigned char lead[] = { 0, 0xc0, 0xe0, 0xf0 };
	buf_putc(out, (char)(lead[more] | v >> 6 * more));
	while (more-- > 0)
		buf_putc(out, (char)(0x80 | (v >> 6 * more & 0x3f)));
}

void
xtext_utf8_put(struct buf *out, struct str address)
{
	while (address.len > 0) {
		uint32_t v = next_char(&address);
		if (v <= ' ' || v >= 0x7f || v == '+' || v == '=' || v == '\\')
			buf_putf(out, "\\x{%X}", v);
		else
			buf_putc(out, (char)v);
	}
}

/* "\x{FC}" at the start of s: its octets, and the character; 0: it is none. */
static size_t
embedded(struct str s, uint32_t *ret)
{
	if (!str_starts(s, STR("\\x{")))
		return 0;
	uint32_t v = 0;
	size_t n = 3;
	for (; n < s.len && n < 9 && is_hex(s.p[n]); n++)
		v = v << 4 | hex_value(s.p[n]);
	if (n == 3 || n == s.len || s.p[n] != '}')
		return 0;
	*ret = v;
	return n + 1;
}

bool
xtext_utf8_decode(struct buf *out, struct str s)
{
	size_t start = out->len;
	bool good = s.len > 0;
	while (good && s.len > 0) {
		uint32_t v = 0;
		size_t n = embedded(s, &v);
		if (n > 0) {
			good = v > ' ' && v != 0x7f && v <= 0x10ffff;
			put_char(out, v);
			s = str_skip(s, n);
		} else {
			good = (unsigned char)s.p[0] > ' ' && !strchr("\\+=\x7f", s.p[0]);
			buf_putc(out, s.p[0]);
			s = str_skip(s, 1);
		}
	}
	good = good && !out->failed && utf8_valid(str_skip(buf_str(out), start));
	if (!good)
		buf_trunc(out, start);
	return good;
}
