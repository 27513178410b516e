/* replay: the command. */
#include "base/num.h"
#include "client/exit.h"
#include "client/options.h"
#include "client/secret.h"
#include "client/transcript.h"
#include "play/replay.h"
#include "play/run.h"
#include "sys/file.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

static volatile sig_atomic_t stop;

static void
on_signal(int sig)
{
	stop = sig;
}

struct given {
	const char *diff, *to, *convert, *session, *timeout, *user, *ca, *color;
	struct secret_from secret;
	bool implicit;
	struct link_conf link;
};

static bool
ask_secret(void *arg, struct buf *ret)
{
	struct given *g = arg;
	struct buf err = BUF_INIT(1024), prompt = BUF_INIT(1024);

	buf_putf(&prompt, "Password for %s: ", g->user);
	g->secret.prompt = buf_cstr(&prompt);
	int status = secret_get(&g->secret, ret, &err);
	if (status != CLIENT_OK)
		complain(STR_FMT, STR_ARG(buf_str(&err)));
	buf_done(&err);
	buf_done(&prompt);
	return status == CLIENT_OK;
}

static bool
choose(const char *option, const char *text, const char *const *words, unsigned *ret)
{
	struct buf all = BUF_INIT(256);

	for (unsigned i = 0; words[i]; i++) {
		if (!text || strcmp(text, words[i]) == 0) {
			*ret = text ? i : 0;
			return true;
		}
		buf_putf(&all, "%s%s", i ? ", " : "", words[i]);
	}
	usage_error(&cmd_replay, "%s cannot be %s; it is one of %s", option, text, buf_cstr(&all));
	buf_done(&all);
	return false;
}

/* HOST, HOST:PORT, [ADDR]:PORT, HOST PORT, or what the capture says. */
static bool
take_server(struct link_conf *l, const struct cli_words *w, const struct capture_session *s,
    char **own)
{
	static const uint16_t home[] = { 25, 143, 110 };
	struct str host = w->n > 1 ? str_of(w->v[1]) : s->host;
	size_t colon = str_rfind(host, ':');
	bool one_colon = colon < host.len && str_find(host, ':') == colon;
	bool bracket = str_starts(host, STR("["));
	uint64_t port = s->port ? s->port : home[s->proto];

	if (w->n > 1 && s->implicit)
		port = s->proto == CAPTURE_SMTP ? 465 : s->proto == CAPTURE_IMAP ? 993 : 995;
	if ((one_colon || (bracket && colon < host.len && host.p[colon - 1] == ']'))) {
		if (!num_u64(str_skip(host, colon + 1), 65535, &port) || port == 0)
			return usage_error(&cmd_replay, "there is no port " STR_FMT,
				   STR_ARG(str_skip(host, colon + 1))) == 0;
		host = str_first(host, colon);
	}
	if (w->n > 2) {
		port = options_port(str_of(w->v[2]));
		if (port == 0)
			return usage_error(&cmd_replay, "there is no port %s", w->v[2]) == 0;
	}
	if (!host.len || host.p[0] == '$')
		return usage_error(&cmd_replay,
			   "the capture does not say which server it was; name one") == 0;
	*own = str_dup(host);
	l->host = *own;
	l->port = (uint16_t)port;
	return true;
}

/* What people paste begins behind the greeting at times; run waits for one. */
static void
print_greeted(struct str text)
{
	size_t at = str_starts(text, STR("C: ")) ? 0 : str_find_str(text, STR("\nC: ")) + 1;

	printf(STR_FMT "S: .*\n" STR_FMT, STR_ARG(str_first(text, at)),
	    STR_ARG(str_skip(text, at)));
}

/* --- another format ---------------------------------------------------------------------- */

static void
emit_line(struct transcript *t, enum event_kind kind, const struct capture_line *l)
{
	struct buf b = BUF_INIT(CAPTURE_TEXT_MAX + 2);

	buf_puts(&b, l->text);
	buf_putz(&b, "\r\n");
	transcript_event(t, &(struct event){ .kind = kind,
				.octets = buf_str(&b),
				.masked = l->masked ? l->text : STR_NULL,
				.content = l->content });
	buf_done(&b);
}

