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
#define BUSY_MS 20
#define PATIENCE_MS 10000
#define TARGETS_LIMIT 1000
#define CHANGES_OPEN 5000 /* that are not durable yet: each takes memory */

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
	uint64_t n_acted[ACTED_COUNT]; /* of those to be changed */
	size_t n_open;                 /* changes that are not durable yet */
	bool over;                     /* all entries were looked at */
	struct found {
		uint64_t letter;
		uint32_t part;
		bool damaged;
	} found[SLICE]; /* of this slice, to be changed */
	size_t n_found;
	int64_t patience_ms; /* until then those that are busy are waited for; 0: none is */
	int rc;              /* of a change that failed */
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
	static const enum acted left_out[] = { ACTED_ROUTE, ACTED_ENDING, ACTED_HELD, ACTED_LATER,
		ACTED_TURN, ACTED_ALREADY, ACTED_DAMAGED };
	char number[4][TEXT_NUM], room[1 + ARRAY_LEN(left_out)][TEXT_NUM];
	struct str changed[2 + ARRAY_LEN(left_out)];
	const struct str count[] = { text_u64(number[0], o->n), text_u64(number[1], o->letters),
		text_u64(number[2], o->rcpts), text_u64(number[3], o->octets) };
	changed[0] = count[0];
	changed[1] = text_u64(room[0], o->n_acted[ACTED_TRYING] + o->n_acted[ACTED_WISHED]);
	for (size_t i = 0; i < ARRAY_LEN(left_out); i++)
		changed[2 + i] = text_u64(room[1 + i], o->n_acted[left_out[i]]);
	if (o->act == ACT_COUNT)
		desk_row(o->ask, count, ARRAY_LEN(count));
	else if (o->act >= ACT_RETRY)
		desk_row(o->ask, changed, ARRAY_LEN(changed));
	if (o->rc < 0)
		desk_done(o->ask, CTL_FAILED, "not all of it could be done: %s; try again",
		    strerror(-o->rc));
	else if ((o->act == ACT_SHOW || o->act == ACT_WHY) && o->n == 0)
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
	if (o->over && o->n_open == 0 && o->n_found == 0)
		op_done(o);
}

void
queue_op_changed(struct queue *q, uint64_t op, int rc)
{
	list_each(n, &q->ops)
	{
		struct queue_op *o = list_entry(n, struct queue_op, node);
		if (o->id == op) {
			o->rc = rc < 0 ? rc : o->rc;
			one_less(o);
			return;
		}
	}
}

static enum acted
change_one(struct queue_op *o, const struct found *f)
{
	struct queue *q = o->queue;
	const char *reason = queue_filter_text(&o->filter, CRIT_REASON);
	struct sched_entry *e = sched_find(q->sched, f->letter, f->part);
	if (!f->damaged)
		return e ? queue_change(q, e, o->act, str_of(reason ? reason : ""), o->id)
		         : ACTED_NONE;
	if (o->act != ACT_DELETE)
		return ACTED_DAMAGED;
	queue_remove_damaged(q, f->letter, f->part, o->id);
	return ACTED_WRITTEN;
}

/* Those that are being written are waited for, which takes as long as a sync; on a full disk
 * longer. */
static void
change_found(struct queue_op *o)
{
	int64_t now = sys_mono_ms();
	size_t busy = 0;
	for (size_t i = 0; i < o->n_found; i++) {
		enum acted c = change_one(o, &o->found[i]);
		o->n += c == ACTED_DONE || c == ACTED_WRITTEN;
		o->n_acted[c]++;
		o->n_open += c == ACTED_WRITTEN || c == ACTED_WISHED;
		if (c == ACTED_BUSY)
			o->found[busy++] = o->found[i];
	}
	if (busy == 0)
		o->patience_ms = 0;
	else if (o->patience_ms == 0)
		o->patience_ms = now + PATIENCE_MS;
	else if (now > o->patience_ms) {
		o->rc = -EBUSY;
		busy = 0;
	}
	o->n_found = busy;
}

/* --- going through --- */

