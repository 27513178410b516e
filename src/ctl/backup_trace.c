/*
 * backup: the recorded histories, as far as the cut. What a file has of later letters is left out:
 * after a restore the recorder would take their places in the log for followed already. Tables are
 * made at the first start.
 */
#include "ctl/backup_priv.h"

#include "store/recorder_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* Octets of the file with what is recorded up to the cut; 0: nothing of it. */
static int
part_of(struct backup *b, int dir, uint64_t number, uint64_t *ret)
{
	struct table *t = xalloc(sizeof(*t));
	struct trcread f;
	struct trc_record rec;
	struct str payload;
	int rc = table_open(t, dir, number);
	if (rc == 0)
		rc = table_load(t);
	bool whole = rc == 0 && t->head.lsn <= b->now.lsn;
	*ret = whole ? t->head.size : 0;
	table_close(t);
	free(t);
	if (whole)
		return 0;
	rc = trcread_open(&f, dir, number);
	if (rc < 0)
		return rc;
	while ((rc = trcread_next(&f, &rec, &payload)) == 1 && rec.lsn < b->now.lsn)
		*ret = f.end;
	trcread_close(&f);
	return MIN(rc, 0);
}

/* Is it in the standing backup already? 1, 0 or -errno. */
static int
is_kept(struct backup *b, const struct manifest_file *old, int fd, uint64_t size)
{
	int was = old && old->size == size ? backup_old_file(b, old, O_RDONLY) : -1;
	if (was < 0)
		return 0;
	int rc = backup_same_edges(fd, was, size);
	close(was);
	return rc;
}

static bool
copy_part(struct backup *b, int fd, const char *name, uint64_t size)
{
	char store[FILE_NAME_MAX], wanted[FILE_NAME_MAX];
	const struct manifest_file *old = b->has_old ? manifest_find_as(&b->old, name) : NULL;
	struct manifest_file f = { .name = wanted };
	int kept = is_kept(b, old, fd, size);
	if (kept < 0)
		return backup_copy_failed(b, name, kept, COPY_FROM);
	if (kept) {
		backup_keep(b, old);
		return true;
	}
	snprintf(wanted, sizeof(wanted), "%s", name);
	return backup_copy_whole(b, fd, size, false, &f, store);
}

static bool
backup_one(struct backup *b, int dir, uint64_t number)
{
	char file[TRC_NAME_LEN], name[FILE_NAME_MAX];
	uint64_t size = 0;
	trc_name(file, number, "trc");
	snprintf(name, sizeof(name), "trace/%s", file);
	int rc = part_of(b, dir, number, &size);
	/* It was removed meanwhile, or the server will set it aside: letters are worth more. */
	if (rc == -ENOENT || rc == -EBADMSG || (rc == 0 && size == 0))
		return true;
	int fd = rc < 0 ? rc : openat(dir, file, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (rc == 0 && fd < 0) {
		if (errno == ENOENT)
			return true;
		rc = -errno;
	}
	if (rc < 0)
		return backup_copy_failed(b, name, rc, COPY_FROM);
	bool ok = copy_part(b, fd, name, size);
	close(fd);
	return ok && backup_hold(b, false);
}

bool
backup_trace(struct backup *b, const char *store)
{
	struct buf path = BUF_INIT(8192);
	uint64_t *numbers = NULL;
	size_t n = 0;
	buf_putf(&path, "%s/trace", store);
	int dir = buf_cstr(&path) ? open(path.p, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	int rc = dir < 0 ? -errno : trc_list(dir, &numbers, &n);
	bool ok = rc == 0 || rc == -ENOENT || backup_copy_failed(b, "trace", rc, COPY_FROM);
	for (size_t i = 0; rc == 0 && ok && i < n; i++)
		ok = backup_one(b, dir, numbers[i]);
	free(numbers);
	if (dir >= 0)
		close(dir);
	buf_done(&path);
	return ok;
}
