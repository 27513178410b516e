/* sync: chan.h's frames on a blocking socket, and the making of a pair. */
#include "base/check.h"
#include "ipc/chan.h"
#include "ipc/fdpass.h"
#include "ipc/frame.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#define PAIR_BUFFER (4 << 20)

static int
wait_for(int sock, short events)
{
	struct pollfd p = { .fd = sock, .events = events };
	while (poll(&p, 1, -1) < 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}

static int
send_all(int sock, struct str s, int fd)
{
	while (s.len) {
		ssize_t n = fdpass_send(sock, s.p, s.len, fd, 0);
		if (n == -EAGAIN)
			n = wait_for(sock, POLLOUT);
		else if (n > 0)
			fd = -1;
		if (n < 0)
			return n == -ECONNRESET ? -EPIPE : (int)n;
		s = str_skip(s, (size_t)n);
	}
	return 0;
}

int
chan_sync_send(int sock, uint16_t type, uint64_t id, struct str body, int fd)
{
	static const char zeros[8];
	const struct frame_type *t = frame_type(type);
	check(t != NULL && body.len <= t->body_max && t->fd == (fd >= 0));
	unsigned char top[FRAME_HEAD];
	frame_head_put(top, &(struct frame_head){ (uint32_t)body.len, type, fd >= 0, id });
	struct buf out = BUF_INIT(FRAME_HEAD + IPC_BODY_MAX + 8);
	buf_put(&out, top, sizeof(top));
	buf_puts(&out, body);
	buf_put(&out, zeros, frame_size((uint32_t)body.len) - FRAME_HEAD - body.len);
	int r = out.failed ? -ENOMEM : send_all(sock, buf_str(&out), fd);
	buf_done(&out);
	return r;
}

struct fds {
	int fd[FDPASS_MAX];
	size_t n;
};

/* Exactly n octets more at the end of store. */
static int
recv_exactly(int sock, struct buf *store, size_t n, struct fds *fds)
{
	if (!buf_reserve(store, n))
		return -ENOMEM;
	while (n) {
		ssize_t got = fdpass_recv(sock, store->p + store->len, n, 0, fds->fd, &fds->n);
		if (got == -EAGAIN)
			got = wait_for(sock, POLLIN);
		else if (got == 0 || got == -ECONNRESET)
			return -EPIPE;
		if (got < 0)
			return (int)got;
		store->len += (size_t)got;
		n -= (size_t)got;
	}
	return 0;
}

static int
recv_frame(int sock, struct frame_head *h, struct str *body, struct buf *store, struct fds *fds)
{
	const char *why;
	size_t size;
	buf_reset(store);
	int r = recv_exactly(sock, store, FRAME_HEAD, fds);
	if (r < 0)
		return r;
	if (ipc_frame_head_get(buf_str(store), h, &why) != FRAME_OK)
		return -EPROTO;
	r = recv_exactly(sock, store, frame_size(h->len) - FRAME_HEAD, fds);
	if (r < 0)
		return r;
	if (ipc_frame_get(buf_str(store), h, body, &size, &why) != FRAME_OK)
		return -EPROTO;
	return fds->n == (h->fd ? 1 : 0) ? 0 : -EPROTO;
}

int
chan_sync_recv(int sock, struct ipc_frame *ret, struct buf *store)
{
	struct frame_head h;
	struct str body;
	struct fds fds = { .n = 0 };
	int r = recv_frame(sock, &h, &body, store, &fds);
	if (r < 0) {
		for (size_t i = 0; i < fds.n; i++)
			close(fds.fd[i]);
		return r;
	}
	*ret = (struct ipc_frame){ h.type, h.id, body, h.fd ? fds.fd[0] : -1 };
	return 0;
}

/* With privilege beyond the limit of the system, else as far as that goes. */
static void
buffer_size(int fd, int forced, int plain)
{
	int size = PAIR_BUFFER;
	if (setsockopt(fd, SOL_SOCKET, forced, &size, sizeof(size)) < 0)
		setsockopt(fd, SOL_SOCKET, plain, &size, sizeof(size));
}

int
chan_pair(int ret_fd[2])
{
	int fd[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fd) < 0)
		return -errno;
	for (int i = 0; i < 2; i++) {
		buffer_size(fd[i], SO_SNDBUFFORCE, SO_SNDBUF);
		buffer_size(fd[i], SO_RCVBUFFORCE, SO_RCVBUF);
		ret_fd[i] = fd[i];
	}
	return 0;
}
