/*
 * LOGIN and AUTHENTICATE (RFC 9051 6.2.2, 6.2.3; RFC 4959). The session knows lines and base64;
 * what the octets mean is the host's. Nothing of an exchange is kept longer than it lasts.
 */
#include "imap/imap_priv.h"

#include "base/base64.h"
#include "dialect/access_words.h"

#include <stdlib.h>

/* Begins with what the host sees. */
struct exchange {
	struct imap_auth seen;
	struct buf octets;
	bool last_word; /* it was right: an empty response is all that is missing */
	uint64_t account;
	char user[IMAP_USER_MAX]; /* and this one logs in with it */
};

static struct exchange *
exchange_of(const struct imap_session *s)
{
	return s->auth ? container_of(s->auth, struct exchange, seen) : NULL;
}

void
imap_auth_free(struct imap_session *s)
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

static void
begin(struct imap_session *s, struct str mech, bool login)
{
	struct exchange *x = xalloc(sizeof(*x));
	buf_init(&x->octets, IMAP_AUTH_RESPONSE_MAX);
	/* All at once, so that it never moves and leaves a copy. */
	(void)buf_reserve(&x->octets, IMAP_AUTH_RESPONSE_MAX);
	x->seen.begin = true;
	x->seen.login = login;
	(void)str_copy(x->seen.mech, sizeof(x->seen.mech), mech);
	s->auth = &x->seen;
}

static enum imap_run
log_in(struct imap_session *s)
{
	struct exchange *x = exchange_of(s);
	free(s->user);
	s->user = xstrdup(x->user);
	s->account = x->account;
	s->state = IMAP_KNOWN;
	s->bad = 0;
	imap_tell_capabilities(s);
	return imap_ok(s, NULL, NULL);
}

/* --- answers of the host --- */

static enum imap_run answered(struct imap_session *s, const struct imap_answer *a);

static bool
take_octets(struct exchange *x, struct str text)
{
	buf_wipe(&x->octets);
	if (!base64_dec(&x->octets, text))
		return false;
	x->seen.octets = buf_str(&x->octets);
	return true;
}

static enum imap_run
response_line(struct imap_session *s, struct str line, const char *wrong)
{
	struct exchange *x = exchange_of(s);
	if (wrong)
		return imap_bad(s, "%s", wrong);
	if (str_eq(line, STR("*")))
		return imap_bad(s, "the exchange was cancelled");
	x->seen.begin = x->seen.has_initial = false;
	if (line.len > IMAP_AUTH_RESPONSE_MAX || !take_octets(x, line) ||
	    (x->last_word && x->octets.len))
		return imap_bad(s, "the response is not base64");
	if (x->last_word)
		return log_in(s);
	if (++x->seen.steps > IMAP_AUTH_STEPS_MAX)
		return imap_no_says(s, "AUTHENTICATIONFAILED", IMAP_SAYS_NO_LOGIN);
	return imap_ask(s, IMAP_ASK_AUTH, answered);
}

static enum imap_run
challenge(struct imap_session *s, struct str octets)
{
	struct exchange *x = exchange_of(s);
	buf_wipe(&x->octets);
	x->seen.octets = STR_NULL;
	if (x->seen.login)
		return imap_refuse(s, ACCESS_FAILED, false);
	buf_putz(s->cmd->out, "+ ");
	base64_enc(s->cmd->out, octets);
	buf_putz(s->cmd->out, "\r\n");
	s->cmd->line = response_line;
	return RUN_LINE;
}

static enum imap_run
accepted(struct imap_session *s, const struct imap_answer *a)
{
	struct exchange *x = exchange_of(s);
	x->account = a->account;
	if (a->user.len == 0 || !str_copy(x->user, sizeof(x->user), a->user))
		return imap_refuse(s, ACCESS_FAILED, false);
	if (a->challenge.len == 0 || x->seen.login)
		return log_in(s);
	x->last_word = true;
	return challenge(s, a->challenge);
}

