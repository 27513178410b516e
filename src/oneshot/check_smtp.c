/* The steps of SMTP and LMTP. */
#include "oneshot/check_priv.h"

#include "mail/address.h"

#include <string.h>

/* A domain that is nobody's, and takes no mail (RFC 2606): a server that takes it takes all. */
#define RELAY_FROM "relay-test@example.org"
#define RELAY_TO "relay-test@example.net"

#define TEXT_MAX 500 /* shown of an answer */

struct session {
	struct checking *c;
	struct smtp_run run;
	struct buf greeted; /* what the greeting calls the server */
	bool dead; /* an answer is missing, or TLS is half done: nothing can be said any more */
};

static const struct answer *
last(const struct session *s)
{
	return smtp_client_answer(s->run.c);
}

static struct str
first_line(const struct answer *a)
{
	struct str text = buf_str(&a->text);
	return str_first(str_cut(&text, '\n'), TEXT_MAX);
}

/* The step failed: by an answer, or without one. */
static void
fail(struct session *s, const char *step, int status)
{
	const struct answer *a = s->run.c ? last(s) : NULL;
	int got = s->run.status;
	s->dead |= got == CLIENT_TIMEOUT || got == CLIENT_CLOSED || got == CLIENT_TLS ||
	           got == CLIENT_INTERRUPTED;
	if (a && a->code >= 400 && (!s->dead || got == CLIENT_CLOSED)) {
		check_step(s->c, step, CHECK_FAIL, status, "%d " STR_FMT, a->code,
		    STR_ARG(first_line(a)));
		check_explain(s->c, step, a);
	} else {
		check_step(s->c, step, CHECK_FAIL, status, STR_FMT, STR_ARG(buf_str(&s->run.why)));
	}
}

static bool
alive(const struct session *s)
{
	return s->run.c && !s->dead && !smtp_client_is_over(s->run.c);
}

/* --- greeting and capabilities --- */

static bool
greeting(struct session *s)
{
	int status = smtp_run_go(&s->run, SMTP_STEP_GREETING);
	if (status != CLIENT_OK) {
		fail(s, "greeting", status);
		if (s->run.c && smtp_client_trouble(s->run.c) == SMTP_TROUBLE_NOT_SMTP)
			check_more(s->c, "greeting",
			    "try: --proto imap, --proto pop3 or --proto sieve, or --tls=implicit "
			    "for a "
			    "port that begins with TLS");
		return false;
	}
	struct str text = first_line(last(s));
	check_step(s->c, "greeting", CHECK_PASS, CLIENT_OK, "%d " STR_FMT, last(s)->code,
	    STR_ARG(text));
	buf_puts(&s->greeted, str_word(&text));
	return true;
}

static const char *
meaning_of(struct str name)
{
	for (size_t i = 0; i < CAPS_COUNT; i++)
		if (str_ieq(name, str_of(caps_keywords[i].name)))
			return caps_keywords[i].meaning;
	return str_istarts(name, STR("AUTH=")) ? "AUTH again, for old programs"
	                                       : "an extension that is not known here";
}

static void
tell_caps(struct session *s)
{
	struct str rest = buf_str(&smtp_client_caps(s->run.c)->lines);
	struct say_table t;
	json_t *list = json_array();
	say_table_init(&t, 3);
	while (rest.len) {
		struct str line = str_trim(str_cut(&rest, '\n')), words = line;
		struct buf shown = BUF_INIT(SAY_CELL_MAX);
		show_escape(&shown, line);
		json_array_append_new(list, out_json_text(line));
		say_cell(&t, "%19s", "");
		say_cell(&t, STR_FMT, STR_ARG(buf_str(&shown)));
		say_cell(&t, "%s", meaning_of(str_word(&words)));
		buf_done(&shown);
	}
	if (s->c->o->json)
		say_json(json_pack("{sssssO}", "ev", "capabilities", "step", "hello", "list",
		    list));
	say_table_print(&t, s->c->o->json ? NULL : stdout);
	json_decref(list);
}

static void
compare_names(struct session *s)
{
	const struct caps *caps = smtp_client_caps(s->run.c);
	if (*caps->greets && s->greeted.len && !str_ieq(str_of(caps->greets), buf_str(&s->greeted)))
		check_step(s->c, "name", CHECK_NOTE, CLIENT_OK,
		    "it greets as " STR_FMT " and answers EHLO as %s: allowed, often two machines",
		    STR_ARG(buf_str(&s->greeted)), caps->greets);
}

static bool
hello(struct session *s)
{
	int status = smtp_run_go(&s->run, SMTP_STEP_HELLO);
	if (status != CLIENT_OK) {
		fail(s, "hello", status);
		return false;
	}
	if (!smtp_client_esmtp(s->run.c)) {
		check_step(s->c, "hello", CHECK_PASS, CLIENT_OK,
		    "HELO: %d " STR_FMT
		    "\nthere is no ESMTP: no TLS, no login, no sizes, no 8-bit letters",
		    last(s)->code, STR_ARG(first_line(last(s))));
		return true;
	}
	const struct caps *caps = smtp_client_caps(s->run.c);
	struct str lines = buf_str(&caps->lines);
	unsigned n = 0;
	while (lines.len) {
		str_cut(&lines, '\n');
		n++;
	}
	check_step(s->c, "hello", CHECK_PASS, CLIENT_OK, "%s: %u extension%s",
	    *caps->greets ? caps->greets : "EHLO", n, n == 1 ? "" : "s");
	if (n)
		tell_caps(s);
	compare_names(s);
	return true;
}

