/*
 * Logging in: USER and PASS, APOP (RFC 1939 7), AUTH (RFC 5034). The session knows lines, base64
 * and when they may be said; what the octets mean is the host's. Nothing of it is kept longer than
 * it lasts.
 */
#include "base/base64.h"
#include "base/num.h"
#include "pop3/session_priv.h"

#include <stdlib.h>

static const char needs_tls[] = "a password needs TLS first; send STLS";
static const char not_base64[] = "this is not base64";

/* Begins with what the host sees. */
struct exchange {
	struct pop3_auth seen;
	struct buf octets;
	char *last_word; /* it was right: when an empty response comes, this user is logged in */
};

static struct exchange *
exchange_of(const struct pop3_session *s)
{
	return s->auth ? container_of(s->auth, struct exchange, seen) : NULL;
}

void
pop3_auth_free(struct pop3_session *s)
{
	struct exchange *x = exchange_of(s);
	if (!x)
		return;
	buf_wipe(&x->octets);
	buf_done(&x->octets);
	free(x->last_word);
	explicit_bzero(x, sizeof(*x));
	free(x);
	s->auth = NULL;
	s->flags &= ~(unsigned)F_EXCHANGE;
}

static bool
listed(struct str list, struct str mech)
{
	for (struct str word; (word = str_word(&list)).len;)
		if (str_ieq(word, mech))
			return true;
	return false;
}

bool
pop3_auth_works(const struct pop3_session *s, struct str mech)
{
	return mech.len && mech.len < sizeof(s->auth->mech) &&
	       (listed(s->conf->mechs, mech) || (s->tls && listed(s->conf->mechs_tls, mech)));
}

bool
pop3_may_login(const struct pop3_session *s)
{
	return s->tls || (s->conf->auth_cleartext && !s->conf->tls_required);
}

struct str
pop3_stamp(const struct pop3_session *s, struct buf *b)
{
	buf_putf(b, "<%016llx@" STR_FMT ">", (unsigned long long)s->stamp, STR_ARG(s->conf->host));
	return buf_str(b);
}

static struct exchange *
begin(struct pop3_turn *t, const char *cmd, struct str mech)
{
	struct exchange *x = xalloc(sizeof(*x));
	buf_init(&x->octets, POP3_AUTH_RESPONSE_MAX);
	(void)buf_reserve(&x->octets, POP3_AUTH_RESPONSE_MAX); /* so that it never moves */
	x->seen.begin = true;
	for (size_t i = 0; i < mech.len; i++)
		x->seen.mech[i] =
		    mech.p[i] >= 'a' && mech.p[i] <= 'z' ? (char)(mech.p[i] - 0x20) : mech.p[i];
	t->s->auth = &x->seen;
	pop3_priv(t->s)->login = cmd;
	return x;
}

/* All that is to be said is in the octets. */
static void
ask_at_once(struct pop3_turn *t, struct exchange *x, bool pass)
{
	x->seen.pass = pass;
	x->seen.has_initial = true;
	x->seen.octets = buf_str(&x->octets);
	pop3_ask(t, POP3_ASK_AUTH);
}

void
pop3_user(struct pop3_turn *t, struct str args)
{
	struct pop3_session *s = t->s;
	struct str name = str_trim(args);
	if (!pop3_may_login(s)) {
		pop3_err(t, NULL, "%s", needs_tls);
	} else if (!pop3_auth_works(s, STR("PLAIN"))) {
		pop3_err(t, NULL, "USER is switched off here; CAPA lists what works");
	} else if (name.len == 0 || name.len > POP3_USER_MAX) {
		pop3_bad(t, "USER has one name");
	} else {
		struct pop3_private *p = pop3_priv(s);
		free(p->name);
		p->name = str_dup(name);
		pop3_ok(t, "USER", NULL);
	}
}

void
pop3_pass(struct pop3_turn *t, struct str args)
{
	struct pop3_private *p = t->s->priv;
	if (!pop3_may_login(t->s)) {
		pop3_err(t, NULL, "%s", needs_tls);
		return;
	}
	if (!p || !p->name) {
		pop3_bad(t, "send USER first");
		return;
	}
	struct exchange *x = begin(t, "PASS", STR("PLAIN"));
	buf_putc(&x->octets, '\0');
	buf_putz(&x->octets, p->name);
	buf_putc(&x->octets, '\0');
	buf_puts(&x->octets, args);
	free(p->name);
	p->name = NULL;
	ask_at_once(t, x, true);
}

static bool
is_digest(struct str s)
{
	uint64_t half;
	return s.len == 32 && num_hex(str_first(s, 16), &half) && num_hex(str_skip(s, 16), &half);
}

void
pop3_apop(struct pop3_turn *t, struct str args)
{
	struct pop3_session *s = t->s;
	struct str digest = str_skip(args, str_rfind(args, ' ') + 1);
	struct str name = str_trim(str_first(args, str_rfind(args, ' ')));
	if (!(s->flags & F_STAMPED)) {
		pop3_err(t, NULL, "APOP is switched off here");
	} else if (!pop3_may_login(s)) {
		pop3_err(t, NULL, "%s", needs_tls);
	} else if (name.len == 0 || name.len > POP3_USER_MAX || !is_digest(digest)) {
		pop3_bad(t, "APOP has a name and a digest of 32 hexadecimal digits");
	} else {
		struct exchange *x = begin(t, "APOP", STR("APOP"));
		struct buf stamp = BUF_INIT(1024);
		buf_puts(&x->octets, pop3_stamp(s, &stamp));
		buf_putc(&x->octets, '\0');
		buf_puts(&x->octets, name);
		buf_putc(&x->octets, '\0');
		buf_puts(&x->octets, digest);
		buf_done(&stamp);
		ask_at_once(t, x, true);
	}
}

