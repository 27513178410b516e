#include "ipc/chan.h"

#include "base/check.h"
#include "ipc/fdpass.h"
#include "ipc/frame.h"
#include "loop/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define RECV_ROOM (256u << 10)
#define RECV_ROUNDS 16 /* full reads in a row before others get their turn */
#define IN_MAX (FRAME_HEAD + IPC_BODY_MAX + RECV_ROOM)
#define KEEP (1u << 20) /* an empty buffer larger than this gives its memory back */

/* A descriptor on its way out, and the place of its frame in all that was ever queued. */
struct riding {
	uint64_t at;
	int fd;
};

struct chan {
	struct loop *loop;
	struct loop_io *io;
	struct loop_defer turn;
	const struct chan_handler *handler;
	void *arg;
	int fd;

	struct buf in;
	size_t in_off; /* octets of in that are done with */
	int in_fds[FDPASS_MAX];
	size_t n_in_fds;

	struct buf out;
	size_t out_off;
	uint64_t sent; /* octets ever sent; out.p + out_off stands there */
	struct riding *riding;
	size_t n_riding, cap_riding;
	bool full;   /* the socket took no more: wait until it is writable */
	bool high;   /* was over IPC_HIGH_WATER: owes a `drained` */
	bool secret; /* a frame of a secret type was queued: out is wiped as it is sent */
	bool deaf;   /* the peer reads no more */

	bool breach;
	const char *why; /* of the breach */
	bool closed;
	unsigned busy; /* depth of calls that need c after a handler ran */
	bool freed;
};

static void on_io(void *arg, unsigned events);
static void on_turn(void *arg);

static size_t
pending(const struct chan *c)
{
	return c->out.len - c->out_off;
}

struct chan *
chan_new(struct loop *l, int fd, const struct chan_handler *h, void *arg)
{
	struct loop_io *io;
	struct chan *c = xalloc(sizeof(*c));
	io = loop_io_new(l, fd, on_io, c);
	if (!io) {
		int saved = errno;
		free(c);
		close(fd);
		errno = saved;
		return NULL;
	}
	c->loop = l;
	c->io = io;
	c->fd = fd;
	c->handler = h;
	c->arg = arg;
	buf_init(&c->in, IN_MAX);
	buf_init(&c->out, 2 * (size_t)IPC_QUEUE_MAX); /* what is sent makes room late */
	loop_defer_init(&c->turn, on_turn, c);
	loop_io_want(io, LOOP_READ);
	return c;
}

static void
out_drop(struct chan *c)
{
	for (size_t i = 0; i < c->n_riding; i++)
		close(c->riding[i].fd);
	c->n_riding = 0;
	c->sent += pending(c);
	c->out_off = 0;
	if (c->secret)
		buf_wipe(&c->out);
	buf_done(&c->out);
}

/* Gives back all but the object and the input buffer, which a handler may be looking at. */
static void
shut(struct chan *c)
{
	if (c->closed)
		return;
	c->closed = true;
	loop_defer_del(&c->turn);
	c->io = loop_io_free(c->io);
	close(c->fd);
	c->fd = -1;
	for (size_t i = 0; i < c->n_in_fds; i++)
		close(c->in_fds[i]);
	c->n_in_fds = 0;
	out_drop(c);
	free(c->riding);
	c->riding = NULL;
	c->cap_riding = 0;
}

static void
leave(struct chan *c)
{
	check(c->busy > 0);
	if (--c->busy == 0 && c->freed) {
		buf_done(&c->in);
		free(c);
	}
}

struct chan *
chan_free(struct chan *c)
{
	if (!c)
		return NULL;
	check(!c->freed);
	shut(c);
	c->freed = true;
	c->busy++;
	leave(c);
	return NULL;
}

/* The end of the channel; its caller holds it busy. why NULL: the peer closed. */
static void
end(struct chan *c, const char *why)
{
	if (c->closed)
		return;
	shut(c);
	if (c->handler->gone)
		c->handler->gone(c->arg, c, why);
}

/* Something is broken that must not be told from inside a call of the owner. */
static void
break_later(struct chan *c, const char *why)
{
	if (!c->breach) {
		c->breach = true;
		c->why = why;
	}
	c->deaf = true;
	out_drop(c);
	loop_defer_add(c->loop, &c->turn);
}

/* Sending. */

