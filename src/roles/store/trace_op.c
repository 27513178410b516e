/*
 * trace: letters by anything that their histories are found by, and what came since.
 *
 * A search has two parts. First the letters are looked for, newest first. Then, if they are few
 * enough to be shown whole, all records of some of them at a time are gathered, brought into their
 * order and said; of more letters one row each, for which the search has found the record already
 * or, where it found only what became of the letter, all that are missing are looked up at once.
 * What is not found then, because it is kept no more, is told as far as the first part knows it.
 *
 * Records come in the order of their own times, the newest first, and a letter may be much older
 * than what was recorded of it last. So the first part goes on behind the limit, until no newer
 * letter can come.
 */
#include "base/check.h"
#include "base/map.h"
#include "base/num.h"
#include "base/wire.h"
#include "roles/store/trace_rows.h"
#include "store/recorder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LETTERS_MAX 1000u /* of one answer, unless less are asked for */
#define GATHER_MAX 100u   /* letters that are gathered at a time, */
#define GATHER_OCTETS (64u << 20)
#define SLACK_MS 10000u   /* records stand that near to where their times say, by good clocks */
#define BEYOND_MAX 10000u /* records that are looked at when there are more than the limit */
#define FOLLOW_SLICE (8u << 20) /* octets of log */

enum tracing_part { FIND, GATHER, SAY, FOLLOW };

struct tracing {
	enum tracing_part part;
	struct trace_query q;
	uint64_t whole, limit, follow;
	struct trace_search *search;
	uint64_t *letters; /* that were found */
	size_t n, cap;
	struct map known; /* a letter, 8 octets, to known_only, or known_kept: a row can be made */
	uint64_t seen;    /* lsn of the last record that was found */
	bool more;        /* there are more than the limit */
	size_t beyond;    /* records that were found since, in files */
	bool given_up;    /* they were too many: newer letters may be behind them */
	bool brief;
	bool full, cut; /* what is gathered, and what was before, had no room */
	struct keeper kept;
	size_t at, step; /* letters below at are said; step of them are gathered at a time */
	size_t gathered; /* letters below it are in kept */
	struct job *job;
};

/* --- finding --- */

struct adding {
	struct tracing *t;
	const struct trace_found *f;
};

static char known_only, known_kept;

static size_t
oldest_of(const struct tracing *t)
{
	size_t oldest = 0;
	for (size_t i = 1; i < t->n; i++)
		if (t->letters[i] < t->letters[oldest])
			oldest = i;
	return oldest;
}

/* The place of the oldest, if this one is newer, free for it; else false. */
static bool
give_up_oldest(struct tracing *t, uint64_t letter)
{
	unsigned char key[8];
	size_t oldest = oldest_of(t);
	if (letter < t->letters[oldest])
		return false;
	be64_put(key, t->letters[oldest]);
	(void)map_del(&t->known, str_n(key, sizeof(key)));
	t->letters[oldest] = t->letters[--t->n];
	return true;
}

static bool
add_letter(struct tracing *t, uint64_t letter, struct str key)
{
	if (map_get(&t->known, key))
		return true;
	if (t->n == t->limit) {
		t->more = true;
		if (!give_up_oldest(t, letter))
			return false;
	}
	if (t->n == t->cap) {
		t->cap = t->cap ? t->cap * 2 : 64;
		t->letters = xrealloc(t->letters, t->cap * sizeof(*t->letters));
	}
	t->letters[t->n++] = letter;
	map_put(&t->known, key, &known_only);
	return true;
}

/* How it came is kept in any case; else one record that says whose it is, which a mailbox event
 * does not. */
static void
add_hit(void *arg, uint64_t letter)
{
	struct adding *a = arg;
	struct tracing *t = a->t;
	unsigned char octets[8];
	const struct str key = str_n(octets, sizeof(octets));
	be64_put(octets, letter);
	if (!add_letter(t, letter, key) || a->f->t.kind == STORE_NOTE_MAILBOX)
		return;
	bool first = map_get(&t->known, key) == &known_only;
	if ((first || a->f->t.kind == STORE_NOTE_LETTER) &&
	    keeper_add(&t->kept, letter, a->f, true))
		map_put(&t->known, key, &known_kept);
}

/* A letter is not newer than what is recorded of it, and what is told behind this is older. */
static bool
may_be_newer(struct tracing *t, const struct trace_found *f)
{
	uint64_t ms = MAX(f->t.time_ms, f->t.letter >> 22);
	if (ms + SLACK_MS < t->letters[oldest_of(t)] >> 22)
		return false;
	t->given_up = ++t->beyond == BEYOND_MAX;
	return !t->given_up;
}

/* A mailbox event tells of many letters: when one of them is asked for, only of that. Files are
 * told of backwards, but the log is read on to its end. */
