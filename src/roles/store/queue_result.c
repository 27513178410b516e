/* What relays say became of their jobs. */
#include "roles/store/queue_priv.h"

#include "base/check.h"
#include "base/date.h"
#include "log/log.h"
#include "sys/clock.h"

#include <errno.h>
#include <stdlib.h>

#define NOTE_WORDS_MAX 128 /* octets of what became of a recipient, without address and text */

_Static_assert(JOB_RCPTS_MAX == ENTRY_RCPTS_MAX, "a result has a fate for each recipient");

/* --- results --- */

static const char *const fate_word[JOB_FATE_COUNT] = {
	[JOB_SENT] = "sent",
	[JOB_RELAYED] = "sent, and who has it tells the rest",
	[JOB_UNTIMED] = "sent, to a server that does not know of its deadline",
	[JOB_LATER] = "not now",
	[JOB_REFUSED] = "refused",
	[JOB_DOUBT] = "in doubt: the connection was lost while it was taken",
	[JOB_NOT_TRIED] = "not tried",
};

/* The record of an attempt has the moment of its end, and the lines of its history count from here.
 */
static void
note_times(struct ending *x, const struct msg_result *m)
{
	uint64_t begun = MIN(m->begun_ms, m->ended_ms);
	buf_putz(&x->note, "# begun at ");
	date_rfc3339(&x->note, (int64_t)MIN(begun, (uint64_t)sys_wall_ms()));
	buf_putf(&x->note, ", over %llu ms later\n", (unsigned long long)(m->ended_ms - begun));
}

/* What became of each is there, however much the other server has said: `left` have to share the
 * room. */
static void
note_fate(struct ending *x, const struct queue_rcpt *r, const struct msg_fate *f, uint32_t left)
{
	size_t share = (x->note.max - x->note.len) / left, fixed = r->addr.len + NOTE_WORDS_MAX;
	struct str text = str_first(f->text, share > fixed ? share - fixed : 0);
	buf_putf(&x->note, "# <" STR_FMT ">: %s", STR_ARG(r->addr), fate_word[f->fate]);
	if (f->code)
		buf_putf(&x->note, ": %u", f->code);
	if (f->status.len)
		buf_putf(&x->note, " " STR_FMT, STR_ARG(f->status));
	if (text.len)
		buf_putf(&x->note, " " STR_FMT "%s", STR_ARG(text),
		    text.len < f->text.len ? " (cut)" : "");
	buf_putc(&x->note, '\n');
}

static uint64_t
since_us(const struct ending *x)
{
	uint64_t now = (uint64_t)sys_wall_ms();
	return now > x->entry.created_ms ? (now - x->entry.created_ms) * 1000 : 0;
}

static void
take_fate(struct ending *x, struct told *t, const struct msg_fate *f, struct sched_end *end,
    bool lmtp)
{
	struct queue *q = x->queue;
	t->code = f->code;
	t->status = f->status;
	t->text = f->text;
	switch ((enum job_fate)f->fate) {
	case JOB_SENT:
	case JOB_RELAYED:
	case JOB_UNTIMED:
		t->state = RCPT_SENT;
		t->event = f->fate == JOB_RELAYED   ? NOTIFY_PASSED
		           : f->fate == JOB_UNTIMED ? NOTIFY_UNTIMED
		           : lmtp                   ? NOTIFY_DELIVERED
		                                    : NOTIFY_RELAYED;
		end->sent = true;
		q->sent++;
		histogram_add(&q->delivery_time, METRIC_DELIVERY_SECONDS, since_us(x));
		break;
	case JOB_REFUSED:
		t->state = RCPT_FAILED;
		t->event = NOTIFY_FAILED;
		q->refused++;
		break;
	case JOB_DOUBT:
		q->doubt++;
		end->retry = true;
		break;
	case JOB_LATER:
		q->later++;
		end->retry = true;
		break;
	case JOB_NOT_TRIED:
	case JOB_FATE_COUNT:
		end->retry = true;
		break;
	}
	t->tried = f->fate != JOB_NOT_TRIED;
	end->tried |= t->tried;
}

/* Is it the destination that makes trouble, more than this letter? */
static bool
slows_down(const struct msg_result *m)
{
	static const bool yes[JOB_TROUBLE_COUNT] = {
		[JOB_TROUBLE_CONNECT] = true,
		[JOB_TROUBLE_TLS] = true,
		[JOB_TROUBLE_GREETING] = true,
		[JOB_TROUBLE_SENDER] = true,
		[JOB_TROUBLE_CLOSED] = true,
	};
	return m->dead || yes[m->trouble];
}

static void
take_fates(struct ending *x, const struct msg_result *m, struct sched_end *end, bool lmtp)
{
	struct wire fates = wire_of(m->fates), rcpts = wire_of(x->entry.rcpts);
	struct msg_fate f;
	struct queue_rcpt r;
	for (uint32_t i = 0; i < x->entry.n_rcpts; i++) {
		check(msg_fate_get(&fates, &f) &&
		      queue_rcpt_get(&rcpts, &r)); /* looked at before */
		if (x->row[i].state != RCPT_WAITS)
			continue;
		take_fate(x, &x->row[i], &f, end, lmtp);
		note_fate(x, &r, &f, x->entry.n_rcpts - i);
		if (x->row[i].state == RCPT_WAITS) {
			end->n_rcpts++;
			end->slow_down |= f.code == 421;
		}
		if (f.code > end->code)
			end->code = f.code;
		if (!job_fate_is_sent(f.fate) && !end->text.len)
			end->text = f.text;
	}
}

