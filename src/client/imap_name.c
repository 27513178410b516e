/* imap_name: modified UTF-7 (RFC 3501 5.1.3) as a client reads it: leniently. */
#include "client/imap.h"

#include "base/utf8.h"
#include "mail/utf.h"

#include <string.h>

static const char digits[64] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

/* Between "&" and "-": UTF-16 in base64. False: it is none; out may have more of it then. */
static bool
run_decode(struct str run, struct buf *out)
{
	uint32_t bits = 0, high = 0;
	unsigned n_bits = 0;
	for (size_t i = 0; i < run.len; i++) {
		const char *at = memchr(digits, run.p[i], sizeof(digits));
		if (!at)
			return false;
		bits = (bits << 6 | (uint32_t)(at - digits)) & 0x3fffff;
		n_bits += 6;
		if (n_bits < 16)
			continue;
		n_bits -= 16;
		uint32_t unit = bits >> n_bits & 0xffff;
		bool low = unit >= 0xdc00 && unit <= 0xdfff;
		if (low != (high != 0))
			return false;
		if (unit >= 0xd800 && unit <= 0xdbff) {
			high = unit;
			continue;
		}
		if (low)
			unit = 0x10000 + ((high - 0xd800) << 10) + (unit - 0xdc00);
		high = 0;
		utf_put(out, unit);
	}
	return high == 0;
}

void
imap_name_decode(struct str wire, struct buf *out)
{
	size_t from = out->len;
	struct str in = wire;
	while (in.len) {
		size_t plain = str_find(in, '&');
		buf_puts(out, str_first(in, plain));
		in = str_skip(in, plain);
		if (in.len == 0)
			return;
		struct str run = str_skip(in, 1);
		run = str_first(run, str_find(run, '-'));
		bool closed = run.len + 1 < in.len;
		if (closed && run.len == 0)
			buf_putc(out, '&');
		else if (!closed || !run_decode(run, out)) {
			buf_trunc(out, from);
			buf_puts(out, wire);
			return;
		}
		in = str_skip(in, run.len + 2);
	}
}

static void
unit_encode(struct buf *out, uint32_t *bits, unsigned *n_bits, uint32_t unit)
{
	*bits = *bits << 16 | unit;
	*n_bits += 16;
	while (*n_bits >= 6) {
		*n_bits -= 6;
		buf_putc(out, digits[*bits >> *n_bits & 63]);
	}
	*bits &= (1u << *n_bits) - 1;
}

static bool
stands_for_itself(struct str s)
{
	return s.len > 0 && s.p[0] >= 0x20 && s.p[0] < 0x7f;
}

void
imap_name_encode(struct str utf8, struct buf *out)
{
	struct str in = utf8;
	if (!utf8_valid(in)) {
		buf_puts(out, in);
		return;
	}
	while (in.len) {
		if (stands_for_itself(in)) {
			buf_putc(out, in.p[0]);
			if (in.p[0] == '&')
				buf_putc(out, '-');
			in = str_skip(in, 1);
			continue;
		}
		uint32_t bits = 0, c = 0;
		unsigned n_bits = 0;
		buf_putc(out, '&');
		while (in.len && !stands_for_itself(in)) {
			int n = utf_next(in, &c);
			in = str_skip(in, n > 0 ? (size_t)n : 1);
			if (c > 0xffff) {
				unit_encode(out, &bits, &n_bits, 0xd800 + ((c - 0x10000) >> 10));
				c = 0xdc00 + ((c - 0x10000) & 0x3ff);
			}
			unit_encode(out, &bits, &n_bits, c);
		}
		if (n_bits)
			buf_putc(out, digits[bits << (6 - n_bits) & 63]);
		buf_putc(out, '-');
	}
}
