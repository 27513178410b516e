#include "store/fsck.h"

#include "base/check.h"
#include "store/fsck_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

void
fsck_problem(struct fsck *f, const char *fmt, ...)
{
	va_list ap;
	f->report->problems++;
	va_start(ap, fmt);
	buf_vputf(&f->report->text, fmt, ap);
	va_end(ap);
	buf_putc(&f->report->text, '\n');
}

void
fsck_step(struct fsck *f, uint64_t octets)
{
	f->done = MIN(f->all, f->done + octets);
	if (f->progress)
		f->progress(f->arg, f->done, f->all);
}

void
fsck_moment(void)
{
	struct timespec t = { .tv_nsec = FSCK_MOMENT_MS * 1000000L };
	nanosleep(&t, NULL);
}

static int
open_dir(int at, const char *name, int *ret)
{
	*ret = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return *ret < 0 ? -errno : 0;
}

/* As a reader opens it; what is wrong with it is a finding. */
static void
open_index(struct fsck *f, const char *dir)
{
	struct flock shared = { .l_type = F_RDLCK, .l_whence = SEEK_SET };
	struct index_meta m;
	char *path = NULL;
	f->readers = openat(f->dir, "readers", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (f->readers >= 0)
		fcntl(f->readers, F_OFD_SETLKW, &shared);
	check(asprintf(&path, "%s/index", dir) > 0);
	int r = index_open(&f->ix, path, 0, true, &m);
	free(path);
	if (r == -ENOENT) {
		fsck_problem(f, "index: it is not there; the next start makes it from the log");
	} else if (r == -EPROTONOSUPPORT || r == -EBADMSG) {
		fsck_problem(f, "index: %s; the next start makes it from the log",
		    r == -EBADMSG ? "it is damaged" : "a newer version wrote it");
	} else if (r < 0) {
		fsck_problem(f, "index: cannot be opened: %s; check rights and limits",
		    strerror(-r));
	} else {
		f->has_index = true;
		f->applied = m.applied;
		memcpy(f->id, m.id, STORE_ID_LEN);
		f->has_id = true;
	}
}

static void
free_values(struct map *m)
{
	size_t pos = 0;
	struct str key;
	void *value;
	while (map_next(m, &pos, &key, &value))
		free(value);
	map_done(m);
}

static void
close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

int
fsck_run(const char *dir, struct fsck_report *ret,
    void (*progress)(void *arg, uint64_t done, uint64_t all), void *arg)
{
	*ret = (struct fsck_report){ .text = BUF_INIT(FSCK_TEXT_MAX) };
	struct fsck f = { .report = ret,
		.progress = progress,
		.arg = arg,
		.dir = -1,
		.log = -1,
		.blob = -1,
		.readers = -1,
		.at = { .fd = -1 } };
	int r = open_dir(AT_FDCWD, dir, &f.dir);
	if (r == 0)
		r = open_dir(f.dir, "log", &f.log);
	if (r == 0)
		r = open_dir(f.dir, "blob", &f.blob);
	if (r == 0) {
		open_index(&f, dir);
		r = fsck_log(&f);
	}
	if (r == 0 && f.has_index)
		r = fsck_index(&f);
	/* The last line may have been cut off; the count says how many there were. */
	ret->text.failed = false;
	index_close(&f.ix);
	logread_close(&f.at);
	free_values(&f.vers);
	free_values(&f.users);
	close_fd(f.readers);
	close_fd(f.blob);
	close_fd(f.log);
	close_fd(f.dir);
	return r;
}

void
fsck_report_done(struct fsck_report *r)
{
	buf_done(&r->text);
}