static int
convert(const struct capture_session *s, enum transcript_format format)
{
	static const char *const protos[] = { "smtp", "imap", "pop3" };
	struct transcript t;
	const struct event tls = { .kind = EVENT_TLS, .text = STR("TLS") };
	int rc = transcript_open(&t, "-", format);
	bool closed = false, greeted = s->v[0].op == CAPTURE_CAME || format != TRANSCRIPT_CONV;
	char *text = NULL;
	size_t n = 0;

	if (rc == 0 && !greeted && (t.to = open_memstream(&text, &n)) == NULL)
		rc = -errno;
	t.proto = protos[s->proto];
	t.us = "c: ";
	t.them = "s: ";
	transcript_event(&t, &(struct event){ .kind = EVENT_CONNECT,
				 .text = s->host.len ? s->host : STR("server") });
	if (s->implicit)
		transcript_event(&t, &tls);
	for (size_t i = 0; rc == 0 && i < s->n; i++) {
		const struct capture_line *l = &s->v[i];
		if (l->op == CAPTURE_SENT)
			emit_line(&t, EVENT_SEND, l);
		else if (l->op == CAPTURE_CAME)
			emit_line(&t, EVENT_LINE, l);
		else if (l->op == CAPTURE_TLS)
			transcript_event(&t, &tls);
		else
			closed = true;
	}
	transcript_event(&t, &(struct event){ .kind = EVENT_CLOSE,
				 .text = STR("Connection closed by foreign host."),
				 .status = closed });
	int end = transcript_close(&t);
	rc = rc < 0 ? rc : end;
	if (rc == 0 && text)
		print_greeted(str_n(text, n));
	free(text);
	if (rc < 0)
		complain("it cannot be written: %s", strerror(-rc));
	return rc < 0 ? CLIENT_IO : CLIENT_OK;
}

/* --- */

static const struct capture_session *
pick(const struct capture *c, const char *text)
{
	uint64_t n = 1;

	if (text && (!num_u64(str_of(text), c->n, &n) || n == 0)) {
		usage_error(&cmd_replay, "--session wants a number from 1 to %zu, not %s", c->n,
		    text);
		return NULL;
	}
	if (!text && c->n > 1)
		fprintf(stderr,
		    "pennypost replay: there are %zu conversations in it; this is the first one "
		    "(--session N takes another)\n",
		    c->n);
	return &c->v[n - 1];
}

static int
replay(const struct given *g, const struct cli_words *w, const struct capture *c)
{
	static const char *const diffs[] = { "code", "enhanced", "text", NULL };
	static const char *const formats[] = { "conv", "telnet", "json", "html", NULL };
	static const enum transcript_format format[] = { TRANSCRIPT_CONV, TRANSCRIPT_TELNET,
		TRANSCRIPT_JSON, TRANSCRIPT_HTML };
	struct replay_options o = { .link = g->link,
		.out = stdout,
		.color = out_color(stdout),
		.secret = ask_secret,
		.arg = (void *)(uintptr_t)g,
		.user = str_of(g->user ? g->user : "") };
	unsigned diff, to;
	uint64_t seconds = 30;
	char *own = NULL;
	const struct capture_session *s = pick(c, g->session);

	if (!s || !choose("--diff", g->diff, diffs, &diff) ||
	    !choose("--convert", g->convert, formats, &to))
		return CLIENT_USAGE;
	if (g->convert)
		return convert(s, format[to]);
	if (g->timeout && (!num_u64(str_of(g->timeout), 3600, &seconds) || seconds == 0))
		return usage_error(&cmd_replay, "--timeout wants seconds, not %s", g->timeout);
	struct capture_session copy = *s;
	copy.implicit |= g->implicit;
	if (!take_server(&o.link, w, &copy, &own))
		return CLIENT_USAGE;
	o.diff = (enum replay_diff)diff;
	o.link.timeout_ms = (int64_t)seconds * 1000;
	o.link.tls.ca_file = g->ca;
	o.link.insecure = !g->ca && !g->link.verify_name;
	o.link.stop = &stop;
	int status = replay_play(&copy, &o);
	free(own);
	return status;
}

