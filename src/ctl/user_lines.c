#include "ctl/user_priv.h"

#include "base/base64.h"
#include "base/check.h"
#include "base/num.h"
#include "mail/address.h"
#include "roles/auth/hash.h"
#include "sasl/sasl.h"

#include <string.h>

const char *const user_kind_name[] = {
	[USER_NONE] = "",
	[USER_HASH] = "hash",
	[USER_LOCKED] = "locked",
	[USER_SCRAM] = "scram",
	[USER_PASSWORD] = "password",
	[USER_BAD] = "",
};

static void
bad(struct user_line *u, const char *why)
{
	u->kind = USER_BAD;
	check(str_copy(u->why, sizeof(u->why), str_of(why)));
}

static bool
take_address(struct user_line *u, struct str name, const char *domain)
{
	struct buf b = BUF_INIT(sizeof(u->address) - 1);
	struct addr a;
	bool whole = str_find(name, '@') < name.len;
	buf_puts(&b, name);
	if (!whole && domain)
		buf_putf(&b, "@%s", domain);
	bool fits = !b.failed && addr_mailbox(buf_str(&b), ADDR_SMTPUTF8, &a) == ADDR_OK &&
	            !a.null && addr_fold(&a, u->address, sizeof(u->address));
	buf_done(&b);
	if (!fits && !whole && !domain)
		bad(u, "the name has no domain; give one with --domain");
	else if (!fits)
		bad(u, "the name makes no address; write local-part@domain in front of the colon");
	return fits;
}

/* --- what a secret may be --- */

static void
hash(struct user_line *u, struct str s)
{
	if (!str_copy(u->secret, sizeof(u->secret), s) || s.len >= HASH_MAX ||
	    !hash_complete(u->secret))
		bad(u, "not a hash that this system's crypt(3) knows, or cut short; set a password "
		       "with "
		       "`pennypost user passwd`");
	else
		u->kind = u->secret[0] == '!' ? USER_LOCKED : USER_HASH;
}

/* "4096,salt,StoredKey,ServerKey" becomes "SCRAM-SHA-256$4096:salt$StoredKey:ServerKey". */
static void
scram(struct user_line *u, struct str s, const char *name)
{
	struct sasl_scram parsed;
	struct str rounds = str_cut(&s, ','), salt = str_cut(&s, ','), stored = str_cut(&s, ',');
	struct buf b = BUF_INIT(sizeof(u->secret) - 1);
	buf_putf(&b, "%s$" STR_FMT ":" STR_FMT "$" STR_FMT ":" STR_FMT, name, STR_ARG(rounds),
	    STR_ARG(salt), STR_ARG(stored), STR_ARG(s));
	u->kind = USER_SCRAM;
	if (b.failed || !sasl_scram_get(buf_str(&b), &parsed) ||
	    !str_copy(u->secret, sizeof(u->secret), buf_str(&b)))
		bad(u, "not a SCRAM verifier; it has rounds, salt, StoredKey and ServerKey, parted "
		       "by commas");
	buf_done(&b);
}

static void
scram256(struct user_line *u, struct str s)
{
	scram(u, s, "SCRAM-SHA-256");
}

static void
scram1(struct user_line *u, struct str s)
{
	scram(u, s, "SCRAM-SHA-1");
}

static void
password(struct user_line *u, struct str s)
{
	u->kind = USER_PASSWORD;
	if (s.len == 0 || memchr(s.p, '\0', s.len) || !str_copy(u->secret, sizeof(u->secret), s))
		bad(u, "a password has 1 to 511 octets and no NUL");
}

static const struct {
	const char *name;
	void (*take)(struct user_line *u, struct str s);
} schemes[] = {
	{ "CRYPT", hash },
	{ "DES-CRYPT", hash },
	{ "MD5-CRYPT", hash },
	{ "SHA256-CRYPT", hash },
	{ "SHA512-CRYPT", hash },
	{ "BLF-CRYPT", hash },
	{ "PLAIN", password },
	{ "CLEAR", password },
	{ "CLEARTEXT", password },
	{ "SCRAM-SHA-256", scram256 },
	{ "SCRAM-SHA-1", scram1 },
};

static bool
from_hex(struct str s, struct buf *out)
{
	uint64_t octet;
	for (; s.len >= 2; s = str_skip(s, 2)) {
		if (!num_hex(str_first(s, 2), &octet))
			return false;
		buf_putc(out, (char)octet);
	}
	return s.len == 0;
}

/* "{SCHEME}" or "{SCHEME.b64}" or "{SCHEME.hex}", and what follows. */
static void
with_scheme(struct user_line *u, struct str s)
{
	struct str scheme, encoding;
	struct buf octets = BUF_INIT(sizeof(u->secret));
	size_t close = str_find(s, '}'), i = 0;
	scheme = str_first(str_skip(s, 1), close ? close - 1 : 0);
	s = str_skip(s, close + 1);
	encoding = str_skip(scheme, str_find(scheme, '.'));
	scheme = str_first(scheme, scheme.len - encoding.len);
	while (i < ARRAY_LEN(schemes) && !str_ieq(scheme, str_of(schemes[i].name)))
		i++;
	bool decoded = encoding.len == 0 ||
	               ((str_ieq(encoding, STR(".b64")) || str_ieq(encoding, STR(".base64"))) &&
			   base64_dec(&octets, s)) ||
	               (str_ieq(encoding, STR(".hex")) && from_hex(s, &octets));
	if (i == ARRAY_LEN(schemes))
		bad(u, "a scheme that crypt(3) cannot check; set a password with `pennypost user "
		       "passwd`");
	else if (!decoded || octets.failed)
		bad(u, "the secret is not encoded as its scheme says");
	else
		schemes[i].take(u, encoding.len ? buf_str(&octets) : s);
	buf_wipe(&octets);
	buf_done(&octets);
}

static bool
lets_nobody_in(struct str s)
{
	return str_eq(s, STR("*")) || str_eq(s, STR("!")) || str_eq(s, STR("!!")) ||
	       str_eq(s, STR("!*")) || str_eq(s, STR("*LK*"));
}

void
user_line_parse(struct str line, const char *domain, struct user_line *ret)
{
	*ret = (struct user_line){ .kind = USER_NONE };
	line = str_rtrim(line);
	if (line.len == 0 || line.p[0] == '#')
		return;
	bool colon = str_find(line, ':') < line.len;
	struct str name = str_cut(&line, ':'), secret = line;
	/* In "{PLAIN}a:b" the colon ends the secret, as it does for Dovecot. */
	secret = str_first(secret, str_find(secret, ':'));
	if (!colon)
		bad(ret, "no colon; write name:hash");
	else if (lets_nobody_in(secret))
		ret->no_password = true;
	else if (str_eq(secret, STR("x")))
		bad(ret, "the hash is in another file; import that (shadow)");
	else if (secret.len == 0)
		bad(ret, "no hash; give one, or remove the line");
	else if (!take_address(ret, name, domain))
		return;
	else if (secret.p[0] == '{' && str_find(secret, '}') < secret.len)
		with_scheme(ret, secret);
	else
		hash(ret, secret);
}
