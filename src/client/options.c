#include "client/options.h"

#include "base/check.h"
#include "base/num.h"
#include "base/suggest.h"
#include "client/exit.h"
#include "client/options_priv.h"
#include "client/show_priv.h"

#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define TIMEOUT_MS 30000

const char *const client_proto_name[PROTO_COUNT] = {
	[PROTO_SMTP] = "smtp",
	[PROTO_LMTP] = "lmtp",
	[PROTO_IMAP] = "imap",
	[PROTO_POP3] = "pop3",
	[PROTO_SIEVE] = "sieve",
	[PROTO_RAW] = "raw",
};

/* --- memory and messages ------------------------------------------------------------------ */

const char *
options_keep(struct client_options *o, struct str text)
{
	struct options_memory *m = o->memory;
	char *copy = str_dup(text);

	check(copy);
	m->v = xrealloc(m->v, (m->n + 1) * sizeof(*m->v));
	m->v[m->n++] = copy;
	return copy;
}

bool
options_complain(const struct client_options *o, const char *fmt, ...)
{
	const struct options_memory *m = o->memory;
	struct buf b = BUF_INIT(8192), shown = BUF_INIT(32768);
	va_list ap;

	va_start(ap, fmt);
	buf_vputf(&b, fmt, ap);
	va_end(ap);
	show_escape(&shown, buf_str(&b));
	const char *text = buf_cstr(&shown) ? shown.p : "";
	if (m->where)
		usage_error(o->cmd, "%s: %s", m->where, text);
	else
		usage_error(o->cmd, "%s", text);
	buf_done(&b);
	buf_done(&shown);
	return false;
}

void
options_push(struct cli_words *w, const char *text)
{
	w->v = xrealloc(w->v, (w->n + 1) * sizeof(*w->v));
	w->v[w->n++] = text;
}

/* --- the command line --------------------------------------------------------------------- */

static const struct option *
option_find(struct str name, unsigned groups)
{
	for (const struct option *row = option_rows; row->name; row++)
		if (row->groups & groups && str_eq(str_of(row->name), name))
			return row;
	return NULL;
}

/* What people have in their fingers from swaks. */
static const struct {
	const char *theirs, *ours;
} swaks_names[] = {
	{ "--server", "HOST[:PORT], the last word" },
	{ "-s", "HOST[:PORT], the last word" },
	{ "-p", "--port" },
	{ "-t", "--to" },
	{ "-f", "--from" },
	{ "-h", "--ehlo" },
	{ "--helo", "--ehlo" },
	{ "-tls", "--tls=must" },
	{ "-tlsc", "--tls=implicit" },
	{ "--tls-on-connect", "--tls=implicit" },
	{ "--tls-optional", "--tls=may" },
	{ "--tls-verify", "the default where TLS is required" },
	{ "--tls-cert", "--cert" },
	{ "--tls-key", "--key" },
	{ "--tls-ca-path", "--ca" },
	{ "--tls-sni", "--sni" },
	{ "-a", "--auth" },
	{ "-au", "--user" },
	{ "--auth-user", "--user" },
	{ "-ap", "asked for, or --password-file FILE" },
	{ "--auth-password", "asked for, or --password-file FILE" },
	{ "-d", "--data" },
	{ "--add-header", "--header" },
	{ "--protocol", "--proto lmtp, or --hello=helo" },
	{ "--local-interface", "--bind" },
	{ "-li", "--bind" },
	{ "-S", "--quiet" },
	{ "--silent", "--quiet" },
	{ "--show-time-lapse", "--timing" },
	{ "--output", "--transcript" },
};

static const char *
swaks_name(struct str name)
{
	for (size_t i = 0; i < ARRAY_LEN(swaks_names); i++)
		if (str_eq(str_of(swaks_names[i].theirs), name))
			return swaks_names[i].ours;
	return NULL;
}

static bool
unknown(const struct client_options *o, struct str name, unsigned groups)
{
	struct suggest s;
	const struct options_memory *m = o->memory;
	bool elsewhere = option_find(name, ~0u) != NULL;

	suggest_init(&s, name);
	for (const struct option *row = option_rows; row->name; row++)
		if (row->groups & groups && !str_eq(str_of(row->name), STR("--password")))
			suggest_offer(&s, row->name);
	for (const struct cli_opt *row = m->extra; row && row->name; row++)
		suggest_offer(&s, row->name);
	if (elsewhere)
		return options_complain(o, "%s takes no option " STR_FMT, o->cmd->name,
		    STR_ARG(name));
	if (swaks_name(name))
		return options_complain(o,
		    "there is no option " STR_FMT "; what swaks calls so is %s", STR_ARG(name),
		    swaks_name(name));
	if (suggest_best(&s) && name.len > 3) /* any two short options are near each other */
		return options_complain(o, "there is no option " STR_FMT "; did you mean %s?",
		    STR_ARG(name), suggest_best(&s));
	return options_complain(o, "there is no option " STR_FMT, STR_ARG(name));
}

