/* backup: segments of the log, and blobs. */
#include "ctl/backup_priv.h"

#include "base/check.h"
#include "base/num.h"
#include "base/wire.h"
#include "store/logread.h"
#include "store/record.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- segments --- */

static void
note_blob(struct backup *b, struct str payload)
{
	struct blob_record r;
	unsigned char key[8];
	if (!blob_record_get(payload, &r))
		return;
	struct manifest_file *f = xalloc(sizeof(*f));
	*f = (struct manifest_file){ .size = r.len, .crc = r.crc };
	be64_put(key, r.number);
	free(map_put(&b->named, str_n(key, sizeof(key)), f));
}

/* Where the frames from `from` on end, at `limit` at the latest. 1; 0 when they do not end as
 * they should; or -errno. */
static int
frames_end(struct backup *b, int log, uint64_t seq, uint64_t from, uint64_t limit, bool sealed,
    uint64_t *ret)
{
	struct logread r;
	struct frame f;
	struct str payload;
	enum frame_state state;
	int rc = logread_open(&r, log, seq, from);
	bool more = rc == 0 && r.off < limit, ended = false;
	while (more) {
		rc = logread_head(&r, &f, &state);
		more = rc == 0 && state == FRAME_OK && frame_size(f.len) <= limit - r.off;
		if (!more)
			break;
		rc = logread_payload(&r, &f, &payload);
		if (rc == 0 && !backup_hold(b, false))
			rc = -ECANCELED;
		if (rc < 0)
			break;
		if (f.type == FRAME_BLOB)
			note_blob(b, payload);
		ended = f.type == FRAME_END;
		logread_next(&r, &f);
		more = !ended && r.off < limit;
	}
	*ret = r.off;
	logread_close(&r);
	if (rc < 0 && rc != -EBADMSG)
		return rc;
	return rc == 0 && (sealed ? ended : r.off == limit);
}

struct segment {
	uint64_t seq, limit;
	bool sealed; /* the log went on in the next one before the cut */
	char name[FILE_NAME_MAX];
	struct seg_head head;
	int log, fd;
};

static bool
other_history(struct backup *b, const char *name)
{
	return backup_failed(b, EXIT_REFUSED,
	    "%s/%s holds mail that this store never had, so the store was put back to an earlier "
	    "state since; keep that backup, and make this one in a new directory",
	    b->dir, name);
}

/* How far it is to be copied: to where its frames end, or all of it when they are damaged. */
static bool
segment_end(struct backup *b, const struct segment *g, uint64_t from, uint64_t *ret)
{
	int rc = frames_end(b, g->log, g->seq, from, g->limit, g->sealed, ret);
	if (rc < 0)
		return backup_copy_failed(b, g->name, rc, COPY_FROM);
	if (rc == 1)
		return true;
	*ret = g->limit;
	return backup_damaged(b, g->name, "is damaged and goes into the backup as it is");
}

static bool
segment_whole(struct backup *b, const struct segment *g, bool over)
{
	char store[FILE_NAME_MAX], name[FILE_NAME_MAX];
	struct manifest_file f = { .name = name };
	uint64_t end;
	check(str_copy(name, sizeof(name), str_of(g->name)));
	return segment_end(b, g, 0, &end) && backup_copy_whole(b, g->fd, end, over, &f, store);
}

/* It was written to when the last backup was made. Only what came since is copied, to the end
 * of the same file: the standing manifest counts the octets in front of it. */
static bool
segment_grow(struct backup *b, const struct segment *g, const struct manifest_file *old, int to)
{
	struct manifest_file f = { .name = old->name };
	enum copy_side side = COPY_TO;
	struct summing s;
	uint64_t end = old->size, copied;
	if (g->limit < old->size)
		return other_history(b, g->name);
	summing_begin(&s);
	int rc = copy_octets(g->fd, -1, 0, old->size, &s, backup_step_kept, b, &side);
	if (rc < 0) {
		summing_end(&s, NULL);
		return backup_copy_failed(b, g->name, rc, COPY_FROM);
	}
	if (s.crc != old->crc) {
		summing_end(&s, NULL);
		return other_history(b, g->name);
	}
	if (!segment_end(b, g, old->size, &end)) {
		summing_end(&s, NULL);
		return false;
	}
	copied = end - old->size;
	side = COPY_TO;
	rc = ftruncate(to, (off_t)old->size) < 0 ? -errno : 0;
	if (rc == 0)
		rc = copy_octets(g->fd, to, old->size, copied, &s, backup_step, b, &side);
	if (rc == 0 && fsync(to) < 0)
		rc = -errno;
	summing_end(&s, &f);
	if (rc < 0) {
		(void)!ftruncate(to, (off_t)old->size);
		return backup_copy_failed(b, g->name, rc, side);
	}
	manifest_add(&b->now, &f);
	b->n_copied += copied > 0;
	b->n_kept += copied == 0;
	b->kept += old->size;
	return true;
}

