#include "mail/mime.h"

#include "base/check.h"

void
mime_decode_init(struct mime_decoder *d, enum mime_encoding encoding)
{
	*d = (struct mime_decoder){ .encoding = encoding };
}

/* --- base64: RFC 2045 6.8 --- */

enum { B64_SPACE = 64, B64_PAD, B64_BAD };

/* The value of each octet. */
#define R10(x) x, x, x, x, x, x, x, x, x, x
static const unsigned char value_of[256] = {
	B64_BAD,
	B64_BAD,
	B64_BAD,
	B64_BAD,
	B64_BAD,
	B64_BAD,
	B64_BAD,
	B64_BAD,
	B64_BAD,
	B64_SPACE,
	B64_SPACE,
	B64_BAD,
	B64_BAD,
	B64_SPACE,
	B64_BAD,
	B64_BAD,
	R10(B64_BAD),
	B64_BAD,
	B64_BAD,
	B64_BAD,
	B64_BAD,
	B64_BAD,
	B64_BAD,
	B64_SPACE,
	R10(B64_BAD),
	62,
	B64_BAD,
	B64_BAD,
	B64_BAD,
	63,
	52,
	53,
	54,
	55,
	56,
	57,
	58,
	59,
	60,
	61,
	B64_BAD,
	B64_BAD,
	B64_BAD,
	B64_PAD,
	B64_BAD,
	B64_BAD,
	B64_BAD,
	0,
	1,
	2,
	3,
	4,
	5,
	6,
	7,
	8,
	9,
	10,
	11,
	12,
	13,
	14,
	15,
	16,
	17,
	18,
	19,
	20,
	21,
	22,
	23,
	24,
	25,
	B64_BAD,
	B64_BAD,
	B64_BAD,
	B64_BAD,
	B64_BAD,
	B64_BAD,
	26,
	27,
	28,
	29,
	30,
	31,
	32,
	33,
	34,
	35,
	36,
	37,
	38,
	39,
	40,
	41,
	42,
	43,
	44,
	45,
	46,
	47,
	48,
	49,
	50,
	51,
	B64_BAD,
	B64_BAD,
	B64_BAD,
	B64_BAD,
	B64_BAD,
	R10(B64_BAD),
	R10(B64_BAD),
	R10(B64_BAD),
	R10(B64_BAD),
	R10(B64_BAD),
	R10(B64_BAD),
	R10(B64_BAD),
	R10(B64_BAD),
	R10(B64_BAD),
	R10(B64_BAD),
	R10(B64_BAD),
	R10(B64_BAD),
	B64_BAD,
	B64_BAD,
	B64_BAD,
	B64_BAD,
	B64_BAD,
	B64_BAD,
	B64_BAD,
	B64_BAD,
};

static void
b64_flush(struct mime_decoder *d, struct buf *out)
{
	static const unsigned octets[] = { 0, 0, 1, 2, 3 };
	char c[3];
	uint32_t v = d->bits << (4 - d->n) * 6;
	for (unsigned i = 0; i < 3; i++)
		c[i] = (char)(v >> (16 - 8 * i) & 0xff);
	buf_put(out, c, octets[d->n]);
	d->bits = 0;
	d->n = 0;
}

static void
b64_octet(struct mime_decoder *d, unsigned char c, struct buf *out)
{
	unsigned v = value_of[c];
	if (v == B64_SPACE)
		return;
	if (v == B64_BAD || (v < 64 && d->padded) || (v == B64_PAD && d->n < 2 && !d->padded)) {
		d->bad = true;
		if (v >= 64)
			return;
		d->padded = false; /* another text behind the first */
	}
	if (v == B64_PAD) {
		b64_flush(d, out);
		d->padded = true;
		return;
	}
	d->bits = d->bits << 6 | v;
	if (++d->n == 4)
		b64_flush(d, out);
}

/* Whole groups of four, as far as they go; returns how many octets. */
static size_t
b64_groups(struct str in, struct buf *out)
{
	size_t i = 0;
	if (!buf_reserve(out, in.len / 4 * 3 + 3))
		return 0;
	char *o = out->p + out->len;
	for (; i + 4 <= in.len; i += 4) {
		const unsigned char *p = (const unsigned char *)in.p + i;
		unsigned a = value_of[p[0]], b = value_of[p[1]], c = value_of[p[2]],
			 e = value_of[p[3]];
		if ((a | b | c | e) & 64)
			break;
		uint32_t v = a << 18 | b << 12 | c << 6 | e;
		*o++ = (char)(v >> 16);
		*o++ = (char)(v >> 8 & 0xff);
		*o++ = (char)(v & 0xff);
	}
	out->len = (size_t)(o - out->p);
	return i;
}

