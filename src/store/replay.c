/* Recovery: what stands behind the log's end, and the log into the index. */
#include "store/recover_priv.h"

#include "base/check.h"
#include "log/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TAIL_STEP (1u << 20)
#define INDEX_OPS_FEW 200 /* of a commit when there is hardly any room */

int
recover_say(struct buf *err, int rc, const char *what, const char *remedy)
{
	buf_putf(err, "%s: %s; %s", what, strerror(-rc), remedy);
	return rc;
}

int
recover_segment_bad(struct buf *err, int rc, uint64_t seq)
{
	char name[SEG_NAME_LEN];
	seg_name(name, seq);
	if (rc == -EPROTONOSUPPORT)
		buf_putf(err, "log/%s was written by a newer version; use that version", name);
	else if (rc == -EBADMSG)
		buf_putf(err,
		    "log/%s is damaged; run `pennypost fsck` and restore it from a backup", name);
	else
		buf_putf(err, "log/%s: %s; check the directory's rights and disk", name,
		    strerror(-rc));
	return rc;
}

/* --- the tail --- */

static void
look(struct emb *e, const char *p, size_t n, size_t usable, uint64_t lsn, uint64_t end,
    struct tail *t)
{
	for (size_t i = 0; i < n; i += FRAME_ALIGN) {
		static const char zeros[FRAME_ALIGN];
		struct frame f;
		if (memcmp(p + i, zeros, MIN(n - i, sizeof(zeros))) == 0)
			continue;
		t->dirty = true;
		if (usable - i >= FRAME_HEAD &&
		    frame_head_get(p + i, lsn + i, SEG_SIZE_MAX, e->id, &f) == FRAME_OK &&
		    f.group > end)
			t->later = true;
	}
}

/* What stands from off to the end of the segment. */
int
tail_look(struct emb *e, int fd, uint64_t seq, uint64_t off, uint64_t size, struct tail *ret)
{
	struct tail t = { 0 };
	char *p = xalloc(TAIL_STEP + FRAME_HEAD);
	int r = 0;
	for (uint64_t at = off; r == 0 && at < size; at += TAIL_STEP) {
		size_t n = MIN(size - at, (uint64_t)TAIL_STEP);
		size_t usable = MIN(size - at, (uint64_t)TAIL_STEP + FRAME_HEAD);
		r = pread_all(fd, p, usable, at);
		if (r == 0)
			look(e, p, n, usable, lsn_of(seq, at), off, &t);
	}
	free(p);
	if (r == 0)
		*ret = t;
	return r;
}

int
tail_clean(int fd, uint64_t off, uint64_t size)
{
	char *zeros = xalloc(TAIL_STEP);
	int r = 0;
	for (; r == 0 && off < size; off += TAIL_STEP)
		r = pwrite_all(fd, zeros, MIN(size - off, (uint64_t)TAIL_STEP), off);
	free(zeros);
	return r < 0 ? r : fdatasync(fd) < 0 ? -errno : 0;
}

/* --- replay --- */

/* What a killed process wrote may be in the page cache alone; and after a sync that failed the
 * cache may hold what the disk has not got. What is read from here on is answered for, so it is
 * made durable, and read from the disk. */
static int
settle(int fd)
{
	if (fdatasync(fd) < 0)
		return -errno;
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	return 0;
}

static int
replay_commit(struct replay *p)
{
	if (!p->open)
		return 0;
	struct index_meta m = p->meta;
	m.applied = lsn_of(p->r.head.seq, p->r.off);
	p->open = false;
	int r = index_commit(&p->w, &m);
	if (r == 0)
		p->meta = m;
	return r;
}

static int
replay_frame(struct replay *p, const struct frame *f, struct str payload)
{
	int r = p->open ? 0 : index_begin(&p->e->ix, &p->w);
	if (r < 0)
		return r;
	p->open = true;
	return index_apply(&p->w, f, payload);
}