/* One of the command's own; false with *ret_ok as it was: there is none of that name. */
static bool
take_extra(struct client_options *o, int argc, char **argv, int *i, bool *ret_ok)
{
	const struct options_memory *m = o->memory;
	const struct cli_opt *row = m->extra;
	struct str arg = str_of(argv[*i]), name = str_first(arg, str_find(arg, '='));
	bool joined = name.len < arg.len;

	while (row && row->name && !str_eq(str_of(row->name), name))
		row++;
	if (!row || !row->name)
		return false;
	if (row->kind == OPT_FLAG) {
		*ret_ok = !joined || options_complain(o, "%s takes no value", row->name);
		*(bool *)row->to = true;
		return true;
	}
	if (!joined && *i + 1 >= argc) {
		*ret_ok = options_complain(o, "%s needs a value", row->name);
		return true;
	}
	const char *value = joined ? argv[*i] + name.len + 1 : argv[++*i];
	if (row->kind == OPT_LIST)
		options_push(row->to, value);
	else
		*(const char **)row->to = value;
	*ret_ok = true;
	return true;
}

static bool
wants_value(enum option_kind kind)
{
	return kind == OPTION_TEXT || kind == OPTION_LIST || kind == OPTION_NUMBER ||
	       kind == OPTION_CHOICE || kind == OPTION_WORD || kind == OPTION_SET ||
	       kind == OPTION_SKIP_VALUE;
}

/* *i stands on the option; behind a value in a word of its own it stands on that. */
static bool
take_option(struct client_options *o, unsigned groups, int argc, char **argv, int *i)
{
	struct str arg = str_of(argv[*i]), name = str_first(arg, str_find(arg, '='));
	const struct option *row = option_find(name, groups);
	bool joined = name.len < arg.len;
	const char *value = joined ? argv[*i] + name.len + 1 : NULL;
	bool ok;

	if (take_extra(o, argc, argv, i, &ok))
		return ok;
	if (!row)
		return unknown(o, name, groups);
	if (row->kind == OPTION_MAYBE)
		return options_take(o, row, value);
	if (!wants_value(row->kind)) {
		if (joined)
			return options_complain(o, "%s takes no value", row->name);
		return options_take(o, row, NULL);
	}
	if (!joined && *i + 1 >= argc)
		return options_complain(o, "%s needs a value", row->name);
	return options_take(o, row, joined ? value : argv[++*i]);
}

static bool
take_all(struct client_options *o, unsigned groups, int argc, char **argv)
{
	bool words_only = false;

	for (int i = 1; i < argc; i++) {
		bool is_option = !words_only && argv[i][0] == '-' && argv[i][1] != '\0';
		if (is_option && strcmp(argv[i], "--") == 0)
			words_only = true;
		else if (!is_option)
			options_push(&o->words, argv[i]);
		else if (!take_option(o, groups, argc, argv, &i))
			return false;
	}
	return true;
}

/* The profile's name is wanted before anything else is read. False after a message. */
static bool
profile_name(struct client_options *o, int argc, char **argv, const char **ret)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
		if (strncmp(argv[i], "--profile=", 10) == 0)
			*ret = argv[i] + 10;
		else if (strcmp(argv[i], "--profile") == 0 && i + 1 < argc)
			*ret = argv[i + 1];
	}
	return *ret == NULL || **ret ||
	       options_complain(o, "--profile needs the name of a profile");
}

/* --- what follows from it ----------------------------------------------------------------- */

/* A certificate is judged where one is asked for by a word of the user's, and where credentials may
 * go; else STARTTLS that MAY be is better than nothing, whoever it is with. */
void
options_settle_trust(struct client_options *o)
{
	const struct options_memory *m = o->memory;
	bool may = o->tls == CLIENT_TLS_MAY && !m->verify && o->link.n_pins == 0 && !o->auth;

	o->link.insecure = o->insecure || may;
	o->vouch.lenient = o->insecure;
}