/* Room for n octets more; of a secret none stays where it stood before. */
static bool
out_grow(struct chan *c, size_t n)
{
	struct buf larger;
	if (!c->secret || n <= c->out.cap - c->out.len)
		return buf_reserve(&c->out, n);
	buf_init(&larger, c->out.max);
	if (!buf_reserve(&larger, MAX(c->out.len + n, MIN(2 * c->out.cap, c->out.max))))
		return false;
	buf_puts(&larger, buf_str(&c->out));
	buf_wipe(&c->out);
	buf_done(&c->out);
	c->out = larger;
	return true;
}

static bool
out_reserve(struct chan *c, size_t n)
{
	size_t left = pending(c);
	if (left + n > IPC_QUEUE_MAX)
		return false;
	/* Moving costs no more than what was sent since the last move. */
	if (c->out_off > 0 && c->out_off >= left) {
		buf_drop(&c->out, c->out_off);
		if (c->secret)
			explicit_bzero(c->out.p + left, c->out_off);
		c->out_off = 0;
	}
	return out_grow(c, n);
}

static bool
ride(struct chan *c, int fd)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (copy < 0)
		return false;
	if (c->n_riding == c->cap_riding) {
		c->cap_riding = c->cap_riding ? c->cap_riding * 2 : 4;
		c->riding = xrealloc(c->riding, c->cap_riding * sizeof(*c->riding));
	}
	c->riding[c->n_riding++] = (struct riding){ c->sent + pending(c), copy };
	return true;
}

static void
queue(struct chan *c, uint16_t type, uint64_t id, struct str head, struct str tail, int fd)
{
	static const char zeros[8];
	const struct frame_type *t = frame_type(type);
	check(t != NULL);
	check(head.len <= t->body_max && tail.len <= t->body_max - head.len);
	check(t->fd == (fd >= 0));
	if (c->closed || c->deaf)
		return;

	size_t len = head.len + tail.len;
	size_t size = frame_size((uint32_t)len);
	unsigned char top[FRAME_HEAD];
	frame_head_put(top, &(struct frame_head){ (uint32_t)len, type, fd >= 0, id });
	c->secret |= t->secret;
	if (!out_reserve(c, size)) {
		break_later(c, "it does not read what we send");
		return;
	}
	if (fd >= 0 && !ride(c, fd)) {
		break_later(c, "no descriptor left to send one");
		return;
	}
	buf_put(&c->out, top, sizeof(top));
	buf_puts(&c->out, head);
	buf_puts(&c->out, tail);
	buf_put(&c->out, zeros, size - FRAME_HEAD - len);
	if (pending(c) >= IPC_HIGH_WATER)
		c->high = true;
	if (!c->full)
		loop_defer_add(c->loop, &c->turn);
}

void
chan_send(struct chan *c, uint16_t type, uint64_t id, struct str body, int fd)
{
	queue(c, type, id, body, STR_NULL, fd);
}

void
chan_send2(struct chan *c, uint16_t type, uint64_t id, struct str head, struct str tail)
{
	queue(c, type, id, head, tail, -1);
}

size_t
chan_pending(const struct chan *c)
{
	return pending(c);
}

static void
out_advance(struct chan *c, size_t n)
{
	if (c->secret && n)
		explicit_bzero(c->out.p + c->out_off, n);
	c->out_off += n;
	c->sent += n;
	if (pending(c) > 0)
		return;
	c->out_off = 0;
	if (c->out.cap > KEEP)
		buf_done(&c->out);
	else
		buf_reset(&c->out);
}

/* One sendmsg of what may go together: up to the next frame that carries a descriptor.
 * False when there is nothing more to do now. */
static bool
send_run(struct chan *c)
{
	size_t n = pending(c);
	int fd = -1;
	size_t next = 0;
	if (n == 0)
		return false;
	if (c->n_riding > 0 && c->riding[0].at == c->sent) {
		fd = c->riding[0].fd;
		next = 1;
	}
	if (c->n_riding > next)
		n = MIN(n, (size_t)(c->riding[next].at - c->sent));
	ssize_t r = fdpass_send(c->fd, c->out.p + c->out_off, n, fd, MSG_DONTWAIT);
	if (r == -EAGAIN) {
		c->full = true;
		return false;
	}
	if (r == -EPIPE || r == -ECONNRESET) {
		/* What it sent before it died is still to be read; the end is met there. */
		c->deaf = true;
		out_drop(c);
		return false;
	}
	if (r < 0) {
		break_later(c, "cannot send to it");
		return false;
	}
	if (fd >= 0 && r > 0) {
		close(fd);
		c->n_riding--;
		memmove(c->riding, c->riding + 1, c->n_riding * sizeof(*c->riding));
	}
	out_advance(c, (size_t)r);
	c->full = (size_t)r < n;
	return !c->full;
}

