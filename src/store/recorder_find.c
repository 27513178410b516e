/* Finding histories: in the log behind what is followed, then in the files, newest first. */
#include "store/recorder.h"

#include "base/check.h"
#include "base/num.h"
#include "log/log.h"
#include "store/logread.h"
#include "store/recorder_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOG_SLICE (8u << 20)
#define SCAN_SLICE (4u << 20)
#define SLACK_MS RECORDER_DAY_MS /* clocks may be set */

struct trace_search {
	int dir, log;  /* dir -1: nothing was ever recorded */
	char *text[5]; /* of the query */
	struct trace_query q;
	uint64_t letter_ms; /* nothing is older; 0: anything may be */
	unsigned char id[STORE_ID_LEN];
	bool keyed, have_id;
	bool in_log;
	uint64_t lsn;
	uint64_t *numbers; /* files that are still to be looked through: the first n */
	size_t n;
	/* a file without a table is read through: first all, then what was found */
	struct trcread scan;
	uint64_t *found;
	size_t n_found, cap_found;
	bool stopped;
};

static int
open_dir(const char *dir, const char *name)
{
	int at = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (at < 0)
		return -errno;
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = fd < 0 ? -errno : fd;
	close(at);
	return rc;
}

bool
trace_recorded(const char *dir)
{
	struct trc_place p;
	int fd = open_dir(dir, "trace");
	bool yes = fd >= 0 && trc_place_read(fd, &p) == 0;
	if (fd >= 0)
		close(fd);
	return yes;
}

/* --- the log --- */

struct teller {
	trace_found_fn *fn;
	void *arg;
	const struct trace_query *q; /* NULL: all */
	bool stopped;
};

static void
tell(struct teller *w, struct str payload, uint64_t lsn)
{
	struct trace_found f = { .lsn = lsn };
	if (trace_payload_get(payload, &f.t) && (!w->q || trace_matches(&f.t, w->q)))
		w->stopped = !w->fn(w->arg, &f);
}

/* From *lsn on in one segment, at most max octets; *ret_end: where its frames end, or all ends. */
static int
walk_segment(int log, uint64_t *lsn, uint64_t max, struct teller *w, bool *ret_end)
{
	struct logread r;
	uint64_t from = lsn_off(*lsn);
	*ret_end = true;
	int rc = logread_open(&r, log, lsn_seq(*lsn), from);
	if (rc == -ENOENT || rc == -EBADMSG)
		return 0;
	while (rc == 0 && !w->stopped) {
		struct frame f;
		struct str payload;
		enum frame_state state;
		rc = logread_head(&r, &f, &state);
		if (rc < 0 || state != FRAME_OK || f.type == FRAME_END)
			break;
		if (r.off - from > max) {
			*ret_end = false;
			break;
		}
		if (f.type == FRAME_TRACE && w->fn) {
			rc = logread_payload(&r, &f, &payload);
			if (rc == 0)
				tell(w, payload, f.lsn);
			rc = rc == -EBADMSG ? 0 : rc;
		}
		logread_next(&r, &f);
		*lsn = lsn_of(r.head.seq, r.off);
	}
	logread_close(&r);
	return rc;
}

/* The first segment behind that one, if there is a frame in it; 0: none. */
static int
next_segment(int log, uint64_t seq, uint64_t *ret)
{
	uint64_t *seqs = NULL;
	size_t n = 0, i = 0;
	struct logread r;
	struct frame f;
	enum frame_state state = FRAME_NONE;
	int rc = seg_list(log, &seqs, &n);
	if (rc < 0)
		return rc;
	while (i < n && seqs[i] <= seq)
		i++;
	*ret = i < n ? seqs[i] : 0;
	free(seqs);
	if (!*ret)
		return 0;
	rc = logread_open(&r, log, *ret, 0);
	if (rc == 0)
		rc = logread_head(&r, &f, &state);
	logread_close(&r);
	if (rc < 0 || state != FRAME_OK)
		*ret = 0;
	return rc == -ENOENT || rc == -EBADMSG ? 0 : rc;
}

/* 1: there may be more; 0: the end of the log; or -errno. */
static int
walk_log(int log, uint64_t *lsn, uint64_t max, struct teller *w)
{
	bool end = true;
	uint64_t next = 0;
	int rc = lsn_seq(*lsn) ? walk_segment(log, lsn, max, w, &end) : 0;
	if (rc < 0 || w->stopped || !end)
		return rc < 0 ? rc : !w->stopped;
	rc = next_segment(log, lsn_seq(*lsn), &next);
	if (rc < 0 || !next)
		return rc;
	*lsn = lsn_of(next, SEG_HEAD);
	return 1;
}

