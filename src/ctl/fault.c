#include "ctl/ctl_priv.h"

static int
fault(struct ctl_call *call)
{
	struct str key = str_of(call->words.v[0]);
	return server_ask(&call->server, "fault", &key, 1, NULL, NULL);
}

static int
run(int argc, char **argv)
{
	static const struct ctl_sub sub = { "", 1, 1, SUB_NO_START, fault };
	return ctl_sub_run(cli_cmd_find("fault"), &sub, argc, argv);
}

const struct cli_cmd cmd_fault = {
	.name = "fault",
	.summary = "Make a lab answer with an error once",
	.usage = "SITUATION",
	.help =
	    "The next time a client asks for what SITUATION belongs to, it is answered, as if\n"
	    "the disk were full or the store had failed: data.temperr, mail.lowres,\n"
	    "auth.tempfail, ... (the situations of the dialects). Once; outside of a lab it is\n"
	    "refused.\n\n"
	    "  --config FILE  the server that FILE configures\n"
	    "  --dir DIR      the server in DIR\n\n"
	    "Example: pennypost fault data.temperr\n",
	.words = "--config=FILE --dir=DIR",
	.run = run,
};
