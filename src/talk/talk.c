/* `pennypost talk`: a conversation by hand. */
#include "talk/talk_priv.h"

#include "base/check.h"
#include "client/dns.h"
#include "client/options_text.h"

#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GROUPS                                                                                     \
	(OPTIONS_CONNECT | OPTIONS_HELLO | OPTIONS_AUTH | OPTIONS_WIRE | OPTIONS_OUTPUT |          \
	    OPTIONS_TALK)

static int run(int argc, char **argv);

const struct cli_cmd cmd_talk = {
	.name = "talk",
	.summary =
	    "Talk to a mail server by hand: SMTP, LMTP, IMAP, POP3, ManageSieve, or anything",
	.usage = "[OPTION]... HOST [PORT]\n"
		 "[OPTION]... HOST:PORT\n"
		 "-connect HOST:PORT [-starttls PROTO] [OPTION]...",
	.help =
	    "What is typed goes to the server, what it says is shown as it comes. Without HOST:\n"
	    "$PENNYPOST_SERVER, or $REMOTE_SRV. The port is 25 unless it is named.\n"
	    "Lines that begin with \"/\", and what is typed behind ^], are local commands: /help\n"
	    "lists them. From a pipe, each line waits for the answer to the one before.\n"
	    "\n" OPTIONS_HELP_CONNECT "\n" OPTIONS_HELP_HELLO "\n" OPTIONS_HELP_AUTH
	    "\n" OPTIONS_HELP_WIRE "\n" OPTIONS_HELP_OUTPUT "\n" OPTIONS_HELP_TALK
	    "  --pipeline           do not wait for answers before the next line goes\n"
	    "  --temp-exit          exit with 13 when anything was refused for now (4xx)\n"
	    "  --lint WHEN          letters before they go: warn, error (do not send) or off\n"
	    "\n"
	    "Examples:\n"
	    "  pennypost talk mail.example.com 25\n"
	    "  pennypost talk -connect mail.example.com:587 -starttls smtp -crlf\n"
	    "  pennypost talk --auth --user joe@example.com mail.example.com 465\n"
	    "  printf 'ehlo me.example.com\\nquit\\n' | pennypost talk mail.example.com 25\n"
	    "\n"
	    "See pennypost-talk(1).\n",
	.words = "--pipeline --temp-exit --lint= " OPTIONS_WORDS_CONNECT " " OPTIONS_WORDS_HELLO
		 " " OPTIONS_WORDS_AUTH " " OPTIONS_WORDS_WIRE " " OPTIONS_WORDS_OUTPUT
		 " " OPTIONS_WORDS_TALK,
	.run = run,
	.client = true,
};

/* --- signals --- */

static void
on_signal(int sig)
{
	if (sig == SIGINT || sig == SIGTERM || sig == SIGHUP)
		talk_interrupted = sig;
	else if (sig == SIGWINCH)
		talk_resized = 1;
	else if (sig == SIGTSTP)
		talk_suspended = 1;
}

static void
catch_signals(void)
{
	static const int ours[] = { SIGINT, SIGTERM, SIGHUP, SIGWINCH };
	struct sigaction sa = { .sa_handler = on_signal };
	for (size_t i = 0; i < ARRAY_LEN(ours); i++)
		sigaction(ours[i], &sa, NULL);
	if (isatty(STDIN_FILENO))
		sigaction(SIGTSTP, &sa, NULL);
	sa.sa_handler = SIG_IGN;
	sigaction(SIGPIPE, &sa, NULL);
}

/* --- where to --- */

/* The mail servers of a domain, best first, until one answers. */
static int
connect_by_mx(struct talk *t)
{
	struct dns d;
	struct dns_route route;
	struct buf err = BUF_INIT(2048);
	int status = CLIENT_RESOLVE;
	const char *domain = t->o->link.host;
	dns_route_init(&route);
	if (!dns_init(&d, &t->o->link, t->o->dns, &err) ||
	    dns_route(&d, str_of(domain), &route) != DNS_FOUND) {
		if (err.len == 0)
			dns_explain(&err, domain, route.status);
		event_result(t->ev, "resolve", status, STR_FMT, STR_ARG(buf_str(&err)));
	} else if (route.null_mx) {
		event_result(t->ev, "resolve", status, "%s takes no mail (null MX, RFC 7505).",
		    domain);
	} else {
		vouch_route(&t->o->vouch, domain, &route);
		for (size_t i = 0; i < route.n && status != CLIENT_OK && !talk_interrupted; i++) {
			event_note(t->ev, "MX %u %s", route.mx[i].pref, route.mx[i].host);
			t->o->link.host = route.mx[i].host;
			status = talk_connect(t);
			if (status != CLIENT_OK)
				talk_disconnect(t);
		}
	}
	t->mx_host = t->o->link.host == domain ? NULL : xstrdup(t->o->link.host);
	if (t->mx_host)
		t->o->link.host = t->mx_host;
	dns_route_done(&route);
	buf_done(&err);
	return status;
}

