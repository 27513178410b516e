#include "base/utf8.h"

#include <stdint.h>

/* Length of the sequence at s, 0 if it is not UTF-8 (RFC 3629 section 4). */
static size_t
sequence(struct str s)
{
	unsigned char c = (unsigned char)s.p[0];
	size_t n = c < 0x80                 ? 1
	           : c >= 0xc2 && c <= 0xdf ? 2
	           : (c & 0xf0) == 0xe0     ? 3
	           : c >= 0xf0 && c <= 0xf4 ? 4
	                                    : 0;
	if (n == 0 || n > s.len)
		return 0;
	for (size_t i = 1; i < n; i++)
		if (((unsigned char)s.p[i] & 0xc0) != 0x80)
			return 0;
	unsigned char d = n > 1 ? (unsigned char)s.p[1] : 0;
	if ((c == 0xe0 && d < 0xa0) || (c == 0xed && d > 0x9f) || (c == 0xf0 && d < 0x90) ||
	    (c == 0xf4 && d > 0x8f))
		return 0;
	return n;
}

bool
utf8_valid(struct str s)
{
	while (s.len) {
		size_t n = sequence(s);
		if (n == 0)
			return false;
		s = str_skip(s, n);
	}
	return true;
}

bool
utf8_is_ascii(struct str s)
{
	unsigned char all = 0;
	for (size_t i = 0; i < s.len; i++)
		all |= (unsigned char)s.p[i];
	return all < 0x80;
}

static bool
is_control(struct str seq)
{
	const unsigned char *c = (const unsigned char *)seq.p;
	if (seq.len == 1)
		return c[0] < 0x20 || c[0] == 0x7f;
	if (seq.len == 3 &&
	    c[0] == 0xe2) /* ends of lines, and what turns the direction of others */
		return (c[1] == 0x80 && c[2] >= 0xa8 && c[2] <= 0xae) ||
		       (c[1] == 0x81 && c[2] >= 0xa6 && c[2] <= 0xa9);
	return c[0] == 0xc2 && c[1] < 0xa0; /* C1 */
}

static void
escape(struct buf *out, struct str s, bool first)
{
	while (s.len) {
		size_t n = sequence(s);
		struct str seq = str_first(s, n ? n : 1);
		if (n == 0 || is_control(seq)) {
			for (size_t i = 0; i < seq.len; i++)
				buf_putf(out, "\\x%02x", (unsigned char)seq.p[i]);
		} else if (first && seq.p[0] == '\\') {
			buf_putz(out, "\\\\");
		} else {
			buf_puts(out, seq);
		}
		s = str_skip(s, seq.len);
	}
}

void
utf8_escape(struct buf *out, struct str s)
{
	escape(out, s, true);
}

void
utf8_escape_again(struct buf *out, struct str s)
{
	escape(out, s, false);
}
