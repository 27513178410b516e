/* emb: the engine's life and its snapshots. */
#include "store/emb.h"

#include "base/check.h"
#include "log/log.h"
#include "sys/file.h"
#include "sys/random.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define READ_NEAR (256u << 10)

/* --- poison --- */

bool
emb_poisoned(const struct emb *e)
{
	return __atomic_load_n(&e->poisoned, __ATOMIC_ACQUIRE) != 0;
}

/* A failed sync is never tried again: the kernel has marked the pages clean and the data is
 * gone. The process ends, and recovery reads what the disk really has. */
void
emb_poison(struct emb *e, const char *what, int rc)
{
	LOG(LOG_ERROR, 0, "store-poisoned", LOGZ("while", what), LOGZ("error", strerror(-rc)));
	mutex_lock(&e->m);
	__atomic_store_n(&e->poisoned, 1, __ATOMIC_RELEASE);
	cond_broadcast(&e->applied_cond);
	cond_broadcast(&e->spare_cond);
	cond_broadcast(&e->room_cond);
	cond_broadcast(&e->compact_cond);
	cond_broadcast(&e->pin_cond);
	mutex_unlock(&e->m);
}

/* --- opening --- */

static struct emb *
emb_new(struct store *s)
{
	struct emb *e = xalloc(sizeof(*e));
	e->store = s;
	e->o = s->o;
	e->o.segment_bytes =
	    MIN(MAX(e->o.segment_bytes, (uint64_t)SEG_SIZE_MIN), (uint64_t)SEG_SIZE_MAX) &
	    ~(uint64_t)4095;
	e->dir = e->log = e->blob = e->lock = e->readers = e->seg_fd = -1;
	mutex_init(&e->m);
	cond_init(&e->log_cond);
	cond_init(&e->ix_cond);
	cond_init(&e->room_cond);
	cond_init(&e->applied_cond);
	cond_init(&e->spare_cond);
	cond_init(&e->prep_cond);
	cond_init(&e->compact_cond);
	cond_init(&e->pin_cond);
	cond_init(&e->follow_cond);
	e->followed = e->o.followed ? 0 : UINT64_MAX;
	queue_init(&e->requests);
	queue_init(&e->syncs);
	e->ix_tail = &e->ix_head;
	e->newest = &e->oldest;
	overlay_init(&e->overlay);
	files_init(e);
	s->impl = e;
	return e;
}

static void
close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void
emb_free(struct emb *e)
{
	while (e->oldest) {
		struct group *g = e->oldest;
		e->oldest = g->newer;
		for (struct request *r; (r = queue_take(&g->applied)) != NULL;)
			request_free(r);
		group_free(e, g);
	}
	buf_done(&e->idle_buf);
	overlay_done(&e->overlay);
	if (e->log_txn)
		mdb_txn_abort(e->log_txn);
	if (e->idle_txn)
		mdb_txn_abort(e->idle_txn);
	index_close(&e->ix);
	files_done(e);
	close_fd(&e->seg_fd);
	close_fd(&e->blob);
	close_fd(&e->log);
	close_fd(&e->readers);
	close_fd(&e->lock);
	close_fd(&e->dir);
	cond_done(&e->log_cond);
	cond_done(&e->ix_cond);
	cond_done(&e->room_cond);
	cond_done(&e->applied_cond);
	cond_done(&e->spare_cond);
	cond_done(&e->prep_cond);
	cond_done(&e->compact_cond);
	cond_done(&e->pin_cond);
	cond_done(&e->follow_cond);
	free(e->segs);
	free(e->gone);
	mutex_done(&e->m);
	free(e);
}

static int
open_dir(int at, const char *name, int *ret)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	*ret = fd;
	return 0;
}

/* Index or blobs without a log are what is left of a store whose log is not mounted or was
 * lost. A fresh log beside them would take the blobs for rubbish. */
