/*
 * AUTH (RFC 4954). The session knows lines, base64 and when AUTH may be said; what the octets mean
 * is the host's. Nothing of an exchange is kept longer than it lasts, and none of it is shown.
 */
#include "base/base64.h"
#include "smtp/session_priv.h"

#include <stdlib.h>

#define HIDDEN "****"

/* Begins with what the host sees. */
struct exchange {
	struct smtp_auth seen;
	struct buf octets;
	bool last_word;           /* it was right: an empty response is all that is missing */
	char user[SMTP_USER_MAX]; /* and this one logs in with it */
};

static struct exchange *
exchange_of(const struct smtp_session *s)
{
	return s->auth ? container_of(s->auth, struct exchange, seen) : NULL;
}

void
smtp_auth_free(struct smtp_session *s)
{
	struct exchange *x = exchange_of(s);
	if (!x)
		return;
	buf_wipe(&x->octets);
	buf_done(&x->octets);
	explicit_bzero(x, sizeof(*x));
	free(x);
	s->auth = NULL;
}

/* What the reply may name. Never what the client sent. */
static struct smtp_vars
vars_of(struct str mech, struct str user)
{
	return (struct smtp_vars){ .v = { [SMTP_VAR_mech] = mech,
				       [SMTP_VAR_user] = user,
				       [SMTP_VAR_arg] = STR(HIDDEN),
				       [SMTP_VAR_cmd] = STR("AUTH " HIDDEN),
				       [SMTP_VAR_verb] = STR("AUTH") } };
}

/* The exchange is over; what it was about stays for the reply. */
static void
finish(struct smtp_turn *t, enum smtp_situation say, const struct smtp_answer *a, struct str user)
{
	char mech[sizeof(t->s->auth->mech)];
	struct smtp_session *s = t->s;
	memcpy(mech, s->auth->mech, sizeof(mech));
	smtp_auth_free(s);
	if (say == SMTP_AUTH_OK)
		s->flags &= ~(unsigned)F_AFTER_AUTH;
	else
		s->flags |= F_AFTER_AUTH;
	struct smtp_vars vars = vars_of(str_of(mech), user);
	if (a)
		vars.v[SMTP_VAR_reason] = a->reason;
	smtp_phase_set(t, PHASE_COMMAND);
	smtp_notef(t, "AUTH %s: %s" STR_FMT, mech,
	    say == SMTP_AUTH_OK ? "logged in as " : "not logged in", STR_ARG(user));
	smtp_reply(t, say, &vars);
}

void
smtp_auth_break(struct smtp_turn *t, enum smtp_situation say)
{
	finish(t, say, NULL, STR_NULL);
}

static void
log_in(struct smtp_turn *t)
{
	struct smtp_session *s = t->s;
	memcpy(s->user, exchange_of(s)->user, sizeof(s->user));
	s->authenticated = true;
	finish(t, SMTP_AUTH_OK, NULL, str_of(s->user));
}

/* Whether AUTH is good for anything here and now (RFC 4954 4). */
static enum smtp_situation
objection(const struct smtp_session *s)
{
	const struct smtp_conf *conf = s->conf;
	if (!conf->auth)
		return SMTP_AUTH_DISABLED;
	if (s->authenticated)
		return SMTP_AUTH_ALREADY;
	if (s->txn)
		return SMTP_AUTH_INTXN;
	if (!s->tls && conf->tls_required)
		return SMTP_MAIL_NEEDTLS;
	if (!s->tls && !conf->auth_cleartext)
		return SMTP_AUTH_NEEDTLS;
	return conf->auth_unadvertised || smtp_auth_shown(s) ? SMTP_NONE : SMTP_AUTH_DISABLED;
}

static bool
listed(struct str list, struct str mech)
{
	for (struct str word; (word = str_word(&list)).len;)
		if (str_ieq(word, mech))
			return true;
	return false;
}

static bool
mech_works(const struct smtp_session *s, struct str mech)
{
	return mech.len < sizeof(s->auth->mech) &&
	       (listed(s->conf->mechs, mech) || (s->tls && listed(s->conf->mechs_tls, mech)));
}

bool
smtp_auth_secret(const struct smtp_session *s, struct str mech)
{
	bool upper = false, lower = false, other = false;
	for (size_t i = 0; i < mech.len; i++) {
		char c = mech.p[i];
		upper |= c >= 'A' && c <= 'Z';
		lower |= c >= 'a' && c <= 'z';
		other |= c == '+' || c == '/' || c == '=';
		if (!(c >= '0' && c <= '9') && !(c >= 'A' && c <= 'Z') && !(c >= 'a' && c <= 'z') &&
		    c != '+' && c != '/' && c != '=' && c != '-')
			return false;
	}
	return ((upper && lower) || other) && !mech_works(s, mech);
}

