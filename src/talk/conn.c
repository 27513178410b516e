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

void
conn_close(struct conn *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	buf_done(&c->in);
}

/* Takes in what is there. False when the input buffer is full. */
static bool
take_in(struct conn *c)
{
	size_t room = MIN(CONN_INPUT_MAX - c->in.len, (size_t)65536);

	if (room == 0 || !buf_reserve(&c->in, room))
		return false;
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
	return wait_for(c->fd, POLLIN, deadline) > 0 && take_in(c);
}

int
conn_send(struct conn *c, struct str octets, int64_t timeout_ms)
{
	int64_t deadline = sys_mono_ms() + timeout_ms;

	while (octets.len) {
		ssize_t n = send(c->fd, octets.p, octets.len, MSG_NOSIGNAL);
		if (n >= 0) {
			octets = str_skip(octets, (size_t)n);
			continue;
		}
		if (errno != EAGAIN)
			return errno == ECONNRESET ? -EPIPE : -errno;
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
