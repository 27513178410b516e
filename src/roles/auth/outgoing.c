#include "roles/auth/outgoing.h"

#include "base/check.h"
#include "log/log.h"
#include "queue/target.h"
#include "sasl/client.h"
#include "sys/file.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SECRET_FILE_MAX 8192u
#define SECRETS_MAX 10000
#define LIST_MAX 1024u
#define WHY_MAX 256u

struct relay_chan {
	struct list node; /* auth->relays */
	struct auth *auth;
	struct chan *chan;
	struct asker asker;
	uint16_t index;
	struct map logins; /* id -> struct login */
};

struct login {
	struct pool_job job;
	struct auth *auth;
	struct relay_chan *relay; /* NULL: nobody waits any more */
	uint64_t id;
	const struct sasl_mech *mech;
	bool busy, told; /* told: relay knows the mechanism */
	char route[256];

	/* --- the thread's while `busy` --- */
	struct sasl_client *sasl;
	struct buf in;
	bool begin; /* no challenge yet */
	enum sasl_client_status status;
};

/* Of which files the secrets are; a map from path to struct buf. */
struct outgoing {
	struct map now, coming;
};

/* --- secrets --- */

static void
secrets_free(struct map *m)
{
	size_t pos = 0;
	struct str key;
	void *v;
	while (map_next(m, &pos, &key, &v)) {
		struct buf *b = v;
		buf_wipe(b);
		buf_done(b);
		free(b);
	}
	map_done(m);
}

static struct outgoing *
outgoing_of(struct auth *au)
{
	if (!au->outgoing)
		au->outgoing = xalloc(sizeof(*au->outgoing));
	return au->outgoing;
}

/* The first line; room is taken at once, so that the octets never move and leave a copy. */
void
outgoing_secret(struct auth *au, struct str name, int fd)
{
	struct outgoing *o = outgoing_of(au);
	struct buf *b = xalloc(sizeof(*b));
	*b = BUF_INIT(SECRET_FILE_MAX);
	check(buf_reserve(b, SECRET_FILE_MAX));
	int rc = file_read_fd(fd, SECRET_FILE_MAX, b);
	struct str line = str_first(buf_str(b), str_find_any(buf_str(b), "\r\n"));
	const char *why = rc < 0 ? strerror(-rc) : line.len == 0 ? "its first line is empty" : NULL;
	bool room = o->coming.used < SECRETS_MAX || map_get(&o->coming, name);
	buf_trunc(b, line.len);
	if (why || !room)
		LOG(LOG_ERROR, 0, "secret-refused", LOGF("file", name),
		    LOGZ("why", why ? why : "there are too many"),
		    LOGZ("remedy", "write the password into its first line, then `pennypost "
				   "reload`"));
	if (rc == 0 && room) { /* an empty one, too: whoever asks for it is told that it is */
		b = map_put(&o->coming, name, b);
		if (!b)
			return;
	}
	buf_wipe(b);
	buf_done(b);
	free(b);
}

void
outgoing_secrets_end(struct auth *au)
{
	struct outgoing *o = outgoing_of(au);
	secrets_free(&o->now);
	o->now = o->coming;
	o->coming = MAP_NULL;
}

/* --- which mechanism --- */

static bool
needs_secret(const struct sasl_mech *mech)
{
	return mech->need != SASL_NEED_TICKET && mech->need != SASL_NEED_EXTERNAL;
}

/* Is it this process that logs in so (Kerberos has one of its own), and with what there is? */
static bool
is_ours(const struct auth *au, const struct conf_route *r, const struct msg_login_start *m,
    const struct sasl_mech *mech)
{
	return mech && (mech->need == SASL_NEED_TICKET) == au->kerberos &&
	       (mech->need != SASL_NEED_EXTERNAL || m->certified) &&
	       (!needs_secret(mech) || r->secret_file[0]);
}

static bool
may_go(const struct conf_route *r, const struct msg_login_start *m, const struct sasl_mech *mech)
{
	bool safe = (m->tls && m->verified) || strcmp(r->auth_cleartext, "allow") == 0;
	return safe || !mech->in_clear;
}

