/*
 * proxy: a connection from one of proxy_peers begins with a header that says for whom it comes.
 *
 * Not an octet behind the header may be taken from the socket, because TLS reads that itself: what
 * has come is looked at first, and only what is header is taken. Nobody is counted, or greeted,
 * before it is known who he is.
 */
#include "roles/front/front_priv.h"

#include "smtp/proxy.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

struct knock {
	struct list node; /* front->knocks */
	struct front *front;
	struct loop_io *io;
	struct guest guest;
	int64_t by;
	size_t n; /* octets of the header that are here */
	unsigned char in[PROXY_MAX];
};

bool
proxy_expected(const struct front *f, uint16_t listener, const struct sockaddr *from)
{
	return cidr_list_match(&f->settings->peers[listener][PEERS_PROXY], from);
}

/* The descriptor stays open. */
static int
forget(struct knock *k)
{
	int fd = k->guest.fd;
	loop_io_free(k->io);
	list_del(&k->node);
	k->front->n_knocks--;
	free(k);
	return fd;
}

static void
send_away(struct knock *k, const char *why)
{
	char ip[INET6_ADDRSTRLEN];
	sys_addr_text((const struct sockaddr *)&k->guest.from, sizeof(k->guest.from), ip);
	LOG(LOG_WARN, 0, "proxy-refused", LOGZ("peer", ip), LOGZ("why", why));
	close(forget(k));
}

/* The end of the connection that the header names, as a socket would say it. */
static void
set_from(struct guest *g, const struct proxy_end *e)
{
	static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(e->port) };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(e->port) };
	g->from = (struct sockaddr_storage){ 0 };
	if (memcmp(e->ip, mapped, sizeof(mapped)) == 0) {
		memcpy(&in.sin_addr, e->ip + sizeof(mapped), 4);
		memcpy(&g->from, &in, sizeof(in));
	} else {
		memcpy(&in6.sin6_addr, e->ip, 16);
		memcpy(&g->from, &in6, sizeof(in6));
	}
}

static void
let_in(struct knock *k, const struct proxy_info *info)
{
	struct front *f = k->front;
	struct guest g = k->guest;
	if (!info->local)
		set_from(&g, &info->from);
	forget(k);
	guest_introduce(f, &g);
	if (info->unknown) /* somebody's, and nobody knows whose: not the proxy's own */
		g.relay = g.xclient = g.xforward = false;
	guest_judge(f, &g);
	conn_new(f, &g);
}

static bool
take(struct knock *k, size_t n)
{
	ssize_t got = n ? recv(k->guest.fd, k->in + k->n, n, MSG_DONTWAIT) : 0;
	k->n += n;
	return got >= 0 && (size_t)got == n;
}

static void
knock_ready(void *arg, unsigned events)
{
	struct knock *k = arg;
	struct proxy_info info;
	size_t used = 0;
	front_clock(k->front);
	ssize_t more =
	    recv(k->guest.fd, k->in + k->n, sizeof(k->in) - k->n, MSG_PEEK | MSG_DONTWAIT);
	if (more < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (more <= 0) {
		send_away(k, "it closed before its header was whole");
		return;
	}
	enum proxy_verdict v = proxy_parse(str_n(k->in, k->n + (size_t)more), &info, &used);
	if (v == PROXY_BAD || (v == PROXY_OK && used < k->n)) {
		send_away(k,
		    "no PROXY header that can be read; is it one of proxy_peers by mistake?");
		return;
	}
	if (!take(k, v == PROXY_OK ? used - k->n : (size_t)more))
		send_away(k, "its header cannot be read");
	else if (v == PROXY_OK)
		let_in(k, &info);
	else if (k->n == sizeof(k->in))
		send_away(k, "its header is too long");
}

void
proxy_wait(struct front *f, const struct guest *g)
{
	struct knock *k = f->n_knocks < KNOCKS_MAX ? xalloc(sizeof(*k)) : NULL;
	if (!k) {
		LOG(LOG_WARN, 0, "proxy-refused", LOGZ("why", "too many wait for their header"));
		close(g->fd);
		return;
	}
	*k = (struct knock){ .front = f, .guest = *g, .by = f->clock.now + PROXY_MS };
	k->io = loop_io_new(f->loop, g->fd, knock_ready, k);
	if (!k->io) {
		LOG(LOG_WARN, 0, "accept-failed", LOGZ("error", strerror(errno)));
		close(g->fd);
		free(k);
		return;
	}
	list_add_tail(&f->knocks, &k->node);
	f->n_knocks++;
	loop_io_want(k->io, LOOP_READ);
}

void
proxy_reseat(struct front *f, const uint16_t seat_of[LISTENER_MAX])
{
	list_each(n, &f->knocks)
	{
		struct knock *k = list_entry(n, struct knock, node);
		uint16_t seat = seat_of[k->guest.listener];
		k->guest.listener = seat;
		if (seat == TALLY_NOWHERE)
			send_away(k, "its listener is gone");
	}
}

void
proxy_sweep(struct front *f)
{
	list_each(n, &f->knocks)
	{
		struct knock *k = list_entry(n, struct knock, node);
		if (f->clock.now >= k->by)
			send_away(k, "no PROXY header came in time");
	}
}

void
proxy_close_all(struct front *f)
{
	list_each(n, &f->knocks) close(forget(list_entry(n, struct knock, node)));
}
