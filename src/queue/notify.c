#include "queue/notify.h"

#include "base/check.h"
#include "ipc/msg.h"

enum {
	WISH_SUCCESS = 1u << 0,
	WISH_FAILURE = 1u << 1,
	WISH_DELAY = 1u << 2,
	WISH_NEVER = 1u << 3,
	WISH_GIVEN = 1u << 4
};

/* What is told of each event, and who wants to hear it. */
static const struct {
	enum report_action action;
	unsigned wish;
	bool failure;      /* for good */
	struct str status; /* where there is none, or a wrong one */
	const char *text;  /* where nothing was said */
} events[NOTIFY_EVENTS] = {
	[NOTIFY_DELIVERED] = { REPORT_DELIVERED, WISH_SUCCESS, false, { "2.1.5", 5 }, NULL },
	[NOTIFY_RELAYED] = { REPORT_RELAYED, WISH_SUCCESS, false, { "2.1.9", 5 }, NULL },
	[NOTIFY_PASSED] = { REPORT_RELAYED, 0, false, { "2.1.9", 5 }, NULL },
	[NOTIFY_EXPANDED] = { REPORT_EXPANDED, WISH_SUCCESS, false, { "2.1.5", 5 }, NULL },
	[NOTIFY_FAILED] = { REPORT_FAILED, WISH_FAILURE, true, { "5.0.0", 5 }, NULL },
	[NOTIFY_EXPIRED] = { REPORT_FAILED, WISH_FAILURE, true, { "4.4.7", 5 },
	    "no server that takes mail for this address could be reached in time" },
	[NOTIFY_DELAYED] = { REPORT_DELAYED, WISH_DELAY, false, { "4.4.1", 5 },
	    "no server that takes mail for this address could be reached so far" },
	/* RFC 2852 4.1.4 */
	[NOTIFY_OVERDUE] = { REPORT_FAILED, WISH_FAILURE, true, { "5.4.7", 5 }, NULL },
	[NOTIFY_LATE] = { REPORT_DELAYED, WISH_DELAY, false, { "4.4.7", 5 }, NULL },
	[NOTIFY_UNTIMED] = { REPORT_RELAYED, WISH_SUCCESS, false, { "2.1.9", 5 }, NULL },
};

static unsigned
wishes(struct str notify)
{
	static const struct {
		const char *name;
		unsigned wish;
	} words[] = { { "SUCCESS", WISH_SUCCESS }, { "FAILURE", WISH_FAILURE },
		{ "DELAY", WISH_DELAY }, { "NEVER", WISH_NEVER } };
	unsigned all = 0;
	if (notify.len == 0)
		return WISH_FAILURE | WISH_DELAY;
	while (notify.p) {
		struct str word = str_trim(str_cut(&notify, ','));
		for (size_t i = 0; i < ARRAY_LEN(words); i++)
			if (str_ieq(word, str_of(words[i].name)))
				all |= words[i].wish;
	}
	return all | WISH_GIVEN;
}

bool
notify_wanted(struct str notify, enum notify_event event, const struct notify_letter *l)
{
	unsigned w = wishes(notify);
	if (event == NOTIFY_NOTHING || (w & WISH_NEVER))
		return false;
	/* RFC 2852 4: with T each relay tells; and who has a deadline hears where it ends. A
	 * stranger's mark is no proof that he wants to. */
	bool by = event == NOTIFY_UNTIMED ||
	          (l->by_trace && (event == NOTIFY_RELAYED || event == NOTIFY_PASSED));
	if (by && l->ours)
		return true;
	bool unasked = !(w & WISH_GIVEN) && (events[event].wish & WISH_DELAY);
	return (w & events[event].wish) && (l->ours || !unasked);
}

/* RFC 3463 2: a reason of class 2, 4 or 5 that fits the event, or the event's own. */
static struct str
status_of(const struct notify_rcpt *q)
{
	struct str own = events[q->event].status;
	if (q->event == NOTIFY_OVERDUE || q->event == NOTIFY_LATE || q->status.len == 0)
		return own;
	bool fits = q->status.p[0] == own.p[0];
	return fits || (q->event == NOTIFY_EXPIRED && q->status.p[0] == '5') ||
	               (q->event == NOTIFY_FAILED && q->status.p[0] == '4')
	           ? q->status
	           : own;
}

