#include "ctl/import_priv.h"

#include "base/check.h"
#include "base/map.h"
#include "base/wire.h"

#include <stdlib.h>
#include <string.h>

#define KEYS_MAX ((size_t)1 << 30)

/* Names only have to differ, and mean the same tomorrow. */
void
import_key(unsigned char out[PACK_KEY_LEN], struct str name)
{
	static const unsigned char hash_keys[2][16] = { "pennypost import", "import pennypost" };
	be64_put(out, siphash(hash_keys[0], name));
	be64_put(out + 8, siphash(hash_keys[1], name));
}

static int
by_octets(const void *a, const void *b)
{
	return memcmp(a, b, PACK_KEY_LEN);
}

bool
import_knows(const struct import *i, const unsigned char key[PACK_KEY_LEN])
{
	return i->keys.len &&
	       bsearch(key, i->keys.p, i->keys.len / PACK_KEY_LEN, PACK_KEY_LEN, by_octets) != NULL;
}

static void
open_row(void *arg, const struct msg_row *row)
{
	struct import *i = arg;
	i->account = row_number(row, 0);
	i->mailbox = row_number(row, 1);
}

/* A dry run makes nothing: a mailbox that is still to be made has no letters. */
static int
open_mailbox(struct import *i, const char *mailbox)
{
	struct server *server = &i->call->server;
	bool make = i->call->create && !i->call->dry_run;
	struct str args[] = { str_of(i->address), str_of(mailbox), make ? STR("1") : STR("0") };
	bool quiet = server->quiet;
	i->mailbox = 0;
	server->quiet = quiet || (i->call->create && i->call->dry_run);
	int status = server_ask(server, "import.open", args, 3, open_row, i);
	if (server->quiet && !quiet && status != EXIT_DONE) {
		bool no_user = str_starts(buf_str(&server->said), STR("there is no user"));
		if (status == EXIT_REFUSED && server->code == CTL_NOT_FOUND && !no_user)
			status = EXIT_DONE;
		else
			complain_lines(buf_str(&server->said));
	}
	server->quiet = quiet;
	return status;
}

static void
marks_row(void *arg, const struct msg_row *row)
{
	struct import *i = arg;
	struct str position = row_field(row, 0);
	if (position.len) {
		buf_reset(&i->position);
		buf_puts(&i->position, position);
	}
	buf_puts(&i->keys, row_field(row, 1));
}

static int
ask_job(struct import *i, const char *op, server_row_fn *fn)
{
	char account[24], mailbox[24];
	snprintf(account, sizeof(account), "%llu", (unsigned long long)i->account);
	snprintf(mailbox, sizeof(mailbox), "%llu", (unsigned long long)i->mailbox);
	struct str args[] = { str_of(account), str_of(mailbox), str_of(i->job) };
	return server_ask(&i->call->server, op, args, 3, fn, i);
}

static int
read_marks(struct import *i)
{
	int status = EXIT_DONE;
	buf_reset(&i->position);
	buf_reset(&i->keys);
	if (i->mailbox == 0 || i->job[0] == '\0')
		return EXIT_DONE;
	if (i->call->again && !i->call->dry_run)
		status = ask_job(i, "import.forget", NULL);
	if (status == EXIT_DONE && !i->call->again)
		status = ask_job(i, "import.marks", marks_row);
	if (status != EXIT_DONE)
		return status;
	if (i->keys.failed || i->position.failed || i->keys.len % PACK_KEY_LEN) {
		complain("%s: what was imported before cannot be read: there is too much of it; "
			 "split the source",
		    i->source);
		return EXIT_REFUSED;
	}
	if (i->keys.len)
		qsort(i->keys.p, i->keys.len / PACK_KEY_LEN, PACK_KEY_LEN, by_octets);
	return EXIT_DONE;
}

bool
import_part_begin(struct import *i, const char *mailbox, const char *identity)
{
	unsigned char job[PACK_KEY_LEN];
	i->job[0] = '\0';
	if (identity) {
		import_key(job, str_of(identity));
		for (size_t n = 0; n < sizeof(job); n++)
			snprintf(i->job + 2 * n, 3, "%02x", job[n]);
	}
	i->position.max = PACK_MARK_MAX;
	i->keys.max = KEYS_MAX;
	i->status = open_mailbox(i, mailbox);
	if (i->status == EXIT_DONE)
		i->status = read_marks(i);
	return i->status == EXIT_DONE;
}