static bool
on_found(void *arg, const struct trace_found *f)
{
	struct tracing *t = arg;
	struct adding a = { t, f };
	bool back = f->lsn < t->seen;
	uint64_t id;
	t->seen = f->lsn;
	if (f->t.kind == STORE_NOTE_MAILBOX && trace_key_letter(t->q.key, &id) &&
	    trace_is_about(&f->t, id))
		add_hit(&a, id);
	else
		trace_letters_each(&f->t, add_hit, &a);
	return !t->more || !back || may_be_newer(t, f);
}

static int
by_number(const void *pa, const void *pb)
{
	uint64_t a = *(const uint64_t *)pa, b = *(const uint64_t *)pb;
	return (a > b) - (a < b);
}

/* --- all of a letter, or how it came --- */

static void
gather_one(void *arg, uint64_t letter)
{
	struct adding *a = arg;
	struct tracing *t = a->t;
	if (bsearch(&letter, t->letters + t->at, t->gathered - t->at, sizeof(letter), by_number))
		t->full |= !keeper_add(&t->kept, letter, a->f, t->brief);
}

static bool
on_record(void *arg, const struct trace_found *f)
{
	struct tracing *t = arg;
	struct adding a = { t, f };
	trace_letters_each(&f->t, gather_one, &a);
	return !t->full;
}

static void
say_whole(struct tracing *t, uint64_t letter)
{
	const struct kept *r = keeper_first(&t->kept, letter), *end = t->kept.p + t->kept.n;
	struct trace_payload p;
	for (; r && r < end && r->letter == letter; r++)
		if (kept_get(&t->kept, r, &p))
			trace_row_put(t->job, letter, &p, r->lsn, false);
}

/* Of what became of it only what is true of how it came. */
static void
say_brief(struct tracing *t, uint64_t letter)
{
	const struct kept *r = keeper_first(&t->kept, letter);
	struct trace_payload p = { .time_ms = letter >> 22 };
	if (r)
		(void)kept_get(&t->kept, r, &p);
	if (r && !r->arrival) {
		p.time_ms = letter >> 22;
		p.peer = STR_NULL;
	}
	trace_row_put(t->job, letter, &p, r ? r->lsn : 0, true);
}

/* --- the job --- */

static struct str
value_of(const struct job *j, struct str name)
{
	for (size_t i = 0; i < j->n_args; i++) {
		struct str rest = str_of(j->arg[i]), key = str_cut(&rest, '=');
		if (str_eq(key, name))
			return rest.p ? rest : STR("");
	}
	return STR_NULL;
}

static uint64_t
number_of(const struct job *j, struct str name, uint64_t otherwise)
{
	uint64_t n;
	return num_u64(value_of(j, name), UINT64_MAX, &n) ? n : otherwise;
}

static bool
names_known(const struct job *j)
{
	static const char names[] = " key from to peer message-id since until whole limit follow ";
	for (size_t i = 0; i < j->n_args; i++) {
		struct str rest = str_of(j->arg[i]), key = str_cut(&rest, '=');
		char padded[16];
		int n = snprintf(padded, sizeof(padded), " " STR_FMT " ", STR_ARG(key));
		if (!rest.p || n >= (int)sizeof(padded) || !strstr(names, padded))
			return false;
	}
	return true;
}

static enum job_step
begin(struct job *j)
{
	struct trace_wanted wanted[TRACE_WANTED_MAX];
	struct tracing *t = xalloc(sizeof(*t));
	j->tracing = t;
	*t = (struct tracing){ .job = j, .known = MAP_NULL, .step = GATHER_MAX };
	t->kept.octets = BUF_INIT(GATHER_OCTETS);
	t->q = (struct trace_query){ .key = value_of(j, STR("key")),
		.from = value_of(j, STR("from")),
		.to = value_of(j, STR("to")),
		.peer = value_of(j, STR("peer")),
		.message_id = value_of(j, STR("message-id")),
		.since_ms = number_of(j, STR("since"), 0),
		.until_ms = MAX(number_of(j, STR("until"), UINT64_MAX), 1u) };
	t->limit = MIN(number_of(j, STR("limit"), LETTERS_MAX), (uint64_t)LETTERS_MAX);
	t->whole = number_of(j, STR("whole"), 1);
	t->follow = number_of(j, STR("follow"), UINT64_MAX);
	t->part = t->follow == UINT64_MAX ? FIND : FOLLOW;
	/* Of the null sender, "<>", there is no key. */
	bool asks = trace_query_wanted(&t->q, wanted) > 0 || t->q.key.len || t->q.from.len ||
	            value_of(j, STR("since")).p || value_of(j, STR("until")).p;
	if (!names_known(j) || t->limit == 0 || (t->part == FIND && !asks))
		return reader_job_end(j, CTL_INVALID, "trace needs an id, an address, or a time");
	if (t->part == FOLLOW)
		return JOB_MORE;
	int rc = trace_search_new(&t->search, j->reader->dir, &t->q);
	if (rc < 0)
		return reader_job_end(j, CTL_FAILED, "the histories cannot be read: %s",
		    strerror(-rc));
	return JOB_MORE;
}

static enum job_step
failed(struct job *j, int rc)
{
	return reader_job_end(j, CTL_FAILED,
	    "the histories cannot be read: %s; `pennypost fsck` looks for damage", strerror(-rc));
}