static bool
take_octets(struct exchange *x, struct str text)
{
	buf_wipe(&x->octets);
	if (!base64_dec(&x->octets, text))
		return false;
	x->seen.octets = buf_str(&x->octets);
	return true;
}

/* Not in RFC 5034, but old clients ask for the list so. */
static void
list_mechs(struct pop3_turn *t)
{
	const struct pop3_conf *conf = t->s->conf;
	struct str lists[] = { conf->mechs, t->s->tls ? conf->mechs_tls : STR_NULL };
	buf_putz(t->out, "+OK mechanisms follow\r\n");
	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		for (struct str word; (word = str_word(&lists[i])).len;)
			buf_putf(t->out, STR_FMT "\r\n", STR_ARG(word));
	buf_putz(t->out, ".\r\n");
}

void
pop3_auth_cmd(struct pop3_turn *t, struct str args)
{
	struct pop3_session *s = t->s;
	struct str mech = str_word(&args), initial = str_word(&args);
	if (!pop3_may_login(s)) {
		pop3_err(t, NULL, "%s", needs_tls);
	} else if (mech.len == 0) {
		list_mechs(t);
	} else if (str_word(&args).len) {
		pop3_bad(t, "AUTH has a mechanism and a response");
	} else if (!pop3_auth_works(s, mech)) {
		pop3_err(t, NULL, "there is no such mechanism; CAPA lists them");
	} else {
		struct exchange *x = begin(t, "AUTH", mech);
		x->seen.has_initial = initial.len > 0;
		if (initial.len && !str_eq(initial, STR("=")) && !take_octets(x, initial))
			pop3_auth_break(t, not_base64);
		else
			pop3_ask(t, POP3_ASK_AUTH);
	}
}

void
pop3_auth_break(struct pop3_turn *t, const char *reason)
{
	pop3_auth_free(t->s);
	pop3_bad(t, reason);
}

static void
log_in(struct pop3_turn *t, struct str user)
{
	struct pop3_session *s = t->s;
	free(s->user);
	s->user = str_dup(user);
	pop3_auth_free(s);
	pop3_drop_load(t);
}

void
pop3_auth_line(struct pop3_turn *t, struct str line)
{
	struct exchange *x = exchange_of(t->s);
	t->s->flags &= ~(unsigned)F_EXCHANGE;
	x->seen.begin = x->seen.has_initial = false;
	line = str_trim(line);
	if (str_eq(line, STR("*"))) {
		pop3_auth_free(t->s);
		pop3_err(t, NULL, "cancelled, as you wish");
	} else if (!take_octets(x, line) || (x->last_word && x->octets.len)) {
		pop3_auth_break(t, not_base64);
	} else if (x->last_word) {
		char *user = x->last_word;
		x->last_word = NULL;
		log_in(t, str_of(user));
		free(user);
	} else if (++x->seen.steps > POP3_AUTH_STEPS_MAX) {
		pop3_auth_free(t->s);
		pop3_says(t, false, POP3_SAYS_ERR_AUTH, "AUTH");
	} else {
		pop3_ask(t, POP3_ASK_AUTH);
	}
}

static void
challenge(struct pop3_turn *t, struct str octets)
{
	struct exchange *x = exchange_of(t->s);
	buf_putz(t->out, "+ ");
	base64_enc(t->out, octets);
	buf_putz(t->out, "\r\n");
	buf_wipe(&x->octets);
	x->seen.octets = STR_NULL;
	t->s->flags |= F_EXCHANGE;
}

static void
refuse(struct pop3_turn *t, enum pop3_auth_verdict verdict)
{
	static const struct {
		const char *code, *text;
	} say[] = {
		[POP3_AUTH_MALFORMED] = { NULL, "this is not what the mechanism expects" },
		[POP3_AUTH_BADMECH] = { NULL, "there is no such mechanism; CAPA lists them" },
		[POP3_AUTH_WEAK] = { "AUTH", "the mechanism is too weak for this account" },
		[POP3_AUTH_TEMPFAIL] = { "SYS/TEMP", "no login for now; try again later" },
		[POP3_AUTH_TOO_SOON] = { "LOGIN-DELAY", "the last login was too short a time ago" },
	};
	pop3_auth_free(t->s);
	if (verdict == POP3_AUTH_FAIL || verdict >= ARRAY_LEN(say) || !say[verdict].text)
		pop3_says(t, false, POP3_SAYS_ERR_AUTH, "AUTH");
	else
		pop3_err(t, say[verdict].code, "%s", say[verdict].text);
}

void
pop3_answer_auth(struct pop3_turn *t, const struct pop3_answer *a)
{
	struct exchange *x = exchange_of(t->s);
	bool good = a->verdict == POP3_AUTH_OK;
	if (good && (a->user.len == 0 || a->user.len > POP3_USER_MAX)) {
		refuse(t, POP3_AUTH_TEMPFAIL);
	} else if (good && a->challenge.len && !x->seen.pass) {
		x->last_word = str_dup(a->user);
		challenge(t, a->challenge);
	} else if (good) {
		log_in(t, a->user);
	} else if (a->verdict == POP3_AUTH_CHALLENGE && !x->seen.pass) {
		challenge(t, a->challenge);
	} else {
		refuse(t, a->verdict == POP3_AUTH_CHALLENGE ? POP3_AUTH_TEMPFAIL : a->verdict);
	}
}
