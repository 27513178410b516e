/* check: is this server well? Each step by itself (K0-03). */
#include "oneshot/check_priv.h"

#include "client/secret.h"
#include "explain/explain.h"
#include "sys/clock.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* --- telling --- */

static const struct {
	const char *name, *shown;
	enum say_mood mood;
} results[] = {
	[CHECK_PASS] = { "pass", "pass", SAY_GOOD },
	[CHECK_FAIL] = { "fail", "FAIL", SAY_BAD },
	[CHECK_SKIP] = { "skip", "skip", SAY_GREY },
	[CHECK_NOTE] = { "note", "note", SAY_UNSURE },
};

void
check_begin(struct checking *c)
{
	c->since_us = sys_mono_us();
}

static void
print_step(struct checking *c, const char *step, enum check_result r, int64_t us, struct str text)
{
	const struct client_options *o = c->o;
	printf("%s%s%s  %-12s ", say_color(o, results[r].mood), results[r].shown, say_plain(o),
	    step);
	if (r == CHECK_PASS || r == CHECK_FAIL)
		printf("%6" PRId64 ".%01" PRId64 " ms  ", us / 1000, us % 1000 / 100);
	else
		printf("%11s  ", "");
	printf(STR_FMT "\n", STR_ARG(text));
	(void)fflush(stdout);
}

void
check_step(struct checking *c, const char *step, enum check_result r, int status, const char *fmt,
    ...)
{
	struct buf text = BUF_INIT(SAY_CELL_MAX), shown = BUF_INIT(4 * SAY_CELL_MAX);
	int64_t us = sys_mono_us() - c->since_us;
	va_list ap;
	va_start(ap, fmt);
	buf_vputf(&text, fmt, ap);
	va_end(ap);
	c->passed += r == CHECK_PASS;
	c->failed += r == CHECK_FAIL;
	if (r == CHECK_FAIL && c->status == CLIENT_OK)
		c->status = status;
	if (c->o->json) {
		json_t *root = json_pack("{sssssssfso}", "ev", "check", "step", step, "result",
		    results[r].name, "ms", (double)us / 1000, "text",
		    out_json_text(buf_str(&text)));
		if (r == CHECK_FAIL)
			json_object_set_new(root, "status", json_integer(status));
		say_json(root);
	} else {
		struct str rest = buf_str(&text);
		show_escape(&shown, str_cut(&rest, '\n'));
		print_step(c, step, r, us, buf_str(&shown));
		say_note(c->o, rest);
	}
	buf_done(&shown);
	buf_done(&text);
	check_begin(c);
}

void
check_more(struct checking *c, const char *step, const char *fmt, ...)
{
	struct buf text = BUF_INIT(SAY_CELL_MAX);
	va_list ap;
	va_start(ap, fmt);
	buf_vputf(&text, fmt, ap);
	va_end(ap);
	if (c->o->json)
		say_json(json_pack("{ssssso}", "ev", "explain", "step", step, "text",
		    out_json_text(buf_str(&text))));
	else
		say_note(c->o, buf_str(&text));
	buf_done(&text);
	check_begin(c);
}

void
check_explain(struct checking *c, const char *step, const struct answer *a)
{
	struct explain_hit hit;
	struct buf reply = BUF_INIT(EXPLAIN_TEXT_MAX);
	struct str text = buf_str(&a->text), line = str_cut(&text, '\n');
	buf_putf(&reply, "%d " STR_FMT, a->code, STR_ARG(str_first(line, 1000)));
	if (a->code && explain_reply_of(EXPLAIN_SMTP, buf_str(&reply), &hit)) {
		check_more(c, step, STR_FMT, STR_ARG(hit.meaning));
		if (hit.next.len)
			check_more(c, step, "try: " STR_FMT, STR_ARG(hit.next));
	}
	buf_done(&reply);
}

/* --- the link --- */

/* The link's own account of how it opened. */
static void
hear(void *arg, const struct event *e)
{
	struct checking *c = arg;
	if (e->kind == EVENT_RESOLVE) {
		c->resolved_us = sys_mono_us();
		buf_reset(&c->resolved);
		buf_puts(&c->resolved, e->text);
	} else if (e->kind == EVENT_CONNECT) {
		c->connected_us = sys_mono_us();
		buf_reset(&c->connected);
		buf_puts(&c->connected, e->text);
	} else if (e->kind == EVENT_TLS) {
		c->secured_us = sys_mono_us();
		buf_reset(&c->secured);
		buf_puts(&c->secured, e->text);
	}
}

