/* send: one letter, one shot. */
#include "oneshot/send_priv.h"

#include "base/check.h"
#include "base/utf8.h"
#include "client/dns.h"
#include "client/options_text.h"

#include <stdlib.h>

#define TEXT_MAX 300u

/* --- what became of it --- */

static void
keep_result(void *arg, size_t rcpt, const struct answer *a)
{
	struct sending *s = arg;
	struct str text = a ? buf_str(&a->text) : STR_NULL;
	text = str_first(text, str_find(text, '\n'));
	free(s->texts[rcpt]);
	s->texts[rcpt] = str_dup(str_first(text, TEXT_MAX));
}

static const struct {
	const char *name, *shown;
	enum say_mood mood;
} fates[] = {
	[SMTP_FATE_OPEN] = { "open", "not sent", SAY_GREY },
	[SMTP_FATE_ACCEPTED] = { "accepted", "accepted", SAY_GOOD },
	[SMTP_FATE_SENT] = { "sent", "sent", SAY_GOOD },
	[SMTP_FATE_REFUSED] = { "refused", "REFUSED", SAY_BAD },
	[SMTP_FATE_UNKNOWN] = { "unknown", "UNKNOWN", SAY_UNSURE },
	[SMTP_FATE_UNSENT] = { "unsent", "not sent", SAY_BAD },
};

static void
tell_json(const struct sending *s, size_t i)
{
	const struct smtp_client_rcpt *r = &s->rcpts[i];
	json_t *root = json_pack("{sssossss}", "ev", "recipient", "to", out_json_text(r->addr),
	    "result", fates[r->fate].name, "step", smtp_step_name[r->step]);
	if (r->code)
		json_object_set_new(root, "code", json_integer(r->code));
	if (r->enhanced[0])
		json_object_set_new(root, "enh", json_string(r->enhanced));
	if (s->texts[i])
		json_object_set_new(root, "text", out_json_text(str_of(s->texts[i])));
	say_json(root);
}

static void
tell_people(const struct sending *s)
{
	struct say_table t;
	say_table_init(&t, 4);
	for (size_t i = 0; i < s->n; i++) {
		const struct smtp_client_rcpt *r = &s->rcpts[i];
		struct buf addr = BUF_INIT(4000), text = BUF_INIT(4000);
		show_escape(&addr, r->addr);
		show_escape(&text, s->texts[i] ? str_of(s->texts[i]) : STR_NULL);
		say_cell(&t, STR_FMT, STR_ARG(buf_str(&addr)));
		say_cell(&t, "%s", fates[r->fate].shown);
		say_cell(&t, "%s", smtp_step_name[r->step]);
		if (r->code)
			say_cell(&t, "%d " STR_FMT, r->code, STR_ARG(buf_str(&text)));
		else
			say_cell(&t, "%s",
			    r->fate == SMTP_FATE_UNKNOWN
				? "lost behind the end: it may have arrived"
				: "");
		buf_done(&addr);
		buf_done(&text);
	}
	say_table_print(&t, stdout);
}

static void
tell_results(const struct sending *s)
{
	if (s->o->json)
		for (size_t i = 0; i < s->n; i++)
			tell_json(s, i);
	else if (!s->o->show.quiet)
		tell_people(s);
}

/* --- one session --- */

/* Octets of the letter with CRLF line ends (RFC 1870 5), the last one's, too. */
static uint64_t
wire_size(struct str letter)
{
	uint64_t size = letter.len;
	if (letter.len && letter.p[letter.len - 1] != '\n' && letter.p[letter.len - 1] != '\r')
		size += 2;
	for (size_t i = 0; i < letter.len; i++) {
		if (letter.p[i] == '\n' && (i == 0 || letter.p[i - 1] != '\r'))
			size++;
		if (letter.p[i] == '\r' && (i + 1 == letter.len || letter.p[i + 1] != '\n'))
			size++;
	}
	return size;
}

/* What depends on what the server offers. */
static void
fit(struct sending *s, struct smtp_run *r)
{
	const struct client_options *o = s->o;
	const struct caps *caps = smtp_client_caps(r->c);
	bool as_is = s->e.as_is || s->e.body == SMTP_BODY_BINARY;
	s->e.size = o->no_size ? 0 : as_is ? s->letter.len : wire_size(buf_str(&s->letter));
	if (o->size)
		s->e.anyway |= SMTP_LACKS_SIZE;
	if (o->body || !s->eight_bit)
		return;
	if (caps_have(caps, CAPS_8BITMIME))
		s->e.body = SMTP_BODY_8BIT;
	else
		event_warn(&s->o->events, "mail",
		    "the letter has octets above 127, and the server does not "
		    "offer 8BITMIME: it is sent as it is, and may be damaged");
}

