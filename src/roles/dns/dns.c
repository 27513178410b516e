/* The life of dns. */
#include "roles/dns/dns.h"

#include "conf/setup.h"
#include "log/log.h"
#include "roles/dns/dns_priv.h"
#include "sys/sandbox.h"
#include "sys/spawn.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* --- who asks --- */

static void
peer_close(struct peer *p, const char *why)
{
	if (why)
		LOG(LOG_WARN, 0, "asker-away", LOGZ("why", why));
	p->chan = chan_free(p->chan);
	jobs_orphan(p->dns, p);
	routes_orphan(p->dns->routes, p);
}

static bool
is_relay(const struct peer *p)
{
	return p >= p->dns->relay && p < p->dns->relay + RELAY_MAX;
}

static bool
on_name_ask(struct peer *p, const struct ipc_frame *m)
{
	if (p == &p->dns->fetch || is_relay(p) || m->body.len != ADDRESS_LEN)
		return false;
	job_name(p, m->id, (const unsigned char *)m->body.p);
	return true;
}

static bool
on_addr_ask(struct peer *p, const struct ipc_frame *m)
{
	if (p != &p->dns->fetch || m->body.len == 0 || memchr(m->body.p, '\0', m->body.len))
		return false;
	job_addresses(p, m->id, m->body);
	return true;
}

static bool
on_mx_ask(struct peer *p, const struct ipc_frame *m)
{
	struct msg_mx_ask ask;
	if (!is_relay(p) || !msg_mx_ask_get(m->body, &ask))
		return false;
	routes_ask(p->dns->routes, p, m->id, &ask);
	return true;
}

static const struct {
	enum ipc_type type;
	bool (*handle)(struct peer *p, const struct ipc_frame *m); /* false: a breach */
} from_peer[] = {
	{ IPC_NAME_ASK, on_name_ask },
	{ IPC_ADDR_ASK, on_addr_ask },
	{ IPC_MX_ASK, on_mx_ask },
};

static void
peer_frame(void *arg, struct chan *c, const struct ipc_frame *m)
{
	struct peer *p = arg;
	bool ok = false;
	if (m->fd >= 0)
		close(m->fd);
	else
		for (size_t i = 0; i < ARRAY_LEN(from_peer); i++)
			if (from_peer[i].type == m->type)
				ok = from_peer[i].handle(p, m);
	if (ok && chan_pending(c) > IPC_HIGH_WATER)
		peer_close(p, "it does not read its answers");
	else if (!ok)
		peer_close(p, "malformed message");
}

static void
peer_gone(void *arg, struct chan *c, const char *why)
{
	peer_close(arg, why);
}

static const struct chan_handler peer_handler = { peer_frame, peer_gone, NULL };

/* --- messages from parent --- */

/* A new configuration that changes what we do comes with a new life (roles/parent/child.c). */
static bool
on_setup(void *arg, struct ipc_frame *m)
{
	struct dns *d = arg;
	return setup_again(m, ROLE_DNS, &d->conf);
}

static struct peer *
peer_of(struct dns *d, const struct msg_peer *who)
{
	if (who->role == ROLE_FRONT && who->index < FRONT_MAX)
		return &d->front[who->index];
	if (who->role == ROLE_RELAY && who->index < RELAY_MAX)
		return &d->relay[who->index];
	return who->role == ROLE_FETCH ? &d->fetch : NULL;
}

static bool
on_peer(void *arg, struct ipc_frame *m)
{
	struct dns *d = arg;
	struct msg_peer who;
	struct peer *p = m->fd >= 0 && msg_peer_get(m->body, &who) ? peer_of(d, &who) : NULL;
	if (!p)
		return false;
	peer_close(p, NULL);
	p->chan = chan_new(d->role.loop, role_take_fd(m), &peer_handler, p);
	if (!p->chan)
		LOG(LOG_ERROR, 0, "asker-refused", LOGZ("error", strerror(errno)));
	return true;
}

static bool
on_status(void *arg, struct ipc_frame *m)
{
	struct dns *d = arg;
	const struct role_count rows[] = { { STATUS_LOOKUPS, d->n_asked } };
	role_say_status(d->role.parent, m->id, d->role.layers, rows, ARRAY_LEN(rows));
	return true;
}

static const struct role_row from_parent[] = {
	{ IPC_SETUP, on_setup },
	{ IPC_PEER, on_peer },
	{ IPC_STATUS_ASK, on_status },
};

static bool
idle(void *arg)
{
	const struct dns *d = arg;
	return d->n_jobs == 0 && routes_open(d->routes) == 0;
}

static int
live(struct dns *d)
{
	struct role *r = &d->role;
	r->rows = from_parent;
	r->n = ARRAY_LEN(from_parent);
	r->arg = d;
	r->idle = idle;
	d->timer = loop_timer_new(r->loop, jobs_late, d);
	d->routes = routes_new(d);
	int status = role_run(r, SPAWN_FD);
	jobs_drop(d);
	d->routes = routes_free(d->routes);
	for (size_t i = 0; i < FRONT_MAX; i++)
		chan_free(d->front[i].chan);
	for (size_t i = 0; i < RELAY_MAX; i++)
		chan_free(d->relay[i].chan);
	chan_free(d->fetch.chan);
	loop_timer_free(d->timer);
	return status;
}

static void
give_up_rights(struct dns *d, const struct msg_setup *m)
{
	struct sandbox box = {
		.role = "dns",
		.sets = SANDBOX_FDPASS | SANDBOX_THREADS | SANDBOX_TCP | SANDBOX_UDP,
		.chroot_empty = true,
		.uid = m->uid,
		.gid = m->gid,
	};
	d->role.layers = sandbox_apply(&box);
}

static int
begin(void *arg, struct conf *conf, const struct msg_setup *m, struct buf *err)
{
	struct dns *d = arg;
	int status = 1;
	d->conf = conf;
	d->role.loop = loop_new();
	d->resolver = resolver_new(conf, err);
	if (d->resolver) {
		give_up_rights(d, m);
		if (resolver_go(d->resolver, d->role.loop, err))
			status = live(d);
	}
	d->resolver = resolver_free(d->resolver);
	loop_free(d->role.loop);
	cache_done(&d->cache);
	conf_free(d->conf);
	return status;
}

int
dns_main(void)
{
	static struct dns d;
	list_init(&d.jobs);
	cache_init(&d.cache, CACHE_MAX, CACHE_OCTETS);
	d.fetch.dns = &d;
	for (size_t i = 0; i < FRONT_MAX; i++)
		d.front[i].dns = &d;
	for (size_t i = 0; i < RELAY_MAX; i++)
		d.relay[i].dns = &d;
	return setup_main(ROLE_DNS, begin, &d);
}
