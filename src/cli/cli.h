/*
 * cli: the command line. A command is a `const struct cli_cmd` in a file of its own; the table
 * cli_cmds in src/commands.c is all there is to dispatch, `--help` and shell completion.
 */
#pragma once

#include "base/buf.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define EXIT_DONE 0
#define EXIT_USAGE 1
#define EXIT_IO 4 /* a local file or the output */
#define EXIT_IO_CLIENT 18 /* the same of the client's commands (client/exit.h) */

struct cli_cmd {
	const char *name;    /* "mailbox" */
	const char *summary; /* one line */
	const char *usage;   /* after the name, lines parted by \n */
	const char *help;    /* what --help prints below: options, examples */
	const char *words;   /* for completion, see below */
	int (*run)(int argc, char **argv); /* argv[0] is the command's name; exit status */
	bool client;         /* talks to servers; it is there when the server is not built */
	bool extra;          /* about this program itself: last in `pennypost help` */
};

/*
 * words, blank-separated:
 *   start            a sub-command, or another word
 *   --json           an option without a value
 *   --user=          one with a value that nobody can guess
 *   --tls=may|must   one of these
 *   --cert=FILE      a file; =DIR: a directory; =HOST: a host the shell knows
 */
extern const struct cli_cmd *const cli_cmds[]; /* ends with NULL */
extern const struct cli_cmd cmd_completion, cmd_help;
const struct cli_cmd *cli_cmd_find(const char *name);
int cli_main(int argc, char **argv);

/* "pennypost: ..." with an end of line, on standard error. */
void complain(const char *fmt, ...) PRINTF(1, 2);
void complain_lines(struct str lines);
int usage_error(const struct cli_cmd *cmd, const char *fmt, ...) PRINTF(2, 3); /* EXIT_USAGE */

/* --- options.c: --name VALUE, --name=VALUE, --flag, --, words anywhere --- */
struct cli_words {
	const char **v;
	size_t n;
};
enum cli_opt_kind { OPT_FLAG, OPT_VALUE, OPT_LIST };
struct cli_opt {
	const char *name; /* "--json"; NULL ends the table */
	enum cli_opt_kind kind;
	void *to; /* bool *, const char **, struct cli_words * */
};
/* False after a message. Views into argv; free ret->v and lists' v with free(). */
bool cli_parse(const struct cli_cmd *cmd, int argc, char **argv, const struct cli_opt *opts,
    struct cli_words *ret);

/* --- out.c: for people and for programs --- */
json_t *out_json_text(struct str s); /* what is no UTF-8 becomes U+FFFD */
json_t *out_json_number(struct str digits);
void out_json(json_t *root);                   /* prints and releases */
void out_size(struct buf *b, uint64_t octets); /* "52.4 MB" */
bool out_color(FILE *f);                       /* a terminal, and NO_COLOR is not set */

/* --- completion.c --- */
bool completion_put(struct buf *out, const char *shell); /* false: no such shell */