static void
begin(struct smtp_session *s, struct str mech)
{
	struct exchange *x = xalloc(sizeof(*x));
	buf_init(&x->octets, SMTP_AUTH_RESPONSE_MAX);
	x->seen.begin = true;
	for (size_t i = 0; i < mech.len; i++)
		x->seen.mech[i] =
		    mech.p[i] >= 'a' && mech.p[i] <= 'z' ? (char)(mech.p[i] - 0x20) : mech.p[i];
	s->auth = &x->seen;
}

static bool
take_octets(struct smtp_turn *t, struct str text)
{
	struct exchange *x = exchange_of(t->s);
	buf_wipe(&x->octets);
	/* All at once, so that it never moves and leaves a copy. */
	if (!buf_reserve(&x->octets, text.len / 4 * 3) || !base64_dec(&x->octets, text))
		return false;
	x->seen.octets = buf_str(&x->octets);
	/* Those who type by hand wonder why their password is wrong. */
	if (x->octets.len && x->octets.p[x->octets.len - 1] == '\n')
		smtp_notef(t, "decoded, this ends in a line feed, as from echo without -n");
	return true;
}

void
smtp_auth(struct smtp_turn *t, struct str arg)
{
	struct smtp_session *s = t->s;
	struct str mech = str_word(&arg), initial = str_word(&arg);
	struct smtp_vars vars = vars_of(smtp_auth_secret(s, mech) ? STR(HIDDEN) : mech, STR_NULL);
	enum smtp_situation no = objection(s);
	if (no == SMTP_NONE && (mech.len == 0 || str_word(&arg).len))
		no = SMTP_AUTH_SYNTAX;
	else if (no == SMTP_NONE && !mech_works(s, mech))
		no = SMTP_AUTH_BADMECH;
	if (no != SMTP_NONE) {
		smtp_reply(t, no, &vars);
		return;
	}
	begin(s, mech);
	s->auth->has_initial = initial.len > 0;
	if (initial.len && !str_eq(initial, STR("=")) && !take_octets(t, initial))
		smtp_auth_break(t, SMTP_AUTH_BADB64);
	else
		smtp_ask(t, SMTP_ASK_AUTH);
}

void
smtp_auth_line(struct smtp_turn *t, struct str line)
{
	struct exchange *x = exchange_of(t->s);
	line = str_trim(line);
	if (str_eq(line, STR("*"))) {
		smtp_note(t, "c: ", line);
		smtp_auth_break(t, SMTP_AUTH_CANCEL);
		return;
	}
	smtp_note(t, "c: ", STR(HIDDEN));
	x->seen.begin = x->seen.has_initial = false;
	if (!take_octets(t, line) || (x->last_word && x->octets.len))
		smtp_auth_break(t, SMTP_AUTH_BADB64);
	else if (x->last_word)
		log_in(t);
	else if (++x->seen.steps > SMTP_AUTH_STEPS_MAX)
		smtp_auth_break(t, SMTP_AUTH_FAIL);
	else
		smtp_ask(t, SMTP_ASK_AUTH);
}

static void
challenge(struct smtp_turn *t, struct str octets)
{
	struct exchange *x = exchange_of(t->s);
	buf_wipe(&x->octets);
	x->seen.octets = STR_NULL;
	if (octets.len)
		smtp_reply_challenge(t, octets);
	else
		smtp_reply(t, SMTP_AUTH_PLAIN_PROMPT, NULL);
	smtp_phase_set(t, PHASE_AUTH);
}

void
smtp_answer_auth(struct smtp_turn *t, const struct smtp_answer *a)
{
	struct exchange *x = exchange_of(t->s);
	if (a->situation == SMTP_NONE) {
		challenge(t, a->challenge);
	} else if (a->situation != SMTP_AUTH_OK) {
		finish(t, a->situation, a, STR_NULL);
	} else if (a->user.len == 0 || !str_copy(x->user, sizeof(x->user), a->user)) {
		finish(t, SMTP_AUTH_TEMPFAIL, NULL, STR_NULL);
	} else if (a->challenge.len) {
		x->last_word = true;
		challenge(t, a->challenge);
	} else {
		log_in(t);
	}
}
