/* What the command line wants of an entry: held, let go, given back, deleted. */
#include "roles/store/queue_op.h"

#include "base/check.h"
#include "log/log.h"
#include "sys/clock.h"

#include <errno.h>
#include <stdlib.h>

#define WISH_AGAIN_MS 1000

/* --- of one that is in nobody's hands --- */

/* Busy, with what was wished of it before. NULL: it cannot be read. */
static struct ending *
take(struct queue *q, struct sched_entry *e, struct str *reason)
{
	sched_busy(q->sched, e);
	struct ending *x = queue_begin(q, e);
	if (!x)
		return NULL;
	if (x->state.wish)
		*reason = x->state.reason;
	x->state.wish = SCHED_WISH_NONE;
	return x;
}

static bool
hold(struct queue *q, struct sched_entry *e, bool held, struct str reason, uint64_t op)
{
	struct ending *x = take(q, e, &reason);
	uint64_t now = (uint64_t)sys_wall_ms();
	if (!x)
		return false;
	/* Who takes a hold away leaves the moment that the sender has chosen. */
	bool waits = held || (e->held && e->later && e->due_ms > now);
	sched_hold(e, held);
	if (!waits)
		sched_due(e, now, false);
	x->state.held = held;
	x->state.reason = reason;
	x->state.next_ms = waits ? x->state.next_ms : now;
	x->op = op;
	buf_putf(&x->note, "# %s by an administrator%s" STR_FMT "\n", held ? "held" : "released",
	    reason.len ? ": " : "", STR_ARG(reason));
	ending_submit(x);
	return true;
}

static bool
give_up(struct queue *q, struct sched_entry *e, bool tell, struct str reason, uint64_t op)
{
	struct ending *x = take(q, e, &reason);
	if (!x)
		return false;
	if (!reason.len)
		reason = tell ? STR("an administrator of this server has given it back")
		              : STR("deleted by an administrator");
	ending_fail_waiting(x, tell ? NOTIFY_FAILED : NOTIFY_NOTHING, "5.0.0", reason);
	x->op = op;
	ending_submit(x);
	return true;
}

/* --- of one that a relay has --- */

void
queue_wish(struct queue *q, struct sched_entry *e)
{
	enum sched_wish wish = (enum sched_wish)e->wish;
	uint64_t letter = e->letter;
	uint32_t part = e->part;
	sched_wish(e, SCHED_WISH_NONE);
	if (wish == SCHED_WISH_NONE ||
	    (wish == SCHED_WISH_HOLD ? hold(q, e, true, STR_NULL, 0)
				     : give_up(q, e, wish == SCHED_WISH_BOUNCE, STR_NULL, 0)))
		return;
	e = sched_find(q->sched, letter, part);
	if (!e)
		return;
	sched_wish(e, wish); /* it cannot be read, and so nothing is done with it */
	q->wishes_at = sys_mono_ms() + WISH_AGAIN_MS;
}

void
queue_wishes(struct queue *q)
{
	struct sched_entry *e;
	uint32_t pos = 0;
	if (sys_mono_ms() < q->wishes_at)
		return;
	q->wishes_at = INT64_MAX;
	while (sched_each(q->sched, &pos, &e))
		/* Else it happens when that is over. */
		if (e->wish != SCHED_WISH_NONE && e->state != SCHED_ACTIVE &&
		    e->state != SCHED_BUSY)
			queue_wish(q, e);
}

/* It stands in the entry, so that it happens whatever ends the attempt. The relay is asked to give
 * it up. */
static bool
wish_for(struct queue *q, struct sched_entry *e, struct lease *l, enum sched_wish wish,
    struct str reason, uint64_t op)
{
	static const char *const words[] = {
		[SCHED_WISH_NONE] = "not be held, after all",
		[SCHED_WISH_HOLD] = "be held",
		[SCHED_WISH_BOUNCE] = "be given back",
		[SCHED_WISH_DELETE] = "be deleted",
	};
	if (!l->held && queue_held_get(q, e->letter, e->part, &l->held) < 0)
		return false;
	struct ending *x =
	    ending_begin(q, e, queue_held_new(l->held->size, l->held->value, l->held->state));
	if (!x)
		return false;
	x->state.wish = (uint8_t)wish;
	x->state.reason = reason;
	x->op = op;
	buf_putf(&x->note, "# to %s when this attempt is over, by an administrator%s" STR_FMT "\n",
	    words[wish], reason.len ? ": " : "", STR_ARG(reason));
	sched_wish(e, wish);
	ending_wish(x, l);
	return true;
}

/* --- of one that cannot be read --- */

struct removal {
	struct queue *queue;
	uint64_t op, letter;
	uint32_t part;
};