static int
check_bare(struct emb *e)
{
	struct stat st;
	if (fstatat(e->dir, "index", &st, AT_SYMLINK_NOFOLLOW) == 0)
		return -ENOTEMPTY;
	if (unlinkat(e->dir, "blob", AT_REMOVEDIR) < 0 && errno != ENOENT)
		return errno == EEXIST ? -ENOTEMPTY : -errno;
	return 0;
}

/* The store is there when log/ is, so log/ gets its name last, with its first segment in it. */
static int
create(struct emb *e)
{
	struct seg_head h = { .seq = 1, .size = e->o.segment_bytes };
	int tmp = -1, bare = check_bare(e);
	if (bare < 0)
		return bare;
	e->fresh = true;
	random_bytes(h.id, sizeof(h.id));
	if ((mkdirat(e->dir, "blob", 0700) < 0 && errno != EEXIST) ||
	    (mkdirat(e->dir, "log.new", 0700) < 0 && errno != EEXIST))
		return -errno;
	int r = open_dir(e->dir, "log.new", &tmp);
	if (r == 0)
		r = seg_create(tmp, &h);
	close_fd(&tmp);
	/* A disk may keep the later name and lose the earlier one: blob/ comes first. */
	if (r == 0 && fsync(e->dir) < 0)
		r = -errno;
	if (r == 0 && renameat(e->dir, "log.new", e->dir, "log") < 0)
		r = -errno;
	if (r == 0 && fsync(e->dir) < 0)
		r = -errno;
	return r;
}

static int
open_parts(struct emb *e)
{
	int r = open_dir(e->dir, "log", &e->log);
	if (r == -ENOENT && e->o.create && !e->o.read_only) {
		r = create(e);
		if (r == 0)
			r = open_dir(e->dir, "log", &e->log);
	}
	if (r == 0)
		r = open_dir(e->dir, "blob", &e->blob);
	if (r < 0)
		return r;
	int flags = e->o.read_only ? O_RDONLY : O_RDWR | O_CREAT;
	e->readers = openat(e->dir, "readers", flags | O_NOFOLLOW | O_CLOEXEC, 0600);
	return e->readers < 0 ? -errno : 0;
}

static int
open_writer(struct emb *e, const char *dir, struct buf *err)
{
	int r = e->o.create ? dir_make(dir, 0700) : 0;
	if (r == 0)
		r = open_dir(AT_FDCWD, dir, &e->dir);
	if (r == 0)
		r = dir_lock(dir, &e->lock);
	if (r == -EWOULDBLOCK) {
		buf_putf(err, "%s is in use by another server; stop that one first", dir);
		return r;
	}
	if (r == 0)
		r = open_parts(e);
	if (r == -ENOTEMPTY) {
		buf_putf(err,
		    "%s/log is missing, but there is mail or an index; restore log/ first", dir);
		return r;
	}
	if (r < 0) {
		buf_putf(err, "cannot open the store in %s: %s; check that it is there and ours",
		    dir, strerror(-r));
		return r;
	}
	r = emb_recover(e, dir, err);
	if (r < 0)
		return r;
	r = index_errno(mdb_txn_begin(e->ix.env, NULL, MDB_RDONLY, &e->log_txn));
	if (r < 0) {
		buf_putf(err, "reading the index in %s: %s; stop what else reads it", dir,
		    strerror(-r));
		return r;
	}
	mdb_txn_reset(e->log_txn);
	thread_start(&e->log_thread, "log", log_main, e);
	thread_start(&e->ix_thread, "index", index_main, e);
	thread_start(&e->prep_thread, "segments", prep_main, e);
	r = emb_redo(e, err);
	if (r == 0)
		thread_start(&e->compact_thread, "compaction", compact_main, e);
	return r;
}

