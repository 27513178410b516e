/* Local commands: typed behind "/", "!" or ^]. */
#include "talk/local_priv.h"

#include "base/check.h"
#include "base/suggest.h"
#include "talk/child.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ARGS_MAX 64

static void
record_event(void *arg, const struct event *e)
{
	struct local *l = arg;
	log_keep(&l->log, e);
	if (l->recording)
		transcript_event(&l->record, e);
}

void
talk_local_init(struct talk *t)
{
	struct local *l = xalloc(sizeof *l);
	t->local = l;
	events_add(t->ev, record_event, l);
}

void
talk_local_done(struct talk *t)
{
	struct local *l = local_of(t);
	if (l->recording) {
		int error = transcript_close(&l->record);
		if (error < 0)
			fprintf(stderr, "pennypost talk: the record: %s\n", strerror(-error));
	}
	l->recording = false;
	log_done(&l->log);
	for (size_t i = 0; i < t->ev->n; i++) /* the last: nothing is emitted behind this */
		if (t->ev->sinks[i].arg == l)
			t->ev->n = i;
	free(l);
	t->local = NULL;
}

/* --- other commands of this program --- */

/* Runs `pennypost ARGS` as a child on this terminal; its exit status. */
static int
run_self(struct talk *t, const char *const *argv)
{
	char self[4096];
	const char *args[ARGS_MAX + 2];
	ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
	size_t n = 0;
	self[len > 0 ? len : 0] = '\0';
	args[n++] = len > 0 ? self : "pennypost";
	while (*argv && n <= ARGS_MAX)
		args[n++] = *argv++;
	args[n] = NULL;
	if (t->editor)
		editor_suspend(t->editor);
	int status = child_run(args);
	if (t->editor)
		editor_resume(t->editor);
	return status;
}

static void
run_other(struct talk *t, const char *command, struct str args)
{
	const char *argv[ARGS_MAX + 1];
	char *words[ARGS_MAX];
	size_t n = 0, n_words = 0;
	struct str word;
	argv[n++] = command;
	while (n < ARGS_MAX && (word = str_word(&args)).len) {
		words[n_words] = str_dup(word);
		argv[n++] = words[n_words++];
	}
	argv[n] = NULL;
	int status = run_self(t, argv);
	if (status < 0)
		event_warn(t->ev, NULL, "%s: %s", command, strerror(-status));
	while (n_words)
		free(words[--n_words]);
}

static void
run_probe(struct talk *t, struct str args)
{
	run_other(t, "probe", args);
}

static void
run_merge(struct talk *t, struct str args)
{
	run_other(t, "merge", args);
}

static void
run_mx(struct talk *t, struct str args)
{
	run_other(t, "mx", args);
}

static void
run_b64(struct talk *t, struct str args)
{
	run_other(t, "b64", args);
}

static void
run_shell(struct talk *t, struct str args)
{
	const char *shell = getenv("SHELL");
	if (!t->terminal) { /* it may be somebody else's letter that comes there */
		event_warn(t->ev, NULL, "What comes from a pipe runs no commands of this machine.");
		return;
	}
	char *command = str_dup(args);
	const char *const with[] = { shell && *shell ? shell : "sh", args.len ? "-c" : NULL,
		command, NULL };
	if (t->editor)
		editor_suspend(t->editor);
	int status = child_run(with);
	if (t->editor)
		editor_resume(t->editor);
	if (status < 0)
		event_warn(t->ev, NULL, "%s: %s", with[0], strerror(-status));
	free(command);
}

/* --- the conversation --- */

static void
run_caps(struct talk *t, struct str args)
{
	t->mode->caps(t);
}

static void
run_auth(struct talk *t, struct str args)
{
	struct str mech = str_word(&args), user = str_trim(args);
	if (t->mode->waits(t) != MODE_FREE)
		event_warn(t->ev, NULL, "An answer is awaited; /auth when it has come.");
	else
		t->mode->auth(t, mech, user);
}

static void
run_fix(struct talk *t, struct str args)
{
	if (t->last_line.len == 0)
		event_warn(t->ev, NULL, "There is no command yet that could be fixed.");
	else
		talk_edit(t, buf_str(&t->last_line));
}

static void
show_help(struct talk *t, const struct talk_command *c)
{
	char head[128];
	snprintf(head, sizeof head, "/%s%s%s", c->name, *c->args ? " " : "", c->args);
	talk_print(t, "%-26s %s", head, c->help);
}

