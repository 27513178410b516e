/* Names as people write them, and as the name service wants them. */
#include "client/dns.h"

#include "base/num.h"
#include "base/utf8.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <unicase.h>
#include <unictype.h>
#include <uninorm.h>
#include <unistr.h>

#define LABEL_MAX 63
#define LABEL_CHARS_MAX 256 /* of one label in Unicode, before it is encoded */

bool
dns_is_host(const char *name)
{
	struct str rest = str_of(name);
	if (rest.len == 0 || rest.len > DNS_NAME_MAX - 2)
		return false;
	while (rest.p) {
		struct str label = str_cut(&rest, '.');
		if (label.len == 0 || label.len > LABEL_MAX || label.p[0] == '-' ||
		    label.p[label.len - 1] == '-')
			return false;
		for (size_t i = 0; i < label.len; i++) {
			char c = label.p[i];
			if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
				(c >= '0' && c <= '9') || c == '-'))
				return false;
		}
	}
	return true;
}

int
dns_is_address(struct str text, char ret[46])
{
	unsigned char octets[16];
	char z[64];
	if (text.len >= 2 && text.p[0] == '[' && text.p[text.len - 1] == ']')
		text = str_n(text.p + 1, text.len - 2);
	if (str_istarts(text, STR("IPv6:")))
		text = str_skip(text, 5); /* RFC 5321 4.1.3 */
	if (!str_copy(z, sizeof(z), text) || strlen(z) != text.len)
		return 0;
	for (int i = 0; i < 2; i++) {
		int family = i ? AF_INET6 : AF_INET;
		if (inet_pton(family, z, octets) == 1 && inet_ntop(family, octets, ret, 46))
			return family;
	}
	return 0;
}

bool
dns_reverse(const char *addr, char ret[DNS_NAME_MAX])
{
	unsigned char o[16];
	struct buf b = BUF_INIT(DNS_NAME_MAX - 1);
	if (inet_pton(AF_INET, addr, o) == 1) {
		buf_putf(&b, "%u.%u.%u.%u.in-addr.arpa", o[3], o[2], o[1], o[0]);
	} else if (inet_pton(AF_INET6, addr, o) == 1) {
		for (int i = 15; i >= 0; i--)
			buf_putf(&b, "%x.%x.", o[i] & 15u, o[i] >> 4);
		buf_putz(&b, "ip6.arpa");
	}
	bool ok = b.len && !b.failed && str_copy(ret, DNS_NAME_MAX, buf_str(&b));
	buf_done(&b);
	return ok;
}

/* --- RFC 3492: punycode --- */

enum { BASE = 36, TMIN = 1, TMAX = 26, SKEW = 38, DAMP = 700, BIAS = 72, FIRST = 128 };

static uint64_t
adapt(uint64_t delta, uint64_t points, bool first)
{
	uint64_t k = 0;
	delta = first ? delta / DAMP : delta / 2;
	delta += delta / points;
	for (; delta > (BASE - TMIN) * TMAX / 2; k += BASE)
		delta /= BASE - TMIN;
	return k + (BASE - TMIN + 1) * delta / (delta + SKEW);
}

static char
digit(uint64_t d)
{
	return (char)(d < 26 ? 'a' + d : '0' + (d - 26));
}

static void
put_delta(struct buf *out, uint64_t q, uint64_t bias)
{
	for (uint64_t k = BASE;; k += BASE) {
		uint64_t t = k <= bias ? TMIN : MIN(k - bias, (uint64_t)TMAX);
		if (q < t)
			break;
		buf_putc(out, digit(t + (q - t) % (BASE - t)));
		q = (q - t) / (BASE - t);
	}
	buf_putc(out, digit(q));
}

/* At most LABEL_CHARS_MAX points, so delta stays far below 2^64. */
static void
punycode(struct buf *out, const uint32_t *c, size_t n)
{
	uint64_t at = FIRST, delta = 0, bias = BIAS, done = 0, basic = 0;
	for (size_t i = 0; i < n; i++)
		if (c[i] < FIRST)
			buf_putc(out, (char)c[i]);
	for (size_t i = 0; i < n; i++)
		basic += c[i] < FIRST;
	done = basic;
	if (basic)
		buf_putc(out, '-');
	while (done < n) {
		uint64_t next = UINT32_MAX;
		for (size_t i = 0; i < n; i++)
			if (c[i] >= at && c[i] < next)
				next = c[i];
		delta += (next - at) * (done + 1);
		at = next;
		for (size_t i = 0; i < n; i++) {
			delta += c[i] < at;
			if (c[i] != at)
				continue;
			put_delta(out, delta, bias);
			bias = adapt(delta, done + 1, done == basic);
			delta = 0;
			done++;
		}
		delta++;
		at++;
	}
}

