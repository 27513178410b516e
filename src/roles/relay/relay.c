/* The life of relay: channels, configuration, rights. */
#include "roles/relay/relay.h"

#include "conf/setup.h"
#include "log/log.h"
#include "metrics/metrics.h"
#include "roles/relay/relay_priv.h"
#include "sys/file.h"
#include "sys/sandbox.h"
#include "sys/spawn.h"
#include "tls/tls.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/resource.h>

#define AUTHORITIES_MAX (1u << 20)

struct str
relay_key(const uint64_t *id)
{
	return str_n(id, sizeof(*id));
}

/* --- messages from parent --- */

static void
take_conf(struct relay *r, struct conf *c)
{
	struct conf *old = r->conf;
	r->conf = c;
	r->host = c->relay_host[0] ? c->relay_host : c->hostname;
	self_take(&r->self, c);
	dests_reconf(r);
	fetches_conf(r);
	conf_free(old);
}

static bool
on_setup(void *arg, struct ipc_frame *m)
{
	struct conf *c = NULL;
	if (!setup_again(m, ROLE_RELAY, &c))
		return false;
	take_conf(arg, c);
	return true;
}

static bool
on_peer(void *arg, struct ipc_frame *m)
{
	struct relay *r = arg;
	struct msg_peer who;
	if (m->fd < 0 || !msg_peer_get(m->body, &who))
		return false;
	if (who.role == ROLE_READER && who.index < READERS_MAX)
		spool_reader(r, who.index, role_take_fd(m));
	else if (who.role == ROLE_FRONT && who.index < FRONT_MAX)
		turn_front(r, who.index, role_take_fd(m));
	else
		return links_take(r, (enum ipc_role)who.role, m);
	return true;
}

static bool
on_status(void *arg, struct ipc_frame *m)
{
	struct relay *r = arg;
	const struct role_count rows[] = {
		{ STATUS_CONNECTIONS_OUT, r->n_open },
		{ STATUS_SENT, r->n_sent },
	};
	role_say_status(r->role.parent, m->id, r->role.layers, rows, ARRAY_LEN(rows));
	return true;
}

static bool
on_figures(void *arg, struct ipc_frame *m)
{
	struct relay *r = arg;
	struct buf rows = BUF_INIT(METRICS_ROWS_MAX);
	relay_tls_figures(r, &rows);
	chan_send(r->role.parent, IPC_FIGURES, m->id, buf_str(&rows), -1);
	buf_done(&rows);
	return m->body.len == 0;
}

static bool
on_unix(void *arg, struct ipc_frame *m)
{
	struct relay *r = arg;
	struct conn *c = map_del(&r->unix_asks, relay_key(&m->id));
	if (m->fd < 0)
		return false;
	if (c)
		relay_conn_connected(c, role_take_fd(m), 0);
	return true;
}

static bool
on_unix_no(void *arg, struct ipc_frame *m)
{
	struct relay *r = arg;
	uint32_t e;
	if (!msg_u32_get(m->body, &e))
		return false;
	struct conn *c = map_del(&r->unix_asks, relay_key(&m->id));
	if (c)
		relay_conn_connected(c, -1, e > 0 && e < 4096 ? (int)e : EIO);
	return true;
}

static const struct role_row from_parent[] = {
	{ IPC_SETUP, on_setup },
	{ IPC_PEER, on_peer },
	{ IPC_STATUS_ASK, on_status },
	{ IPC_FIGURES_ASK, on_figures },
	{ IPC_UNIX, on_unix },
	{ IPC_UNIX_NO, on_unix_no },
};

/* --- the loop --- */

static void
on_beat(void *arg)
{
	struct relay *r = arg;
	if (!r->store && loop_now(r->role.loop) - r->store_left > STORE_PATIENCE_MS) {
		LOG(LOG_WARN, 0, "no-store", LOGZ("remedy", "none needed: relay begins anew"));
		loop_stop(r->role.loop);
		return;
	}
	relay_jobs_beat(r);
	turns_tick(r);
	fetches_tick(r);
	dests_tick(r);
}

/* Told to end: nothing new begins, what runs may end. */
static bool
idle(void *arg)
{
	struct relay *r = arg;
	dests_tick(r);
	return relay_jobs_running(r) == 0;
}

