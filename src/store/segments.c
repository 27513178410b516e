/* The log's segments while the store runs: one is written, one is ready. */
#include "store/emb.h"

#include "base/check.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* It may be better in a moment, and nothing was lost. */
static bool
can_wait(int rc)
{
	return rc == -ENOSPC || rc == -EDQUOT || rc == -EMFILE || rc == -ENFILE || rc == -ENOMEM;
}

static int
prepare(struct emb *e, uint64_t seq)
{
	struct seg_head h = { .seq = seq, .size = e->o.segment_bytes };
	memcpy(h.id, e->id, STORE_ID_LEN);
	return seg_create(e->log, &h);
}

void
prep_main(void *arg)
{
	struct emb *e = arg;
	mutex_lock(&e->m);
	while (!e->prep_stop) {
		if (!e->spare_next || emb_poisoned(e)) {
			cond_wait(&e->prep_cond, &e->m);
			continue;
		}
		uint64_t seq = e->spare_next;
		mutex_unlock(&e->m);
		int r = prepare(e, seq);
		if (r < 0 && !can_wait(r))
			emb_poison(e, "preparing a segment", r);
		mutex_lock(&e->m);
		e->spare_failed = r < 0 ? -ENOSPC : 0;
		if (r == 0) {
			e->spare = seq;
			e->spare_next = 0;
			e->segments++;
		}
		cond_broadcast(&e->spare_cond);
		if (r < 0 && !e->prep_stop)
			cond_wait_ms(&e->prep_cond, &e->m, SPARE_RETRY_MS);
	}
	mutex_unlock(&e->m);
}

static int
spare_take(struct emb *e, uint64_t *ret)
{
	mutex_lock(&e->m);
	while (!e->spare && !e->spare_failed && !emb_poisoned(e))
		cond_wait(&e->spare_cond, &e->m);
	int r = e->spare ? 0 : emb_poisoned(e) ? -EIO : -ENOSPC;
	if (r == 0) {
		*ret = e->spare;
		e->spare = 0;
		e->spare_next = *ret + 1;
		cond_signal(&e->prep_cond);
	}
	mutex_unlock(&e->m);
	return r;
}

/* The old segment's end is durable before anything stands in the new one, so recovery may take
 * a missing end for the end of the log. */
int
segment_roll(struct emb *e)
{
	uint64_t seq;
	struct seg_head h;
	int r = spare_take(e, &seq);
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
	return 0;
}
