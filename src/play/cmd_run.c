/* run: the row of the conversation runner; play/ plays. */
#include "play/run.h"

const struct cli_cmd cmd_run = {
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
	    "  --var NAME=TEXT  {NAME} in C: lines stands for this text; as often as you like\n"
	    "  --env            ${NAME} in C: lines is a variable of the environment\n"
	    "  -j, --jobs N     play N conversations at a time (default 1)\n"
	    "  --timeout SEC    how long a line of the server may take (default 5)\n"
	    "  -v, --verbose    show each line as it is sent and received\n"
	    "  --keep           leave the server's folder where it is and say where\n"
	    "  --list           only list the conversations\n"
	    "  --json           one JSON object a line\n"
	    "  --junit FILE     write the results as JUnit's XML, too\n"
	    "  --ca FILE, --verify-name NAME\n"
	    "                   verify certificates, by these authorities, for this name; else\n"
	    "                   what is played is the conversation, whoever is there\n"
	    "  --sni NAME, --cert FILE, --key FILE\n"
	    "                   the name asked for, and a client's certificate and key\n"
	    "\n"
	    "Examples:\n"
	    "  pennypost run tests/conversations/000-02*.conv\n"
	    "  pennypost run --to mail.example.com:25 --var to=joe@example.com probe.conv\n"
	    "  pennypost talk --record session.conv mail.example.com 25; pennypost run --to \\\n"
	    "      mail.example.com:25 session.conv\n"
	    "\n"
	    "Exit status: 0 all passed, 16 an expectation was not met, 2 a server could not be\n"
	    "started or reached, 1 usage or a mistake in a file (file:line says where).\n",
	.words = "--to= --var= --env --jobs= -j= --timeout= --verbose -v --keep --list --json "
		 "--junit=FILE --ca=FILE --verify-name= --sni= --cert=FILE --key=FILE",
	.run = play_run,
	.client = true,
};
