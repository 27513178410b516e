#include "ctl/ctl_priv.h"

#include "base/check.h"

static int
change(struct ctl_call *call, const char *op)
{
	struct str domain = str_of(call->words.v[0]);
	return server_ask(&call->server, op, &domain, 1, NULL, NULL);
}

static int
add(struct ctl_call *call)
{
	return change(call, "domain.add");
}

static int
remove_domain(struct ctl_call *call)
{
	return change(call, "domain.remove");
}

static int
list(struct ctl_call *call)
{
	static const struct out_column columns[] = { { "Domain", OUT_TEXT },
		{ "Source", OUT_TEXT } };
	struct out_list o;
	out_list_begin(&o, columns, ARRAY_LEN(columns), call->json);
	int status = server_ask(&call->server, "domain.list", NULL, 0, out_list_row, &o);
	out_list_end(&o, status == EXIT_DONE);
	return status;
}

static const struct ctl_sub subs[] = {
	{ "add", 1, 1, SUB_MAKES, add },
	{ "list", 0, 0, 0, list },
	{ "remove", 1, 1, 0, remove_domain },
};

static int
run(int argc, char **argv)
{
	return ctl_subs_run(cli_cmd_find("domain"), subs, ARRAY_LEN(subs), argc, argv);
}

const struct cli_cmd cmd_domain = {
	.name = "domain",
	.summary = "Add, list and remove local domains",
	.usage = "add DOMAIN\nlist [--json]\nremove DOMAIN",
	.help =
	    "Mail for a local domain is delivered here. Domains also come from `domains` in the\n"
	    "configuration file; the list says from where each is.\n\n"
	    "  --json         print JSON\n"
	    "  --config FILE  the server that FILE configures\n"
	    "  --dir DIR      the server in DIR\n",
	.words = "add list remove --json --config=FILE --dir=DIR",
	.run = run,
};
