#include "roles/relay/plan.h"

#include "base/check.h"
#include "ipc/chan.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const plan_tls_name[PLAN_TLS_COUNT] = {
	[PLAN_CLEAR] = "none",
	[PLAN_MAY] = "where it is offered",
	[PLAN_ANY] = "needed, with any certificate",
	[PLAN_VERIFY] = "needed, with a certificate for the name",
	[PLAN_DANE] = "needed, with a certificate that a TLSA record names",
};

static const unsigned char v4_prefix[12] = { [10] = 0xff, [11] = 0xff };

struct maker {
	struct plan *p;
	const struct plan_conf *conf;
	const struct target *t;
	const struct msg_mx *mx;
	const struct sts_policy *sts;
	struct buf notes;
	unsigned self; /* the best preference at which we stand, + 1; 0: nowhere */
	char self_name[256];
};

static bool
is_v4(const unsigned char a[16])
{
	return memcmp(a, v4_prefix, sizeof(v4_prefix)) == 0;
}

static void PRINTF(2, 3) note(struct maker *m, const char *fmt, ...)
{
	va_list ap;
	if (m->notes.len)
		buf_putz(&m->notes, "; ");
	va_start(ap, fmt);
	buf_vputf(&m->notes, fmt, ap);
	va_end(ap);
}

/* --- there is no way --- */

static void PRINTF(5, 6) no_way(struct plan *p, bool for_ever, enum job_trouble t,
    const char *status, const char *fmt, ...)
{
	va_list ap;
	p->ok = false;
	p->for_ever = for_ever;
	p->trouble = (uint8_t)t;
	snprintf(p->status, sizeof(p->status), "%s", status);
	va_start(ap, fmt);
	vsnprintf(p->why, sizeof(p->why), fmt, ap);
	va_end(ap);
}

static const struct {
	bool for_ever;
	const char *status, *why;
} verdicts[MX_VERDICT_COUNT] = {
	/* why: where dns has no sentence of its own */
	[MX_NO_DOMAIN] = { true, "5.1.2", "there is no such domain" },
	[MX_NO_MAIL] = { true, "5.1.10", "the domain takes no mail (null MX, RFC 7505)" },
	[MX_NO_HOST] = { true, "5.4.4", "no mail server of the domain has an address" },
	[MX_LATER] = { false, "4.4.3", "the domain's mail servers cannot be looked up now" },
	[MX_FORGED] = { false, "4.4.3", "DNSSEC says that the answer is not true" },
	[MX_OFF] = { false, "4.4.3",
	    "no look-ups are made here: the key dns is empty, or dns is away" },
};

static void
no_answer(struct maker *m)
{
	enum mx_verdict v = m->mx->verdict < MX_VERDICT_COUNT ? m->mx->verdict : MX_LATER;
	struct str why = m->mx->why.len ? m->mx->why : str_of(verdicts[v].why);
	no_way(m->p, verdicts[v].for_ever, JOB_TROUBLE_NAME, verdicts[v].status, STR_FMT,
	    STR_ARG(why));
}

/* --- us --- */

/* RFC 5321 5.1: hosts that are not better than we are lead in circles. A route may name us, too, as
 * long as it is a port of somebody else. */
static void
find_self(struct maker *m, unsigned preference, struct str name, struct str addrs)
{
	const struct self *s = m->conf->self;
	uint16_t port = m->p->port;
	bool us = self_has_name(s, name) && (m->t->kind == TARGET_MX || self_has_port(s, port));
	for (size_t at = 0; !us && at + 16 <= addrs.len; at += 16)
		us = self_has_place(s, (const unsigned char *)addrs.p + at, port,
		    m->t->kind == TARGET_MX && !m->t->literal);
	if (!us || (m->self && m->self <= preference + 1))
		return;
	m->self = preference + 1;
	str_copy(m->self_name, sizeof(m->self_name), str_first(name, 255));
}

/* --- hosts --- */

/* IPv6 and IPv4 by turns. */
static void
take_addrs(struct maker *m, struct plan_host *h, struct str addrs)
{
	size_t n = addrs.len / 16, at[2] = { 0, 0 };
	h->addrs = xalloc(MAX(n, 1) * sizeof(*h->addrs));
	for (unsigned turn = m->conf->ipv6 ? 0 : 1, idle = 0; idle < 2; turn ^= 1) {
		size_t *i = &at[turn];
		while (*i < n && is_v4((const unsigned char *)addrs.p + 16 * *i) != (turn == 1))
			(*i)++;
		idle = *i < n ? 0 : idle + 1;
		if (*i < n && (turn == 1 || m->conf->ipv6))
			memcpy(h->addrs[h->n_addrs++], addrs.p + 16 * *i, 16);
		if (*i < n)
			(*i)++;
	}
}

