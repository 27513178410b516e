#include "base/base64.h"

#include <stdint.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void
base64_enc(struct buf *out, struct str in)
{
	for (size_t i = 0; i < in.len; i += 3) {
		size_t n = MIN(in.len - i, (size_t)3);
		uint32_t v = 0;
		for (size_t k = 0; k < 3; k++)
			v = v << 8 | (k < n ? (unsigned char)in.p[i + k] : 0);
		char quad[4] = { alphabet[v >> 18], alphabet[v >> 12 & 63],
			n > 1 ? alphabet[v >> 6 & 63] : '=', n > 2 ? alphabet[v & 63] : '=' };
		buf_put(out, quad, 4);
	}
}

int
base64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* One group of four; pad says how many '=' it ends in. */
static bool
dec_quad(struct buf *out, const char *q, int pad)
{
	uint32_t v = 0;
	for (int k = 0; k < 4; k++) {
		int d = k < 4 - pad ? base64_value(q[k]) : 0;
		if (d < 0)
			return false;
		v = v << 6 | (uint32_t)d;
	}
	if ((pad == 1 && (v & 0xff)) || (pad == 2 && (v & 0xffff)))
		return false; /* bits that no octet holds */
	char o[3] = { (char)(v >> 16), (char)(v >> 8), (char)v };
	buf_put(out, o, (size_t)(3 - pad));
	return true;
}

bool
base64_dec(struct buf *out, struct str in)
{
	size_t start = out->len;
	bool ok = in.len % 4 == 0;
	for (size_t i = 0; ok && i < in.len; i += 4) {
		int pad = 0;
		if (i + 4 == in.len && in.p[i + 3] == '=')
			pad = in.p[i + 2] == '=' ? 2 : 1;
		ok = dec_quad(out, in.p + i, pad);
	}
	if (!ok || out->failed) {
		buf_trunc(out, start);
		return false;
	}
	return true;
}