/* 1: the standing backup's octets are those of the store; 0: they are not; -1 after a message. */
static int
segment_same(struct backup *b, const struct segment *g, const struct manifest_file *old, int was,
    bool grows)
{
	int rc =
	    grows ? copy_same(g->fd, was, 0, old->size) : backup_same_edges(g->fd, was, old->size);
	if (rc >= 0)
		return rc;
	backup_copy_failed(b, g->name, rc, COPY_FROM);
	return -1;
}

static bool
segment_again(struct backup *b, const struct segment *g, const struct manifest_file *old)
{
	bool grows = g->seq >= lsn_seq(b->old.lsn), ok = false;
	int was = backup_old_file(b, old, grows ? O_RDWR : O_RDONLY);
	int same = was >= 0 ? segment_same(b, g, old, was, grows) : 0;
	if (was < 0) {
		ok = segment_whole(b, g, true);
	} else if (same == 1 && grows) {
		ok = segment_grow(b, g, old, was);
	} else if (same == 1) {
		backup_keep(b, old);
		ok = true;
	} else if (same == 0) {
		/* Whose fault is it? The manifest knows what the backup's file should be. */
		struct manifest_file now = { 0 };
		enum copy_side side;
		struct summing s;
		summing_begin(&s);
		int rc = copy_octets(was, -1, 0, old->size, &s, backup_step_kept, b, &side);
		summing_end(&s, &now);
		if (b->status)
			ok = false;
		else if (rc == 0 && strcmp(now.sha, old->sha) == 0)
			ok = other_history(b, g->name);
		else
			ok = segment_whole(b, g, true);
	}
	if (was >= 0)
		close(was);
	return ok;
}

static bool
segment_backup(struct backup *b, int log, uint64_t seq)
{
	struct segment g = { .seq = seq, .log = log, .sealed = seq < lsn_seq(b->now.lsn) };
	char name[SEG_NAME_LEN];
	seg_name(name, seq);
	snprintf(g.name, sizeof(g.name), "log/%s", name);
	g.fd = seg_open(log, seq, O_RDONLY, &g.head);
	if (g.fd < 0)
		return backup_copy_failed(b, g.name, g.fd, COPY_FROM);
	bool ok = memcmp(g.head.id, b->now.id, STORE_ID_LEN) == 0;
	if (!ok)
		backup_failed(b, EXIT_REFUSED,
		    "%s belongs to another store than the log it stands in; `pennypost fsck` says "
		    "more",
		    g.name);
	g.limit = g.sealed ? g.head.size : MIN(lsn_off(b->now.lsn), g.head.size);
	const struct manifest_file *old = b->has_old ? manifest_find(&b->old, g.name) : NULL;
	ok = ok && (old ? segment_again(b, &g, old) : segment_whole(b, &g, true));
	close(g.fd);
	return ok;
}