static void
removed(void *arg, const struct store_res *res)
{
	struct removal *r = arg;
	struct queue *q = r->queue;
	struct sched_entry *e = sched_find(q->sched, r->letter, r->part);
	writer_check(res->rc);
	if (res->rc == 0 && e && e->state != SCHED_ACTIVE && e->state != SCHED_BUSY)
		sched_del(q->sched, e);
	queue_op_changed(q, r->op, res->rc == -EAGAIN ? 0 : res->rc);
	free(r);
}

void
queue_remove_damaged(struct queue *q, uint64_t letter, uint32_t part, uint64_t op)
{
	const struct store_dom dom = store_dom_queue(0);
	struct store_batch *b = store_batch_new(q->role->store, &dom);
	struct removal *r = xalloc(sizeof(*r));
	char id[14];
	id_format(id, letter);
	LOG(LOG_WARN, 0, "queue-damaged-deleted", LOGZ("letter", id), LOGN("part", part));
	*r = (struct removal){ q, op, letter, part };
	store_queue_del(b, letter, part);
	store_commit(b, STORE_DURABLE, removed, r);
}

/* --- which of these --- */

/* It ends, which neither a hold nor a release takes back: nobody would be told that it did not. */
static bool
ends(const struct sched_entry *e, enum act act)
{
	return (act == ACT_HOLD || act == ACT_RELEASE) &&
	       (e->wish == SCHED_WISH_BOUNCE || e->wish == SCHED_WISH_DELETE);
}

static enum acted
change_active(struct queue *q, struct sched_entry *e, enum act act, struct str reason, uint64_t op)
{
	static const enum sched_wish wishes[] = {
		[ACT_RELEASE] = SCHED_WISH_NONE,
		[ACT_HOLD] = SCHED_WISH_HOLD,
		[ACT_BOUNCE] = SCHED_WISH_BOUNCE,
		[ACT_DELETE] = SCHED_WISH_DELETE,
	};
	struct lease *l = queue_lease_of(q, e->letter, e->part);
	if (act == ACT_RETRY)
		return ACTED_TRYING;
	if (l && l->wishing) /* one after the other, so that each knows what it replaces */
		return ACTED_BUSY;
	if (l && ends(e, act))
		return ACTED_ENDING;
	if (l && act == ACT_RELEASE && e->wish != SCHED_WISH_HOLD)
		return ACTED_ALREADY;
	if (!l || !wish_for(q, e, l, wishes[act], reason, op))
		return ACTED_NONE;
	return act == ACT_RELEASE ? ACTED_WRITTEN : ACTED_WISHED;
}

static enum acted
release(struct queue *q, struct sched_entry *e, uint64_t op)
{
	struct sched_dest_view v;
	sched_dest_of(q->sched, e, &v);
	if (e->held || e->later)
		return hold(q, e, false, STR_NULL, op) ? ACTED_WRITTEN : ACTED_NONE;
	return v.holds ? ACTED_ROUTE : ACTED_ALREADY;
}

/* When a sender wants it to leave is for release. */
static enum acted
retry(struct queue *q, struct sched_entry *e)
{
	if (e->state == SCHED_HELD)
		return e->held ? ACTED_HELD : ACTED_ROUTE;
	if (e->state == SCHED_TURN)
		return ACTED_TURN;
	if (e->later)
		return ACTED_LATER;
	sched_retry(q->sched, e, (uint64_t)sys_wall_ms());
	return ACTED_DONE;
}

enum acted
queue_change(struct queue *q, struct sched_entry *e, enum act act, struct str reason, uint64_t op)
{
	if (sys_mono_ms() < q->calm_ms) /* a relay may still say that it has it */
		return ACTED_BUSY;
	if (e->state == SCHED_ACTIVE)
		return change_active(q, e, act, reason, op);
	if (e->state == SCHED_BUSY)
		return ACTED_BUSY;
	if (ends(e, act))
		return ACTED_ENDING;
	switch (act) {
	case ACT_RETRY:
		return retry(q, e);
	case ACT_HOLD:
		if (e->held)
			return ACTED_ALREADY;
		return hold(q, e, true, reason, op) ? ACTED_WRITTEN : ACTED_NONE;
	case ACT_RELEASE:
		return release(q, e, op);
	case ACT_BOUNCE:
	case ACT_DELETE:
		return give_up(q, e, act == ACT_BOUNCE, reason, op) ? ACTED_WRITTEN : ACTED_NONE;
	case ACT_LIST:
	case ACT_COUNT:
	case ACT_SHOW:
	case ACT_WHY:
		return ACTED_NONE;
	}
	return ACTED_NONE;
}
