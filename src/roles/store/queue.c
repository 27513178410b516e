/* The life of the queue's host. */
#include "roles/store/queue_priv.h"

#include "base/check.h"
#include "log/log.h"
#include "queue/target.h"
#include "sys/clock.h"
#include "sys/file.h"
#include "sys/random.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define ID_ROLE 0x3feu /* in an id, where a front has its number */
#define ID_SEQ_MAX 0xfffu
#define STEPS_A_TURN 2000
#define WAKE_MOST_MS 3600000
#define UNWRITTEN_MS 1000
#define UNREADABLE_MS 60000

/* --- entries as they are stored --- */

struct held *
queue_held_new(uint64_t size, struct str value, struct str state)
{
	struct held *h = xalloc(sizeof(*h) + value.len + state.len);
	h->size = size;
	h->value = str_n(h->octets, value.len);
	memcpy(h->octets, value.p, value.len);
	if (state.p) {
		h->state = str_n(h->octets + value.len, state.len);
		if (state.len)
			memcpy(h->octets + value.len, state.p, state.len);
	}
	return h;
}

int
queue_snap(struct queue *q, struct store_snap **ret)
{
	const struct store_dom dom = store_dom_queue(0);
	int rc = 0;
	if (!q->snap)
		rc = store_snap_open(q->role->store, &dom, &q->snap, NULL);
	writer_check(rc);
	*ret = q->snap;
	queue_pump(q); /* which closes it */
	return rc;
}

int
queue_held_get(struct queue *q, uint64_t letter, uint32_t part, struct held **ret)
{
	unsigned char key[12];
	struct store_queued s;
	struct store_snap *sn;
	struct held *h = map_del(&q->fresh, part_key(key, letter, part));
	if (h) {
		q->fresh_octets -= sizeof(*h) + h->value.len;
		*ret = h;
		return 0;
	}
	bool older = q->snap;
	int rc = queue_snap(q, &sn);
	if (rc == 0)
		rc = store_queue_get(sn, letter, part, &s);
	if (rc == -ENOENT && older) { /* it may be of this moment */
		q->snap = store_snap_close(q->snap);
		return queue_held_get(q, letter, part, ret);
	}
	if (rc == 0)
		*ret = queue_held_new(s.size, s.value, s.state);
	return rc;
}

void
queue_unread(struct queue *q, struct sched_entry *e, int rc)
{
	uint64_t now = (uint64_t)sys_wall_ms();
	char id[14];
	if (rc == -ENOENT || rc == -EBADMSG) {
		if (rc == -EBADMSG)
			queue_say_damaged(e->letter, e->part, QUEUE_UNDECODED);
		sched_del(q->sched, e);
		return;
	}
	id_format(id, e->letter);
	LOG_OFTEN(LOG_ERROR, 0, "queue-unreadable", LOGZ("letter", id), LOGN("part", e->part),
	    LOGZ("error", strerror(-rc)), LOGZ("then", "tried again in a minute; see fsck"));
	sched_spare(q->sched, e, now + UNREADABLE_MS, now);
}

struct ending *
queue_begin(struct queue *q, struct sched_entry *e)
{
	struct held *h;
	int rc = queue_held_get(q, e->letter, e->part, &h);
	struct ending *x = rc == 0 ? ending_begin(q, e, h) : NULL;
	if (!x && rc == 0)
		sched_del(q->sched, e); /* damaged, and said so */
	else if (!x)
		queue_unread(q, e, rc);
	return x;
}

uint64_t
queue_next_id(struct queue *q)
{
	uint64_t ms = (uint64_t)sys_wall_ms();
	if (ms > q->id_ms) {
		q->id_ms = ms;
		q->id_seq = 0;
	} else if (++q->id_seq > ID_SEQ_MAX) {
		q->id_ms++;
		q->id_seq = 0;
	}
	return q->id_ms << 22 | (uint64_t)ID_ROLE << 12 | q->id_seq;
}

/* --- what is next --- */