static enum job_step
end(struct job *j)
{
	struct tracing *t = j->tracing;
	if (t->n == 0)
		return reader_job_end(j, CTL_NOT_FOUND, "there is no letter with %s" STR_FMT,
		    t->q.key.len ? "the id or address "
				 : "that, or its history is not kept any more",
		    STR_ARG(t->q.key));
	if (t->more)
		return reader_job_end(j, CTL_OK,
		    "there are more; these are the newest %zu%s; --limit shows up to %u, --until "
		    "TIME "
		    "older ones",
		    t->n, t->given_up ? " of those with the newest events" : "", LETTERS_MAX);
	if (t->cut)
		return reader_job_end(j, CTL_OK, "a history is too long to be shown whole");
	return reader_job_end(j, CTL_OK, "%s", "");
}

static enum job_step
find(struct job *j)
{
	struct tracing *t = j->tracing;
	int rc = trace_search_step(t->search, on_found, t);
	if (rc < 0)
		return failed(j, rc);
	if (rc == 1)
		return JOB_MORE;
	t->search = trace_search_free(t->search);
	if (t->n)
		qsort(t->letters, t->n, sizeof(*t->letters), by_number);
	t->brief = t->n > t->whole;
	if (!t->brief)
		keeper_reset(&t->kept);
	keeper_sort(&t->kept);
	t->part = GATHER;
	return t->n ? JOB_MORE : end(j);
}

/* The search for what is known of the next letters; none, when all is known that will be said. */
static int
look_closer(struct tracing *t)
{
	uint64_t *missing = xalloc(t->n * sizeof(*missing));
	size_t n = 0;
	t->full = false;
	t->gathered = t->brief ? t->n : MIN(t->at + t->step, t->n);
	for (size_t i = t->at; i < t->gathered; i++) {
		const struct kept *r = t->brief ? keeper_first(&t->kept, t->letters[i]) : NULL;
		if (!r || !r->arrival)
			missing[n++] = t->letters[i];
	}
	int rc =
	    n ? trace_search_letters(&t->search, t->job->reader->dir, missing, n, t->brief) : 0;
	free(missing);
	return rc;
}

/* What some letters have together found no room: then one at a time. */
static bool
again(struct tracing *t)
{
	if (!t->full || t->brief || t->step == 1)
		return false;
	keeper_reset(&t->kept);
	t->step = 1;
	return true;
}

static enum job_step
gather(struct job *j)
{
	struct tracing *t = j->tracing;
	int rc = t->search ? 0 : look_closer(t);
	if (rc == 0 && t->search)
		rc = trace_search_step(t->search, on_record, t);
	if (rc == 1)
		return JOB_MORE;
	t->search = trace_search_free(t->search);
	if (rc < 0)
		return failed(j, rc);
	if (again(t))
		return JOB_MORE;
	t->cut |= t->full;
	keeper_sort(&t->kept);
	t->part = SAY;
	return JOB_MORE;
}

static enum job_step
say(struct job *j)
{
	struct tracing *t = j->tracing;
	if (t->brief)
		say_brief(t, t->letters[t->at]);
	else
		say_whole(t, t->letters[t->at]);
	if (++t->at == t->n)
		return end(j);
	if (t->at == t->gathered) {
		keeper_reset(&t->kept);
		t->part = GATHER;
	}
	return JOB_MORE;
}

static bool
on_live(void *arg, const struct trace_found *f)
{
	struct tracing *t = arg;
	uint64_t only = 0;
	if (!trace_matches(&f->t, &t->q))
		return true;
	if (f->t.kind != STORE_NOTE_MAILBOX)
		trace_row_put(t->job, f->t.letter, &f->t, f->lsn, false);
	else
		trace_rows_put_event(t->job, &f->t, f->lsn,
		    trace_key_letter(t->q.key, &only) && trace_is_about(&f->t, only) ? only : 0);
	return true;
}

/* A slice of the log for each question: who looks on asks again. */
static enum job_step
follow(struct job *j)
{
	struct tracing *t = j->tracing;
	uint64_t next = 0;
	int rc = trace_follow(j->reader->dir, t->follow, FOLLOW_SLICE, on_live, t, &next);
	if (rc < 0)
		return failed(j, rc);
	trace_row_end(j, next);
	return reader_job_end(j, CTL_OK, "%s", "");
}

static enum job_step
step(struct job *j)
{
	static enum job_step (*const parts[])(struct job *) = { find, gather, say, follow };
	return parts[j->tracing->part](j);
}

static void
done(struct job *j)
{
	struct tracing *t = j->tracing;
	if (!t)
		return;
	trace_search_free(t->search);
	free(t->letters);
	map_done(&t->known);
	keeper_done(&t->kept);
	free(t);
}

static const struct job_kind kind = { begin, step, done };

void
reader_op_trace(void *arg, struct desk_ask *a, const struct msg_ask *m)
{
	reader_job_new(arg, a, m, &kind);
}
