/*
 * etrn: a client asks for a queue run (RFC 1985). Store says how much waits; relays connect to
 * where the mail has to go, never to who asks.
 */
#include "roles/front/smtp_priv.h"

#include "route/host.h"

#include <stdio.h>

#define ASKS_A_MINUTE 6 /* of one session */

static struct str
key_of(const uint64_t *id)
{
	return str_n(id, sizeof(*id));
}

static bool
may_ask(const struct conn *c, struct str node)
{
	const struct smtp_session *s = &c->smtp->session;
	char domain[HOST_MAX];
	if (s->authenticated || s->ours)
		return true;
	if (str_starts(node, STR("#")))
		return false;
	if (str_starts(node, STR("@")))
		node = str_skip(node, 1);
	return host_ascii(node, domain) && onward_backs_up(c->settings->conf, str_of(domain));
}

static bool
too_often(struct conn *c)
{
	struct smtp_part *p = c->smtp;
	int64_t minute = c->front->clock.now / 60000;
	if (p->etrn_minute != minute)
		p->etrn_count = 0;
	p->etrn_minute = minute;
	return ++p->etrn_count > ASKS_A_MINUTE;
}

/* As names are known in the queue; behind # stands whatever an administrator has written. */
static bool
put_node(struct str node, struct buf *out)
{
	char domain[HOST_MAX];
	bool below = str_starts(node, STR("@"));
	if (str_starts(node, STR("#"))) {
		buf_puts(out, node);
		return true;
	}
	if (!host_ascii(str_skip(node, below), domain))
		return false;
	buf_putf(out, "%s%s", below ? "@" : "", domain);
	return true;
}

bool
etrn_ask(struct conn *c, struct smtp_answer *a)
{
	struct front *f = c->front;
	struct smtp_part *p = c->smtp;
	struct str node = p->session.arg;
	struct buf body = BUF_INIT(1024);
	if (p->etrn_id)
		return false;
	a->situation = SMTP_ETRN_SYNTAX;
	if (!may_ask(c, node))
		a->situation = SMTP_ETRN_DENIED;
	else if (!f->store || too_often(c))
		a->situation = SMTP_ETRN_UNABLE;
	else if (put_node(node, &body)) {
		LOG(LOG_INFO, c->id, "etrn", LOGZ("peer", c->ip), LOGF("node", node));
		p->etrn_id = ++f->etrn_id;
		map_put(&f->etrns, key_of(&p->etrn_id), c);
		chan_send(f->store, IPC_ETRN, p->etrn_id, buf_str(&body), -1);
	}
	buf_done(&body);
	return p->etrn_id == 0;
}

void
etrn_drop(struct conn *c)
{
	if (c->smtp->etrn_id)
		map_del(&c->front->etrns, key_of(&c->smtp->etrn_id));
	c->smtp->etrn_id = 0;
}

static void
tell(struct conn *c, enum smtp_situation say, uint32_t n)
{
	char count[16];
	snprintf(count, sizeof(count), "%u", (unsigned)n);
	struct smtp_answer a = { .situation = say, .counter = str_of(count) };
	etrn_drop(c);
	if (c->smtp->session.ask == SMTP_ASK_ETRN)
		answer_give(c, &a);
}

/* How much waits is for our own people to know. */
bool
etrn_answered(struct front *f, const struct ipc_frame *m)
{
	uint32_t n;
	struct conn *c = map_get(&f->etrns, key_of(&m->id));
	if (!msg_u32_get(m->body, &n))
		return false;
	if (!c)
		return true;
	const struct smtp_session *s = &c->smtp->session;
	if (n == UINT32_MAX)
		tell(c, SMTP_ETRN_DENIED, 0);
	else if (n == MSG_COUNT_NOT_YET)
		tell(c, SMTP_ETRN_UNABLE, 0);
	else if (n == 0)
		tell(c, SMTP_ETRN_NONE, 0);
	else
		tell(c, s->authenticated || s->ours ? SMTP_ETRN_COUNT : SMTP_ETRN_PENDING, n);
	return true;
}

void
etrn_store_gone(struct front *f)
{
	list_each(n, &f->conns)
	{
		struct conn *c = list_entry(n, struct conn, node);
		if (c->smtp && c->smtp->etrn_id)
			tell(c, SMTP_ETRN_UNABLE, 0);
	}
}
