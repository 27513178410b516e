/* What the tests of the store share: a directory of their own, and calls that wait. */
#pragma once

#include "base/check.h"
#include "store/mailbox.h"
#include "store/recorder.h"
#include "store/store.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KIT_SEGMENT (1u << 20)
#define KIT_MAP (64u << 20)
#define KIT_HOUR 3600000u
#define KIT_TIME 1780000000000u /* a day in 2026 */

static inline struct store_options
kit_options(void)
{
	struct store_options o = STORE_OPTIONS_DEFAULT;
	o.segment_bytes = KIT_SEGMENT;
	o.map_bytes = KIT_MAP;
	return o;
}

static inline int
kit_unlink(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static inline void
kit_remove(const char *dir)
{
	nftw(dir, kit_unlink, 16, FTW_DEPTH | FTW_PHYS);
}

static inline char *
kit_path(const char *dir, const char *rest)
{
	size_t n = strlen(dir), m = strlen(rest);
	char *path = xalloc(n + m + 2);
	memcpy(path, dir, n);
	path[n] = '/';
	memcpy(path + n + 1, rest, m + 1);
	return path;
}

/* A fresh directory's name, on the heap; the directory itself is not there yet. */
static inline char *
kit_dir(void)
{
	const char *tmp = getenv("TMPDIR");
	char base[4000];
	check((size_t)snprintf(base, sizeof(base), "%s/pennypost-test-XXXXXX", tmp ? tmp : "/tmp") <
	      sizeof(base));
	check(mkdtemp(base) != NULL);
	return kit_path(base, "store");
}

static inline void
kit_dir_done(char *dir)
{
	*strrchr(dir, '/') = '\0';
	kit_remove(dir);
	free(dir);
}

/* Copies a directory of files and directories of files: a crash's image when the store runs. */
static inline void
kit_copy_file(const char *from, const char *to)
{
	static char p[1 << 16];
	int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	check(in >= 0 && out >= 0);
	for (ssize_t n; (n = read(in, p, sizeof(p))) != 0;)
		check(n > 0 && write(out, p, (size_t)n) == n);
	close(in);
	close(out);
}

static inline void
kit_copy(const char *from, const char *to)
{
	DIR *d = opendir(from);
	check(d != NULL && mkdir(to, 0700) == 0);
	for (struct dirent *e; (e = readdir(d)) != NULL;) {
		struct stat st;
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		char *a = kit_path(from, e->d_name), *b = kit_path(to, e->d_name);
		/* A spare segment may get its name while we look. */
		if (stat(a, &st) == 0) {
			if (S_ISDIR(st.st_mode))
				kit_copy(a, b);
			else
				kit_copy_file(a, b);
		}
		free(a);
		free(b);
	}
	closedir(d);
}

static inline struct store *
kit_open_with(const char *uri, struct store_options o)
{
	struct store *s = NULL;
	struct buf err = BUF_INIT(4096);
	int r = store_open(&s, uri, &o, &err);
	if (r < 0)
		fprintf(stderr, "# %s\n", buf_cstr(&err));
	buf_done(&err);
	return s;
}

static inline struct store *
kit_open(const char *dir)
{
	char *uri = NULL;
	if (!dir)
		return kit_open_with("mem:", kit_options());
	check(asprintf(&uri, "emb:%s", dir) > 0);
	struct store *s = kit_open_with(uri, kit_options());
	free(uri);
	return s;
}

static inline void
kit_take(void *arg, const struct store_res *res)
{
	*(struct store_res *)arg = *res;
}

static inline struct store_res
kit_commit(struct store *s, struct store_batch *b)
{
	struct store_res res = { .rc = 1 };
	store_commit(b, STORE_DURABLE, kit_take, &res);
	store_wait(s);
	return res;
}

static inline struct store_res
kit_put(struct store *s, struct store_dom d, const char *key, const char *value)
{
	struct store_batch *b = store_batch_new(s, &d);
	store_put(b, str_of(key), str_of(value), 0);
	return kit_commit(s, b);
}

/* The value as text, "-" when there is none; in a static buffer. */
static inline const char *
kit_get(struct store *s, struct store_dom d, const char *key)
{
	static char text[256];
	struct store_snap *sn = NULL;
	struct str v;
	check(store_snap_open(s, &d, &sn, NULL) == 0);
	int r = store_get(sn, str_of(key), &v);
	snprintf(text, sizeof(text), STR_FMT, STR_ARG(r == 0 ? v : STR("-")));
	store_snap_close(sn);
	return text;
}

/* Letter number id with n octets of body, to mailbox INBOX of accounts first..first+count-1. */
struct kit_letter {
	uint64_t id, first, count;
	size_t n;
	bool blank, spill;
	uint32_t parts; /* entries in the queue */
};
#define KIT_PARTS_MAX 8

static inline void
kit_fill(char *p, size_t n, uint64_t id)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (char)('a' + (i * 7 + id * 13 + i / 251) % 26);
}

