/*
 * trace: letters by anything that their histories are found by, and what came since.
 *
 * A search has two parts. First the letters are looked for, newest first. Then, if they are few
 * enough to be shown whole, all records of each are gathered, brought into their order and said;
 * of more letters one row each.
 */
#include "base/num.h"
#include "log/log.h"
#include "roles/store/reader_priv.h"
#include "roles/store/text.h"
#include "store/recorder.h"

#include <stdlib.h>
#include <string.h>

#define LETTERS_MAX 1000u  /* of one answer, unless less are asked for */
#define RECORDS_MAX 10000u /* of one letter */
#define RECORDS_OCTETS (32u << 20)
#define FIELD_MAX (1u << 20)    /* of a row, see ipc/msg.h */
#define SHORT_RCPTS 4096u       /* octets of them that a short row has */
#define FOLLOW_SLICE (8u << 20) /* octets of log */

/* A record that is kept; its payload is in the octets. */
struct kept {
	uint64_t time_ms, lsn;
	size_t off, len;
};

struct hit {
	uint64_t letter;
	bool known; /* kept is its first record */
	struct kept kept;
};

enum tracing_part { FIND, GATHER, FOLLOW };

struct tracing {
	enum tracing_part part;
	struct trace_query q;
	uint64_t whole, limit, follow;
	struct trace_search *search;
	struct hit *hits;
	size_t n_hits, cap_hits, at; /* at: the hit at hand */
	bool more;                   /* there are more than the limit */
	struct kept *kept;           /* of the letter at hand */
	size_t n_kept, cap_kept;
	struct buf octets; /* of all that is kept */
	size_t base;       /* so many are of the hits */
	struct job *job;
	size_t shown;
};

static const char *const kind_name[STORE_NOTE_KINDS] = {
	[STORE_NOTE_LETTER] = "letter",
	[STORE_NOTE_ATTEMPT] = "attempt",
	[STORE_NOTE_REPORT] = "report",
	[STORE_NOTE_QUEUE] = "queue",
	[STORE_NOTE_MAILBOX] = "mailbox",
};

/* --- rows --- */

static void
put_row(struct job *j, uint64_t id, const struct trace_payload *t, uint64_t lsn, bool whole)
{
	char letter[14], session[14], time[TEXT_NUM], at[TEXT_NUM];
	id_format(letter, id);
	id_format(session, t->session);
	const struct str row[] = {
		str_of(letter),
		str_of(session),
		text_u64(time, t->time_ms),
		str_of(!whole                       ? "brief"
		       : t->kind < STORE_NOTE_KINDS ? kind_name[t->kind]
						    : "letter"),
		t->qid,
		t->from,
		str_first(t->rcpts, whole ? FIELD_MAX : SHORT_RCPTS),
		t->message_id,
		t->peer,
		text_u64(at, lsn),
		whole ? str_first(t->history, FIELD_MAX) : STR(""),
	};
	desk_row(j->ask, row, ARRAY_LEN(row));
}

static struct kept
keep(struct tracing *t, const struct trace_found *f)
{
	struct kept k = { .time_ms = f->t.time_ms, .lsn = f->lsn, .off = t->octets.len };
	const struct store_note n = { .kind = f->t.kind,
		.letter = f->t.letter,
		.session = f->t.session,
		.time_ms = f->t.time_ms,
		.qid = f->t.qid,
		.from = f->t.from,
		.rcpts = f->t.rcpts,
		.message_id = f->t.message_id,
		.peer = f->t.peer,
		.octets = f->t.history };
	trace_payload_put_note(&t->octets, &n);
	k.len = t->octets.len - k.off;
	return k;
}

static bool
kept_get(const struct tracing *t, const struct kept *k, struct trace_payload *ret)
{
	return trace_payload_get(str_n(t->octets.p + k->off, k->len), ret);
}

/* --- finding --- */

struct adding {
	struct tracing *t;
	const struct trace_found *f;
};

