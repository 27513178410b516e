/* The life of relay: channels, configuration, rights. */
#include "roles/relay/relay.h"

#include "conf/setup.h"
#include "crypt/crypt.h"
#include "log/log.h"
#include "roles/relay/relay_priv.h"
#include "sys/file.h"
#include "sys/listen.h"
#include "sys/sandbox.h"
#include "sys/spawn.h"
#include "tls/tls.h"

#include <errno.h>
#include <ifaddrs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ERR_MAX (64u << 10)
#define AUTHORITIES_MAX (1u << 20)
#define SELF_MAX 256

struct str
relay_key(const uint64_t *id)
{
	return str_n(id, sizeof(*id));
}

/* --- channels --- */

struct row {
	enum ipc_type type;
	bool (*handle)(struct relay *r, const struct ipc_frame *m); /* false: a breach */
};

static const struct row from_store[] = {
	{ IPC_SPOOL, spool_early },
	{ IPC_JOB, relay_job_take },
	{ IPC_JOB_CANCEL, relay_job_cancel },
	{ IPC_JOB_TAKEN, relay_job_taken },
	{ IPC_TURN_COUNT, turn_counted },
};
static const struct row from_dns[] = { { IPC_MX, look_mx } };
static const struct row from_fetch[] = { { IPC_STS, look_sts } };
static const struct row from_auth[] = { { IPC_LOGIN, relay_login_answer } };

static bool
handle(struct relay *r, const struct row *rows, size_t n, const struct ipc_frame *m)
{
	if (m->fd >= 0) {
		close(m->fd);
		return false;
	}
	for (size_t i = 0; i < n; i++)
		if (rows[i].type == m->type)
			return rows[i].handle(r, m);
	return false;
}

static void
store_close(struct relay *r, const char *why)
{
	if (why)
		LOG(LOG_WARN, 0, "store-away", LOGZ("why", why));
	if (!r->store)
		return;
	r->store = chan_free(r->store);
	r->store_left = loop_now(r->role.loop);
	turns_store_gone(r);
	relay_jobs_store_gone(r);
}

static void
store_frame(void *arg, struct chan *c, const struct ipc_frame *m)
{
	if (!handle(arg, from_store, ARRAY_LEN(from_store), m))
		store_close(arg, "malformed message");
}

static void
store_gone(void *arg, struct chan *c, const char *why)
{
	store_close(arg, why ? why : "it closed");
}

static void
dns_close(struct relay *r, const char *why)
{
	if (why)
		LOG(LOG_WARN, 0, "dns-away", LOGZ("why", why));
	r->dns = chan_free(r->dns);
}

static void
dns_frame(void *arg, struct chan *c, const struct ipc_frame *m)
{
	if (!handle(arg, from_dns, ARRAY_LEN(from_dns), m))
		dns_close(arg, "malformed message");
}

static void
dns_gone(void *arg, struct chan *c, const char *why)
{
	dns_close(arg, why);
}

static void
fetch_close(struct relay *r, const char *why)
{
	if (why)
		LOG(LOG_WARN, 0, "fetch-away", LOGZ("why", why));
	r->fetch = chan_free(r->fetch);
}

static void
fetch_frame(void *arg, struct chan *c, const struct ipc_frame *m)
{
	if (!handle(arg, from_fetch, ARRAY_LEN(from_fetch), m))
		fetch_close(arg, "malformed message");
}

static void
fetch_gone(void *arg, struct chan *c, const char *why)
{
	fetch_close(arg, why);
}

static void
auth_close(struct relay *r, const char *why)
{
	if (why)
		LOG(LOG_WARN, 0, "auth-away", LOGZ("why", why));
	r->auth = chan_free(r->auth);
	relay_logins_gone(r);
}

static void
auth_frame(void *arg, struct chan *c, const struct ipc_frame *m)
{
	if (!handle(arg, from_auth, ARRAY_LEN(from_auth), m))
		auth_close(arg, "malformed message");
}

static void
auth_gone(void *arg, struct chan *c, const char *why)
{
	auth_close(arg, why);
}

static const struct chan_handler store_handler = { store_frame, store_gone, NULL };
static const struct chan_handler dns_handler = { dns_frame, dns_gone, NULL };
static const struct chan_handler fetch_handler = { fetch_frame, fetch_gone, NULL };
static const struct chan_handler auth_handler = { auth_frame, auth_gone, NULL };

