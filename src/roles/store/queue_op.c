/*
 * The ops. Those that go through entries take a slice of them at a time, in the order of the store,
 * and pause while the asker does not read. Those that change entries are answered when all changes
 * are durable.
 */
#include "roles/store/queue_op.h"

#include "base/check.h"
#include "log/log.h"
#include "roles/store/change.h"
#include "roles/store/text.h"
#include "sys/clock.h"

#include <errno.h>
#include <stdlib.h>

#define SLICE 500
#define TARGETS_LIMIT 1000

enum act {
	ACT_LIST,
	ACT_COUNT,
	ACT_SHOW,
	ACT_WHY,
	ACT_RETRY,
	ACT_HOLD,
	ACT_RELEASE,
	ACT_BOUNCE,
	ACT_DELETE
};

struct queue_op {
	struct list node; /* queue->ops */
	struct queue *queue;
	uint64_t id;
	struct desk_ask *ask;
	struct queue_filter filter;
	enum act act;
	struct loop_timer *timer;
	uint64_t letter; /* where the next slice begins */
	uint32_t part;
	uint32_t n_slice;
	uint64_t n, limit; /* entries that fit */
	uint64_t rcpts, octets, letters, last_letter;
	size_t n_open; /* changes that are not durable yet */
	bool over;     /* all entries were looked at */
	struct found {
		uint64_t letter;
		uint32_t part;
	} found[SLICE]; /* of this slice, to be changed */
	size_t n_found;
};

static void
op_free(struct queue_op *o)
{
	list_del(&o->node);
	loop_timer_free(o->timer);
	queue_filter_done(&o->filter);
	free(o);
}

static void
op_done(struct queue_op *o)
{
	char number[4][TEXT_NUM];
	const struct str count[] = { text_u64(number[0], o->n), text_u64(number[1], o->letters),
		text_u64(number[2], o->rcpts), text_u64(number[3], o->octets) };
	if (o->act == ACT_COUNT)
		desk_row(o->ask, count, ARRAY_LEN(count));
	else if (o->act >= ACT_RETRY)
		desk_row(o->ask, count, 1);
	if ((o->act == ACT_SHOW || o->act == ACT_WHY) && o->n == 0)
		desk_done(o->ask, CTL_NOT_FOUND,
		    "nothing of that name is in the queue; see queue list, or trace for what has "
		    "left it");
	else
		desk_done(o->ask, CTL_OK, "%s", "");
	op_free(o);
}

static void
op_fail(struct queue_op *o, int rc)
{
	desk_done(o->ask, CTL_FAILED, "the queue cannot be read: %s", strerror(-rc));
	op_free(o);
}

/* --- changes --- */

static void
one_less(struct queue_op *o)
{
	o->n_open--;
	if (o->over && o->n_open == 0)
		op_done(o);
}

void
queue_op_changed(struct queue *q, uint64_t op)
{
	list_each(n, &q->ops)
	{
		struct queue_op *o = list_entry(n, struct queue_op, node);
		if (o->id == op) {
			one_less(o);
			return;
		}
	}
}

static struct ending *
take(struct queue *q, struct sched_entry *e)
{
	struct held *h;
	int rc = queue_held_get(q, e->letter, e->part, &h);
	if (rc < 0)
		return NULL;
	sched_busy(q->sched, e);
	struct ending *x = ending_begin(q, e, h);
	if (!x)
		queue_put_back(q, e);
	else
		x->note_kind = STORE_NOTE_QUEUE;
	return x;
}

static bool
hold(struct queue *q, struct sched_entry *e, bool held, const char *reason, struct queue_op *o)
{
	struct ending *x = take(q, e);
	if (!x)
		return false;
	sched_hold(e, held);
	if (!held)
		sched_due(e, (uint64_t)sys_wall_ms(), false);
	x->state.held = held;
	x->state.next_ms = held ? x->state.next_ms : (uint64_t)sys_wall_ms();
	x->op = o ? o->id : 0;
	buf_putf(&x->note, "# %s by an administrator%s%s\n", held ? "held" : "released",
	    reason ? ": " : "", reason ? reason : "");
	ending_submit(x);
	return true;
}

static bool
give_up(struct queue *q, struct sched_entry *e, bool tell, const char *reason, struct queue_op *o)
{
	struct ending *x = take(q, e);
	if (!x)
		return false;
	const char *text = reason ? reason
	                   : tell ? "an administrator of this server has given it back"
	                          : "deleted by an administrator";
	ending_fail_waiting(x, tell ? NOTIFY_FAILED : NOTIFY_NOTHING, "5.0.0", text);
	x->op = o ? o->id : 0;
	ending_submit(x);
	return true;
}

/* What was wanted of an entry while a relay had it. */
bool
queue_wish(struct queue *q, struct sched_entry *e, enum sched_wish wish)
{
	switch (wish) {
	case SCHED_WISH_NONE:
		return false;
	case SCHED_WISH_HOLD:
		return hold(q, e, true, NULL, NULL);
	case SCHED_WISH_BOUNCE:
		return give_up(q, e, true, NULL, NULL);
	case SCHED_WISH_DELETE:
		return give_up(q, e, false, NULL, NULL);
	}
	return false;
}

