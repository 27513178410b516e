#include "oneshot/b64_text.h"

#include "base/base64.h"
#include "client/show.h"
#include "crypt/crypt.h"

#include <stdint.h>

static bool
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Where in the text, for people. */
static void
put_place(struct buf *b, struct str in, size_t at)
{
	size_t line = 1, column = 1;

	for (size_t i = 0; i < at; i++) {
		column = in.p[i] == '\n' ? 1 : column + 1;
		line += in.p[i] == '\n';
	}
	buf_putf(b, "octet %zu", at + 1);
	if (line > 1)
		buf_putf(b, " (line %zu, column %zu)", line, column);
}

static bool
wrong_octet(struct str in, size_t at, struct buf *err)
{
	put_place(err, in, at);
	buf_putz(err, ", '");
	show_escape(err, str_n(in.p + at, 1));
	buf_putz(err, "', is no base64");
	if (in.p[at] == '-' || in.p[at] == '_')
		buf_putz(err, ": it is of the alphabet for URLs, where - stands for + and _ for /");
	return false;
}

struct state {
	uint32_t bits;
	unsigned n; /* characters of the group at hand */
	unsigned pads;
	size_t last; /* where the last of them stands */
	bool ended;
};

static void
end_group(struct state *s, struct buf *out)
{
	static const unsigned octets[] = { 0, 0, 1, 2, 3 };

	for (unsigned i = 0; i < octets[s->n]; i++)
		buf_putc(out, (char)(s->bits << (6 * (4 - s->n)) >> (16 - 8 * i) & 0xff));
}

/* Bits of the last character that belong to no octet. */
static bool
has_stray_bits(const struct state *s)
{
	return (s->n == 2 && (s->bits & 0x0f)) || (s->n == 3 && (s->bits & 0x03));
}

static bool
finish(struct str in, struct state *s, struct buf *out, struct buf *note, struct buf *err)
{
	if (s->n == 1) {
		buf_putz(err, "the end is missing: one character is left over at ");
		put_place(err, in, s->last);
		return false;
	}
	if (s->n && s->pads + s->n < 4)
		buf_putf(note, "%u '=' missing at the end", 4 - s->n - s->pads);
	if (has_stray_bits(s)) {
		buf_putf(note,
		    "%sthe last character has bits that belong to no octet: was it cut off?",
		    note->len ? "; " : "");
	}
	end_group(s, out);
	if (!out->failed)
		return true;
	buf_putz(err, "too much of it");
	return false;
}

bool
b64_dec(struct str in, struct buf *out, struct buf *note, struct buf *err)
{
	struct state s = { 0 };

	for (size_t i = 0; i < in.len; i++) {
		char c = in.p[i];
		int v = base64_value(c);
		if (is_space(c))
			continue;
		if (c == '=' && s.n >= 2 && s.pads + s.n < 4) {
			s.pads++;
			continue;
		}
		if (v < 0)
			return wrong_octet(in, i, err);
		if (s.pads) {
			put_place(err, in, i);
			buf_putz(err,
			    ": base64 ends with '=', and here is more; two texts in one?");
			return false;
		}
		s.bits = s.bits << 6 | (uint32_t)v;
		s.last = i;
		if (++s.n == 4) {
			end_group(&s, out);
			s = (struct state){ .last = i };
		}
	}
	return finish(in, &s, out, note, err);
}

bool
b64_plain_parts(struct str raw, struct str *authzid, struct str *user, struct str *password)
{
	struct str rest = raw;

	for (size_t i = 0; i < raw.len; i++)
		if ((unsigned char)raw.p[i] < 0x20 && raw.p[i] != '\0')
			return false;
	*authzid = str_cut(&rest, '\0');
	if (!rest.p)
		return false;
	*user = str_cut(&rest, '\0');
	*password = rest;
	return rest.p && str_find(rest, '\0') == rest.len && user->len > 0;
}

void
b64_plain(struct str authzid, struct str user, struct str password, struct buf *out)
{
	struct buf b = BUF_INIT(1u << 20);

	buf_reserve(&b, authzid.len + user.len + password.len + 2);
	buf_puts(&b, authzid);
	buf_putc(&b, '\0');
	buf_puts(&b, user);
	buf_putc(&b, '\0');
	buf_puts(&b, password);
	out->failed = out->failed || b.failed;
	base64_enc(out, buf_str(&b));
	buf_wipe(&b);
	buf_done(&b);
}

bool
b64_cram(struct str user, struct str password, struct str challenge, struct buf *out)
{
	unsigned char mac[CRYPT_DIGEST_MAX];
	struct buf b = BUF_INIT(64u << 10);

	crypt_init();
	crypt_hmac(CRYPT_MD5, password, challenge, mac);
	buf_puts(&b, user);
	buf_putc(&b, ' ');
	for (size_t i = 0; i < crypt_hash_size(CRYPT_MD5); i++)
		buf_putf(&b, "%02x", mac[i]);
	bool ok = !b.failed;
	base64_enc(out, buf_str(&b));
	buf_done(&b);
	return ok && !out->failed;
}
