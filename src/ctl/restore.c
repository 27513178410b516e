/*
 * restore: puts a backup back into a data directory. Everything is copied beside the place it
 * belongs to, made durable, and renamed; what stood there is moved aside and never removed. The
 * index is made anew by a server for maintenance, which then says how many letters there are.
 */
#include "ctl/backup_priv.h"

#include "base/check.h"
#include "base/date.h"
#include "store/segment.h"
#include "sys/clock.h"
#include "sys/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ZEROS (1u << 20)
#define CONF_MAX (1u << 20)
#define NEW ".restore" /* behind a name: not whole yet */

static const char *const homes[] = { "auth", "store" }; /* the store last: it is the sign */

struct restore {
	struct ctl_call *call;
	const char *from;
	int at, from_lock; /* the backup */
	struct manifest m;
	bool *left_out; /* of its files: histories that are damaged */
	char *data_dir;
	int home, lock; /* data_dir; its lock */
	uid_t uid;
	gid_t gid;
	bool terminal, conf_put;
	char aside[64]; /* what the names of moved things end in */
	bool moved;
	uint64_t done, all;
	uint64_t users, letters;
};

static int
failed(const struct restore *r, const char *name, int rc)
{
	if (r->terminal)
		fputs("\r\033[K", stderr);
	complain("%s/%s cannot be written: %s; nothing in %s was changed", r->data_dir, name,
	    strerror(-rc), r->data_dir);
	return EXIT_IO;
}

/* --- what is there --- */

static bool
has_entries(int at, const char *name)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	bool some = false;
	for (struct dirent *e; d && !some && (e = readdir(d));)
		some = strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
	if (d)
		closedir(d);
	else if (fd >= 0)
		close(fd);
	return some;
}

/* Removes a tree of two levels that an interrupted restore left, or an empty directory. */
static int
remove_rest(int at, const char *name)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	DIR *d = fdopendir(fd);
	int rc = 0;
	if (!d) {
		close(fd);
		return -ENOMEM;
	}
	for (struct dirent *e; rc == 0 && (e = readdir(d));) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (unlinkat(fd, e->d_name, 0) < 0)
			rc =
			    errno == EISDIR || errno == EPERM ? remove_rest(fd, e->d_name) : -errno;
	}
	closedir(d);
	return rc == 0 && unlinkat(at, name, AT_REMOVEDIR) < 0 ? -errno : rc;
}

/* --- copying --- */

static int
progress(void *arg, uint64_t octets)
{
	struct restore *r = arg;
	uint64_t before = r->done;
	r->done += octets;
	if (r->terminal && before >> 24 != r->done >> 24)
		fprintf(stderr, "\rrestored %" PRIu64 " of %" PRIu64 " MB", r->done / 1000000,
		    r->all / 1000000);
	return 0;
}

/* A segment is as long as its head says, and behind its frames there are zeros. The one that is
 * written to next has them on the disk, not as a hole: docs/format.md. */
static int
fill_segment(const struct restore *r, int fd, const struct manifest_file *f, uint64_t seq)
{
	unsigned char top[SEG_HEAD];
	struct seg_head h;
	int rc = f->size < SEG_HEAD ? -EBADMSG : pread_all(fd, top, sizeof(top), 0);
	if (rc == 0)
		rc = seg_head_get(top, &h);
	if (rc == 0 &&
	    (h.seq != seq || h.size < f->size || memcmp(h.id, r->m.id, STORE_ID_LEN) != 0))
		rc = -EBADMSG;
	if (rc == 0 && ftruncate(fd, (off_t)h.size) < 0)
		rc = -errno;
	if (rc < 0 || seq != lsn_seq(r->m.lsn))
		return rc;
	char *zeros = xalloc(ZEROS);
	for (uint64_t off = f->size; rc == 0 && off < h.size; off += ZEROS)
		rc = pwrite_all(fd, zeros, MIN(h.size - off, (uint64_t)ZEROS), off);
	free(zeros);
	return rc;
}