/* Which of the mechanisms that are offered a route takes. NULL with a sentence in why. */
static const struct sasl_mech *
choose(const struct auth *au, const struct conf_route *r, const struct msg_login_start *m,
    struct buf *why)
{
	struct buf offered = BUF_INIT(LIST_MAX), wanted = BUF_INIT(2 * CONF_TEXT_MAX);
	struct str left = m->mechs;
	const struct sasl_mech *found = NULL;
	bool clear = false;
	for (struct str word; (word = str_word(&left)).len;) {
		const struct sasl_mech *mech = sasl_mech_find(word);
		if (!is_ours(au, r, m, mech))
			continue;
		if (!may_go(r, m, mech))
			clear = true;
		else
			buf_putf(&offered, "%s%s", offered.len ? " " : "", mech->name);
	}
	for (const char *p = r->mechs; *p; p++)
		buf_putc(&wanted, *p == ' ' ? ',' : *p);
	if (offered.len) /* to an empty list the choice would take what is wanted for offered */
		found = sasl_client_choose(buf_str(&offered), buf_cstr(&wanted), m->tls, true,
		    false, m->certified, why);
	if (!found && clear) {
		buf_reset(why);
		buf_putf(why,
		    "the password would go in clear %s; set tls = \"verify\" or auth_cleartext = "
		    "\"allow\" for the route",
		    m->tls ? "to a server that nobody has verified"
			   : "over a connection without TLS");
	} else if (!found && r->certificate[0] && !m->certified) {
		buf_reset(why);
		buf_putf(why,
		    "the server has not asked for the certificate %.100s (in TLS 1.3), and offers "
		    "nothing else that we can use",
		    r->certificate);
	} else if (!found && why->len == 0) {
		buf_putf(why, "no mechanism that we can use is offered: " STR_FMT,
		    STR_ARG(m->mechs.len ? str_first(m->mechs, 150) : STR("nothing")));
	}
	buf_done(&offered);
	buf_done(&wanted);
	return found;
}

/* --- answers --- */

static void
say(struct relay_chan *rc, uint64_t id, const struct msg_login *m)
{
	struct buf b = BUF_INIT(SASL_MESSAGE_MAX + 4096);
	check(buf_reserve(&b, SASL_MESSAGE_MAX + 1024));
	msg_login_put(&b, m);
	check(!b.failed);
	chan_send(rc->chan, IPC_LOGIN, id, buf_str(&b), -1);
	buf_wipe(&b);
	buf_done(&b);
}

static void
refuse(struct relay_chan *rc, uint64_t id, struct str route, struct str why)
{
	LOG(LOG_WARN, 0, "login-elsewhere-impossible", LOGF("route", route), LOGF("why", why));
	say(rc, id, &(struct msg_login){ .verdict = LOGIN_NONE, .why = str_first(why, WHY_MAX) });
}

static void
login_free(struct login *l)
{
	check(!l->busy);
	if (l->relay)
		map_del(&l->relay->logins, id_key(&l->id));
	sasl_client_free(l->sasl);
	buf_wipe(&l->in);
	buf_done(&l->in);
	l->auth->n_outgoing--;
	free(l);
}

/* Nobody waits any more; a thread that is at it ends first. */
static void
login_drop(struct login *l)
{
	if (l->relay)
		map_del(&l->relay->logins, id_key(&l->id));
	l->relay = NULL;
	if (!l->busy)
		login_free(l);
}

static void
work(struct pool_job *job)
{
	struct login *l = container_of(job, struct login, job);
	if (l->begin && !sasl_client_begins(l->sasl))
		l->status = SASL_CLIENT_DONE; /* the server speaks first */
	else if (l->begin)
		l->status = sasl_client_begin(l->sasl);
	else
		l->status = sasl_client_answer(l->sasl, buf_str(&l->in));
}

static void
worked(struct pool_job *job)
{
	struct login *l = container_of(job, struct login, job);
	l->busy = false;
	buf_wipe(&l->in);
	if (!l->relay || !job->ran) {
		login_free(l);
		return;
	}
	if (l->status == SASL_CLIENT_FAILED) {
		refuse(l->relay, l->id, str_of(l->route), str_of(sasl_client_why(l->sasl)));
		login_free(l);
		return;
	}
	bool octets = l->status == SASL_CLIENT_SEND;
	bool over = sasl_client_proved(l->sasl) && !(l->begin && !octets);
	say(l->relay, l->id,
	    &(struct msg_login){ .verdict = over ? LOGIN_DONE : LOGIN_SAY,
		.mech = l->told ? STR_NULL : str_of(l->mech->name),
		.has_octets = octets,
		.octets = octets ? sasl_client_out(l->sasl) : STR_NULL });
	l->told = true;
}