static int
session(struct sending *s, struct smtp_run *r)
{
	if (s->at_connect)
		return CLIENT_OK;
	if (s->stops && s->until < SMTP_STEP_MAIL)
		return smtp_run_go(r, s->until);
	int status = smtp_run_go(r, SMTP_STEP_AUTH);
	if (status != CLIENT_OK)
		return status;
	fit(s, r);
	r->stop_at_data = s->at_data;
	return smtp_run_letter(r, &s->e, buf_str(&s->letter), s->until);
}

static int
finish(struct sending *s, struct smtp_run *r, int status)
{
	bool quits = r->c && !r->stopped && !s->drops && status != CLIENT_INTERRUPTED &&
	             status != CLIENT_TIMEOUT;
	s->temporary = s->temporary || r->temporary;
	for (size_t i = 0; status != CLIENT_OK && i < s->n; i++) {
		struct smtp_client_rcpt *one = &s->rcpts[i];
		if (one->fate == SMTP_FATE_ACCEPTED && r->stuck) {
			one->fate = r->step == SMTP_STEP_DOT ? SMTP_FATE_UNKNOWN : SMTP_FATE_UNSENT;
			one->code = 0;
			one->step = r->step;
		}
		if (one->fate == SMTP_FATE_OPEN)
			one->step = r->step;
	}
	if (r->stopped && !s->drops)
		event_note(&s->o->events, "behind 354 there is no QUIT: the connection is closed");
	if (quits)
		smtp_run_quit(r);
	if (status != CLIENT_OK)
		event_result(&s->o->events, smtp_step_name[r->step], status, STR_FMT,
		    STR_ARG(buf_str(&r->why)));
	smtp_run_close(r);
	return status;
}

/* The mail servers of a domain; CLIENT_OK, or the exit status after a message. */
static int
find_route(struct sending *s, const char *domain, struct dns_route *ret)
{
	struct client_options *o = s->o;
	struct dns d;
	struct buf err = BUF_INIT(1000);
	int status = CLIENT_OK;
	if (!dns_init(&d, &o->link, o->dns, &err)) {
		status = event_result(&o->events, "resolve", CLIENT_USAGE, STR_FMT,
		    STR_ARG(buf_str(&err)));
	} else if (dns_route(&d, str_of(domain), ret) != DNS_FOUND || ret->null_mx) {
		const struct dns_status_text *t = &dns_status_text[ret->status];
		status = event_result(&o->events, "resolve", CLIENT_RESOLVE, "%s: %s; %s", domain,
		    ret->null_mx ? "it takes no mail (RFC 7505)" : t->text,
		    ret->null_mx ? "ask its owner for another address" : t->remedy);
	}
	buf_done(&err);
	return status;
}

/* RFC 5321 5.1: who cannot be reached, or says no at once, is not the last one. */
static bool
next_may_do(int status)
{
	return status == CLIENT_CONNECT || status == CLIENT_RESOLVE || status == CLIENT_TIMEOUT ||
	       status == CLIENT_GREETING || status == CLIENT_CLOSED;
}

/* The mail servers of the domain, best first, until one greets us. */
static int
by_mx(struct sending *s, struct smtp_run *r, const char *domain)
{
	struct client_options *o = s->o;
	struct dns_route route;
	bool done = false;
	dns_route_init(&route);
	int status = find_route(s, domain, &route);
	vouch_route(&o->vouch, domain, &route);
	for (size_t i = 0; i < route.n && !route.null_mx && !done; i++) {
		const char *host = o->link.host;
		o->link.host = route.mx[i].host;
		event_note(&o->events, "%s: mail goes to %s (preference %u)", domain,
		    route.mx[i].host, route.mx[i].pref);
		status = smtp_run_open(r, o);
		if (status == CLIENT_OK && !s->at_connect)
			status = smtp_run_go(r, SMTP_STEP_GREETING);
		/* A host that DANE or MTA-STS refuse is not even connected to. */
		bool refused = status == CLIENT_TLS && r->link.fd < 0;
		done = !(refused || next_may_do(status)) || i + 1 == route.n;
		if (done) {
			if (status == CLIENT_OK)
				status = session(s, r);
			status = finish(s, r, status);
		} else {
			event_warn(&o->events, r->c ? "greeting" : "connect",
			    STR_FMT "; the next one is tried", STR_ARG(buf_str(&r->why)));
			if (status == CLIENT_GREETING)
				(void)smtp_run_quit(r);
			smtp_run_close(r);
		}
		o->link.host = host;
	}
	dns_route_done(&route);
	return status;
}