/* RFC 9051 7.1, RFC 5530 */
static enum imap_run
answered(struct imap_session *s, const struct imap_answer *a)
{
	switch (a->verdict) {
	case IMAP_AUTH_CHALLENGE:
		return challenge(s, a->challenge);
	case IMAP_AUTH_OK:
		return accepted(s, a);
	case IMAP_AUTH_MALFORMED:
		return imap_bad(s, "the response cannot be read");
	case IMAP_AUTH_BADMECH:
		return imap_no(s, "CANNOT", "this mechanism does not work here");
	case IMAP_AUTH_WEAK:
		return imap_no(s, "CANNOT", "this mechanism is too weak for this account");
	case IMAP_AUTH_TEMPFAIL:
		return imap_no(s, "UNAVAILABLE", "logins do not work for now; try again later");
	case IMAP_AUTH_FAIL:
		break;
	}
	s->bad++;
	return imap_no_says(s, "AUTHENTICATIONFAILED", IMAP_SAYS_NO_LOGIN);
}

/* --- the commands --- */

/* What a backslash in quotes has left in the arena is a password as well. */
static void
wipe(struct str secret)
{
	if (secret.len)
		explicit_bzero((void *)(uintptr_t)secret.p, secret.len);
}

enum imap_run
imap_cmd_login(struct imap_session *s)
{
	struct imap_lex *x = &s->cmd->lex;
	(void)imap_lex_sp(x);
	struct str name = imap_lex_astring(x, &s->cmd->arena);
	(void)imap_lex_sp(x);
	struct str password = imap_lex_astring(x, &s->cmd->arena);
	if (!imap_lex_end(x)) {
		wipe(password);
		return imap_bad(s, "LOGIN name password: %s", x->why);
	}
	if (!imap_auth_allowed(s)) {
		wipe(password);
		return imap_no_says(s, "PRIVACYREQUIRED", IMAP_SAYS_NO_PRIVACY);
	}
	begin(s, STR("PLAIN"), true);
	struct exchange *e = exchange_of(s);
	buf_putc(&e->octets, '\0');
	buf_puts(&e->octets, name);
	buf_putc(&e->octets, '\0');
	buf_puts(&e->octets, password);
	wipe(password);
	e->seen.has_initial = true;
	e->seen.octets = buf_str(&e->octets);
	if (e->octets.failed)
		return imap_bad(s, "the name or the password is too long");
	if (!imap_login_allowed(s))
		return imap_no(s, "CANNOT", "LOGIN does not work here; use AUTHENTICATE");
	return imap_ask(s, IMAP_ASK_AUTH, answered);
}

enum imap_run
imap_cmd_authenticate(struct imap_session *s)
{
	struct imap_lex *x = &s->cmd->lex;
	(void)imap_lex_sp(x);
	struct str mech = imap_lex_atom(x), initial = STR_NULL;
	bool has_initial = imap_lex_try(x, ' ');
	if (has_initial) {
		initial = x->rest;
		x->rest = STR_NULL;
	}
	if (!imap_lex_end(x))
		return imap_bad(s, "AUTHENTICATE mechanism: %s", x->why);
	if (!imap_auth_allowed(s))
		return imap_no_says(s, "PRIVACYREQUIRED", IMAP_SAYS_NO_PRIVACY);
	if (!imap_mech_works(s, mech))
		return imap_no(s, "CANNOT", "this mechanism does not work here");
	begin(s, mech, false);
	struct exchange *e = exchange_of(s);
	e->seen.has_initial = has_initial;
	/* RFC 4959 3: "=" is a response without octets. */
	if (has_initial && !str_eq(initial, STR("=")) &&
	    (initial.len == 0 || !take_octets(e, initial)))
		return imap_bad(s, "the initial response is not base64");
	return imap_ask(s, IMAP_ASK_AUTH, answered);
}
