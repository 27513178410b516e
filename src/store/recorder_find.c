/* Finding histories: in the log behind what is followed, then in the files, newest first. */
#include "store/recorder_find.h"

#include "base/check.h"
#include "base/num.h"
#include "log/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOG_SLICE (8u << 20)
#define SCAN_SLICE (4u << 20)
#define READ_SLICE 256u /* records */

struct trace_search {
	int dir, log; /* dir -1: nothing was ever recorded */
	struct sought sought;
	char *text[5];     /* of the query */
	uint64_t *letters; /* else */
	bool in_log;
	uint64_t lsn;
	uint64_t *numbers; /* files that are still to be looked through: the first n */
	size_t n;
	struct window window;
	/* of the range at hand: first all is read, then told, the last first */
	bool in_range;
	struct places found;
	bool stopped;
};

/* --- what matches --- */

static int
by_number(const void *pa, const void *pb)
{
	uint64_t a = *(const uint64_t *)pa, b = *(const uint64_t *)pb;
	return (a > b) - (a < b);
}

struct about {
	const struct sought *s;
	bool found;
};

static void
is_one(void *arg, uint64_t letter)
{
	struct about *a = arg;
	const uint64_t *l =
	    a->found ? NULL
		     : bsearch(&letter, a->s->letters, a->s->n_letters, sizeof(letter), by_number);
	a->found = a->found || l != NULL;
}

/* It is how a letter came; the next time it is not looked for. */
static bool
arrives(const struct sought *s, const struct trace_payload *t)
{
	const uint64_t *l =
	    t->kind == STORE_NOTE_LETTER
		? bsearch(&t->letter, s->letters, s->n_letters, sizeof(t->letter), by_number)
		: NULL;
	if (!l)
		return false;
	s->arrived[l - s->letters] = true;
	return true;
}

bool
sought_matches(const struct sought *s, const struct trace_payload *t)
{
	struct about a = { s, false };
	if (!s->letters)
		return trace_matches(t, &s->q);
	if (s->arrived)
		return arrives(s, t);
	trace_letters_each(t, is_one, &a);
	return a.found;
}

void
find_tell(struct finding *w, struct str payload, uint64_t lsn)
{
	struct trace_found f = { .lsn = lsn };
	if (trace_payload_get(payload, &f.t) && (!w->s || sought_matches(w->s, &f.t)))
		w->stopped = !w->fn(w->arg, &f);
}

/* --- a search begins --- */

static char *
normal_key(struct str key)
{
	uint64_t letter;
	char id[14];
	if (!trace_key_letter(key, &letter))
		return str_dup(key);
	id_format(id, letter);
	return str_dup(str_of(id));
}

static int
begin(struct trace_search *s, const char *dir)
{
	/* First how far the files go, then the files: what comes between is in the log. */
	s->lsn = find_behind_files(dir);
	s->log = find_dir(dir, "log");
	if (s->log < 0)
		return s->log;
	s->dir = find_dir(dir, "trace");
	if (s->dir >= 0)
		return trc_list(s->dir, &s->numbers, &s->n);
	return s->dir == -ENOENT ? 0 : s->dir;
}

static struct trace_search *
search_new(void)
{
	struct trace_search *s = xalloc(sizeof(*s));
	*s = (struct trace_search){ .dir = -1, .log = -1, .in_log = true };
	look_files_init(&s->window);
	return s;
}

int
trace_search_new(struct trace_search **ret, const char *dir, const struct trace_query *q)
{
	struct trace_search *s = search_new();
	s->text[0] = normal_key(q->key);
	s->text[1] = str_dup(q->from);
	s->text[2] = str_dup(q->to);
	s->text[3] = str_dup(q->peer);
	s->text[4] = str_dup(q->message_id);
	s->sought.q =
	    (struct trace_query){ str_of(s->text[0]), str_of(s->text[1]), str_of(s->text[2]),
		    str_of(s->text[3]), str_of(s->text[4]), q->since_ms, q->until_ms };
	s->sought.n_wanted = trace_query_wanted(&s->sought.q, s->sought.wanted);
	int rc = begin(s, dir);
	*ret = rc < 0 ? trace_search_free(s) : s;
	return rc;
}

