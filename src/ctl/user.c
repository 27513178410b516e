#include "ctl/ctl_priv.h"
#include "ctl/user_priv.h"

#include "base/check.h"
#include "base/num.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* What is to be stored: a password that is asked for, or the hash that was given. */
static int
secret_get(struct ctl_call *call, struct buf *ret)
{
	if (!call->hash)
		return password_get(call, call->words.v[0], ret);
	buf_init(ret, 4096);
	buf_putz(ret, call->hash);
	if (call->password_fd || call->password_stdin || call->recoverable)
		return usage_error(call->cmd, "--hash goes alone: no password can be read from it");
	return EXIT_DONE;
}

static int
set_secret(struct ctl_call *call, const char *address, const struct buf *secret)
{
	const char *word = call->hash ? "hash" : call->recoverable ? "plain" : NULL;
	struct str args[] = { str_of(address), buf_str(secret), str_of(word) };
	return server_ask(&call->server, "auth.set", args, word ? 3 : 2, NULL, NULL);
}

/* The address first: nobody likes to think up a password for a typing mistake. */
static int
add(struct ctl_call *call)
{
	struct str address = str_of(call->words.v[0]);
	struct buf password;
	int status = secret_get(call, &password);
	if (status == EXIT_DONE)
		status = server_ask(&call->server, "user.add", &address, 1, NULL, NULL);
	if (status == EXIT_DONE) {
		status = set_secret(call, call->words.v[0], &password);
		if (status != EXIT_DONE)
			complain("%s was made, but without a password; set it with `pennypost user "
				 "passwd %s`",
			    call->words.v[0], call->words.v[0]);
	}
	buf_wipe(&password);
	buf_done(&password);
	return status;
}

struct search {
	struct str address;
	bool found;
};

static void
search_row(void *arg, const struct msg_row *row)
{
	struct search *s = arg;
	s->found = s->found || str_ieq(row_field(row, 0), s->address);
}

static int
passwd(struct ctl_call *call)
{
	struct search s = { .address = str_of(call->words.v[0]) };
	int status = server_ask(&call->server, "user.list", NULL, 0, search_row, &s);
	if (status != EXIT_DONE)
		return status;
	if (!s.found) {
		complain("there is no user %s; `pennypost user list` shows who there is",
		    call->words.v[0]);
		return EXIT_REFUSED;
	}
	struct buf password;
	status = secret_get(call, &password);
	if (status == EXIT_DONE)
		status = set_secret(call, call->words.v[0], &password);
	buf_wipe(&password);
	buf_done(&password);
	return status;
}

static bool
confirmed(const struct ctl_call *call, const char *address)
{
	char line[16] = "";
	if (call->yes || !isatty(STDIN_FILENO))
		return true;
	fprintf(stderr, "Remove %s and all mail in that account? [y/N] ", address);
	return fgets(line, sizeof line, stdin) && (line[0] == 'y' || line[0] == 'Y');
}

static int
remove_user(struct ctl_call *call)
{
	struct str address = str_of(call->words.v[0]);
	if (!confirmed(call, call->words.v[0])) {
		complain("nothing was removed");
		return EXIT_REFUSED;
	}
	struct server *server = &call->server;
	server->quiet = true;
	int status = server_ask(server, "user.remove", &address, 1, NULL, NULL);
	bool gone = status == EXIT_DONE;
	bool unknown = status == EXIT_REFUSED && server->code == CTL_NOT_FOUND;
	/* What is left of a removal that stopped half-way is found by the next one. */
	if (gone || unknown)
		status = server_ask(server, "auth.remove", &address, 1, NULL, NULL);
	server->quiet = false;
	bool none = status == EXIT_REFUSED && server->code == CTL_NOT_FOUND;
	if (status == EXIT_DONE || (gone && none))
		return EXIT_DONE;
	if (unknown && none) {
		complain("there is no user %s; `pennypost user list` shows who there is",
		    call->words.v[0]);
		return EXIT_REFUSED;
	}
	if (gone)
		complain("user and mail are removed, but the password is still stored; remove "
			 "the user once more when this is mended:");
	complain_lines(buf_str(&server->said));
	return status;
}

