/* user import: accounts with their hashes from passwd-style files. A file with a mistake in it
 * changes nothing; what is there already stays as it is, so a second run goes on. */
#include "ctl/ctl_priv.h"
#include "ctl/user_priv.h"

#include "base/check.h"
#include "base/map.h"
#include "mail/address.h"
#include "sys/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_MAX (64u << 20)

struct import {
	struct ctl_call *call;
	const char *file;
	struct buf text;
	struct map there; /* addresses the server knows: what of them */
	struct map seen;  /* addresses of the file */
	struct out_list out;
	size_t bad, added, kept, left_out, refused;
};

static char mailbox_only, complete, somebody; /* values of the maps */

/* --- reading --- */

static int
read_text(struct import *im)
{
	int fd = STDIN_FILENO;
	if (strcmp(im->file, "-") != 0)
		fd = open(im->file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	int rc = fd < 0 ? -errno : file_read_fd(fd, FILE_MAX, &im->text);
	if (fd > STDIN_FILENO)
		close(fd);
	if (rc < 0)
		complain("%s: %s", im->file,
		    rc == -EFBIG ? "larger than 64 MiB; import it in parts" : strerror(-rc));
	return rc < 0 ? EXIT_IO : EXIT_DONE;
}

static void
each_line(struct import *im, void (*fn)(struct import *im, size_t n, struct user_line *u))
{
	struct str rest = buf_str(&im->text);
	for (size_t n = 1; rest.p; n++) {
		struct user_line u;
		user_line_parse(str_cut(&rest, '\n'), im->call->domain, &u);
		fn(im, n, &u);
		explicit_bzero(&u, sizeof(u));
	}
}

/* Mistakes first: all of them, before anything changes. */
static void
look(struct import *im, size_t n, struct user_line *u)
{
	struct str address = str_of(u->address);
	const char *why = u->kind == USER_BAD ? u->why : NULL;
	if (u->kind == USER_NONE)
		im->left_out += u->no_password;
	else if (!why && map_put(&im->seen, address, &somebody))
		why = "this user stands above already; remove one of the two lines";
	if (!why)
		return;
	im->bad++;
	complain("%s:%zu: %s", im->file, n, why);
}

/* --- writing --- */

static void
show(struct import *im, size_t n, const struct user_line *u, const char *result, struct str why)
{
	char line[24];
	snprintf(line, sizeof(line), "%zu", n);
	struct msg_row row = { .n = 5,
		.field = { str_of(line), str_of(u->address), str_of(user_kind_name[u->kind]),
		    str_of(result), why } };
	out_list_row(&im->out, &row);
}

static int
ask(struct import *im, const char *op, const struct str *args, size_t n)
{
	struct server *s = &im->call->server;
	s->quiet = true;
	int status = server_ask(s, op, args, n, NULL, NULL);
	s->quiet = false;
	return status;
}

static int
make(struct import *im, const struct user_line *u)
{
	const char *words[] = { [USER_HASH] = "hash",
		[USER_LOCKED] = "hash",
		[USER_SCRAM] = "scram",
		[USER_PASSWORD] = im->call->recoverable ? "plain" : NULL };
	const char *word = words[u->kind];
	struct str args[] = { str_of(u->address), str_of(u->secret), str_of(word) };
	bool there = map_get(&im->there, args[0]); /* a run before this one came so far */
	int status = there ? EXIT_DONE : ask(im, "user.add", args, 1);
	return status == EXIT_DONE ? ask(im, "auth.set", args, word ? 3 : 2) : status;
}

static void
write_line(struct import *im, size_t n, struct user_line *u)
{
	if (u->kind == USER_NONE)
		return;
	if (map_get(&im->there, str_of(u->address)) == &complete) {
		im->kept++;
		show(im, n, u, "there already", STR_NULL);
	} else if (im->call->dry_run) {
		im->added++;
		show(im, n, u, "would be added", STR_NULL);
	} else if (make(im, u) == EXIT_DONE) {
		im->added++;
		show(im, n, u, "added", STR_NULL);
	} else {
		im->refused++;
		show(im, n, u, "refused", buf_str(&im->call->server.said));
	}
}

static void
know_mailbox(void *arg, const struct msg_row *row)
{
	struct import *im = arg;
	map_put(&im->there, row_field(row, 0), &mailbox_only);
}

static void
know_login(void *arg, const struct msg_row *row)
{
	struct import *im = arg;
	if (map_get(&im->there, row_field(row, 0)))
		map_put(&im->there, row_field(row, 0), &complete);
}

static int
import(struct import *im)
{
	static const struct out_column columns[] = { { "Line", OUT_NUMBER },
		{ "Address", OUT_TEXT }, { "Secret", OUT_TEXT }, { "Result", OUT_TEXT },
		{ "Why", OUT_TEXT } };
	struct server *server = &im->call->server;
	int status = server_ask(server, "user.list", NULL, 0, know_mailbox, im);
	if (status == EXIT_DONE)
		status = server_ask(server, "auth.list", NULL, 0, know_login, im);
	if (status != EXIT_DONE)
		return status;
	each_line(im, look);
	if (im->bad) {
		complain("%s: nothing was imported; mend the lines above", im->file);
		return EXIT_REFUSED;
	}
	out_list_begin(&im->out, columns, ARRAY_LEN(columns), im->call->json);
	each_line(im, write_line);
	out_list_end(&im->out, true);
	complain("%zu users %s, %zu there already, %zu lines without a password left out, %zu "
		 "refused",
	    im->added, im->call->dry_run ? "would be added" : "added", im->kept, im->left_out,
	    im->refused);
	return im->refused ? EXIT_REFUSED : EXIT_DONE;
}

int
user_import(struct ctl_call *call)
{
	struct import im = { .call = call,
		.file = call->words.v[0],
		.text = BUF_INIT(FILE_MAX),
		.there = MAP_NULL,
		.seen = MAP_NULL };
	if (call->domain && addr_domain(str_of(call->domain), 0) != ADDR_OK)
		return usage_error(call->cmd, "--domain needs a domain, such as example.org");
	int status = read_text(&im);
	if (status == EXIT_DONE)
		status = import(&im);
	buf_wipe(&im.text);
	buf_done(&im.text);
	map_done(&im.there);
	map_done(&im.seen);
	return status;
}
