/*
 * srs: sender addresses that lead back: auth makes them and reads them; front remembers what it was
 * told until the transaction is over. Nobody but the session that asks waits.
 */
#include "roles/front/smtp_priv.h"

#include <stdlib.h>

static struct str
key_of(const uint64_t *id)
{
	return str_n(id, sizeof(*id));
}

static const struct srs_known *
find(const struct smtp_part *p, bool reverse, struct str asked)
{
	for (size_t i = 0; i < p->n_srs; i++)
		if (p->srs[i].reverse == reverse && str_ieq(str_of(p->srs[i].asked), asked))
			return &p->srs[i];
	return NULL;
}

#define DAYS_TEXT(n) #n
#define GOOD_FOR(n) "5.1.1 this return address is over: it was good for " DAYS_TEXT(n) " days"
static const char *const refusal[SRS_VERDICTS] = {
	[SRS_NONE] = "5.1.1 this is no return address of ours",
	[SRS_FORGED] = "5.1.1 this return address was not made here, or was damaged on its way",
	[SRS_OLD] = GOOD_FOR(SRS_DAYS),
};

static enum srs_word
ask(struct conn *c, const struct msg_srs_ask *m, struct str key)
{
	struct front *f = c->front;
	struct smtp_part *p = c->smtp;
	struct buf body = BUF_INIT(4096);
	if (!f->auth) {
		(void)conn_park(c);
		return SRS_WAIT;
	}
	p->srs_id = ++f->srs_id;
	p->srs_reverse = m->reverse;
	p->srs_asked = str_dup(key);
	map_put(&f->srs, key_of(&p->srs_id), c);
	msg_srs_ask_put(&body, m);
	chan_send(f->auth, IPC_SRS_ASK, p->srs_id, buf_str(&body), -1);
	buf_done(&body);
	return SRS_WAIT;
}

static enum srs_word
know(struct conn *c, const struct msg_srs_ask *m, struct str key, struct str *ret)
{
	struct smtp_part *p = c->smtp;
	const struct srs_known *k = find(p, m->reverse, key);
	*ret = STR_NULL;
	if (!k && p->n_srs == SRS_KNOWN_MAX)
		return SRS_NO_WORD;
	if (!k)
		return ask(c, m, key);
	*ret = k->verdict == SRS_OK ? str_of(k->told) : str_of(refusal[k->verdict]);
	return k->verdict == SRS_OK ? SRS_WORD : SRS_NO_WORD;
}

enum srs_word
srs_make_for(struct conn *c, struct str domain, struct str *ret)
{
	const struct addr *from = &c->smtp->session.txn->from;
	struct msg_srs_ask m = { .addr = from->whole, .domain = domain };
	return know(c, &m, domain, ret);
}

enum srs_word
srs_leads_to(struct conn *c, struct str address, struct str *ret)
{
	struct msg_srs_ask m = { .reverse = true, .addr = address };
	return know(c, &m, address, ret);
}

void
srs_forget(struct conn *c)
{
	struct smtp_part *p = c->smtp;
	for (size_t i = 0; i < p->n_srs; i++) {
		free(p->srs[i].asked);
		free(p->srs[i].told);
	}
	p->n_srs = 0;
}

void
srs_drop(struct conn *c)
{
	struct smtp_part *p = c->smtp;
	if (p->srs_id)
		map_del(&c->front->srs, key_of(&p->srs_id));
	p->srs_id = 0;
	free(p->srs_asked);
	p->srs_asked = NULL;
}

bool
srs_answered(struct front *f, const struct ipc_frame *m)
{
	struct conn *c = map_get(&f->srs, key_of(&m->id));
	struct smtp_answer a = { .situation = SMTP_NONE };
	struct addr addr;
	struct wire w = wire_of(m->body);
	uint8_t verdict = get_u8(&w);
	struct str told = str_skip(m->body, 1);
	if (w.bad || verdict >= SRS_VERDICTS ||
	    (verdict == SRS_OK && addr_mailbox(told, ADDR_SMTPUTF8, &addr) != ADDR_OK))
		return false;
	if (!c)
		return true;
	struct smtp_part *p = c->smtp;
	check(p->n_srs < SRS_KNOWN_MAX);
	p->srs[p->n_srs++] = (struct srs_known){ p->srs_reverse, verdict,
		str_dup(str_of(p->srs_asked)), str_dup(told) };
	srs_drop(c);
	if (p->session.ask == SMTP_ASK_RCPT && answer_question(c, &a))
		answer_give(c, &a);
	return true;
}

void
srs_auth_gone(struct front *f)
{
	list_each(n, &f->conns)
	{
		struct conn *c = list_entry(n, struct conn, node);
		if (!c->smtp || !c->smtp->srs_id)
			continue;
		srs_drop(c);
		(void)conn_park(c);
	}
}
