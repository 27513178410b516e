#include "ctl/ctl_priv.h"

#include "base/check.h"
#include "base/num.h"
#include "base/utf8.h"

#include <string.h>
#include <unistd.h>

static int
ask_list(struct ctl_call *call, const char *op, const struct str *args, size_t n,
    const struct out_column *columns, size_t n_columns)
{
	struct out_list o;
	out_list_begin(&o, columns, n_columns, call->json);
	int status = server_ask(&call->server, op, args, n, out_list_row, &o);
	out_list_end(&o, status == EXIT_DONE);
	return status;
}

static int
list(struct ctl_call *call)
{
	static const struct out_column columns[] = {
		{ "Name", OUT_TEXT },
		{ "Messages", OUT_NUMBER },
		{ "Bytes", OUT_NUMBER },
		{ "UIDNext", OUT_NUMBER },
		{ "UIDValidity", OUT_NUMBER },
		{ "Modseq", OUT_NUMBER },
		{ "Unseen", OUT_NUMBER },
		{ "Special use", OUT_TEXT },
		{ "Subscribed", OUT_YES },
	};
	struct str args[] = { str_of(call->words.v[0]) };
	return ask_list(call, "mailbox.list", args, 1, columns, ARRAY_LEN(columns));
}

static struct str
name_of(const struct ctl_call *call)
{
	return str_of(call->mailbox ? call->mailbox : "INBOX");
}

static int
show(struct ctl_call *call)
{
	static const struct out_column columns[] = {
		{ "UID", OUT_NUMBER },
		{ "Time", OUT_TIME },
		{ "Size", OUT_NUMBER },
		{ "Letter", OUT_TEXT },
		{ "Return path", OUT_TEXT },
		{ "From", OUT_TEXT },
		{ "Subject", OUT_TEXT },
		{ "Flags", OUT_TEXT },
	};
	struct str args[] = { str_of(call->words.v[0]), name_of(call) };
	return ask_list(call, "mailbox.show", args, 2, columns, ARRAY_LEN(columns));
}

/* --- read --- */

#define LETTER_MAX ((size_t)1 << 30)

struct reading {
	bool json, terminal;
	struct buf text; /* JSON: all of it */
};

/* A letter may not steer the terminal it is read at; a file gets it as it is. */
static void
put_safely(struct str chunk)
{
	while (chunk.len) {
		size_t n = str_find_any(chunk, "\r\n\t");
		struct buf b = BUF_INIT(LETTER_MAX * 4);
		utf8_escape(&b, str_first(chunk, n));
		fwrite(b.p ? b.p : "", 1, b.len, stdout);
		buf_done(&b);
		if (n < chunk.len && chunk.p[n] != '\r')
			putchar(chunk.p[n]);
		chunk = str_skip(chunk, n + 1);
	}
}

static void
reading_row(void *arg, const struct msg_row *row)
{
	struct reading *r = arg;
	struct str chunk = row_field(row, 0);
	if (r->json || r->terminal)
		buf_puts(&r->text, chunk);
	else
		fwrite(chunk.p ? chunk.p : "", 1, chunk.len, stdout);
}

static int
read_letter(struct ctl_call *call)
{
	struct reading r = { call->json, isatty(STDOUT_FILENO) != 0, BUF_INIT(LETTER_MAX) };
	uint64_t uid;
	if (!num_u64(str_of(call->words.v[1]), UINT32_MAX, &uid) || uid == 0)
		return usage_error(call->cmd,
		    "read: \"%s\" is no UID; `pennypost mailbox show %s` lists them",
		    call->words.v[1], call->words.v[0]);
	struct str args[] = { str_of(call->words.v[0]), name_of(call), str_of(call->words.v[1]) };
	int status = server_ask(&call->server, "mailbox.read", args, 3, reading_row, &r);
	if (r.text.failed) {
		complain("the letter is too large for this; use `pennypost mailbox export`");
		status = EXIT_IO;
	}
	if (status == EXIT_DONE && r.json) {
		json_t *o = json_object();
		json_object_set_new(o, "uid", json_integer((json_int_t)uid));
		json_object_set_new(o, "text", out_json_text(buf_str(&r.text)));
		out_json(o);
	} else if (status == EXIT_DONE) {
		put_safely(buf_str(&r.text));
	}
	buf_done(&r.text);
	return status;
}

/* --- names --- */

static int
create(struct ctl_call *call)
{
	struct str args[] = { str_of(call->words.v[0]), str_of(call->words.v[1]),
		str_of(call->special ? call->special : "") };
	return server_ask(&call->server, "mailbox.create", args, 3, NULL, NULL);
}

static int
rename_mailbox(struct ctl_call *call)
{
	struct str args[] = { str_of(call->words.v[0]), str_of(call->words.v[1]),
		str_of(call->words.v[2]) };
	return server_ask(&call->server, "mailbox.rename", args, 3, NULL, NULL);
}

