/* What threads do for an exchange: step it, and answer its questions about passwords and tokens. */
#include "roles/auth/exchange.h"
#include "roles/auth/oauth.h"

#include "sys/clock.h"

#include <string.h>

void
exchange_why(struct exchange *ex, const char *why)
{
	if (!ex->why[0])
		(void)str_copy(ex->why, sizeof(ex->why),
		    str_first(str_of(why), sizeof(ex->why) - 1));
}

/* Remembers whom the exchange is about, and tells why it will fail. */
static void
note(struct exchange *ex, const struct account *who)
{
	memcpy(ex->who.name, who->name, sizeof(ex->who.name));
	ex->who.known = who->known;
	if (who->locked)
		exchange_why(ex, "the account is locked");
	else if (!who->known)
		exchange_why(ex, "no such account");
}

static bool
has_what_it_takes(const struct sasl_mech *mech, const struct passwd_keys *k)
{
	if (mech->need == SASL_NEED_VERIFIER)
		return strstr(mech->name, "SHA-256") ? k->has_scram256 : k->has_scram1;
	return mech->need != SASL_NEED_SECRET || k->secret[0];
}

static void
lookup(void *arg, struct str name, struct sasl_account *ret)
{
	struct exchange *ex = arg;
	struct account who;
	accounts_find(&ex->auth->accounts, name, &who);
	note(ex, &who);
	ex->who.bare = who.known && !has_what_it_takes(ex->mech, &who.keys);
	if (ex->who.bare)
		exchange_why(ex, ex->mech->need == SASL_NEED_SECRET
				     ? "the account keeps no recoverable password"
				     : "the account has no verifier for this mechanism; it gets "
				       "one when its password is set");
	accounts_facts(&ex->auth->accounts, name, &who, ret);
	explicit_bzero(&who, sizeof(who));
}

/* Of a name and a password: one password for many names is not the same again. */
static uint64_t
tag_of(const struct accounts *a, const char *name, struct str password)
{
	struct str key = str_n(a->remember_key, sizeof(a->remember_key));
	unsigned char mac[CRYPT_DIGEST_MAX], both[2 * CRYPT_DIGEST_MAX];
	size_t n = crypt_hash_size(CRYPT_SHA256);
	uint64_t tag;
	crypt_hmac(CRYPT_SHA256, key, str_of(name), both);
	crypt_hmac(CRYPT_SHA256, key, password, both + n);
	crypt_hmac(CRYPT_SHA256, key, str_n(both, 2 * n), mac);
	memcpy(&tag, mac, sizeof(tag));
	explicit_bzero(mac, sizeof(mac));
	explicit_bzero(both, sizeof(both));
	return tag ? tag : 1;
}

static void
check_password(struct exchange *ex)
{
	struct accounts *a = &ex->auth->accounts;
	struct str password = sasl_password(ex->sasl);
	struct account who;
	accounts_find(a, sasl_authcid(ex->sasl), &who);
	note(ex, &who);
	bool good = accounts_check(a, &who, password);
	if (!good) {
		exchange_why(ex, "wrong password");
		ex->tag = tag_of(a, who.name, password);
	}
	ex->status = sasl_answer(ex->sasl, good, str_of(who.name));
	explicit_bzero(&who, sizeof(who));
}

/* By keys; SASL_TOKEN stays when somebody else has to be asked. */
static void
check_token(struct exchange *ex)
{
	char name[SASL_NAME_MAX] = "";
	struct buf why = BUF_INIT(EXCHANGE_WHY_MAX);
	bool ask = false;
	bool good = ex->oauth && oauth_check(ex->oauth, sasl_password(ex->sasl),
				     sys_wall_ms() / 1000, name, &ask, &why);
	if (good || !ask) {
		if (!good)
			exchange_why(ex, why.len ? buf_cstr(&why) : "the token is not good");
		ex->status = sasl_answer(ex->sasl, good, str_of(name));
	}
	buf_done(&why);
}

static bool
may_be(struct exchange *ex, struct str authzid)
{
	struct account other;
	if (authzid.len == 0)
		return true;
	accounts_find(&ex->auth->accounts, authzid, &other);
	bool same = other.known && strcmp(other.name, ex->who.name) == 0;
	explicit_bzero(&other, sizeof(other));
	return same;
}

void
exchange_identify(struct exchange *ex)
{
	struct str login = sasl_authcid(ex->sasl);
	bool whole = ex->mech->need == SASL_NEED_EXTERNAL || ex->mech->need == SASL_NEED_TOKEN;
	char folded[PASSWD_NAME_MAX];
	struct account who;
	if (ex->auth->kerberos) {
		ticket_identify(ex);
		return;
	}
	if (ex->status != SASL_DONE)
		return;
	accounts_find(&ex->auth->accounts, login, &who);
	note(ex, &who);
	explicit_bzero(&who.keys, sizeof(who.keys));
	if (who.known && (!whole || passwd_name(login, folded)) &&
	    may_be(ex, sasl_authzid(ex->sasl)))
		return;
	exchange_why(ex, who.known && !whole ? "may not be whom it asks to be"
					     : "the identity is no account's address");
	ex->status = SASL_FAILED;
}

static void
begin(struct exchange *ex)
{
	const struct msg_sasl_start *m = &ex->start;
	char service[16], user_prompt[260], pass_prompt[260], host[256];
	bool fits = str_copy(service, sizeof(service), m->service) &&
	            str_copy(user_prompt, sizeof(user_prompt), m->user_prompt) &&
	            str_copy(pass_prompt, sizeof(pass_prompt), m->pass_prompt);
	check(fits); /* the message's caps are smaller */
	mutex_lock(&ex->auth->accounts.lock);
	memcpy(host, ex->auth->accounts.hostname, sizeof(host));
	mutex_unlock(&ex->auth->accounts.lock);
	const struct sasl_conf conf = { .service = service,
		.host = host,
		.external = m->external,
		.binding = { m->exporter, m->endpoint, m->unique },
		.user_prompt = user_prompt[0] ? user_prompt : NULL,
		.pass_prompt = pass_prompt[0] ? pass_prompt : NULL,
		.lookup = ex->auth->kerberos ? ticket_lookup : lookup,
		.arg = ex };
	ex->sasl = sasl_new(ex->mech, &conf);
}

void
exchange_work(struct pool_job *job)
{
	struct exchange *ex = container_of(job, struct exchange, job);
	struct str in = buf_str(&ex->in);
	if (!ex->sasl)
		begin(ex);
	ex->status = ex->sasl ? sasl_step(ex->sasl, ex->has_in ? &in : NULL) : SASL_UNAVAILABLE;
	buf_wipe(&ex->in);
	if (ex->status == SASL_PASSWORD)
		check_password(ex);
	else if (ex->status == SASL_TOKEN)
		check_token(ex);
	exchange_identify(ex);
}
