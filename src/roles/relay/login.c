/* Logins at other servers: auth has the secrets and says what to say. */
#include "roles/relay/relay_priv.h"

#include "tls/tls.h"

#include <stdlib.h>
#include <string.h>

#define LOGIN_PATIENCE_S 60

struct login {
	struct conn *conn;
	uint64_t id;
	bool gssapi; /* it is Kerberos's */
	bool begun;  /* the mechanism is known */
	bool asked;  /* auth has the word */
};

/* Who makes it. */
static struct chan *
channel(const struct relay *r, bool gssapi)
{
	return gssapi ? r->gssapi : r->auth;
}

/* Kerberos has a process of its own, and is taken where the route names it and the server has it.
 */
static bool
by_gssapi(const struct conn *c)
{
	return conf_lists(c->dest->route->mechs, STR("GSSAPI")) &&
	       conf_lists(smtp_client_caps(c->client)->mechs, STR("GSSAPI"));
}

static const char gssapi_away[] = "gssapi-out, which gets tickets, is away for a moment";

/* Where there are other mechanisms, what the server offers decides, and that is not known yet. */
const char *
relay_login_away(const struct conn *c)
{
	const struct relay *r = c->relay;
	const struct conf_route *route = c->dest->route;
	if (!route)
		return NULL;
	bool certified = route->certificate[0];
	bool kerberos = route->login[0] && r->conf->gssapi_client_keytab[0] &&
	                str_ieq(str_of(route->mechs), STR("GSSAPI"));
	if (((route->login[0] || certified) && !r->auth) || (certified && !r->certs))
		return "auth, which has the secrets of the route, is away for a moment";
	return kerberos && !r->gssapi ? gssapi_away : NULL;
}

void
relay_login_drop(struct conn *c)
{
	struct login *l = c->login;
	struct relay *r = c->relay;
	if (!l)
		return;
	c->login = NULL;
	map_del(&r->logins, relay_key(&l->id));
	if (channel(r, l->gssapi))
		chan_send(channel(r, l->gssapi), IPC_LOGIN_DROP, l->id, STR_NULL, -1);
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
	chan_send(channel(c->relay, c->login->gssapi), type, c->login->id, buf_str(body), -1);
	c->login->asked = true;
	relay_conn_arm(c, LOGIN_PATIENCE_S * 1000);
}

/* The session asks: the first word, or the answer to a challenge. */
void
relay_login_begin(struct conn *c, const struct smtp_client_event *ev)
{
	struct relay *r = c->relay;
	struct buf b = BUF_INIT(64u << 10);
	if ((!ev->challenge || !c->dest->route) && relay_conn_outdated(c))
		return;
	const char *away = relay_login_away(c);
	/* Who has begun it ends it, whatever a reload says of the mechanisms meanwhile. */
	bool gssapi = ev->challenge && c->login ? c->login->gssapi : c->dest->route && by_gssapi(c);
	if (!away && gssapi && !r->gssapi && r->conf->gssapi_client_keytab[0])
		away = gssapi_away;
	if (away) {
		relay_conn_put_back(c, away);
		return;
	}
	if (!c->dest->route || !channel(r, gssapi)) {
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
		.certified = t && tls_has_shown(t),
		.exporter = binding(f.exporter, f.exporter_len),
		.endpoint = binding(f.endpoint, f.endpoint_len),
		.unique = binding(f.unique, f.unique_len) };
	buf_done(&detail);
	relay_login_drop(c);
	c->login = xalloc(sizeof(*c->login));
	*c->login = (struct login){ .conn = c, .id = ++r->next_id, .gssapi = gssapi };
	map_put(&r->logins, relay_key(&c->login->id), c);
	msg_login_start_put(&b, &m);
	ask(c, IPC_LOGIN_START, &b);
	buf_done(&b);
}

void
relay_login_late(struct conn *c)
{
	relay_conn_next_host(c, JOB_LATER, JOB_TROUBLE_LOGIN, 0, "4.7.0",
	    STR("the process that logs in does not answer"));
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

/* Not the other server's fault, and not to be mended there: all that was to come of it is asked for
 * again, over another connection. */
void
relay_logins_gone(struct relay *r, bool gssapi)
{
	list_each(n, &r->dests)
	{
		struct dest *d = list_entry(n, struct dest, node);
		list_each(k, &d->conns)
		{
			struct conn *c = list_entry(k, struct conn, node);
			bool logs_in = c->login && c->login->gssapi == gssapi;
			bool signs = !gssapi && c->state == CONN_SHAKES && c->shows;
			if (logs_in || signs)
				relay_conn_put_back(c,
				    "the process that has the secrets of the route went away");
		}
	}
}
