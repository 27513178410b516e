/* TLS with another server, as the plan wants it. */
#include "roles/relay/relay_priv.h"

#include "ipc/certs.h"

#include <stdio.h>
#include <string.h>

static const char *const ground_name[GROUND_COUNT] = {
	[GROUND_CONF] = "relay.tls",
	[GROUND_ROUTE] = "route",
	[GROUND_DANE] = "DANE",
	[GROUND_STS] = "MTA-STS",
	[GROUND_STS_TESTING] = "MTA-STS testing",
};

/* --- our certificates --- */

bool
relay_secure_certs(struct relay *r, const struct ipc_frame *m)
{
	struct tls_certs *certs = certs_take(m);
	if (!certs)
		return false;
	tls_certs_unref(r->certs);
	r->certs = certs;
	return true;
}

/* The handshake whose signature is refused. */
static void
mark_unsigned(struct relay *r, uint64_t id)
{
	list_each(n, &r->dests)
	{
		struct dest *d = list_entry(n, struct dest, node);
		list_each(k, &d->conns)
		{
			struct conn *c = list_entry(k, struct conn, node);
			if (c->state == CONN_SHAKES && c->shows && c->sign == id)
				c->unsign = true;
		}
	}
}

bool
relay_secure_signed(struct relay *r, const struct ipc_frame *m)
{
	if (m->body.len == 0)
		mark_unsigned(r, m->id);
	return certs_signed(m);
}

static const char *
certificate_of(const struct conn *c)
{
	return c->dest->route ? c->dest->route->certificate : "";
}

bool
relay_secure_lacks(struct conn *c)
{
	char text[512];
	const char *name = certificate_of(c);
	if (!*name || tls_certs_know(c->relay->certs, name))
		return false;
	snprintf(text, sizeof(text), "no certificate of this server has the name %s", name);
	relay_job_notef(c->job, "%s", text);
	relay_conn_next_host(c, JOB_LATER, JOB_TROUBLE_LOGIN, 0, "4.7.0", str_of(text));
	return true;
}

static bool
ask_signature(void *arg, uint32_t id, const unsigned char key[TLS_KEY_NAME], enum tls_sign_alg alg,
    struct str tbs)
{
	struct conn *c = arg;
	c->sign = id;
	c->unsign = !certs_ask(c->relay->auth, id, key, alg, tbs);
	return !c->unsign;
}

/* auth has too much to do, or its configuration is not yet ours: for a while that is not held
 * against the server. */
static bool
is_our_fault(struct conn *c)
{
	struct dest *d = c->dest;
	int64_t now = loop_now(c->relay->role.loop);
	if (!c->shows || !c->unsign)
		return false;
	if (d->unsigned_since == 0)
		d->unsigned_since = now;
	return now - d->unsigned_since < UNSIGNED_MS;
}

/* --- handshakes --- */

void
relay_secure_begin(struct conn *c)
{
	const struct plan_host *h = relay_conn_host(c);
	const char *cert = certificate_of(c);
	struct buf err = BUF_INIT(512);
	bool dane = c->need == PLAN_DANE;
	/* The records may stand at what the host's name is an alias of; the name is as good. */
	const char *const also[] = { h->name, c->plan->next_hop, c->plan->canonical, NULL };
	if (relay_conn_outdated(c))
		return;
	c->shows = *cert;
	c->sign = 0;
	c->unsign = false;
	struct tls_client_conf conf = {
		.name = dane ? h->tlsa_base : h->name,
		.verify = dane || c->need == PLAN_VERIFY,
		.judge = c->need != PLAN_DANE,
		.tlsa = h->tlsa,
		.n_tlsa = dane ? h->n_tlsa : 0,
		.also_names = dane ? also : NULL,
		.cert_name = c->shows ? cert : NULL,
		.certs = c->relay->certs,
		.sign = ask_signature,
		.sign_arg = c,
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
	c->shown = MAX(c->need, PLAN_ANY);
	snprintf(c->tls, sizeof(c->tls), "%s %s %s%s%s%s", f.version, f.cipher,
	    good ? "verified" : "unverified", c->need >= PLAN_VERIFY ? " (" : "",
	    c->need >= PLAN_VERIFY ? ground_name[relay_conn_host(c)->ground] : "",
	    c->need >= PLAN_VERIFY ? ")" : "");
	relay_job_notef(c->job, "%s%s", c->tls,
	    tls_has_shown(t) ? "; our certificate was asked for, and shown" : "");
	if (!good && detail.len)
		relay_job_notef(c->job, "the certificate is not to be trusted: " STR_FMT,
		    STR_ARG(buf_str(&detail)));
	buf_done(&detail);
	relay_tell_tls(c, t);
	c->dest->unsigned_since = 0;
	c->state = CONN_TALKS;
	smtp_client_secured(c->client);
	drive(c);
}

/* Where TLS is only a wish, the letter goes without it, over a new connection; but not where the
 * server is to know us by our certificate. */
void
relay_secure_failed(struct conn *c, const char *why)
{
	if (is_our_fault(c)) {
		relay_conn_put_back(c, "auth makes no signature with our certificate now");
		return;
	}
	struct tls *t = stream_tls_of(&c->stream);
	struct buf detail = BUF_INIT(256), text = BUF_INIT(4096);
	const char *said = why ? why : t ? tls_error(t) : "the connection broke";
	if (t && !why && tls_cause(t) == TLS_CAUSE_CERTIFICATE)
		(void)tls_peer_trust(t, &detail);
	buf_putf(&text, "no TLS with %s", c->where);
	if (c->need > PLAN_MAY) {
		buf_putz(&text, ", where it is needed (");
		relay_conn_put_ground(c, &text);
		buf_putc(&text, ')');
	}
	buf_putf(&text, ": %s%s" STR_FMT, said, detail.len ? ": " : "", STR_ARG(buf_str(&detail)));
	buf_done(&detail);
	relay_job_note(c->job, "# ", buf_str(&text));
	relay_tell_no_tls(c, t, said);
	if (c->need == PLAN_MAY && !c->clear && !c->shows) {
		c->clear = true;
		relay_conn_again(c, true);
	} else {
		relay_conn_next_host(c, JOB_LATER, JOB_TROUBLE_TLS, 0, "4.7.5", buf_str(&text));
	}
	buf_done(&text);
}
