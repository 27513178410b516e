/*
 * Import of a directory: a Maildir (its new and cur, and with --recursive the folders in it), or
 * one of .eml files. Each letter has a mark under the name of its file, so what is imported once
 * is known however the directory changes. In a Maildir that is the part of the name that stays
 * when a letter moves from new to cur or its flags change.
 */
#include "ctl/import_priv.h"

#include "access/name.h"
#include "base/check.h"
#include "base/num.h"
#include "mail/mbox.h"
#include "store/mailbox.h"
#include "sys/clock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NOTES_MAX 20
#define PATH_BYTES 8192

enum { TOP, NEW, CUR, PLACES };
static const char *const place_name[PLACES] = { ".", "new", "cur" };

struct file {
	char *name;
	int place;
	uint64_t time_ms; /* from its name, or 0 */
	unsigned char key[PACK_KEY_LEN];
};

struct walk {
	struct import *i;
	const char *path;
	int place[PLACES]; /* directories, or -1 */
	struct file *files;
	size_t n, cap;
	struct buf text; /* one file */
	unsigned notes;
};

static bool
fail(struct import *i, const char *path, int rc)
{
	import_note(i, "%s: %s", path, strerror(-rc));
	if (i->status == EXIT_DONE)
		i->status = EXIT_IO;
	return false;
}

/* --- names --- */

/* "1253881668.M123456P1Q2.host,S=345:2,FS" */
static uint64_t
time_of_name(struct str name)
{
	uint64_t sec, us = 0;
	size_t dot = str_find(name, '.');
	if (dot == name.len || !num_u64(str_first(name, dot), PACK_TIME_MAX / 1000, &sec))
		return 0;
	struct str rest = str_skip(name, dot + 1);
	if (rest.len && rest.p[0] == 'M') {
		size_t n = 1;
		while (n < rest.len && rest.p[n] >= '0' && rest.p[n] <= '9')
			n++;
		(void)num_u64(str_first(str_skip(rest, 1), n - 1), 999999, &us);
	}
	return sec * 1000 + us / 1000;
}

static struct str
unique_part(struct str name)
{
	return str_first(name, str_find(name, ':'));
}

static uint32_t
flags_of_name(struct str name)
{
	static const struct {
		char letter;
		uint32_t flag;
	} flags[] = { { 'S', MAILBOX_SEEN }, { 'R', MAILBOX_ANSWERED }, { 'F', MAILBOX_FLAGGED },
		{ 'T', MAILBOX_DELETED }, { 'D', MAILBOX_DRAFT } };
	uint32_t ret = 0;
	size_t at = str_find_str(name, STR(":2,"));
	for (size_t i = 0; i < ARRAY_LEN(flags) && at < name.len; i++)
		if (str_find(str_skip(name, at + 3), flags[i].letter) < name.len - at - 3)
			ret |= flags[i].flag;
	return ret;
}

static void
add_file(struct walk *w, int place, const char *name)
{
	struct file f = { .place = place };
	bool maildir = w->i->kind == IMPORT_MAILDIR;
	import_key(f.key, maildir ? unique_part(str_of(name)) : str_of(name));
	f.time_ms = maildir ? time_of_name(str_of(name)) : 0;
	if (import_knows(w->i, f.key)) {
		w->i->n.known++;
		return;
	}
	f.name = xstrdup(name);
	if (w->n == w->cap) {
		w->cap = w->cap ? w->cap * 2 : 256;
		w->files = xrealloc(w->files, w->cap * sizeof(*w->files));
	}
	w->files[w->n++] = f;
}

/* In the order in which they came, as far as the names tell. */
static int
by_time(const void *pa, const void *pb)
{
	const struct file *a = pa, *b = pb;
	if (a->time_ms != b->time_ms)
		return a->time_ms < b->time_ms ? -1 : 1;
	return strcmp(a->name, b->name);
}

static bool
list_files(struct walk *w, int place)
{
	int fd = dup(w->place[place]);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	if (!d) {
		int rc = -errno;
		if (fd >= 0)
			close(fd);
		return fail(w->i, w->path, rc);
	}
	for (struct dirent *e; (errno = 0, e = readdir(d)) != NULL;) {
		bool wanted = e->d_name[0] != '.';
		if (w->i->kind == IMPORT_EML)
			wanted = wanted && str_iends(str_of(e->d_name), STR(".eml"));
		if (wanted)
			add_file(w, place, e->d_name);
	}
	int rc = -errno;
	closedir(d);
	return rc == 0 || fail(w->i, w->path, rc);
}

/* Whose Maildir it is may point anywhere with a symbolic link, at a time of their choice; we may
 * be root. So none is followed inside. */