static void
take_tlsa(struct plan *p, struct plan_host *h, const struct msg_mx_host *from)
{
	struct wire w = wire_of(from->tlsas);
	h->tlsa = xalloc(MAX(from->n_tlsa, 1) * sizeof(*h->tlsa));
	for (size_t i = 0; i < from->n_tlsa; i++) {
		struct msg_mx_tlsa r;
		if (!msg_mx_tlsa_get(&w, &r))
			return;
		struct tls_tlsa t = { r.usage, r.selector, r.matching, r.data };
		if (!tls_tlsa_usable(&t))
			continue;
		size_t off = p->store.len;
		buf_puts(&p->store, r.data); /* room for all was reserved: it does not move */
		t.data = str_n(p->store.p + off, r.data.len);
		h->tlsa[h->n_tlsa++] = t;
	}
}

static void
bar(struct maker *m, struct plan_host *h, const char *why)
{
	h->barred = why;
	note(m, "%s: %s", h->name, why);
}

/* DANE decides about this host: true; h->tls is set. */
static bool
dane(struct maker *m, struct plan_host *h, const struct msg_mx_host *from)
{
	/* Without secure addresses, a look-up that failed may be one that somebody has stopped. */
	bool chain = (m->t->kind != TARGET_MX || m->mx->secure) &&
	             (from->secure || from->tlsa == TLSA_FAILED || from->tlsa_base.len > 0);
	if (!chain || from->tlsa == TLSA_NONE)
		return false;
	h->ground = GROUND_DANE;
	if (from->tlsa == TLSA_FAILED) {
		h->tls = PLAN_DANE;
		bar(m, h, "its TLSA records cannot be had (RFC 7672 2.1.2)");
		return true;
	}
	take_tlsa(m->p, h, from);
	struct str base = from->tlsa_base.len ? from->tlsa_base : from->name;
	h->tls = h->n_tlsa ? PLAN_DANE : PLAN_ANY; /* RFC 7672 2.2: records, none of them usable */
	str_copy(h->tlsa_base, sizeof(h->tlsa_base), base);
	return true;
}

static void
by_sts(struct maker *m, struct plan_host *h)
{
	bool allowed = sts_allows(m->sts, str_of(h->name));
	h->ground = m->sts->mode == STS_ENFORCE ? GROUND_STS : GROUND_STS_TESTING;
	/* Who is testing may have named a host by mistake. */
	h->vouched = h->vouched || (allowed && m->sts->mode == STS_ENFORCE);
	if (m->sts->mode == STS_TESTING) {
		h->tls = PLAN_MAY;
		h->sts_would = !allowed;
		return;
	}
	h->tls = PLAN_VERIFY;
	if (!allowed)
		bar(m, h, "the MTA-STS policy of the domain does not name it");
}

static const struct {
	const char *name;
	enum plan_tls tls;
} by_name[] = {
	{ "never", PLAN_CLEAR },
	{ "may", PLAN_MAY },
	{ "must", PLAN_ANY },
	{ "verify", PLAN_VERIFY },
};

static void
decide_tls(struct maker *m, struct plan_host *h, const struct msg_mx_host *from)
{
	bool sts = m->sts && m->sts->mode != STS_NONE && m->t->kind == TARGET_MX;
	h->tls = PLAN_MAY;
	h->ground = m->conf->by_route ? GROUND_ROUTE : GROUND_CONF;
	h->vouched = m->t->kind != TARGET_MX || m->mx->secure;
	for (size_t i = 0; i < ARRAY_LEN(by_name); i++)
		if (strcmp(by_name[i].name, m->conf->tls) == 0) {
			h->tls = by_name[i].tls;
			return;
		}
	bool by_dane = dane(m, h, from);
	/* Records of no use name no certificate: a policy that is enforced still does. */
	if (sts && (!by_dane || (h->tls == PLAN_ANY && m->sts->mode == STS_ENFORCE)))
		by_sts(m, h);
}

static void
host_done(struct plan_host *h)
{
	free(h->addrs);
	free(h->tlsa);
}

