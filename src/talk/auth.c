/* Logins by talk itself: one exchange of sasl/client.h at a time, for every protocol. */
#include "talk/talk_priv.h"

#include "base/base64.h"
#include "base/check.h"
#include "client/secret.h"
#include "sasl/client.h"

#include <stdlib.h>
#include <string.h>

#define ASSUMED_MECHS "PLAIN LOGIN" /* where nothing was offered and it is tried all the same */

struct talk_auth {
	bool cancelled; /* "*" was said */
	struct sasl_client *client;
	char mech[SASL_MECH_MAX];
};

void
talk_auth_drop(struct talk *t)
{
	if (t->auth) {
		sasl_client_free(t->auth->client);
		free(t->auth);
	}
	t->auth = NULL;
}

const char *
talk_auth_mech(const struct talk *t)
{
	check(t->auth);
	return t->auth->mech;
}

/* --- in clear, or to a stranger? --- */

const char *
talk_secret_risk(const struct talk *t)
{
	const struct client_options *o = t->o;
	bool named = !t->mx_host || o->link.verify_name || o->link.n_pins || o->vouch.dane;
	if (o->allow_cleartext || t->clear_ok)
		return NULL;
	if (!t->link.tls)
		return "The password would cross the line in clear, for everyone on the way to "
		       "read. Type yes to send it: ";
	if (o->insecure)
		return NULL;
	if (!t->link.verified)
		return "The server's certificate was not verified: the password might go to "
		       "somebody else. Type yes to send it: ";
	return named ? NULL
	             : "The name service chose this server, and could be lied to: the password "
	               "might go to somebody else. Type yes to send it: ";
}

struct again {
	char *mech, *user;
};

static void
again_answer(struct talk *t, struct str answer, void *arg)
{
	struct again *a = arg;
	if (!talk_is_yes(answer)) {
		event_note(t->ev, "Not sent.");
	} else if (t->connected) {
		t->clear_ok = true;
		t->mode->auth(t, str_of(a->mech), str_of(a->user));
		t->clear_ok = false;
	}
	free(a->mech);
	free(a->user);
	free(a);
}

static void
ask_clear(struct talk *t, struct str mech, struct str user)
{
	if (!talk_can_ask(t)) {
		event_result(t->ev, "auth", CLIENT_AUTH,
		    t->link.tls ? "The certificate was not verified, so no password goes there; "
				  "--ca, --verify-name or --pin verify it, --insecure does without."
				: "The password would cross the line in clear; use STARTTLS first, "
				  "or --allow-cleartext.");
		talk_end(t, CLIENT_AUTH);
		return;
	}
	struct again *a = xalloc(sizeof *a);
	a->mech = str_dup(mech);
	a->user = str_dup(user);
	talk_ask(t, again_answer, a, "%s", talk_secret_risk(t));
}

/* --- which one --- */

static const struct sasl_mech *
choose(struct talk *t, struct str offered, bool clear_ok, struct buf *why)
{
	bool tls = t->link.tls != NULL;
	if (offered.len == 0)
		offered = t->o->mechs ? str_of(t->o->mechs) : STR(ASSUMED_MECHS);
	struct buf list = BUF_INIT(8192);
	for (size_t i = 0; i < offered.len; i++)
		buf_putc(&list, offered.p[i] == ',' ? ' ' : offered.p[i]);
	const struct sasl_mech *m = sasl_client_choose(buf_str(&list), t->o->mechs, tls,
	    tls || clear_ok, t->o->oauth, t->o->link.tls.cert_file != NULL, why);
	/* When all that is offered is weak, it still is what this server has. */
	for (const struct sasl_mech *w = sasl_mechs; m == NULL && t->o->mechs == NULL && w->name;
	     w++) {
		struct str rest = buf_str(&list), word;
		while (m == NULL && (word = str_word(&rest)).len)
			if (w->weak && str_ieq(word, str_of(w->name)) &&
			    w->need == SASL_NEED_SECRET)
				m = w;
		if (m)
			event_note(t->ev, "%s is all there is; it is weak.", m->name);
	}
	buf_done(&list);
	return m;
}