/* A step whose end was noted when it came. */
static void
step_then(struct checking *c, const char *step, int64_t from, int64_t to, const char *text)
{
	c->since_us = sys_mono_us() - (to - from);
	check_step(c, step, CHECK_PASS, CLIENT_OK, "%s", text);
}

void
check_opened(struct checking *c, const struct link *l, int status, struct str why)
{
	int64_t at = c->opened_us;
	bool implicit = c->o->tls == CLIENT_TLS_IMPLICIT;
	if (c->resolved_us) {
		step_then(c, "resolve", at, c->resolved_us, buf_cstr(&c->resolved));
		at = c->resolved_us;
	}
	if (c->connected_us) {
		struct buf where = BUF_INIT(1024);
		buf_putf(&where, "%s, port %u", buf_cstr(&c->connected), c->o->link.port);
		step_then(c, "connect", at, c->connected_us, buf_cstr(&where));
		buf_done(&where);
		at = c->connected_us;
	}
	if (implicit && c->secured_us) {
		step_then(c, "tls", at, c->secured_us, buf_cstr(&c->secured));
		check_certificate(c, l);
	}
	if (status == CLIENT_OK)
		return;
	c->since_us = at;
	check_step(c,
	    status == CLIENT_RESOLVE ? "resolve"
	    : c->connected_us        ? "tls"
				     : "connect",
	    CHECK_FAIL, status, STR_FMT, STR_ARG(why));
}

void
check_certificate(struct checking *c, const struct link *l)
{
	if (!l->tls)
		return;
	if (l->verified && l->vouched && *l->vouched->matched)
		check_step(c, "certificate", CHECK_PASS, CLIENT_OK, "%s", l->vouched->matched);
	else if (l->verified)
		check_step(c, "certificate", CHECK_PASS, CLIENT_OK, "it is good for %s",
		    c->o->link.verify_name ? c->o->link.verify_name : c->o->link.host);
	else if (c->o->insecure)
		check_step(c, "certificate", CHECK_NOTE, CLIENT_OK,
		    "not verified (--insecure): " STR_FMT, STR_ARG(buf_str(&l->verdict)));
	else {
		check_step(c, "certificate", CHECK_FAIL, CLIENT_TLS, STR_FMT,
		    STR_ARG(buf_str(&l->verdict)));
		check_more(c, "certificate",
		    "try: `pennypost cert %s %u` shows the chain; --ca FILE trusts an authority of "
		    "your "
		    "own, --verify-name NAME looks for another name",
		    c->o->link.host, c->o->link.port);
	}
}

bool
check_may_login(struct checking *c, const struct link *l)
{
	if (!l->tls || l->verified || c->o->insecure)
		return true;
	check_step(c, "auth", CHECK_SKIP, CLIENT_OK,
	    "the certificate is not good, so somebody else might get the password; --insecure logs "
	    "in all the same");
	return false;
}

/* --- the command --- */

static int
tell_result(struct checking *c)
{
	const struct client_options *o = c->o;
	if (o->link.stop && *o->link.stop)
		c->status = CLIENT_INTERRUPTED;
	if (o->json) {
		say_json(json_pack("{sssisisi}", "ev", "result", "status", c->status, "passed",
		    (int)c->passed, "failed", (int)c->failed));
		return c->status;
	}
	if (c->failed)
		printf("%s%u of %u steps failed%s\n", say_color(o, SAY_BAD), c->failed,
		    c->failed + c->passed, say_plain(o));
	else
		printf("%sall %u steps passed%s\n", say_color(o, SAY_GOOD), c->passed,
		    say_plain(o));
	return c->status;
}

