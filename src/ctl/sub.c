#include "ctl/ctl_priv.h"

#include "base/check.h"
#include "base/suggest.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *name;
	unsigned bit; /* 0: every command has it */
	enum cli_opt_kind kind;
	size_t offset;
} options[] = {
	{ "--config", 0, OPT_VALUE, offsetof(struct ctl_call, config) },
	{ "--dir", 0, OPT_VALUE, offsetof(struct ctl_call, dir) },
	{ "--json", 0, OPT_FLAG, offsetof(struct ctl_call, json) },
	{ "--mailbox", SUB_MAILBOX, OPT_VALUE, offsetof(struct ctl_call, mailbox) },
	{ "--format", SUB_FORMAT | SUB_TRACE, OPT_VALUE, offsetof(struct ctl_call, format) },
	{ "--to", SUB_TO | SUB_QUEUE | SUB_TRACE, OPT_VALUE, offsetof(struct ctl_call, to) },
	{ "--file", SUB_FILE, OPT_VALUE, offsetof(struct ctl_call, file) },
	{ "--password-fd", SUB_PASSWORD, OPT_VALUE, offsetof(struct ctl_call, password_fd) },
	{ "--password-stdin", SUB_PASSWORD, OPT_FLAG, offsetof(struct ctl_call, password_stdin) },
	{ "--yes", SUB_YES, OPT_FLAG, offsetof(struct ctl_call, yes) },
	{ "--mdoc", SUB_MDOC, OPT_FLAG, offsetof(struct ctl_call, mdoc) },
	{ "--recursive", SUB_IMPORT, OPT_FLAG, offsetof(struct ctl_call, recursive) },
	{ "--create", SUB_IMPORT, OPT_FLAG, offsetof(struct ctl_call, create) },
	{ "--again", SUB_IMPORT, OPT_FLAG, offsetof(struct ctl_call, again) },
	{ "--dry-run", SUB_IMPORT | SUB_USERS, OPT_FLAG, offsetof(struct ctl_call, dry_run) },
	{ "--max-size", SUB_IMPORT, OPT_VALUE, offsetof(struct ctl_call, max_size) },
	{ "--before", SUB_BEFORE, OPT_VALUE, offsetof(struct ctl_call, before) },
	{ "--verify", SUB_VERIFY, OPT_FLAG, offsetof(struct ctl_call, verify) },
	{ "--force", SUB_FORCE, OPT_FLAG, offsetof(struct ctl_call, force) },
	{ "--all", SUB_ALL | SUB_TRACE, OPT_FLAG, offsetof(struct ctl_call, all) },
	{ "--set", SUB_SET, OPT_LIST, offsetof(struct ctl_call, set) },
	{ "--special", SUB_SPECIAL, OPT_VALUE, offsetof(struct ctl_call, special) },
	{ "--name", SUB_LEARN, OPT_VALUE, offsetof(struct ctl_call, name) },
	{ "--session", SUB_LEARN, OPT_VALUE, offsetof(struct ctl_call, session) },
	{ "--recoverable", SUB_SECRET | SUB_USERS, OPT_FLAG,
	    offsetof(struct ctl_call, recoverable) },
	{ "--hash", SUB_SECRET, OPT_VALUE, offsetof(struct ctl_call, hash) },
	{ "--domain", SUB_USERS | SUB_QUEUE, OPT_VALUE, offsetof(struct ctl_call, domain) },
	{ "--from", SUB_QUEUE | SUB_TRACE, OPT_VALUE, offsetof(struct ctl_call, from) },
	{ "--older", SUB_QUEUE, OPT_VALUE, offsetof(struct ctl_call, older) },
	{ "--newer", SUB_QUEUE, OPT_VALUE, offsetof(struct ctl_call, newer) },
	{ "--error", SUB_QUEUE, OPT_VALUE, offsetof(struct ctl_call, error) },
	{ "--state", SUB_QUEUE, OPT_VALUE, offsetof(struct ctl_call, state) },
	{ "--limit", SUB_QUEUE | SUB_TRACE, OPT_VALUE, offsetof(struct ctl_call, limit) },
	{ "--reason", SUB_REASON, OPT_VALUE, offsetof(struct ctl_call, reason) },
	{ "--interval", SUB_TOP, OPT_VALUE, offsetof(struct ctl_call, interval) },
	{ "--count", SUB_TOP, OPT_VALUE, offsetof(struct ctl_call, count) },
	{ "--peer", SUB_TRACE, OPT_VALUE, offsetof(struct ctl_call, peer) },
	{ "--message-id", SUB_TRACE, OPT_VALUE, offsetof(struct ctl_call, message_id) },
	{ "--since", SUB_TRACE, OPT_VALUE, offsetof(struct ctl_call, since) },
	{ "--until", SUB_TRACE, OPT_VALUE, offsetof(struct ctl_call, until) },
	{ "--attempt", SUB_TRACE, OPT_VALUE, offsetof(struct ctl_call, attempt) },
	{ "--follow", SUB_TRACE, OPT_FLAG, offsetof(struct ctl_call, follow) },
	{ "--rebuild-index", SUB_REBUILD, OPT_FLAG, offsetof(struct ctl_call, rebuild) },
};

