#include "queue/entry.h"

#include "queue/notify.h"
#include "queue/sched.h"

#define ADDRESS_MAX 1024
#define DOMAIN_MAX 255
#define LINE_MAX 512
#define MESSAGE_ID_MAX 998
#define PEER_MAX 64
#define NOTIFY_MAX 64
#define RET_MAX 4
#define STATUS_MAX 15
#define LIST_MAX (512u << 10) /* of recipients, encoded */
#define VERSION 1
#define STATE_VERSION 2 /* 1: without the reason */

static void
put_capped(struct buf *b, struct str s, size_t max)
{
	if (s.len > max)
		b->failed = true;
	put_str(b, s);
}

/* What ends up in a line of a command or of a report. */
static struct str
get_line(struct wire *w, size_t max)
{
	struct str s = get_str(w, max);
	for (size_t i = 0; i < s.len; i++)
		w->bad |= s.p[i] == '\0' || s.p[i] == '\r' || s.p[i] == '\n';
	return s;
}

/* --- what never changes --- */

void
queue_rcpt_put(struct buf *b, const struct queue_rcpt *r)
{
	put_capped(b, r->addr, ADDRESS_MAX);
	put_capped(b, r->notify, NOTIFY_MAX);
	put_capped(b, r->orcpt, ADDRESS_MAX);
	put_capped(b, r->via, ADDRESS_MAX);
}

bool
queue_rcpt_get(struct wire *w, struct queue_rcpt *ret)
{
	struct queue_rcpt r = { 0 };
	r.addr = get_line(w, ADDRESS_MAX);
	r.notify = get_line(w, NOTIFY_MAX);
	r.orcpt = get_line(w, ADDRESS_MAX);
	r.via = get_line(w, ADDRESS_MAX);
	w->bad |= r.addr.len == 0;
	if (w->bad)
		return false;
	*ret = r;
	return true;
}

void
queue_entry_put(struct buf *b, const struct queue_entry *e)
{
	put_u8(b, VERSION);
	put_u64(b, e->created_ms);
	put_u32(b, e->flags);
	put_u8(b, (uint8_t)e->priority);
	put_u64(b, e->hold_until_ms);
	put_u64(b, e->by_ms);
	put_u64(b, e->session);
	put_capped(b, e->domain, DOMAIN_MAX);
	put_capped(b, e->from, ADDRESS_MAX);
	put_capped(b, e->sender, ADDRESS_MAX);
	put_capped(b, e->envid, LINE_MAX);
	put_capped(b, e->ret, RET_MAX);
	put_capped(b, e->auth, LINE_MAX);
	put_capped(b, e->account, LINE_MAX);
	put_capped(b, e->peer, PEER_MAX);
	put_capped(b, e->qid, LINE_MAX);
	put_capped(b, e->message_id, MESSAGE_ID_MAX);
	put_u32(b, e->n_rcpts);
	put_str(b, e->rcpts);
}

static bool
rcpts_valid(struct str list, uint32_t n)
{
	struct wire w = wire_of(list);
	struct queue_rcpt r;
	for (uint32_t i = 0; i < n; i++)
		if (!queue_rcpt_get(&w, &r))
			return false;
	return wire_done(&w);
}

bool
queue_entry_get(struct str octets, struct queue_entry *ret)
{
	struct wire w = wire_of(octets);
	struct queue_entry e = { 0 };
	bool known = get_u8(&w) == VERSION;
	e.created_ms = get_u64(&w);
	e.flags = get_u32(&w);
	e.priority = (int8_t)get_u8(&w);
	e.hold_until_ms = get_u64(&w);
	e.by_ms = get_u64(&w);
	e.session = get_u64(&w);
	e.domain = get_line(&w, DOMAIN_MAX);
	e.from = get_line(&w, ADDRESS_MAX);
	e.sender = get_line(&w, ADDRESS_MAX);
	e.envid = get_line(&w, LINE_MAX);
	e.ret = get_line(&w, RET_MAX);
	e.auth = get_line(&w, LINE_MAX);
	e.account = get_line(&w, LINE_MAX);
	e.peer = get_line(&w, PEER_MAX);
	e.qid = get_line(&w, LINE_MAX);
	e.message_id = get_line(&w, MESSAGE_ID_MAX);
	e.n_rcpts = get_u32(&w);
	e.rcpts = get_str(&w, LIST_MAX);
	if (!wire_done(&w) || !known || e.priority < -9 || e.priority > 9 || e.domain.len == 0 ||
	    e.n_rcpts == 0 || e.n_rcpts > ENTRY_RCPTS_MAX || !rcpts_valid(e.rcpts, e.n_rcpts))
		return false;
	*ret = e;
	return true;
}