static void
failed_here(struct queue *q, struct sched_entry *e, enum notify_event event, const char *status,
    struct str text)
{
	struct ending *x = queue_begin(q, e);
	if (!x)
		return;
	x->note_kind = STORE_NOTE_QUEUE;
	ending_fail_waiting(x, event, status, text);
	ending_submit(x);
}

static void
told_late(struct queue *q, struct sched_entry *e, enum sched_what what)
{
	struct ending *x = queue_begin(q, e);
	if (!x)
		return;
	bool gives_up = what == SCHED_BY && (x->entry.flags & ONWARD_BY_RETURN);
	x->note_kind = STORE_NOTE_QUEUE;
	if (gives_up) {
		ending_fail_waiting(x, NOTIFY_OVERDUE, "5.4.7",
		    STR("the time that the sender gave it is over"));
	} else {
		for (uint32_t i = 0; i < x->entry.n_rcpts; i++)
			if (x->row[i].state == RCPT_WAITS)
				x->row[i].event = what == SCHED_BY ? NOTIFY_LATE : NOTIFY_DELAYED;
		buf_putf(&x->note, "# it is late: %s\n",
		    what == SCHED_BY ? "the time that the sender gave it is over (RFC 2852)"
				     : "the sender is told, and it is tried on (queue.warn)");
	}
	if (what == SCHED_BY) {
		x->state.by_over = true;
		sched_by_over(e);
	} else {
		x->state.warned = 1;
		sched_warned(e, 1);
	}
	ending_submit(x);
}

/* An entry that no relay gets. */
static void
do_own(struct queue *q, struct sched_entry *e)
{
	struct sched_dest_view v;
	struct target t;
	sched_dest_of(q->sched, e, &v);
	if (target_parse(v.target, &t) && t.kind == TARGET_ERROR) {
		failed_here(q, e, NOTIFY_FAILED, t.status, t.text);
		return;
	}
	if (str_eq(v.target, STR("report:")))
		queue_report_only(q, e);
	else
		queue_deliver_here(q, e);
}

static bool
step(struct queue *q, uint64_t now)
{
	struct sched_entry *e;
	switch (sched_next(q->sched, now, &e)) {
	case SCHED_NOTHING:
		return false;
	case SCHED_JOB:
		queue_give(q, e, 0, NULL);
		return true;
	case SCHED_DO:
		do_own(q, e);
		return true;
	case SCHED_LATE:
		failed_here(q, e, NOTIFY_EXPIRED, "4.4.7",
		    STR("it was tried for as long as queue.lifetime says"));
		return true;
	case SCHED_WARN:
		told_late(q, e, SCHED_WARN);
		return true;
	case SCHED_BY:
		told_late(q, e, SCHED_BY);
		return true;
	}
	return false;
}

static void
tell_state(struct queue *q)
{
	struct store_role *r = q->role;
	struct store_stats st;
	store_stats(r->store, &st);
	if (st.queue_letters == r->state.queue_messages && st.queue_bytes == r->state.queue_bytes)
		return;
	r->state.queue_messages = st.queue_letters;
	r->state.queue_bytes = st.queue_bytes;
	for (size_t i = 0; i < FRONT_MAX; i++)
		writer_front_state(&r->front[i]);
}

/* One turn of the loop. */
static void
turn(void *arg)
{
	struct queue *q = arg;
	uint64_t now = (uint64_t)sys_wall_ms();
	bool more = false;
	if (q->closing)
		return;
	q->turning = true;
	if (!q->loaded) {
		queue_load(q);
	} else if (sys_mono_ms() >= q->calm_ms && q->n_unwritten == 0) {
		int i = 0;
		queue_wishes(q);
		do
			more = step(q, now);
		while (more && ++i < STEPS_A_TURN);
		queue_turns_go_on(q);
	}
	queue_batch_flush(q);
	q->snap = store_snap_close(q->snap);
	q->turning = false;
	if (!q->loaded)
		return;
	uint64_t wake = sched_wake(q->sched);
	int64_t in = more || wake <= now ? 0 : (int64_t)MIN(wake - now, (uint64_t)WAKE_MOST_MS);
	if (sys_mono_ms() < q->calm_ms)
		in = MAX(in, q->calm_ms - sys_mono_ms());
	if (q->n_unwritten)
		in = MAX(in, UNWRITTEN_MS);
	loop_timer_set(q->timer, in, 0);
}