static struct hit *
hit_of(struct tracing *t, uint64_t letter)
{
	for (size_t i = t->n_hits; i-- > 0;)
		if (t->hits[i].letter == letter)
			return &t->hits[i];
	if (t->n_hits == t->limit) {
		t->more = true;
		return NULL;
	}
	if (t->n_hits == t->cap_hits) {
		t->cap_hits = t->cap_hits ? t->cap_hits * 2 : 64;
		t->hits = xrealloc(t->hits, t->cap_hits * sizeof(*t->hits));
	}
	t->hits[t->n_hits] = (struct hit){ .letter = letter };
	return &t->hits[t->n_hits++];
}

static void
add_hit(void *arg, uint64_t letter)
{
	struct adding *a = arg;
	struct tracing *t = a->t;
	struct hit *h = hit_of(t, letter);
	if (!h || h->known || a->f->t.kind != STORE_NOTE_LETTER || letter != a->f->t.letter)
		return;
	struct trace_found one = *a->f;
	one.t.rcpts = str_first(one.t.rcpts, SHORT_RCPTS);
	one.t.history = STR_NULL;
	h->kept = keep(t, &one);
	h->known = true;
}

/* A mailbox event tells of many letters: when one of them is asked for, only of that. */
static bool
on_found(void *arg, const struct trace_found *f)
{
	struct tracing *t = arg;
	struct adding a = { t, f };
	uint64_t id;
	if (f->t.kind == STORE_NOTE_MAILBOX && id_parse(t->q.key, &id) && trace_is_about(&f->t, id))
		add_hit(&a, id);
	else
		trace_letters_each(&f->t, add_hit, &a);
	return !t->more;
}

static int
by_letter(const void *pa, const void *pb)
{
	const struct hit *a = pa, *b = pb;
	return (a->letter > b->letter) - (a->letter < b->letter);
}

/* --- all of a letter --- */

static bool
on_record(void *arg, const struct trace_found *f)
{
	struct tracing *t = arg;
	if (!trace_is_about(&f->t, t->hits[t->at].letter))
		return true;
	if (t->n_kept == RECORDS_MAX || t->octets.len > RECORDS_OCTETS)
		return false;
	if (t->n_kept == t->cap_kept) {
		t->cap_kept = t->cap_kept ? t->cap_kept * 2 : 16;
		t->kept = xrealloc(t->kept, t->cap_kept * sizeof(*t->kept));
	}
	struct kept k = keep(t, f);
	if (!t->octets.failed)
		t->kept[t->n_kept++] = k;
	return !t->octets.failed;
}

/* How it came stands first, whatever the clocks said. */
static int
by_time(const void *pa, const void *pb)
{
	const struct kept *a = pa, *b = pb;
	if (a->time_ms != b->time_ms)
		return a->time_ms < b->time_ms ? -1 : 1;
	return (a->lsn > b->lsn) - (a->lsn < b->lsn);
}

/* It came from the log and from a file, or was moved in the log. */
static bool
is_repeat(const struct tracing *t, size_t i)
{
	const struct kept *a = &t->kept[i];
	for (size_t k = i; k-- > 0 && t->kept[k].time_ms == a->time_ms;) {
		const struct kept *b = &t->kept[k];
		if (a->len == b->len &&
		    memcmp(t->octets.p + a->off, t->octets.p + b->off, a->len) == 0)
			return true;
	}
	return false;
}

static void
say_whole(struct tracing *t)
{
	struct trace_payload p;
	if (t->n_kept)
		qsort(t->kept, t->n_kept, sizeof(*t->kept), by_time);
	for (size_t i = 0; i < t->n_kept; i++)
		if (!is_repeat(t, i) && kept_get(t, &t->kept[i], &p))
			put_row(t->job, t->hits[t->at].letter, &p, t->kept[i].lsn, true);
	t->shown++;
}