static int
list(struct ctl_call *call)
{
	static const struct out_column columns[] = { { "Address", OUT_TEXT },
		{ "Account", OUT_NUMBER }, { "Quota", OUT_NUMBER } };
	struct out_list o;
	out_list_begin(&o, columns, ARRAY_LEN(columns), call->json);
	int status = server_ask(&call->server, "user.list", NULL, 0, out_list_row, &o);
	out_list_end(&o, status == EXIT_DONE);
	return status;
}

/* SIZE as a configuration file would have it; none: 0. */
static int
quota(struct ctl_call *call)
{
	char octets[24];
	uint64_t n = 0;
	const char *word = call->words.v[1];
	if (strcmp(word, "none") != 0 && (!num_size(str_of(word), &n) || n == 0))
		return usage_error(call->cmd,
		    "quota: \"%s\" is no size; write one such as 500M or 2G, or none", word);
	snprintf(octets, sizeof(octets), "%" PRIu64, n);
	struct str args[] = { str_of(call->words.v[0]), str_of(octets) };
	return server_ask(&call->server, "user.quota", args, 2, NULL, NULL);
}

static const struct ctl_sub subs[] = {
	{ "add", 1, 1, SUB_PASSWORD | SUB_SECRET | SUB_MAKES, add },
	{ "import", 1, 1, SUB_USERS | SUB_MAKES, user_import },
	{ "list", 0, 0, 0, list },
	{ "passwd", 1, 1, SUB_PASSWORD | SUB_SECRET, passwd },
	{ "quota", 2, 2, 0, quota },
	{ "remove", 1, 1, SUB_YES, remove_user },
};

static int
run(int argc, char **argv)
{
	return ctl_subs_run(cli_cmd_find("user"), subs, ARRAY_LEN(subs), argc, argv);
}

const struct cli_cmd cmd_user = {
	.name = "user",
	.summary = "Add, list and remove users; set their passwords and quotas",
	.usage = "add ADDRESS [--password-fd N | --password-stdin] [--recoverable]\n"
		 "add ADDRESS --hash HASH\n"
		 "passwd ADDRESS [--password-fd N | --password-stdin] [--recoverable]\n"
		 "passwd ADDRESS --hash HASH\n"
		 "import FILE [--domain DOMAIN] [--recoverable] [--dry-run] [--json]\n"
		 "list [--json]\n"
		 "quota ADDRESS SIZE | none\n"
		 "remove ADDRESS [--yes]",
	.help =
	    "A user is an address with a mailbox and a password. Its domain must be local\n"
	    "(`pennypost domain add`). The password is asked for twice at the terminal, or read\n"
	    "up to the end of the line from a descriptor; it is never an argument.\n"
	    "Removing a user removes the mail. Of a password a hash and SCRAM verifiers are kept,\n"
	    "from which nobody reads it. CRAM-MD5, DIGEST-MD5 and NTLM need the password itself:\n"
	    "with --recoverable it is kept in clear, too.\n"
	    "import reads passwd and shadow files and passwd-files of Dovecot, name:hash in each\n"
	    "line; with a mistake in one of them nothing is imported, and who is there already\n"
	    "stays as he is.\n"
	    "quota says how much mail the user may have: 500M, 2G; none: as much as the key\n"
	    "quota of pennypost.conf(5) allows.\n\n"
	    "  --password-fd N    read the password from descriptor N\n"
	    "  --password-stdin   read it from standard input\n"
	    "  --recoverable      keep the password itself\n"
	    "  --hash HASH        take a hash of crypt(3) in place of a password\n"
	    "  --domain DOMAIN    the domain of names that have none\n"
	    "  --dry-run          only say what would be done\n"
	    "  --yes              remove without asking\n"
	    "  --json             print JSON\n"
	    "  --config FILE      the server that FILE configures\n"
	    "  --dir DIR          the server in DIR\n\n"
	    "Example: pennypost user add ann@example.org\n",
	.words =
	    "add passwd import list quota remove --password-fd= --password-stdin --recoverable "
	    "--hash= "
	    "--domain= --dry-run --yes --json --config=FILE --dir=DIR",
	.run = run,
};