static int
once(struct sending *s)
{
	struct smtp_run r = { .result = keep_result, .arg = s };
	if (s->o->mx)
		return by_mx(s, &r, s->o->link.host);
	int status = smtp_run_open(&r, s->o);
	if (status == CLIENT_OK)
		status = session(s, &r);
	return finish(s, &r, status);
}

/* --- the command line --- */

static const struct {
	const char *name;
	enum smtp_client_step until;
	bool connect, data;
} stops[] = {
	{ "connect", SMTP_STEP_GREETING, true, false },
	{ "greeting", SMTP_STEP_GREETING, false, false },
	{ "ehlo", SMTP_STEP_HELLO, false, false },
	{ "starttls", SMTP_STEP_STARTTLS, false, false },
	{ "auth", SMTP_STEP_AUTH, false, false },
	{ "mail", SMTP_STEP_MAIL, false, false },
	{ "rcpt", SMTP_STEP_RCPT, false, false },
	{ "data", SMTP_STEP_DOT, false, true },
	{ "dot", SMTP_STEP_DOT, false, false },
};

static int
take_stop(struct sending *s)
{
	const struct client_options *o = s->o;
	const char *word = o->quit_after ? o->quit_after : o->drop_after;
	s->until = SMTP_STEP_DOT;
	if (o->quit_after && o->drop_after)
		return usage_error(o->cmd, "--quit-after or --drop-after, not both");
	if (!word)
		return CLIENT_OK;
	for (size_t i = 0; i < ARRAY_LEN(stops); i++)
		if (strcmp(word, stops[i].name) == 0) {
			s->stops = true;
			s->drops = o->drop_after != NULL;
			s->until = stops[i].until;
			s->at_connect = stops[i].connect;
			s->at_data = stops[i].data;
			return CLIENT_OK;
		}
	return usage_error(o->cmd,
	    "no step \"%s\": connect, greeting, ehlo, starttls, auth, mail, rcpt, data "
	    "or dot",
	    word);
}

static int
take_host(struct sending *s)
{
	struct client_options *o = s->o;
	if (!o->mx)
		return options_server(o, 0, o->proto_given && o->proto == PROTO_LMTP ? 24 : 25);
	struct str to = s->n ? s->rcpts[0].addr : STR_NULL;
	const char *at = s->n ? strrchr(s->rcpts[0].addr.p, '@') : NULL;
	if (o->words.n > 1)
		return usage_error(o->cmd, "--mx takes one domain");
	if (o->words.n == 0 && (!at || to.len == 0))
		return usage_error(o->cmd, "--mx: of which domain?");
	o->link.host = o->words.n ? o->words.v[0] : at + 1;
	o->link.port = o->port ? o->port : 25;
	o->proto = PROTO_SMTP;
	return CLIENT_OK;
}

static int
take_envelope(struct sending *s)
{
	struct client_options *o = s->o;
	struct smtp_client_rcpt each;
	struct buf err = BUF_INIT(500);
	bool early = s->stops && (s->at_connect || s->until < SMTP_STEP_MAIL);
	if (early && !o->from && !o->null_sender)
		o->null_sender = true;
	if (s->n == 0 && !early) {
		buf_done(&err);
		return usage_error(o->cmd, "who gets it? --to ADDRESS");
	}
	bool ok = smtp_run_envelope(o, &s->e, &each, &err);
	if (!ok)
		usage_error(o->cmd, STR_FMT, STR_ARG(buf_str(&err)));
	buf_done(&err);
	if (!ok)
		return CLIENT_USAGE;
	bool ascii = utf8_is_ascii(s->e.from);
	for (size_t i = 0; i < s->n; i++) {
		s->rcpts[i].notify = each.notify;
		s->rcpts[i].params = each.params;
		ascii = ascii && utf8_is_ascii(s->rcpts[i].addr);
	}
	s->e.utf8 = s->e.utf8 || !ascii;
	s->e.rcpts = s->rcpts;
	s->e.n_rcpts = s->n;
	s->texts = xalloc((s->n + 1) * sizeof(*s->texts));
	return early ? CLIENT_OK : send_take_letter(s);
}

