/* The way to a destination: what dns and fetch say of it. */
#include "roles/relay/relay_priv.h"

#include "sys/random.h"

#include <stdio.h>
#include <string.h>

static void
forget(struct dest *d)
{
	if (d->look_id)
		map_del(&d->relay->looks, relay_key(&d->look_id));
	d->look_id = 0;
}

static void
ask_begin(struct dest *d)
{
	struct relay *r = d->relay;
	forget(d);
	d->look = LOOK_ASKED;
	d->look_id = ++r->next_id;
	d->look_until = loop_now(r->role.loop) + LOOK_PATIENCE_MS;
	map_put(&r->looks, relay_key(&d->look_id), d);
}

static const char *
tls_of(const struct dest *d)
{
	return d->route ? d->route->tls : d->relay->conf->relay_tls;
}

/* All is known: the plan is made, good for as long as the answers are. */
void
look_done(struct dest *d)
{
	struct relay *r = d->relay;
	const struct conf *c = r->conf;
	struct plan_conf conf = { .port = (uint16_t)c->relay_port,
		.ipv6 = c->relay_ipv6,
		.tls = tls_of(d),
		.by_route = d->route != NULL,
		.lot = random_u64(),
		.self = &r->self };
	int64_t age = (int64_t)d->mx.ttl * 1000;
	forget(d);
	plan_unref(d->plan);
	d->plan = plan_new(&conf, &d->target, &d->mx, d->has_sts ? &d->sts : NULL);
	d->look = LOOK_DONE;
	d->look_until = loop_now(r->role.loop) + MIN(MAX(age, LOOK_AGE_MIN_MS), LOOK_AGE_MAX_MS);
	if (d->mx.verdict != MX_OK)
		d->look_until = loop_now(r->role.loop) + LOOK_AGE_MIN_MS;
	dest_stir(d);
}

static void
no_answer(struct dest *d, enum mx_verdict v, const char *why)
{
	d->mx = (struct msg_mx){ .verdict = (uint8_t)v, .why = str_of(why) };
	look_done(d);
}

static bool
needs_sts(const struct dest *d)
{
	return d->target.kind == TARGET_MX && d->mx.verdict == MX_OK &&
	       strcmp(tls_of(d), "auto") == 0;
}

/* With an id: the policy of now; without: one that was fetched before is still good. */
static void
ask_sts(struct dest *d)
{
	struct relay *r = d->relay;
	struct msg_sts_ask m = { .domain = d->target.host, .id = d->mx.sts_id };
	struct buf b = BUF_INIT(1024);
	ask_begin(d);
	d->sts_asked = true;
	if (!r->fetch)
		return; /* it comes in a moment: look_fetch_here() */
	msg_sts_ask_put(&b, &m);
	chan_send(r->fetch, IPC_STS_ASK, d->look_id, buf_str(&b), -1);
	buf_done(&b);
}

void
look_begin(struct dest *d)
{
	struct relay *r = d->relay;
	struct msg_mx_ask m = { .mx = d->target.kind == TARGET_MX,
		.tlsa = strcmp(tls_of(d), "auto") == 0,
		.port =
		    d->target.kind == TARGET_MX ? (uint16_t)r->conf->relay_port : d->target.port,
		.name = d->target.host };
	d->sts_asked = d->has_sts = false;
	d->sts_why[0] = '\0';
	bool path = d->target.kind == TARGET_LMTP && d->target.port == 0;
	if (d->target.literal || path || (!r->dns && !r->conf->dns[0])) {
		no_answer(d, MX_OFF, "");
		return;
	}
	if (!msg_domain_ok(m.name)) {
		no_answer(d, MX_NO_DOMAIN, "this is no name of a domain");
		return;
	}
	ask_begin(d);
	if (!r->dns)
		return; /* it comes in a moment: look_dns_here() */
	struct buf b = BUF_INIT(1024);
	msg_mx_ask_put(&b, &m);
	chan_send(r->dns, IPC_MX_ASK, d->look_id, buf_str(&b), -1);
	buf_done(&b);
}

bool
look_mx(struct relay *r, const struct ipc_frame *m)
{
	struct msg_mx mx;
	if (!msg_mx_get(m->body, &mx))
		return false;
	struct dest *d = map_get(&r->looks, relay_key(&m->id));
	if (!d || d->sts_asked)
		return true; /* nobody waits any more */
	buf_reset(&d->mx_octets);
	buf_puts(&d->mx_octets, m->body);
	if (d->mx_octets.failed || !msg_mx_get(buf_str(&d->mx_octets), &d->mx))
		return false;
	if (needs_sts(d) && (r->fetch || r->conf->dns[0]))
		ask_sts(d);
	else
		look_done(d);
	return true;
}

bool
look_sts(struct relay *r, const struct ipc_frame *m)
{
	struct msg_sts sts;
	if (!msg_sts_get(m->body, &sts))
		return false;
	struct dest *d = map_get(&r->looks, relay_key(&m->id));
	if (!d || !d->sts_asked)
		return true;
	struct buf err = BUF_INIT(256);
	buf_reset(&d->sts_text);
	buf_puts(&d->sts_text, sts.policy);
	if (sts.status == 0)
		d->has_sts = sts_parse(buf_str(&d->sts_text), &d->sts, &err);
	struct str why = sts.status == 0 ? buf_str(&err) : sts.why;
	str_copy(d->sts_why, sizeof(d->sts_why), str_first(why, sizeof(d->sts_why) - 1));
	buf_done(&err);
	look_done(d);
	return true;
}

/* What dns was asked it will be asked again, when it is back; tick() gives up in the end. */
void
look_dns_here(struct relay *r)
{
	list_each(n, &r->dests)
	{
		struct dest *d = list_entry(n, struct dest, node);
		if (d->look == LOOK_ASKED && !d->sts_asked)
			look_begin(d);
	}
}

/* A policy that was fetched before is still good (RFC 8461 5.1), and nobody else knows it: without
 * fetch nothing is sent. It is asked again when it is back, and tick() gives up in the end. */
void
look_fetch_here(struct relay *r)
{
	list_each(n, &r->dests)
	{
		struct dest *d = list_entry(n, struct dest, node);
		int64_t until = d->look_until;
		if (d->look != LOOK_ASKED || !d->sts_asked)
			continue;
		ask_sts(d);
		d->look_until = until;
	}
}
