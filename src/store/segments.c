/* The log's segments while the store runs: one is written, three are ready. */
#include "store/emb.h"

#include "base/check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* --- those with frames in them --- */

void
segs_add(struct emb *e, uint64_t seq, uint64_t size)
{
	if (e->n_segs == e->cap_segs) {
		e->cap_segs = e->cap_segs ? e->cap_segs * 2 : 64;
		e->segs = xrealloc(e->segs, e->cap_segs * sizeof(*e->segs));
	}
	check(e->n_segs == 0 || e->segs[e->n_segs - 1].seq < seq);
	e->segs[e->n_segs++] = (struct seg_entry){ seq, size };
}

static size_t
place(const struct emb *e, uint64_t seq)
{
	size_t lo = 0, hi = e->n_segs;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (e->segs[mid].seq < seq)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

bool
segs_remove(struct emb *e, uint64_t seq, struct seg_entry *ret)
{
	size_t at = place(e, seq);
	if (at == e->n_segs || e->segs[at].seq != seq)
		return false;
	*ret = e->segs[at];
	memmove(&e->segs[at], &e->segs[at + 1], (e->n_segs - at - 1) * sizeof(*e->segs));
	e->n_segs--;
	return true;
}

bool
segs_have(struct emb *e, uint64_t seq)
{
	mutex_lock(&e->m);
	size_t at = place(e, seq);
	bool have = at < e->n_segs && e->segs[at].seq == seq;
	mutex_unlock(&e->m);
	return have;
}

/* --- spares --- */

/* It may be better in a moment, and nothing was lost. */
static bool
can_wait(int rc)
{
	return rc == -ENOSPC || rc == -EDQUOT || rc == -EMFILE || rc == -ENFILE || rc == -ENOMEM;
}

/* From a freed one, if there is one of the right size: that needs no room. */
static int
prepare(struct emb *e, uint64_t seq, const struct seg_entry *old)
{
	struct seg_head h = { .seq = seq, .size = e->o.segment_bytes };
	memcpy(h.id, e->id, STORE_ID_LEN);
	if (old->seq && old->size == h.size)
		return seg_reuse(e->log, old->seq, &h);
	if (old->seq)
		(void)seg_drop(e->log, old->seq);
	return seg_create(e->log, &h);
}

void
prep_main(void *arg)
{
	struct emb *e = arg;
	mutex_lock(&e->m);
	while (!e->prep_stop) {
		if (e->n_spares >= SPARES || emb_poisoned(e)) {
			cond_wait(&e->prep_cond, &e->m);
			continue;
		}
		uint64_t seq = e->spare_next;
		struct seg_entry old = { 0 };
		if (e->n_pool)
			old = e->pool[--e->n_pool];
		mutex_unlock(&e->m);
		int r = prepare(e, seq, &old);
		if (r < 0 && !can_wait(r))
			emb_poison(e, "preparing a segment", r);
		mutex_lock(&e->m);
		e->spare_failed = r < 0 ? -ENOSPC : 0;
		if (r == 0) {
			e->spares[e->n_spares++] = seq;
			e->spare_next = seq + 1;
		}
		cond_broadcast(&e->spare_cond);
		if (r < 0 && !e->prep_stop && !e->n_pool)
			cond_wait_ms(&e->prep_cond, &e->m, SPARE_RETRY_MS);
	}
	mutex_unlock(&e->m);
}

static int
spare_take(struct emb *e, size_t least, uint64_t *ret)
{
	mutex_lock(&e->m);
	while (e->n_spares < least && !e->spare_failed && !emb_poisoned(e))
		cond_wait(&e->spare_cond, &e->m);
	int r = emb_poisoned(e) ? -EIO : e->n_spares >= least ? 0 : -ENOSPC;
	if (r == 0) {
		*ret = e->spares[0];
		memmove(e->spares, e->spares + 1, --e->n_spares * sizeof(*e->spares));
		cond_signal(&e->prep_cond);
		cond_broadcast(&e->compact_cond);
	}
	mutex_unlock(&e->m);
	return r;
}

/* The old segment's end is durable before anything stands in the new one, so recovery may take
 * a missing end for the end of the log. */
int
segment_roll(struct emb *e, bool last)
{
	uint64_t seq;
	struct seg_head h;
	int r = spare_take(e, last ? 1 : SPARES, &seq);
	if (r < 0)
		return r;
	struct buf b = BUF_INIT(FRAME_HEAD);
	size_t at = frame_begin(&b);
	frame_end(&b, at, FRAME_END, 0, lsn_of(e->seg_seq, e->seg_off), e->id);
	r = b.failed ? -ENOMEM : pwrite_all(e->seg_fd, b.p, b.len, e->seg_off);
	buf_done(&b);
	if (r == 0 && fdatasync(e->seg_fd) < 0)
		r = -errno;
	int fd = r == 0 ? seg_open(e->log, seq, O_RDWR, &h) : r;
	if (fd < 0) {
		emb_poison(e, "changing to the next segment", fd);
		return -EIO;
	}
	close(e->seg_fd);
	e->seg_fd = fd;
	e->seg_seq = seq;
	e->seg_off = SEG_HEAD;
	e->seg_size = h.size;
	mutex_lock(&e->m);
	segs_add(e, seq, h.size);
	mutex_unlock(&e->m);
	return 0;
}
