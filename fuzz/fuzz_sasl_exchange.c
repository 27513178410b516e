/*
 * An exchange of every mechanism with one known account: the first octet chooses the mechanism and
 * what TLS gave, the rest are messages, each behind two octets of its length (the top bit of the
 * first: no initial response). Passwords and tokens are right when they begin with "secret".
 * Nobody gets in as anybody but that account, nor without a right secret.
 */
#include "base/check.h"
#include "sasl/sasl.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__lsan_default_suppressions(void);

/* The library's DIGEST-MD5 forgets a realm that it is sent twice. */
const char *
__lsan_default_suppressions(void)
{
	return "leak:libdigestmd5";
}

#define USER "alice@example.com"

static struct sasl_scram scram1, scram256;
static bool ready;

static void
lookup(void *arg, struct str name, struct sasl_account *ret)
{
	check(name.len > 0 && name.len < SASL_NAME_MAX);
	*ret = (struct sasl_account){ .has_scram1 = true, .has_scram256 = true };
	if (str_eq(name, STR("alice")) || str_eq(name, STR(USER))) {
		ret->known = true;
		check(str_copy(ret->name, sizeof(ret->name), STR(USER)));
		check(str_copy(ret->secret, sizeof(ret->secret), STR("secret of alice")));
		ret->scram1 = scram1;
		ret->scram256 = scram256;
		return;
	}
	sasl_scram_made_up(CRYPT_SHA1, STR("key"), name, &ret->scram1);
	sasl_scram_made_up(CRYPT_SHA256, STR("key"), name, &ret->scram256);
}

static void
begin(void)
{
	struct buf err = BUF_INIT(1024);
	check(sasl_library_open(NULL, false, &err) == 0);
	struct str salt = STR("0123456789abcdef");
	sasl_scram_make(CRYPT_SHA1, STR("secret of alice"), salt, 4096, &scram1);
	sasl_scram_make(CRYPT_SHA256, STR("secret of alice"), salt, 4096, &scram256);
	buf_done(&err);
	ready = true;
}

static enum sasl_status
answer(struct sasl *s, bool *good)
{
	check(sasl_password(s).len > 0);
	*good = str_starts(sasl_password(s), STR("secret"));
	return sasl_answer(s, *good, *good ? STR(USER) : STR_NULL);
}

static void
finish(const struct sasl *s, const struct sasl_mech *m, bool good)
{
	struct str who = sasl_authcid(s);
	check(sasl_password(s).len == 0);
	switch (m->need) {
	case SASL_NEED_PASSWORD:
	case SASL_NEED_TOKEN:
		check(good && str_eq(who, STR(USER)));
		break;
	case SASL_NEED_EXTERNAL:
		check(str_eq(who, STR("carol@example.com")));
		break;
	case SASL_NEED_VERIFIER:
	case SASL_NEED_SECRET:
	case SASL_NEED_TICKET:
		/* Proofs of a fresh nonce: not in any corpus. */
		check(!"nobody guesses those");
	}
}

static bool
next(struct str *in, struct str *ret, bool *ret_none)
{
	if (in->len < 2)
		return false;
	size_t n = (size_t)((unsigned char)in->p[0] & 0x7f) << 8 | (unsigned char)in->p[1];
	*ret_none = in->p[0] & 0x80;
	*ret = str_first(str_skip(*in, 2), n);
	*in = str_skip(*in, 2 + ret->len);
	return true;
}

static void
converse(struct sasl *s, const struct sasl_mech *m, struct str left)
{
	struct str msg;
	bool none, first = true, good = false;
	enum sasl_status status = SASL_CHALLENGE;
	while (status == SASL_CHALLENGE && next(&left, &msg, &none)) {
		char *copy = xmemdup(msg.len ? msg.p : "", msg.len ? msg.len : 1);
		struct str in = { copy, msg.len };
		status = sasl_step(s, first && none ? NULL : &in);
		free(copy);
		first = false;
		if (status == SASL_PASSWORD || status == SASL_TOKEN)
			status = answer(s, &good);
		check(sasl_out(s).len <= SASL_MESSAGE_MAX);
	}
	if (status == SASL_DONE)
		finish(s, m, good);
	if (status != SASL_CHALLENGE)
		check(sasl_step(s, &STR("x")) == SASL_MALFORMED);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t n = 0;
	if (!ready)
		begin();
	if (size < 1)
		return 0;
	while (sasl_mechs[n].name)
		n++;
	const struct sasl_mech *m = &sasl_mechs[(data[0] & 15) % n];
	if (m->need == SASL_NEED_TICKET)
		return 0; /* not loaded */
	struct sasl_conf conf = { .service = "smtp", .host = "mail.example.org", .lookup = lookup };
	if (data[0] & 0x80)
		conf.binding.exporter = STR("0123456789abcdef0123456789abcdef");
	if (data[0] & 0x40)
		conf.external = STR("carol@example.com");
	struct sasl *s = sasl_new(m, &conf);
	converse(s, m, str_n(data + 1, size - 1));
	s = sasl_free(s);
	return 0;
}
