/* One line of the file: what stands in it, and how it is written. */
#include "roles/auth/passwd.h"

#include "base/num.h"

#include <stdlib.h>
#include <string.h>

#define IN_CLEAR "password-in-clear="

bool
passwd_locked(const struct passwd_keys *k)
{
	return k->hash[0] == '!';
}

/* --- octets as text --- */

static void
escape(struct buf *b, struct str s)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (c > ' ' && c < 0x7f && c != '%' && c != '<' && c != '>')
			buf_putc(b, (char)c);
		else
			buf_putf(b, "%%%02X", c);
	}
}

/* Printable ASCII without blanks; n with NUL. False when it is not what escape() writes. */
static bool
unescape(struct str s, char *dst, size_t n)
{
	size_t len = 0;
	while (s.len) {
		uint64_t c = (unsigned char)s.p[0];
		size_t taken = 1;
		if (c == '%') {
			if (s.len < 3 || !num_hex(str_n(s.p + 1, 2), &c))
				return false;
			taken = 3;
		} else if (c <= ' ' || c >= 0x7f) {
			return false;
		}
		if (c == 0 || len + 1 >= n)
			return false;
		dst[len++] = (char)c;
		s = str_skip(s, taken);
	}
	dst[len] = '\0';
	return len > 0;
}

void
passwd_name_put(struct buf *b, struct str name)
{
	char folded[PASSWD_NAME_MAX];
	if (passwd_name(name, folded) && str_eq(str_of(folded), name)) {
		buf_puts(b, name);
		return;
	}
	buf_putc(b, '<');
	escape(b, name);
	buf_putc(b, '>');
}

bool
passwd_name_read(struct str s, char dst[PASSWD_NAME_MAX])
{
	char octets[PASSWD_NAME_MAX];
	if (s.len <= 2 || s.p[0] != '<' || s.p[s.len - 1] != '>')
		return passwd_name(s, dst);
	return unescape(str_n(s.p + 1, s.len - 2), octets, sizeof(octets)) &&
	       passwd_octets(str_of(octets), dst);
}

/* --- keys --- */

static const char *
take_field(struct str field, struct passwd_keys *k)
{
	struct sasl_scram s;
	if (str_starts(field, STR(IN_CLEAR)))
		return unescape(str_skip(field, sizeof(IN_CLEAR) - 1), k->secret, sizeof(k->secret))
		           ? NULL
		           : "a password in clear that is not written as it should be; set the "
		             "password with `pennypost user passwd`";
	if (!sasl_scram_get(field, &s))
		return "a field behind the hash is neither a SCRAM verifier nor "
		       "password-in-clear=...; remove it";
	if (s.hash == CRYPT_SHA256) {
		k->scram256 = s;
		k->has_scram256 = true;
	} else if (s.hash == CRYPT_SHA1) {
		k->scram1 = s;
		k->has_scram1 = true;
	}
	return NULL;
}

const char *
passwd_keys_get(struct str text, struct passwd_keys *ret)
{
	const char *why = NULL;
	*ret = (struct passwd_keys){ 0 };
	if (!str_copy(ret->hash, sizeof(ret->hash), str_cut(&text, '\t')) || !hash_valid(ret->hash))
		return "not a hash that crypt(3) knows; remove the line and set the password with "
		       "`pennypost user passwd`";
	while (text.p && !why)
		why = take_field(str_cut(&text, '\t'), ret);
	return why;
}

void
passwd_keys_put(struct buf *b, const struct passwd_keys *k)
{
	buf_putz(b, k->hash);
	if (k->has_scram256) {
		buf_putc(b, '\t');
		sasl_scram_put(b, &k->scram256);
	}
	if (k->has_scram1) {
		buf_putc(b, '\t');
		sasl_scram_put(b, &k->scram1);
	}
	if (k->secret[0]) {
		buf_putz(b, "\t" IN_CLEAR);
		escape(b, str_of(k->secret));
	}
}

/* What is wrong with a line, and what to write instead; NULL: it is in p now. An address may
 * hold a colon; a hash never does, nor a blank. */
static const char *
take_line(struct passwd *p, struct str line)
{
	char name[PASSWD_NAME_MAX];
	struct passwd_keys keys;
	size_t colon = str_rfind(str_first(line, str_find(line, '\t')), ':');
	if (colon >= str_find(line, '\t'))
		return "no colon; write address:hash";
	if (!passwd_name_read(str_first(line, colon), name))
		return "what stands before the last colon is no address; write "
		       "local-part@domain:hash";
	struct str text = str_skip(line, colon + 1);
	const char *why = passwd_keys_get(text, &keys);
	explicit_bzero(&keys, sizeof(keys));
	if (why)
		return why;
	if (passwd_find(p, name))
		return "this address stands above already; remove one of the two lines";
	char *copy = str_dup(text);
	passwd_set(p, name, copy);
	explicit_bzero(copy, text.len);
	free(copy);
	return NULL;
}

bool
passwd_parse(struct passwd *p, struct str text, const char *shown, struct buf *err)
{
	for (unsigned n = 1; text.p; n++) {
		struct str line = str_cut(&text, '\n');
		const char *why = line.len ? take_line(p, line) : NULL;
		if (why) {
			buf_putf(err, "%s:%u: %s", shown, n, why);
			return false;
		}
	}
	return true;
}
