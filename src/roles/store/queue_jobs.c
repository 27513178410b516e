/* Relays: what they are given, and what they say of it. */
#include "roles/store/queue_priv.h"

#include "base/check.h"
#include "log/log.h"
#include "sys/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CALM_MOST_MS 5000
#define STOOD_STILL_MS 15000 /* between two looks at leases, which are a second or so apart */
#define SPREAD_FROM 8        /* connections: a destination with so many is brought by all relays */

/* --- leases --- */

static struct lease *
lease_new(struct queue *q, uint64_t id, uint64_t letter, uint32_t part)
{
	struct lease *l = xalloc(sizeof(*l));
	*l = (struct lease){ .id = id,
		.letter = letter,
		.part = part,
		.heard_ms = sys_mono_ms(),
		.given_ms = (uint64_t)sys_wall_ms(),
		.result = BUF_INIT(IPC_BODY_MAX) };
	map_put(&q->leases, id_key(&id), l);
	list_add_tail(&q->lease_list, &l->node);
	return l;
}

static void
lease_bind(struct lease *l, struct relay_peer *p)
{
	l->relay = p;
	l->relay_index = p->index;
	p->n_jobs++;
}

void
queue_lease_free(struct queue *q, struct lease *l)
{
	if (l->relay) {
		l->relay->n_jobs--;
		if (l->turn)
			queue_turn_job_over(q, l->relay, l->turn);
	}
	map_del(&q->leases, id_key(&l->id));
	list_del(&l->node);
	free(l->where);
	free(l->held);
	buf_done(&l->result);
	free(l);
}

/* Heard of just now: the list stays in that order. */
void
queue_lease_heard(struct queue *q, struct lease *l)
{
	l->heard_ms = sys_mono_ms();
	list_del(&l->node);
	list_add_tail(&q->lease_list, &l->node);
}

struct lease *
queue_lease_of(struct queue *q, uint64_t letter, uint32_t part)
{
	list_each(n, &q->lease_list)
	{
		struct lease *l = list_entry(n, struct lease, node);
		if (l->letter == letter && l->part == part)
			return l;
	}
	return NULL;
}

/* It comes back untouched. */
void
queue_lease_over(struct queue *q, struct lease *l)
{
	static const struct sched_end nothing = { .retry = true };
	uint64_t now = (uint64_t)sys_wall_ms();
	struct sched_entry *e = sched_find(q->sched, l->letter, l->part);
	if (e && e->state == SCHED_ACTIVE) {
		sched_ended(q->sched, e, &nothing, now);
		queue_put_back(q, e);
	}
	queue_lease_free(q, l);
	queue_pump(q);
}

/* It comes back from a relay that is gone. Was its end mark on the way? Nobody knows: it is tried
 * again, and may arrive twice (RFC 1047). */
static void
lease_lost(struct queue *q, struct lease *l)
{
	struct sched_entry *e = sched_find(q->sched, l->letter, l->part);
	if (e && l->stage >= JOB_TALKING) {
		char id[14];
		id_format(id, l->letter);
		q->doubt += e->n_rcpts;
		LOG(LOG_WARN, 0, "lease-lost", LOGZ("letter", id), LOGN("part", l->part),
		    LOGZ("where", l->where ? l->where : ""),
		    LOGZ("then", "tried again; it may arrive twice"));
	}
	queue_lease_over(q, l);
}

/* --- giving --- */

void
queue_relay_send(struct relay_peer *p, uint16_t type, uint64_t id, struct str body)
{
	if (p->chan)
		chan_send(p->chan, type, id, body, -1);
}

bool
queue_relay_here(const struct queue *q)
{
	for (size_t i = 0; i < RELAY_MAX; i++)
		if (q->relay[i].chan || (q->relay[i].fd >= 0 && q->load_rc == 0))
			return true;
	return false;
}

void
queue_places(struct queue *q)
{
	uint64_t n = 0;
	for (size_t i = 0; i < RELAY_MAX; i++)
		if (q->relay[i].chan && q->relay[i].hello)
			n += q->role->conf->queue_jobs;
	sched_places(q->sched, (uint32_t)MIN(n, (uint64_t)LEASES_MAX));
	queue_pump(q);
}

/* The relay that has the destination's connections; where there are many, each relay in turn. */
static struct relay_peer *
relay_for(struct queue *q, const struct sched_entry *e, uint32_t *window)
{
	struct relay_peer *here[RELAY_MAX];
	uint32_t n = 0, most = (uint32_t)q->role->conf->queue_jobs;
	for (size_t i = 0; i < RELAY_MAX; i++)
		if (q->relay[i].chan && q->relay[i].hello)
			here[n++] = &q->relay[i];
	if (n == 0)
		return NULL;
	uint32_t at = e->dest % n;
	if (*window >= SPREAD_FROM && n > 1) {
		at = q->next_relay++ % n;
		*window = (*window + n - 1) / n;
	}
	for (uint32_t i = 0; i < n; i++)
		if (here[(at + i) % n]->n_jobs < most)
			return here[(at + i) % n];
	return here[at];
}