static void
catch_signals(void)
{
	struct sigaction sa = { .sa_handler = on_signal };

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static int
read_capture(const char *path, struct buf *text)
{
	int rc = strcmp(path, "-") == 0 ? file_read_fd(STDIN_FILENO, CAPTURE_TEXT_MAX, text)
	                                : file_read_all(path, CAPTURE_TEXT_MAX, text);

	if (rc < 0)
		complain("%s cannot be read: %s", path, strerror(-rc));
	return rc < 0 ? CLIENT_IO : CLIENT_OK;
}

static int
replay_main(int argc, char **argv)
{
	struct given g = { .diff = NULL };
	struct cli_words w;
	struct capture c = { .text = NULL };
	struct buf text = BUF_INIT(CAPTURE_TEXT_MAX + 1), err = BUF_INIT(4096);
	const struct cli_opt opts[] = {
		{ "--diff", OPT_VALUE, &g.diff },
		{ "--to", OPT_VALUE, &g.to },
		{ "--convert", OPT_VALUE, &g.convert },
		{ "--session", OPT_VALUE, &g.session },
		{ "--timeout", OPT_VALUE, &g.timeout },
		{ "--user", OPT_VALUE, &g.user },
		{ "--password-file", OPT_VALUE, &g.secret.file },
		{ "--password-fd", OPT_VALUE, &g.secret.fd },
		{ "--implicit", OPT_FLAG, &g.implicit },
		{ "--ca", OPT_VALUE, &g.ca },
		{ "--verify-name", OPT_VALUE, &g.link.verify_name },
		{ "--sni", OPT_VALUE, &g.link.sni },
		{ "--cert", OPT_VALUE, &g.link.tls.cert_file },
		{ "--key", OPT_VALUE, &g.link.tls.key_file },
		{ NULL },
	};

	if (!cli_parse(&cmd_replay, argc, argv, opts, &w))
		return CLIENT_USAGE;
	int status = CLIENT_OK;
	if (g.to && w.n == 1) { /* as `pennypost run` has it */
		w.v = xrealloc(w.v, 2 * sizeof(*w.v));
		w.v[w.n++] = g.to;
	} else if (g.to) {
		status = usage_error(&cmd_replay, "--to, or the server behind the transcript");
	}
	if (status == CLIENT_OK && (w.n < 1 || w.n > 3))
		status = usage_error(&cmd_replay,
		    "name a transcript and, if it is another one, a server");
	if (status == CLIENT_OK)
		status = read_capture(w.v[0], &text);
	if (status == CLIENT_OK && !capture_parse(&c, buf_str(&text), &err)) {
		complain("%s: " STR_FMT, w.v[0], STR_ARG(buf_str(&err)));
		status = CLIENT_USAGE;
	}
	catch_signals();
	if (status == CLIENT_OK)
		status = replay(&g, &w, &c);
	capture_done(&c);
	buf_done(&text);
	buf_done(&err);
	free(w.v);
	return status;
}

const struct cli_cmd cmd_replay = {
	.name = "replay",
	.summary = "Play a recorded conversation again and compare the answers",
	.usage = "[options] TRANSCRIPT [HOST[:PORT] | HOST PORT]\n--convert FORMAT [--session N] "
		 "TRANSCRIPT",
	.help =
	    "TRANSCRIPT is what telnet showed, as people paste it into pages: with the labels c:\n"
	    "and s: or without, with text around it or not; or a transcript of `pennypost talk`\n"
	    "(telnet, json, html). - is standard input. The client's lines are sent, octet for\n"
	    "octet; the server's answers are compared. Without HOST it is the server of the\n"
	    "telnet line.\n"
	    "\n"
	    "  --diff WHAT      what must be the same: code (the default), enhanced: code and\n"
	    "                   enhanced code, or text\n"
	    "  --to HOST[:PORT] the server, as for `pennypost run`\n"
	    "  --session N      of several conversations in it, the Nth (default: the first)\n"
	    "  --convert FORMAT play nothing: write it as conv (for `pennypost run`), telnet,\n"
	    "                   json or html\n"
	    "  --user NAME      for log-ins that were masked when it was recorded; the password "
	    "is\n"
	    "                   asked for, or comes from --password-file FILE, --password-fd N\n"
	    "  --timeout SEC    how long an answer may take (default 30)\n"
	    "  --implicit       TLS from the start\n"
	    "  --ca FILE, --verify-name NAME\n"
	    "                   verify certificates; else they are not looked at\n"
	    "  --sni NAME, --cert FILE, --key FILE\n"
	    "                   the name asked for, and a client's certificate and key\n"
	    "\n"
	    "Lines behind - were recorded and are no longer so, lines behind + came instead.\n"
	    "\n"
	    "Examples:\n"
	    "  pennypost replay page.txt mail.example.com:25\n"
	    "  pennypost replay --diff=text --session 2 page.txt\n"
	    "  pennypost replay --convert conv page.txt > page.conv\n"
	    "\n"
	    "Exit status: 0 the answers are as they were, 16 they differ, 1 usage, 2 to 5 and 15 "
	    "as\n"
	    "`pennypost talk` has them, 18 a file cannot be read.\n",
	.words =
	    "--diff=code|enhanced|text --to= --session= --convert=conv|telnet|json|html --user= "
	    "--password-file=FILE --password-fd= --timeout= --implicit --ca=FILE --verify-name= "
	    "--sni= --cert=FILE --key=FILE",
	.run = replay_main,
	.client = true,
};