static void
talk_open(struct talk *t, struct client_options *o)
{
	*t = (struct talk){ .o = o,
		.ev = &o->events,
		.mode = mode_of(o->proto),
		.manual = BUF_INIT(1u << 20),
		.proposed = BUF_INIT(4096),
		.last_reply = BUF_INIT(128u << 10),
		.last_line = BUF_INIT(TALK_LINE_MAX),
		.in = BUF_INIT(TALK_LINE_MAX + (64u << 10)) };
	t->link.fd = -1;
	t->question.text = BUF_INIT(4096);
	talk_queue_init(&t->typed);
	talk_queue_init(&t->autos);
	talk_queue_init(&t->edits);
	o->stop = o->link.stop = o->secret.stop = &talk_interrupted;
	o->show.before = talk_hide;
	o->show.after = talk_show;
	o->show.arg = t;
	o->show.escape = true;
	talk_local_init(t);
}

static void
talk_done(struct talk *t)
{
	talk_disconnect(t);
	talk_local_done(t);
	talk_queue_clear(&t->typed);
	talk_queue_clear(&t->autos);
	talk_queue_clear(&t->edits);
	buf_done(&t->manual);
	buf_done(&t->proposed);
	buf_done(&t->last_reply);
	buf_wipe(&t->last_line);
	buf_done(&t->last_line);
	buf_wipe(&t->in);
	buf_done(&t->in);
	buf_done(&t->question.text);
	t->o->show.before = t->o->show.after = NULL;
}

/* From a pipe the first thing that was refused decides; a person at a terminal saw it. */
static int
final_status(struct talk *t)
{
	if (t->failed || t->terminal)
		return t->status;
	return t->state ? t->mode->status(t) : t->refused;
}

static int
converse(struct client_options *o)
{
	struct talk t;
	catch_signals();
	setlocale(LC_CTYPE, "");
	talk_open(&t, o);
	int status = o->mx ? connect_by_mx(&t) : talk_connect(&t);
	if (status == CLIENT_OK) {
		talk_loop(&t);
		status = final_status(&t);
		if (o->print_manual)
			talk_manual_print(&t);
		if (o->json)
			event_result(t.ev, NULL, status, "%s", "");
	}
	talk_done(&t);
	char *host = t.mx_host;
	status = options_done(o, status);
	free(host);
	return status;
}

static int
run(int argc, char **argv)
{
	const char *lint = NULL;
	struct client_options o;
	bool pipeline = false, temp_exit = false;
	const struct cli_opt extra[] = { { "--pipeline", OPT_FLAG, &pipeline },
		{ "--temp-exit", OPT_FLAG, &temp_exit }, { "--lint", OPT_VALUE, &lint }, { NULL } };
	int status = options_parse_with(&o, &cmd_talk, GROUPS, extra, argc, argv);
	if (status != CLIENT_OK)
		return status;
	o.strict_typing |= o.raw;
	o.pipeline |= pipeline;
	o.temp_exit |= temp_exit;
	if (lint && strcmp(lint, "warn") != 0 && strcmp(lint, "error") != 0 &&
	    strcmp(lint, "off") != 0)
		return options_done(&o, usage_error(&cmd_talk, "--lint takes warn, error or off"));
	if (lint)
		o.lint = *lint == 'w'   ? CLIENT_LINT_WARN
		         : *lint == 'e' ? CLIENT_LINT_ERROR
		                        : CLIENT_LINT_OFF;
	status = options_server(&o, 0, 25);
	if (status != CLIENT_OK)
		return options_done(&o, status);
	return converse(&o);
}
