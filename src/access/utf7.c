#include "access/name_priv.h"

#include "base/check.h"

#include <stdint.h>
#include <unistr.h>

static const char digits[64] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

static int
digit_value(char c)
{
	const char *at = memchr(digits, c, sizeof(digits));
	return at ? (int)(at - digits) : -1;
}

/* Characters on their way from base64: UTF-16 in big-endian order. */
struct shifted {
	uint32_t bits;
	unsigned n_bits;
	uint32_t high; /* a high surrogate that waits for its other half, or 0 */
	bool any;
};

static const char not_utf7[] = "the name is not modified UTF-7 (RFC 3501 5.1.3)";
static const char over_encoded[] =
    "the name encodes what stands for itself in modified UTF-7 (RFC 3501 5.1.3)";

static const char *
unit(struct shifted *x, uint32_t u, struct buf *out)
{
	uint8_t octets[4];
	x->any = true;
	if ((u >= 0xdc00 && u <= 0xdfff) != (x->high != 0))
		return not_utf7;
	if (u >= 0xd800 && u <= 0xdbff) {
		x->high = u;
		return NULL;
	}
	if (x->high)
		u = 0x10000 + ((x->high - 0xd800) << 10) + (u - 0xdc00);
	x->high = 0;
	if (u >= 0x20 && u <= 0x7e)
		return over_encoded;
	int n = u8_uctomb(octets, u, sizeof(octets));
	check(n > 0);
	buf_put(out, octets, (size_t)n);
	return NULL;
}

/* What stands between "&" and "-". */
static const char *
base64_run(struct str run, struct buf *out)
{
	struct shifted x = { 0 };
	for (size_t i = 0; i < run.len; i++) {
		int value = digit_value(run.p[i]);
		if (value < 0)
			return not_utf7;
		x.bits = x.bits << 6 | (uint32_t)value;
		x.n_bits += 6;
		if (x.n_bits < 16)
			continue;
		x.n_bits -= 16;
		const char *why = unit(&x, x.bits >> x.n_bits, out);
		if (why)
			return why;
		x.bits &= (1u << x.n_bits) - 1;
	}
	/* Less than a digit may be left over, and of that nothing but zeroes. */
	return !x.any || x.high || x.bits || x.n_bits >= 6 ? not_utf7 : NULL;
}

const char *
utf7_decode(struct str in, struct buf *out)
{
	const char *why = NULL;
	bool was_run = false;
	while (in.len && !why) {
		size_t plain = str_find(in, '&');
		buf_put(out, in.p, plain);
		was_run = was_run && plain == 0;
		in = str_skip(in, plain);
		if (in.len == 0)
			break;
		in = str_skip(in, 1);
		struct str run = str_first(in, str_find(in, '-'));
		if (run.len == in.len)
			return not_utf7;
		in = str_skip(in, run.len + 1);
		if (run.len == 0)
			buf_putc(out, '&');
		else if (was_run)
			why = over_encoded; /* "&AMQ-&ANY-": one run would have done */
		else
			why = base64_run(run, out);
		was_run = run.len > 0;
	}
	return why;
}

static void
put_digits(struct shifted *x, uint32_t u, struct buf *out)
{
	x->bits = x->bits << 16 | u;
	x->n_bits += 16;
	while (x->n_bits >= 6) {
		x->n_bits -= 6;
		buf_putc(out, digits[x->bits >> x->n_bits & 63]);
	}
	x->bits &= (1u << x->n_bits) - 1;
}

static bool
stands_for_itself(char c)
{
	return (unsigned char)c >= 0x20 && (unsigned char)c < 0x7f;
}

/* Characters from the start of *in that are not printing ASCII, as one run. */
static void
put_run(struct str *in, struct buf *out)
{
	struct shifted x = { 0 };
	buf_putc(out, '&');
	while (in->len && !stands_for_itself(in->p[0])) {
		ucs4_t u;
		int n = u8_mbtouc(&u, (const uint8_t *)in->p, in->len);
		check(n > 0);
		*in = str_skip(*in, (size_t)n);
		if (u > 0xffff) {
			put_digits(&x, 0xd800 + ((u - 0x10000) >> 10), out);
			u = 0xdc00 + ((u - 0x10000) & 0x3ff);
		}
		put_digits(&x, u, out);
	}
	if (x.n_bits)
		buf_putc(out, digits[x.bits << (6 - x.n_bits) & 63]);
	buf_putc(out, '-');
}

void
utf7_encode(struct str in, struct buf *out)
{
	while (in.len) {
		if (!stands_for_itself(in.p[0])) {
			put_run(&in, out);
			continue;
		}
		buf_putc(out, in.p[0]);
		if (in.p[0] == '&')
			buf_putc(out, '-');
		in = str_skip(in, 1);
	}
}
