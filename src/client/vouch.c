/* What is asked for before a connection, and what comes of it. */
#include "client/vouch.h"

#include "client/exit.h"
#include "client/link_priv.h"
#include "client/vouch_priv.h"

#include <stdlib.h>

#define TLSA_DATA_MAX (128u << 10)
#define OBJECTION_MAX 8192

void
vouch_init(struct vouch *v)
{
	memset(v, 0, sizeof(*v));
	sts_found_init(&v->sts);
}

void
vouch_done(struct vouch *v)
{
	sts_found_done(&v->sts);
}

void
vouch_route(struct vouch *v, const char *domain, const struct dns_route *r)
{
	struct buf err = BUF_INIT(512);
	struct str d = str_of(domain);

	if (d.len == 0 || d.p[0] == '[' || !dns_name(d, v->domain, &err))
		v->domain[0] = '\0';
	buf_done(&err);
	/* Without MX records the host is the domain itself: its own TLSA records say enough. */
	v->by_mx = !r->fixed && !r->implicit;
	v->route_proven = r->ad || !v->by_mx;
}

bool
vouch_recipients(struct vouch *v, const struct cli_words *to, struct buf *err)
{
	char name[DNS_NAME_MAX];

	for (size_t i = 0; i < to->n; i++) {
		struct str rest = str_of(to->v[i]);
		if (str_starts(rest, STR("@")))
			continue;
		while (rest.len) {
			struct str one = str_trim(str_cut(&rest, ','));
			struct buf bad = BUF_INIT(512);
			one = str_skip(one, str_rfind(one, '@') + 1);
			if (str_ends(one, STR(">")))
				one.len--;
			bool ok = one.len && one.p[0] != '[' && dns_name(one, name, &bad);
			buf_done(&bad);
			if (!ok)
				continue;
			if (*v->domain && !str_ieq(str_of(v->domain), str_of(name))) {
				buf_putf(err,
				    "--mta-sts is about one domain at a time, and there are "
				    "recipients "
				    "at %s and %s",
				    v->domain, name);
				return false;
			}
			str_copy(v->domain, sizeof(v->domain), str_of(name));
		}
	}
	return true;
}

/* --- for the link ------------------------------------------------------------------------- */

int
vouch_object(struct link *l, int status, const char *fmt, ...)
{
	struct buf *b = &l->vouched->objection;
	va_list ap;

	buf_reset(b);
	va_start(ap, fmt);
	buf_vputf(b, fmt, ap);
	va_end(ap);
	l->vouched->must_tls = true;
	if (!l->conf->vouch->lenient)
		return link_fail(l, status, STR_FMT, STR_ARG(buf_str(b)));
	event_warn(l->ev, "tls", STR_FMT, STR_ARG(buf_str(b)));
	return CLIENT_OK;
}

void
vouch_host(const struct link *l, char ret[DNS_NAME_MAX])
{
	struct str host = str_of(l->conf->host);
	struct buf err = BUF_INIT(512);
	char addr[46];

	if (dns_is_address(host, addr) || !dns_name(host, ret, &err))
		ret[0] = '\0';
	buf_done(&err);
}

/* RFC 8461 4.1, 5 */
static int
obey_policy(struct link *l, const char *host)
{
	const struct vouch *v = l->conf->vouch;
	const struct sts_policy *p = &v->sts.policy;
	struct buf text = BUF_INIT(STS_POLICY_MAX);

	sts_text(&v->sts, &text);
	event_note(l->ev, "MTA-STS of %s: " STR_FMT, v->sts.domain, STR_ARG(buf_str(&text)));
	buf_done(&text);
	if (p->mode == STS_NONE)
		return CLIENT_OK;
	bool allowed = sts_allows(p, str_of(host));
	l->vouched->testing = p->mode == STS_TESTING;
	if (p->mode == STS_TESTING) {
		if (!allowed)
			event_warn(l->ev, "tls",
			    "%s is none of the hosts that the MTA-STS policy of %s names: in mode "
			    "enforce it would be refused",
			    *host ? host : l->conf->host, v->sts.domain);
		return CLIENT_OK;
	}
	l->vouched->must_tls = true;
	l->vouched->must_verify = !v->lenient;
	if (allowed)
		return CLIENT_OK;
	return vouch_object(l, CLIENT_TLS,
	    "%s is none of the hosts that the MTA-STS policy of %s names: another server stands in "
	    "for it, or the owner of the domain must add it to the policy",
	    *host ? host : l->conf->host, v->sts.domain);
}

static int
sts_begin(struct link *l, struct dns *d)
{
	struct vouch *v = l->conf->vouch;
	char host[DNS_NAME_MAX];

	vouch_host(l, host);
	const char *domain = *v->domain ? v->domain : host;
	if (!*domain)
		return vouch_object(l, CLIENT_TLS,
		    "%s is no domain that could have a policy of MTA-STS; name one by --mx or by "
		    "recipients",
		    l->conf->host);
	sts_find(&v->sts, l->conf, d, domain, (uint16_t)v->sts_port);
	switch (v->sts.state) {
	case STS_FOUND:
		return obey_policy(l, host);
	case STS_FAILED:
		if (v->sts.status == CLIENT_INTERRUPTED)
			return link_fail(l, CLIENT_INTERRUPTED,
			    "interrupted while the policy of MTA-STS was fetched");
		return vouch_object(l,
		    v->sts.status == CLIENT_RESOLVE ? CLIENT_RESOLVE : CLIENT_TLS,
		    "the MTA-STS policy of %s cannot be had: " STR_FMT, domain,
		    STR_ARG(buf_str(&v->sts.why)));
	case STS_ABSENT:
	case STS_UNASKED:
		break;
	}
	event_warn(l->ev, "tls",
	    "%s has no policy of MTA-STS (there is no TXT record _mta-sts.%s): nothing is asked "
	    "of its servers",
	    domain, domain);
	return CLIENT_OK;
}

int
vouch_begin(struct link *l)
{
	const struct vouch *v = l->conf->vouch;
	struct buf err = BUF_INIT(1024);
	struct dns d;
	int status = CLIENT_OK;

	if (!v || !(v->dane || v->mta_sts))
		return CLIENT_OK;
	l->vouched = xalloc(sizeof(*l->vouched));
	l->vouched->data = BUF_INIT(TLSA_DATA_MAX);
	l->vouched->objection = BUF_INIT(OBJECTION_MAX);
	if (!dns_init(&d, l->conf, l->conf->dns, &err))
		status = link_fail(l, CLIENT_USAGE, STR_FMT, STR_ARG(buf_str(&err)));
	buf_done(&err);
	if (status == CLIENT_OK && v->mta_sts)
		status = sts_begin(l, &d);
	if (status == CLIENT_OK && v->dane)
		status = dane_begin(l, &d);
	return status;
}

void
vouch_end(struct link *l)
{
	if (l->vouched) {
		buf_done(&l->vouched->data);
		buf_done(&l->vouched->objection);
	}
	free(l->vouched);
	l->vouched = NULL;
}
