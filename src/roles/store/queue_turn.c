/* Queue runs that a client asks for (RFC 1985), and mail that is fetched over a connection which
 * has changed its direction (RFC 2645). */
#include "roles/store/queue_priv.h"

#include "base/check.h"
#include "log/log.h"
#include "sys/clock.h"

#include <stdlib.h>

#define TURN_JOBS_MAX 10000 /* of one turn; the rest waits for the next */
#define TURN_AT_ONCE 4

struct turn_entry {
	uint64_t letter;
	uint32_t part;
};

struct turn {
	struct list node; /* queue->turns */
	struct relay_peer *relay;
	uint64_t id;
	struct turn_entry *entry;
	size_t n, at, open;
};

/* --- ETRN --- */

bool
writer_etrn(struct front_peer *f, uint64_t id, struct str body)
{
	struct queue *q = f->role->queue;
	struct buf b = BUF_INIT(8);
	uint32_t n = UINT32_MAX;
	/* "#name" is a queue of the server's own naming: there is none. */
	if (!q->loaded) {
		n = MSG_COUNT_NOT_YET;
	} else if (body.len > 0 && body.p[0] != '#') {
		n = sched_flush(q->sched, body, (uint64_t)sys_wall_ms());
		queue_pump(q);
	}
	msg_u32_put(&b, n);
	writer_front_send(f, IPC_ETRN_DONE, id, buf_str(&b), -1);
	buf_done(&b);
	return true;
}

/* --- ATRN --- */

static struct turn *
turn_find(struct queue *q, const struct relay_peer *p, uint64_t id)
{
	list_each(n, &q->turns)
	{
		struct turn *t = list_entry(n, struct turn, node);
		if (t->relay == p && t->id == id)
			return t;
	}
	return NULL;
}

static void
turn_free(struct turn *t)
{
	list_del(&t->node);
	free(t->entry);
	free(t);
}

static bool
waits(const struct sched_entry *e)
{
	return !e->later &&
	       (e->state == SCHED_READY || e->state == SCHED_WAITS || e->state == SCHED_TURN);
}

static void
give_more(struct queue *q, struct turn *t)
{
	while (t->at < t->n && t->open < TURN_AT_ONCE) {
		const struct turn_entry *w = &t->entry[t->at++];
		struct sched_entry *e = sched_find(q->sched, w->letter, w->part);
		if (!e || !waits(e))
			continue;
		sched_given(q->sched, e, (uint64_t)sys_wall_ms());
		t->open += queue_give(q, e, t->id, t->relay);
	}
}

void
queue_turn_job_over(struct queue *q, const struct relay_peer *p, uint64_t id)
{
	struct turn *t = turn_find(q, p, id);
	if (!t || t->open == 0)
		return;
	t->open--;
	queue_pump(q); /* which gives the next one */
}

void
queue_turns_go_on(struct queue *q)
{
	list_each(n, &q->turns) give_more(q, list_entry(n, struct turn, node));
}

static int
by_letter(const void *pa, const void *pb)
{
	const struct turn_entry *a = pa, *b = pb;
	if (a->letter != b->letter)
		return a->letter < b->letter ? -1 : 1;
	return a->part < b->part ? -1 : a->part > b->part;
}

static void
gather(struct queue *q, struct turn *t, const struct msg_turn *m)
{
	struct wire w = wire_of(m->domains);
	struct sched_entry *e;
	struct sched_some some;
	size_t cap = 0;
	sched_some_begin(q->sched, &some);
	for (uint16_t i = 0; i < m->n; i++)
		sched_some_add(q->sched, &some, get_str(&w, 255));
	while (t->n < TURN_JOBS_MAX && sched_some_next(q->sched, &some, &e)) {
		if (!waits(e))
			continue;
		if (t->n == cap) {
			cap = cap ? 2 * cap : 64;
			t->entry = xrealloc(t->entry, cap * sizeof(*t->entry));
		}
		t->entry[t->n++] = (struct turn_entry){ e->letter, e->part };
	}
	sched_some_end(&some);
	if (t->n)
		qsort(t->entry, t->n, sizeof(*t->entry), by_letter);
}

bool
queue_turn_begin(struct relay_peer *p, uint64_t id, struct str body)
{
	struct queue *q = p->queue;
	struct buf b = BUF_INIT(8);
	struct msg_turn m;
	if (!msg_turn_get(body, &m) || id == 0 || turn_find(q, p, id))
		return false;
	struct turn *t = xalloc(sizeof(*t));
	*t = (struct turn){ .relay = p, .id = id };
	list_add_tail(&q->turns, &t->node);
	if (q->loaded)
		gather(q, t, &m);
	LOG(LOG_INFO, 0, "turn", LOGF("who", m.who), LOGN("letters", t->n));
	msg_u32_put(&b, q->loaded ? (uint32_t)t->n : MSG_COUNT_NOT_YET);
	queue_relay_send(p, IPC_TURN_COUNT, id, buf_str(&b));
	buf_done(&b);
	if (t->n == 0)
		turn_free(t);
	queue_pump(q);
	return true;
}

bool
queue_turn_end(struct relay_peer *p, uint64_t id)
{
	struct turn *t = turn_find(p->queue, p, id);
	if (t)
		turn_free(t);
	return true;
}

void
queue_turn_over(struct queue *q, const struct relay_peer *p)
{
	list_each(n, &q->turns)
	{
		struct turn *t = list_entry(n, struct turn, node);
		if (!p || t->relay == p)
			turn_free(t);
	}
}
