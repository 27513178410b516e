#include "roles/store/trace_rows.h"

#include "base/num.h"
#include "log/log.h"
#include "roles/store/text.h"

#include <stdlib.h>
#include <string.h>

#define FIELD_MAX (1u << 20) /* of a row, see ipc/msg.h */
#define BRIEF_RCPTS 4096u    /* octets of them that a brief row has */
#define COLUMNS 11

/* --- kept --- */

/* Of the lines "account mailbox letter uid" those of one letter. */
static void
own_lines(struct buf *out, struct str lines, const char *letter)
{
	while (lines.p && lines.len) {
		struct str line = str_cut(&lines, '\n'), rest = line;
		(void)str_word(&rest);
		(void)str_word(&rest);
		if (!str_eq(str_word(&rest), str_of(letter)))
			continue;
		buf_puts(out, line);
		buf_putc(out, '\n');
	}
}

bool
keeper_add(struct keeper *k, uint64_t letter, const struct trace_found *f, bool brief)
{
	struct buf own = BUF_INIT(FIELD_MAX);
	struct str rcpts = f->t.rcpts;
	struct kept r = { .letter = letter,
		.lsn = f->lsn,
		.arrival = f->t.kind == STORE_NOTE_LETTER,
		.off = k->octets.len };
	if (f->t.kind == STORE_NOTE_MAILBOX) {
		char id[14];
		id_format(id, letter);
		own_lines(&own, rcpts, id);
		rcpts = buf_str(&own);
	}
	trace_payload_put_note(&k->octets,
	    &(struct store_note){ .kind = f->t.kind,
		.letter = f->t.letter,
		.session = f->t.session,
		.time_ms = f->t.time_ms,
		.qid = f->t.qid,
		.from = f->t.from,
		.rcpts = brief ? str_first(rcpts, BRIEF_RCPTS) : rcpts,
		.message_id = f->t.message_id,
		.peer = f->t.peer,
		.octets = brief ? STR_NULL : f->t.history });
	buf_done(&own);
	if (k->octets.failed) {
		buf_trunc(&k->octets, r.off);
		k->octets.failed = false;
		return false;
	}
	r.len = k->octets.len - r.off;
	if (k->n == k->cap) {
		k->cap = k->cap ? k->cap * 2 : 64;
		k->p = xrealloc(k->p, k->cap * sizeof(*k->p));
	}
	k->p[k->n++] = r;
	return true;
}

void
keeper_reset(struct keeper *k)
{
	k->n = 0;
	buf_reset(&k->octets);
}

void
keeper_done(struct keeper *k)
{
	free(k->p);
	buf_done(&k->octets);
	*k = (struct keeper){ 0 };
}

static int
in_order(const void *pa, const void *pb)
{
	const struct kept *a = pa, *b = pb;
	if (a->letter != b->letter)
		return a->letter < b->letter ? -1 : 1;
	if (a->arrival != b->arrival)
		return a->arrival ? -1 : 1;
	return (a->lsn > b->lsn) - (a->lsn < b->lsn);
}

/* It came from the log and from a file, or was moved in the log. */
static bool
is_repeat(const struct keeper *k, const struct kept *a, const struct kept *b)
{
	return a->letter == b->letter &&
	       (a->lsn == b->lsn ||
		   (a->arrival && b->arrival && a->len == b->len &&
		       memcmp(k->octets.p + a->off, k->octets.p + b->off, a->len) == 0));
}

void
keeper_sort(struct keeper *k)
{
	size_t n = 0;
	if (k->n)
		qsort(k->p, k->n, sizeof(*k->p), in_order);
	for (size_t i = 0; i < k->n; i++)
		if (n == 0 || !is_repeat(k, &k->p[n - 1], &k->p[i]))
			k->p[n++] = k->p[i];
	k->n = n;
}

bool
kept_get(const struct keeper *k, const struct kept *r, struct trace_payload *ret)
{
	return trace_payload_get(str_n(k->octets.p + r->off, r->len), ret);
}

const struct kept *
keeper_first(const struct keeper *k, uint64_t letter)
{
	size_t from = 0, to = k->n;
	while (from < to) {
		size_t mid = from + (to - from) / 2;
		if (k->p[mid].letter < letter)
			from = mid + 1;
		else
			to = mid;
	}
	return from < k->n && k->p[from].letter == letter ? &k->p[from] : NULL;
}

/* --- answered --- */

static const char *const kind_name[STORE_NOTE_KINDS] = {
	[STORE_NOTE_LETTER] = "letter",
	[STORE_NOTE_ATTEMPT] = "attempt",
	[STORE_NOTE_REPORT] = "report",
	[STORE_NOTE_QUEUE] = "queue",
	[STORE_NOTE_MAILBOX] = "mailbox",
};

void
trace_row_put(struct job *j, uint64_t id, const struct trace_payload *t, uint64_t lsn, bool brief)
{
	char letter[14], session[14], time[TEXT_NUM], at[TEXT_NUM];
	id_format(letter, id);
	id_format(session, t->session);
	const struct str row[COLUMNS] = { str_of(letter), str_of(session),
		text_u64(time, t->time_ms), str_of(brief ? "brief" : kind_name[t->kind]), t->qid,
		t->from, str_first(t->rcpts, FIELD_MAX), t->message_id, t->peer, text_u64(at, lsn),
		str_first(t->history, FIELD_MAX) };
	desk_row(j->ask, row, COLUMNS);
}

void
trace_rows_put_event(struct job *j, const struct trace_payload *t, uint64_t lsn, uint64_t only)
{
	struct trace_payload one = *t;
	uint64_t id;
	for (struct str lines = t->rcpts; lines.p && lines.len;) {
		struct str rest = one.rcpts = str_cut(&lines, '\n');
		(void)str_word(&rest);
		(void)str_word(&rest);
		if (id_parse(str_word(&rest), &id) && (only == 0 || id == only))
			trace_row_put(j, id, &one, lsn, false);
	}
}

void
trace_row_end(struct job *j, uint64_t lsn)
{
	char text[TEXT_NUM];
	struct str row[COLUMNS];
	for (size_t i = 0; i < COLUMNS; i++)
		row[i] = STR("");
	row[3] = STR("end");
	row[9] = text_u64(text, lsn);
	desk_row(j->ask, row, COLUMNS);
}