static void
take_host(struct maker *m, const struct msg_mx_host *from)
{
	struct plan *p = m->p;
	struct plan_host *h = &p->hosts[p->n];
	struct str name = from->name;
	if (str_ends(name, STR(".")))
		name = str_first(name, name.len - 1);
	*h = (struct plan_host){ .preference = from->preference };
	if (!str_copy(h->name, sizeof(h->name), name))
		return;
	if (m->self && from->preference + 1u >= m->self) {
		note(m, "%s: not better than this server itself (RFC 5321 5.1)", h->name);
		return;
	}
	take_addrs(m, h, from->addrs);
	if (h->n_addrs == 0) {
		note(m, "%s: no address%s", h->name,
		    m->conf->ipv6 ? "" : " but IPv6, which is off");
		host_done(h);
		return;
	}
	decide_tls(m, h, from);
	p->ok = p->ok || !h->barred;
	p->n++;
}

static uint64_t
next_lot(uint64_t *lot)
{
	*lot = *lot * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return *lot >> 33;
}

/* By preference; of one preference as the lot has it. */
static void
order(struct plan *p, uint64_t lot)
{
	for (size_t i = p->n; i > 1; i--) {
		size_t k = next_lot(&lot) % i;
		struct plan_host t = p->hosts[i - 1];
		p->hosts[i - 1] = p->hosts[k];
		p->hosts[k] = t;
	}
	for (size_t i = 1; i < p->n; i++)
		for (size_t k = i; k > 0 && p->hosts[k].preference < p->hosts[k - 1].preference;
		     k--) {
			struct plan_host t = p->hosts[k];
			p->hosts[k] = p->hosts[k - 1];
			p->hosts[k - 1] = t;
		}
}

/* RFC 7672 3.2.2: beside the host, the domain as it is written and as DNSSEC expands it. */
static void
take_next_hop(struct maker *m)
{
	struct plan *p = m->p;
	if (m->t->kind != TARGET_MX || !m->mx->secure)
		return;
	str_copy(p->next_hop, sizeof(p->next_hop), m->t->host);
	str_copy(p->canonical, sizeof(p->canonical), m->mx->canonical);
}

static void
take_hosts(struct maker *m)
{
	struct plan *p = m->p;
	struct wire w = wire_of(m->mx->hosts);
	struct msg_mx_host h;
	take_next_hop(m);
	for (size_t i = 0; i < m->mx->n && msg_mx_host_get(&w, &h); i++)
		find_self(m, m->t->kind == TARGET_MX ? h.preference : 0, h.name, h.addrs);
	w = wire_of(m->mx->hosts);
	p->hosts = xalloc(MAX(m->mx->n, 1) * sizeof(*p->hosts));
	for (size_t i = 0; i < m->mx->n && msg_mx_host_get(&w, &h); i++)
		take_host(m, &h);
	order(p, m->conf->lot);
	if (p->ok)
		return;
	bool self = m->self && p->n == 0; /* what is barred is better, and may be free again */
	if (self && m->t->kind == TARGET_MX)
		no_way(p, true, JOB_TROUBLE_NAME, "5.4.6",
		    "mail for " STR_FMT
		    " loops: its best mail server %s is this server, which does "
		    "not have the domain",
		    STR_ARG(m->t->host), m->self_name);
	else if (self)
		no_way(p, true, JOB_TROUBLE_NAME, "5.4.6", "%s port %u is this server itself",
		    m->self_name, p->port);
	else if (m->sts && m->sts->mode == STS_ENFORCE)
		no_way(p, false, JOB_TROUBLE_POLICY, "4.7.5",
		    "the MTA-STS policy of " STR_FMT " allows none of its mail servers",
		    STR_ARG(m->t->host));
	else
		no_way(p, false, JOB_TROUBLE_NAME, "4.4.4",
		    "no mail server of " STR_FMT " can be used: " STR_FMT, STR_ARG(m->t->host),
		    STR_ARG(buf_str(&m->notes)));
}

/* --- hosts that need no look-up --- */

static void
take_literal(struct maker *m)
{
	char text[INET6_ADDRSTRLEN];
	struct plan *p = m->p;
	unsigned char a[16];
	bool fits = str_copy(text, sizeof(text), m->t->host);
	memcpy(a, v4_prefix, sizeof(v4_prefix));
	if (!fits || (inet_pton(AF_INET, text, a + 12) != 1 && inet_pton(AF_INET6, text, a) != 1)) {
		no_way(p, true, JOB_TROUBLE_NAME, "5.1.2", STR_FMT " is no address",
		    STR_ARG(m->t->host));
		return;
	}
	find_self(m, 0, STR_NULL, str_n(a, 16));
	if (m->self) {
		no_way(p, true, JOB_TROUBLE_NAME, "5.4.6", "%s port %u is this server itself", text,
		    p->port);
		return;
	}
	p->hosts = xalloc(sizeof(*p->hosts));
	struct plan_host *h = &p->hosts[p->n++];
	str_copy(h->name, sizeof(h->name), str_of(text));
	h->addrs = xalloc(sizeof(*h->addrs));
	memcpy(h->addrs[h->n_addrs++], a, 16);
	decide_tls(m, h, &(struct msg_mx_host){ .name = str_of(text) });
	p->ok = true;
}

