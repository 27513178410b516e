/*
 * login: AUTH. The exchange itself is auth's; front carries octets between it and the session.
 *
 * One exchange per connection at most. It ends with auth's verdict, with the session's (the client
 * cancels, or breaks a rule), or with the connection; auth hears of the last two. What stands in
 * messages is wiped here as soon as it is on its way, and is in no log.
 */
#include "roles/front/smtp_priv.h"

#include "base/base64.h"

#include <stdlib.h>

/* Octets of a message that begins an exchange, but for its first response. */
#define START_REST 2048u

static struct str
key_of(const uint64_t *id)
{
	return str_n(id, sizeof(*id));
}

static struct login *
forget(struct front *f, struct login *l)
{
	map_del(&f->logins, key_of(&l->id));
	l->conn->login = NULL;
	free(l);
	return NULL;
}

static struct chan *
channel(const struct front *f, bool gssapi)
{
	return gssapi ? f->gssapi : f->auth;
}

void
login_drop(struct conn *c)
{
	struct front *f = c->front;
	struct login *l = c->login;
	if (!l)
		return;
	struct chan *to = channel(f, l->gssapi);
	if (to)
		chan_send(to, IPC_SASL_DROP, l->id, STR_NULL, -1);
	forget(f, l);
}

/* What a prompt of the dialect says; what is not base64 cannot be said by a mechanism. */
static struct str
prompt(const struct conn *c, enum smtp_situation s, struct buf *store)
{
	struct str text = c->settings->wording[c->listener]->reply[s];
	if (!base64_dec(store, str_trim(str_skip(text, 4))) || store->failed)
		buf_reset(store);
	return buf_str(store);
}

static void
send_start(struct conn *c, const struct login *l, const struct login_step *step)
{
	struct tls_facts t = { 0 };
	struct buf user = BUF_INIT(256), pass = BUF_INIT(256), body = BUF_INIT(64u << 10);
	const struct tls *tls = stream_tls_of(&c->stream);
	check(buf_reserve(&body, step->octets.len + START_REST)); /* so that it never moves */
	if (tls)
		tls_facts(tls, &t);
	/* Behind XCLIENT the certificate is the proxy's, not its client's. */
	bool certified = t.client_verified && !(c->smtp && c->smtp->session.xclient);
	struct msg_sasl_start m = {
		.service = str_of(c->protocol->service),
		.mech = str_of(l->mech),
		.has_initial = step->has_initial,
		.initial = step->has_initial ? step->octets : STR_NULL,
		.tls = tls != NULL,
		.listener = c->listener,
		.peer = str_of(c->ip),
		.prefix = c->local ? STR_NULL : str_n(c->key.b, sizeof(c->key.b)),
		.external = certified ? str_of(t.client_name) : STR_NULL,
		.exporter = str_n(t.exporter, t.exporter_len),
		.endpoint = str_n(t.endpoint, t.endpoint_len),
		.unique = str_n(t.unique, t.unique_len),
		.user_prompt = prompt(c, SMTP_AUTH_USER_PROMPT, &user),
		.pass_prompt = prompt(c, SMTP_AUTH_PASS_PROMPT, &pass),
	};
	msg_sasl_start_put(&body, &m);
	check(!body.failed);
	chan_send(channel(c->front, l->gssapi), IPC_SASL_START, l->id, buf_str(&body), -1);
	buf_wipe(&body);
	buf_done(&body);
	buf_done(&user);
	buf_done(&pass);
	explicit_bzero(&t, sizeof(t));
}

static void
begin(struct conn *c, const struct login_step *step, bool gssapi)
{
	struct front *f = c->front;
	struct login *l = xalloc(sizeof(*l));
	*l = (struct login){ .id = ++f->login_id, .conn = c, .gssapi = gssapi };
	(void)str_copy(l->mech, sizeof(l->mech), str_of(step->mech));
	c->login = l;
	map_put(&f->logins, key_of(&l->id), l);
	send_start(c, l, step);
}

bool
login_ask(struct conn *c, const struct login_step *step, enum sasl_verdict *ret)
{
	struct front *f = c->front;
	bool gssapi =
	    step->begin ? strcmp(step->mech, "GSSAPI") == 0 : c->login && c->login->gssapi;
	struct chan *to = channel(f, gssapi);
	if (c->login && c->login->asked)
		return false; /* parked ones are asked again; this one waits for auth's word */
	if (step->begin && !to && (!gssapi || c->settings->conf->gssapi_keytab[0]))
		return conn_park(c);
	if (step->begin && !to) {
		*ret = SASL_V_BADMECH;
		return true;
	}
	if (step->begin)
		login_drop(c);
	if (!to || (!step->begin && !c->login) || chan_pending(to) > IPC_HIGH_WATER) {
		login_drop(c);
		*ret = SASL_V_TEMPFAIL;
		return true;
	}
	if (step->begin)
		begin(c, step, gssapi);
	else
		chan_send(to, IPC_SASL_STEP, c->login->id, step->octets, -1);
	list_del(&c->parked); /* it waits for auth's word now, and longer */
	c->login->asked = true;
	c->login->asked_at = f->clock.now;
	return false;
}

/* Who was let in or not, auth has logged; this line says in which session. */
static void
log_outcome(const struct conn *c, const struct login *l, const struct msg_sasl *m)
{
	bool ok = m->verdict == SASL_V_OK;
	LOG(LOG_DEBUG, c->id, ok ? "login" : "login-failed", LOGZ("peer", c->ip),
	    LOGF("account", m->account), LOGZ("mech", l->mech), LOGZ("tls", c->tls ? "yes" : "no"),
	    LOGF("why", m->why));
}

/* The session may begin another exchange in protocol.authed(). */
static void
tell(struct conn *c, const struct msg_sasl *m)
{
	struct login l = *c->login;
	c->login->asked = false;
	if (m->verdict != SASL_V_CHALLENGE) {
		c->front->n_auth[m->verdict]++;
		log_outcome(c, &l, m);
		forget(c->front, c->login);
	}
	c->protocol->authed(c, &l, m);
}

bool
login_answered(struct front *f, const struct ipc_frame *m)
{
	struct msg_sasl s;
	if (!msg_sasl_get(m->body, &s) || s.verdict >= SASL_V_COUNT ||
	    (s.verdict == SASL_V_OK && s.account.len == 0))
		return false;
	struct login *l = map_get(&f->logins, key_of(&m->id));
	if (!l || !l->asked || !l->conn->protocol->in_auth(l->conn))
		return true; /* nobody waits for it any more */
	tell(l->conn, &s);
	return true;
}

static void
give_up(struct conn *c)
{
	struct msg_sasl m = { .verdict = SASL_V_TEMPFAIL };
	struct login l = *c->login;
	bool waits = l.asked && c->protocol->in_auth(c);
	login_drop(c);
	if (waits)
		c->protocol->authed(c, &l, &m);
}

void
login_sweep(struct conn *c)
{
	if (c->login && c->login->asked && c->front->clock.now - c->login->asked_at > LOGIN_MS)
		give_up(c);
}

void
login_auth_gone(struct front *f, bool gssapi)
{
	/* An answer may begin a new exchange, which changes the map: walk the connections. */
	list_each(n, &f->conns)
	{
		struct conn *c = list_entry(n, struct conn, node);
		if (c->login && c->login->gssapi == gssapi)
			give_up(c);
	}
}