static int
ask_subscribe(struct ctl_call *call, const char *on)
{
	struct str args[] = { str_of(call->words.v[0]), str_of(call->words.v[1]), str_of(on) };
	return server_ask(&call->server, "mailbox.subscribe", args, 3, NULL, NULL);
}

static int
subscribe(struct ctl_call *call)
{
	return ask_subscribe(call, "1");
}

static int
unsubscribe(struct ctl_call *call)
{
	return ask_subscribe(call, "0");
}

static const struct ctl_sub subs[] = {
	{ "list", 1, 1, 0, list },
	{ "show", 1, 1, SUB_MAILBOX, show },
	{ "read", 2, 2, SUB_MAILBOX, read_letter },
	{ "import", 2, 2, SUB_MAILBOX | SUB_FORMAT | SUB_IMPORT, mailbox_import },
	{ "export", 1, 1, SUB_MAILBOX | SUB_FORMAT | SUB_TO, mailbox_export },
	{ "delete", 1, 2, SUB_MAILBOX | SUB_ALL | SUB_BEFORE | SUB_YES, mailbox_delete },
	{ "create", 2, 2, SUB_SPECIAL, create },
	{ "rename", 3, 3, 0, rename_mailbox },
	{ "subscribe", 2, 2, 0, subscribe },
	{ "unsubscribe", 2, 2, 0, unsubscribe },
};

static int
run(int argc, char **argv)
{
	return ctl_subs_run(cli_cmd_find("mailbox"), subs, ARRAY_LEN(subs), argc, argv);
}

const struct cli_cmd cmd_mailbox = {
	.name = "mailbox",
	.summary = "List and make mailboxes, read, import, export and delete what is in them",
	.usage = "list ADDRESS [--json]\n"
		 "show ADDRESS [--mailbox NAME] [--json]\n"
		 "read ADDRESS UID [--mailbox NAME] [--json]\n"
		 "import ADDRESS SOURCE [--mailbox NAME] [--create] [--format FORMAT]\n"
		 "       [--recursive] [--max-size SIZE] [--again] [--dry-run] [--json]\n"
		 "export ADDRESS [--mailbox NAME] [--format mbox]\n"
		 "export ADDRESS [--mailbox NAME] --format maildir --to DIRECTORY\n"
		 "delete ADDRESS UIDS | --all [--before DATE] [--mailbox NAME] [--yes]\n"
		 "       [--json]\n"
		 "create ADDRESS NAME [--special USE]\n"
		 "rename ADDRESS NAME NEWNAME\n"
		 "subscribe ADDRESS NAME\n"
		 "unsubscribe ADDRESS NAME",
	.help =
	    "Works beside a running server, and without one. A name is written with / between\n"
	    "a mailbox and the one inside it, whatever IMAP shows. Exported letters keep their\n"
	    "flags: as Status and X-Status in an mbox, in the file's name in a Maildir.\n\n"
	    "  --mailbox NAME    another mailbox than INBOX\n"
	    "  --format mbox     export to standard output, as mboxrd (the default)\n"
	    "  --format maildir  export into a Maildir, which is made if it is not there\n"
	    "  --to DIRECTORY    where that Maildir is\n"
	    "  SOURCE            to import: an mbox file, a Maildir, a directory of .eml files,\n"
	    "                    or - for an mbox on standard input. An import that was cut\n"
	    "                    short goes on when the same command is run again; one that is\n"
	    "                    complete takes in what is new. No letter comes twice\n"
	    "  --create          make the mailbox if it is not there\n"
	    "  --format FORMAT   of what is imported: mbox, mboxrd, mboxo, mboxcl2, maildir, eml\n"
	    "  --recursive       with a Maildir: its folders too, each into a mailbox of its name\n"
	    "  --max-size SIZE   skip larger letters (as much as the listeners take, or 50M)\n"
	    "  --again           import everything once more\n"
	    "  --dry-run         read and report, import nothing\n"
	    "  UIDS              of the letters to delete: 7, or 3-9,12, or 40-*\n"
	    "  --all             delete all letters\n"
	    "  --before DATE     only those that came before it: 2026-01-31 (its beginning, UTC),\n"
	    "                    or 2026-01-31T12:00:00Z\n"
	    "  --special USE     what the new mailbox is for: drafts, sent, trash, junk, archive\n"
	    "  --yes             delete without asking\n"
	    "  --json            print JSON\n"
	    "  --config FILE     the server that FILE configures\n"
	    "  --dir DIR         the server in DIR\n\n"
	    "Examples: pennypost mailbox export ann@example.org > ann.mbox\n"
	    "          pennypost mailbox import ann@example.org /var/mail/ann\n"
	    "          pennypost mailbox import ann@example.org ~ann/Maildir --create\n",
	.words =
	    "list show read import export delete create rename subscribe unsubscribe --special= "
	    "--mailbox= --format=mbox|maildir --create --recursive "
	    "--max-size= --again --dry-run --to=DIR --all --before= --yes --json "
	    "--config=FILE --dir=DIR",
	.run = run,
};