/* --- what does --- */

void
queue_told_put(struct buf *b, const struct queue_told *t)
{
	put_u8(b, t->state);
	put_u8(b, t->event);
	put_u16(b, t->code);
	put_capped(b, t->status, STATUS_MAX);
	put_str(b, str_first(t->text, ENTRY_TEXT_MAX));
}

bool
queue_told_get(struct wire *w, struct queue_told *ret)
{
	struct queue_told t = { 0 };
	t.state = get_u8(w);
	t.event = get_u8(w);
	t.code = get_u16(w);
	t.status = get_line(w, STATUS_MAX);
	t.text = get_line(w, ENTRY_TEXT_MAX);
	w->bad |= t.state >= RCPT_STATES || t.event >= NOTIFY_EVENTS || t.code > 999;
	if (w->bad)
		return false;
	*ret = t;
	return true;
}

void
queue_state_put(struct buf *b, const struct queue_state *s)
{
	put_u8(b, STATE_VERSION);
	put_u32(b, s->attempts);
	put_u64(b, s->next_ms);
	put_u64(b, s->last_ms);
	put_u8(b, s->held);
	put_u8(b, s->wish);
	put_u8(b, s->warned);
	put_u8(b, s->trouble);
	put_u8(b, s->by_over);
	put_u64(b, s->report);
	put_capped(b, s->mta, DOMAIN_MAX);
	put_u32(b, s->n);
	put_str(b, s->rcpts);
	put_str(b, str_first(s->reason, ENTRY_TEXT_MAX));
}

static bool
told_valid(struct str list, uint32_t n)
{
	struct wire w = wire_of(list);
	struct queue_told t;
	for (uint32_t i = 0; i < n; i++)
		if (!queue_told_get(&w, &t))
			return false;
	return wire_done(&w);
}

bool
queue_state_get(struct str octets, struct queue_state *ret)
{
	struct wire w = wire_of(octets);
	struct queue_state s = { 0 };
	uint8_t version = get_u8(&w);
	s.attempts = get_u32(&w);
	s.next_ms = get_u64(&w);
	s.last_ms = get_u64(&w);
	s.held = get_bool(&w);
	s.wish = get_u8(&w);
	s.warned = get_u8(&w);
	s.trouble = get_u8(&w);
	s.by_over = get_bool(&w);
	s.report = get_u64(&w);
	s.mta = get_line(&w, DOMAIN_MAX);
	s.n = get_u32(&w);
	s.rcpts = get_str(&w, LIST_MAX);
	if (version > 1)
		s.reason = get_line(&w, ENTRY_TEXT_MAX);
	if (!wire_done(&w) || version < 1 || version > STATE_VERSION || s.n > ENTRY_RCPTS_MAX ||
	    s.wish > SCHED_WISH_DELETE || !told_valid(s.rcpts, s.n))
		return false;
	*ret = s;
	return true;
}

const char *
queue_stored_get(struct str value, struct str state, struct queue_entry *ret,
    struct queue_state *ret_state)
{
	struct queue_entry e;
	struct queue_state s = { 0 };
	if (!queue_entry_get(value, &e))
		return "its record does not decode";
	*ret = e;
	if (state.p && (!queue_state_get(state, &s) || s.n != e.n_rcpts))
		return "the record of who has it already does not decode";
	*ret_state = s;
	return NULL;
}
