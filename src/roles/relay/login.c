/* Logins at other servers: auth has the secrets and says what to say. */
#include "roles/relay/relay_priv.h"

#include "tls/tls.h"

#include <stdlib.h>
#include <string.h>

#define LOGIN_PATIENCE_S 60

struct login {
	struct conn *conn;
	uint64_t id;
	bool begun; /* the mechanism is known */
	bool asked; /* auth has the word */
};

void
relay_login_drop(struct conn *c)
{
	struct login *l = c->login;
	struct relay *r = c->relay;
	if (!l)
		return;
	c->login = NULL;
	map_del(&r->logins, relay_key(&l->id));
	if (r->auth)
		chan_send(r->auth, IPC_LOGIN_DROP, l->id, STR_NULL, -1);
	free(l);
}

static struct str
binding(const unsigned char *p, size_t n)
{
	return str_n(p, n);
}

static void
ask(struct conn *c, uint16_t type, struct buf *body)
{
	chan_send(c->relay->auth, type, c->login->id, buf_str(body), -1);
	c->login->asked = true;
	relay_conn_arm(c, LOGIN_PATIENCE_S * 1000);
}

/* The session asks: the first word, or the answer to a challenge. */
void
relay_login_begin(struct conn *c, const struct smtp_client_event *ev)
{
	struct relay *r = c->relay;
	struct buf b = BUF_INIT(64u << 10);
	if (!r->auth || !c->dest->route) {
		relay_login_drop(c);
		if (ev->challenge)
			smtp_client_auth_cancel(c->client, STR("the secrets cannot be had now"));
		else
			smtp_client_auth_none(c->client);
		return;
	}
	if (ev->challenge && c->login) {
		buf_puts(&b, ev->octets);
		ask(c, IPC_LOGIN_STEP, &b);
		buf_wipe(&b);
		buf_done(&b);
		return;
	}
	struct tls *t = stream_tls_of(&c->stream);
	struct tls_facts f = { 0 };
	struct buf detail = BUF_INIT(256);
	if (t)
		tls_facts(t, &f);
	struct msg_login_start m = { .route = str_of(c->dest->route->match),
		.host = str_of(relay_conn_host(c)->name),
		.mechs = str_of(smtp_client_caps(c->client)->mechs),
		.tls = t != NULL,
		/* A good certificate for a name that forged DNS has told proves nothing. */
		.verified =
		    t && relay_conn_host(c)->vouched && tls_peer_trust(t, &detail) == TLS_TRUST_OK,
		.exporter = binding(f.exporter, f.exporter_len),
		.endpoint = binding(f.endpoint, f.endpoint_len),
		.unique = binding(f.unique, f.unique_len) };
	buf_done(&detail);
	relay_login_drop(c);
	c->login = xalloc(sizeof(*c->login));
	*c->login = (struct login){ .conn = c, .id = ++r->next_id };
	map_put(&r->logins, relay_key(&c->login->id), c);
	msg_login_start_put(&b, &m);
	ask(c, IPC_LOGIN_START, &b);
	buf_done(&b);
}

bool
relay_login_waits(const struct conn *c)
{
	return c->login && c->login->asked;
}

static void
no_way(struct conn *c, struct str why)
{
	bool begun = c->login->begun;
	if (c->job)
		relay_job_notef(c->job, "no login: " STR_FMT, STR_ARG(why));
	relay_login_drop(c);
	if (begun)
		smtp_client_auth_cancel(c->client, why);
	else
		smtp_client_auth_none_why(c->client, why);
}

bool
relay_login_answer(struct relay *r, const struct ipc_frame *m)
{
	struct msg_login a;
	if (!msg_login_get(m->body, &a))
		return false;
	struct conn *c = map_get(&r->logins, relay_key(&m->id));
	if (!c)
		return true; /* it was dropped meanwhile */
	struct login *l = c->login;
	if (!l->asked || !c->client || (a.verdict != LOGIN_NONE && !l->begun && a.mech.len == 0))
		return false;
	l->asked = false;
	c->waits = false;
	bool end = a.verdict == LOGIN_DONE;
	if (a.verdict == LOGIN_NONE) {
		no_way(c, a.why);
	} else if (!l->begun) {
		l->begun = true;
		smtp_client_auth_remote(c->client, a.mech, a.has_octets ? &a.octets : NULL, end);
	} else {
		smtp_client_auth_say(c->client, a.octets, end);
	}
	drive(c);
	return true;
}

void
relay_logins_gone(struct relay *r)
{
	struct conn **all = xalloc((r->logins.used + 1) * sizeof(struct conn *));
	size_t n = 0, pos = 0;
	struct str key;
	void *v;
	while (map_next(&r->logins, &pos, &key, &v))
		all[n++] = v;
	for (size_t i = 0; i < n; i++) {
		bool asked = all[i]->login->asked;
		if (!asked)
			continue;
		all[i]->login->asked = false;
		no_way(all[i], STR("auth is away for a moment"));
		drive(all[i]);
	}
	free(all);
}
