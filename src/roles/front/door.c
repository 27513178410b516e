/* door: a listening socket that parent opened; strangers come in here. */
#include "roles/front/front_priv.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static void
welcome(struct door *d, int fd, const struct sockaddr_storage *from)
{
	struct front *f = d->front;
	struct guest g = { .fd = fd, .listener = d->index, .from = *from };
	if (proxy_expected(f, d->index, (const struct sockaddr *)from)) {
		proxy_wait(f, &g);
		return;
	}
	guest_introduce(f, &g);
	guest_judge(f, &g);
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
			welcome(d, fd, &from);
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
