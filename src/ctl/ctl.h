/*
 * ctl: the command line. One file per command, each with a `const struct ctl_cmd`; the table in
 * ctl.c is all there is to dispatch, `--help` and shell completion.
 */
#pragma once

#include "base/buf.h"

struct ctl_cmd {
	const char *name;    /* "mailbox" */
	const char *summary; /* one line */
	const char *usage;   /* after the name, lines parted by \n */
	const char *help;    /* what --help prints below: options, examples */
	const char *words;   /* sub-commands and options for completion, space-separated */
	int (*run)(int argc, char **argv); /* argv[0] is the command's name; exit status */
};

int ctl_main(int argc, char **argv);

#define EXIT_USAGE 1
