/* mailbox export: a whole mailbox, as it streams in. */
#include "ctl/ctl_priv.h"

#include "base/check.h"
#include "sys/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct export
{
	struct mbox mbox;
	const char *dir; /* Maildir; NULL: mbox */
	char host[256];
	bool open;
	uint64_t left;         /* octets of the open letter that are still to come */
	char flags[8];         /* of the open letter: of DFRST */
	bool unmarked;         /* mbox: its flags are still to be written */
	struct buf tmp, final; /* the names of the file under way */
	uint64_t letters;
	int rc; /* the first local failure; then nothing more is written */
};

static void
failed(struct export *e, const char *what, int rc)
{
	if (e->rc == 0) {
		complain("%s: %s; nothing more was exported", what, strerror(-rc));
		e->rc = rc;
	}
}

/* --- Maildir --- */

static bool
maildir_make(struct export *e)
{
	static const char *const parts[] = { "tmp", "new", "cur" };
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		struct buf path = BUF_INIT(8192);
		buf_putf(&path, "%s/%s", e->dir, parts[i]);
		int rc = buf_cstr(&path) && !path.failed ? dir_make(path.p, 0700) : -ENAMETOOLONG;
		if (rc < 0)
			failed(e, e->dir, rc);
		buf_done(&path);
	}
	return e->rc == 0;
}