static int
open_reader(struct emb *e, const char *dir, const char *index, struct buf *err)
{
	struct flock shared = { .l_type = F_RDLCK, .l_whence = SEEK_SET };
	struct index_meta m;
	int r = open_dir(AT_FDCWD, dir, &e->dir);
	if (r == 0)
		r = open_parts(e);
	/* Held as long as the index is open: a writer that starts leaves its lock file alone. */
	if (r == 0 && fcntl(e->readers, F_OFD_SETLKW, &shared) < 0)
		r = -errno;
	if (r == 0)
		r = index_open(&e->ix, index, e->o.map_bytes, true, &m);
	if (r < 0) {
		buf_putf(err, "cannot read the store in %s: %s; start the server once to make it",
		    dir, strerror(-r));
		return r;
	}
	memcpy(e->id, m.id, STORE_ID_LEN);
	return 0;
}

static void
stop_threads(struct emb *e)
{
	/* First who asks the others. */
	mutex_lock(&e->m);
	e->compact_stop = true;
	cond_broadcast(&e->compact_cond);
	mutex_unlock(&e->m);
	thread_join(&e->compact_thread);
	mutex_lock(&e->m);
	e->log_stop = true;
	cond_broadcast(&e->log_cond);
	mutex_unlock(&e->m);
	thread_join(&e->log_thread);
	mutex_lock(&e->m);
	e->ix_stop = e->prep_stop = true;
	cond_broadcast(&e->ix_cond);
	cond_broadcast(&e->prep_cond);
	mutex_unlock(&e->m);
	thread_join(&e->ix_thread);
	thread_join(&e->prep_thread);
}

static int
emb_open(struct store *s, struct str where, struct buf *err)
{
	struct emb *e = emb_new(s);
	char *dir = str_dup(where), *index = NULL;
	int r = asprintf(&index, "%s/index", dir) < 0 ? -ENOMEM : 0;
	if (r == 0)
		r = e->o.read_only ? open_reader(e, dir, index, err) : open_writer(e, dir, err);
	free(index);
	free(dir);
	if (r < 0) {
		stop_threads(e);
		emb_free(e);
	}
	return r;
}

static void
emb_close(struct store *s)
{
	struct emb *e = s->impl;
	stop_threads(e);
	emb_free(e);
}

/* --- snapshots --- */

static int
emb_snap_open(struct store_snap *sn, uint64_t *ret_ver)
{
	struct emb *e = sn->store->impl;
	int r = e->o.read_only || sn->applied ? 0 : applied_wait(e);
	if (r < 0)
		return r;
	MDB_txn *txn = e->idle_txn;
	e->idle_txn = NULL;
	r = index_errno(txn ? mdb_txn_renew(txn)
			    : mdb_txn_begin(e->ix.env, NULL, MDB_RDONLY, &txn));
	if (r < 0) {
		if (txn)
			mdb_txn_abort(txn);
		return r;
	}
	struct str v;
	uint64_t ver = 0;
	r = index_get(&e->ix, txn, &sn->dom, STR(""), &v);
	if (r == 0 && v.len == 8)
		ver = be64_get((const unsigned char *)v.p);
	else if (r != -ENOENT) {
		mdb_txn_abort(txn);
		return r < 0 ? r : -EBADMSG;
	}
	sn->impl = txn;
	*ret_ver = ver;
	return 0;
}

static void
emb_snap_close(struct store_snap *sn)
{
	struct emb *e = sn->store->impl;
	if (e->idle_txn) {
		mdb_txn_abort(sn->impl);
		return;
	}
	mdb_txn_reset(sn->impl);
	e->idle_txn = sn->impl;
}

/* LMDB's map is not read ahead, for most reads are scattered. Who walks through a mailbox finds
 * what stands near on the disk under way. */
static void
read_near(const struct store_snap *sn, struct str value, uintptr_t *last)
{
	const struct emb *e = sn->store->impl;
	uintptr_t at = (uintptr_t)value.p / READ_NEAR * READ_NEAR;
	if (!e->o.read_only || at == *last)
		return;
	*last = at;
	(void)madvise((void *)at, READ_NEAR, MADV_WILLNEED); /* advice: it may fail */
}