#define KIT_TRACE "Received: by example.com; id %llu\r\n"

static inline void
kit_accept_async(struct store *s, struct kit_letter k, store_fn *fn, void *arg)
{
	struct store_rcpt *rcpt = xalloc((k.count + 1) * sizeof(*rcpt));
	char trace[64], qid[32], values[KIT_PARTS_MAX][16], *p = xalloc(k.n + 1);
	struct store_entry entry[KIT_PARTS_MAX];
	check(k.parts <= KIT_PARTS_MAX);
	for (uint32_t i = 0; i < k.parts; i++) {
		snprintf(values[i], sizeof(values[i]), "entry %u", i);
		entry[i] = (struct store_entry){ i, str_of(values[i]) };
	}
	for (uint64_t i = 0; i < k.count; i++)
		rcpt[i] = (struct store_rcpt){ k.first + i, MAILBOX_INBOX,
			STR("Return-Path: <a@b>\r\nDelivered-To: c@d\r\n"), STR("c@d") };
	snprintf(trace, sizeof(trace), KIT_TRACE, (unsigned long long)k.id);
	snprintf(qid, sizeof(qid), "Q%llu", (unsigned long long)k.id);
	struct store_letter l = { .letter = k.id,
		.session = 77,
		.time_ms = KIT_TIME,
		.qid = str_of(qid),
		.from = STR("a@b"),
		.trace = str_of(trace),
		.header_len = MIN(k.n, (size_t)10),
		.insert_blank = k.blank,
		.history = STR("C: MAIL\nS: 250\n"),
		.rcpt = rcpt,
		.n_rcpt = k.count,
		.entry = entry,
		.n_entry = k.parts };
	struct store_body *b = store_body_new(s, k.id);
	kit_fill(p, k.n, k.id);
	size_t half = k.n / 2;
	check(store_body_write(b, str_n(p, half)) == 0);
	if (k.spill)
		check(store_body_spill(b) == 0);
	check(store_body_write(b, str_n(p + half, k.n - half)) == 0);
	check(store_body_size(b) == k.n);
	store_accept(s, b, &l, fn, arg);
	free(rcpt);
	free(p);
}

static inline int
kit_accept(struct store *s, struct kit_letter k)
{
	struct store_res res = { .rc = 1 };
	kit_accept_async(s, k, kit_take, &res);
	store_wait(s);
	return res.rc;
}

/* Is this letter whole, as mailbox_letter_read() gives it? */
static inline bool
kit_whole(struct store *s, const struct mailbox_letter *l, size_t body, bool blank)
{
	struct buf want = BUF_INIT(SIZE_MAX / 2);
	buf_putz(&want, "Return-Path: <a@b>\r\nDelivered-To: c@d\r\n");
	buf_putf(&want, KIT_TRACE, (unsigned long long)l->letter);
	char *p = xalloc(body + 1);
	kit_fill(p, body, l->letter);
	size_t head = MIN(body, (size_t)10);
	buf_put(&want, p, head);
	if (blank)
		buf_putz(&want, "\r\n");
	buf_put(&want, p + head, body - head);
	free(p);
	char *got = xalloc(l->size + 1);
	ssize_t n = mailbox_letter_read(s, l, 0, got, l->size + 1);
	bool same = n >= 0 && l->size == want.len && str_eq(str_n(got, (size_t)n), buf_str(&want));
	/* And in pieces of an odd size. */
	for (uint64_t off = 0; same && off < l->size && l->size < 5000; off += 37) {
		n = mailbox_letter_read(s, l, off, got, 37);
		same = n == (ssize_t)MIN((uint64_t)37, l->size - off) &&
		    memcmp(got, want.p + off, (size_t)n) == 0;
	}
	same = same && store_ref_check(s, &l->ref) == 0;
	free(got);
	buf_done(&want);
	return same;
}