void
queue_pump(struct queue *q)
{
	if (!q->turning && !q->closing)
		loop_defer_add(q->role->loop, &q->turn);
}

static void
on_timer(void *arg)
{
	queue_pump(arg);
}

/* --- from the outside --- */

static struct sched_rules
rules_of(const struct conf *c)
{
	return (struct sched_rules){ .lifetime_ms = c->queue_lifetime * 1000,
		.warn_ms = c->queue_warn * 1000,
		.retry_first_ms = c->queue_retry_first * 1000,
		.retry_most_ms = MAX(c->queue_retry_most, c->queue_retry_first) * 1000,
		.window_first = (uint32_t)c->queue_window_first,
		.window_most = (uint32_t)c->queue_window_most };
}

void
writer_queue_begin(struct store_role *r)
{
	struct queue *q = xalloc(sizeof(*q));
	struct sched_rules rules = rules_of(r->conf);
	*q = (struct queue){ .role = r,
		.last_lease = random_u64() << 32,
		.begun_ms = (uint64_t)sys_wall_ms(),
		/* Behind every letter there ever was: the clock may have been set back. */
		.id_ms = (r->state.last_letter >> 22) + 1 };
	r->queue = q;
	q->sched = sched_new(&rules, queue_way_of, q, random_u64());
	list_init(&q->lease_list);
	list_init(&q->letter_list);
	list_init(&q->stuck);
	list_init(&q->ops);
	list_init(&q->turns);
	for (uint16_t i = 0; i < RELAY_MAX; i++)
		q->relay[i] = (struct relay_peer){ .queue = q, .index = i, .fd = -1 };
	loop_defer_init(&q->turn, turn, q);
	q->timer = loop_timer_new(r->loop, on_timer, q);
	queue_pump(q);
}

void
writer_queue_conf(struct store_role *r)
{
	struct queue *q = r->queue;
	if (!q)
		return;
	struct sched_rules rules = rules_of(r->conf);
	sched_rules(q->sched, &rules);
	writer_queue_directory(r);
	queue_places(q);
}

/* Which domains are ours has changed. */
void
writer_queue_directory(struct store_role *r)
{
	struct queue *q = r->queue;
	if (!q)
		return;
	sched_retarget(q->sched, (uint64_t)sys_wall_ms());
	queue_pump(q);
}

uint64_t
writer_queue_entries(const struct store_role *r)
{
	struct sched_totals all = { 0 };
	if (r->queue)
		sched_totals(r->queue->sched, &all);
	return all.entries;
}

void
writer_queue_tick(struct store_role *r)
{
	struct queue *q = r->queue;
	queue_relays_tick(q);
	queue_letters_tick(q);
	queue_endings_retry(q);
	tell_state(q);
	queue_pump(q);
}

bool
writer_queue_idle(const struct store_role *r)
{
	return r->queue->n_ending == 0 && !queue_relay_here(r->queue);
}

void
writer_queue_ops_done(struct store_role *r)
{
	queue_ops_done(r->queue);
}

/* What is under way becomes durable, so no job is given any more. */
void
writer_queue_settle(struct store_role *r)
{
	struct queue *q = r->queue;
	queue_batch_flush(q);
	q->closing = true;
	q->snap = store_snap_close(q->snap);
}

void
writer_queue_done(struct store_role *r)
{
	struct queue *q = r->queue;
	size_t pos = 0;
	struct str key;
	void *v;
	if (!q)
		return;
	q->closing = true;
	q->snap = store_snap_close(q->snap);
	queue_turn_over(q, NULL);
	queue_jobs_done(q);
	queue_endings_done(q);
	queue_letters_done(q);
	while (map_next(&q->fresh, &pos, &key, &v))
		free(v);
	map_done(&q->fresh);
	loop_defer_del(&q->turn);
	loop_timer_free(q->timer);
	if (q->directory.p)
		memfd_unmap(q->directory);
	sched_free(q->sched);
	free(q);
	r->queue = NULL;
}