/* Where what is not followed yet begins. */
static uint64_t
behind_files(const char *dir)
{
	struct trc_place p = { 0 };
	int fd = open_dir(dir, "trace");
	if (fd < 0)
		return 0;
	if (trc_place_read(fd, &p) < 0)
		p.lsn = 0;
	close(fd);
	return p.lsn;
}

int
trace_follow(const char *dir, uint64_t lsn, uint64_t max, trace_found_fn *fn, void *arg,
    uint64_t *ret_lsn)
{
	struct teller w = { .fn = lsn ? fn : NULL, .arg = arg };
	int log = open_dir(dir, "log");
	if (log < 0)
		return log;
	bool to_end = lsn == 0;
	int rc;
	if (to_end)
		lsn = behind_files(dir);
	do
		rc = walk_log(log, &lsn, max, &w);
	while (rc == 1 && to_end);
	close(log);
	*ret_lsn = lsn;
	return MIN(rc, 0);
}

/* --- a search begins --- */

/* IMAP's EMAILID (RFC 8474), an entry of the queue "LETTER.PART": the letter. */
static char *
normal_key(struct str key)
{
	uint64_t n;
	char id[14];
	struct str head = str_first(key, str_find(key, '.'));
	if (key.len == 17 && key.p[0] == 'M' && num_hex(str_skip(key, 1), &n)) {
		id_format(id, n);
		return str_dup(str_of(id));
	}
	if (head.len < key.len && id_parse(head, &n) &&
	    num_u64(str_skip(key, head.len + 1), UINT32_MAX, &n))
		return str_dup(head);
	return str_dup(key);
}

static void
copy_query(struct trace_search *s, const struct trace_query *q)
{
	s->text[0] = normal_key(q->key);
	s->text[1] = str_dup(q->from);
	s->text[2] = str_dup(q->to);
	s->text[3] = str_dup(q->peer);
	s->text[4] = str_dup(q->message_id);
	s->q = (struct trace_query){ str_of(s->text[0]), str_of(s->text[1]), str_of(s->text[2]),
		str_of(s->text[3]), str_of(s->text[4]), q->since_ms, q->until_ms };
	s->keyed = trace_query_key(&s->q).len > 0;
}

int
trace_search_new(struct trace_search **ret, const char *dir, const struct trace_query *q)
{
	struct trace_search *s = xalloc(sizeof(*s));
	*s = (struct trace_search){ .dir = -1, .in_log = true, .scan = TRCREAD_NULL };
	copy_query(s, q);
	/* First how far the files go, then the files: what comes between is in the log. */
	s->lsn = behind_files(dir);
	s->log = open_dir(dir, "log");
	int rc = MIN(s->log, 0);
	if (rc == 0)
		s->dir = open_dir(dir, "trace");
	if (rc == 0 && s->dir >= 0)
		rc = trc_list(s->dir, &s->numbers, &s->n);
	else if (rc == 0 && s->dir != -ENOENT)
		rc = s->dir;
	if (rc < 0) {
		trace_search_free(s);
		return rc;
	}
	*ret = s;
	return 0;
}

struct trace_search *
trace_search_free(struct trace_search *s)
{
	if (!s)
		return NULL;
	trcread_close(&s->scan);
	if (s->dir >= 0)
		close(s->dir);
	if (s->log >= 0)
		close(s->log);
	for (size_t i = 0; i < ARRAY_LEN(s->text); i++)
		free(s->text[i]);
	free(s->numbers);
	free(s->found);
	free(s);
	return NULL;
}

void
trace_search_letter(struct trace_search *s, uint64_t letter)
{
	s->letter_ms = letter >> 22;
}

/* --- files --- */

static bool
give(struct trace_search *s, struct trcread *r, uint64_t at, trace_found_fn *fn, void *arg, int *rc)
{
	struct trc_record rec;
	struct str payload;
	struct teller w = { .fn = fn, .arg = arg, .q = &s->q };
	*rc = trcread_at(r, at, &rec, &payload);
	if (*rc == 1)
		tell(&w, payload, rec.lsn);
	*rc = MIN(*rc, 0);
	s->stopped = w.stopped;
	return *rc == 0 && !w.stopped;
}