/* --- who we are --- */

static void
self_done(struct plan_self *s)
{
	for (size_t i = 0; i < s->n_names; i++)
		free((char *)(uintptr_t)s->names[i].p);
	free(s->names);
	free(s->addrs);
	free(s->ports);
	*s = (struct plan_self){ 0 };
}

static void
self_name(struct plan_self *s, const char *name)
{
	char *low = xstrdup(name);
	for (char *p = low; *p; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p | 0x20);
	s->names[s->n_names++] = str_of(low);
}

static void
self_port(struct plan_self *s, const struct conf_listener *l)
{
	s->ports[s->n_ports++] = (uint16_t)l->port;
}

/* The addresses of this host were asked for before the sandbox: they stay. */
static void
self_find(struct plan_self *s, const struct conf *c)
{
	unsigned char(*addrs)[16] = s->addrs;
	size_t n = s->n_addrs;
	s->addrs = NULL;
	self_done(s);
	s->addrs = addrs;
	s->n_addrs = n;
	s->names = xalloc((2 + c->n_listeners) * sizeof(*s->names));
	s->ports = xalloc((1 + c->n_listeners) * sizeof(*s->ports));
	self_name(s, c->hostname);
	if (c->relay_host[0])
		self_name(s, c->relay_host);
	for (size_t i = 0; i < c->n_listeners; i++) {
		const struct conf_listener *l = &c->listeners[i];
		if (conf_unix_path(l) || conf_protocol(l) != CONF_IS_SMTP)
			continue;
		self_port(s, l);
		if (l->host && l->host[0])
			self_name(s, l->host);
	}
}

static void
self_addresses(struct plan_self *s)
{
	struct ifaddrs *all = NULL;
	s->addrs = xalloc(SELF_MAX * sizeof(*s->addrs));
	if (getifaddrs(&all) < 0)
		return;
	for (const struct ifaddrs *i = all; i && s->n_addrs < SELF_MAX; i = i->ifa_next) {
		struct sys_addr a;
		socklen_t len = i->ifa_addr && i->ifa_addr->sa_family == AF_INET6
		                    ? sizeof(struct sockaddr_in6)
		                    : sizeof(struct sockaddr_in);
		if (i->ifa_addr && sys_addr_of(i->ifa_addr, len, &a))
			memcpy(s->addrs[s->n_addrs++], a.ip, 16);
	}
	freeifaddrs(all);
}

/* --- messages from parent --- */

static void
take_conf(struct relay *r, struct conf *c)
{
	struct conf *old = r->conf;
	r->conf = c;
	r->host = c->relay_host[0] ? c->relay_host : c->hostname;
	self_find(&r->self, c);
	log_set_level(setup_log_level(c));
	dests_reconf(r);
	fetches_conf(r);
	conf_free(old);
}

static bool
on_setup(void *arg, struct ipc_frame *m)
{
	struct relay *r = arg;
	struct buf err = BUF_INIT(ERR_MAX);
	struct msg_setup setup;
	struct conf *c = setup_take(m, ROLE_RELAY, &setup, &err);
	if (c)
		take_conf(r, c);
	else
		LOG(LOG_ERROR, 0, "setup-refused", LOGF("error", str_trim(buf_str(&err))));
	buf_done(&err);
	return c != NULL;
}

static bool
on_peer(void *arg, struct ipc_frame *m)
{
	struct relay *r = arg;
	struct loop *l = r->role.loop;
	struct msg_peer who;
	if (m->fd < 0 || !msg_peer_get(m->body, &who))
		return false;
	if (who.role == ROLE_STORE) {
		store_close(r, r->store ? "another began" : NULL);
		r->store = chan_new(l, role_take_fd(m), &store_handler, r);
		if (r->store)
			relay_jobs_store_here(r);
	} else if (who.role == ROLE_READER && who.index < READERS_MAX) {
		spool_reader(r, who.index, role_take_fd(m));
	} else if (who.role == ROLE_FRONT && who.index < FRONT_MAX) {
		turn_front(r, who.index, role_take_fd(m));
	} else if (who.role == ROLE_DNS) {
		dns_close(r, NULL);
		r->dns = chan_new(l, role_take_fd(m), &dns_handler, r);
		look_dns_here(r);
	} else if (who.role == ROLE_FETCH) {
		fetch_close(r, NULL);
		r->fetch = chan_new(l, role_take_fd(m), &fetch_handler, r);
		if (r->fetch)
			look_fetch_here(r);
	} else if (who.role == ROLE_AUTH) {
		auth_close(r, NULL);
		r->auth = chan_new(l, role_take_fd(m), &auth_handler, r);
	} else if (who.role == ROLE_FRONT) {
		close(role_take_fd(m));
	} else {
		return false;
	}
	return true;
}