/* Who still waits is told. */
static void
last_words(void *arg)
{
	struct relay *r = arg;
	fetches_drop(r);
	turns_drop(r);
	relay_jobs_drop(r);
	dests_drop(r);
}

static int
live(struct relay *r)
{
	struct role *role = &r->role;
	role->rows = from_parent;
	role->n = ARRAY_LEN(from_parent);
	role->arg = r;
	role->idle = idle;
	role->end = last_words;
	role->desk = desk_new(role->loop, ROLE_RELAY, fetch_ops, r);
	r->store_left = loop_now(role->loop);
	r->beat = loop_timer_new(role->loop, on_beat, r);
	loop_timer_set(r->beat, BEAT_MS / 4, BEAT_MS / 4);
	int status = role_run(role, SPAWN_FD);
	buf_done(&r->early);
	desk_free(role->desk);
	for (size_t i = 0; i < READERS_MAX; i++)
		chan_free(r->reader[i].chan);
	links_close(r);
	loop_timer_free(r->beat);
	map_done(&r->jobs);
	map_done(&r->dest_map);
	map_done(&r->asks);
	map_done(&r->looks);
	map_done(&r->logins);
	map_done(&r->unix_asks);
	return status;
}

static struct tls_client *
tls_begin(const struct conf *c, struct buf *err)
{
	struct tls_client_conf conf = { .min_version = 0 };
	struct buf pem = BUF_INIT(AUTHORITIES_MAX);
	int e = 0;
	if (c->relay_authorities[0])
		e = file_read_all(c->relay_authorities, AUTHORITIES_MAX, &pem);
	else
		tls_authorities_read(AUTHORITIES_MAX, &pem);
	if (e < 0)
		LOG(LOG_ERROR, 0, "authorities-not-read", LOGZ("file", c->relay_authorities),
		    LOGZ("why", strerror(-e)),
		    LOGZ("remedy", "name a file of PEM certificates in relay.authorities"));
	struct tls_client *t = tls_client_new(&conf, buf_str(&pem), err);
	if (!t) { /* without any of them nobody is verified, and the rest works */
		LOG(LOG_ERROR, 0, "authorities-not-taken", LOGF("why", buf_str(err)));
		buf_reset(err);
		t = tls_client_new(&conf, STR_NULL, err);
	}
	buf_done(&pem);
	return t;
}

/* An eighth of them is kept for channels to processes that begin anew, and for what these send. */
static int
most_fds(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return INT_MAX;
	rlim_t n = MIN(limit.rlim_cur, (rlim_t)INT_MAX);
	return (int)(n - n / 8);
}

static void
give_up_rights(struct relay *r, const struct msg_setup *setup)
{
	struct sandbox box = {
		.role = "relay",
		.sets = SANDBOX_FDPASS | SANDBOX_TCP,
		.chroot_empty = true,
		.uid = setup->uid,
		.gid = setup->gid,
	};
	r->role.layers = sandbox_apply(&box);
}

static int
begin(void *arg, struct conf *conf, const struct msg_setup *m, struct buf *err)
{
	struct relay *r = arg;
	int status = 1;
	r->index = m->index;
	r->relays = m->count;
	r->fds = most_fds();
	tls_init();
	self_look(&r->self);
	take_conf(r, conf);
	r->role.loop = loop_new();
	r->tls = tls_begin(conf, err);
	if (r->tls) {
		give_up_rights(r, m);
		status = live(r);
	}
	r->tls = tls_client_free(r->tls);
	tls_certs_unref(r->certs);
	loop_free(r->role.loop);
	self_done(&r->self);
	conf_free(r->conf);
	return status;
}

int
relay_main(void)
{
	static struct relay r;
	list_init(&r.dests);
	list_init(&r.turns);
	list_init(&r.fetches);
	list_init(&r.idle);
	list_init(&r.cramped);
	loop_defer_init(&r.has_room, convert_has_room, &r);
	for (size_t i = 0; i < READERS_MAX; i++)
		r.reader[i].relay = &r;
	return setup_main(ROLE_RELAY, begin, &r);
}
