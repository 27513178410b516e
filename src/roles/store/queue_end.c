/*
 * What an event makes of an entry, and how that becomes durable. All ends of one turn of the loop
 * share a batch. One that fails because an entry in it is gone is done again one by one.
 */
#include "roles/store/queue_priv.h"

#include "base/check.h"
#include "log/log.h"
#include "sys/clock.h"

#include <errno.h>
#include <stdlib.h>

#define STATE_TEXTS (96u << 10) /* of the texts of all recipients together */
#define STATE_MAX (200u << 10)
#define NOTE_RCPTS_MAX (32u << 10)
#define BATCH_ENDS_MAX 400
#define BATCH_OCTETS_MAX (1u << 20)

struct queue_batch {
	struct queue *queue;
	struct store_batch *batch;
	struct list ends;
	size_t n, octets;
};

/* --- beginning --- */

static void
rows_get(struct ending *x)
{
	struct wire w = wire_of(x->state.rcpts);
	struct queue_told t;
	for (uint32_t i = 0; i < x->state.n && i < x->entry.n_rcpts && queue_told_get(&w, &t); i++)
		x->row[i] =
		    (struct told){ t.state, t.event, x->row[i].tried, t.code, t.status, t.text };
}

struct ending *
ending_begin(struct queue *q, const struct sched_entry *e, struct held *held)
{
	struct ending *x = xalloc(sizeof(*x));
	*x = (struct ending){ .queue = q,
		.letter = e->letter,
		.part = e->part,
		.held = held,
		.octets = BUF_INIT(STATE_MAX),
		.note = BUF_INIT(STORE_NOTE_MAX),
		.note_kind = STORE_NOTE_QUEUE };
	list_init(&x->node);
	const char *damage = queue_stored_get(held->value, held->state, &x->entry, &x->state);
	if (damage) {
		queue_say_damaged(e->letter, e->part, damage);
		ending_drop(x);
		return NULL;
	}
	x->row = xalloc(x->entry.n_rcpts * sizeof(*x->row));
	rows_get(x);
	q->n_ending++;
	return x;
}

static void
set_unwritten(struct ending *x, bool unwritten)
{
	if (unwritten && !x->unwritten)
		x->queue->n_unwritten++;
	else if (!unwritten && x->unwritten)
		x->queue->n_unwritten--;
	x->unwritten = unwritten;
}

/* What was found out on the way is found out again. */
void
ending_wait(struct ending *x)
{
	rows_get(x);
	list_add_tail(&x->queue->stuck, &x->node);
}

/* Nothing comes of it. */
void
ending_drop(struct ending *x)
{
	list_del(&x->node);
	set_unwritten(x, false);
	if (x->row)
		x->queue->n_ending--;
	if (x->op)
		queue_op_changed(x->queue, x->op, x->rc);
	buf_done(&x->octets);
	buf_done(&x->note);
	free(x->row);
	free(x->held);
	free(x);
}

void
ending_fail_waiting(struct ending *x, enum notify_event event, const char *status, struct str text)
{
	struct wire w = wire_of(x->entry.rcpts);
	struct queue_rcpt r;
	for (uint32_t i = 0; i < x->entry.n_rcpts && queue_rcpt_get(&w, &r); i++) {
		struct told *t = &x->row[i];
		if (t->state != RCPT_WAITS)
			continue;
		t->state = RCPT_FAILED;
		t->event = (uint8_t)event;
		/* What the other server said last tells more than that the time is over. */
		if (event != NOTIFY_EXPIRED || t->text.len == 0) {
			t->code = 0;
			t->status = str_of(status);
			t->text = text;
		}
		buf_putf(&x->note, "# <" STR_FMT ">: given up: " STR_FMT "\n", STR_ARG(r.addr),
		    STR_ARG(text));
	}
}

/* --- the new state --- */

static uint32_t
waits_on(const struct ending *x)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < x->entry.n_rcpts; i++)
		n += x->row[i].state == RCPT_WAITS;
	return n;
}

bool
ending_has_events(const struct ending *x)
{
	for (uint32_t i = 0; i < x->entry.n_rcpts; i++)
		if (x->row[i].event != NOTIFY_NOTHING)
			return true;
	return false;
}

static void
forget_events(struct ending *x)
{
	for (uint32_t i = 0; i < x->entry.n_rcpts; i++)
		x->row[i].event = NOTIFY_NOTHING;
	x->state.report = 0;
}

/* What servers say is kept as far as all of it has room. */
static void
put_state(struct ending *x)
{
	size_t each = MIN((size_t)ENTRY_TEXT_MAX, STATE_TEXTS / x->entry.n_rcpts);
	struct buf list = BUF_INIT(STATE_MAX), whole = BUF_INIT(STATE_MAX);
	for (uint32_t i = 0; i < x->entry.n_rcpts; i++) {
		const struct told *t = &x->row[i];
		queue_told_put(&list, &(struct queue_told){ t->state, t->event, t->code,
					  str_first(t->status, 15), str_first(t->text, each) });
	}
	x->state.n = x->entry.n_rcpts;
	x->state.rcpts = buf_str(&list);
	x->state.reason = x->state.wish || x->state.held ? x->state.reason : STR_NULL;
	queue_state_put(&whole, &x->state);
	check(!list.failed && !whole.failed);
	buf_done(&x->octets);
	x->octets = whole;
	x->state.rcpts = STR_NULL;
	buf_done(&list);
}

