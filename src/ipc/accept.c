#include "base/check.h"
#include "ipc/chan.h"
#include "ipc/msg_priv.h"

#define TRACE_MAX (64u << 10)
#define HISTORY_MAX (256u << 10)
#define OUTLINE_MAX (64u << 10)
#define MESSAGE_ID_MAX 998

void
msg_rcpt_put(struct buf *b, const struct msg_rcpt *m)
{
	put_u64(b, m->account);
	msg_put_capped(b, m->rcpt, ADDRESS_MAX);
	msg_put_capped(b, m->notify, NOTIFY_MAX);
	msg_put_capped(b, m->orcpt, ADDRESS_MAX);
}

bool
msg_rcpt_get(struct wire *w, struct msg_rcpt *ret)
{
	struct msg_rcpt m = { 0 };
	m.account = get_u64(w);
	m.rcpt = msg_get_line(w, ADDRESS_MAX);
	m.notify = msg_get_line(w, NOTIFY_MAX);
	m.orcpt = msg_get_line(w, ADDRESS_MAX);
	if (w->bad)
		return false;
	*ret = m;
	return true;
}

/* Recipients, or views for each of which one came before; never both. */
static bool
counts_valid(const struct msg_accept *m)
{
	if (m->n_rcpt > RCPT_MAX || m->n_onward > RCPT_MAX - m->n_rcpt)
		return false;
	uint32_t n = m->n_rcpt + m->n_onward;
	return m->n_views ? n == 0 && m->n_views <= MERGE_RCPT_MAX && m->outline.len == 0 : n > 0;
}

void
msg_accept_put(struct buf *b, const struct msg_accept *m)
{
	check(counts_valid(m));
	put_u64(b, m->session);
	put_u64(b, m->time_ms);
	put_u64(b, m->size);
	put_u32(b, m->header_len);
	put_u8(b, m->insert_blank);
	msg_put_capped(b, m->qid, QID_MAX);
	msg_put_capped(b, m->from, ADDRESS_MAX);
	msg_put_capped(b, m->envid, ENVID_MAX);
	msg_put_capped(b, m->ret, RET_MAX);
	msg_put_capped(b, m->trace, TRACE_MAX);
	msg_put_capped(b, m->history, HISTORY_MAX);
	msg_put_capped(b, m->outline, OUTLINE_MAX);
	msg_put_capped(b, m->message_id, MESSAGE_ID_MAX);
	msg_put_capped(b, m->peer, PEER_TEXT_MAX);
	msg_facts_put(b, &m->facts);
	put_u32(b, m->n_onward);
	put_str(b, m->onward);
	msg_put_capped(b, m->expanded, ACCEPT_EXPANDED_MAX);
	put_u32(b, m->n_rcpt);
	put_u32(b, m->n_views);
	buf_puts(b, m->rcpts);
}

static bool
rcpts_valid(struct str rcpts, uint32_t n)
{
	struct wire w = wire_of(rcpts);
	struct msg_rcpt rcpt;
	for (uint32_t i = 0; i < n; i++)
		if (!msg_rcpt_get(&w, &rcpt))
			return false;
	return wire_done(&w);
}

static bool
onward_valid(struct str onward, uint32_t n)
{
	struct wire w = wire_of(onward);
	struct msg_onward rcpt;
	for (uint32_t i = 0; i < n; i++)
		if (!msg_onward_get(&w, &rcpt))
			return false;
	return wire_done(&w);
}

static bool
expanded_valid(struct str pairs)
{
	struct wire w = wire_of(pairs);
	while (w.left > 0 && !w.bad) {
		w.bad |= msg_get_line(&w, ADDRESS_MAX).len == 0;
		msg_get_line(&w, ADDRESS_MAX);
	}
	return wire_done(&w);
}

bool
msg_accept_get(struct str body, struct msg_accept *ret)
{
	struct wire w = wire_of(body);
	struct msg_accept m = { 0 };
	m.session = get_u64(&w);
	m.time_ms = get_u64(&w);
	m.size = get_u64(&w);
	m.header_len = get_u32(&w);
	m.insert_blank = get_bool(&w);
	m.qid = msg_get_line(&w, QID_MAX);
	m.from = msg_get_line(&w, ADDRESS_MAX);
	m.envid = msg_get_line(&w, ENVID_MAX);
	m.ret = msg_get_line(&w, RET_MAX);
	m.trace = get_str(&w, TRACE_MAX);
	m.history = get_str(&w, HISTORY_MAX);
	m.outline = get_str(&w, OUTLINE_MAX);
	m.message_id = msg_get_line(&w, MESSAGE_ID_MAX);
	m.peer = msg_get_line(&w, PEER_TEXT_MAX);
	if (!msg_facts_get(&w, &m.facts))
		return false;
	m.n_onward = get_u32(&w);
	m.onward = get_str(&w, IPC_BODY_MAX);
	m.expanded = get_str(&w, ACCEPT_EXPANDED_MAX);
	m.n_rcpt = get_u32(&w);
	m.n_views = get_u32(&w);
	m.rcpts = get_rest(&w);
	if (!wire_done(&w) || !counts_valid(&m) || (m.n_views == 0 && m.header_len > m.size))
		return false;
	if (m.ret.len && !str_eq(m.ret, STR("FULL")) && !str_eq(m.ret, STR("HDRS")))
		return false;
	if (!rcpts_valid(m.rcpts, m.n_rcpt) || !onward_valid(m.onward, m.n_onward) ||
	    !expanded_valid(m.expanded))
		return false;
	*ret = m;
	return true;
}