static int
sub_dir(struct backup *b, const char *store, const char *name)
{
	struct buf path = BUF_INIT(8192);
	buf_putf(&path, "%s/%s", store, name);
	int fd =
	    buf_cstr(&path) && !path.failed ? open(path.p, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	if (fd < 0)
		backup_failed(b, EXIT_IO,
		    "%s/%s cannot be read: %s; be root or the user who started the server", store,
		    name, strerror(errno));
	buf_done(&path);
	return fd;
}

bool
backup_log(struct backup *b, const char *store)
{
	uint64_t *seq = NULL;
	size_t n = 0;
	int log = sub_dir(b, store, "log");
	if (log < 0)
		return false;
	int rc = seg_list(log, &seq, &n);
	bool ok = rc == 0 || backup_copy_failed(b, "log", rc, COPY_FROM);
	/* What stands behind the cut is ready for use, or in use already, but not for us. */
	for (size_t i = 0; ok && i < n && seq[i] <= lsn_seq(b->now.lsn); i++)
		ok = segment_backup(b, log, seq[i]);
	free(seq);
	close(log);
	return ok;
}

/* --- blobs --- */

/* Is what the standing backup has under this number what the store has? 1, 0, or -errno. */
static int
blob_same(struct backup *b, const struct manifest_file *old, const struct manifest_file *named,
    int fd, uint64_t size)
{
	if (!old || old->size != size || (named && old->crc != named->crc))
		return 0;
	int was = backup_old_file(b, old, O_RDONLY);
	if (was < 0)
		return 0;
	int rc = backup_same_edges(fd, was, size);
	close(was);
	return rc;
}

static bool
blob_copy(struct backup *b, int fd, uint64_t size, const char *name,
    const struct manifest_file *named)
{
	const struct manifest_file *broken = b->has_old ? manifest_find(&b->old, name) : NULL;
	char wanted[FILE_NAME_MAX], store[FILE_NAME_MAX];
	struct manifest_file f = { .name = wanted };
	check(str_copy(wanted, sizeof(wanted), str_of(name)));
	int was = broken ? backup_old_file(b, broken, O_RDONLY) : -1;
	if (was >= 0)
		close(was);
	if (!backup_copy_whole(b, fd, size, was < 0, &f, store))
		return false;
	if (named && (f.size != named->size || f.crc != named->crc))
		return backup_damaged(b, name, "is damaged and goes into the backup as it is");
	return true;
}

static bool
blob_backup(struct backup *b, int dir, uint64_t number)
{
	char file[32], name[FILE_NAME_MAX];
	unsigned char key[8];
	struct stat st;
	be64_put(key, number);
	snprintf(file, sizeof(file), "%016" PRIx64, number);
	snprintf(name, sizeof(name), "blob/%s", file);
	const struct manifest_file *named = map_get(&b->named, str_n(key, sizeof(key)));
	const struct manifest_file *old = b->has_old ? manifest_find_as(&b->old, name) : NULL;
	int fd = openat(dir, file, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT) /* of a letter that was never finished */
		return true;
	if (fd < 0 || fstat(fd, &st) < 0) {
		int rc = -errno;
		if (fd >= 0)
			close(fd);
		return backup_copy_failed(b, name, rc, COPY_FROM);
	}
	int same = blob_same(b, old, named, fd, (uint64_t)st.st_size);
	bool ok = true;
	if (same < 0)
		ok = backup_copy_failed(b, name, same, COPY_FROM);
	else if (same)
		backup_keep(b, old);
	else
		ok = blob_copy(b, fd, (uint64_t)st.st_size, name, named);
	close(fd);
	return ok && backup_hold(b, false);
}

struct numbers {
	uint64_t *v;
	size_t n, cap;
};

/* Does the log up to the cut name it, as far as that can be told? What a segment names that was
 * kept, the standing manifest has. */
static bool
is_named(const struct backup *b, const char *file, uint64_t number)
{
	char name[FILE_NAME_MAX];
	unsigned char key[8];
	be64_put(key, number);
	snprintf(name, sizeof(name), "blob/%s", file);
	return b->n_damaged || map_get(&b->named, str_n(key, sizeof(key))) ||
	       (b->has_old && manifest_find_as(&b->old, name));
}

static int
list_blobs(const struct backup *b, int dir, struct numbers *ret)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	if (!d) {
		rc = -errno;
		if (fd >= 0)
			close(fd);
		return rc;
	}
	for (struct dirent *e; (errno = 0, e = readdir(d));) {
		struct str s = str_of(e->d_name);
		uint64_t number;
		if (s.len != 16 || !num_hex(s, &number) || !is_named(b, e->d_name, number))
			continue;
		if (ret->n == ret->cap) {
			ret->cap = ret->cap ? ret->cap * 2 : 256;
			ret->v = xrealloc(ret->v, ret->cap * sizeof(*ret->v));
		}
		ret->v[ret->n++] = number;
	}
	rc = -errno;
	closedir(d);
	return rc;
}

bool
backup_blobs(struct backup *b, const char *store)
{
	struct numbers list = { 0 };
	int dir = sub_dir(b, store, "blob");
	if (dir < 0)
		return false;
	int rc = list_blobs(b, dir, &list);
	bool ok = rc == 0 || backup_copy_failed(b, "blob", rc, COPY_FROM);
	for (size_t i = 0; ok && i < list.n; i++)
		ok = blob_backup(b, dir, list.v[i]);
	free(list.v);
	close(dir);
	return ok;
}