/* --- TLS --- */

/* The handshake broke the connection: the other steps are tried without it. */
static bool
again_in_clear(struct session *s)
{
	struct client_options *o = s->c->o;
	if (o->tls != CLIENT_TLS_MAY)
		return false;
	smtp_run_close(&s->run);
	memset(&s->run, 0, sizeof(s->run));
	s->run.no_auth = !o->auth;
	o->tls = CLIENT_TLS_NEVER;
	bool ok = smtp_run_open(&s->run, o) == CLIENT_OK &&
	          smtp_run_go(&s->run, SMTP_STEP_HELLO) == CLIENT_OK;
	s->dead = !ok;
	check_more(s->c, "starttls",
	    ok ? "the steps below go on without TLS"
	       : "the steps below could not be tried without TLS");
	return ok;
}

static bool
starttls(struct session *s)
{
	struct client_options *o = s->c->o;
	bool offered = caps_have(smtp_client_caps(s->run.c), CAPS_STARTTLS);
	if (smtp_client_is_secured(s->run.c))
		return true;
	if (o->tls == CLIENT_TLS_NEVER || (!offered && o->tls != CLIENT_TLS_MUST)) {
		check_step(s->c, "starttls", CHECK_SKIP, CLIENT_OK, "%s",
		    o->tls == CLIENT_TLS_NEVER ? "--tls=never"
					       : "it is not offered: all goes in clear");
		return true;
	}
	int status = smtp_run_go(&s->run, SMTP_STEP_STARTTLS);
	if (status == CLIENT_OK && smtp_client_is_secured(s->run.c)) {
		check_step(s->c, "starttls", CHECK_PASS, CLIENT_OK, "%s",
		    s->c->secured.len ? buf_cstr(&s->c->secured) : "TLS");
		check_certificate(s->c, &s->run.link);
		return true;
	}
	if (status == CLIENT_OK) {
		fail(s, "starttls", CLIENT_TLS_REFUSED); /* refused where it MAY be: it goes on */
		return true;
	}
	fail(s, "starttls", status);
	return alive(s) || (status == CLIENT_TLS && again_in_clear(s));
}

/* --- AUTH, MAIL, RCPT --- */

static bool
login(struct session *s)
{
	const struct client_options *o = s->c->o;
	if (!o->auth) {
		check_step(s->c, "auth", CHECK_SKIP, CLIENT_OK, "--user logs in");
		return true;
	}
	if (!check_may_login(s->c, &s->run.link))
		return true;
	int status = smtp_run_go(&s->run, SMTP_STEP_AUTH);
	if (status == CLIENT_OK)
		check_step(s->c, "auth", CHECK_PASS, CLIENT_OK, "%d " STR_FMT, last(s)->code,
		    STR_ARG(first_line(last(s))));
	else
		fail(s, "auth", status);
	return alive(s);
}

/* A command of the check; false: the session is over. */
static bool
command(struct session *s, const char *step, int status, struct str line, bool *ret_ok)
{
	int got = smtp_run_command(&s->run, line);
	*ret_ok = got == CLIENT_OK && answer_good(last(s));
	if (*ret_ok)
		check_step(s->c, step, CHECK_PASS, CLIENT_OK, STR_FMT ": %d " STR_FMT,
		    STR_ARG(line), last(s)->code, STR_ARG(first_line(last(s))));
	else
		fail(s, step, got == CLIENT_OK ? status : got);
	return got == CLIENT_OK && alive(s);
}

/* One address that a command may hold. */
static bool
is_address(struct checking *c, const char *option, struct str text, struct addr *ret)
{
	if (addr_mailbox(text, ADDR_SMTPUTF8, ret) == ADDR_OK)
		return true;
	check_step(c, option[2] == 'f' ? "mail" : "rcpt", CHECK_FAIL,
	    option[2] == 'f' ? CLIENT_MAIL : CLIENT_RCPT_SOME,
	    "%s " STR_FMT ": this is no address; write user@example.com", option, STR_ARG(text));
	return false;
}

static bool
mail(struct session *s, bool *ret_ok)
{
	const char *from = s->c->o->null_sender || !s->c->o->from ? "" : s->c->o->from;
	struct buf line = BUF_INIT(2048);
	struct addr a = { .utf8 = false };
	*ret_ok = false;
	if (*from && !is_address(s->c, "--from", str_of(from), &a))
		return true;
	buf_putf(&line, "MAIL FROM:<%s>%s", from, a.utf8 ? " SMTPUTF8" : "");
	bool on = command(s, "mail", CLIENT_MAIL, buf_str(&line), ret_ok);
	buf_done(&line);
	return on;
}