static int
send_all(struct sending *s)
{
	int status = s->letter.max > 0 ? send_lint(s) : CLIENT_OK;
	uint64_t times = s->o->repeat ? s->o->repeat : 1;
	if (status != CLIENT_OK)
		return status;
	for (uint64_t i = 0; i < times; i++) {
		int now = once(s);
		if (s->until >= SMTP_STEP_RCPT && !s->at_connect)
			tell_results(s);
		status = status ? status : now;
		if (now == CLIENT_INTERRUPTED || now == CLIENT_USAGE)
			break;
	}
	if (status != CLIENT_OK && s->temporary && s->o->temp_exit)
		status = CLIENT_TEMPORARY;
	if (s->o->json)
		event_result(&s->o->events, NULL, status, "%s", "");
	return status;
}

static int
run(int argc, char **argv)
{
	struct client_options *o = xalloc(sizeof(*o));
	struct sending s = { .o = o };
	int status = options_parse(o, cli_cmd_find("send"),
	    OPTIONS_CONNECT | OPTIONS_HELLO | OPTIONS_AUTH | OPTIONS_ENVELOPE | OPTIONS_MESSAGE |
		OPTIONS_WIRE | OPTIONS_OUTPUT | OPTIONS_FLOW,
	    argc, argv);
	if (status == CLIENT_OK)
		status = take_stop(&s);
	if (status == CLIENT_OK)
		status = send_take_rcpts(&s);
	if (status == CLIENT_OK)
		status = take_host(&s);
	if (status == CLIENT_OK && o->proto != PROTO_SMTP && o->proto != PROTO_LMTP)
		status = usage_error(o->cmd, "letters are sent by SMTP or LMTP, not by %s",
		    client_proto_name[o->proto]);
	if (status == CLIENT_OK)
		status = take_envelope(&s);
	if (status == CLIENT_OK)
		status = send_all(&s);
	status = options_done(o, status);
	for (size_t i = 0; i < s.n; i++) {
		void *p;
		memcpy(&p, &s.rcpts[i].addr.p, sizeof(p)); /* ours, by str_dup() */
		free(p);
		if (s.texts)
			free(s.texts[i]);
	}
	free(s.rcpts);
	free(s.texts);
	buf_done(&s.letter);
	free(o);
	return status;
}

const struct cli_cmd cmd_send = {
	.name = "send",
	.summary = "Send one letter, and say what became of it for each recipient",
	.usage = "[OPTION]... HOST[:PORT]\n[OPTION]... --mx [DOMAIN]",
	.help =
	    "The conversation is shown while it goes; a line for each recipient ends it. "
	    "Recipients\n"
	    "are parted by commas, --to may come again, and --to @FILE takes one from each line.\n"
	    "Without --text, --data or the like a short test is sent. HOST may be unix:/path, the\n"
	    "socket of a file, where LMTP is spoken unless --proto says otherwise.\n"
	    "\n" OPTIONS_HELP_CONNECT "\n" OPTIONS_HELP_HELLO "\n" OPTIONS_HELP_AUTH
	    "\n" OPTIONS_HELP_ENVELOPE "\n" OPTIONS_HELP_MESSAGE "\n" OPTIONS_HELP_WIRE
	    "\n" OPTIONS_HELP_OUTPUT "\n" OPTIONS_HELP_FLOW "\n"
	    "Exit status: 0 taken for everybody, 2 name, 3 connect, 4 TLS, 5 TLS refused, 6 "
	    "greeting,\n"
	    "7 EHLO, 8 login, 9 sender, 10 every recipient refused, 11 some, 12 letter refused,\n"
	    "13 temporary (--temp-exit), 14 closed, 15 timeout, 17 lint, 18 a file.\n"
	    "\n"
	    "Examples:\n"
	    "  pennypost send --from me@example.org --to joe@example.com mail.example.com\n"
	    "  pennypost send --auth --user me@example.org --to joe@example.com --subject Hello "
	    "\\\n"
	    "      --text 'See you' --attach plan.pdf --starttls mail.example.org:587\n"
	    "  pennypost send --from me@example.org --to joe@example.com --data letter.eml --mx\n"
	    "  pennypost send --proto lmtp --null-sender --to joe --quit-after rcpt localhost:24\n",
	.words = OPTIONS_WORDS_CONNECT " " OPTIONS_WORDS_HELLO " " OPTIONS_WORDS_AUTH
				       " " OPTIONS_WORDS_ENVELOPE " " OPTIONS_WORDS_MESSAGE
				       " " OPTIONS_WORDS_WIRE " " OPTIONS_WORDS_OUTPUT
				       " " OPTIONS_WORDS_FLOW,
	.run = run,
	.client = true,
};