static void
fits(struct queue_op *o, const struct queue_item *it)
{
	struct queue *q = o->queue;
	if (o->act >= ACT_RETRY) {
		o->found[o->n_found++] = (struct found){ it->letter, it->part, it->damage != NULL };
		return;
	}
	o->n++;
	if (o->act == ACT_COUNT) {
		o->rcpts += queue_waiting_rcpts(it);
		o->letters += o->last_letter != it->letter;
		o->octets += it->size;
		o->last_letter = it->letter;
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
	struct queue_item it = { .letter = s->letter, .part = s->part, .size = s->size };
	o->letter = s->letter + (s->part == UINT32_MAX);
	o->part = s->part + 1;
	o->n_slice++;
	it.e = sched_find(o->queue->sched, s->letter, s->part);
	it.damage =
	    s->damaged ? QUEUE_UNDECODED : queue_stored_get(s->value, s->state, &it.v, &it.s);
	if ((it.damage || (it.e && queue_filter_may_fit(o->queue, &o->filter, it.e))) &&
	    queue_filter_fits(&o->filter, &it))
		fits(o, &it);
	return o->n + o->n_found < o->limit && o->n_found < SLICE && !desk_full(o->ask);
}

/* The next slice is looked at; 0 or -errno. */
static int
look_on(struct queue_op *o)
{
	const struct store_dom dom = store_dom_queue(0);
	struct store_snap *sn, *old = NULL;
	o->n_slice = 0;
	int rc = queue_snap(o->queue, &sn);
	/* On a full disk it is shown as it was a moment ago. */
	if (rc == -ENOSPC && o->act < ACT_RETRY) {
		rc = store_snap_open_applied(o->queue->role->store, &dom, &old, NULL);
		sn = old;
	}
	if (rc == 0)
		rc = store_queue_scan(sn, o->letter, o->part, SLICE, look, o);
	store_snap_close(old);
	writer_check(rc);
	bool stopped = o->n + o->n_found >= o->limit;
	bool whole = o->n_slice == SLICE || o->n_found == SLICE || desk_full(o->ask);
	o->over = stopped || !whole;
	return rc;
}

static void
go_on(void *arg)
{
	struct queue_op *o = arg;
	if (desk_gone(o->ask) && o->act < ACT_RETRY) {
		o->over = true;
	} else if (desk_full(o->ask)) {
		desk_on_room(o->ask, go_on, o);
		return;
	} else if (o->n_open >= CHANGES_OPEN) {
		loop_timer_set(o->timer, BUSY_MS, 0);
		return;
	}
	int rc = o->over || o->n_found > 0 ? 0 : look_on(o);
	if (rc < 0) {
		op_fail(o, rc);
		return;
	}
	o->n_open++; /* so that no change ends it under our feet */
	change_found(o);
	if (o->n_found > 0)
		loop_timer_set(o->timer, BUSY_MS, 0);
	else if (!o->over)
		loop_timer_set(o->timer, 0, 0);
	one_less(o);
}

/* False, and answered: nobody knows what is in it. */
static bool
is_readable(const struct queue *q, struct desk_ask *a)
{
	if (q->load_rc < 0)
		desk_done(a, CTL_FAILED,
		    "the queue cannot be read: %s; it is tried again every second, and nothing is "
		    "sent meanwhile; the log of the server says more",
		    strerror(-q->load_rc));
	return q->load_rc == 0;
}

static bool
is_read(const struct queue *q, struct desk_ask *a)
{
	if (!is_readable(q, a))
		return false;
	if (!q->loaded)
		desk_done(a, CTL_FAILED, "the queue is still being read; try again in a moment");
	return q->loaded;
}

/* False, and answered. Who wants some of the entries is not to be taken to mean all of them. */
static bool
is_clear(struct desk_ask *a, const struct queue_filter *f, enum act act)
{
	bool clear = act == ACT_LIST || !(f->has & 1u << CRIT_LIMIT);
	if (!clear)
		desk_done(a, CTL_INVALID,
		    "limit is for queue.list only, and nothing was changed; choose by ids or other "
		    "filters");
	return clear;
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
	if (!good)
		desk_done(a, CTL_INVALID,
		    "malformed filter; are command and server of the same version?");
	if (!good || !is_clear(a, &o->filter, act) || !is_read(q, a)) {
		queue_filter_done(&o->filter);
		free(o);
		return;
	}
	o->limit = act == ACT_LIST ? queue_filter_limit(&o->filter) : UINT64_MAX;
	o->timer = loop_timer_new(q->role->loop, go_on, o);
	if (act == ACT_WHY)
		sched_survey(q->sched);
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
	if (!is_read(q, a))
		return;
	uint32_t n = sched_flush(q->sched, m->n ? m->arg[0] : STR_NULL, (uint64_t)sys_wall_ms());
	const struct str row[] = { text_u64(number, n) };
	queue_pump(q);
	desk_row(a, row, 1);
	desk_done(a, CTL_OK, "%s", "");
}

/* The destinations with most entries: of a million of them only so many are kept. */
struct targets {
	struct sched_dest_view *v; /* room for twice as many */
	size_t n, most;
	bool full; /* the first `most` are known to be more than all that were left out */
};

static int
by_entries(const void *pa, const void *pb)
{
	const struct sched_dest_view *a = pa, *b = pb;
	return a->entries < b->entries ? 1 : a->entries > b->entries ? -1 : 0;
}

static void
targets_cut(struct targets *t)
{
	qsort(t->v, t->n, sizeof(*t->v), by_entries);
	t->full = t->n >= t->most;
	t->n = MIN(t->n, t->most);
}

static void
targets_add(struct targets *t, const struct sched_dest_view *v)
{
	if (t->full && v->entries <= t->v[t->most - 1].entries)
		return;
	if (t->n == 2 * t->most)
		targets_cut(t);
	t->v[t->n++] = *v;
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
	struct sched_dest_view v;
	uint32_t pos = 0;
	if (!is_readable(q, a))
		return;
	if (!queue_filter_get(&f, m)) {
		desk_done(a, CTL_INVALID,
		    "malformed filter; are command and server of the same version?");
		return;
	}
	struct targets t = { .most = (size_t)MIN(queue_filter_limit(&f), (uint64_t)TARGETS_LIMIT) };
	t.most = MAX(t.most, 1);
	t.v = xalloc(2 * t.most * sizeof(*t.v));
	sched_survey(q->sched);
	while (sched_dest_each(q->sched, &pos, &v))
		if (is_meant(&f, &v))
			targets_add(&t, &v);
	targets_cut(&t);
	for (size_t i = 0; i < t.n; i++)
		queue_row_target(a, &t.v[i], false, f.now_ms);
	free(t.v);
	queue_filter_done(&f);
	desk_done(a, CTL_OK, "%s", "");
}

static uint64_t
count_targets(const struct queue *q)
{
	const struct queue_filter all = { 0 };
	struct sched_dest_view v;
	uint64_t n = 0;
	for (uint32_t pos = 0; sched_dest_each(q->sched, &pos, &v);)
		n += is_meant(&all, &v);
	return n;
}

void
writer_op_queue_totals(void *arg, struct desk_ask *a, const struct msg_ask *m)
{
	struct queue *q = ((struct store_role *)arg)->queue;
	struct sched_totals t;
	char room[12][TEXT_NUM];
	if (!is_readable(q, a))
		return;
	sched_totals(q->sched, &t);
	const uint64_t v[12] = { t.entries, t.in_state[SCHED_READY], t.in_state[SCHED_WAITS],
		t.in_state[SCHED_ACTIVE] + t.in_state[SCHED_BUSY], t.in_state[SCHED_HELD],
		t.in_state[SCHED_TURN], q->sent, q->later, q->refused, q->doubt, t.memory,
		count_targets(q) };
	struct str row[12];
	for (size_t i = 0; i < ARRAY_LEN(v); i++)
		row[i] = text_u64(room[i], v[i]);
	desk_row(a, row, ARRAY_LEN(row));
	desk_done(a, CTL_OK, "%s", "");
}
