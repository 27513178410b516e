/* The recorder's thread. */
#include "store/recorder_priv.h"

#include "base/check.h"
#include "log/log.h"
#include "store/logread.h"
#include "sys/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FLUSH_BYTES (1u << 20)
#define PAUSE_MS 100           /* so that what comes meanwhile is copied together */
#define TICK_MS 30000          /* files grow old */
#define PARTS 10               /* files that the limits allow, at least */
#define FILE_LEAST (64u << 10) /* else tables take most of it */
#define TROUBLE_MS 1000
#define TROUBLES_MAX 60 /* in a row */

/* --- following --- */

/* The first segment behind that one, of those with frames; 0: none. */
static uint64_t
segment_behind(struct recorder *r, uint64_t seq)
{
	struct emb *e = r->e;
	uint64_t found = 0;
	mutex_lock(&e->m);
	for (size_t i = e->n_segs; i-- > 0 && e->segs[i].seq > seq;)
		found = e->segs[i].seq;
	mutex_unlock(&e->m);
	return found;
}

static int
take_history(struct recorder *r, struct logread *lr, const struct frame *f)
{
	struct str payload;
	struct trace_payload t;
	int rc = logread_payload(lr, f, &payload);
	/* One damaged history must not hide the others. */
	if (rc == -EBADMSG || (rc == 0 && !trace_payload_get(payload, &t)))
		return 0;
	if (rc == 0)
		rc = recorder_add(r, f->lsn, payload, &t);
	return rc == -EFBIG ? 0 : rc;
}

/* Up to `end` in the segment at hand, or as far as there are frames. */
static int
walk(struct recorder *r, uint64_t end)
{
	struct logread lr;
	int rc = logread_open(&lr, r->log, lsn_seq(r->at), lsn_off(r->at));
	if (rc == -ENOENT || rc == -EBADMSG)
		return 0;
	while (rc == 0 && lr.off < end) {
		struct frame f;
		enum frame_state state;
		rc = logread_head(&lr, &f, &state);
		if (rc < 0 || state != FRAME_OK || f.type == FRAME_END)
			break;
		if (f.type == FRAME_TRACE)
			rc = take_history(r, &lr, &f);
		if (rc < 0)
			break;
		logread_next(&lr, &f);
		r->at = lsn_of(lr.head.seq, lr.off);
		if (r->out.len >= FLUSH_BYTES)
			rc = recorder_flush(r);
	}
	logread_close(&lr);
	return rc;
}

/* What was followed may be freed from now on. */
static void
let_go(struct recorder *r)
{
	struct emb *e = r->e;
	mutex_lock(&e->m);
	e->followed = r->at;
	cond_signal(&e->compact_cond);
	mutex_unlock(&e->m);
}

static int
cross(struct recorder *r, uint64_t next)
{
	int rc = recorder_flush(r);
	if (rc == 0)
		rc = recorder_settle(r);
	if (rc < 0)
		return rc;
	r->at = lsn_of(next, SEG_HEAD);
	let_go(r);
	return 0;
}

static bool
must_stop(struct recorder *r)
{
	mutex_lock(&r->e->m);
	bool stop = r->stop;
	mutex_unlock(&r->e->m);
	return stop;
}

static int
follow(struct recorder *r, uint64_t durable)
{
	int rc = 0;
	while (rc == 0 && r->at < durable) {
		uint64_t seq = lsn_seq(r->at);
		bool last = seq == lsn_seq(durable);
		if (seq)
			rc = walk(r, last ? lsn_off(durable) : UINT64_MAX);
		if (rc < 0 || last)
			break;
		uint64_t next = segment_behind(r, seq);
		check(next > 0);
		rc = cross(r, next);
		/* A start with much to read does not hold up an end. */
		if (rc == 0 && must_stop(r))
			return recorder_flush(r);
	}
	if (rc == 0)
		rc = recorder_flush(r);
	if (rc == 0 && r->at < durable) {
		LOG(LOG_ERROR, 0, "trace-gap", LOGN("segment", lsn_seq(r->at)),
		    LOGZ("remedy", "run `pennypost fsck`"));
		r->at = durable;
	}
	return rc;
}

/* --- trouble --- */

/* A full disk: the oldest file goes; when there is none, what was to be written. Any other trouble
 * may pass, and the old files are no reason of it; but what is not followed keeps the log. */
static void
give_way(struct recorder *r, int rc, uint64_t durable)
{
	bool full = rc == -ENOSPC || rc == -EDQUOT;
	if (r->trouble != rc)
		LOG(LOG_ERROR, 0, "trace-failed", LOGZ("error", strerror(-rc)),
		    LOGZ("then", "the oldest histories go, or the new ones"));
	r->trouble = rc;
	if (full ? recorder_shed(r, r->size, 0, true) : ++r->troubles < TROUBLES_MAX)
		return;
	r->troubles = 0;
	recorder_drop(r);
	r->lost++;
	r->at = MAX(r->at, durable);
	let_go(r);
}

/* A clock that was ahead must not keep files for ever: no file is younger than one behind it. */
static void
forget_future(struct recorder *r, uint64_t now)
{
	for (size_t i = r->n_sealed; i-- > 1;)
		if (r->sealed[i - 1].last_ms > now)
			r->sealed[i - 1].last_ms = r->sealed[i].last_ms;
}

static uint64_t
part_of(const struct recorder *r, uint64_t size)
{
	return MIN(r->file_max, MAX(size / PARTS, (uint64_t)FILE_LEAST));
}

