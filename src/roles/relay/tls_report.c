/*
 * What is told of TLS to domains that ask for it (RFC 8460): one session each, under the policy
 * that held for its host. store adds them up and sends the reports. And what is counted of it.
 */
#include "mail/tlsrpt.h"
#include "metrics/metrics.h"
#include "roles/relay/relay_priv.h"

#include <stdlib.h>

static bool
is_wanted(const struct conn *c)
{
	const struct dest *d = c->dest;
	return c->job && d->target.kind == TARGET_MX && d->mx.rua.len && c->relay->conf->tlsrpt;
}

static enum tlsrpt_policy
policy_of(const struct plan_host *h)
{
	return h->ground == GROUND_DANE                                     ? TLSRPT_TLSA
	       : h->ground == GROUND_STS || h->ground == GROUND_STS_TESTING ? TLSRPT_STS
	                                                                    : TLSRPT_NO_POLICY;
}

/* --- counted --- */

static enum tls_seen_policy
seen_policy(const struct conn *c)
{
	enum plan_ground ground = relay_conn_host(c)->ground;
	return c->need == PLAN_CLEAR   ? SEEN_NONE
	       : c->need == PLAN_MAY   ? SEEN_OPPORTUNISTIC
	       : ground == GROUND_DANE ? SEEN_DANE
	       : ground == GROUND_STS  ? SEEN_STS
	                               : SEEN_REQUIRED;
}

static void
seen(const struct conn *c, enum tls_seen_result result)
{
	c->relay->tls_seen[seen_policy(c)][result]++;
}

void
relay_tls_figures(const struct relay *r, struct buf *rows)
{
	static const char *const policy[SEEN_POLICIES] = { "dane", "sts", "required",
		"opportunistic", "none" };
	static const char *const result[SEEN_RESULTS] = { "verified", "unverified", "failed",
		"not_offered", "clear" };
	for (size_t i = 0; i < SEEN_POLICIES; i++) {
		for (size_t k = 0; k < SEEN_RESULTS; k++) {
			const struct metric_label labels[] = { { "policy", str_of(policy[i]) },
				{ "result", str_of(result[k]) } };
			metrics_put(rows, METRIC_TLS_OUT, labels, 2, r->tls_seen[i][k]);
		}
	}
}

/* --- told --- */

static void
put_tlsa(struct buf *b, const struct tls_tlsa *t)
{
	if (b->len)
		buf_putc(b, '\n');
	buf_putf(b, "%u %u %u ", t->usage, t->selector, t->matching);
	for (size_t i = 0; i < t->data.len; i++)
		buf_putf(b, "%02x", (unsigned char)t->data.p[i]);
}

/* Lines that end in CRLF or LF, without their CR. */
static void
put_lines(struct buf *b, struct str text)
{
	while (text.p && text.len) {
		buf_puts(b, str_rtrim(str_cut(&text, '\n')));
		buf_putc(b, '\n');
	}
}

static void
put_facts(const struct conn *c, enum tlsrpt_policy policy, const struct plan_host *h,
    const struct tlsrpt_session *s)
{
	const struct dest *d = c->dest;
	struct buf text = BUF_INIT(256u << 10), mx = BUF_INIT(64u << 10);
	struct tlsrpt_facts *f = xalloc(sizeof(*f));
	for (size_t i = 0; policy == TLSRPT_TLSA && h && i < h->n_tlsa; i++)
		put_tlsa(&text, &h->tlsa[i]);
	if (policy == TLSRPT_STS && d->has_sts) {
		put_lines(&text, buf_str(&d->sts_text));
		for (size_t i = 0; i < d->sts.n; i++)
			buf_putf(&mx, STR_FMT "\n", STR_ARG(d->sts.mx[i]));
	}
	*f = (struct tlsrpt_facts){ .domain = d->target.host,
		.rua = d->mx.rua,
		.policy = policy,
		.text = buf_str(&text),
		.mx = buf_str(&mx),
		.n = 1,
		.session = { *s } };
	tlsrpt_facts_put(&c->job->tlsrpt, f);
	free(f);
	buf_done(&text);
	buf_done(&mx);
}

static void
tell(const struct conn *c, enum tlsrpt_result result, struct str why)
{
	const struct plan_host *h = relay_conn_host(c);
	bool told = h->barred && h->ground == GROUND_DANE; /* by relay_tell_plan() */
	const struct tlsrpt_session s = { .result = result,
		.mx = str_of(h->name),
		.helo = str_of(c->helo),
		.ip = str_of(c->ip),
		.own_ip = str_of(c->own_ip),
		.why = result == TLSRPT_OK ? STR("") : why };
	if (is_wanted(c) && !told)
		put_facts(c, policy_of(h), h, &s);
}