static void
submit(struct login *l, bool begin, struct str challenge)
{
	l->begin = begin;
	l->in.max = SASL_MESSAGE_MAX;
	buf_reset(&l->in);
	buf_puts(&l->in, challenge);
	check(!l->in.failed);
	l->busy = true;
	if (pool_submit(l->auth->pool, &l->job, false))
		return;
	l->busy = false;
	refuse(l->relay, l->id, str_of(l->route),
	    STR("too many logins at once; it is tried again"));
	login_free(l);
}

/* --- what relay asks --- */

static uint16_t
port_of(const struct conf_route *r)
{
	struct target t;
	return target_parse(str_of(r->via), &t) && t.port ? t.port : 25;
}

static struct sasl_client *
client_make(struct auth *au, const struct conf_route *r, const struct msg_login_start *m,
    const struct sasl_mech *mech, struct buf *why)
{
	char host[256];
	struct buf *secret = map_get(&outgoing_of(au)->now, str_of(r->secret_file));
	bool plus = str_find_str(m->mechs, STR("-PLUS")) < m->mechs.len;
	if (!secret && needs_secret(mech)) {
		buf_putf(why,
		    "secret_file of the route (%.120s) could not be read; the log says why",
		    r->secret_file);
		return NULL;
	}
	if (needs_secret(mech) && secret->len == 0) {
		buf_putf(why,
		    "the first line of the route's secret_file (%.120s) is empty; write the "
		    "password there, then `pennypost reload`",
		    r->secret_file);
		return NULL;
	}
	check(str_copy(host, sizeof(host), m->host)); /* the message's cap is smaller */
	const struct sasl_client_conf conf = { .service = "smtp",
		.host = host,
		.user = str_of(r->login),
		.secret = needs_secret(mech) ? buf_str(secret) : STR_NULL,
		.binding = { m->exporter, m->endpoint, m->unique },
		.port = port_of(r),
		.plus_missing = m->tls && !plus };
	return sasl_client_make(str_of(mech->name), &conf, why);
}

static struct str
undotted(struct str host)
{
	return str_ends(host, STR(".")) ? str_first(host, host.len - 1) : host;
}

/* Does the route lead to this host? A relay may have the configuration of before, or of after. */
static bool
leads_to(const struct conf_route *r, struct str host)
{
	struct target t;
	bool named = target_parse(str_of(r->via), &t) && t.kind != TARGET_MX &&
	             !str_starts(t.host, STR("/"));
	return !named || str_ieq(undotted(t.host), undotted(host));
}

static bool
on_start(struct relay_chan *rc, const struct ipc_frame *m)
{
	struct auth *au = rc->auth;
	struct msg_login_start in;
	struct buf why = BUF_INIT(LIST_MAX);
	if (!msg_login_start_get(m->body, &in) || map_get(&rc->logins, id_key(&m->id)))
		return false;
	const struct conf_route *r = conf_route_find(au->conf, in.route);
	const struct sasl_mech *mech = NULL;
	struct sasl_client *sasl = NULL;
	if (!r || !r->login[0])
		buf_putz(&why, "the route has no login");
	else if (!leads_to(r, in.host))
		buf_putz(&why, "the route leads to another server by now");
	else if (rc->logins.used >= RELAY_LOGINS_MAX)
		buf_putz(&why, "too many logins at once; it is tried again");
	else if (au->kerberos && !au->has_keytab)
		buf_putz(&why, "gssapi.client_keytab could not be read; the log says why");
	else if ((mech = choose(au, r, &in, &why)))
		sasl = client_make(au, r, &in, mech, &why);
	if (!sasl) {
		refuse(rc, m->id, in.route, buf_str(&why));
		buf_done(&why);
		return true;
	}
	buf_done(&why);
	struct login *l = xalloc(sizeof(*l));
	*l = (struct login){ .job = { .work = work, .done = worked },
		.auth = au,
		.relay = rc,
		.id = m->id,
		.mech = mech,
		.sasl = sasl };
	check(str_copy(l->route, sizeof(l->route), in.route));
	map_put(&rc->logins, id_key(&l->id), l);
	au->n_outgoing++;
	submit(l, true, STR_NULL);
	return true;
}