/* The mechanism; NULL: told why, or asked. */
static const struct sasl_mech *
mech_for(struct talk *t, struct str offered, struct str mech, struct str user)
{
	bool clear_ok = talk_secret_risk(t) == NULL;
	struct buf why = BUF_INIT(2048), other = BUF_INIT(2048);
	const struct sasl_mech *m =
	    mech.len ? sasl_mech_find(mech) : choose(t, offered, clear_ok, &why);
	if (m == NULL && mech.len) {
		event_warn(t->ev, "auth", "There is no mechanism " STR_FMT " here.", STR_ARG(mech));
	} else if (m == NULL && !clear_ok && (m = choose(t, offered, true, &other)) != NULL) {
		ask_clear(t, str_of(m->name), user);
		m = NULL;
	} else if (m == NULL) {
		event_result(t->ev, "auth", CLIENT_AUTH, STR_FMT, STR_ARG(buf_str(&why)));
		if (!t->editor)
			talk_end(t, CLIENT_AUTH);
	} else if (m->in_clear && !clear_ok) {
		ask_clear(t, str_of(m->name), user);
		m = NULL;
	}
	buf_done(&why);
	buf_done(&other);
	return m;
}

/* --- who --- */

bool
talk_credentials(struct talk *t, struct str mech, struct str user, struct buf *name,
    struct buf *secret)
{
	struct secret_from from = t->o->secret;
	struct buf err = BUF_INIT(2048), prompt = BUF_INIT(2048), shown = BUF_INIT(1024);
	bool ok = false;
	const struct sasl_mech *m = sasl_mech_find(mech);
	if (user.len)
		buf_puts(name, user);
	else if (t->o->user)
		buf_putz(name, t->o->user);
	else if (!(m && m->need == SASL_NEED_EXTERNAL) && !talk_read(t, "User name: ", name))
		buf_putz(&err, "Whose login? Name the user with --user.");
	if (err.len == 0 && name->len == 0 && !(m && m->need == SASL_NEED_EXTERNAL))
		buf_putz(&err, "Without a user name there is no login.");
	if (err.len)
		goto out;
	if (m && (m->need == SASL_NEED_EXTERNAL || m->need == SASL_NEED_TICKET)) {
		ok = true;
		goto out;
	}
	show_escape(&shown, buf_str(name));
	buf_putf(&prompt, "%s for " STR_FMT ": ",
	    m && m->need == SASL_NEED_TOKEN ? "Token" : "Password", STR_ARG(buf_str(&shown)));
	from.prompt = buf_cstr(&prompt);
	if (t->editor)
		editor_suspend(t->editor);
	int status = secret_get(&from, secret, &err);
	if (t->editor)
		editor_resume(t->editor);
	if (talk_interrupted == SIGINT)
		talk_interrupted = 0;
	ok = status == CLIENT_OK;
out:
	if (!ok) {
		struct str why = str_trim(buf_str(&err));
		event_result(t->ev, "auth", CLIENT_AUTH, STR_FMT, STR_ARG(why));
		if (!t->editor)
			talk_end(t, CLIENT_AUTH);
	}
	buf_done(&err);
	buf_done(&prompt);
	buf_done(&shown);
	return ok;
}

static bool
offers_plus(struct str offered)
{
	struct str word;
	while ((word = str_word(&offered)).len)
		if (str_iends(word, STR("-PLUS")))
			return true;
	return false;
}