static enum tlsrpt_result
result_of(enum tls_trust t)
{
	switch (t) {
	case TLS_TRUST_OK:
		return TLSRPT_OK;
	case TLS_TRUST_EXPIRED:
		return TLSRPT_EXPIRED;
	case TLS_TRUST_NAME:
		return TLSRPT_HOST_MISMATCH;
	case TLS_TRUST_SELF_SIGNED:
	case TLS_TRUST_UNKNOWN_ROOT:
	case TLS_TRUST_INCOMPLETE:
	case TLS_TRUST_REVOKED:
		return TLSRPT_NOT_TRUSTED;
	case TLS_TRUST_NO_CERT:
	case TLS_TRUST_EARLY:
	case TLS_TRUST_PURPOSE:
	case TLS_TRUST_WEAK:
	case TLS_TRUST_OTHER:
	case TLS_TRUST_DANE:
	case TLS_TRUST_COUNT:
		break;
	}
	return TLSRPT_FAILED;
}

void
relay_tell_tls(const struct conn *c, const struct tls *t)
{
	const struct plan_host *h = relay_conn_host(c);
	struct buf detail = BUF_INIT(256);
	enum tls_trust trust = tls_peer_trust(t, &detail);
	seen(c, trust == TLS_TRUST_OK ? SEEN_VERIFIED : SEEN_UNVERIFIED);
	/* A policy that is only being tried out, or overruled, keeps nothing back, but is told of.
	 */
	if (h->barred || (h->ground == GROUND_STS_TESTING && h->sts_would))
		tell(c, TLSRPT_FAILED, STR("the policy does not name this host"));
	else if (h->ground == GROUND_STS_TESTING || c->need >= PLAN_VERIFY)
		tell(c, result_of(trust), buf_str(&detail));
	else
		tell(c, TLSRPT_OK, STR(""));
	buf_done(&detail);
}

void
relay_tell_no_tls(const struct conn *c, const struct tls *t, const char *why)
{
	struct buf detail = BUF_INIT(256);
	enum tlsrpt_result r = TLSRPT_FAILED;
	seen(c, SEEN_FAILED);
	if (t && tls_cause(t) == TLS_CAUSE_CERTIFICATE)
		r = result_of(tls_peer_trust(t, &detail));
	if (r == TLSRPT_OK)
		r = TLSRPT_FAILED;
	tell(c, r, detail.len ? buf_str(&detail) : str_of(why));
	buf_done(&detail);
}

void
relay_tell_no_starttls(const struct conn *c)
{
	seen(c, SEEN_NOT_OFFERED);
	tell(c, TLSRPT_NO_STARTTLS, STR(""));
}

void
relay_tell_clear(const struct conn *c)
{
	seen(c, SEEN_CLEAR);
	/* That a handshake failed before was told then. */
	if (c->need == PLAN_MAY && !c->clear)
		tell(c, TLSRPT_NO_STARTTLS, STR(""));
}

/* What went wrong before there was any connection. */
void
relay_tell_plan(const struct conn *c)
{
	const struct dest *d = c->dest;
	struct wire w = wire_of(d->mx.hosts);
	struct msg_mx_host h;
	if (!is_wanted(c))
		return;
	if (!d->has_sts && d->sts_why[0]) {
		struct str rest = str_of(d->sts_why), kind = str_cut(&rest, ':');
		enum tlsrpt_result r = TLSRPT_STS_FETCH;
		for (int i = TLSRPT_STS_FETCH; i <= TLSRPT_STS_WEBPKI; i++)
			if (str_eq(kind, str_of(tlsrpt_result_name[i])))
				r = (enum tlsrpt_result)i;
		put_facts(c, TLSRPT_STS, NULL,
		    &(struct tlsrpt_session){ .result = r, .why = str_trim(rest) });
	}
	while (w.left && msg_mx_host_get(&w, &h))
		if (h.tlsa == TLSA_FAILED && d->mx.secure && h.n_addrs)
			put_facts(c, TLSRPT_TLSA, NULL,
			    &(struct tlsrpt_session){
				.result = TLSRPT_DNSSEC_INVALID, .mx = h.name });
}
