#include "talk/conn.h"

#include "sys/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

/* Waits for events until the deadline: > 0 something, 0 time is up, < 0 interrupted. */
static int
wait_for(int fd, short events, int64_t deadline)
{
	int64_t left = deadline - sys_mono_ms();
	struct pollfd p = { .fd = fd, .events = events };

	return poll(&p, 1, left < 0 ? 0 : left > 3600000 ? 3600000 : (int)left);
}

static int
finish_connect(int fd, int64_t deadline)
{
	int error = 0;
	socklen_t len = sizeof(error);

	int ready = wait_for(fd, POLLOUT, deadline);
	if (ready <= 0)
		return ready == 0 ? -ETIMEDOUT : -errno;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		return -errno;
	return -error;
}

static int
connect_to(const struct addrinfo *ai, int64_t deadline)
{
	int one = 1;
	int fd =
	    socket(ai->ai_family, ai->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, ai->ai_protocol);

	if (fd < 0)
		return -errno;
	int error = connect(fd, ai->ai_addr, ai->ai_addrlen) == 0 ? 0 : -errno;
	if (error == -EINPROGRESS)
		error = finish_connect(fd, deadline);
	/* What the player sends in one piece leaves in one piece, and at once. */
	if (error == 0 && setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) < 0)
		error = -errno;
	if (error == 0)
		return fd;
	close(fd);
	return error;
}

int
conn_open(struct conn *c, const char *host, uint16_t port, int64_t timeout_ms)
{
	struct addrinfo hints = { .ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICSERV },
			*list;
	int64_t deadline = sys_mono_ms() + timeout_ms;
	char service[8];
	int fd = -ENOENT;

	*c = (struct conn){ .fd = -1, .in = BUF_INIT(CONN_INPUT_MAX) };
	snprintf(service, sizeof(service), "%u", port);
	if (getaddrinfo(host, service, &hints, &list) != 0)
		return -ENOENT;
	for (struct addrinfo *ai = list; ai && fd < 0; ai = ai->ai_next)
		fd = connect_to(ai, deadline);
	freeaddrinfo(list);
	if (fd < 0)
		return fd;
	c->fd = fd;
	return 0;
}

static bool
shake_hands(struct conn *c, int64_t deadline, struct buf *why)
{
	for (;;) {
		enum tls_io io = tls_handshake(c->tls);
		if (io == TLS_OK)
			return true;
		if (io != TLS_READ && io != TLS_WRITE) {
			buf_putz(why, tls_error(c->tls));
			return false;
		}
		int ready = wait_for(c->fd, io == TLS_READ ? POLLIN : POLLOUT, deadline);
		if (ready <= 0) {
			buf_putz(why, ready == 0 ? "it took too long" : "interrupted");
			return false;
		}
	}
}

bool
conn_tls(struct conn *c, const char *name, const char *alpn, int64_t timeout_ms, struct buf *why)
{
	struct tls_client_conf conf = { .name = name, .alpn = alpn };

	if (c->tls) {
		buf_putz(why, "this connection is inside TLS already");
		return false;
	}
	/* What came in the clear must not be taken for an answer from within (CVE-2011-0411). */
	if (c->in.len) {
		buf_putz(why, "the server has said more than a step has read");
		return false;
	}
	tls_init();
	c->tls = tls_connect(&conf, c->fd, why);
	if (!c->tls)
		return false;
	bool ok = shake_hands(c, sys_mono_ms() + timeout_ms, why);
	if (!ok)
		c->at_end = true;
	return ok;
}

void
conn_close(struct conn *c)
{
	if (c->tls)
		tls_close_notify(c->tls);
	c->tls = tls_free(c->tls);
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	buf_done(&c->in);
}

static bool
take_in_tls(struct conn *c, size_t room)
{
	size_t n = 0;
	enum tls_io io = tls_read(c->tls, c->in.p + c->in.len, room, &n);

	if (io == TLS_OK)
		c->in.len += n;
	else if (io == TLS_CLOSED || io == TLS_FAILED)
		c->at_end = true;
	return true;
}

/* Takes in what is there. False when the input buffer is full. */
static bool
take_in(struct conn *c)
{
	size_t room = MIN(CONN_INPUT_MAX - c->in.len, (size_t)65536);

	if (room == 0 || !buf_reserve(&c->in, room))
		return false;
	if (c->tls)
		return take_in_tls(c, room);
	ssize_t n = recv(c->fd, c->in.p + c->in.len, room, 0);
	if (n > 0)
		c->in.len += (size_t)n;
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		c->at_end = true;
	return true;
}

/* Waits for input until the deadline and takes it in; false when there is no point in going
 * on: time is up, the end, a full buffer, a signal. */
static bool
take_in_until(struct conn *c, int64_t deadline)
{
	if (c->at_end || c->in.len == CONN_INPUT_MAX)
		return false;
	bool here = c->tls && tls_pending(c->tls);
	return (here || wait_for(c->fd, POLLIN, deadline) > 0) && take_in(c);
}

/* n >= 0: so many went; -EAGAIN: none for now. */
static ssize_t
send_some(struct conn *c, struct str octets)
{
	size_t sent = 0;

	if (!c->tls) {
		ssize_t n = send(c->fd, octets.p, octets.len, MSG_NOSIGNAL);
		return n < 0 ? -errno : n;
	}
	enum tls_io io = tls_write(c->tls, octets.p, octets.len, &sent);
	if (io == TLS_OK)
		return (ssize_t)sent;
	return io == TLS_WRITE ? -EAGAIN : -EPIPE;
}

int
conn_send(struct conn *c, struct str octets, int64_t timeout_ms)
{
	int64_t deadline = sys_mono_ms() + timeout_ms;

	while (octets.len) {
		ssize_t n = send_some(c, octets);
		if (n >= 0) {
			octets = str_skip(octets, (size_t)n);
			continue;
		}
		if (n != -EAGAIN)
			return n == -ECONNRESET ? -EPIPE : (int)n;
		short events =
		    c->at_end || c->in.len == CONN_INPUT_MAX ? POLLOUT : POLLOUT | POLLIN;
		int ready = wait_for(c->fd, events, deadline);
		if (ready <= 0)
			return ready == 0 ? -ETIMEDOUT : -errno;
		if (events & POLLIN)
			take_in(c);
	}
	return 0;
}

enum conn_line
conn_peek(struct conn *c, int64_t timeout_ms, struct str *ret)
{
	int64_t deadline = sys_mono_ms() + timeout_ms;
	size_t seen = 0;

	for (;;) {
		struct str fresh = str_skip(buf_str(&c->in), seen);
		size_t lf = str_find(fresh, '\n');
		if (lf < fresh.len) {
			*ret = str_n(c->in.p, seen + lf + 1);
			return CONN_LINE;
		}
		seen = c->in.len;
		if (take_in_until(c, deadline))
			continue;
		if (c->at_end && c->in.len) {
			*ret = buf_str(&c->in);
			return CONN_LINE;
		}
		if (c->in.len == CONN_INPUT_MAX)
			return CONN_FLOOD;
		return c->at_end ? CONN_END : CONN_TIMEOUT;
	}
}

void
conn_take(struct conn *c, struct str line)
{
	buf_drop(&c->in, line.len);
}

void
conn_wait(struct conn *c, int64_t ms)
{
	int64_t deadline = sys_mono_ms() + ms;

	while (c->fd >= 0 && take_in_until(c, deadline))
		;
	int64_t left = deadline - sys_mono_ms();
	if (left > 0)
		poll(NULL, 0, (int)left);
}