/* --- RFC 5895: capitals to small letters, wide and narrow forms to plain ones, NFC --- */

static uint32_t
narrow(uint32_t c)
{
	if (c >= 0xff01 && c <= 0xff5e)
		return c - 0xff01 + 0x21;
	if (c == 0x3002 || c == 0xff61)
		return '.';
	return c;
}

/* In UTF-32, mapped; free() it. NULL: it could not be. */
static uint32_t *
map_text(struct str text, size_t *ret_n)
{
	size_t n = 0, low_n = 0;
	uint32_t *wide = u8_to_u32((const uint8_t *)text.p, text.len, NULL, &n);
	if (!wide)
		return NULL;
	for (size_t i = 0; i < n; i++)
		wide[i] = narrow(wide[i]);
	uint32_t *low = u32_tolower(wide, n, NULL, NULL, NULL, &low_n);
	free(wide);
	if (!low)
		return NULL;
	uint32_t *ret = u32_normalize(UNINORM_NFC, low, low_n, NULL, ret_n);
	free(low);
	return ret;
}

/* RFC 5891 4.2.3, as far as it can be told without its tables: letters, digits and marks. */
static bool
may_stand(uint32_t c)
{
	if (c < FIRST)
		return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
		       c == '*';
	return uc_is_general_category_withtable(c, UC_CATEGORY_MASK_Ll | UC_CATEGORY_MASK_Lo |
						       UC_CATEGORY_MASK_Lm | UC_CATEGORY_MASK_Mn |
						       UC_CATEGORY_MASK_Mc | UC_CATEGORY_MASK_Nd) ||
	       c == 0xb7 || c == 0x200c || c == 0x200d;
}

static bool
put_label(struct buf *out, const uint32_t *c, size_t n, struct buf *err)
{
	size_t before = out->len;
	bool ascii = true;
	if (n == 0 || n > LABEL_CHARS_MAX) {
		buf_putz(err, n ? "a part of the name between two dots is too long"
				: "the name has an empty part (two dots, or one at its beginning)");
		return false;
	}
	for (size_t i = 0; i < n; i++) {
		ascii &= c[i] < FIRST;
		if (!may_stand(c[i])) {
			if (c[i] > ' ' && c[i] < 127)
				buf_putf(err, "\"%c\" cannot stand in a name", (char)c[i]);
			else
				buf_putf(err, "the character U+%04X cannot stand in a name",
				    (unsigned)c[i]);
			return false;
		}
	}
	if (!ascii)
		buf_putz(out, "xn--");
	if (ascii)
		for (size_t i = 0; i < n; i++)
			buf_putc(out, (char)c[i]);
	else
		punycode(out, c, n);
	if (out->failed || out->len - before > LABEL_MAX) {
		buf_putz(err, "a part of the name between two dots is longer than 63 octets");
		return false;
	}
	return true;
}

static bool
put_labels(struct buf *out, const uint32_t *c, size_t n, struct buf *err)
{
	size_t from = 0;
	if (n && c[n - 1] == '.')
		n--;
	if (n == 0) {
		buf_putz(err, "the name is empty");
		return false;
	}
	for (size_t i = 0; i <= n; i++) {
		if (i < n && c[i] != '.')
			continue;
		if (from)
			buf_putc(out, '.');
		if (!put_label(out, c + from, i - from, err))
			return false;
		from = i + 1;
	}
	if (out->failed || out->len > DNS_NAME_MAX - 3) {
		buf_putz(err, "the name is longer than 253 octets");
		return false;
	}
	return true;
}

bool
dns_name(struct str text, char ret[DNS_NAME_MAX], struct buf *err)
{
	struct buf out = BUF_INIT(4 * DNS_NAME_MAX);
	size_t n = 0;
	bool ok = false;
	text = str_trim(text);
	if (text.len > 4 * DNS_NAME_MAX) {
		buf_putz(err, "the name is longer than 253 octets");
		return false;
	}
	uint32_t *c = utf8_valid(text) && text.len ? map_text(text, &n) : NULL;
	if (c)
		ok = put_labels(&out, c, n, err) && str_copy(ret, DNS_NAME_MAX, buf_str(&out));
	else
		buf_putz(err, text.len ? "the name is not valid UTF-8" : "the name is empty");
	free(c);
	buf_done(&out);
	return ok;
}