/* A relay is asked to give it up; what is wanted happens if it can. */
static bool
later(struct queue *q, struct sched_entry *e, enum act act)
{
	static const enum sched_wish wishes[] = { [ACT_HOLD] = SCHED_WISH_HOLD,
		[ACT_BOUNCE] = SCHED_WISH_BOUNCE,
		[ACT_DELETE] = SCHED_WISH_DELETE };
	if (act != ACT_HOLD && act != ACT_BOUNCE && act != ACT_DELETE)
		return false;
	sched_wish(e, wishes[act]);
	queue_cancel(q, e);
	return true;
}

static bool
change(struct queue_op *o, struct sched_entry *e)
{
	struct queue *q = o->queue;
	const char *reason = queue_filter_text(&o->filter, CRIT_REASON);
	uint64_t now = (uint64_t)sys_wall_ms();
	if (e->state == SCHED_ACTIVE)
		return later(q, e, o->act);
	if (e->state == SCHED_BUSY)
		return false;
	switch (o->act) {
	case ACT_RETRY:
		if (e->state != SCHED_READY && e->state != SCHED_WAITS)
			return false;
		sched_retry(q->sched, e, now);
		return true;
	case ACT_HOLD:
		o->n_open++;
		if (!e->held && hold(q, e, true, reason, o))
			return true;
		break;
	case ACT_RELEASE:
		o->n_open++;
		if ((e->held || e->later) && hold(q, e, false, reason, o))
			return true;
		break;
	case ACT_BOUNCE:
	case ACT_DELETE:
		o->n_open++;
		if (give_up(q, e, o->act == ACT_BOUNCE, reason, o))
			return true;
		break;
	case ACT_LIST:
	case ACT_COUNT:
	case ACT_SHOW:
	case ACT_WHY:
		return false;
	}
	o->n_open--;
	return false;
}

static void
change_found(struct queue_op *o)
{
	for (size_t i = 0; i < o->n_found; i++) {
		struct sched_entry *e =
		    sched_find(o->queue->sched, o->found[i].letter, o->found[i].part);
		o->n += e && change(o, e);
	}
	o->n_found = 0;
}

/* --- going through --- */

static void
fits(struct queue_op *o, const struct queue_item *it)
{
	struct queue *q = o->queue;
	if (o->act >= ACT_RETRY) {
		o->found[o->n_found++] = (struct found){ it->e->letter, it->e->part };
		return;
	}
	o->n++;
	if (o->act == ACT_COUNT) {
		o->rcpts += queue_waiting_rcpts(it);
		o->letters += o->last_letter != it->e->letter;
		o->octets += it->size;
		o->last_letter = it->e->letter;
	} else if (o->act == ACT_LIST) {
		queue_row_list(q, o->ask, it);
	} else {
		queue_row_show(q, o->ask, it, o->act == ACT_WHY);
	}
}

static bool
look(void *arg, const struct store_queued *s)
{
	struct queue_op *o = arg;
	struct queue_item it = { .size = s->size };
	o->letter = s->letter + (s->part == UINT32_MAX);
	o->part = s->part + 1;
	o->n_slice++;
	it.e = sched_find(o->queue->sched, s->letter, s->part);
	if (it.e && queue_filter_may_fit(o->queue, &o->filter, it.e) &&
	    queue_entry_get(s->value, &it.v) && (!s->state.p || queue_state_get(s->state, &it.s)) &&
	    queue_filter_fits(&o->filter, &it))
		fits(o, &it);
	return o->n + o->n_found < o->limit && o->n_found < SLICE && !desk_full(o->ask);
}

static void
go_on(void *arg)
{
	struct queue_op *o = arg;
	struct queue *q = o->queue;
	struct store_snap *sn;
	if (desk_gone(o->ask) && o->act < ACT_RETRY) {
		o->over = true;
	} else if (desk_full(o->ask)) {
		desk_on_room(o->ask, go_on, o);
		return;
	}
	o->n_slice = 0;
	int rc = o->over ? 0 : queue_snap(q, &sn);
	if (rc == 0 && !o->over)
		rc = store_queue_scan(sn, o->letter, o->part, SLICE, look, o);
	writer_check(rc);
	if (rc < 0) {
		op_fail(o, rc);
		return;
	}
	bool stopped = o->n + o->n_found >= o->limit;
	bool whole = o->n_slice == SLICE || o->n_found == SLICE || desk_full(o->ask);
	o->n_open++; /* so that no change ends it under our feet */
	change_found(o);
	o->over = o->over || stopped || !whole;
	if (!o->over)
		loop_timer_set(o->timer, 0, 0);
	one_less(o);
}

