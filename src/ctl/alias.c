#include "ctl/ctl_priv.h"

#include "base/check.h"
#include "sys/file.h"

#include <stdlib.h>
#include <string.h>

#define MEMBERS_MAX (1u << 20) /* octets; ipc/msg.h bounds an argument */

static bool
put_member(struct buf *out, struct str member)
{
	if (memchr(member.p, '\n', member.len))
		return false;
	buf_puts(out, member);
	buf_putc(out, '\n');
	return true;
}

/* One address a line; # begins a comment. */
static int
put_file(struct buf *out, const char *path)
{
	struct buf text = BUF_INIT(16u << 20);
	int rc = strcmp(path, "-") == 0 ? file_read_fd(0, 16u << 20, &text)
	                                : file_read_all(path, 16u << 20, &text);
	if (rc < 0) {
		complain("%s: cannot be read: %s; name a file with one address per line", path,
		    strerror(-rc));
		buf_done(&text);
		return EXIT_IO;
	}
	for (struct str rest = buf_str(&text); rest.len;) {
		struct str line = str_cut(&rest, '\n');
		line = str_trim(str_first(line, str_find(line, '#')));
		if (line.len)
			put_member(out, line);
	}
	buf_done(&text);
	return EXIT_DONE;
}

static int
collect(struct ctl_call *call, struct buf *out)
{
	int status = call->file ? put_file(out, call->file) : EXIT_DONE;
	for (size_t i = 1; status == EXIT_DONE && i < call->words.n; i++)
		if (!put_member(out, str_of(call->words.v[i])))
			return usage_error(call->cmd,
			    "a member holds an end of line; write one address per word");
	if (status == EXIT_DONE && out->failed)
		return usage_error(call->cmd,
		    "these are over %u octets of members; make several aliases", MEMBERS_MAX);
	if (status == EXIT_DONE && out->len == 0)
		return usage_error(call->cmd,
		    "name at least one member, or a file of members with --file");
	return status;
}

static int
add(struct ctl_call *call)
{
	struct buf members = BUF_INIT(MEMBERS_MAX);
	int status = collect(call, &members);
	if (status == EXIT_DONE) {
		struct str args[] = { str_of(call->words.v[0]), str_rtrim(buf_str(&members)) };
		status = server_ask(&call->server, "alias.add", args, 2, NULL, NULL);
	}
	buf_done(&members);
	return status;
}

static int
remove_alias(struct ctl_call *call)
{
	struct str address = str_of(call->words.v[0]);
	return server_ask(&call->server, "alias.remove", &address, 1, NULL, NULL);
}

static int
list(struct ctl_call *call)
{
	static const struct out_column columns[] = { { "Address", OUT_TEXT },
		{ "Members", OUT_LINES }, { "Source", OUT_TEXT } };
	struct out_list o;
	out_list_begin(&o, columns, ARRAY_LEN(columns), call->json);
	int status = server_ask(&call->server, "alias.list", NULL, 0, out_list_row, &o);
	out_list_end(&o, status == EXIT_DONE);
	return status;
}

static const struct ctl_sub subs[] = {
	{ "add", 1, 10001, SUB_FILE | SUB_MAKES, add },
	{ "list", 0, 0, 0, list },
	{ "remove", 1, 1, 0, remove_alias },
};

static int
run(int argc, char **argv)
{
	return ctl_subs_run(cli_cmd_find("alias"), subs, ARRAY_LEN(subs), argc, argv);
}

const struct cli_cmd cmd_alias = {
	.name = "alias",
	.summary = "Add, list and remove aliases: addresses that lead to others",
	.usage = "add ADDRESS MEMBER... [--file FILE]\nlist [--json]\nremove ADDRESS",
	.help =
	    "A letter to an alias goes to all its members, one copy to each mailbox. The address\n"
	    "@DOMAIN catches what nobody else in DOMAIN gets.\n\n"
	    "  --file FILE    also the addresses in FILE, one per line; - is standard input\n"
	    "  --json         print JSON\n"
	    "  --config FILE  the server that FILE configures\n"
	    "  --dir DIR      the server in DIR\n\n"
	    "Example: pennypost alias add staff@example.org ann@example.org bob@example.net\n",
	.words = "add list remove --file=FILE --json --config=FILE --dir=DIR",
	.run = run,
};