/* What is put into commands must not end them. */
static bool
one_line(const char *s)
{
	for (; s && *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return false;
	return true;
}

/* Whoever answers for the name service would choose who gets the password (RFC 8314 5.1 has it look
 * for names that the user knows). */
static bool
login_is_safe(struct client_options *o)
{
	if (!o->mx || !o->auth || o->insecure || o->link.verify_name || o->link.n_pins ||
	    o->vouch.dane) /* which wants the way to be proven, too */
		return true;
	return options_complain(o,
	    "--mx lets the name service choose the server, which would get the password: name the "
	    "server, or say who it must be with --verify-name, --pin or --dane");
}

static bool
consistent(struct client_options *o)
{
	const struct tls_client_conf *t = &o->link.tls;

	if (t->min_version && t->max_version && t->min_version > t->max_version)
		return options_complain(o, "--tls-min is above --tls-max");
	if ((o->vouch.dane || o->vouch.mta_sts) && o->tls == CLIENT_TLS_NEVER)
		return options_complain(o, "--dane and --mta-sts do not go with --tls=never");
	if ((o->vouch.dane || o->vouch.mta_sts) && o->link.n_pins)
		return options_complain(o, "--dane and --mta-sts do not go with --pin");
	if (t->key_file && !t->cert_file)
		return options_complain(o, "--key needs --cert");
	if (!one_line(o->user) || !one_line(o->authzid) || !one_line(o->ehlo) ||
	    !one_line(o->source_ehlo))
		return options_complain(o,
		    "there are no control characters in --user, --authzid and --ehlo");
	if (o->null_sender && o->from)
		return options_complain(o, "--null-sender and --from do not go together");
	if (o->size && o->no_size)
		return options_complain(o, "--size and --no-size do not go together");
	if (o->eicar && o->gtube)
		return options_complain(o, "--eicar and --gtube do not go together");
	if (o->data && (o->text || o->text_file || o->html || o->attach.n))
		return options_complain(o,
		    "--data is the whole letter: it does not go with --text, --text-file, --html "
		    "and --attach");
	if (o->text && o->text_file)
		return options_complain(o, "--text and --text-file do not go together");
	if (o->show.quiet && o->show.verbose)
		return options_complain(o, "--quiet and --verbose do not go together");
	return true;
}

static void
settle_secret(struct client_options *o, unsigned groups)
{
	struct buf b = BUF_INIT(1024);

	if (o->secret.file || o->secret.fd || o->secret.command)
		o->auth = true;
	if (o->user && !(groups & OPTIONS_TALK))
		o->auth = true;
	if (o->user) {
		buf_putz(&b, "Password for ");
		show_escape(&b, str_of(o->user));
		buf_putz(&b, ": ");
	}
	o->secret.prompt = b.len && !b.failed ? options_keep(o, buf_str(&b)) : "Password: ";
	buf_done(&b);
}

static void
put_json(void *arg, const struct event *e)
{
	const struct client_options *o = arg;
	struct buf b = BUF_INIT(SIZE_MAX / 2), text = BUF_INIT(8192);

	transcript_json(&b, e, o->show.show_secrets);
	buf_putc(&b, '\n');
	if (e->kind == EVENT_REPLY && show_meaning(o->show.explain, e, &text)) {
		transcript_json_meaning(&b, e, buf_str(&text));
		buf_putc(&b, '\n');
	}
	buf_done(&text);
	if (!b.failed)
		fwrite(b.p, 1, b.len, stdout);
	fflush(stdout);
	buf_wipe(&b);
	buf_done(&b);
}

static int
open_transcript(struct client_options *o, struct transcript *t, const char *path,
    enum transcript_format format)
{
	*t = (struct transcript){ .us = o->labels ? o->show.us : "",
		.them = o->labels ? o->show.them : "",
		.proto = client_proto_name[o->proto],
		.port = o->port,
		.show_secrets = o->show.show_secrets };
	int error = transcript_open(t, path, format);
	if (error == 0)
		return CLIENT_OK;
	complain("%s cannot be written: %s", path, strerror(-error));
	return CLIENT_IO;
}

static enum transcript_format
format_by_name(const char *path)
{
	struct str s = str_of(path);
	enum transcript_format format = TRANSCRIPT_TELNET;
	size_t dot = str_rfind(s, '.');

	if (dot < s.len && transcript_format_find(str_skip(s, dot + 1), &format))
		return format;
	return TRANSCRIPT_TELNET;
}

static int
settle_output(struct client_options *o)
{
	o->show.color = o->color == SHOW_COLOR_ALWAYS ||
	                (o->color == SHOW_COLOR_AUTO && out_color(o->show.out));
	if (o->json)
		events_add(&o->events, put_json, o);
	else
		events_add(&o->events, show_event, &o->show);
	if (o->transcript) {
		enum transcript_format format =
		    o->format_given ? o->format : format_by_name(o->transcript);
		int status = open_transcript(o, &o->kept, o->transcript, format);
		if (status != CLIENT_OK)
			return status;
		events_add(&o->events, transcript_event, &o->kept);
	}
	if (o->record) {
		int status = open_transcript(o, &o->recorded, o->record, TRANSCRIPT_CONV);
		if (status != CLIENT_OK)
			return status;
		events_add(&o->events, transcript_event, &o->recorded);
	}
	return CLIENT_OK;
}

/* The first signal asks to stop, the second one does it. */
static volatile sig_atomic_t stop_asked;

static void
ask_to_stop(int signal)
{
	(void)signal;
	stop_asked = 1;
}

static void
catch_signals(struct client_options *o)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction sa = { .sa_handler = ask_to_stop, .sa_flags = (int)SA_RESETHAND };

	for (size_t i = 0; i < ARRAY_LEN(signals); i++) {
		struct sigaction old;
		/* What is ignored (nohup) stays so. */
		if (sigaction(signals[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
			sigaction(signals[i], &sa, NULL);
	}
	o->stop = &stop_asked;
	o->link.stop = &stop_asked;
	o->secret.stop = &stop_asked;
}

static void
set_defaults(struct client_options *o, const struct cli_cmd *cmd)
{
	*o = (struct client_options){ .cmd = cmd };
	o->memory = xalloc(sizeof(struct options_memory));
	o->link.timeout_ms = TIMEOUT_MS;
	o->parallel = 1;
	o->repeat = 1;
	o->warn_days = UINT64_MAX;
	o->method = "rcpt";
	o->show = (struct show){ .out = stdout, .us = "c: ", .them = "s: " };
	const char *server = getenv("PENNYPOST_SERVER");
	if (!server || !*server)
		server = getenv("REMOTE_SRV");
	o->server = server && *server ? server : NULL;
	events_init(&o->events);
	vouch_init(&o->vouch);
	o->link.vouch = &o->vouch;
}

int
options_parse(struct client_options *o, const struct cli_cmd *cmd, unsigned groups, int argc,
    char **argv)
{
	return options_parse_with(o, cmd, groups, NULL, argc, argv);
}

int
options_parse_with(struct client_options *o, const struct cli_cmd *cmd, unsigned groups,
    const struct cli_opt *extra, int argc, char **argv)
{
	const char *profile = NULL;

	set_defaults(o, cmd);
	((struct options_memory *)o->memory)->extra = extra;
	if (!profile_name(o, argc, argv, &profile) || !options_profile(o, groups, profile) ||
	    !take_all(o, groups, argc, argv) || !consistent(o))
		return options_done(o, CLIENT_USAGE);
	settle_secret(o, groups);
	if (!login_is_safe(o))
		return options_done(o, CLIENT_USAGE);
	options_settle_trust(o);
	o->ehlo = o->ehlo ? o->ehlo : o->source_ehlo;
	o->link.dns = o->dns;
	o->link.delay_ms = (int64_t)o->delay_ms;
	if (!(groups & OPTIONS_TALK)) /* which has plans of its own for ^C */
		catch_signals(o);
	int status = settle_output(o);
	return status == CLIENT_OK ? CLIENT_OK : options_done(o, status);
}

int
options_done(struct client_options *o, int status)
{
	struct options_memory *m = o->memory;
	struct transcript *both[] = { &o->kept, &o->recorded };

	for (size_t i = 0; i < ARRAY_LEN(both); i++) {
		int error = both[i]->to ? transcript_close(both[i]) : 0;
		if (error == 0)
			continue;
		complain("%s cannot be written: %s", i ? o->record : o->transcript,
		    strerror(-error));
		status = status == CLIENT_OK ? CLIENT_IO : status;
	}
	vouch_done(&o->vouch);
	free(o->words.v);
	free(o->to.v);
	free(o->params.v);
	free(o->headers.v);
	free(o->attach.v);
	for (size_t i = 0; m && i < m->n; i++)
		free(m->v[i]);
	if (m)
		free(m->v);
	free(m);
	*o = (struct client_options){ 0 };
	return status;
}
