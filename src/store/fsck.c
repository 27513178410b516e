#include "store/fsck.h"

#include "base/check.h"
#include "store/emb.h"
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

void
fsck_forget_versions(struct fsck *f)
{
	free_values(&f->vers);
	f->vers = MAP_NULL;
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
	return fsck_run_queued(dir, ret, NULL, progress, arg);
}

int
fsck_run_queued(const char *dir, struct fsck_report *ret, fsck_queued_fn *queued,
    void (*progress)(void *arg, uint64_t done, uint64_t all), void *arg)
{
	*ret = (struct fsck_report){ .text = BUF_INIT(FSCK_TEXT_MAX) };
	struct fsck f = { .report = ret,
		.queued = queued,
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
	if (r == 0 && f.has_index)
		r = fsck_checkpoint(&f);
	if (r == 0 && f.has_id)
		r = fsck_trace(&f);
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

/* --- the index made anew --- */

static int
count_letters(struct index *ix, struct fsck_report *ret)
{
	struct store_dom d = { { 0 } };
	MDB_txn *txn;
	int r = index_errno(mdb_txn_begin(ix->env, NULL, MDB_RDONLY, &txn));
	if (r < 0)
		return r;
	for (bool first = true; (r = index_next_domain(ix, txn, &d, first)) == 0; first = false) {
		struct mailbox_head h;
		struct str v;
		if (d.b[0] != 'B' || index_get(ix, txn, &d, HEAD_KEY, &v) < 0 ||
		    !mailbox_head_get(v, &h))
			continue;
		ret->mailboxes++;
		ret->letters += h.messages;
	}
	mdb_txn_abort(txn);
	return r == -ENOENT ? 0 : r;
}

int
fsck_rebuild(const char *dir, struct fsck_report *ret,
    void (*progress)(void *arg, uint64_t done, uint64_t all), void *arg, struct buf *err)
{
	struct store_options o = STORE_OPTIONS_DEFAULT;
	struct store *s = NULL;
	char *uri = NULL;
	*ret = (struct fsck_report){ .text = BUF_INIT(FSCK_TEXT_MAX) };
	o.create = false;
	o.rebuild_index = true;
	o.progress = progress;
	o.progress_arg = arg;
	if (asprintf(&uri, "emb:%s", dir) < 0)
		return -ENOMEM;
	int r = store_open(&s, uri, &o, err);
	free(uri);
	if (r < 0)
		return r;
	struct emb *e = s->impl;
	r = count_letters(&e->ix, ret);
	if (r == 0)
		r = fsck_tables(dir);
	if (r < 0)
		buf_putf(err, "reading the new index: %s; check the disk", strerror(-r));
	mutex_lock(&e->m);
	ret->segments = e->n_segs;
	mutex_unlock(&e->m);
	store_close(s);
	return r;
}

void
fsck_report_done(struct fsck_report *r)
{
	buf_done(&r->text);
}