/* The views that came with the event end with it: from here on they lead into octets. */
static void
settle_state(struct ending *x)
{
	put_state(x);
	check(queue_state_get(buf_str(&x->octets), &x->state));
	rows_get(x);
}

/* --- batches --- */

static void ended(struct ending *x, int rc);

static void
batch_done(void *arg, const struct store_res *res)
{
	struct queue_batch *b = arg;
	bool again = res->rc == -EAGAIN || res->rc == -E2BIG;
	struct queue *q = b->queue;
	/* One that was opened before shows what the entries were. */
	q->snap = store_snap_close(q->snap);
	writer_check(res->rc);
	list_each(n, &b->ends)
	{
		struct ending *x = list_entry(n, struct ending, node);
		list_del(&x->node);
		if (again && b->n > 1)
			ending_alone(x);
		else
			ended(x, res->rc);
	}
	free(b);
}

/* Whom it is about. */
static void
put_rcpts(struct buf *b, const struct ending *x)
{
	struct wire w = wire_of(x->entry.rcpts);
	struct queue_rcpt r;
	for (uint32_t i = 0; i < x->entry.n_rcpts && queue_rcpt_get(&w, &r); i++) {
		if (x->note_kind == STORE_NOTE_ATTEMPT && !x->row[i].tried)
			continue;
		size_t at = b->len;
		buf_putf(b, STR_FMT "\n", STR_ARG(r.addr));
		if (b->failed) {
			b->failed = false;
			buf_trunc(b, at);
			return;
		}
	}
}

static void
put_note(struct store_batch *b, const struct ending *x)
{
	struct buf rcpts = BUF_INIT(NOTE_RCPTS_MAX);
	if (x->note.len == 0)
		return;
	put_rcpts(&rcpts, x);
	struct store_note n = { .kind = x->note_kind,
		.letter = x->letter,
		.session = x->entry.session,
		.time_ms = (uint64_t)sys_wall_ms(),
		.qid = x->entry.qid,
		.from = x->entry.from,
		.rcpts = buf_str(&rcpts),
		.message_id = x->entry.message_id,
		.peer = x->state.mta,
		.octets = buf_str(&x->note) };
	store_note(b, &n);
	buf_done(&rcpts);
}

/* Of a wish; NULL: the attempt is over. */
static struct lease *
lease_of(const struct ending *x)
{
	return map_get(&x->queue->leases, id_key(&x->lease));
}

/* Of a wish that is tried again when the attempt is over there is only its history left to be
 * written: the result has taken it over, and what that says of the recipients must not be undone.
 */
static void
put_end(struct store_batch *b, const struct ending *x)
{
	put_note(b, x);
	if (x->phase == PHASE_WISH && !lease_of(x))
		return;
	if (x->del)
		store_queue_del(b, x->letter, x->part);
	else
		store_queue_state(b, x->letter, x->part, buf_str(&x->octets));
}

static struct queue_batch *
batch_new(struct queue *q)
{
	const struct store_dom dom = store_dom_queue(0);
	struct queue_batch *b = xalloc(sizeof(*b));
	*b = (struct queue_batch){ .queue = q, .batch = store_batch_new(q->role->store, &dom) };
	list_init(&b->ends);
	return b;
}

static void
batch_add(struct queue_batch *b, struct ending *x)
{
	put_end(b->batch, x);
	list_add_tail(&b->ends, &x->node);
	b->n++;
	b->octets += x->octets.len + x->note.len;
}

static void
batch_commit(struct queue_batch *b)
{
	struct store_batch *octets = b->batch;
	b->batch = NULL;
	store_commit(octets, STORE_DURABLE, batch_done, b);
}

void
ending_alone(struct ending *x)
{
	struct queue_batch *b = batch_new(x->queue);
	batch_add(b, x);
	batch_commit(b);
}

void
queue_batch_flush(struct queue *q)
{
	struct queue_batch *b = q->batch;
	q->batch = NULL;
	if (b)
		batch_commit(b);
}

static void
ending_write(struct ending *x)
{
	struct queue *q = x->queue;
	if (q->closing) {
		ending_alone(x);
		return;
	}
	if (!q->batch)
		q->batch = batch_new(q);
	batch_add(q->batch, x);
	if (q->batch->n >= BATCH_ENDS_MAX || q->batch->octets >= BATCH_OCTETS_MAX)
		queue_batch_flush(q);
	queue_pump(q);
}

/* --- what follows --- */

static void
confirm(struct ending *x)
{
	if (x->lease)
		queue_relay_send(&x->queue->relay[x->relay], IPC_JOB_TAKEN, x->lease, STR_NULL);
	x->lease = 0;
}