static void
say_short(struct tracing *t)
{
	const struct hit *h = &t->hits[t->at];
	struct trace_payload p = { .time_ms = h->letter >> 22 };
	for (size_t i = 0; i < t->n_kept; i++) {
		struct trace_payload one;
		if (kept_get(t, &t->kept[i], &one) && one.kind == STORE_NOTE_LETTER)
			p = one;
	}
	if (h->known)
		(void)kept_get(t, &h->kept, &p);
	put_row(t->job, h->letter, &p, h->kept.lsn, false);
	t->shown++;
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
	struct tracing *t = xalloc(sizeof(*t));
	j->tracing = t;
	*t = (struct tracing){ .job = j, .octets = BUF_INIT(2 * RECORDS_OCTETS) };
	t->q = (struct trace_query){ .key = value_of(j, STR("key")),
		.from = value_of(j, STR("from")),
		.to = value_of(j, STR("to")),
		.peer = value_of(j, STR("peer")),
		.message_id = value_of(j, STR("message-id")),
		.since_ms = number_of(j, STR("since"), 0),
		.until_ms = number_of(j, STR("until"), 0) };
	t->limit = MIN(number_of(j, STR("limit"), LETTERS_MAX), (uint64_t)LETTERS_MAX);
	t->whole = number_of(j, STR("whole"), 1);
	t->follow = number_of(j, STR("follow"), UINT64_MAX);
	t->part = t->follow == UINT64_MAX ? FIND : FOLLOW;
	bool asks = trace_query_key(&t->q).len || t->q.since_ms || t->q.until_ms;
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
	if (t->n_hits == 0)
		return reader_job_end(j, CTL_NOT_FOUND, "there is no letter with %s%s",
		    t->q.key.len ? "the id or address "
				 : "that, or its history is not kept any more",
		    t->q.key.len ? j->arg[0] + strlen("key=") : "");
	if (t->more)
		return reader_job_end(j, CTL_OK,
		    "only the newest %zu letters are shown; ask for less, such as --since",
		    t->shown);
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
	if (t->n_hits)
		qsort(t->hits, t->n_hits, sizeof(*t->hits), by_letter);
	t->part = GATHER;
	t->base = t->octets.len;
	return t->n_hits ? JOB_MORE : end(j);
}

/* The search for what is known of the letter at hand. */
static int
look_closer(struct tracing *t)
{
	char id[14];
	id_format(id, t->hits[t->at].letter);
	const struct trace_query q = { .key = str_of(id) };
	int rc = trace_search_new(&t->search, t->job->reader->dir, &q);
	if (rc == 0)
		trace_search_letter(t->search, t->hits[t->at].letter);
	return rc;
}

static enum job_step
gather(struct job *j)
{
	struct tracing *t = j->tracing;
	bool whole = t->n_hits <= t->whole;
	int rc = 0;
	if (whole || !t->hits[t->at].known) {
		if (!t->search)
			rc = look_closer(t);
		if (rc == 0)
			rc = trace_search_step(t->search, on_record, t);
		if (rc == 1)
			return JOB_MORE;
		t->search = trace_search_free(t->search);
	}
	if (rc < 0)
		return failed(j, rc);
	if (whole)
		say_whole(t);
	else
		say_short(t);
	buf_trunc(&t->octets, t->base);
	t->octets.failed = false;
	t->n_kept = 0;
	return ++t->at < t->n_hits ? JOB_MORE : end(j);
}

static bool
on_live(void *arg, const struct trace_found *f)
{
	struct tracing *t = arg;
	if (trace_matches(&f->t, &t->q))
		put_row(t->job, f->t.letter, &f->t, f->lsn, true);
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
	char text[TEXT_NUM];
	struct str row[11] = { 0 };
	for (size_t i = 0; i < ARRAY_LEN(row); i++)
		row[i] = STR("");
	row[3] = STR("end");
	row[9] = text_u64(text, next);
	desk_row(j->ask, row, ARRAY_LEN(row));
	return reader_job_end(j, CTL_OK, "%s", "");
}

static enum job_step
step(struct job *j)
{
	switch (j->tracing->part) {
	case FIND:
		return find(j);
	case GATHER:
		return gather(j);
	case FOLLOW:
		return follow(j);
	}
	check(false);
}

static void
done(struct job *j)
{
	struct tracing *t = j->tracing;
	if (!t)
		return;
	trace_search_free(t->search);
	free(t->hits);
	free(t->kept);
	buf_done(&t->octets);
	free(t);
}

static const struct job_kind kind = { begin, step, done };

void
reader_op_trace(void *arg, struct desk_ask *a, const struct msg_ask *m)
{
	reader_job_new(arg, a, m, &kind);
}