/* The attempt is over; what came of it is written. Takes x over. */
static void
attempted(struct ending *x, struct sched_entry *e, struct lease *l, const struct msg_result *m,
    const struct sched_end *end)
{
	struct queue *q = x->queue;
	uint64_t now = (uint64_t)sys_wall_ms();
	sched_ended(q->sched, e, end, now);
	x->state.attempts++;
	x->state.last_ms = now;
	x->state.next_ms = e->due_ms;
	x->state.trouble = m->trouble;
	x->state.mta = m->mta;
	x->state.wish = e->wish;
	if (m->trouble == JOB_TROUBLE_DAMAGED)
		ending_hold_damaged(x);
	x->lease = l->id;
	x->relay = l->relay->index;
	queue_lease_free(q, l);
	ending_submit(x);
	queue_pump(q);
}

/* What the result has added to the sums, for the destination's. */
static void
count_for(struct queue *q, const struct sched_dest_view *dest, const struct delivery_counts *before)
{
	const struct delivery_counts more = {
		.n = { [DELIVERY_SENT] = q->sent - before->n[DELIVERY_SENT],
		    [DELIVERY_LATER] = q->later - before->n[DELIVERY_LATER],
		    [DELIVERY_REFUSED] = q->refused - before->n[DELIVERY_REFUSED],
		    [DELIVERY_DOUBT] = q->doubt - before->n[DELIVERY_DOUBT] },
	};
	deliveries_add(&q->deliveries, dest->domain.len ? dest->domain : dest->target, &more,
	    (uint64_t)sys_wall_ms());
}

static bool
take_result(struct sched_entry *e, struct lease *l, const struct msg_result *m)
{
	struct queue *q = l->relay->queue;
	struct sched_end end = { .dead = m->dead,
		.trouble = m->trouble,
		.slow_down = slows_down(m),
		.took_ms = m->ended_ms > m->begun_ms
		               ? (uint32_t)MIN(m->ended_ms - m->begun_ms, 3600000u)
		               : 0 };
	struct ending *x = ending_begin(q, e, l->held);
	struct sched_dest_view dest;
	l->held = NULL;
	bool fits = x && x->entry.n_rcpts == m->n;
	if (fits) {
		x->note_kind = STORE_NOTE_ATTEMPT;
		note_times(x, m);
		buf_puts(&x->note, m->history);
		sched_dest_of(q->sched, e, &dest);
		const struct delivery_counts before = {
			.n = { q->sent, q->later, q->refused, q->doubt },
		};
		take_fates(x, m, &end, str_starts(dest.target, STR("lmtp:")));
		count_for(q, &dest, &before);
		writer_tlsrpt_take(q->role, m->tlsrpt);
	}
	if (fits && end.tried) {
		attempted(x, e, l, m, &end);
		return true;
	}
	queue_relay_send(l->relay, IPC_JOB_TAKEN, l->id, STR_NULL); /* nothing has happened */
	bool breach = x && !fits;
	if (x)
		ending_drop(x);
	queue_lease_over(q, l);
	return !breach;
}

bool
queue_result(struct relay_peer *p, const struct ipc_frame *frame)
{
	struct queue *q = p->queue;
	struct msg_result m;
	struct lease *l = map_get(&q->leases, id_key(&frame->id));
	if (!msg_result_get(frame->body, &m))
		return false;
	/* Its time was over: whatever it says, the entry is somebody else's by now. */
	if (!l || l->relay != p) {
		queue_relay_send(p, IPC_JOB_TAKEN, frame->id, STR_NULL);
		return true;
	}
	struct sched_entry *e = sched_find(q->sched, l->letter, l->part);
	bool active = e && e->state == SCHED_ACTIVE;
	int rc = !active ? -ENOENT : l->held ? 0 : queue_held_get(q, l->letter, l->part, &l->held);
	if (rc == 0)
		return take_result(e, l, &m);
	if (rc != -ENOENT && rc != -EBADMSG) {
		buf_reset(&l->result);
		buf_puts(&l->result, frame->body);
		return true;
	}
	queue_relay_send(p, IPC_JOB_TAKEN, frame->id, STR_NULL);
	queue_lease_over(q, l);
	return true;
}

/* What became of an attempt, and could not be taken as its entry could not be read. */
void
queue_results_again(struct queue *q)
{
	struct list again; /* each once: one that cannot be read yet goes to the end of all */
	list_init(&again);
	list_each(n, &q->lease_list)
	{
		if (list_entry(n, struct lease, node)->result.len == 0)
			continue;
		list_del(n);
		list_add_tail(&again, n);
	}
	while (!list_empty(&again)) {
		struct lease *l = list_entry(again.next, struct lease, node);
		struct buf body = l->result;
		l->result = BUF_INIT(IPC_BODY_MAX);
		queue_lease_heard(q, l);
		if (l->relay)
			(void)queue_result(l->relay,
			    &(struct ipc_frame){
				.type = IPC_JOB_RESULT, .id = l->id, .body = buf_str(&body) });
		buf_done(&body);
	}
}