static void
put_words(struct report_rcpt *row, const struct notify_rcpt *q, const struct notify_letter *l)
{
	if (q->via.len > 0 && !l->ours) {
		/* Where an address of ours leads is nobody else's business. */
		row->final = q->via;
		row->text = STR("the server that this address leads to does not take the letter");
		if (events[q->event].action == REPORT_DELAYED)
			row->text =
			    STR("the server that this address leads to has not taken it yet");
	} else if (q->event == NOTIFY_OVERDUE || q->event == NOTIFY_LATE) {
		row->text = STR("the time that the sender gave it is over (RFC 2852)");
	} else if (q->text.len > 0 || q->code > 0) {
		row->code = q->code;
		row->text = q->text;
		row->mta = q->mta;
	} else {
		row->text = str_of(events[q->event].text);
		row->mta = q->mta;
	}
}

static struct report_rcpt
row_of(const struct notify_rcpt *q, const struct notify_letter *l)
{
	enum report_action action = events[q->event].action;
	struct report_rcpt row = {
		.action = action,
		.final = q->addr,
		.orcpt = q->orcpt,
		.status = status_of(q),
		.last_attempt = q->last_attempt,
		.will_retry_until = action == REPORT_DELAYED ? q->until : 0,
	};
	if (action == REPORT_FAILED || action == REPORT_DELAYED)
		put_words(&row, q, l);
	else if (q->via.len > 0 && !l->ours)
		row.final = q->via;
	else
		row.mta = q->mta;
	return row;
}

static bool
whole(const struct notify_conf *c, const struct notify_letter *l)
{
	/* RFC 8689 5 */
	if (!l->ours || l->requiretls || str_ieq(l->ret, STR("HDRS")))
		return false;
	return str_ieq(l->ret, STR("FULL")) || l->size <= c->full_max;
}

enum notify_verdict
notify_plan(const struct notify_conf *c, const struct notify_letter *l,
    const struct notify_rcpt *rcpt, size_t n, struct report_rcpt *rows, struct report *ret)
{
	bool null = l->sender.len == 0, failure = false;
	size_t told = 0;
	for (size_t i = 0; i < n; i++) {
		const struct notify_rcpt *q = &rcpt[i];
		check(q->event < NOTIFY_EVENTS);
		bool failed = q->event != NOTIFY_NOTHING && events[q->event].failure;
		bool copy = c->copies && failed && !str_ieq(q->addr, c->postmaster) &&
		            !str_ieq(q->via, c->postmaster);
		if (null ? !copy : !notify_wanted(q->notify, q->event, l))
			continue;
		failure |= failed;
		rows[told++] = row_of(q, l);
	}
	if (told == 0)
		return NOTIFY_NOBODY;
	*ret = (struct report){
		.host = c->host,
		.to = null ? c->postmaster : l->sender,
		.postmaster = c->postmaster,
		.qid = l->qid,
		.envid = l->envid,
		.arrived = l->arrived,
		.held_until = l->held_until,
		.zone = c->zone,
		.rcpt = rows,
		.n = told,
		.utf8 = l->utf8,
		.full = failure && !null && whole(c, l),
		.copy = null,
	};
	return null ? NOTIFY_POSTMASTER : NOTIFY_SENDER;
}

bool
notify_entry(const struct queue_entry *e, const struct queue_state *s, struct notify_letter *ret,
    struct notify_rcpt *rcpt)
{
	struct wire addrs = wire_of(e->rcpts), told = wire_of(s ? s->rcpts : STR_NULL);
	bool sent_on = false;
	if (s && s->n != e->n_rcpts)
		return false;
	for (uint32_t i = 0; i < e->n_rcpts; i++) {
		struct queue_rcpt q;
		struct queue_told t = { 0 };
		if (!queue_rcpt_get(&addrs, &q) || (s && !queue_told_get(&told, &t)))
			return false;
		sent_on |= q.via.len > 0;
		rcpt[i] = (struct notify_rcpt){
			.addr = q.addr,
			.notify = q.notify,
			.orcpt = q.orcpt,
			.via = q.via,
			.code = t.code,
			.status = t.status,
			.text = t.text,
			.mta = s ? s->mta : STR_NULL,
			.last_attempt = s ? (int64_t)(s->last_ms / 1000) : 0,
		};
	}
	*ret = (struct notify_letter){
		.sender = sent_on && e->sender.len > 0 ? e->sender : e->from,
		.qid = e->qid,
		.envid = e->envid,
		.ret = e->ret,
		.ours = (e->flags & ONWARD_OURS) != 0,
		.utf8 = (e->flags & ONWARD_UTF8) != 0,
		.by_trace = (e->flags & ONWARD_BY_TRACE) != 0,
		.requiretls = (e->flags & ONWARD_REQUIRETLS) != 0,
		.arrived = (int64_t)(e->created_ms / 1000),
		.held_until = (int64_t)(e->hold_until_ms / 1000),
	};
	return true;
}