static void
put_job(struct buf *b, struct queue *q, const struct sched_entry *e, const struct lease *l,
    uint32_t window, struct str qid)
{
	struct sched_dest_view v;
	char text[512 + 4];
	struct str target;
	sched_dest_of(q->sched, e, &v);
	target = v.target;
	if (l->turn) {
		target = STR("turn:");
	} else if (!target.len) {
		snprintf(text, sizeof(text), "mx:" STR_FMT, STR_ARG(v.domain));
		target = str_of(text);
	}
	const struct msg_job m = { .letter = l->letter,
		.part = l->part,
		.size = l->held->size,
		.window = (uint16_t)MIN(window, UINT16_MAX),
		.qid = str_first(qid, 128),
		.target = target,
		.turn = l->turn,
		.given_ms = (uint64_t)l->heard_ms,
		.entry = l->held->value,
		.state = l->held->state };
	msg_job_put(b, &m);
}

static void
not_given(struct queue *q, struct sched_entry *e, int rc)
{
	static const struct sched_end nothing = { .retry = true };
	sched_ended(q->sched, e, &nothing, (uint64_t)sys_wall_ms());
	queue_unread(q, e, rc);
}

/* It does not fit into a message, which its caps rule out. */
static void
not_put(struct queue *q, struct lease *l)
{
	l->turn = 0;
	queue_lease_over(q, l);
}

bool
queue_give(struct queue *q, struct sched_entry *e, uint64_t turn, struct relay_peer *to)
{
	uint32_t window = sched_window_of(q->sched, e);
	struct relay_peer *p = to ? to : relay_for(q, e, &window);
	struct queue_entry v;
	struct queue_state s;
	struct held *h = NULL;
	int rc = p ? queue_held_get(q, e->letter, e->part, &h) : -EAGAIN;
	/* Whoever has it already is known from its state only. */
	if (rc == 0 && queue_stored_get(h->value, h->state, &v, &s))
		rc = -EBADMSG;
	if (rc < 0) {
		free(h);
		not_given(q, e, rc);
		return false;
	}
	struct lease *l = lease_new(q, ++q->last_lease, e->letter, e->part);
	struct buf b = BUF_INIT(2 * JOB_ENTRY_MAX + 4096);
	l->held = h;
	l->turn = turn;
	lease_bind(l, p);
	put_job(&b, q, e, l, window, v.qid);
	bool given = !b.failed;
	if (given) {
		queue_letter_send(q, p, l);
		queue_relay_send(p, IPC_JOB, l->id, buf_str(&b));
	} else {
		not_put(q, l);
	}
	buf_done(&b);
	return given;
}

void
queue_cancel(struct queue *q, const struct sched_entry *e)
{
	struct lease *l = queue_lease_of(q, e->letter, e->part);
	if (l && l->relay && !l->cancelled) {
		l->cancelled = true;
		queue_relay_send(l->relay, IPC_JOB_CANCEL, l->id, STR_NULL);
	}
}

static bool
on_stage(struct relay_peer *p, const struct ipc_frame *frame)
{
	struct queue *q = p->queue;
	struct msg_stage m;
	struct lease *l = map_get(&q->leases, id_key(&frame->id));
	if (!msg_stage_get(frame->body, &m))
		return false;
	if (!l || l->relay != p)
		return true;
	queue_lease_heard(q, l);
	l->stage = m.stage;
	free(l->where);
	l->where = m.where.len ? str_dup(m.where) : NULL;
	return true;
}

/* --- a relay comes and goes --- */

/* A lease of an earlier life of ours, whose result follows: nobody else gets the entry meanwhile.
 */
static void
adopt(struct relay_peer *p, const struct msg_lease *m)
{
	struct queue *q = p->queue;
	struct lease *l = map_get(&q->leases, id_key(&m->lease));
	struct sched_entry *e = sched_find(q->sched, m->letter, m->part);
	if (l && !l->relay) {
		lease_bind(l, p);
		queue_lease_heard(q, l);
	} else if (!l && e && e->state != SCHED_ACTIVE && e->state != SCHED_BUSY) {
		sched_given(q->sched, e, (uint64_t)sys_wall_ms());
		lease_bind(lease_new(q, m->lease, m->letter, m->part), p);
	}
}

/* What this relay had and does not name: it never got it, or it died with it. */
static void
give_up_orphans(struct queue *q, uint16_t index)
{
	list_each(n, &q->lease_list)
	{
		struct lease *l = list_entry(n, struct lease, node);
		if (!l->relay && l->relay_index == index)
			lease_lost(q, l);
	}
}

/* Then all old leases are known. */
static void
have_all_said_hello(struct queue *q, uint16_t relays)
{
	unsigned n = 0;
	for (size_t i = 0; i < RELAY_MAX; i++)
		n += q->relay[i].hello;
	if (n >= relays)
		q->calm_ms = 0;
}