/* Writability is also how a channel that owes a `drained` gets its turn: a handler that fills
 * the queue again would otherwise keep all others from theirs. */
static void
watch(struct chan *c)
{
	bool write = !c->deaf && (c->full || c->high);
	loop_io_want(c->io, LOOP_READ | (write ? LOOP_WRITE : 0));
}

static void
flush(struct chan *c)
{
	if (c->closed)
		return;
	while (!c->deaf && send_run(c))
		;
	watch(c);
}

void
chan_flush(struct chan *c)
{
	if (!c->full)
		flush(c);
}

static void
tell_drained(struct chan *c)
{
	if (c->closed || c->deaf || !c->high || pending(c) >= IPC_LOW_WATER)
		return;
	c->high = false;
	watch(c);
	if (c->handler->drained)
		c->handler->drained(c->arg, c);
}

static void
on_turn(void *arg)
{
	struct chan *c = arg;
	c->busy++;
	if (!c->full)
		flush(c);
	if (c->breach)
		end(c, c->why);
	leave(c);
}

/* Receiving. */

static bool
in_compact(struct chan *c)
{
	size_t left = c->in.len - c->in_off;
	if (left == 0 && c->in.cap > KEEP)
		buf_done(&c->in);
	else if (left == 0)
		buf_reset(&c->in);
	else if (c->in_off >= left || c->in.max - c->in.len < RECV_ROOM)
		buf_drop(&c->in, c->in_off);
	else
		return buf_reserve(&c->in, RECV_ROOM);
	c->in_off = 0;
	return buf_reserve(&c->in, RECV_ROOM);
}

static int
claim_fd(struct chan *c)
{
	if (c->n_in_fds == 0)
		return -1;
	int fd = c->in_fds[0];
	c->n_in_fds--;
	memmove(c->in_fds, c->in_fds + 1, c->n_in_fds * sizeof(*c->in_fds));
	return fd;
}

/* Descriptors left over after all whole frames may only belong to the frame that has begun. */
static bool
fds_fit(struct chan *c)
{
	struct frame_head h;
	const char *why;
	struct str rest = str_skip(buf_str(&c->in), c->in_off);
	if (c->n_in_fds == 0)
		return true;
	if (c->n_in_fds > 1 || rest.len == 0)
		return false;
	return ipc_frame_head_get(rest, &h, &why) == FRAME_MORE || h.fd;
}

/* Hands all whole frames out. NULL, or the breach that stopped it. */
static const char *
deliver(struct chan *c)
{
	while (!c->closed) {
		struct frame_head h;
		struct str body;
		size_t size;
		const char *why = NULL;
		struct str rest = str_skip(buf_str(&c->in), c->in_off);
		enum frame_verdict v = ipc_frame_get(rest, &h, &body, &size, &why);
		if (v == FRAME_BAD)
			return why;
		if (v == FRAME_MORE)
			break;
		c->in_off += size;
		struct ipc_frame f = { h.type, h.id, body, -1 };
		if (h.fd && (f.fd = claim_fd(c)) < 0)
			return "frame announced a descriptor and none came";
		c->handler->frame(c->arg, c, &f);
	}
	if (!c->closed && !fds_fit(c))
		return "descriptor that no frame announced";
	return NULL;
}

/* One recvmsg. False when there is no more to read now, or the channel ended. */
static bool
receive(struct chan *c)
{
	if (!in_compact(c)) {
		end(c, "no memory for what it sends");
		return false;
	}
	size_t room = c->in.cap - c->in.len;
	char *to = c->in.p + c->in.len;
	ssize_t n = fdpass_recv(c->fd, to, room, MSG_DONTWAIT, c->in_fds, &c->n_in_fds);
	if (n == -EAGAIN)
		return false;
	if (n == 0 || n == -ECONNRESET || n == -EPIPE) {
		end(c, NULL); /* in the middle of a frame too: so it looks when it was killed */
		return false;
	}
	if (n < 0) {
		bool crowd = n == -EPROTO;
		end(c, crowd ? "more descriptors than frames may carry" : "cannot read from it");
		return false;
	}
	c->in.len += (size_t)n;
	const char *why = deliver(c);
	if (why)
		end(c, why);
	return !c->closed && (size_t)n == room;
}

static void
on_io(void *arg, unsigned events)
{
	struct chan *c = arg;
	c->busy++;
	if (events & LOOP_WRITE) {
		c->full = false;
		flush(c);
		tell_drained(c);
	}
	if (events & (LOOP_READ | LOOP_GONE))
		for (int round = 0; !c->closed && round < RECV_ROUNDS && receive(c); round++)
			;
	leave(c);
}
