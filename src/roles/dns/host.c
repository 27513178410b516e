/* One host: its addresses, and the TLSA records that stand for it (RFC 7672 2.2). */
#include "roles/dns/route_priv.h"

#include <stdio.h>
#include <string.h>

static void on_more(void *arg, const struct lookup_answer *a);

static void
finish(struct host *h)
{
	if (h->done)
		return;
	h->done = true;
	route_host_done(h);
}

static void
tlsa_end(struct host *h, enum tlsa_verdict v)
{
	h->tlsa = v;
	finish(h);
}

static void
try_base(struct host *h)
{
	char name[TLSA_NAME_MAX];
	while (h->at_base < h->n_base) {
		int n = snprintf(name, sizeof(name), "_%u._tcp.%s", h->route->port,
		    h->base[h->at_base]);
		/* A name too long to exist has no records. */
		if (n > HOST_NAME_MAX) {
			h->at_base++;
			continue;
		}
		if (!route_ask_record(h->route, &h->more, name, DNS_TLSA, on_more, h))
			tlsa_end(h, TLSA_FAILED);
		return;
	}
	tlsa_end(h, TLSA_NONE);
}

static void
take_tlsas(struct host *h, const struct lookup_answer *a)
{
	for (size_t i = 0; i < a->n && h->n_tlsa < MX_TLSA_MAX; i++) {
		struct msg_mx_tlsa t;
		size_t before = h->tlsas.len;
		if (!tlsa_read(a->data[i], &t))
			continue;
		msg_mx_tlsa_put(&h->tlsas, &t);
		if (h->tlsas.failed) {
			buf_trunc(&h->tlsas, before);
			h->tlsas.failed = false;
			return;
		}
		h->n_tlsa++;
	}
}

/* Of a TLSA look-up. */
static void
on_more(void *arg, const struct lookup_answer *a)
{
	struct host *h = arg;
	route_ttl(h->route, a);
	if (a->verdict == LOOKUP_FAILED) {
		tlsa_end(h, TLSA_FAILED);
		return;
	}
	if (a->verdict == LOOKUP_DATA && a->secure) {
		take_tlsas(h, a);
		tlsa_end(h, h->n_tlsa ? TLSA_SECURE : TLSA_FAILED);
		return;
	}
	h->at_base++;
	try_base(h);
}

/* RFC 7672 2.2.2: the addresses are not DNSSEC's, but the alias that leads to them may be. */
static void
on_alias(void *arg, const struct lookup_answer *a)
{
	struct host *h = arg;
	route_ttl(h->route, a);
	if (a->verdict == LOOKUP_FAILED) {
		tlsa_end(h, TLSA_FAILED);
	} else if (a->verdict == LOOKUP_DATA && a->secure) {
		h->base[h->n_base++] = h->name;
		try_base(h);
	} else {
		tlsa_end(h, TLSA_NONE);
	}
}

static void
look_for_tlsa(struct host *h)
{
	if (!h->route->want_tlsa) {
		finish(h);
	} else if (h->n_v4 + h->n_v6 == 0) {
		tlsa_end(h, h->failed ? TLSA_FAILED : TLSA_NONE);
	} else if (h->secure) {
		if (h->canonical[0])
			h->base[h->n_base++] = h->canonical;
		h->base[h->n_base++] = h->name;
		try_base(h);
	} else if (!h->canonical[0]) {
		tlsa_end(h, TLSA_NONE);
	} else if (!route_ask_record(h->route, &h->more, h->name, DNS_CNAME, on_alias, h)) {
		tlsa_end(h, TLSA_FAILED);
	}
}

static void
say_why(struct host *h, const struct lookup_answer *a)
{
	if (a->verdict == LOOKUP_FAILED && (a->forged || !h->forged))
		snprintf(h->why, sizeof(h->why), "%s: %s%s%s", h->name,
		    a->forged ? "DNSSEC says that its address is forged" : "no name server answers",
		    *a->why ? ": " : "", a->why);
	else if (!h->why[0])
		snprintf(h->why, sizeof(h->why), "%s has no address", h->name);
}

static void
take_answer(struct host *h, const struct lookup_answer *a)
{
	route_ttl(h->route, a);
	if (a->verdict == LOOKUP_DATA) {
		h->insecure |= !a->secure;
		if (!h->canonical[0])
			route_canonical(a, h->name, h->canonical);
	} else {
		say_why(h, a);
		h->failed |= a->verdict == LOOKUP_FAILED;
		h->forged |= a->forged;
	}
	h->no_name = (h->answered == 0 || h->no_name) && a->no_name;
	if (++h->answered < 2)
		return;
	h->secure = h->n_v4 + h->n_v6 > 0 && !h->insecure;
	look_for_tlsa(h);
}

static void
on_v4(void *arg, const struct lookup_answer *a)
{
	struct host *h = arg;
	for (size_t i = 0; i < a->n && h->n_v4 < MX_ADDRS_MAX; i++)
		if (a->data[i].len == 4) {
			unsigned char *to = h->addrs_v4[h->n_v4++];
			memcpy(to, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12);
			memcpy(to + 12, a->data[i].p, 4);
		}
	take_answer(h, a);
}

static void
on_v6(void *arg, const struct lookup_answer *a)
{
	struct host *h = arg;
	for (size_t i = 0; i < a->n && h->n_v6 < MX_ADDRS_MAX; i++)
		if (a->data[i].len == ADDRESS_LEN)
			memcpy(h->addrs_v6[h->n_v6++], a->data[i].p, ADDRESS_LEN);
	take_answer(h, a);
}

void
host_begin(struct host *h)
{
	static const struct lookup_answer none = { .verdict = LOOKUP_FAILED, .why = "" };
	struct route *r = h->route;
	bool v6 = route_ask_record(r, &h->v6, h->name, DNS_AAAA, on_v6, h);
	bool v4 = route_ask_record(r, &h->v4, h->name, DNS_A, on_v4, h);
	/* The second of these may end the host, so nothing follows. */
	if (!v6 && !v4)
		take_answer(h, &none);
	if (!v6 || !v4)
		take_answer(h, &none);
}

void
host_stop(struct host *h)
{
	lookup_cancel(&h->v4);
	lookup_cancel(&h->v6);
	lookup_cancel(&h->more);
	if (h->done)
		return;
	h->done = true;
	h->failed = true;
	if (h->route->want_tlsa)
		h->tlsa = TLSA_FAILED;
	if (!h->why[0])
		snprintf(h->why, sizeof(h->why), "%s: no name server answers in time", h->name);
}

void
host_free(struct host *h)
{
	host_stop(h);
	buf_done(&h->tlsas);
}