/* A body or a history with a wrong checksum in the middle of the log is one letter's damage,
 * which reading it reports; at the end of the log it is a torn write, and the end. */
static int
is_damage(struct replay *p, const struct frame *f, bool *ret)
{
	struct tail t;
	*ret = false;
	if (f->type != FRAME_BODY && f->type != FRAME_TRACE)
		return 0;
	int r = tail_look(p->e, p->r.fd, p->r.head.seq, p->r.off, p->r.head.size, &t);
	if (r < 0)
		return r;
	*ret = t.later;
	if (t.later)
		LOG(LOG_ERROR, 0, "store-damage", LOGZ("what", "a letter's frame"),
		    LOGN("lsn", f->lsn));
	return 0;
}

/* Replays one segment from where p->r stands. *ret_end: the log goes on in the next one. */
static int
replay_segment(struct replay *p, bool *ret_end)
{
	*ret_end = false;
	for (;;) {
		struct frame f;
		enum frame_state state;
		struct str payload;
		bool damage = false;
		int r = logread_head(&p->r, &f, &state);
		if (r < 0 || state != FRAME_OK)
			return r;
		r = logread_payload(&p->r, &f, &payload);
		if (r == -EBADMSG) {
			r = is_damage(p, &f, &damage);
			if (r < 0 || !damage)
				return r;
		} else if (r == 0) {
			r = replay_frame(p, &f, payload);
		}
		if (r < 0)
			return r;
		if (f.type == FRAME_END) {
			/* Not passed: what is applied next must find its way from here. */
			*ret_end = true;
			return 0;
		}
		logread_next(&p->r, &f);
		if (p->w.ops >= p->ops && (r = replay_commit(p)) < 0)
			return r;
	}
}

static int
replay_log(struct replay *p, uint64_t from, uint64_t last_seq)
{
	struct emb *e = p->e;
	uint64_t seq = lsn_seq(from), off = lsn_off(from);
	for (;;) {
		bool end;
		if (e->o.progress)
			e->o.progress(e->o.progress_arg, seq - lsn_seq(from),
			    last_seq - lsn_seq(from) + 1);
		int r = logread_open(&p->r, e->log, seq, off);
		if (r == 0)
			r = settle(p->r.fd);
		if (r < 0) {
			logread_close(&p->r);
			return recover_segment_bad(p->err, r, seq);
		}
		r = replay_segment(p, &end);
		e->seg_seq = seq;
		e->seg_off = p->r.off;
		if (r == 0 && end && seq < last_seq) {
			logread_close(&p->r);
			seq++;
			off = SEG_HEAD;
			continue;
		}
		if (r == 0)
			r = replay_commit(p);
		logread_close(&p->r);
		r = reserve_errno(e, r);
		if (r == -ENOSPC)
			return r;
		if (r < 0)
			return recover_say(p->err, r, "replaying the log into the index",
			    "check the disk, run `pennypost fsck`");
		if (!end)
			return 0;
		struct seg_head h = { .seq = seq + 1, .size = e->o.segment_bytes };
		memcpy(h.id, e->id, STORE_ID_LEN);
		r = seg_create(e->log, &h);
		if (r < 0)
			return recover_segment_bad(p->err, r, seq + 1);
		last_seq = ++seq;
		off = SEG_HEAD;
	}
}

/* When the disk is full the index may not even have room for what the log holds already; that is
 * what the reserve is for. */
int
replay_run(struct replay *p, uint64_t last_seq)
{
	p->ops = INDEX_OPS;
	int r = replay_log(p, p->meta.applied, last_seq);
	if (r == -ENOSPC && reserve_release(p->e)) {
		if (p->open)
			index_abort(&p->w);
		p->open = false;
		p->ops = INDEX_OPS_FEW;
		r = replay_log(p, p->meta.applied, last_seq);
	}
	if (p->open)
		index_abort(&p->w);
	return r == -ENOSPC ? recover_say(p->err, r, "replaying the log into the index",
				  "make room on the disk")
	                    : r;
}