static bool
make_client(struct talk *t, struct str offered, const struct sasl_mech *m, struct str name,
    struct str secret)
{
	const struct tls_facts *f = &t->link.facts;
	struct buf err = BUF_INIT(2048);
	struct sasl_client_conf conf = { .service = t->mode->service,
		.host = t->o->link.host,
		.user = name,
		.authzid = str_of(t->o->authzid),
		.secret = secret,
		.port = t->o->link.port };
	if (t->link.tls) {
		conf.binding.exporter = str_n(f->exporter, f->exporter_len);
		conf.binding.endpoint = str_n(f->endpoint, f->endpoint_len);
		conf.binding.unique = str_n(f->unique, f->unique_len);
		conf.plus_missing = offered.len > 0 && !offers_plus(offered);
	}
	struct sasl_client *c = sasl_client_make(str_of(m->name), &conf, &err);
	if (c) {
		t->auth = xalloc(sizeof *t->auth);
		t->auth->client = c;
		str_copy(t->auth->mech, sizeof t->auth->mech, str_of(m->name));
	} else {
		event_result(t->ev, "auth", CLIENT_AUTH, STR_FMT, STR_ARG(buf_str(&err)));
		if (!t->editor)
			talk_end(t, CLIENT_AUTH);
	}
	buf_done(&err);
	return c != NULL;
}

bool
talk_auth_begin(struct talk *t, struct str offered, struct str mech, struct str user)
{
	struct buf name = BUF_INIT(4096), secret = BUF_INIT(64u << 10);
	talk_auth_drop(t);
	const struct sasl_mech *m = mech_for(t, offered, mech, user);
	bool ok = m && talk_credentials(t, str_of(m->name), user, &name, &secret) &&
	          make_client(t, offered, m, buf_str(&name), buf_str(&secret));
	buf_wipe(&secret);
	buf_done(&secret);
	buf_done(&name);
	return ok;
}

/* --- the exchange --- */

static enum talk_auth_status
say(struct talk *t, enum sasl_client_status st, bool initial, struct buf *out, struct buf *masked)
{
	struct sasl_client *c = t->auth->client;
	if (st == SASL_CLIENT_FAILED) {
		event_warn(t->ev, "auth", "%s: %s", t->auth->mech, sasl_client_why(c));
		if (t->auth->cancelled) { /* whoever goes on now would go on for ever */
			event_result(t->ev, "auth", CLIENT_AUTH,
			    "The server asks again and again; the login cannot be taken back.");
			talk_end(t, CLIENT_AUTH);
		}
		t->auth->cancelled = true;
		buf_putc(out, '*');
		return TALK_AUTH_CANCEL;
	}
	struct str message = st == SASL_CLIENT_SEND ? sasl_client_out(c) : STR_NULL;
	base64_enc(out, message);
	if (initial && message.len == 0)
		buf_putc(out, '=');
	if (message.len)
		buf_puts(masked, sasl_client_masked(c));
	return TALK_AUTH_SEND;
}

enum talk_auth_status
talk_auth_initial(struct talk *t, struct buf *out, struct buf *masked)
{
	check(t->auth);
	if (!sasl_client_begins(t->auth->client))
		return TALK_AUTH_READY;
	return say(t, sasl_client_begin(t->auth->client), true, out, masked);
}

enum talk_auth_status
talk_auth_step(struct talk *t, struct str challenge, struct buf *out, struct buf *masked)
{
	check(t->auth);
	struct buf plain = BUF_INIT(64u << 10);
	challenge = str_trim(challenge);
	/* LOGIN's prompts may be rubbish (003 l.44): their order counts. */
	if (!base64_dec(&plain, challenge))
		buf_puts(&plain, challenge);
	enum talk_auth_status st =
	    say(t, sasl_client_answer(t->auth->client, buf_str(&plain)), false, out, masked);
	buf_done(&plain);
	return st;
}

bool
talk_auth_end(struct talk *t, bool accepted, struct str final)
{
	bool good = true;
	if (t->auth == NULL)
		return accepted;
	if (accepted && final.len) {
		struct buf plain = BUF_INIT(64u << 10);
		if (base64_dec(&plain, final))
			good = sasl_client_answer(t->auth->client, buf_str(&plain)) !=
			       SASL_CLIENT_FAILED;
		buf_done(&plain);
	}
	if (accepted && !(good && sasl_client_end(t->auth->client))) {
		event_warn(t->ev, "auth",
		    "The server said yes and did not prove that it knows the password: %s",
		    sasl_client_why(t->auth->client));
		good = false;
	}
	talk_auth_drop(t);
	return good;
}