/* The entry as it is now, in the store and here. */
static void
over(struct ending *x)
{
	struct queue *q = x->queue;
	struct sched_entry *e = sched_find(q->sched, x->letter, x->part);
	confirm(x);
	if (e && x->del)
		sched_del(q->sched, e);
	else if (e)
		queue_put_back(q, e);
	ending_drop(x);
	queue_pump(q);
}

/* It was not written, which is said to whoever wished it: the lease goes on from the state before.
 */
static void
unwish(struct ending *x, struct lease *l, struct sched_entry *e)
{
	struct held *failed = l->held;
	struct queue_entry v;
	struct queue_state s;
	l->held = x->held;
	x->held = failed;
	const char *damage = queue_stored_get(l->held->value, l->held->state, &v, &s);
	check(!damage); /* it was begun from that */
	sched_wish(e, (enum sched_wish)s.wish);
}

/* The letter stays where it is. */
static void
wished(struct ending *x, int rc)
{
	struct queue *q = x->queue;
	struct lease *l = lease_of(x);
	struct sched_entry *e = sched_find(q->sched, x->letter, x->part);
	if (rc == -EAGAIN) /* delivered by now */
		rc = 0;
	if (l) {
		l->wishing = false;
		if (e && rc < 0)
			unwish(x, l, e);
		else if (e && e->wish)
			queue_cancel(q, e);
	}
	x->rc = rc;
	ending_drop(x);
}

static void
ended(struct ending *x, int rc)
{
	struct queue *q = x->queue;
	char id[14];
	if (x->phase == PHASE_WISH) {
		wished(x, rc);
		return;
	}
	id_format(id, x->letter);
	bool waited = q->n_unwritten > 0;
	set_unwritten(x, rc == -ENOSPC || rc == -EDQUOT);
	if (waited && q->n_unwritten == 0 && rc == 0)
		LOG_OFTEN(LOG_INFO, 0, "queue-written", LOGZ("then", "attempts go on"));
	if (rc == -EAGAIN) { /* it is not there any more */
		LOG(LOG_WARN, 0, "queue-entry-gone", LOGZ("letter", id), LOGN("part", x->part));
		x->del = true;
		over(x);
	} else if (rc < 0) {
		LOG_OFTEN(LOG_ERROR, 0, "queue-not-written", LOGZ("letter", id),
		    LOGN("part", x->part), LOGZ("error", strerror(-rc)),
		    LOGZ("then", "tried again every second"));
		list_add_tail(&q->stuck, &x->node);
	} else if (x->phase == PHASE_STATE && x->state.report) {
		confirm(x);
		report_begin(x);
	} else {
		over(x);
	}
}

void
ending_submit(struct ending *x)
{
	x->phase = PHASE_STATE;
	x->state.report = ending_has_events(x) ? queue_next_id(x->queue) : 0;
	settle_state(x);
	if (x->state.report && !report_is_due(x)) {
		forget_events(x);
		settle_state(x);
	}
	x->del = x->state.report == 0 && waits_on(x) == 0;
	ending_write(x);
}

/* It is brought somewhere under this id: that is written first. */
void
ending_claim(struct ending *x, uint64_t id)
{
	forget_events(x);
	x->phase = PHASE_STATE;
	x->state.report = id;
	settle_state(x);
	ending_write(x);
}

void
ending_commit(struct ending *x)
{
	forget_events(x);
	settle_state(x);
	x->phase = PHASE_END;
	x->del = waits_on(x) == 0;
	buf_reset(&x->note);
	ending_write(x);
}

void
ending_hold_damaged(struct ending *x)
{
	struct sched_entry *e = sched_find(x->queue->sched, x->letter, x->part);
	char id[14];
	id_format(id, x->letter);
	x->state.held = true;
	x->state.trouble = JOB_TROUBLE_DAMAGED;
	if (e)
		sched_hold(e, true);
	buf_putf(&x->note, "# held: the letter is damaged where it is stored\n");
	LOG(LOG_ERROR, 0, "letter-damaged", LOGZ("letter", id), LOGN("part", x->part),
	    LOGZ("then", "it is held; fsck tells what is wrong and what helps"));
}

void
ending_wish(struct ending *x, struct lease *l)
{
	x->phase = PHASE_WISH;
	x->lease = l->id;
	l->wishing = true;
	settle_state(x);
	free(l->held);
	l->held = queue_held_new(x->held->size, x->held->value, buf_str(&x->octets));
	ending_write(x);
}

void
queue_endings_retry(struct queue *q)
{
	struct list now = LIST_INIT(now);
	list_each(n, &q->stuck)
	{
		list_del(n);
		list_add_tail(&now, n);
	}
	list_each(n, &now)
	{
		struct ending *x = list_entry(n, struct ending, node);
		list_del(n);
		if (x->phase == PHASE_REPORT)
			report_begin(x);
		else
			ending_alone(x);
	}
}

void
queue_endings_done(struct queue *q)
{
	list_each(n, &q->stuck) ending_drop(list_entry(n, struct ending, node));
}
