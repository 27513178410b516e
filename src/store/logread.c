#include "store/logread.h"

#include "base/check.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define WINDOW (256u << 10)

int
logread_open(struct logread *r, int log, uint64_t seq, uint64_t off)
{
	*r = (struct logread){ .fd = -1, .buf = BUF_INIT(SEG_SIZE_MAX) };
	int fd = seg_open(log, seq, O_RDONLY, &r->head);
	if (fd < 0)
		return fd;
	r->fd = fd;
	r->off = off ? off : SEG_HEAD;
	return 0;
}

void
logread_close(struct logread *r)
{
	if (r->fd >= 0)
		close(r->fd);
	r->fd = -1;
	buf_done(&r->buf);
}

/* Makes the buffer hold n octets from off on, and more while it reads anyway. */
static int
want(struct logread *r, uint64_t off, uint64_t n)
{
	if (off >= r->base && off + n <= r->base + r->buf.len)
		return 0;
	uint64_t all = MIN(MAX(n, (uint64_t)WINDOW), r->head.size - off);
	buf_reset(&r->buf);
	if (n > r->head.size - off || !buf_reserve(&r->buf, all))
		return -ENOMEM;
	int rc = pread_all(r->fd, r->buf.p, all, off);
	if (rc < 0)
		return rc;
	r->buf.len = all;
	r->base = off;
	return 0;
}

int
logread_head(struct logread *r, struct frame *ret, enum frame_state *ret_state)
{
	uint64_t room = r->head.size - r->off;
	if (r->off > r->head.size || room < FRAME_HEAD) {
		*ret_state = FRAME_BAD;
		return 0;
	}
	int rc = want(r, r->off, FRAME_HEAD);
	if (rc < 0)
		return rc;
	*ret_state = frame_head_get(r->buf.p + (r->off - r->base), lsn_of(r->head.seq, r->off),
	    room, r->head.id, ret);
	return 0;
}

int
logread_payload(struct logread *r, const struct frame *f, struct str *ret)
{
	int rc = want(r, r->off, FRAME_HEAD + (uint64_t)f->len);
	if (rc < 0)
		return rc;
	const char *p = r->buf.p + (r->off - r->base) + FRAME_HEAD;
	if (!frame_payload_ok(f, p))
		return -EBADMSG;
	*ret = str_n(p, f->len);
	return 0;
}

void
logread_next(struct logread *r, const struct frame *f)
{
	r->off += frame_size(f->len);
}