/* Some of a file; its places are kept. True: it is read. */
static int
scan_some(struct trace_search *s)
{
	struct trc_record rec;
	struct str payload;
	struct trace_payload t;
	int rc;
	for (uint64_t end = s->scan.off + SCAN_SLICE; s->scan.off < end;) {
		rc = trcread_next(&s->scan, &rec, &payload);
		if (rc <= 0)
			return rc < 0 ? rc : 1;
		if (!trace_payload_get(payload, &t) || !trace_matches(&t, &s->q))
			continue;
		if (s->n_found == s->cap_found) {
			s->cap_found = s->cap_found ? s->cap_found * 2 : 256;
			s->found = xrealloc(s->found, s->cap_found * sizeof(*s->found));
		}
		s->found[s->n_found++] = rec.at;
	}
	return 0;
}

static int
scan_step(struct trace_search *s, trace_found_fn *fn, void *arg)
{
	int rc = scan_some(s);
	if (rc <= 0)
		return rc;
	rc = 0;
	while (s->n_found && give(s, &s->scan, s->found[s->n_found - 1], fn, arg, &rc))
		s->n_found--;
	s->n_found = 0;
	trcread_close(&s->scan);
	return rc;
}

static int
scan_begin(struct trace_search *s, uint64_t number)
{
	int rc = trcread_open(&s->scan, s->dir, number);
	/* It is gone, or the recorder will set it aside. */
	return rc == -ENOENT || rc == -EBADMSG ? 0 : rc;
}

struct hits {
	struct trace_search *s;
	struct trcread file;
	uint64_t number;
	trace_found_fn *fn;
	void *arg;
	int rc;
};

static bool
on_hit(void *arg, uint64_t at)
{
	struct hits *h = arg;
	if (h->file.fd < 0)
		h->rc = trcread_open(&h->file, h->s->dir, h->number);
	return h->rc == 0 && give(h->s, &h->file, at, h->fn, h->arg, &h->rc);
}

static int
look_up(struct trace_search *s, uint64_t number, int table, const struct table_head *head,
    trace_found_fn *fn, void *arg)
{
	struct hits h = { s, TRCREAD_NULL, number, fn, arg, 0 };
	int rc =
	    table_find(table, head, trace_key_digest(s->id, trace_query_key(&s->q)), on_hit, &h);
	trcread_close(&h.file);
	rc = rc < 0 ? rc : h.rc;
	return rc == -ENOENT || rc == -EBADMSG ? 0 : rc;
}

/* The store's id is in each file. */
static bool
take_id(struct trace_search *s, uint64_t number)
{
	struct trcread r;
	if (!s->have_id && trcread_open(&r, s->dir, number) == 0) {
		memcpy(s->id, r.head.id, STORE_ID_LEN);
		s->have_id = true;
		trcread_close(&r);
	}
	return s->have_id;
}

static bool
too_old(const struct trace_search *s, const struct table_head *h)
{
	return h->last_ms < s->q.since_ms || (s->q.until_ms && h->first_ms >= s->q.until_ms) ||
	       h->first_ms > h->last_ms || h->last_ms + SLACK_MS < s->letter_ms;
}

static int
file_step(struct trace_search *s, trace_found_fn *fn, void *arg)
{
	uint64_t number = s->numbers[--s->n];
	struct table_head h;
	int rc = 0, table = table_open(s->dir, number, &h);
	if (table < 0)
		return scan_begin(s, number);
	if (too_old(s, &h))
		rc = 0;
	else if (s->keyed && take_id(s, number))
		rc = look_up(s, number, table, &h, fn, arg);
	else
		rc = scan_begin(s, number);
	close(table);
	return rc;
}

int
trace_search_step(struct trace_search *s, trace_found_fn *fn, void *arg)
{
	int rc = 0;
	if (s->in_log) {
		struct teller w = { .fn = fn, .arg = arg, .q = &s->q };
		rc = walk_log(s->log, &s->lsn, LOG_SLICE, &w);
		s->stopped = w.stopped;
		s->in_log = rc == 1;
	} else if (s->scan.fd >= 0) {
		rc = scan_step(s, fn, arg);
	} else if (s->n) {
		rc = file_step(s, fn, arg);
	}
	if (rc < 0)
		return rc;
	return !s->stopped && (s->in_log || s->scan.fd >= 0 || s->n > 0);
}
