/* backup: a consistent copy of a store, beside the running server; see backup_priv.h. */
#include "ctl/backup_priv.h"

#include "base/check.h"
#include "base/date.h"
#include "base/num.h"
#include "sys/clock.h"
#include "sys/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HOLD_EACH_MS 5000 /* of the minutes that the server waits */
#define SHOW_EACH_MS 200

static const char *const folders[] = { "log", "blob", "trace", "auth", "keys", "conf" };

static const char readme[] =
    "Pennypost backup\n"
    "\n"
    "This directory is a backup of a Pennypost store, made by `pennypost backup`. MANIFEST\n"
    "names every file that belongs to it, with its checksums; what it does not name is the\n"
    "rest of an interrupted run and goes with the next one.\n"
    "\n"
    "To check it:    pennypost backup --verify DIRECTORY\n"
    "To put it back: pennypost restore DIRECTORY --dir NEW-DATA-DIRECTORY\n"
    "\n"
    "log/ and blob/ are laid out as in a store, so the reader in docs/format.md reads them too.\n";

bool
backup_failed(struct backup *b, int status, const char *fmt, ...)
{
	struct buf text = BUF_INIT(8192);
	va_list ap;
	va_start(ap, fmt);
	buf_vputf(&text, fmt, ap);
	va_end(ap);
	if (b->terminal)
		fputs("\r\033[K", stderr);
	complain(STR_FMT, STR_ARG(buf_str(&text)));
	buf_done(&text);
	if (!b->status)
		b->status = status;
	return false;
}

/* Progress, and now and then the sign of life that keeps the store's files where they are. */
bool
backup_hold(struct backup *b, bool now)
{
	int64_t ms = sys_mono_ms();
	if (b->terminal && ms - b->shown >= SHOW_EACH_MS) {
		struct buf size = BUF_INIT(64);
		out_size(&size, b->copied);
		fprintf(stderr, "\rcopied %" PRIu64 " files, %s, kept %" PRIu64 "\033[K",
		    b->n_copied, buf_cstr(&size), b->n_kept);
		buf_done(&size);
		b->shown = ms;
	}
	if (b->status)
		return false;
	if (!now && ms - b->held < HOLD_EACH_MS)
		return true;
	b->held = ms;
	int status = server_ask(&b->call->server, "backup.hold", NULL, 0, NULL, NULL);
	return status == EXIT_DONE ||
	       backup_failed(b, status,
		   "the store could not be held still to the end; run the backup again");
}

/* --- where it goes --- */

/* The real name of dir, or of what is there of it. */
static char *
real_part(const char *dir)
{
	char *path = xstrdup(dir), *real = NULL;
	while ((real = realpath(path, NULL)) == NULL && errno == ENOENT) {
		char *slash = strrchr(path, '/');
		if (!slash) {
			real = realpath(".", NULL);
			break;
		}
		slash[slash == path] = '\0';
		if (slash == path && strcmp(path, "/") == 0) {
			real = xstrdup("/");
			break;
		}
	}
	free(path);
	return real;
}

static bool
is_inside(const char *dir, const char *of)
{
	char *a = real_part(dir), *b = realpath(of, NULL);
	bool inside = false;
	if (a && b) {
		size_t n = strlen(b);
		inside = strncmp(a, b, n) == 0 && (a[n] == '\0' || a[n] == '/' || n == 1);
	}
	free(a);
	free(b);
	return inside;
}