struct kit_count {
	struct store *s;
	uint64_t letters, bytes, last_uid, last_modseq;
	size_t body; /* expected octets of each body; 0: not looked at */
	uint64_t *ids;
	bool bad;
};

static inline bool
kit_count_one(void *arg, const struct mailbox_letter *l)
{
	struct kit_count *c = arg;
	if (l->uid <= c->last_uid || l->modseq <= c->last_modseq)
		c->bad = true;
	c->last_uid = l->uid;
	c->last_modseq = l->modseq;
	if (c->body && !kit_whole(c->s, l, c->body, l->insert_blank))
		c->bad = true;
	if (c->ids)
		c->ids[c->letters] = l->letter;
	c->letters++;
	c->bytes += l->size;
	return true;
}

/* Letters in an account's INBOX; UINT64_MAX when something there is not right. */
static inline uint64_t
kit_letters(struct store *s, uint64_t account, size_t body, uint64_t *ids)
{
	struct store_dom d = store_dom_mailbox(account, MAILBOX_INBOX);
	struct store_snap *sn = NULL;
	struct kit_count c = { .s = s, .body = body, .ids = ids };
	struct mailbox_head h = { 0 };
	uint64_t ver = 0;
	if (store_snap_open(s, &d, &sn, &ver) < 0)
		return UINT64_MAX;
	int head = mailbox_head_read(sn, &h);
	int r = mailbox_each(sn, 1, kit_count_one, &c);
	store_snap_close(sn);
	if (head < 0 && c.letters == 0)
		return 0;
	bool good = r == 0 && head == 0 && !c.bad && h.messages == c.letters &&
	            h.bytes == c.bytes && h.uidnext > c.last_uid && h.modseq >= c.last_modseq &&
	            h.uidvalidity != 0;
	return good ? c.letters : UINT64_MAX;
}

/* --- a store of either kind, as cmocka's state --- */

struct kit_lab {
	char *dir; /* NULL: mem */
	struct store *s;
};

static inline int
kit_lab_new(void **state, char *dir)
{
	struct kit_lab *l = xalloc(sizeof(*l));
	l->dir = dir;
	l->s = kit_open(dir);
	*state = l;
	return l->s ? 0 : -1;
}

static inline int
kit_set_up_emb(void **state)
{
	return kit_lab_new(state, kit_dir());
}

static inline int
kit_set_up_mem(void **state)
{
	return kit_lab_new(state, NULL);
}

static inline int
kit_tear_down(void **state)
{
	struct kit_lab *l = *state;
	store_close(l->s);
	if (l->dir)
		kit_dir_done(l->dir);
	free(l);
	return 0;
}

static inline struct store *
kit_store(void **state)
{
	return ((struct kit_lab *)*state)->s;
}

/* Two rows of a group of tests: f with mem: and with emb:. */
#define KIT_BOTH(f)                                                                                \
	{ #f " (mem)", f, kit_set_up_mem, kit_tear_down, NULL },                                   \
	{                                                                                          \
#f " (emb)", f, kit_set_up_emb, kit_tear_down, NULL                                \
	}

/* The histories in the log that a text leads to, oldest first. */
static inline int
kit_trace(const char *dir, struct str key, trace_found_fn *fn, void *arg)
{
	struct trace_search *s;
	const struct trace_query q = { .key = key };
	int rc = trace_search_new(&s, dir, &q);
	if (rc < 0)
		return rc;
	while ((rc = trace_search_step(s, fn, arg)) == 1)
		;
	trace_search_free(s);
	return rc;
}
