/*
 * Entries for domains that are ours: letters whose release was waited for (RFC 4865), or whose
 * domain has become ours meanwhile. The letter is accepted anew, under an id that stands in the
 * entry's state first, so that a crash in between leaves one copy.
 */
#include "roles/store/queue_priv.h"

#include "base/check.h"
#include "log/log.h"
#include "sys/clock.h"

#include <errno.h>
#include <stdlib.h>

#define CHUNK (256u << 10)

void
queue_deliver_here(struct queue *q, struct sched_entry *e)
{
	struct ending *x = queue_begin(q, e);
	if (x)
		ending_claim(x, queue_next_id(q));
}

static void
delivered(struct ending *x)
{
	struct wire w = wire_of(x->entry.rcpts);
	struct queue_rcpt r;
	for (uint32_t i = 0; i < x->entry.n_rcpts && queue_rcpt_get(&w, &r); i++) {
		struct told *t = &x->row[i];
		if (t->state != RCPT_WAITS)
			continue;
		t->state = RCPT_SENT;
		t->event = NOTIFY_DELIVERED;
		t->code = 0;
		t->status = STR("2.0.0");
		t->text = STR("delivered here");
		buf_putf(&x->note, "# <" STR_FMT ">: delivered here\n", STR_ARG(r.addr));
	}
	ending_submit(x);
}

static void
find_places(struct ending *x, struct way *way)
{
	struct wire w = wire_of(x->entry.rcpts);
	struct queue_rcpt r;
	for (uint32_t i = 0; i < x->entry.n_rcpts && queue_rcpt_get(&w, &r); i++) {
		struct told *t = &x->row[i];
		if (t->state != RCPT_WAITS || way_add(x->queue, way, r.addr, r.notify))
			continue;
		t->state = RCPT_FAILED;
		t->event = NOTIFY_FAILED;
		t->code = 0;
		t->status = STR("5.1.1");
		t->text = STR("there is no mailbox of that name here");
		buf_putf(&x->note, "# <" STR_FMT ">: no such mailbox here\n", STR_ARG(r.addr));
	}
}

static int
copy(struct queue *q, const struct store_queued *s, struct store_body *body)
{
	char *chunk = xalloc(CHUNK);
	int rc = 0;
	for (uint64_t off = 0; off < s->size && rc == 0;) {
		ssize_t n = store_queue_read(q->role->store, s, off, chunk, CHUNK);
		rc = n < 0    ? (int)n
		     : n == 0 ? -EBADMSG
		              : store_body_write(body, str_n(chunk, (size_t)n));
		off += n > 0 ? (uint64_t)n : 0;
	}
	free(chunk);
	return rc;
}

static int
hand_in(struct ending *x, struct way *way)
{
	struct queue *q = x->queue;
	struct store_snap *sn;
	struct store_queued s;
	int rc = queue_snap(q, &sn);
	if (rc == 0)
		rc = store_queue_get(sn, x->letter, x->part, &s);
	if (rc < 0)
		return rc;
	rc = store_ref_check(q->role->store, &s.ref);
	if (rc < 0)
		return rc;
	struct store_body *body = store_body_new(q->role->store, x->state.report);
	rc = copy(q, &s, body);
	writer_check(rc);
	if (rc < 0) {
		store_body_free(body);
		return rc;
	}
	way_hand_in(x, way, body, (uint64_t)s.trace_len + s.header_len, false,
	    STR("# a letter that waited here\n"), delivered);
	return 0;
}

void
queue_here_begin(struct ending *x, bool known)
{
	struct way way;
	struct msg_accept m = { .from = x->entry.from,
		.envid = x->entry.envid,
		.ret = x->entry.ret,
		.peer = x->entry.peer,
		.session = x->entry.session,
		.facts.flags = x->entry.flags & ~(uint32_t)(ONWARD_BY_RETURN | ONWARD_BY_TRACE) };
	way_begin(&way);
	way.from = x->entry.from;
	find_places(x, &way);
	if (known) {
		delivered(x);
	} else if (!way_end(&way, x->state.report, &m)) {
		ending_submit(x); /* nobody is there */
	} else {
		int rc = hand_in(x, &way);
		if (rc == -EBADMSG) {
			ending_hold_damaged(x);
			ending_submit(x);
		} else if (rc < 0) {
			LOG_OFTEN(LOG_ERROR, 0, "queue-unreadable", LOGZ("error", strerror(-rc)),
			    LOGZ("then", "tried again every second"));
			ending_wait(x);
		}
	}
	way_done(&way);
}
