/* Reading bodies back: segments and blobs by pread, a few segments kept open. */
#include "store/emb.h"

#include "base/check.h"
#include "base/crc32c.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

void
files_init(struct emb *e)
{
	for (size_t i = 0; i < READ_FILES; i++)
		e->files[i] = (struct read_file){ .fd = -1 };
}

void
files_done(struct emb *e)
{
	for (size_t i = 0; i < READ_FILES; i++)
		if (e->files[i].fd >= 0)
			close(e->files[i].fd);
	files_init(e);
}

static int
segment_fd(struct emb *e, uint64_t seq)
{
	struct read_file *oldest = &e->files[0];
	for (size_t i = 0; i < READ_FILES; i++) {
		struct read_file *f = &e->files[i];
		if (f->seq == seq) {
			f->used = ++e->file_clock;
			return f->fd;
		}
		if (f->used < oldest->used)
			oldest = f;
	}
	struct seg_head h;
	int fd = seg_open(e->log, seq, O_RDONLY, &h);
	if (fd < 0)
		return fd == -ENOENT ? -ESTALE : fd;
	if (memcmp(h.id, e->id, STORE_ID_LEN) != 0) {
		close(fd);
		return -EBADMSG;
	}
	if (oldest->fd >= 0)
		close(oldest->fd);
	*oldest = (struct read_file){ .seq = seq, .used = ++e->file_clock, .fd = fd };
	return fd;
}

/* A segment that was freed is used again, perhaps while we read from it. Its header is changed
 * before anything else, so what was read is what was asked for if the header still says so
 * afterwards. */
static int
still_there(struct emb *e, uint64_t seq, int fd)
{
	unsigned char p[SEG_HEAD];
	struct seg_head h;
	if (pread_all(fd, p, sizeof(p), 0) == 0 && seg_head_get(p, &h) == 0 && h.seq == seq)
		return 0;
	for (size_t i = 0; i < READ_FILES; i++) {
		if (e->files[i].fd != fd)
			continue;
		close(fd);
		e->files[i] = (struct read_file){ .fd = -1 };
	}
	/* A header that is damaged where it stands is damage; fsck says more. */
	char name[SEG_NAME_LEN];
	struct stat st;
	seg_name(name, seq);
	return fstatat(e->log, name, &st, AT_SYMLINK_NOFOLLOW) == 0 ? -EBADMSG : -ESTALE;
}

static int
preadv_all(int fd, struct iovec *iov, int n, uint64_t off)
{
	size_t want = 0;
	for (int i = 0; i < n; i++)
		want += iov[i].iov_len;
	ssize_t got;
	do
		got = preadv(fd, iov, n, (off_t)off);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return -errno;
	/* A signal may cut a large read short; then each piece is read on its own. */
	for (int i = 0; i < n && (size_t)got != want; i++) {
		int r = pread_all(fd, iov[i].iov_base, iov[i].iov_len, off);
		if (r < 0)
			return r;
		off += iov[i].iov_len;
	}
	return 0;
}

/* The frame's header must be the one the reference means; in the same read as the octets. */
static int
read_inline(struct emb *e, const struct store_ref *ref, uint64_t off, void *dst, size_t n)
{
	uint64_t at = lsn_off(ref->lsn), room = SEG_SIZE_MAX - at;
	unsigned char head[FRAME_HEAD];
	struct frame f;
	int fd = segment_fd(e, lsn_seq(ref->lsn));
	if (fd < 0)
		return fd;
	struct iovec iov[2] = { { head, sizeof(head) }, { dst, n } };
	int r = off == 0 ? preadv_all(fd, iov, 2, at) : pread_all(fd, head, sizeof(head), at);
	if (r == 0 && off != 0)
		r = pread_all(fd, dst, n, at + FRAME_HEAD + off);
	int there = still_there(e, lsn_seq(ref->lsn), fd);
	if (there < 0 || r < 0)
		return there < 0 ? there : r;
	if (frame_head_get(head, ref->lsn, room, e->id, &f) != FRAME_OK || f.type != FRAME_BODY ||
	    f.len != ref->len || f.crc != ref->crc)
		return -EBADMSG;
	return 0;
}

static int
read_file(struct emb *e, uint64_t number, uint64_t off, void *dst, size_t n)
{
	char name[BLOB_NAME_LEN];
	blob_name(name, number);
	int fd = openat(e->blob, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -ESTALE : -errno;
	int r = pread_all(fd, dst, n, off);
	close(fd);
	return r == -EIO ? -EBADMSG : r; /* shorter than its record says */
}

static int
read_blob(struct emb *e, const struct store_ref *ref, uint64_t off, void *dst, size_t n)
{
	char payload[FRAME_HEAD + RECORD_TEXT_MAX + 64];
	struct frame f;
	struct blob_record b;
	struct str view;
	uint64_t at = lsn_off(ref->lsn);
	int fd = segment_fd(e, lsn_seq(ref->lsn));
	if (fd < 0)
		return fd;
	int r = pread_all(fd, payload, FRAME_HEAD, at);
	bool good = r == 0 &&
	            frame_head_get(payload, ref->lsn, SEG_SIZE_MAX - at, e->id, &f) == FRAME_OK &&
	            f.type == FRAME_BLOB && f.len <= sizeof(payload) - FRAME_HEAD;
	if (good)
		r = pread_all(fd, payload + FRAME_HEAD, f.len, at + FRAME_HEAD);
	int there = still_there(e, lsn_seq(ref->lsn), fd);
	if (there < 0 || r < 0)
		return there < 0 ? there : r;
	if (!good)
		return -EBADMSG;
	view = str_n(payload + FRAME_HEAD, f.len);
	if (!frame_payload_ok(&f, view.p) || !blob_record_get(view, &b) || b.number != ref->blob ||
	    b.trace.len + b.len != ref->len)
		return -EBADMSG;
	size_t part = off < b.trace.len ? MIN(n, b.trace.len - off) : 0;
	if (part)
		memcpy(dst, b.trace.p + off, part);
	if (part == n)
		return 0;
	return read_file(e, b.number, off + part - b.trace.len, (char *)dst + part, n - part);
}

ssize_t
emb_read(struct store *s, const struct store_ref *ref, uint64_t off, void *dst, size_t n)
{
	struct emb *e = s->impl;
	if (lsn_seq(ref->lsn) == 0 || lsn_off(ref->lsn) < SEG_HEAD || ref->lsn % FRAME_ALIGN != 0)
		return -EBADMSG;
	int r = ref->blob ? read_blob(e, ref, off, dst, n) : read_inline(e, ref, off, dst, n);
	if (r < 0)
		return r;
	if (off == 0 && n == ref->len && crc32c(0, dst, n) != ref->crc)
		return -EBADMSG;
	return (ssize_t)n;
}