/* Exit status. to: as in data_dir, "store.restore/log/00000001.seg". */
static int
put_file(struct restore *r, const struct manifest_file *f, const char *to)
{
	struct manifest_file got = { 0 };
	enum copy_side side = COPY_FROM;
	struct summing s;
	int from = openat(r->at, f->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	int fd = openat(r->home, to, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	int rc = from < 0 || fd < 0 ? -errno : 0;
	side = from < 0 ? COPY_FROM : COPY_TO;
	if (rc == 0) {
		summing_begin(&s);
		rc = copy_octets(from, fd, 0, f->size, &s, progress, r, &side);
		summing_end(&s, &got);
	}
	if (rc == 0 && strcmp(got.sha, f->sha) != 0)
		side = COPY_FROM, rc = -EBADMSG;
	if (rc == 0 && strncmp(f->name, "log/", 4) == 0) {
		side = COPY_TO;
		rc = fill_segment(r, fd, f, strtoul(f->name + 4, NULL, 16));
	}
	if (rc == 0 && r->uid && fchown(fd, r->uid, r->gid) < 0)
		rc = -errno;
	if (rc == 0 && fsync(fd) < 0)
		rc = -errno;
	if (from >= 0)
		close(from);
	if (fd >= 0)
		close(fd);
	if (rc == 0)
		return EXIT_DONE;
	if (side == COPY_TO)
		return failed(r, to, rc);
	complain("%s/%s cannot be read: %s", r->from, f->name, strerror(-rc));
	return EXIT_IO;
}

static const char *const new_dirs[] = { "auth" NEW, "store" NEW, "store" NEW "/log",
	"store" NEW "/blob", "store" NEW "/trace" };

static int
make_dirs(struct restore *r)
{
	for (size_t i = 0; i < ARRAY_LEN(homes); i++) {
		char name[64];
		snprintf(name, sizeof(name), "%s" NEW, homes[i]);
		int rc = remove_rest(r->home, name);
		if (rc < 0)
			return failed(r, name, rc);
	}
	for (size_t i = 0; i < ARRAY_LEN(new_dirs); i++)
		if (mkdirat(r->home, new_dirs[i], 0700) < 0 ||
		    (r->uid && fchownat(r->home, new_dirs[i], r->uid, r->gid, 0) < 0))
			return failed(r, new_dirs[i], -errno);
	return EXIT_DONE;
}

static int
copy_all(struct restore *r)
{
	int status = make_dirs(r);
	for (size_t i = 0; status == EXIT_DONE && i < r->m.n; i++) {
		char plain[FILE_NAME_MAX], to[FILE_NAME_MAX + 32];
		manifest_plain(plain, r->m.file[i].name);
		if (r->left_out[i] || strncmp(plain, "conf/", 5) == 0 ||
		    strncmp(plain, "keys/", 5) == 0)
			continue;
		bool auth = strncmp(plain, "auth/", 5) == 0;
		snprintf(to, sizeof(to), auth ? "auth" NEW "/%s" : "store" NEW "/%s",
		    auth ? plain + 5 : plain);
		status = put_file(r, &r->m.file[i], to);
	}
	for (size_t i = ARRAY_LEN(new_dirs); status == EXIT_DONE && i-- > 0;) {
		int fd = openat(r->home, new_dirs[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		int rc = fd < 0 || fsync(fd) < 0 ? -errno : 0;
		if (fd >= 0)
			close(fd);
		if (rc < 0)
			status = failed(r, new_dirs[i], rc);
	}
	if (r->terminal)
		fputs("\r\033[K", stderr);
	return status;
}

/* --- into place --- */

/* A key that is there already stays beside it, as what it stands for may be in use. */
static int
place_keys(struct restore *r)
{
	static const char name[] = "srs.key", fresh[] = "srs.key" NEW;
	const struct manifest_file *f = manifest_find_as(&r->m, "keys/srs.key");
	char aside[128];
	if (!f)
		return EXIT_DONE;
	(void)unlinkat(r->home, fresh, 0);
	int status = put_file(r, f, fresh);
	snprintf(aside, sizeof(aside), "%s%s", name, r->aside);
	int rc =
	    status == EXIT_DONE && renameat(r->home, name, r->home, aside) < 0 && errno != ENOENT
		? -errno
		: 0;
	if (status == EXIT_DONE && rc == 0 && renameat(r->home, fresh, r->home, name) < 0)
		rc = -errno;
	return rc < 0 ? failed(r, name, rc) : status;
}

static int
place(struct restore *r)
{
	for (size_t i = 0; i < ARRAY_LEN(homes); i++) {
		char aside[128], fresh[64];
		int rc = 0;
		snprintf(aside, sizeof(aside), "%s%s", homes[i], r->aside);
		snprintf(fresh, sizeof(fresh), "%s" NEW, homes[i]);
		if (has_entries(r->home, homes[i])) {
			rc = renameat(r->home, homes[i], r->home, aside) < 0 ? -errno : 0;
			r->moved = r->moved || rc == 0;
		}
		if (rc == 0 && renameat(r->home, fresh, r->home, homes[i]) < 0)
			rc = -errno;
		if (rc == 0 && fsync(r->home) < 0)
			rc = -errno;
		if (rc < 0) {
			complain("%s/%s cannot be put in place: %s; run the command again with "
				 "--force",
			    r->data_dir, homes[i], strerror(-rc));
			return EXIT_IO;
		}
	}
	return EXIT_DONE;
}

/* --- the directory --- */

static int
open_home(struct restore *r)
{
	struct stat st;
	int rc = dir_make(r->data_dir, geteuid() == 0 ? 0711 : 0700);
	if (rc == 0) {
		r->home = open(r->data_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		rc = r->home < 0 || fstat(r->home, &st) < 0 ? -errno : 0;
	}
	if (rc < 0)
		return failed(r, "", rc);
	/* Somebody's own server; of root's, the start gives the directories to its roles. */
	if (geteuid() == 0 && st.st_uid != 0) {
		r->uid = st.st_uid;
		r->gid = st.st_gid;
	}
	rc = dir_lock(r->data_dir, &r->lock);
	if (rc == -EWOULDBLOCK) {
		complain("a server works on %s; stop it first", r->data_dir);
		return EXIT_REFUSED;
	}
	if (rc < 0)
		return failed(r, "lock", rc);
	if (r->uid && fchown(r->lock, r->uid, r->gid) < 0)
		return failed(r, "lock", -errno);
	for (size_t i = 0; i < ARRAY_LEN(homes); i++) {
		if (!has_entries(r->home, homes[i]) || r->call->force)
			continue;
		complain("%s/%s is there already; restore into a new directory, or use --force, "
			 "which moves it aside to %s%s",
		    r->data_dir, homes[i], homes[i], r->aside);
		return EXIT_REFUSED;
	}
	return EXIT_DONE;
}

/* --- the configuration --- */

/* The backup's configuration file, as it was or, when that does not load here, in one piece. */
static int
put_conf(struct restore *r, const char *path, const char *name)
{
	const struct manifest_file *f = manifest_find_as(&r->m, name);
	struct buf text = BUF_INIT(CONF_MAX);
	int fd = f ? openat(r->at, f->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC) : -1;
	int rc = fd < 0 ? -ENOENT : file_read_fd(fd, CONF_MAX, &text);
	if (fd >= 0)
		close(fd);
	if (rc == 0)
		rc = file_replace(path, buf_str(&text), 0640);
	buf_done(&text);
	if (rc == 0)
		return EXIT_DONE;
	if (rc == -ENOENT && !f)
		complain("%s is not there, and the backup holds no configuration; write one, or "
			 "name a directory with --dir",
		    path);
	else
		complain("%s cannot be written: %s", path, strerror(-rc));
	return f ? EXIT_IO : EXIT_REFUSED;
}

static bool
conf_loads(const char *path, struct buf *err)
{
	struct conf *c = conf_new();
	buf_reset(err);
	bool ok = conf_load(c, path, err);
	conf_free(c);
	return ok;
}

static int
bring_conf(struct restore *r)
{
	const char *path = r->call->config;
	struct buf err = BUF_INIT(1u << 20);
	int status = EXIT_DONE;
	if (!path || access(path, F_OK) == 0)
		return EXIT_DONE;
	r->conf_put = true;
	status = put_conf(r, path, "conf/pennypost.conf");
	if (status == EXIT_DONE && !conf_loads(path, &err)) {
		complain("%s names files that are not here; it was written in one piece", path);
		status = put_conf(r, path, "conf/complete.conf");
	}
	buf_done(&err);
	return status;
}

/* --- how many letters there are --- */

static void
count_letters(void *arg, const struct msg_row *row)
{
	struct restore *r = arg;
	r->letters += row_number(row, 1);
}

struct people {
	char **v;
	size_t n;
};

static void
keep_person(void *arg, const struct msg_row *row)
{
	struct people *p = arg;
	p->v = xrealloc(p->v, (p->n + 1) * sizeof(*p->v));
	p->v[p->n++] = str_dup(row_field(row, 0));
}

static int
count(struct restore *r, struct conf *c)
{
	struct server *s = &r->call->server;
	struct people p = { 0 };
	int status = server_open(s, c, NEED_STORE);
	if (status == EXIT_DONE)
		status = server_ask(s, "user.list", NULL, 0, keep_person, &p);
	for (size_t i = 0; i < p.n; i++) {
		struct str address = str_of(p.v[i]);
		if (status == EXIT_DONE)
			status = server_ask(s, "mailbox.list", &address, 1, count_letters, r);
		r->users++;
		free(p.v[i]);
	}
	free(p.v);
	server_close(s);
	if (status != EXIT_DONE)
		complain("the backup is put back, but a server cannot work on %s; the lines above "
			 "say why",
		    r->data_dir);
	return status;
}

static void
print(const struct restore *r)
{
	struct buf time = BUF_INIT(64), size = BUF_INIT(64);
	date_rfc3339(&time, (int64_t)r->m.time_ms);
	out_size(&size, r->done);
	if (r->call->json) {
		out_json(json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:I}", "backup", r->from, "dir",
		    r->data_dir, "time", buf_cstr(&time), "files", (json_int_t)r->m.n, "bytes",
		    (json_int_t)r->done, "users", (json_int_t)r->users, "letters",
		    (json_int_t)r->letters));
	} else {
		printf("Restored the backup of %s to %s: %s, %" PRIu64 " user%s, %" PRIu64
		       " letter%s. The index was made anew.\n",
		    buf_cstr(&time), r->data_dir, buf_cstr(&size), r->users,
		    r->users == 1 ? "" : "s", r->letters, r->letters == 1 ? "" : "s");
		if (r->moved)
			printf("What was there is in %s/store%s and auth%s.\n", r->data_dir,
			    r->aside, r->aside);
		if (r->conf_put)
			printf("The configuration was put back to %s.\n", r->call->config);
	}
	buf_done(&time);
	buf_done(&size);
}

/* Everything is read once before anything is written: half a backup is worse than the message. But
 * no letter is worth less because what was noted of it is lost. */
static int
check_backup(struct restore *r)
{
	struct verifying v = { .terminal = r->terminal };
	int status = backup_open(r->from, &r->at, &r->from_lock, &r->m);
	if (status != EXIT_DONE)
		return status;
	v.wrong = r->left_out = xalloc((r->m.n + 1) * sizeof(bool));
	backup_verify(r->at, r->from, &r->m, &v);
	size_t histories = 0;
	for (size_t i = 0; i < r->m.n; i++) {
		r->all += r->left_out[i] ? 0 : r->m.file[i].size;
		histories += r->left_out[i] && strncmp(r->m.file[i].name, "trace/", 6) == 0;
	}
	if (v.n_damaged == histories) {
		if (histories)
			complain("what `pennypost trace` would find in %s is left out",
			    histories == 1 ? "it" : "them");
		return EXIT_DONE;
	}
	complain("the backup in %s is damaged; nothing was restored; use another backup", r->from);
	return EXIT_DAMAGED;
}

static int
run_restore(struct restore *r)
{
	struct ctl_call *call = r->call;
	int status = check_backup(r);
	if (status == EXIT_DONE)
		status = bring_conf(r);
	if (status != EXIT_DONE)
		return status;
	struct conf *c = target_conf(call->config, call->dir);
	if (!c)
		return call->config && call->dir ? EXIT_USAGE : EXIT_REFUSED;
	r->data_dir = xstrdup(c->data_dir);
	status = open_home(r);
	char *real = status == EXIT_DONE ? realpath(r->data_dir, NULL) : NULL;
	if (real) {
		free(c->data_dir);
		c->data_dir = real;
	}
	if (status == EXIT_DONE)
		status = copy_all(r);
	if (status == EXIT_DONE)
		status = place_keys(r);
	if (status == EXIT_DONE)
		status = place(r);
	if (r->lock >= 0)
		close(r->lock);
	r->lock = -1;
	if (status == EXIT_DONE)
		status = count(r, c);
	else
		conf_free(c);
	if (status == EXIT_DONE)
		print(r);
	return status;
}

static int
restore(struct ctl_call *call)
{
	struct restore r = { .call = call,
		.from = call->words.v[0],
		.at = -1,
		.from_lock = -1,
		.home = -1,
		.lock = -1,
		.terminal = !call->json && isatty(STDERR_FILENO) };
	struct date d = date_of(sys_wall_ms() / 1000, 0);
	snprintf(r.aside, sizeof(r.aside), ".before-%04d%02d%02dT%02d%02d%02dZ", d.year, d.mon,
	    d.day, d.hour, d.min, d.sec);
	if (call->config && call->dir)
		return usage_error(call->cmd,
		    "--config and --dir name two servers; leave one of them out");
	int status = run_restore(&r);
	manifest_done(&r.m);
	free(r.left_out);
	free(r.data_dir);
	if (r.at >= 0)
		close(r.at);
	if (r.from_lock >= 0)
		close(r.from_lock);
	if (r.home >= 0)
		close(r.home);
	return status;
}

static int
run(int argc, char **argv)
{
	static const struct ctl_sub sub = { "", 1, 1, SUB_NO_SERVER | SUB_FORCE, restore };
	return ctl_sub_run(cli_cmd_find("restore"), &sub, argc, argv);
}

const struct cli_cmd cmd_restore = {
	.name = "restore",
	.summary = "Put a backup back into a data directory",
	.usage = "DIRECTORY [--force] [--json] --dir DIR\n"
		 "DIRECTORY [--force] [--json] --config FILE",
	.help =
	    "Checks the whole backup first, copies it, makes the index anew and says how many\n"
	    "letters there are. UIDs stay what they were. No server may run on the directory; a\n"
	    "store that is there already is left alone.\n\n"
	    "  --force        move a store that is there aside, to store.before-TIME\n"
	    "  --json         print JSON\n"
	    "  --config FILE  restore to the data_dir that FILE names; if there is no FILE, the\n"
	    "                 backup's configuration is put there first\n"
	    "  --dir DIR      restore to DIR\n\n"
	    "Exit status: 0 done, 2 refused or the backup is damaged, 3 no server could be "
	    "started\n"
	    "on what was restored, 4 a file could not be read or written.\n\n"
	    "Example: pennypost restore /mnt/backup/mail --config /etc/pennypost/pennypost.conf\n",
	.words = "--force --json --config=FILE --dir=DIR",
	.run = run,
};
