/* door: a listening socket that parent opened; strangers come in here. */
#include "roles/front/front_priv.h"

#include "sys/peer.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* LMTP has no login and is not for strangers: by a unix socket the kernel says who may come, over
 * TCP this machine and our own networks may. */
static bool
may_speak_lmtp(const struct guest *g)
{
	return g->local || g->relay || str_starts(str_of(g->ip), STR("127.")) ||
	       strcmp(g->ip, "::1") == 0;
}

/* Counts the newcomer; what to tell it, SMTP_NONE when it is welcome. */
static enum smtp_situation
verdict_on(struct front *f, const struct conf_listener *l, const struct guest *g)
{
	if (l->service_disabled && l->service_disabled[0])
		return SMTP_CONN_DISABLED;
	if (conf_is_lmtp(l) && !may_speak_lmtp(g))
		return SMTP_GREETING_REJECT;
	const struct conf *c = f->settings->conf;
	struct tally_limits limits = { c->limit_conns_total, l->limit_conns_listener,
		g->local ? CONF_OFF : c->limit_conns_per_ip };
	switch (tally_enter(&f->tally, &g->key, g->listener, &limits)) {
	case TALLY_TOTAL:
		return SMTP_CONN_LIMIT_TOTAL;
	case TALLY_LISTENER:
		return SMTP_CONN_LIMIT_LISTENER;
	case TALLY_ADDRESS:
		return SMTP_CONN_LIMIT_HOST;
	case TALLY_OK:
		break;
	}
	return SMTP_NONE;
}

static void
introduce(const struct door *d, const struct sockaddr *from, struct guest *g)
{
	struct sys_peer who;
	if (from->sa_family == AF_UNIX) {
		g->local = true;
		if (sys_peer_get(g->fd, &who) == 0)
			snprintf(g->ip, sizeof(g->ip), "unix:%u", (unsigned)who.uid);
		else
			(void)str_copy(g->ip, sizeof(g->ip), STR("unix"));
		return;
	}
	sys_addr_text(from, sizeof(struct sockaddr_storage), g->ip);
	g->relay = cidr_list_match(&d->front->settings->relay[d->index], from);
}

static void
welcome(struct door *d, int fd, const struct sockaddr *from)
{
	struct front *f = d->front;
	const struct conf_listener *l = &f->settings->conf->listeners[d->index];
	struct guest g = { .fd = fd, .listener = d->index, .key = tally_key_of(from) };
	introduce(d, from, &g);
	g.refuse = verdict_on(f, l, &g);
	/* What comes by LMTP has been through a mail server: nothing is added to it. */
	g.relay = g.relay && !conf_is_lmtp(l);
	conn_new(f, &g);
}

static void
door_ready(void *arg, unsigned events)
{
	struct door *d = arg;
	front_clock(d->front);
	for (int i = 0; i < ACCEPT_BURST; i++) {
		struct sockaddr_storage from = { 0 };
		socklen_t len = sizeof(from);
		int fd =
		    accept4(d->fd, (struct sockaddr *)&from, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			welcome(d, fd, (const struct sockaddr *)&from);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
			/* Out of descriptors: leave the queue alone until the next sweep. */
			LOG(LOG_WARN, 0, "accept-failed", LOGZ("error", strerror(errno)));
			loop_io_want(d->io, 0);
			return;
		}
		if (errno != ECONNABORTED && errno != EINTR)
			return;
	}
}

struct door *
door_open(struct front *f, uint16_t index, int fd)
{
	struct door *d = xalloc(sizeof(*d));
	int one = 1;
	/* A reply is one send: nothing to wait for with Nagle. What is accepted inherits it. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	*d = (struct door){ .front = f, .index = index, .fd = fd };
	d->io = loop_io_new(f->loop, fd, door_ready, d);
	if (!d->io) {
		LOG(LOG_ERROR, 0, "listener-refused", LOGZ("error", strerror(errno)));
		close(fd);
		free(d);
		return NULL;
	}
	loop_io_want(d->io, LOOP_READ);
	return d;
}

struct door *
door_close(struct door *d)
{
	if (!d)
		return NULL;
	loop_io_free(d->io);
	close(d->fd);
	free(d);
	return NULL;
}
