/* run: plays conversations, each against a server of its own or one that is there. */
#pragma once

#include "cli/cli.h"

extern const struct cli_cmd cmd_run, cmd_replay;

/* `pennypost run`: argv[0] is the command's name. 0 all passed, 1 usage or a mistake in a file,
 * 2 a server could not be started or reached, 16 an expectation was not met. */
int play_run(int argc, char **argv);