static bool
list_place(struct walk *w, int place)
{
	w->place[place] = openat(w->place[TOP], place_name[place],
	    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (w->place[place] < 0)
		return errno == ENOENT || fail(w->i, w->path, -errno);
	return list_files(w, place);
}

/* --- letters --- */

/* 0 and the file's octets, 1: it is skipped, or -errno. */
static int
read_letter(struct walk *w, const struct file *f, struct stat *st)
{
	struct import *i = w->i;
	int fd =
	    openat(w->place[f->place], f->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	int rc = fd < 0 || fstat(fd, st) < 0 ? -errno : 0;
	buf_reset(&w->text);
	if (rc == -ELOOP || (rc == 0 && !S_ISREG(st->st_mode))) {
		if (w->notes++ < NOTES_MAX)
			import_note(i, "%s/%s/%s is no file; it is left out", w->path,
			    place_name[f->place], f->name);
		rc = 1;
	}
	if (rc == 0 && (uint64_t)st->st_size > i->max) {
		i->n.too_large++;
		if (w->notes++ < NOTES_MAX)
			import_note(i,
			    "%s/%s/%s has %lld octets, more than %llu; it is skipped (--max-size "
			    "takes it in)",
			    w->path, place_name[f->place], f->name, (long long)st->st_size,
			    (unsigned long long)i->max);
		rc = 1;
	}
	size_t size = rc == 0 ? (size_t)st->st_size : 0;
	if (rc == 0 && !buf_reserve(&w->text, size))
		rc = -ENOMEM;
	while (rc == 0 && w->text.len < size) {
		ssize_t n = read(fd, w->text.p + w->text.len, size - w->text.len);
		if (n == 0)
			break;
		if (n > 0)
			w->text.len += (size_t)n;
		else if (errno != EINTR)
			rc = -errno;
	}
	if (fd >= 0)
		close(fd);
	return rc;
}

static uint64_t
time_of(const struct walk *w, const struct file *f, const struct stat *st,
    const struct mbox_facts *facts)
{
	if (f->time_ms)
		return f->time_ms;
	if (w->i->kind == IMPORT_EML && facts->has_date && facts->date > 0)
		return MIN((uint64_t)facts->date * 1000, PACK_TIME_MAX);
	if (st->st_mtim.tv_sec < 0)
		return 0;
	return MIN((uint64_t)st->st_mtim.tv_sec * 1000 + (uint64_t)st->st_mtim.tv_nsec / 1000000,
	    PACK_TIME_MAX);
}

static bool
fail_file(struct walk *w, const struct file *f, int rc)
{
	struct buf path = BUF_INIT(2 * PATH_BYTES);
	buf_putf(&path, "%s/%s/%s", w->path, place_name[f->place], f->name);
	bool ok = fail(w->i, path.failed ? f->name : buf_cstr(&path), rc);
	buf_done(&path);
	return ok;
}

static bool
take(struct walk *w, const struct file *f)
{
	struct import *i = w->i;
	struct mbox_facts facts;
	struct stat st;
	int rc = read_letter(w, f, &st);
	if (rc == -ENOENT) { /* another program has moved it, perhaps to cur */
		i->n.gone++;
		return true;
	}
	if (rc != 0)
		return rc > 0 || fail_file(w, f, rc);
	size_t at = import_letter_begin(i);
	mbox_file_put(&i->pack, buf_str(&w->text), &facts);
	size_t octets = i->pack.len - at - 4;
	import_letter_end(i, at,
	    &(struct pack_letter){ .time_ms = time_of(w, f, &st, &facts),
		.flags = i->kind == IMPORT_MAILDIR ? flags_of_name(str_of(f->name)) : 0,
		.header_len = (uint32_t)MIN(facts.header_len, (uint64_t)UINT32_MAX),
		.key = str_n(f->key, sizeof(f->key)),
		.where = str_of(f->name) });
	i->seen++;
	i->seen_octets += octets;
	return true;
}

static bool
take_all(struct walk *w)
{
	if (w->n)
		qsort(w->files, w->n, sizeof(*w->files), by_time);
	w->i->todo = w->n;
	for (size_t n = 0; n < w->n && import_goes_on(w->i); n++) {
		if (!take(w, &w->files[n]))
			break;
		w->i->done = n + 1;
		import_show(w->i, false);
	}
	return import_part_end(w->i);
}

/* --- folders --- */

/* top: its descriptor, which is closed here, or -errno. */
static bool
import_folder(struct import *i, const char *path, const char *mailbox, int top)
{
	struct walk w = {
		.i = i, .path = path, .place = { -1, -1, -1 }, .text = BUF_INIT(PACK_LETTER_MAX)
	};
	struct buf identity = BUF_INIT(PATH_BYTES);
	i->source = top < 0 ? NULL : realpath(path, NULL);
	if (!i->source) {
		int rc = top < 0 ? top : -errno;
		if (top >= 0)
			close(top);
		return fail(i, path, rc);
	}
	w.place[TOP] = top;
	buf_putf(&identity, "%s %s", i->kind == IMPORT_EML ? "eml" : "maildir", i->source);
	bool ok = import_part_begin(i, mailbox, buf_cstr(&identity));
	if (ok && i->kind == IMPORT_EML)
		ok = list_files(&w, TOP);
	else if (ok)
		ok = list_place(&w, NEW) && list_place(&w, CUR);
	if (ok)
		ok = take_all(&w);
	for (size_t n = 0; n < w.n; n++)
		free(w.files[n].name);
	free(w.files);
	for (int p = 0; p < PLACES; p++)
		if (w.place[p] >= 0)
			close(w.place[p]);
	free(i->source);
	i->source = NULL;
	buf_done(&identity);
	buf_done(&w.text);
	return ok;
}

static bool
has_folder(const char *path, const char *name)
{
	struct buf b = BUF_INIT(PATH_BYTES);
	struct stat st;
	buf_putf(&b, "%s/%s", path, name);
	bool has = buf_cstr(&b) && !b.failed && stat(b.p, &st) == 0 && S_ISDIR(st.st_mode);
	buf_done(&b);
	return has;
}

static bool
is_maildir(const char *path)
{
	return has_folder(path, "cur") || has_folder(path, "new");
}

static int
maildirpp(const struct dirent *e)
{
	return e->d_name[0] == '.' && strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
}

static int
open_below(int top, const char *name)
{
	int fd = openat(top, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* "Lists.R&AOk-sum&AOk-" as we name mailboxes; what cannot be one is refused as it stands. */
static const char *
folder_name(const char *folder, struct buf *out)
{
	const char *why = name_from_wire(str_of(folder), '.', false, false, out);
	return why || !buf_cstr(out) ? folder : out->p;
}

/* Maildir++: folders are directories ".Name" beside cur. */
static bool
import_subfolders(struct import *i, const char *path)
{
	struct dirent **e;
	bool ok = true;
	int top = import_open(path, O_DIRECTORY);
	int n = top < 0 ? -1 : scandirat(top, ".", &e, maildirpp, alphasort);
	if (n < 0) {
		int rc = top < 0 ? top : -errno;
		if (top >= 0)
			close(top);
		return fail(i, path, rc);
	}
	for (int k = 0; k < n; k++) {
		struct buf sub = BUF_INIT(PATH_BYTES), name = BUF_INIT(PATH_BYTES);
		buf_putf(&sub, "%s/%s", path, e[k]->d_name);
		if (ok && import_goes_on(i) && buf_cstr(&sub) && !sub.failed && is_maildir(sub.p))
			ok = import_folder(i, sub.p, folder_name(e[k]->d_name + 1, &name),
			    open_below(top, e[k]->d_name));
		buf_done(&sub);
		buf_done(&name);
		free(e[k]);
	}
	free(e);
	close(top);
	return ok;
}

static bool
kind_of(struct import *i, const char *path)
{
	bool maildir = is_maildir(path);
	const char *f = i->format;
	i->kind = maildir ? IMPORT_MAILDIR : IMPORT_EML;
	if (f && strcmp(f, "eml") == 0) {
		i->kind = IMPORT_EML;
	} else if (f && strcmp(f, "maildir") != 0) {
		i->status = usage_error(i->call->cmd,
		    "import: %s is a directory; its format is maildir or eml", path);
		return false;
	} else if (f && !maildir) {
		complain("%s is no Maildir: it has neither cur nor new", path);
		i->status = EXIT_IO;
		return false;
	}
	return true;
}

static bool
has_eml(const char *path)
{
	DIR *d = opendir(path);
	bool has = false;
	for (struct dirent *e; d && !has && (e = readdir(d)) != NULL;)
		has = str_iends(str_of(e->d_name), STR(".eml"));
	if (d)
		closedir(d);
	return has;
}

bool
import_dir(struct import *i, const char *path, const char *mailbox)
{
	if (faccessat(AT_FDCWD, path, R_OK | X_OK, AT_EACCESS) < 0)
		return fail(i, path, -errno);
	if (!kind_of(i, path))
		return false;
	if (i->kind == IMPORT_EML && !i->format && !has_eml(path)) {
		complain("%s is no Maildir (it has neither cur nor new), and has no .eml files",
		    path);
		i->status = EXIT_IO;
		return false;
	}
	if (i->call->recursive && i->kind != IMPORT_MAILDIR) {
		i->status = usage_error(i->call->cmd, "import: --recursive is for a Maildir");
		return false;
	}
	return import_folder(i, path, mailbox, import_open(path, O_DIRECTORY)) &&
	       (!i->call->recursive || import_subfolders(i, path));
}