static bool
has_readme(int at)
{
	struct buf text = BUF_INIT(4096);
	int fd = openat(at, README_NAME, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	bool ours = fd >= 0 && file_read_fd(fd, 4096, &text) == 0 &&
	            str_starts(buf_str(&text), STR("Pennypost backup\n"));
	if (fd >= 0)
		close(fd);
	buf_done(&text);
	return ours;
}

static bool
is_empty(int at)
{
	int fd = openat(at, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	bool empty = d != NULL;
	for (struct dirent *e; empty && (e = readdir(d));)
		empty = strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
		        strcmp(e->d_name, "lost+found") == 0 || strcmp(e->d_name, "lock") == 0;
	if (d)
		closedir(d);
	else if (fd >= 0)
		close(fd);
	return empty;
}

/* A standing backup, the rest of an interrupted first one, or an empty directory. */
static bool
recognise(struct backup *b)
{
	int rc = manifest_load(b->at, &b->old);
	b->has_old = rc == 0;
	if (rc == 0 || (rc == -ENOENT && (is_empty(b->at) || has_readme(b->at))))
		return true;
	if (rc == -ENOENT)
		return backup_failed(b, EXIT_REFUSED,
		    "%s is no backup and not empty; name a new or an empty directory", b->dir);
	if (rc == -EPROTONOSUPPORT)
		return backup_failed(b, EXIT_REFUSED,
		    "%s was made by a newer pennypost; use that one, or another directory", b->dir);
	return backup_failed(b, EXIT_REFUSED,
	    "%s/%s %s; keep it, and make the backup in another directory", b->dir, MANIFEST_NAME,
	    rc == -EBADMSG ? "is damaged" : strerror(-rc));
}

static bool
cannot_write(struct backup *b, const char *name, int rc)
{
	b->full = rc == -ENOSPC || rc == -EDQUOT;
	return backup_failed(b, EXIT_IO, "%s%s%s cannot be written: %s", b->dir, *name ? "/" : "",
	    name, strerror(-rc));
}

/* b->dir/name, in heap memory. */
static char *
path_in(const struct backup *b, const char *name)
{
	char *path = NULL;
	check(asprintf(&path, "%s/%s", b->dir, name) >= 0);
	return path;
}

static bool
furnish(struct backup *b)
{
	int rc = 0;
	if (!has_readme(b->at)) {
		char *path = path_in(b, README_NAME);
		rc = file_replace(path, str_n(readme, sizeof(readme) - 1), 0600);
		free(path);
	}
	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(folders); i++)
		rc = mkdirat(b->at, folders[i], 0700) < 0 && errno != EEXIST ? -errno : 0;
	if (rc == 0 && fsync(b->at) < 0)
		rc = -errno;
	return rc == 0 || cannot_write(b, "", rc);
}

static bool
open_target(struct backup *b, const char *data_dir)
{
	if (is_inside(b->dir, data_dir))
		return backup_failed(b, EXIT_REFUSED,
		    "%s lies in the server's own directory %s; a backup belongs on another disk",
		    b->dir, data_dir);
	int rc = dir_make(b->dir, 0700);
	if (rc < 0)
		return cannot_write(b, "", rc);
	b->at = open(b->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (b->at < 0)
		return backup_failed(b, EXIT_IO, "%s cannot be opened: %s", b->dir,
		    strerror(errno));
	if (!recognise(b))
		return false;
	rc = dir_lock(b->dir, &b->lock);
	if (rc == -EWOULDBLOCK)
		return backup_failed(b, EXIT_REFUSED,
		    "another command works on the backup in %s; wait for it to end", b->dir);
	if (rc < 0)
		return cannot_write(b, "lock", rc);
	/* Another one may have ended in between. */
	manifest_done(&b->old);
	return recognise(b);
}

/* --- the store's side --- */

static void
begin_row(void *arg, const struct msg_row *row)
{
	struct backup *b = arg;
	struct str id = row_field(row, 0);
	uint64_t octet;
	if (id.len != 2 * STORE_ID_LEN)
		return;
	for (size_t i = 0; i < STORE_ID_LEN; i++)
		if (num_hex(str_first(str_skip(id, 2 * i), 2), &octet))
			b->now.id[i] = (unsigned char)octet;
	b->now.lsn = row_number(row, 1);
}

static bool
begin(struct backup *b)
{
	b->now.time_ms = (uint64_t)sys_wall_ms();
	int status = server_ask(&b->call->server, "backup.begin", NULL, 0, begin_row, b);
	b->held = sys_mono_ms();
	if (status != EXIT_DONE) {
		b->status = status;
		return false;
	}
	if (b->now.lsn == 0)
		return backup_failed(b, EXIT_REACH, "the server did not say what is to be copied");
	if (b->has_old && memcmp(b->old.id, b->now.id, STORE_ID_LEN) != 0)
		return backup_failed(b, EXIT_REFUSED,
		    "%s is the backup of another store; name another directory", b->dir);
	if (b->has_old && b->old.lsn > b->now.lsn)
		return backup_failed(b, EXIT_REFUSED,
		    "%s holds mail that this store never had, so the store was put back to an "
		    "earlier state since; keep that backup, and make this one in a new directory",
		    b->dir);
	return true;
}

/* --- the end --- */

static bool
sync_folders(struct backup *b)
{
	for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
		char *path = path_in(b, folders[i]);
		int rc = dir_sync(path);
		free(path);
		if (rc < 0)
			return cannot_write(b, folders[i], rc);
	}
	return true;
}

static bool
put_manifest(struct backup *b)
{
	struct buf text = BUF_INIT((size_t)4 << 30);
	char *path = path_in(b, MANIFEST_NAME);
	manifest_sort(&b->now);
	manifest_text(&b->now, &text);
	int rc = text.failed ? -ENOMEM : file_replace(path, buf_str(&text), 0600);
	free(path);
	buf_done(&text);
	return rc == 0 || cannot_write(b, MANIFEST_NAME, rc);
}

/* What an interrupted run wrote behind the end of a segment. */
static void
shorten(struct backup *b, const struct manifest_file *f)
{
	struct stat st;
	int fd = openat(b->at, f->name, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0 && fstat(fd, &st) == 0 && (uint64_t)st.st_size > f->size)
		(void)!ftruncate(fd, (off_t)f->size);
	if (fd >= 0)
		close(fd);
}

static void
prune_one(struct backup *b, const struct manifest *m, const char *folder, const char *file)
{
	char name[FILE_NAME_MAX];
	struct stat st;
	struct str rest = str_of(file);
	if (snprintf(name, sizeof(name), "%s/%s", folder, file) >= (int)sizeof(name))
		return;
	bool rests = str_ends(rest, STR(".new"));
	struct str plain = str_of(name);
	if (rests)
		plain.len -= 4;
	const struct manifest_file *needed = m && !rests ? manifest_find(m, name) : NULL;
	if (needed && strcmp(folder, "log") == 0)
		shorten(b, needed);
	if (needed || !manifest_name_ok(plain))
		return;
	if (fstatat(b->at, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || unlinkat(b->at, name, 0) < 0 ||
	    rests)
		return;
	b->n_removed++;
	b->removed += (uint64_t)st.st_size;
}

static void
prune_rests(struct backup *b)
{
	int fd = openat(b->at, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	for (struct dirent *e; d && (e = readdir(d));) {
		struct str name = str_of(e->d_name);
		if (str_ends(name, STR(".tmp")) && (str_starts(name, STR(MANIFEST_NAME ".")) ||
						       str_starts(name, STR(README_NAME "."))))
			unlinkat(b->at, e->d_name, 0);
	}
	if (d)
		closedir(d);
	else if (fd >= 0)
		close(fd);
}

/* Removes what m (NULL: nothing) does not name and what other files m does not need. */
static void
prune(struct backup *b, const struct manifest *m)
{
	for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
		int fd = openat(b->at, folders[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
		for (struct dirent *e; d && (e = readdir(d));)
			prune_one(b, m, folders[i], e->d_name);
		if (d)
			closedir(d);
		else if (fd >= 0)
			close(fd);
	}
	prune_rests(b);
}

static void
print(const struct backup *b)
{
	struct buf copied = BUF_INIT(64), kept = BUF_INIT(64), removed = BUF_INIT(64);
	char id[2 * STORE_ID_LEN + 1];
	int64_t ms = sys_mono_ms() - b->begun;
	manifest_hex(id, b->now.id);
	if (b->call->json) {
		struct buf time = BUF_INIT(64);
		date_rfc3339(&time, (int64_t)b->now.time_ms);
		out_json(json_pack("{s:s, s:s, s:I, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
		    "backup", b->dir, "store", id, "cut", (json_int_t)b->now.lsn, "time",
		    buf_cstr(&time), "copied", (json_int_t)b->n_copied, "copied_bytes",
		    (json_int_t)b->copied, "kept", (json_int_t)b->n_kept, "kept_bytes",
		    (json_int_t)b->kept, "removed", (json_int_t)b->n_removed, "removed_bytes",
		    (json_int_t)b->removed, "damaged", (json_int_t)b->n_damaged, "ms",
		    (json_int_t)ms));
		buf_done(&time);
	} else {
		out_size(&copied, b->copied);
		out_size(&kept, b->kept);
		out_size(&removed, b->removed);
		printf("Backed up to %s: copied %" PRIu64 " files (%s), kept %" PRIu64
		       " (%s), removed %" PRIu64 " (%s), in %.1f s.\n",
		    b->dir, b->n_copied, buf_cstr(&copied), b->n_kept, buf_cstr(&kept),
		    b->n_removed, buf_cstr(&removed), (double)ms / 1000);
	}
	buf_done(&copied);
	buf_done(&kept);
	buf_done(&removed);
}

static void
say_what_stands(struct backup *b)
{
	struct buf time = BUF_INIT(64);
	if (b->has_old) {
		date_rfc3339(&time, (int64_t)b->old.time_ms);
		complain("the backup of %s in %s is still whole", buf_cstr(&time), b->dir);
	}
	buf_done(&time);
}

/* Blobs come behind the log, which says what their sums are. */
static bool
make(struct backup *b, const char *data_dir, const char *store)
{
	bool ok = furnish(b) && backup_log(b, store) && backup_blobs(b, store) &&
	          backup_trace(b, store) && backup_small(b, data_dir, b->call->config) &&
	          sync_folders(b) && backup_hold(b, true) && put_manifest(b);
	if (b->terminal)
		fputs("\r\033[K", stderr);
	if (ok) {
		(void)server_ask(&b->call->server, "backup.end", NULL, 0, NULL, NULL);
		prune(b, &b->now);
		return true;
	}
	/* A full disk is made as free as it was; else the next run finds what is done already. */
	if (b->full)
		prune(b, b->has_old ? &b->old : NULL);
	say_what_stands(b);
	return false;
}

static int
run_backup(struct backup *b, struct conf *c)
{
	char *data_dir = xstrdup(c->data_dir), *store = NULL;
	check(asprintf(&store, "%s/store", data_dir) >= 0);
	struct ctl_call *call = b->call;
	int status = EXIT_REFUSED;
	bool ready = open_target(b, data_dir);
	if (ready)
		status = server_open(&call->server, c, NEED_STORE);
	else
		conf_free(c);
	if (ready && status == EXIT_DONE && begin(b) && make(b, data_dir, store)) {
		print(b);
		status = b->n_damaged ? EXIT_DAMAGED : EXIT_DONE;
	}
	if (ready)
		server_close(&call->server);
	free(store);
	free(data_dir);
	return b->status ? b->status : status;
}

static void
backup_done(struct backup *b)
{
	size_t pos = 0;
	struct str key;
	void *value;
	while (map_next(&b->named, &pos, &key, &value))
		free(value);
	map_done(&b->named);
	manifest_done(&b->old);
	manifest_done(&b->now);
	if (b->lock >= 0)
		close(b->lock);
	if (b->at >= 0)
		close(b->at);
}

static int
backup(struct ctl_call *call)
{
	struct backup b = { .call = call,
		.dir = call->words.v[0],
		.at = -1,
		.lock = -1,
		.begun = sys_mono_ms(),
		.terminal = !call->json && isatty(STDERR_FILENO) };
	if (call->verify)
		return backup_verify_cmd(call, b.dir);
	if (!call->config && !call->dir && access(CONF_PATH_DEFAULT, F_OK) == 0)
		call->config = CONF_PATH_DEFAULT;
	struct conf *c = target_conf(call->config, call->dir);
	int status = c ? run_backup(&b, c) : call->config && call->dir ? EXIT_USAGE : EXIT_REFUSED;
	backup_done(&b);
	return status;
}

static int
run(int argc, char **argv)
{
	static const struct ctl_sub sub = { "", 1, 1, SUB_NO_SERVER | SUB_VERIFY, backup };
	return ctl_sub_run(cli_cmd_find("backup"), &sub, argc, argv);
}

const struct cli_cmd cmd_backup = {
	.name = "backup",
	.summary = "Copy the whole server, beside its work, into a directory; or check such a copy",
	.usage = "DIRECTORY [--json]\n"
		 "--verify DIRECTORY [--json]",
	.help =
	    "Copies mail, users, passwords, keys, the histories of letters and the configuration\n"
	    "as they are at one moment: every\n"
	    "letter acknowledged before it is in the copy. Into the same directory again only\n"
	    "what is new is copied, and what the server no longer has is removed. Until a backup\n"
	    "is complete the one before it in the directory stays whole, whatever happens.\n"
	    "Run it as root or as the user who started the server. The copy holds everybody's\n"
	    "mail: it is readable for its owner only, and should be kept as safe as the server.\n\n"
	    "  --verify       read the backup again and compare all checksums; asks no server\n"
	    "  --json         print JSON\n"
	    "  --config FILE  the server that FILE configures; FILE goes into the backup\n"
	    "  --dir DIR      the server in DIR\n\n"
	    "Exit status: 0 done, 2 refused or damaged, 3 no server could be asked, 4 a file "
	    "could\n"
	    "not be read or written.\n\n"
	    "Example: pennypost backup /mnt/backup/mail\n",
	.words = "--verify --json --config=FILE --dir=DIR",
	.run = run,
};
