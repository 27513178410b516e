#include "base/check.h"
#include "ipc/chan.h"
#include "ipc/msg_priv.h"

#define WHERE_MAX 400
#define TARGET_TEXT_MAX 512
#define STATUS_MAX 15
#define TLS_TEXT_MAX 256
#define TLSRPT_MAX 4096

static bool
is_control(char c)
{
	return (unsigned char)c < 0x20 || c == 0x7f;
}

void
msg_put_words(struct buf *b, struct str s, size_t max)
{
	s = str_first(s, max);
	put_str(b, s);
	for (size_t i = 0; i < s.len && !b->failed; i++)
		if (is_control(s.p[i]))
			b->p[b->len - s.len + i] = ' ';
}

struct str
msg_get_words(struct wire *w, size_t max)
{
	struct str s = get_str(w, max);
	for (size_t i = 0; i < s.len; i++)
		w->bad |= is_control(s.p[i]);
	return s;
}

bool
msg_domain_ok(struct str s)
{
	bool ok = s.len > 0 && s.len <= DOMAIN_MAX;
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.p[i];
		ok &= c > ' ' && c < 0x7f && (c < 'A' || c > 'Z' || s.p[0] == '[');
	}
	return ok;
}

struct str
msg_get_domain(struct wire *w)
{
	struct str s = get_str(w, DOMAIN_MAX);
	w->bad |= !msg_domain_ok(s);
	return s;
}

/* --- recipients elsewhere --- */

void
msg_onward_put(struct buf *b, const struct msg_onward *m)
{
	msg_put_capped(b, m->rcpt, ADDRESS_MAX);
	msg_put_capped(b, m->domain, DOMAIN_MAX);
	msg_put_capped(b, m->from, ADDRESS_MAX);
	msg_put_capped(b, m->notify, NOTIFY_MAX);
	msg_put_capped(b, m->orcpt, ADDRESS_MAX);
	msg_put_capped(b, m->via, ADDRESS_MAX);
}

bool
msg_onward_get(struct wire *w, struct msg_onward *ret)
{
	struct msg_onward m = { 0 };
	m.rcpt = msg_get_line(w, ADDRESS_MAX);
	m.domain = msg_get_domain(w);
	m.from = msg_get_line(w, ADDRESS_MAX);
	m.notify = msg_get_line(w, NOTIFY_MAX);
	m.orcpt = msg_get_line(w, ADDRESS_MAX);
	m.via = msg_get_line(w, ADDRESS_MAX);
	w->bad |= m.rcpt.len == 0;
	if (w->bad)
		return false;
	*ret = m;
	return true;
}

void
msg_facts_put(struct buf *b, const struct msg_onward_facts *m)
{
	put_u32(b, m->flags);
	put_u8(b, (uint8_t)m->priority);
	put_u64(b, m->hold_until_ms);
	put_u64(b, m->by_ms);
	msg_put_capped(b, m->auth, ACCOUNT_TEXT_MAX);
	msg_put_capped(b, m->account, ACCOUNT_TEXT_MAX);
}

bool
msg_facts_get(struct wire *w, struct msg_onward_facts *ret)
{
	struct msg_onward_facts m = { 0 };
	m.flags = get_u32(w);
	m.priority = (int8_t)get_u8(w);
	m.hold_until_ms = get_u64(w);
	m.by_ms = get_u64(w);
	m.auth = msg_get_line(w, ACCOUNT_TEXT_MAX);
	m.account = msg_get_line(w, ACCOUNT_TEXT_MAX);
	w->bad |= (m.flags & ~ONWARD_FLAGS_ALL) || m.priority < -9 || m.priority > 9;
	if (w->bad)
		return false;
	*ret = m;
	return true;
}

/* --- jobs --- */

void
msg_job_put(struct buf *b, const struct msg_job *m)
{
	put_u64(b, m->letter);
	put_u32(b, m->part);
	put_u64(b, m->size);
	put_u16(b, m->window);
	msg_put_capped(b, m->qid, QID_MAX);
	msg_put_capped(b, m->target, TARGET_TEXT_MAX);
	put_u64(b, m->turn);
	put_u64(b, m->given_ms);
	msg_put_capped(b, m->entry, JOB_ENTRY_MAX);
	msg_put_capped(b, m->state, JOB_ENTRY_MAX);
}

bool
msg_job_get(struct str body, struct msg_job *ret)
{
	struct wire w = wire_of(body);
	struct msg_job m = { 0 };
	m.letter = get_u64(&w);
	m.part = get_u32(&w);
	m.size = get_u64(&w);
	m.window = get_u16(&w);
	m.qid = msg_get_line(&w, QID_MAX);
	m.target = msg_get_line(&w, TARGET_TEXT_MAX);
	m.turn = get_u64(&w);
	m.given_ms = get_u64(&w);
	m.entry = get_str(&w, JOB_ENTRY_MAX);
	m.state = get_str(&w, JOB_ENTRY_MAX);
	if (!wire_done(&w) || m.target.len == 0 || m.entry.len == 0)
		return false;
	*ret = m;
	return true;
}

void
msg_lease_put(struct buf *b, const struct msg_lease *m)
{
	put_u64(b, m->lease);
	put_u64(b, m->letter);
	put_u32(b, m->part);
}

