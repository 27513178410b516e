/* backup --verify: reads everything that a manifest names. */
#include "ctl/backup_priv.h"

#include "base/check.h"
#include "base/date.h"
#include "sys/file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int
progress(void *arg, uint64_t octets)
{
	struct verifying *v = arg;
	uint64_t before = v->bytes;
	v->bytes += octets;
	if (v->terminal && before >> 24 != v->bytes >> 24)
		fprintf(stderr, "\rchecked %" PRIu64 " MB", v->bytes / 1000000);
	return 0;
}

/* NULL, or what is wrong. Only a segment may have grown behind what the manifest counts. */
static const char *
look(int at, const struct manifest_file *f, struct verifying *v)
{
	struct manifest_file now = { 0 };
	enum copy_side side;
	struct summing s;
	struct stat st;
	int fd = openat(at, f->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? "is not there" : strerror(errno);
	const char *wrong = NULL;
	if (fstat(fd, &st) < 0)
		wrong = strerror(errno);
	else if ((uint64_t)st.st_size < f->size)
		wrong = "is too short";
	else if ((uint64_t)st.st_size > f->size && strncmp(f->name, "log/", 4) != 0)
		wrong = "is too long";
	if (!wrong) {
		summing_begin(&s);
		int rc = copy_octets(fd, -1, 0, f->size, &s, progress, v, &side);
		summing_end(&s, &now);
		if (rc < 0)
			wrong = strerror(-rc);
		else if (now.crc != f->crc || strcmp(now.sha, f->sha) != 0)
			wrong = "is damaged: its checksum is another one";
	}
	close(fd);
	return wrong;
}

void
backup_verify(int at, const char *dir, const struct manifest *m, struct verifying *v)
{
	for (size_t i = 0; i < m->n; i++) {
		const char *wrong = look(at, &m->file[i], v);
		v->files++;
		if (!wrong)
			continue;
		v->n_damaged++;
		if (v->wrong)
			v->wrong[i] = true;
		if (v->terminal)
			fputs("\r\033[K", stderr);
		if (v->damaged)
			json_array_append_new(v->damaged,
			    json_pack("{s:s, s:s}", "name", m->file[i].name, "what", wrong));
		else
			complain("%s/%s %s", dir, m->file[i].name, wrong);
	}
	if (v->terminal)
		fputs("\r\033[K", stderr);
}

/* A backup that is being made changes under the reader; one that cannot be locked (it may lie on
 * a disk that takes no writing) is not being made. */
static bool
hold_still(const char *dir, int *ret_lock)
{
	int rc = dir_lock(dir, ret_lock);
	if (rc < 0)
		*ret_lock = -1;
	if (rc == -EWOULDBLOCK)
		complain("another command works on the backup in %s; wait for it to end", dir);
	return rc != -EWOULDBLOCK;
}

int
backup_open(const char *dir, int *ret_at, int *ret_lock, struct manifest *ret)
{
	struct buf manifest = BUF_INIT(8192);
	buf_putf(&manifest, "%s/%s", dir, MANIFEST_NAME);
	/* No lock is made where there is no backup. */
	bool there = buf_cstr(&manifest) && access(manifest.p, F_OK) == 0;
	buf_done(&manifest);
	if (there && !hold_still(dir, ret_lock))
		return EXIT_REFUSED;
	int at = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = at < 0 ? -errno : manifest_load(at, ret);
	if (rc == 0) {
		*ret_at = at;
		return EXIT_DONE;
	}
	if (at < 0)
		complain("%s cannot be opened: %s", dir, strerror(-rc));
	else if (rc == -ENOENT)
		complain("%s is no finished backup: it has no %s", dir, MANIFEST_NAME);
	else if (rc == -EPROTONOSUPPORT)
		complain("%s was made by a newer pennypost; use that one", dir);
	else if (rc == -EBADMSG)
		complain("%s/%s is damaged; use another backup", dir, MANIFEST_NAME);
	else
		complain("%s/%s cannot be read: %s", dir, MANIFEST_NAME, strerror(-rc));
	if (at >= 0)
		close(at);
	return rc == -EBADMSG || rc == -ENOENT || rc == -EPROTONOSUPPORT ? EXIT_DAMAGED : EXIT_IO;
}

static void
print(const struct ctl_call *call, const char *dir, const struct manifest *m, struct verifying *v)
{
	struct buf time = BUF_INIT(64), size = BUF_INIT(64);
	date_rfc3339(&time, (int64_t)m->time_ms);
	if (call->json) {
		out_json(json_pack("{s:s, s:s, s:I, s:I, s:O}", "backup", dir, "time",
		    buf_cstr(&time), "files", (json_int_t)v->files, "bytes", (json_int_t)v->bytes,
		    "damaged", v->damaged));
	} else if (v->n_damaged == 0) {
		out_size(&size, v->bytes);
		printf("The backup of %s in %s is whole: %" PRIu64 " files, %s.\n", buf_cstr(&time),
		    dir, v->files, buf_cstr(&size));
	} else {
		complain("the backup in %s is damaged (%zu of %" PRIu64
			 " files); make a new one in another directory",
		    dir, v->n_damaged, v->files);
	}
	buf_done(&time);
	buf_done(&size);
}

int
backup_verify_cmd(struct ctl_call *call, const char *dir)
{
	struct verifying v = { .terminal = !call->json && isatty(STDERR_FILENO),
		.damaged = call->json ? json_array() : NULL };
	struct manifest m = { 0 };
	int at = -1, lock = -1, status = backup_open(dir, &at, &lock, &m);
	if (status == EXIT_DONE) {
		backup_verify(at, dir, &m, &v);
		print(call, dir, &m, &v);
		status = v.n_damaged ? EXIT_DAMAGED : EXIT_DONE;
		close(at);
	}
	json_decref(v.damaged);
	if (lock >= 0)
		close(lock);
	manifest_done(&m);
	return status;
}