static void
op_new(struct queue *q, struct desk_ask *a, const struct msg_ask *m, enum act act)
{
	struct queue_op *o = xalloc(sizeof(*o));
	*o = (struct queue_op){ .queue = q, .id = ++q->last_op, .ask = a, .act = act };
	struct msg_ask id = { .n = 1 };
	struct buf word = BUF_INIT(1u << 20);
	bool one = act == ACT_SHOW || act == ACT_WHY;
	buf_putf(&word, "id=" STR_FMT, STR_ARG(m->arg[0]));
	id.arg[0] = buf_str(&word);
	bool good = queue_filter_get(&o->filter, one ? &id : m);
	buf_done(&word);
	if (!good || !q->loaded) {
		desk_done(a, good ? CTL_FAILED : CTL_INVALID, "%s",
		    good ? "the queue is still being read; try again in a moment"
			 : "malformed filter; are command and server of the same version?");
		queue_filter_done(&o->filter);
		free(o);
		return;
	}
	o->limit = act == ACT_LIST ? queue_filter_limit(&o->filter) : UINT64_MAX;
	o->timer = loop_timer_new(q->role->loop, go_on, o);
	list_add_tail(&q->ops, &o->node);
	go_on(o);
}

void
queue_ops_done(struct queue *q)
{
	list_each(n, &q->ops)
	{
		struct queue_op *o = list_entry(n, struct queue_op, node);
		desk_done(o->ask, CTL_FAILED, "the server stops; try again when it runs");
		op_free(o);
	}
}

/* --- the handlers --- */

#define OP(name, act)                                                                              \
	void writer_op_queue_##name(void *arg, struct desk_ask *a, const struct msg_ask *m)        \
	{                                                                                          \
		op_new(((struct store_role *)arg)->queue, a, m, act);                              \
	}
OP(list, ACT_LIST)
OP(count, ACT_COUNT)
OP(show, ACT_SHOW)
OP(why, ACT_WHY)
OP(retry, ACT_RETRY)
OP(hold, ACT_HOLD)
OP(release, ACT_RELEASE)
OP(bounce, ACT_BOUNCE)
OP(delete, ACT_DELETE)

void
writer_op_queue_flush(void *arg, struct desk_ask *a, const struct msg_ask *m)
{
	struct queue *q = ((struct store_role *)arg)->queue;
	char number[TEXT_NUM];
	uint32_t n = sched_flush(q->sched, m->n ? m->arg[0] : STR_NULL, (uint64_t)sys_wall_ms());
	const struct str row[] = { text_u64(number, n) };
	queue_pump(q);
	desk_row(a, row, 1);
	desk_done(a, CTL_OK, "%s", "");
}

static int
by_entries(const void *pa, const void *pb)
{
	const struct sched_dest_view *a = pa, *b = pb;
	return a->entries < b->entries ? 1 : a->entries > b->entries ? -1 : 0;
}

static bool
is_meant(const struct queue_filter *f, const struct sched_dest_view *v)
{
	struct str name = v->domain.len ? v->domain : v->target;
	if (!(f->has & 1u << CRIT_DOMAIN))
		return v->entries > 0 || v->backoff_until_ms > 0;
	for (size_t i = 0; i < f->n; i++)
		if (f->crit[i].key == CRIT_DOMAIN && sched_fits(str_of(f->crit[i].text), name))
			return true;
	return false;
}

void
writer_op_queue_targets(void *arg, struct desk_ask *a, const struct msg_ask *m)
{
	struct queue *q = ((struct store_role *)arg)->queue;
	struct queue_filter f;
	struct sched_dest_view v, *all = NULL;
	uint32_t pos = 0;
	size_t n = 0, cap = 0;
	if (!queue_filter_get(&f, m)) {
		desk_done(a, CTL_INVALID,
		    "malformed filter; are command and server of the same version?");
		return;
	}
	sched_survey(q->sched);
	while (sched_dest_each(q->sched, &pos, &v)) {
		if (!is_meant(&f, &v))
			continue;
		if (n == cap) {
			cap = cap ? 2 * cap : 64;
			all = xrealloc(all, cap * sizeof(*all));
		}
		all[n++] = v;
	}
	if (n)
		qsort(all, n, sizeof(*all), by_entries);
	uint64_t limit = MIN(queue_filter_limit(&f), (uint64_t)TARGETS_LIMIT);
	for (size_t i = 0; i < n && i < limit; i++)
		queue_row_target(a, &all[i], false, f.now_ms);
	free(all);
	queue_filter_done(&f);
	desk_done(a, CTL_OK, "%s", "");
}

void
writer_op_queue_totals(void *arg, struct desk_ask *a, const struct msg_ask *m)
{
	struct queue *q = ((struct store_role *)arg)->queue;
	struct sched_totals t;
	char room[11][TEXT_NUM];
	sched_totals(q->sched, &t);
	const uint64_t v[11] = { t.entries, t.in_state[SCHED_READY], t.in_state[SCHED_WAITS],
		t.in_state[SCHED_ACTIVE] + t.in_state[SCHED_BUSY], t.in_state[SCHED_HELD],
		t.in_state[SCHED_TURN], q->sent, q->later, q->refused, q->doubt, t.memory };
	struct str row[11];
	for (size_t i = 0; i < ARRAY_LEN(v); i++)
		row[i] = text_u64(room[i], v[i]);
	desk_row(a, row, ARRAY_LEN(row));
	desk_done(a, CTL_OK, "%s", "");
}