bool
msg_lease_get(struct wire *w, struct msg_lease *ret)
{
	struct msg_lease m = { 0 };
	m.lease = get_u64(w);
	m.letter = get_u64(w);
	m.part = get_u32(w);
	if (w->bad)
		return false;
	*ret = m;
	return true;
}

void
msg_hello_put(struct buf *b, const struct msg_hello *m)
{
	put_u16(b, m->relays);
	put_u16(b, m->n);
	buf_puts(b, m->leases);
}

bool
msg_hello_get(struct str body, struct msg_hello *ret)
{
	struct wire w = wire_of(body);
	struct msg_hello m = { 0 };
	struct msg_lease lease;
	m.relays = get_u16(&w);
	m.n = get_u16(&w);
	m.leases = str_n(w.p, w.left);
	for (uint16_t i = 0; i < m.n; i++)
		if (!msg_lease_get(&w, &lease))
			return false;
	if (!wire_done(&w))
		return false;
	*ret = m;
	return true;
}

void
msg_stage_put(struct buf *b, const struct msg_stage *m)
{
	put_u8(b, m->stage);
	msg_put_words(b, m->where, WHERE_MAX);
}

bool
msg_stage_get(struct str body, struct msg_stage *ret)
{
	struct wire w = wire_of(body);
	struct msg_stage m = { 0 };
	m.stage = get_u8(&w);
	m.where = msg_get_words(&w, WHERE_MAX);
	if (!wire_done(&w) || m.stage >= JOB_STAGE_COUNT)
		return false;
	*ret = m;
	return true;
}

void
msg_fate_put(struct buf *b, const struct msg_fate *m)
{
	put_u8(b, m->fate);
	put_u16(b, m->code);
	msg_put_capped(b, m->status, STATUS_MAX);
	msg_put_words(b, m->text, JOB_TEXT_MAX);
}

static bool
status_valid(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] != '.' && (s.p[i] < '0' || s.p[i] > '9'))
			return false;
	return true;
}

bool
msg_fate_get(struct wire *w, struct msg_fate *ret)
{
	struct msg_fate m = { 0 };
	m.fate = get_u8(w);
	m.code = get_u16(w);
	m.status = get_str(w, STATUS_MAX);
	m.text = msg_get_words(w, JOB_TEXT_MAX);
	w->bad |= m.fate >= JOB_FATE_COUNT || m.code > 999 || !status_valid(m.status);
	if (w->bad)
		return false;
	*ret = m;
	return true;
}

void
msg_result_put(struct buf *b, const struct msg_result *m)
{
	put_u8(b, m->trouble);
	put_u8(b, m->dead);
	msg_put_capped(b, m->mta, DOMAIN_MAX);
	msg_put_capped(b, m->ip, PEER_TEXT_MAX);
	msg_put_words(b, m->tls, TLS_TEXT_MAX);
	msg_put_capped(b, m->tlsrpt, TLSRPT_MAX);
	put_u64(b, m->begun_ms);
	put_u64(b, m->ended_ms);
	msg_put_capped(b, m->history, JOB_HISTORY_MAX);
	put_u32(b, m->n);
	buf_puts(b, m->fates);
}

static bool
fates_valid(struct str fates, uint32_t n)
{
	struct wire w = wire_of(fates);
	struct msg_fate fate;
	for (uint32_t i = 0; i < n; i++)
		if (!msg_fate_get(&w, &fate))
			return false;
	return wire_done(&w);
}

bool
msg_result_get(struct str body, struct msg_result *ret)
{
	struct wire w = wire_of(body);
	struct msg_result m = { 0 };
	m.trouble = get_u8(&w);
	m.dead = get_bool(&w);
	m.mta = msg_get_line(&w, DOMAIN_MAX);
	m.ip = msg_get_line(&w, PEER_TEXT_MAX);
	m.tls = msg_get_words(&w, TLS_TEXT_MAX);
	m.tlsrpt = get_str(&w, TLSRPT_MAX);
	m.begun_ms = get_u64(&w);
	m.ended_ms = get_u64(&w);
	m.history = get_str(&w, JOB_HISTORY_MAX);
	m.n = get_u32(&w);
	m.fates = get_rest(&w);
	if (!wire_done(&w) || m.trouble >= JOB_TROUBLE_COUNT || m.n == 0 || m.n > JOB_RCPTS_MAX ||
	    !fates_valid(m.fates, m.n))
		return false;
	*ret = m;
	return true;
}

/* --- the letter's octets --- */

void
msg_spool_ask_put(struct buf *b, const struct msg_spool_ask *m)
{
	put_u64(b, m->letter);
	put_u32(b, m->part);
	put_u64(b, m->off);
	put_u32(b, m->len);
}

bool
msg_spool_ask_get(struct str body, struct msg_spool_ask *ret)
{
	struct wire w = wire_of(body);
	struct msg_spool_ask m = { 0 };
	m.letter = get_u64(&w);
	m.part = get_u32(&w);
	m.off = get_u64(&w);
	m.len = get_u32(&w);
	if (!wire_done(&w) || m.len == 0 || m.len > SPOOL_CHUNK)
		return false;
	*ret = m;
	return true;
}