/* Files go whole, so each is but a small part of what may be there, in size and in time. */
static void
keep_limits(struct recorder *r)
{
	mutex_lock(&r->e->m);
	uint64_t size = r->size, keep = r->keep_ms;
	mutex_unlock(&r->e->m);
	uint64_t now = (uint64_t)sys_wall_ms();
	r->file_bytes = part_of(r, size);
	if (r->fd >= 0 && r->now.first_ms < now && now - r->now.first_ms > keep / PARTS)
		(void)recorder_seal(r);
	forget_future(r, now);
	(void)recorder_shed(r, size, now > keep ? now - keep : 0, false);
}

/* --- the thread --- */

/* Under m. */
static void
tell(struct recorder *r, uint64_t durable)
{
	uint64_t octets = r->fd >= 0 ? r->now.size : 0;
	for (size_t i = 0; i < r->n_sealed; i++)
		octets += r->sealed[i].octets;
	r->stats = (struct recorder_stats){ .records = r->records,
		.files = r->n_sealed + (r->fd >= 0),
		.octets = octets,
		.lag = durable - r->at,
		.lost = r->lost };
	r->followed = r->at;
	cond_broadcast(&r->progress);
}

/* Under m. */
static void
pause_for(struct recorder *r, int64_t ms)
{
	struct emb *e = r->e;
	for (int64_t until = sys_mono_ms() + ms; !r->stop && !r->urgent;) {
		int64_t left = until - sys_mono_ms();
		if (left <= 0)
			return;
		cond_wait_ms(&e->follow_cond, &e->m, left);
	}
}

/* Until there is something to follow. Under m. */
static void
await(struct recorder *r)
{
	struct emb *e = r->e;
	int64_t until = sys_mono_ms() + TICK_MS;
	while (!r->stop && !r->urgent && e->durable <= r->at) {
		int64_t left = until - sys_mono_ms();
		if (left <= 0)
			return;
		e->follow_waits = true;
		cond_wait_ms(&e->follow_cond, &e->m, left);
		e->follow_waits = false;
	}
}

static void
recorder_main(void *arg)
{
	struct recorder *r = arg;
	struct emb *e = r->e;
	mutex_lock(&e->m);
	for (bool last = false; !last;) {
		await(r);
		last = r->stop;
		r->urgent = false;
		uint64_t durable = e->durable;
		mutex_unlock(&e->m);
		int rc = follow(r, durable);
		if (rc == 0)
			rc = recorder_place(r);
		if (rc < 0)
			give_way(r, rc, durable);
		else
			r->trouble = 0, r->troubles = 0;
		keep_limits(r);
		mutex_lock(&e->m);
		tell(r, durable);
		pause_for(r, rc < 0 ? TROUBLE_MS : PAUSE_MS);
	}
	mutex_unlock(&e->m);
	if (recorder_settle(r) == 0)
		(void)recorder_place(r);
}

/* --- from outside --- */

/* Nobody follows: compaction frees segments, and keeps histories, as without a recorder. */
static void
follow_not(struct emb *e)
{
	mutex_lock(&e->m);
	e->o.followed = false;
	e->followed = UINT64_MAX;
	mutex_unlock(&e->m);
}

int
recorder_open(struct recorder **ret, struct store *s, const struct recorder_options *o,
    struct buf *err)
{
	if (s->engine != &engine_emb || s->o.read_only) {
		buf_putf(err, "only the writer of a store on a disk can be recorded");
		return -ENOTSUP;
	}
	struct recorder *r = xalloc(sizeof(*r));
	uint64_t cut = 0;
	*r = (struct recorder){ .e = s->impl,
		.dir = -1,
		.fd = -1,
		.place_fd = -1,
		.size = o->size,
		.keep_ms = o->keep_ms,
		.file_max = MIN(o->file_bytes, TRC_FILE_MAX / 2) };
	r->file_bytes = part_of(r, o->size);
	r->log = r->e->log;
	r->out = BUF_INIT(0);
	mutex_lock(&r->e->m);
	uint64_t durable = r->e->durable;
	mutex_unlock(&r->e->m);
	int rc = recorder_dir_open(r);
	if (rc == 0)
		rc = recorder_files_open(r, durable, &cut);
	if (rc < 0) {
		buf_putf(err, "the histories in the directory trace of the store: %s",
		    strerror(-rc));
		recorder_files_close(r);
		follow_not(r->e);
		free(r);
		return rc;
	}
	if (cut)
		LOG(LOG_WARN, 0, "trace-repaired", LOGN("file", r->now.number),
		    LOGN("octets", cut));
	cond_init(&r->progress);
	let_go(r);
	thread_start(&r->thread, "recorder", recorder_main, r);
	*ret = r;
	return 0;
}

struct recorder *
recorder_close(struct recorder *r)
{
	if (!r)
		return NULL;
	mutex_lock(&r->e->m);
	r->stop = true;
	cond_broadcast(&r->e->follow_cond);
	mutex_unlock(&r->e->m);
	thread_join(&r->thread);
	recorder_files_close(r);
	cond_done(&r->progress);
	free(r);
	return NULL;
}

void
recorder_limits(struct recorder *r, uint64_t size, uint64_t keep_ms)
{
	mutex_lock(&r->e->m);
	r->size = size;
	r->keep_ms = keep_ms;
	r->urgent = true;
	cond_broadcast(&r->e->follow_cond);
	mutex_unlock(&r->e->m);
}

void
recorder_sync(struct recorder *r)
{
	struct emb *e = r->e;
	mutex_lock(&e->m);
	for (uint64_t durable = e->durable; r->followed < durable && !r->stop;) {
		r->urgent = true;
		cond_broadcast(&e->follow_cond);
		cond_wait_ms(&r->progress, &e->m, PAUSE_MS);
	}
	mutex_unlock(&e->m);
}

void
recorder_stats(struct recorder *r, struct recorder_stats *ret)
{
	mutex_lock(&r->e->m);
	*ret = r->stats;
	mutex_unlock(&r->e->m);
}
