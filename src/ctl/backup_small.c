/* backup: passwords and configuration, which are small and copied whole. */
#include "ctl/backup_priv.h"

#include "sys/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SMALL_MAX (64u << 20)

static bool
put_small(struct backup *b, const char *folder, const char *file, struct str text)
{
	char name[FILE_NAME_MAX], got[FILE_NAME_MAX], tmp[FILE_NAME_MAX + 8];
	struct manifest_file f = { 0 };
	struct summing s;
	summing_begin(&s);
	if (text.len)
		summing_add(&s, text.p, text.len);
	summing_end(&s, &f);
	snprintf(name, sizeof(name), "%s/%s", folder, file);
	if (!manifest_name_ok(str_of(name)))
		return true;
	const struct manifest_file *old = b->has_old ? manifest_find_as(&b->old, name) : NULL;
	int was = old && strcmp(old->sha, f.sha) == 0 ? backup_old_file(b, old, O_RDONLY) : -1;
	if (was >= 0) {
		int same = f.size ? lseek(was, 0, SEEK_END) == (off_t)f.size : 1;
		close(was);
		if (same) {
			backup_keep(b, old);
			return true;
		}
	}
	backup_free_name(b, name, f.crc, got);
	f.name = got;
	int fd = backup_new_file(b, got, tmp), rc = fd < 0 ? fd : 0;
	if (fd >= 0)
		rc = file_write_all(fd, text);
	if (rc == 0)
		rc = backup_settle(b, fd, tmp, got);
	else if (fd >= 0)
		close(fd);
	if (rc < 0)
		return backup_copy_failed(b, got, rc, COPY_TO);
	manifest_add(&b->now, &f);
	b->n_copied++;
	b->copied += f.size;
	return true;
}

static bool
put_file(struct backup *b, int at, const char *path, const char *folder, const char *file)
{
	struct buf text = BUF_INIT(SMALL_MAX);
	int fd = openat(at, path, O_RDONLY | O_CLOEXEC | O_NOCTTY), rc = fd < 0 ? -errno : 0;
	if (fd >= 0) {
		rc = file_read_fd(fd, SMALL_MAX, &text);
		close(fd);
	}
	bool ok = rc < 0 ? backup_copy_failed(b, path, rc, COPY_FROM)
	                 : put_small(b, folder, file, buf_str(&text));
	buf_wipe(&text); /* it may hold password hashes */
	buf_done(&text);
	return ok;
}

static bool
backup_auth(struct backup *b, const char *data_dir)
{
	struct buf path = BUF_INIT(8192);
	buf_putf(&path, "%s/auth", data_dir);
	int fd = buf_cstr(&path) ? open(path.p, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	int walk = fd >= 0 ? dup(fd) : -1;
	DIR *d = walk >= 0 ? fdopendir(walk) : NULL;
	bool ok = d != NULL || errno == ENOENT || backup_copy_failed(b, "auth", -errno, COPY_FROM);
	for (struct dirent *e; ok && d && (e = readdir(d));) {
		struct stat st;
		struct str name = str_of(e->d_name);
		/* A temporary is a change that was not made. */
		if (name.p[0] == '.' || str_ends(name, STR(".tmp")) ||
		    fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
			continue;
		ok = put_file(b, fd, e->d_name, "auth", e->d_name);
	}
	if (d)
		closedir(d);
	if (fd >= 0)
		close(fd);
	buf_done(&path);
	return ok;
}

/* What makes the sender addresses of letters that are sent on: without it reports to those that are
 * out there would be refused. */
static bool
backup_keys(struct backup *b, const char *data_dir)
{
	struct buf path = BUF_INIT(8192);
	buf_putf(&path, "%s/srs.key", data_dir);
	const char *name = buf_cstr(&path);
	bool ok = !name || access(name, F_OK) < 0 || put_file(b, AT_FDCWD, name, "keys", "srs.key");
	buf_done(&path);
	return ok;
}

/* The file as it is, and once more with all that it includes in one piece. */
static bool
backup_conf(struct backup *b, const char *config)
{
	struct buf err = BUF_INIT(1u << 20), text = BUF_INIT(SMALL_MAX);
	struct conf *c = conf_new();
	bool ok = put_file(b, AT_FDCWD, config, "conf", "pennypost.conf");
	if (ok && conf_load(c, config, &err)) {
		conf_show(c, false, &text);
		ok = put_small(b, "conf", "complete.conf", buf_str(&text));
		for (size_t i = 0; ok && i < c->n_dialects; i++) {
			char name[256];
			snprintf(name, sizeof(name), "%s.dialect", c->dialects[i].name);
			ok = put_small(b, "conf", name, str_of(c->dialects[i].text));
		}
	}
	conf_free(c);
	buf_done(&text);
	buf_done(&err);
	return ok;
}

bool
backup_small(struct backup *b, const char *data_dir, const char *config)
{
	return backup_auth(b, data_dir) && backup_keys(b, data_dir) &&
	       (!config || backup_conf(b, config));
}