static int
emb_get(struct store_snap *sn, struct str key, struct str *ret)
{
	struct emb *e = sn->store->impl;
	int r = index_get(&e->ix, sn->impl, &sn->dom, key, ret);
	if (r == 0)
		read_near(sn, *ret, &sn->near_get);
	return r;
}

struct scanning {
	struct store_snap *sn;
	store_scan_fn *fn;
	void *arg;
};

static bool
scan_one(void *arg, struct str key, struct str value)
{
	struct scanning *s = arg;
	read_near(s->sn, value, &s->sn->near_scan);
	return s->fn(s->arg, key, value);
}

static int
emb_scan(struct store_snap *sn, struct str from, struct str to, uint32_t limit, bool reverse,
    store_scan_fn *fn, void *arg)
{
	struct emb *e = sn->store->impl;
	struct scanning s = { sn, fn, arg };
	return index_scan(&e->ix, sn->impl, &sn->dom, from, to, limit, reverse, scan_one, &s);
}

static void
emb_stats(struct store *s, struct store_stats *ret)
{
	struct emb *e = s->impl;
	struct statvfs v;
	mutex_lock(&e->m);
	ret->durable_lsn = e->durable;
	ret->applied_lsn = e->applied;
	ret->segments = e->n_segs + e->n_spares;
	ret->bytes_live = e->bytes_live;
	ret->bytes_log = e->bytes_log;
	ret->compactions = e->compactions;
	ret->checkpoints = e->checkpoints;
	ret->reserve = !e->index_full;
	ret->queue_entries = e->sums.entries;
	ret->queue_letters = e->sums.letters;
	ret->queue_bytes = e->sums.octets;
	mutex_unlock(&e->m);
	ret->groups = __atomic_load_n(&e->groups, __ATOMIC_RELAXED);
	ret->group_letters = __atomic_load_n(&e->group_letters, __ATOMIC_RELAXED);
	ret->group_batches = __atomic_load_n(&e->group_batches, __ATOMIC_RELAXED);
	ret->index_commits = __atomic_load_n(&e->index_commits, __ATOMIC_RELAXED);
	ret->poisoned = emb_poisoned(e);
	if (fstatvfs(e->dir, &v) == 0)
		ret->bytes_free = (uint64_t)v.f_bavail * v.f_frsize;
}

/* --- copies --- */

static uint64_t
emb_pin(struct store *s)
{
	struct emb *e = s->impl;
	mutex_lock(&e->m);
	while (e->removing)
		cond_wait(&e->pin_cond, &e->m);
	uint64_t pin = ++e->pins;
	mutex_unlock(&e->m);
	return pin;
}

static void
emb_unpin(struct store *s, uint64_t pin)
{
	struct emb *e = s->impl;
	mutex_lock(&e->m);
	check(e->pins > 0);
	e->pins--;
	mutex_unlock(&e->m);
}

static int
emb_cut(struct store *s, struct store_cut *ret)
{
	struct emb *e = s->impl;
	if (e->o.read_only)
		return -ENOTSUP;
	*ret = (struct store_cut){ 0 };
	memcpy(ret->id, e->id, STORE_ID_LEN);
	mutex_lock(&e->m);
	int r = emb_poisoned(e) ? -EIO : 0;
	ret->lsn = e->durable;
	ret->begin = e->checkpoint.begin;
	mutex_unlock(&e->m);
	return r;
}

const struct engine engine_emb = {
	.prefix = "emb:",
	.open = emb_open,
	.close = emb_close,
	.submit = emb_submit,
	.go = emb_go,
	.snap_open = emb_snap_open,
	.snap_close = emb_snap_close,
	.get = emb_get,
	.scan = emb_scan,
	.read = emb_read,
	.blob_new = emb_blob_new,
	.blob_drop = emb_blob_drop,
	.stats = emb_stats,
	.pin = emb_pin,
	.unpin = emb_unpin,
	.cut = emb_cut,
};