static bool
on_hello(struct relay_peer *p, const struct ipc_frame *frame)
{
	struct queue *q = p->queue;
	struct msg_hello m;
	struct msg_lease lease;
	if (p->hello || !msg_hello_get(frame->body, &m))
		return false;
	struct wire w = wire_of(m.leases);
	for (uint16_t i = 0; i < m.n && msg_lease_get(&w, &lease); i++)
		adopt(p, &lease);
	p->hello = true;
	give_up_orphans(q, p->index);
	have_all_said_hello(q, m.relays);
	queue_places(q);
	return true;
}

static bool
on_turn_jobs(struct relay_peer *p, const struct ipc_frame *frame)
{
	return queue_turn_begin(p, frame->id, frame->body);
}

static bool
on_turn_end(struct relay_peer *p, const struct ipc_frame *frame)
{
	return frame->body.len == 0 && queue_turn_end(p, frame->id);
}

static const struct {
	enum ipc_type type;
	bool (*handle)(struct relay_peer *p, const struct ipc_frame *m); /* false: a breach */
} from_relay[] = {
	{ IPC_JOB_RESULT, queue_result },
	{ IPC_JOB_STAGE, on_stage },
	{ IPC_RELAY_HELLO, on_hello },
	{ IPC_TURN_JOBS, on_turn_jobs },
	{ IPC_TURN_END, on_turn_end },
};

/* Its leases stay until it is back, or until they are over: it may have sent an end mark. */
static void
relay_close(struct relay_peer *p, const char *why)
{
	struct queue *q = p->queue;
	if (!p->chan)
		return;
	LOG(why ? LOG_WARN : LOG_DEBUG, 0, "relay-away", LOGN("relay", p->index),
	    LOGZ("why", why ? why : "closed"), LOGN("jobs", p->n_jobs));
	p->chan = chan_free(p->chan);
	p->hello = false;
	list_each(n, &q->lease_list)
	{
		struct lease *l = list_entry(n, struct lease, node);
		if (l->relay == p)
			l->relay = NULL;
	}
	p->n_jobs = 0;
	queue_turn_over(q, p);
	queue_places(q);
}

static void
relay_frame(void *arg, struct chan *c, const struct ipc_frame *m)
{
	struct relay_peer *p = arg;
	bool ok = false;
	if (m->fd >= 0)
		close(m->fd);
	else
		for (size_t i = 0; i < ARRAY_LEN(from_relay); i++)
			if (from_relay[i].type == m->type)
				ok = (p->hello || m->type == IPC_RELAY_HELLO) &&
				     from_relay[i].handle(p, m);
	if (!ok)
		relay_close(p, "malformed message");
}

static void
relay_gone(void *arg, struct chan *c, const char *why)
{
	relay_close(arg, why);
}

static const struct chan_handler relay_handler = { relay_frame, relay_gone, NULL };

static void
relay_open(struct relay_peer *p)
{
	p->chan = chan_new(p->queue->role->loop, p->fd, &relay_handler, p);
	p->fd = -1;
	if (!p->chan)
		LOG(LOG_ERROR, 0, "relay-refused", LOGN("relay", p->index),
		    LOGZ("error", strerror(errno)));
}

/* What it says is about entries; until they are known, for as long as they cannot be read, it is
 * not listened to: a result would be nobody's, and its letter given to another. */
void
writer_relay_connect(struct store_role *r, uint16_t index, int fd)
{
	struct relay_peer *p = &r->queue->relay[index];
	relay_close(p, NULL);
	if (p->fd >= 0)
		close(p->fd);
	p->fd = fd;
	if (r->queue->loaded)
		relay_open(p);
}

void
queue_relays_begin(struct queue *q)
{
	for (size_t i = 0; i < RELAY_MAX; i++)
		if (q->relay[i].fd >= 0)
			relay_open(&q->relay[i]);
	q->calm_ms = sys_mono_ms() + CALM_MOST_MS;
}

/* --- time --- */

void
queue_relays_tick(struct queue *q)
{
	int64_t now = sys_mono_ms(), still = now - q->ticked_ms;
	q->ticked_ms = now;
	queue_results_again(q);
	/* After this process stood still, what relays have said meanwhile is read first. */
	if (still > STOOD_STILL_MS)
		return;
	while (!list_empty(&q->lease_list)) {
		struct lease *l = list_entry(q->lease_list.next, struct lease, node);
		if (now - l->heard_ms < JOB_LEASE_MS)
			return;
		if (l->relay) /* it may act on nothing of ours any more */
			relay_close(l->relay, "a lease is over and nothing was heard of it");
		else
			lease_lost(q, l);
	}
}

void
queue_jobs_done(struct queue *q)
{
	for (size_t i = 0; i < RELAY_MAX; i++) {
		struct relay_peer *p = &q->relay[i];
		p->chan = chan_free(p->chan);
		if (p->fd >= 0)
			close(p->fd);
	}
	list_each(n, &q->lease_list)
	{
		struct lease *l = list_entry(n, struct lease, node);
		l->relay = NULL;
		queue_lease_free(q, l);
	}
	map_done(&q->leases);
}
