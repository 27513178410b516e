/* fsck: the recorded histories, each file against its checksums and each table against its file. */
#include "store/fsck_priv.h"
#include "store/recorder_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define REMEDY_TABLE "remove it; the next start makes it anew"

/* rc: of opening it before its file was read, to which then nothing was added any more. */
static void
judge_table(struct fsck *f, struct table *t, int rc, struct contents *c, uint64_t damaged)
{
	if (rc == 0)
		rc = table_load(t);
	/* What is damaged in the file may have been whole when the table was made. */
	if (rc == 0)
		rc = table_verify(t, damaged ? NULL : c);
	if (rc < 0 && rc != -ENOENT)
		fsck_problem(f, "trace/%08llx.idx: %s; " REMEDY_TABLE,
		    (unsigned long long)t->number,
		    rc == -EBADMSG ? "it is damaged, so that letters may not be found"
				   : strerror(-rc));
}

static void
look_at(struct fsck *f, int dir, uint64_t number)
{
	struct table_head h = { .number = number };
	struct contents c = { 0 };
	struct table *t = xalloc(sizeof(*t));
	uint64_t damaged = 0;
	int opened = table_open(t, dir, number);
	memcpy(h.id, f->id, STORE_ID_LEN);
	int rc = contents_of_file(dir, &h, &c, &damaged);
	if (rc == -EBADMSG) { /* it may have been begun just now */
		fsck_moment();
		rc = contents_of_file(dir, &h, &c, &damaged);
	}
	if (rc == 0)
		judge_table(f, t, opened, &c, damaged);
	table_close(t);
	free(t);
	contents_done(&c);
	if (rc == -ENOENT) /* its time is over */
		return;
	f->report->histories++;
	f->report->bytes += h.size;
	if (rc == -EBADMSG)
		fsck_problem(f,
		    "trace/%08llx.trc: it is no file of this store; its histories cannot be read. "
		    "The next start sets it aside; then remove it",
		    (unsigned long long)number);
	else if (rc < 0)
		fsck_problem(f, "trace/%08llx.trc: cannot be read: %s; check the disk",
		    (unsigned long long)number, strerror(-rc));
	else if (damaged)
		fsck_problem(f,
		    "trace/%08llx.trc: %llu octets are damaged; `trace` goes over them, and what "
		    "they told is lost; nothing has to be done",
		    (unsigned long long)number, (unsigned long long)damaged);
}

int
fsck_trace(struct fsck *f)
{
	struct trc_place place;
	uint64_t *numbers = NULL;
	size_t n = 0;
	int dir = openat(f->dir, "trace", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return errno == ENOENT ? 0 : -errno;
	int rc = trc_list(dir, &numbers, &n);
	for (size_t i = 0; rc == 0 && i < n; i++)
		look_at(f, dir, numbers[i]);
	if (rc == 0 && trc_place_read(dir, &place) == -EBADMSG)
		fsck_problem(f, "trace/followed: it is damaged; remove it, and the next start "
				"finds the place by "
				"what is recorded");
	free(numbers);
	close(dir);
	return rc;
}

int
fsck_tables(const char *dir)
{
	uint64_t *numbers = NULL;
	size_t n = 0;
	int at = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int trace = at < 0 ? -1 : openat(at, "trace", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = trace < 0 ? (errno == ENOENT ? 0 : -errno) : trc_list(trace, &numbers, &n);
	for (size_t i = 0; rc == 0 && i < n; i++) {
		char name[TRC_NAME_LEN];
		trc_name(name, numbers[i], "idx");
		if (unlinkat(trace, name, 0) < 0 && errno != ENOENT)
			rc = -errno;
	}
	free(numbers);
	if (trace >= 0)
		close(trace);
	if (at >= 0)
		close(at);
	return rc;
}
