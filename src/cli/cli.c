#include "cli/cli.h"

#include "base/check.h"
#include "base/suggest.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const struct cli_cmd *
cli_cmd_find(const char *name)
{
	for (const struct cli_cmd *const *c = cli_cmds; *c; c++)
		if (strcmp((*c)->name, name) == 0)
			return *c;
	return NULL;
}

void
complain(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	(void)fflush(stdout);
	fputs("pennypost: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
}

void
complain_lines(struct str lines)
{
	while (lines.len) {
		struct str line = str_cut(&lines, '\n');
		if (line.len)
			complain(STR_FMT, STR_ARG(line));
	}
}

int
usage_error(const struct cli_cmd *cmd, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	fprintf(stderr, "pennypost %s: ", cmd->name);
	vfprintf(stderr, fmt, ap);
	fprintf(stderr, "\nTry `pennypost %s --help`.\n", cmd->name);
	va_end(ap);
	return EXIT_USAGE;
}

static void
show_help(const struct cli_cmd *cmd, FILE *to)
{
	struct str usage = str_of(cmd->usage);
	const char *lead = "Usage:";
	do {
		struct str line = str_cut(&usage, '\n');
		if (line.len && line.p[0] == ' ') /* goes on with the one above */
			fprintf(to, "%16s%*s" STR_FMT "\n", "", (int)strlen(cmd->name), "",
			    STR_ARG(line));
		else
			fprintf(to, "%-6s pennypost %s%s" STR_FMT "\n", lead, cmd->name,
			    line.len ? " " : "", STR_ARG(line));
		lead = "";
	} while (usage.p);
	fprintf(to, "\n%s.\n\n%s", cmd->summary, cmd->help);
}

static const struct {
	const char *title;
	bool client, extra;
} groups[] = {
	{ "Talk to mail servers:", true, false },
	{ "Run a mail server:", false, false },
	{ "And:", true, true },
};

static void
help_group(FILE *to, size_t g)
{
	bool any = false;
	for (const struct cli_cmd *const *c = cli_cmds; *c; c++) {
		if ((*c)->client != groups[g].client || (*c)->extra != groups[g].extra)
			continue;
		fprintf(to, "%s%s%s", any ? "" : "\n", any ? "" : groups[g].title, any ? "" : "\n");
		fprintf(to, "  %-11s %s\n", (*c)->name, (*c)->summary);
		any = true;
	}
}

static int
help(FILE *to)
{
	fputs("Usage: pennypost COMMAND [OPTION]...\n", to);
	for (size_t g = 0; g < ARRAY_LEN(groups); g++)
		help_group(to, g);
	if (cli_cmd_find("lab"))
		fputs("\nTo try it: `pennypost lab` starts a server on this machine for "
		      "experiments.",
		    to);
	fputs("\n`pennypost COMMAND --help` says more about a command; so does pennypost(1).\n",
	    to);
	return EXIT_DONE;
}

static int
help_run(int argc, char **argv)
{
	if (argc < 2)
		return help(stdout);
	const struct cli_cmd *cmd = cli_cmd_find(argv[1]);
	if (cmd == NULL)
		return usage_error(&cmd_help, "there is no command %s", argv[1]);
	show_help(cmd, stdout);
	return EXIT_DONE;
}

const struct cli_cmd cmd_help = {
	.name = "help",
	.summary = "Show the commands, or what one of them does",
	.usage = "[COMMAND]",
	.help = "",
	.words = "",
	.run = help_run,
	.client = true,
	.extra = true,
};

static int
unknown(const char *name)
{
	struct suggest s;
	suggest_init(&s, str_of(name));
	for (const struct cli_cmd *const *c = cli_cmds; *c; c++)
		suggest_offer(&s, (*c)->name);
	fprintf(stderr, "pennypost: there is no command %s", name);
	if (suggest_best(&s))
		fprintf(stderr, "; did you mean %s?\n", suggest_best(&s));
	else
		fputs("; `pennypost help` lists them\n", stderr);
	return EXIT_USAGE;
}

static bool
asks_for_help(int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
			return true;
	return false;
}

static int
dispatch(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : NULL;
	if (name == NULL) {
		help(stderr);
		return EXIT_USAGE;
	}
	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
		return help(stdout);
	if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) {
		puts("pennypost " PENNYPOST_VERSION);
		return EXIT_DONE;
	}
	const struct cli_cmd *cmd = cli_cmd_find(name);
	if (cmd == NULL)
		return unknown(name);
	if (asks_for_help(argc - 1, argv + 1)) {
		show_help(cmd, stdout);
		return EXIT_DONE;
	}
	return cmd->run(argc - 1, argv + 1);
}

/* `| head` had enough: nobody needs to be told. */
static bool
reader_left(void)
{
	struct pollfd p = { .fd = STDOUT_FILENO, .events = POLLOUT };
	return poll(&p, 1, 0) > 0 && (p.revents & POLLERR);
}

int
cli_main(int argc, char **argv)
{
	int status = dispatch(argc, argv);
	if (fflush(stdout) != 0 || ferror(stdout)) {
		const struct cli_cmd *cmd = argc > 1 ? cli_cmd_find(argv[1]) : NULL;
		if (!reader_left())
			complain("cannot write to standard output; is the disk full?");
		if (status == EXIT_DONE)
			status = cmd && cmd->client ? EXIT_IO_CLIENT : EXIT_IO;
	}
	return status;
}