static bool
on_step(struct relay_chan *rc, const struct ipc_frame *m)
{
	struct login *l = map_get(&rc->logins, id_key(&m->id));
	if (!l) { /* it was begun with the auth before this one */
		say(rc, m->id,
		    &(struct msg_login){ .verdict = LOGIN_NONE,
			.why = STR("auth knows nothing of this login; it began anew") });
		return true;
	}
	if (l->busy || m->body.len > SASL_MESSAGE_MAX)
		return false;
	submit(l, false, m->body);
	return true;
}

static bool
on_drop(struct relay_chan *rc, const struct ipc_frame *m)
{
	struct login *l = map_get(&rc->logins, id_key(&m->id));
	if (l)
		login_drop(l);
	return true;
}

/* --- channels --- */

static bool
on_sign(struct relay_chan *rc, const struct ipc_frame *m)
{
	return !rc->auth->kerberos && sign_as_client(rc->auth, rc->chan, &rc->asker, m);
}

static const struct {
	enum ipc_type type;
	bool (*handle)(struct relay_chan *rc, const struct ipc_frame *m); /* false: a breach */
} from_relay[] = {
	{ IPC_LOGIN_START, on_start },
	{ IPC_LOGIN_STEP, on_step },
	{ IPC_LOGIN_DROP, on_drop },
	{ IPC_SIGN, on_sign },
};

static void
relay_free(struct relay_chan *rc)
{
	size_t pos = 0;
	struct str key;
	void *v;
	while (map_next(&rc->logins, &pos, &key, &v))
		login_drop(v);
	map_done(&rc->logins);
	list_del(&rc->node);
	sign_asker_gone(&rc->asker);
	chan_free(rc->chan);
	free(rc);
}

static void
on_frame(void *arg, struct chan *c, const struct ipc_frame *m)
{
	struct relay_chan *rc = arg;
	bool ok = false;
	if (m->fd >= 0)
		close(m->fd);
	else
		for (size_t i = 0; i < ARRAY_LEN(from_relay); i++)
			if (from_relay[i].type == m->type)
				ok = from_relay[i].handle(rc, m);
	if (ok)
		return;
	LOG(LOG_ERROR, 0, "relay-breach", LOGN("relay", rc->index), LOGN("type", m->type));
	relay_free(rc);
}

static void
on_gone(void *arg, struct chan *c, const char *why)
{
	struct relay_chan *rc = arg;
	if (why)
		LOG(LOG_ERROR, 0, "relay-breach", LOGN("relay", rc->index), LOGZ("why", why));
	relay_free(rc);
}

static const struct chan_handler handler = { on_frame, on_gone, NULL };

static void
send_certs(struct relay_chan *rc)
{
	if (rc->auth->certs_fd >= 0)
		chan_send(rc->chan, IPC_CERTS, 0, STR_NULL, rc->auth->certs_fd);
}

void
outgoing_certs(struct auth *au)
{
	list_each(n, &au->relays) send_certs(list_entry(n, struct relay_chan, node));
}

bool
outgoing_take(struct auth *au, uint16_t index, int fd)
{
	struct relay_chan *rc = xalloc(sizeof(*rc));
	*rc = (struct relay_chan){ .auth = au, .index = index, .logins = MAP_NULL };
	list_init(&rc->asker.signings);
	rc->chan = chan_new(au->loop, fd, &handler, rc);
	if (!rc->chan) {
		free(rc);
		return false;
	}
	list_add_tail(&au->relays, &rc->node);
	send_certs(rc);
	return true;
}

void
outgoing_done(struct auth *au)
{
	list_each(n, &au->relays) relay_free(list_entry(n, struct relay_chan, node));
	if (!au->outgoing)
		return;
	secrets_free(&au->outgoing->now);
	secrets_free(&au->outgoing->coming);
	free(au->outgoing);
	au->outgoing = NULL;
}