static int
check_all(struct checking *c)
{
	struct client_options *o = c->o;
	int status;
	buf_init(&c->resolved, 4096);
	buf_init(&c->connected, 4096);
	buf_init(&c->secured, 4096);
	check(events_add(&o->events, hear, c));
	/* The certificate is a step of its own here: it is judged, and stops nothing. */
	o->link.insecure = o->vouch.lenient = true;
	c->opened_us = c->since_us = sys_mono_us();
	switch (o->proto) {
	case PROTO_SMTP:
	case PROTO_LMTP:
		status = check_smtp(c);
		break;
	case PROTO_IMAP:
	case PROTO_POP3:
	case PROTO_SIEVE:
		status = check_mail(c);
		break;
	case PROTO_RAW:
	case PROTO_COUNT:
	default:
		status =
		    usage_error(o->cmd, "--proto raw has no steps; name smtp, lmtp, imap, pop3 or "
					"sieve");
		break;
	}
	if (status != CLIENT_USAGE)
		status = tell_result(c);
	buf_done(&c->resolved);
	buf_done(&c->connected);
	buf_done(&c->secured);
	return status;
}

static int
run(int argc, char **argv)
{
	struct client_options *o = xalloc(sizeof(*o));
	struct checking c = { .o = o };
	const struct cli_opt extra[] = {
		{ "--relay-test", OPT_FLAG, &c.relay_test },
		{ NULL, OPT_FLAG, NULL },
	};
	int status = options_parse_with(o, cli_cmd_find("check"),
	    OPTIONS_CONNECT | OPTIONS_HELLO | OPTIONS_AUTH | OPTIONS_ENVELOPE | OPTIONS_OUTPUT |
		OPTIONS_SCLIENT,
	    extra, argc, argv);
	if (status == CLIENT_OK)
		status = options_one_server(o);
	if (status == CLIENT_OK)
		status = options_server(o, 0, 25);
	if (status == CLIENT_OK) {
		say_setup(o);
		status = check_all(&c);
	}
	status = options_done(o, status);
	free(o);
	return status;
}

const struct cli_cmd cmd_check = {
	.name = "check",
	.summary = "Try a mail server step by step, and say which step fails and why",
	.usage = "[OPTION]... HOST [PORT]",
	.help =
	    "SMTP: resolve, connect, greeting, EHLO (or HELO), capabilities and what they mean,\n"
	    "STARTTLS and the certificate, AUTH with --user, MAIL, RCPT with --to, QUIT. No "
	    "letter\n"
	    "is sent. IMAP, POP3 and ManageSieve (by their ports, or --proto): greeting,\n"
	    "capabilities, STARTTLS and the certificate, the login with --user, LOGOUT.\n"
	    "Each step passes, fails or is skipped, with the time it took; after a step that "
	    "fails\n"
	    "the others go on where they can.\n"
	    "\n"
	    "  --user NAME       log in; the password is asked for, or comes by --password-file "
	    "F,\n"
	    "                    --password-fd N or --token-cmd CMD\n"
	    "  --from ADDRESS    the sender to try (the null sender without it)\n"
	    "  --to ADDRESS,...  recipients to try\n"
	    "  --relay-test      would it take mail from a stranger for a stranger (an open "
	    "relay)?\n"
	    "  --tls=may|must|never|implicit, --ca FILE, --verify-name NAME, --insecure\n"
	    "  --dane, --mta-sts the certificate must be as TLSA records, as the policy want it\n"
	    "  --hello=auto|ehlo|helo, --ehlo NAME, -4, -6, --resolve NAME:ADDR, --timeout SEC\n"
	    "  --verbose         show the conversation, too\n"
	    "  --json            one object per step, a line each\n"
	    "\n"
	    "Exit status: that of the first step that failed: 2 resolve, 3 connect, 4 TLS or the\n"
	    "certificate, 5 TLS refused, 6 greeting, 7 EHLO, 8 AUTH, 9 MAIL, 10 or 11 RCPT, 12 an\n"
	    "open relay, 14 closed, 15 timeout.\n"
	    "\n"
	    "Examples: pennypost check mail.example.com\n"
	    "          pennypost check --user joe@example.com mail.example.com submission\n"
	    "          pennypost check imap.example.com 993\n",
	.words =
	    "--user= --password-file=FILE --password-fd= --token-cmd= --from= --to= --relay-test "
	    "--tls=may|must|never|implicit --ca=FILE --verify-name= --insecure --dane --mta-sts "
	    "--hello=auto|ehlo|helo|lhlo|none --ehlo= -4 -6 --resolve= --timeout= "
	    "--verbose --json",
	.run = run,
	.client = true,
};