static bool
on_ctl(void *arg, struct ipc_frame *m)
{
	struct relay *r = arg;
	if (m->fd < 0)
		return false;
	desk_take(r->desk, role_take_fd(m));
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
	{ IPC_CTL, on_ctl },
	{ IPC_STATUS_ASK, on_status },
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
	spool_tick(r);
	turns_tick(r);
	fetches_tick(r);
	dests_tick(r);
}

/* Told to end: nothing new begins, what runs may end. */
static bool
idle(void *arg)
{
	struct relay *r = arg;
	r->draining = true;
	dests_tick(r);
	return relay_jobs_running(r) == 0;
}

static int
live(struct relay *r)
{
	struct role *role = &r->role;
	role->rows = from_parent;
	role->n = ARRAY_LEN(from_parent);
	role->arg = r;
	role->idle = idle;
	r->desk = desk_new(role->loop, ROLE_RELAY, fetch_ops, r);
	r->store_left = loop_now(role->loop);
	r->beat = loop_timer_new(role->loop, on_beat, r);
	loop_timer_set(r->beat, BEAT_MS / 4, BEAT_MS / 4);
	int status = role_run(role, SPAWN_FD);
	fetches_drop(r);
	turns_drop(r);
	dests_drop(r);
	relay_jobs_drop(r);
	buf_done(&r->early);
	dests_drop(r);
	desk_flush(r->desk);
	desk_free(r->desk);
	for (size_t i = 0; i < READERS_MAX; i++)
		chan_free(r->reader[i].chan);
	chan_free(r->store);
	chan_free(r->dns);
	chan_free(r->fetch);
	chan_free(r->auth);
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
	static const char *const places[] = {
		"/etc/ssl/certs/ca-certificates.crt",
		"/etc/pki/tls/certs/ca-bundle.crt",
		"/etc/ssl/ca-bundle.pem",
		"/etc/ssl/cert.pem",
	};
	struct tls_client_conf conf = { .min_version = 0 };
	struct buf pem = BUF_INIT(AUTHORITIES_MAX);
	int e = 0;
	if (c->relay_authorities[0])
		e = file_read_all(c->relay_authorities, AUTHORITIES_MAX, &pem);
	for (size_t i = 0; !c->relay_authorities[0] && i < ARRAY_LEN(places); i++)
		if (file_read_all(places[i], AUTHORITIES_MAX, &pem) == 0)
			break;
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

int
relay_main(void)
{
	static struct relay relay;
	static char name[16] = "relay";
	struct relay *r = &relay;
	struct msg_setup setup;
	struct buf err = BUF_INIT(ERR_MAX);
	int status = 1;
	list_init(&r->dests);
	list_init(&r->turns);
	list_init(&r->fetches);
	for (size_t i = 0; i < READERS_MAX; i++)
		r->reader[i].relay = r;
	log_init(name, STDERR_FILENO, LOG_INFO);
	struct conf *c = setup_receive(SPAWN_FD, ROLE_RELAY, &setup, &err);
	if (c) {
		r->index = setup.index;
		snprintf(name, sizeof(name), "relay.%u", (unsigned)setup.index);
		log_set_level(setup_log_level(c));
		crypt_init(); /* libcrypto reads its configuration now */
		tls_init();
		self_addresses(&r->self);
		take_conf(r, c);
		r->role.loop = loop_new();
		r->tls = tls_begin(r->conf, &err);
		if (r->tls) {
			give_up_rights(r, &setup);
			status = live(r);
		}
		r->tls = tls_client_free(r->tls);
		loop_free(r->role.loop);
		self_done(&r->self);
		conf_free(r->conf);
	}
	if (err.len)
		LOG(LOG_ERROR, 0, "relay-failed", LOGF("error", str_trim(buf_str(&err))));
	buf_done(&err);
	return status;
}