static void
take_path(struct maker *m)
{
	struct plan *p = m->p;
	p->hosts = xalloc(sizeof(*p->hosts));
	struct plan_host *h = &p->hosts[p->n++];
	*h = (struct plan_host){ .tls = PLAN_CLEAR, .ground = GROUND_ROUTE, .vouched = true };
	h->addrs = xalloc(sizeof(*h->addrs));
	str_copy(h->name, sizeof(h->name), str_first(m->t->host, 255));
	p->ok = true;
}

struct plan *
plan_new(const struct plan_conf *conf, const struct target *t, const struct msg_mx *mx,
    const struct sts_policy *sts)
{
	struct plan *p = xalloc(sizeof(*p));
	struct maker m = { .p = p, .conf = conf, .t = t, .mx = mx, .sts = sts };
	*p = (struct plan){ .refs = 1, .store = BUF_INIT(IPC_BODY_MAX), .verdict = mx->verdict };
	m.notes = BUF_INIT(sizeof(p->notes) - 1);
	p->port = t->kind == TARGET_MX ? conf->port : t->port;
	check(str_copy(p->tls, sizeof(p->tls), str_of(conf->tls)));
	p->sts = sts && t->kind == TARGET_MX ? sts->mode : STS_NONE;
	check(buf_reserve(&p->store, mx->hosts.len + 1));
	if (t->kind == TARGET_LMTP && t->port == 0)
		take_path(&m);
	else if (t->literal)
		take_literal(&m);
	else if (mx->verdict != MX_OK)
		no_answer(&m);
	else
		take_hosts(&m);
	str_copy(p->notes, sizeof(p->notes), str_first(buf_str(&m.notes), sizeof(p->notes) - 1));
	buf_done(&m.notes);
	return p;
}

struct plan *
plan_ref(struct plan *p)
{
	p->refs++;
	return p;
}

struct plan *
plan_turn(const char *who, bool tls)
{
	struct plan *p = xalloc(sizeof(*p));
	p->refs = 1;
	p->ok = true;
	p->hosts = xalloc(sizeof(*p->hosts));
	p->n = 1;
	p->hosts[0].tls = tls ? PLAN_VERIFY : PLAN_CLEAR;
	p->hosts[0].vouched = true;
	(void)str_copy(p->hosts[0].name, sizeof(p->hosts[0].name),
	    str_first(str_of(who), sizeof(p->hosts[0].name) - 1));
	return p;
}

const struct plan_host *
plan_host_of(const struct plan *p, struct str name)
{
	for (size_t i = 0; p && i < p->n; i++)
		if (str_ieq(str_of(p->hosts[i].name), name))
			return &p->hosts[i];
	return NULL;
}

struct plan *
plan_unref(struct plan *p)
{
	if (!p || --p->refs > 0)
		return NULL;
	for (size_t i = 0; i < p->n; i++)
		host_done(&p->hosts[i]);
	free(p->hosts);
	buf_done(&p->store);
	free(p);
	return NULL;
}

/* --- letters --- */

bool
plan_bars(const struct plan_host *h, bool requiretls, bool optional)
{
	/* RFC 8689 3: what the sender wishes weighs more than what the recipient's domain asks. */
	return h->barred && (requiretls || !optional);
}

bool
plan_for_letter(const struct plan_host *h, bool requiretls, bool optional, enum plan_tls *ret,
    const char **ret_why)
{
	bool theirs = h->ground == GROUND_DANE || h->ground == GROUND_STS;
	*ret = h->tls;
	*ret_why = plan_bars(h, requiretls, optional) ? h->barred : "";
	if (**ret_why)
		return false;
	if (requiretls) {
		*ret = h->tls == PLAN_DANE ? PLAN_DANE : PLAN_VERIFY;
		if (h->tls == PLAN_CLEAR)
			*ret_why = "the letter needs TLS (REQUIRETLS), and the route says never";
		else if (!h->vouched)
			*ret_why =
			    "the letter needs TLS (REQUIRETLS), and neither DNSSEC nor MTA-STS "
			    "vouches for the name of the mail server";
		return **ret_why == '\0';
	}
	if (optional && theirs)
		*ret = PLAN_MAY;
	return true;
}

bool
plan_suits(enum plan_tls shown, enum plan_tls need)
{
	return need <= PLAN_MAY || shown == need || (need == PLAN_ANY && shown > PLAN_ANY);
}