static void
run_help(struct talk *t, struct str args)
{
	struct str name = str_trim(args);
	if (str_starts(name, STR("/")))
		name = str_skip(name, 1);
	if (name.len) {
		const struct talk_command *c = talk_command_find(t, name);
		if (c)
			show_help(t, c);
		else
			event_warn(t->ev, NULL, "There is no /" STR_FMT ".", STR_ARG(name));
		return;
	}
	for (const struct talk_command *c = t->mode->commands; c && c->name; c++)
		show_help(t, c);
	for (const struct talk_command *c = talk_commands; c->name; c++)
		show_help(t, c);
	talk_print(t,
	    "What is typed otherwise goes to the server. ^] begins a local command anywhere.");
}

const struct talk_command talk_commands[] = {
	{ "caps", "", "what the server offers, and what that means", run_caps },
	{ "starttls", "", "asks for TLS and makes the handshake", local_starttls },
	{ "tls", "", "what TLS is in use, and the certificates", local_tls },
	{ "auth", "[MECHANISM] [USER]", "logs in; the password is asked for, not shown", run_auth },
	{ "fix", "", "the last command again, to be edited", run_fix },
	{ "explain", "[N | LINE]", "what the last reply (or the Nth last, or LINE) means",
	    local_explain, true },
	{ "probe", "ADDRESS", "is the address accepted by its MX? (pennypost probe)", run_probe,
	    true },
	{ "merge", "...", "mail merge (pennypost merge)", run_merge, true },
	{ "mx", "DOMAIN", "where the mail of a domain goes (pennypost mx)", run_mx, true },
	{ "dns", "NAME [TYPE]", "asks the name service", local_dns, true },
	{ "b64", "enc|dec|plain|login ...", "base64, here and not elsewhere (pennypost b64)",
	    run_b64, true },
	{ "raw", "HEX | \"TEXT\\r\\n\"", "sends exactly these octets", local_raw },
	{ "eol", "crlf|lf|cr", "what ends the lines that are sent", local_eol, true },
	{ "segments", "N|keystroke|off", "octets of a TCP segment", local_segments, true },
	{ "save", "FILE [FORMAT]", "the conversation so far: telnet, conv, json or html",
	    local_save, true },
	{ "record", "on [FILE] | off", "records from here on, for `pennypost run`", local_record,
	    true },
	{ "script", "FILE", "sends the lines of a file, each when its turn has come",
	    local_script },
	{ "env", "", "the connection and the options in force", local_env, true },
	{ "set", "[KEY=VALUE]", "changes an option; alone: which there are", local_set, true },
	{ "reconnect", "", "ends the connection and makes another", local_reconnect, true },
	{ "shell", "[COMMAND]", "a shell, or a command of one", run_shell, true },
	{ "close", "", "ends the connection at once and stays here", local_close },
	{ "quit", "", "ends the connection at once and leaves", local_quit, true },
	{ "help", "[COMMAND]", "this list", run_help, true },
	{ NULL },
};

static const struct talk_command *
find_in(const struct talk_command *table, struct str name)
{
	for (; table && table->name; table++)
		if (str_ieq(str_of(table->name), name))
			return table;
	return NULL;
}

const struct talk_command *
talk_command_find(const struct talk *t, struct str name)
{
	const struct talk_command *c = find_in(t->mode->commands, name);
	return c ? c : find_in(talk_commands, str_eq(name, STR("?")) ? STR("help") : name);
}

static void
unknown(struct talk *t, struct str name)
{
	struct suggest s;
	struct buf shown = BUF_INIT(4096);
	suggest_init(&s, name);
	for (const struct talk_command *c = t->mode->commands; c && c->name; c++)
		suggest_offer(&s, c->name);
	for (const struct talk_command *c = talk_commands; c->name; c++)
		suggest_offer(&s, c->name);
	show_escape(&shown, str_first(name, 100));
	if (suggest_best(&s))
		event_warn(t->ev, NULL, "There is no /" STR_FMT "; did you mean /%s?",
		    STR_ARG(buf_str(&shown)), suggest_best(&s));
	else
		event_warn(t->ev, NULL, "There is no /" STR_FMT "; /help lists what there is.",
		    STR_ARG(buf_str(&shown)));
	buf_done(&shown);
}

void
talk_local(struct talk *t, struct str line)
{
	bool bang = str_starts(line, STR("!"));
	line = str_trim(line);
	if (str_starts(line, STR("/")) || bang)
		line = str_trim(str_skip(line, 1));
	struct str args = line, name = str_word(&args);
	if (name.len == 0)
		return;
	const struct talk_command *c = talk_command_find(t, name);
	if (c == NULL && bang)
		run_shell(t, line); /* telnet's shell escape */
	else if (c == NULL)
		unknown(t, name);
	else if (!c->offline && !t->connected)
		event_warn(t->ev, NULL, "/%s needs a connection: /reconnect makes one.", c->name);
	else
		c->run(t, str_trim(args));
}
