/* Packs of letters on their way to the server: one is under way while the next is made. */
#include "ctl/import_priv.h"

#include "sys/file.h"

#include <stdlib.h>
#include <unistd.h>

#define PACK_FULL ((size_t)8 << 20)
#define PACK_LETTERS 4096

static void
sent_row(void *arg, const struct msg_row *row)
{
	struct import *i = arg;
	i->n.letters += row_number(row, 0);
	i->n.octets += row_number(row, 1);
	i->n.known += row_number(row, 2);
}

static void
fail(struct import *i, int status)
{
	if (i->status == EXIT_DONE)
		i->status = status;
}

static void
await(struct import *i)
{
	if (!i->under_way)
		return;
	i->under_way = false;
	int status = server_ask_wait(&i->call->server, "import.letters", sent_row, i);
	if (status != EXIT_DONE)
		fail(i, status);
}

static int
send_pack(struct import *i)
{
	char account[24], mailbox[24];
	int fd = memfd_sealed("letters", buf_str(&i->pack));
	if (fd < 0) {
		complain("no memory for letters on their way: %s", strerror(-fd));
		return EXIT_IO;
	}
	snprintf(account, sizeof(account), "%llu", (unsigned long long)i->account);
	snprintf(mailbox, sizeof(mailbox), "%llu", (unsigned long long)i->mailbox);
	struct str args[] = { str_of(account), str_of(mailbox), str_of(i->job),
		str_first(str_of(i->source), 1024) };
	int status = server_ask_send(&i->call->server, "import.letters", args, 4, fd);
	close(fd);
	i->under_way = status == EXIT_DONE;
	i->sent = true;
	return status;
}

static void
send_packed(struct import *i)
{
	if (i->n_packed == 0)
		return;
	import_show(i, false);
	if (i->call->dry_run) {
		i->n.letters += i->n_packed;
	} else {
		await(i);
		if (i->status == EXIT_DONE)
			fail(i, send_pack(i));
	}
	buf_reset(&i->pack);
	i->n_packed = 0;
}

size_t
import_letter_begin(struct import *i)
{
	i->pack.max = PACK_BYTES_MAX;
	if (i->n_packed == 0) {
		buf_reset(&i->pack);
		pack_begin(&i->pack);
	}
	return pack_letter_begin(&i->pack);
}

void
import_letter_drop(struct import *i, size_t at)
{
	i->pack.failed = false;
	buf_trunc(&i->pack, at);
}

void
import_letter_end(struct import *i, size_t at, const struct pack_letter *l)
{
	size_t octets = i->pack.len - at - 4;
	pack_letter_end(&i->pack, at, l);
	if (i->pack.failed) {
		complain("no memory for a letter of %zu octets; lower --max-size", octets);
		fail(i, EXIT_IO);
		import_letter_drop(i, at);
		return;
	}
	if (i->call->dry_run)
		i->n.octets += octets;
	i->n_packed++;
	if (i->pack.len >= PACK_FULL || i->n_packed >= PACK_LETTERS)
		send_packed(i);
}

bool
import_part_end(struct import *i)
{
	if (import_goes_on(i))
		send_packed(i);
	i->n_packed = 0;
	await(i);
	return i->status == EXIT_DONE;
}