static bool
parse(struct ctl_call *call, const struct ctl_sub *sub, int argc, char **argv)
{
	struct cli_opt opts[ARRAY_LEN(options) + 1] = { 0 };
	size_t n = 0;
	for (size_t i = 0; i < ARRAY_LEN(options); i++)
		if (options[i].bit == 0 || (sub->opts & options[i].bit))
			opts[n++] = (struct cli_opt){ options[i].name, options[i].kind,
				(char *)call + options[i].offset };
	return cli_parse(call->cmd, argc, argv, opts, &call->words);
}

/* The line of the command's usage that begins with the sub-command's name. */
static struct str
usage_of(const struct cli_cmd *cmd, const struct ctl_sub *sub)
{
	struct str usage = str_of(cmd->usage), line, rest;
	do {
		rest = line = str_cut(&usage, '\n');
	} while (*sub->name && !str_eq(str_word(&rest), str_of(sub->name)) && usage.p);
	return line;
}

static bool
counts_fit(const struct ctl_call *call, const struct ctl_sub *sub)
{
	const char *colon = *sub->name ? ": " : "";
	struct str usage = usage_of(call->cmd, sub);
	if (call->words.n < sub->min)
		usage_error(call->cmd, "%s%ssomething is missing; write pennypost %s " STR_FMT,
		    sub->name, colon, call->cmd->name, STR_ARG(usage));
	else if (call->words.n > sub->max)
		usage_error(call->cmd, "%s%s\"%s\" is too much; write pennypost %s " STR_FMT,
		    sub->name, colon, call->words.v[sub->max], call->cmd->name, STR_ARG(usage));
	return call->words.n >= sub->min && call->words.n <= sub->max;
}

/* Looking on would keep the server that is looked for from its start. */
static enum server_need
need_of(const struct ctl_call *call, const struct ctl_sub *sub)
{
	if ((sub->opts & SUB_NO_START) || call->follow)
		return NEED_SERVER;
	return (sub->opts & SUB_MAKES) ? NEED_NOTHING : NEED_STORE;
}

static int
with_server(struct ctl_call *call, const struct ctl_sub *sub)
{
	struct conf *c = target_conf(call->config, call->dir);
	if (c == NULL)
		return call->config && call->dir ? EXIT_USAGE : EXIT_REFUSED;
	int status = server_open(&call->server, c, need_of(call, sub));
	if (status == EXIT_DONE)
		status = sub->run(call);
	if (status == EXIT_DONE && (sub->opts & SUB_SENDS) && call->server.helper)
		complain("no server is running in %s; nothing is sent before one is started",
		    call->server.conf->data_dir);
	server_close(&call->server);
	return status;
}

int
ctl_sub_run(const struct cli_cmd *cmd, const struct ctl_sub *sub, int argc, char **argv)
{
	struct ctl_call call = { .cmd = cmd };
	int status = EXIT_USAGE;
	if (parse(&call, sub, argc, argv) && counts_fit(&call, sub))
		status = (sub->opts & SUB_NO_SERVER) ? sub->run(&call) : with_server(&call, sub);
	free(call.words.v);
	free(call.set.v);
	return status;
}

/* "what; write list, show or export". */
static int
name_one(const struct cli_cmd *cmd, const struct ctl_sub *subs, size_t n, const char *what,
    const char *word)
{
	struct buf names = BUF_INIT(1024);
	for (size_t i = 0; i < n; i++)
		buf_putf(&names, "%s%s", i == 0 ? "" : i + 1 < n ? ", " : " or ", subs[i].name);
	int status = usage_error(cmd, "%s%s; write " STR_FMT, what, word, STR_ARG(buf_str(&names)));
	buf_done(&names);
	return status;
}

static bool
has_one(const struct ctl_sub *subs, size_t n, int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		for (size_t j = 0; j < n; j++)
			if (strcmp(subs[j].name, argv[i]) == 0)
				return true;
	return false;
}

int
ctl_subs_run(const struct cli_cmd *cmd, const struct ctl_sub *subs, size_t n, int argc, char **argv)
{
	struct suggest s;
	/* With options alone nothing stands at a wrong place. */
	if (argc < 2 || (argv[1][0] == '-' && !has_one(subs, n, argc, argv)))
		return name_one(cmd, subs, n, "a sub-command is missing", "");
	if (argv[1][0] == '-')
		return name_one(cmd, subs, n, "options stand behind the sub-command", "");
	suggest_init(&s, str_of(argv[1]));
	for (size_t i = 0; i < n; i++) {
		if (strcmp(subs[i].name, argv[1]) == 0)
			return ctl_sub_run(cmd, &subs[i], argc - 1, argv + 1);
		suggest_offer(&s, subs[i].name);
	}
	if (suggest_best(&s))
		return usage_error(cmd, "there is no sub-command %s; did you mean %s?", argv[1],
		    suggest_best(&s));
	return name_one(cmd, subs, n, "there is no sub-command ", argv[1]);
}