static void
b64_feed(struct mime_decoder *d, struct str in, struct buf *out)
{
	while (in.len && !out->failed) {
		size_t n = d->n || d->padded ? 0 : b64_groups(in, out);
		in = str_skip(in, n);
		if (in.len) {
			b64_octet(d, (unsigned char)in.p[0], out);
			in = str_skip(in, 1);
		}
	}
}

/* --- quoted-printable: RFC 2045 6.7 --- */

static int
hex_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
		return (c | 0x20) - 'a' + 10;
	return -1;
}

static void
put_held(struct mime_decoder *d, struct buf *out)
{
	buf_put(out, d->hold, d->held);
	d->held = 0;
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* c comes behind what is held of an escape. False: it is none, and c is still to be read. */
static bool
escape(struct mime_decoder *d, char c, struct buf *out)
{
	int high = d->held == 2 ? hex_of(d->hold[1]) : -1;
	if (high >= 0 && hex_of(c) >= 0) {
		d->held = 0;
		buf_putc(out, (char)(high << 4 | hex_of(c)));
		return true;
	}
	if (high < 0 && c == '\n') { /* a soft line break, blanks in it or not */
		d->held = 0;
		return true;
	}
	bool more = d->held == 1 ? is_blank(c) || hex_of(c) >= 0 : high < 0 && is_blank(c);
	if (more && d->held < sizeof(d->hold)) {
		d->hold[d->held++] = c;
		return true;
	}
	d->bad = true;
	put_held(d, out);
	return false;
}

/* Text without '=' that ends the view: blanks at its end may be those of a line. */
static void
hold_blanks(struct mime_decoder *d, struct str text, struct buf *out)
{
	size_t n = text.len;
	while (n && is_blank(text.p[n - 1]) && text.len - n < sizeof(d->hold))
		n--;
	if (n || d->held + text.len > sizeof(d->hold)) {
		put_held(d, out);
		buf_puts(out, str_first(text, n));
	}
	text = str_skip(text, n);
	memcpy(d->hold + d->held, text.p, text.len);
	d->held = (uint8_t)(d->held + text.len);
}

/* Text before a LF: blanks at its end go (RFC 2045 6.7 rule 3). */
static void
put_line(struct mime_decoder *d, struct str text, struct buf *out)
{
	bool cr = text.len ? text.p[text.len - 1] == '\r' : d->held && d->hold[d->held - 1] == '\r';
	while (text.len && is_blank(text.p[text.len - 1]))
		text.len--;
	if (text.len)
		put_held(d, out);
	d->held = 0;
	buf_puts(out, text);
	buf_putz(out, cr ? "\r\n" : "\n");
}

static void
qp_feed(struct mime_decoder *d, struct str in, struct buf *out)
{
	while (in.len && !out->failed) {
		if (d->held && d->hold[0] == '=') {
			if (escape(d, in.p[0], out))
				in = str_skip(in, 1);
			continue;
		}
		size_t n = 0;
		while (n < in.len && in.p[n] != '=' && in.p[n] != '\n')
			n++;
		struct str text = str_first(in, n);
		if (n == in.len) {
			hold_blanks(d, text, out);
			return;
		}
		if (in.p[n] == '\n') {
			put_line(d, text, out);
		} else {
			put_held(d, out);
			buf_puts(out, text);
			d->hold[d->held++] = '=';
		}
		in = str_skip(in, n + 1);
	}
}

/* --- both --- */

void
mime_decode(struct mime_decoder *d, struct str in, struct buf *out)
{
	if (in.len == 0)
		return;
	if (d->encoding == MIME_BASE64)
		b64_feed(d, in, out);
	else if (d->encoding == MIME_QP)
		qp_feed(d, in, out);
	else
		buf_puts(out, in);
}

void
mime_decode_end(struct mime_decoder *d, struct buf *out)
{
	if (d->encoding == MIME_UNKNOWN)
		d->bad = true;
	if (d->encoding == MIME_BASE64 && d->n) {
		d->bad |= d->n == 1;
		b64_flush(d, out);
	}
	if (d->encoding == MIME_QP && d->held) {
		if (d->hold[0] != '=')
			d->held = 0; /* blanks at the very end */
		else if (d->held > 1)
			d->bad = true;
		if (d->held > 1)
			put_held(d, out);
		d->held = 0;
	}
}