int
trace_search_letters(struct trace_search **ret, const char *dir, const uint64_t *letters, size_t n,
    bool arrival)
{
	struct trace_search *s = search_new();
	s->letters = xalloc((n + 1) * sizeof(*letters));
	memcpy(s->letters, letters, n * sizeof(*letters));
	qsort(s->letters, n, sizeof(*letters), by_number);
	s->sought.letters = s->letters;
	s->sought.n_letters = n;
	s->sought.arrived = arrival ? xalloc((n + 1) * sizeof(bool)) : NULL;
	int rc = begin(s, dir);
	*ret = rc < 0 ? trace_search_free(s) : s;
	return rc;
}

struct trace_search *
trace_search_free(struct trace_search *s)
{
	if (!s)
		return NULL;
	look_files_done(&s->window);
	if (s->dir >= 0)
		close(s->dir);
	if (s->log >= 0)
		close(s->log);
	for (size_t i = 0; i < ARRAY_LEN(s->text); i++)
		free(s->text[i]);
	free(s->letters);
	free(s->sought.arrived);
	free(s->numbers);
	free(s->found.p);
	free(s);
	return NULL;
}

/* --- files --- */

/* Tells the record at a place. 0 or -errno. */
static int
tell_at(struct trcread *r, uint32_t place, struct finding *w)
{
	struct trc_record rec;
	struct str payload;
	int rc = trcread_at(r, (uint64_t)place * TRC_ALIGN, &rec, &payload);
	if (rc == 1)
		find_tell(w, payload, rec.lsn);
	return MIN(rc, 0);
}

static int
tell_places(struct look *l, struct finding *w)
{
	int rc = 0;
	for (size_t n = 0; rc == 0 && !w->stopped && l->places.n && n < READ_SLICE; n++) {
		look_file_ahead(l);
		rc = tell_at(&l->file, l->places.p[l->places.n - 1], w);
		l->places.n--;
	}
	return rc;
}

/* Some of the range at hand; what matches is kept. 1: it is read; 0: there is more; or -errno. */
static int
scan_some(struct trace_search *s, struct trcread *f)
{
	struct trc_record rec;
	struct trace_payload t;
	struct str payload;
	for (uint64_t end = f->off + SCAN_SLICE; f->off < end;) {
		int rc = trcread_next(f, &rec, &payload);
		if (rc <= 0)
			return rc < 0 ? rc : 1;
		if (trace_payload_get(payload, &t) && sought_matches(&s->sought, &t))
			places_add(&s->found, (uint32_t)(rec.at / TRC_ALIGN));
	}
	return 0;
}

static int
scan_range(struct trace_search *s, struct look *l, struct finding *w)
{
	const struct range *r = &l->ranges[l->n_ranges - 1];
	if (!s->in_range) {
		look_file_ahead(l);
		trcread_range(&l->file, r->from, r->to);
		s->in_range = true;
	}
	int rc = scan_some(s, &l->file);
	if (rc <= 0)
		return rc;
	rc = 0;
	for (; rc == 0 && !w->stopped && s->found.n; s->found.n--)
		rc = tell_at(&l->file, s->found.p[s->found.n - 1], w);
	s->found.n = 0;
	s->in_range = false;
	l->n_ranges--;
	return rc;
}

static int
look_step(struct trace_search *s, struct finding *w)
{
	struct look *l = &s->window.look[s->window.at];
	int rc = l->places.n ? tell_places(l, w) : l->n_ranges ? scan_range(s, l, w) : 0;
	if (rc == 0 && !l->places.n && !l->n_ranges) {
		look_file_done(l);
		s->window.at++;
	}
	return rc;
}

int
trace_search_step(struct trace_search *s, trace_found_fn *fn, void *arg)
{
	struct finding w = { .fn = fn, .arg = arg, .s = &s->sought };
	int rc = 0;
	if (s->in_log) {
		rc = find_in_log(s->log, &s->lsn, LOG_SLICE, &w);
		s->in_log = rc == 1;
	} else if (s->window.at < s->window.n && !look_files_filling(&s->window)) {
		rc = look_step(s, &w);
	} else if (s->n || look_files_filling(&s->window)) {
		rc = look_files_fill(&s->window, s->dir, s->numbers, &s->n, &s->sought);
	}
	if (rc < 0)
		return rc;
	s->stopped = w.stopped;
	return !s->stopped && (s->in_log || s->window.at < s->window.n || s->n > 0);
}