/* Each of --to; how the last of them ended is in c->status. */
static bool
rcpts(struct session *s, bool mail_ok)
{
	const struct cli_words *to = &s->c->o->to;
	unsigned good = 0, bad = 0;
	bool on = true;
	int before = s->c->status;
	if (to->n == 0 || !mail_ok) {
		check_step(s->c, "rcpt", CHECK_SKIP, CLIENT_OK, "%s",
		    to->n ? "there is no sender" : "--to ADDRESS tries one");
		return true;
	}
	for (size_t i = 0; on && i < to->n; i++) {
		struct str rest = str_of(to->v[i]);
		while (on && rest.len) {
			struct str one = str_trim(str_cut(&rest, ','));
			struct buf line = BUF_INIT(2048);
			struct addr a;
			bool ok = false;
			if (one.len && is_address(s->c, "--to", one, &a)) {
				buf_putf(&line, "RCPT TO:<" STR_FMT ">", STR_ARG(one));
				on = command(s, "rcpt", CLIENT_RCPT_SOME, buf_str(&line), &ok);
			}
			good += ok;
			bad += one.len && !ok;
			buf_done(&line);
		}
	}
	if (before == CLIENT_OK && bad && !good && s->c->status == CLIENT_RCPT_SOME)
		s->c->status = CLIENT_RCPT_ALL;
	return on;
}

/* --- an open relay? --- */

static bool
relay(struct session *s)
{
	struct checking *c = s->c;
	if (!c->relay_test) {
		check_step(c, "relay", CHECK_SKIP, CLIENT_OK,
		    "--relay-test asks whether strangers may relay");
		return true;
	}
	if (smtp_run_command(&s->run, STR("MAIL FROM:<" RELAY_FROM ">")) != CLIENT_OK)
		goto lost;
	if (answer_good(last(s)) &&
	    smtp_run_command(&s->run, STR("RCPT TO:<" RELAY_TO ">")) != CLIENT_OK)
		goto lost;
	if (answer_good(last(s))) {
		check_step(c, "relay", CHECK_FAIL, CLIENT_MESSAGE,
		    "it takes " RELAY_TO " from " RELAY_FROM ": %d " STR_FMT, last(s)->code,
		    STR_ARG(first_line(last(s))));
		check_more(c, "relay",
		    "If the letter went through as well, strangers could send spam through this "
		    "server. "
		    "Unless it trusts this machine by its address, restrict relaying to logins and "
		    "known networks. (Some servers refuse such a letter only at its end.)");
	} else {
		check_step(c, "relay", CHECK_PASS, CLIENT_OK, "it refuses to relay: %d " STR_FMT,
		    last(s)->code, STR_ARG(first_line(last(s))));
	}
	if (smtp_run_rset(&s->run) == CLIENT_OK)
		return alive(s);
lost:
	fail(s, "relay", s->run.status);
	return false;
}

static void
quit(struct session *s)
{
	if (!alive(s))
		return;
	int status = smtp_run_quit(&s->run);
	const struct answer *a = last(s);
	if (status != CLIENT_OK)
		fail(s, "quit", status);
	else
		check_step(s->c, "quit", CHECK_PASS, CLIENT_OK, "%d " STR_FMT, a->code,
		    STR_ARG(first_line(a)));
}

/* --mta-sts; whether the host and its certificate do as it says is told with the certificate. */
static void
tell_policy(struct checking *c)
{
	const struct sts_found *f = &c->o->vouch.sts;
	struct buf text = BUF_INIT(STS_POLICY_MAX);

	switch (f->state) {
	case STS_FOUND:
		sts_text(f, &text);
		check_step(c, "mta-sts", CHECK_NOTE, CLIENT_OK, "%s: " STR_FMT, f->domain,
		    STR_ARG(buf_str(&text)));
		break;
	case STS_FAILED:
		check_step(c, "mta-sts", CHECK_FAIL,
		    f->status == CLIENT_RESOLVE ? CLIENT_RESOLVE : CLIENT_TLS, STR_FMT,
		    STR_ARG(buf_str(&f->why)));
		break;
	case STS_ABSENT:
		check_step(c, "mta-sts", CHECK_NOTE, CLIENT_OK, "%s has no policy", f->domain);
		break;
	case STS_UNASKED:
		break;
	}
	buf_done(&text);
}

int
check_smtp(struct checking *c)
{
	struct session s = { .c = c };
	bool mail_ok = false, on;
	buf_init(&s.greeted, 1024);
	s.run.no_auth = !c->o->auth;
	int status = smtp_run_open(&s.run, c->o);
	check_opened(c, &s.run.link, status, buf_str(&s.run.why));
	tell_policy(c);
	on = status == CLIENT_OK && greeting(&s) && hello(&s) && starttls(&s);
	/* Before the login: behind it relaying is right. */
	on = on && relay(&s) && login(&s) && mail(&s, &mail_ok) && rcpts(&s, mail_ok);
	if (on && mail_ok)
		(void)smtp_run_rset(&s.run);
	check_begin(c);
	quit(&s);
	smtp_run_close(&s.run);
	buf_done(&s.greeted);
	return c->status;
}
