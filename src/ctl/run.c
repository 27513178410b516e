/* run: the row of the conversation runner; talk/ plays. */
#include "ctl/ctl_priv.h"

#include "talk/run.h"

const struct ctl_cmd cmd_run = {
	.name = "run",
	.summary = "Play conversations against a server and check its answers",
	.usage = "[options] FILE.conv...",
	.help =
	    "Each file is a conversation: what the client sends and what the server must answer.\n"
	    "Without --to every file gets a server of its own, set up as its header says, in a\n"
	    "temporary folder and on free ports; V: lines are looked up in its store.\n"
	    "\n"
	    "  --to HOST:PORT   play against a server that is set up already; V: and D: lines are\n"
	    "                   skipped\n"
	    "  -j, --jobs N     play N conversations at a time (default 1)\n"
	    "  --timeout SEC    how long a line of the server may take (default 5)\n"
	    "  -v, --verbose    show each line as it is sent and received\n"
	    "  --keep           leave the server's folder where it is and say where\n"
	    "  --list           only list the conversations\n"
	    "  --json           one JSON object a line\n"
	    "\n"
	    "Exit status: 0 all passed, 16 an expectation was not met, 2 a server could not be\n"
	    "started or reached, 1 usage or a mistake in a file (file:line says where).\n",
	.words = "--to --jobs --timeout --verbose --keep --list --json",
	.run = talk_run,
};
