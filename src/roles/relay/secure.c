/* TLS with another server, as the plan wants it. */
#include "roles/relay/relay_priv.h"

#include <stdio.h>
#include <string.h>

static const char *const ground_name[GROUND_COUNT] = {
	[GROUND_CONF] = "relay.tls",
	[GROUND_ROUTE] = "route",
	[GROUND_DANE] = "DANE",
	[GROUND_STS] = "MTA-STS",
	[GROUND_STS_TESTING] = "MTA-STS testing",
};

void
relay_secure_begin(struct conn *c)
{
	const struct plan_host *h = relay_conn_host(c);
	struct buf err = BUF_INIT(512);
	bool dane = c->need == PLAN_DANE;
	struct tls_client_conf conf = {
		.name = dane ? h->tlsa_base : h->name,
		.verify = dane || c->need == PLAN_VERIFY,
		.judge = c->need != PLAN_DANE,
		.tlsa = h->tlsa,
		.n_tlsa = dane ? h->n_tlsa : 0,
		.also_name = dane && h->also_name[0] ? h->also_name : NULL,
	};
	struct tls *t = tls_client_connect(c->relay->tls, &conf, c->stream.fd, &err);
	c->state = CONN_SHAKES;
	if (!t) {
		char why[512];
		str_copy(why, sizeof(why), str_first(buf_str(&err), sizeof(why) - 1));
		buf_done(&err);
		relay_secure_failed(c, why);
		return;
	}
	buf_done(&err);
	stream_tls(&c->stream, t);
	relay_conn_arm(c, (int64_t)c->relay->conf->relay_connect_seconds * 1000);
}

void
relay_secure_done(struct conn *c)
{
	struct tls *t = stream_tls_of(&c->stream);
	struct tls_facts f;
	struct buf detail = BUF_INIT(256);
	tls_facts(t, &f);
	bool good = tls_peer_trust(t, &detail) == TLS_TRUST_OK;
	snprintf(c->tls, sizeof(c->tls), "%s %s %s%s%s%s", f.version, f.cipher,
	    good ? "verified" : "unverified", c->need >= PLAN_VERIFY ? " (" : "",
	    c->need >= PLAN_VERIFY ? ground_name[relay_conn_host(c)->ground] : "",
	    c->need >= PLAN_VERIFY ? ")" : "");
	relay_job_notef(c->job, "%s", c->tls);
	if (!good && detail.len)
		relay_job_notef(c->job, "the certificate is not to be trusted: " STR_FMT,
		    STR_ARG(buf_str(&detail)));
	buf_done(&detail);
	relay_tell_tls(c, t);
	c->state = CONN_TALKS;
	smtp_client_secured(c->client);
	drive(c);
}

/* Where TLS is only a wish, the letter goes without it, over a new connection. */
void
relay_secure_failed(struct conn *c, const char *why)
{
	struct tls *t = stream_tls_of(&c->stream);
	struct buf detail = BUF_INIT(256);
	char text[768];
	const char *said = why ? why : t ? tls_error(t) : "the connection broke";
	if (t && !why && tls_cause(t) == TLS_CAUSE_CERTIFICATE)
		(void)tls_peer_trust(t, &detail);
	snprintf(text, sizeof(text), "no TLS with %s: %s%s" STR_FMT, c->where, said,
	    detail.len ? ": " : "", STR_ARG(buf_str(&detail)));
	buf_done(&detail);
	relay_job_notef(c->job, "%s", text);
	relay_tell_no_tls(c, t, said);
	if (c->need == PLAN_MAY && !c->clear) {
		c->clear = true;
		relay_conn_again(c, true);
		return;
	}
	relay_conn_next_host(c, JOB_LATER, JOB_TROUBLE_TLS, 0, "4.7.5", str_of(text));
}
