#include "roles/dns/route_priv.h"

#include "base/check.h"

#include <stdio.h>
#include <string.h>

/* The most that one host takes in the answer; all of them fit into a frame (ipc/frame.c). */
#define HOST_OCTETS_MAX (TLSA_OCTETS_MAX + 1024)
#define HOSTS_OCTETS_MAX (MX_HOSTS_MAX * HOST_OCTETS_MAX)

/* RFC 8305: some of both kinds, when there are more than go in. */
static void
put_addrs(struct buf *b, const struct host *h)
{
	uint16_t v6 = MIN(h->n_v6, (uint16_t)(MX_ADDRS_MAX - MIN(h->n_v4, MX_ADDRS_MAX / 2)));
	uint16_t v4 = MIN(h->n_v4, (uint16_t)(MX_ADDRS_MAX - v6));
	buf_put(b, h->addrs_v6, (size_t)v6 * ADDRESS_LEN);
	buf_put(b, h->addrs_v4, (size_t)v4 * ADDRESS_LEN);
}

static void
put_host(struct buf *b, const struct host *h)
{
	struct buf addrs = BUF_INIT((size_t)MX_ADDRS_MAX * ADDRESS_LEN);
	bool found = h->tlsa == TLSA_SECURE && h->at_base < h->n_base;
	put_addrs(&addrs, h);
	struct msg_mx_host m = {
		.preference = h->preference,
		.name = str_of(h->name),
		.tlsa_base = found ? str_of(h->base[h->at_base]) : STR(""),
		.secure = h->secure,
		.tlsa = (uint8_t)h->tlsa,
		.n_addrs = (uint16_t)(addrs.len / ADDRESS_LEN),
		.n_tlsa = h->n_tlsa,
		.addrs = buf_str(&addrs),
		.tlsas = buf_str(&h->tlsas),
	};
	msg_mx_host_put(b, &m);
	buf_done(&addrs);
}

/* No host has an address: what is to be said of it. */
static void
judge(const struct route *r, struct msg_mx *m, char why[ROUTE_WHY_MAX])
{
	const struct host *blamed = NULL;
	bool failed = false, forged = true, no_name = r->n > 0;
	for (uint16_t i = 0; i < r->n; i++) {
		const struct host *h = &r->hosts[i];
		if (h->n_v4 + h->n_v6 > 0)
			return;
		failed |= h->failed;
		forged &= h->forged;
		no_name &= h->no_name;
		if (!blamed || (h->failed && !blamed->failed))
			blamed = h;
	}
	m->verdict = failed && forged    ? MX_FORGED
	             : failed            ? MX_LATER
	             : no_name && !r->mx ? MX_NO_DOMAIN
	                                 : MX_NO_HOST;
	if (m->verdict == MX_NO_DOMAIN)
		snprintf(why, ROUTE_WHY_MAX, "there is no host %s", r->name);
	else if (m->verdict == MX_NO_HOST && r->implicit)
		snprintf(why, ROUTE_WHY_MAX, "%s has neither MX records nor an address", r->name);
	else if (m->verdict == MX_NO_HOST && r->mx && blamed)
		snprintf(why, ROUTE_WHY_MAX, "the MX hosts of %s have no address (%s)", r->name,
		    blamed->name);
	else if (blamed)
		memcpy(why, blamed->why, ROUTE_WHY_MAX);
}

void
route_answer_put(struct buf *b, const struct route *r)
{
	struct buf hosts = BUF_INIT(HOSTS_OCTETS_MAX);
	char why[ROUTE_WHY_MAX];
	struct msg_mx m = {
		.verdict = (uint8_t)r->verdict,
		.secure = r->secure,
		.implicit = r->implicit,
		.ttl = r->ttl,
		.canonical = str_of(r->canonical),
		.sts_id = buf_str(&r->sts_id),
		.rua = buf_str(&r->rua_text),
	};
	memcpy(why, r->why, sizeof(why));
	if (r->verdict == MX_OK)
		judge(r, &m, why);
	for (uint16_t i = 0; i < r->n; i++)
		put_host(&hosts, &r->hosts[i]);
	check(!hosts.failed);
	m.n = r->n;
	m.hosts = buf_str(&hosts);
	m.why = str_of(why);
	msg_mx_put(b, &m);
	buf_done(&hosts);
}

bool
route_answer_age(struct buf *b, struct str octets, uint32_t left)
{
	struct msg_mx m;
	if (!msg_mx_get(octets, &m))
		return false;
	m.ttl = left;
	msg_mx_put(b, &m);
	return !b->failed;
}

void
route_refuse_put(struct buf *b, enum mx_verdict verdict, const char *why)
{
	struct msg_mx m = { .verdict = (uint8_t)verdict, .why = str_of(why) };
	msg_mx_put(b, &m);
}