static void
file_begin(struct export *e, const struct msg_row *row)
{
	struct buf name = BUF_INIT(512);
	maildir_name(&name, row_number(row, 2), row_number(row, 1), getpid(), e->host,
	    row_number(row, 3));
	buf_reset(&e->tmp);
	buf_reset(&e->final);
	buf_putf(&e->tmp, "%s/tmp/" STR_FMT, e->dir, STR_ARG(buf_str(&name)));
	buf_putf(&e->final, "%s/%s/" STR_FMT, e->dir, e->flags[0] ? "cur" : "new",
	    STR_ARG(buf_str(&name)));
	if (e->flags[0])
		buf_putf(&e->final, ":2,%s", e->flags);
	buf_done(&name);
	if (buf_cstr(&e->tmp) == NULL || buf_cstr(&e->final) == NULL || e->tmp.failed ||
	    e->final.failed) {
		failed(e, e->dir, -ENAMETOOLONG);
		return;
	}
	int fd = open(e->tmp.p, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	e->mbox.to = fd >= 0 ? fdopen(fd, "w") : NULL;
	if (e->mbox.to == NULL)
		failed(e, e->tmp.p, -errno);
}

/* Durable under its last name, or not there. */
static void
file_end(struct export *e)
{
	FILE *f = e->mbox.to;
	e->mbox.to = NULL;
	errno = 0;
	int rc = fflush(f) != 0 || ferror(f) || fsync(fileno(f)) < 0 ? -(errno ? errno : EIO) : 0;
	if (fclose(f) != 0 && rc == 0)
		rc = -(errno ? errno : EIO);
	if (rc == 0 && rename(e->tmp.p, e->final.p) < 0)
		rc = -errno;
	if (rc < 0) {
		failed(e, e->final.p, rc);
		unlink(e->tmp.p);
	}
}

/* --- the stream: "L" uid time_ms size return_path flags, then "D" chunk ... --- */

static void
letter_end(struct export *e)
{
	if (!e->open)
		return;
	e->open = false;
	mbox_letter_end(&e->mbox);
	e->letters++;
	if (e->dir)
		file_end(e);
	else if (ferror(stdout))
		failed(e, "standard output", -EIO);
}

/* They become part of a file's name: nothing else than flags, each once. */
static void
take_flags(struct export *e, struct str flags)
{
	static const char known[] = "DFRST";
	size_t n = 0;
	for (const char *c = known; *c; c++)
		if (str_find(flags, *c) < flags.len)
			e->flags[n++] = *c;
	e->flags[n] = '\0';
}

static void
letter_begin(struct export *e, const struct msg_row *row)
{
	take_flags(e, row_field(row, 5));
	e->unmarked = !e->dir && e->flags[0];
	if (e->dir)
		file_begin(e, row);
	if (e->rc < 0)
		return;
	e->open = true;
	e->left = row_number(row, 3);
	mbox_letter_begin(&e->mbox, row_field(row, 4), row_number(row, 2));
}

static void
export_row(void *arg, const struct msg_row *row)
{
	struct export *e = arg;
	struct str kind = row_field(row, 0);
	if (e->rc < 0)
		return;
	if (str_eq(kind, STR("L"))) {
		letter_end(e);
		if (e->rc == 0)
			letter_begin(e, row);
	} else if (str_eq(kind, STR("D")) && e->open) {
		struct str chunk = row_field(row, 1);
		if (e->unmarked && chunk.len && chunk.p[0] != ' ' && chunk.p[0] != '\t')
			mbox_flags(&e->mbox, e->flags);
		e->unmarked = false;
		mbox_feed(&e->mbox, chunk);
		e->left -= MIN(e->left, chunk.len);
		if (e->left == 0)
			letter_end(e);
	}
}

static void
abandon(struct export *e)
{
	if (e->dir && e->mbox.to) {
		fclose(e->mbox.to);
		unlink(e->tmp.p);
	}
	e->open = false;
}

static void
sync_part(struct export *e, const char *part)
{
	struct buf path = BUF_INIT(8192);
	buf_putf(&path, "%s/%s", e->dir, part);
	int rc = buf_cstr(&path) ? dir_sync(path.p) : -ENOMEM;
	if (rc < 0)
		failed(e, e->dir, rc);
	buf_done(&path);
}

static int
export_all(struct ctl_call *call, struct export *e)
{
	struct str args[] = { str_of(call->words.v[0]),
		str_of(call->mailbox ? call->mailbox : "INBOX") };
	if (e->dir && !maildir_make(e))
		return EXIT_IO;
	int status = server_ask(&call->server, "mailbox.export", args, 2, export_row, e);
	if (status == EXIT_DONE)
		letter_end(e);
	else
		abandon(e); /* a letter may be cut short: leave no half of it */
	if (e->dir && e->rc == 0) {
		sync_part(e, "new");
		sync_part(e, "cur");
	}
	return e->rc < 0 ? EXIT_IO : status;
}

static int
format_of(struct ctl_call *call, struct export *e)
{
	const char *format = call->format ? call->format : "mbox";
	if (call->json)
		return usage_error(call->cmd, "export writes letters; it has no --json");
	if (strcmp(format, "mbox") == 0) {
		e->mbox.to = stdout;
		return call->to ? usage_error(call->cmd, "--format mbox writes to standard output; "
							 "redirect it instead of --to")
		                : EXIT_DONE;
	}
	if (strcmp(format, "maildir") != 0)
		return usage_error(call->cmd, "there is no format %s; write mbox or maildir",
		    format);
	if (call->to == NULL)
		return usage_error(call->cmd, "--format maildir needs --to DIRECTORY");
	e->dir = call->to;
	e->mbox.plain = true;
	return EXIT_DONE;
}

int
mailbox_export(struct ctl_call *call)
{
	struct export e = { .tmp = BUF_INIT(8192), .final = BUF_INIT(8192) };
	int status = format_of(call, &e);
	if (status == EXIT_DONE && gethostname(e.host, sizeof e.host - 1) < 0)
		(void)str_copy(e.host, sizeof(e.host), STR("localhost"));
	if (status == EXIT_DONE)
		status = export_all(call, &e);
	if (status == EXIT_DONE && e.dir)
		complain("letters exported to %s: %llu", e.dir, (unsigned long long)e.letters);
	buf_done(&e.tmp);
	buf_done(&e.final);
	return status;
}
