#include "io/stream.h"

#include "base/check.h"
#include "io/stream_priv.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_MAX (64u << 10)

/* A large local array that need not be cleared on every call. */
#if defined(__has_attribute) && __has_attribute(uninitialized)
#define UNINITIALIZED __attribute__((uninitialized))
#else
#define UNINITIALIZED
#endif

static size_t
in_room(const struct stream *s)
{
	return STREAM_IN_MAX - (s->in.len - s->in_off);
}

bool
stream_reads(const struct stream *s)
{
	return !s->failed && !s->eof && !s->paused && in_room(s) > 0;
}

void
stream_watch(struct stream *s)
{
	unsigned want = 0;
	bool reads = stream_reads(s);
	if (s->tls && s->tls->handshake) {
		loop_io_want(s->io, s->failed ? 0 : s->tls->want);
		return;
	}
	if (reads)
		want |= s->tls && s->tls->read_blocked ? LOOP_WRITE : LOOP_READ;
	if (!s->failed && s->blocked)
		want |= LOOP_WRITE;
	loop_io_want(s->io, want);
	if (reads && s->tls && stream_tls_waits(s))
		loop_defer_add(s->loop, &s->tls->again);
}

void
stream_fail(struct stream *s)
{
	s->failed = true;
	s->blocked = false;
	buf_done(&s->out);
	stream_watch(s);
}

static void
on_broke(void *arg)
{
	struct stream *s = arg;
	s->fn(s->arg, STREAM_ERROR);
}

static int
send_some(struct stream *s)
{
	ssize_t n;
	do
		n = send(s->fd, s->out.p, s->out.len, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	buf_drop(&s->out, (size_t)n);
	return 0;
}

static void
shut(struct stream *s)
{
	if (s->tls)
		tls_close_notify(s->tls->t);
	shutdown(s->fd, SHUT_WR); /* ENOTCONN: the next read tells */
}

/* One attempt to send all; after it s->out is empty, or blocked or failed is set. */
static void
flush(struct stream *s)
{
	s->blocked = false;
	if (s->out.failed || (s->out.len > 0 && (s->tls ? stream_tls_send(s) : send_some(s)) < 0)) {
		stream_fail(s);
		return;
	}
	if (s->out.len > 0)
		s->blocked = true;
	else
		buf_done(&s->out);
	if (s->shut && s->out.len == 0)
		shut(s);
	stream_watch(s);
}

static ssize_t
recv_some(const struct stream *s, char *p, size_t room)
{
	ssize_t n;
	do
		n = recv(s->fd, p, room, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

/* One recv into the stack, so that an idle or slow stream holds no more than it said. */
static ssize_t
fill(struct stream *s)
{
	UNINITIALIZED char chunk[READ_MAX];
	buf_drop(&s->in, s->in_off);
	s->in_off = 0;
	size_t room = MIN(in_room(s), sizeof(chunk));
	ssize_t n = s->tls ? stream_tls_fill(s, chunk, room) : recv_some(s, chunk, room);
	if (n > 0) {
		buf_put(&s->in, chunk, (size_t)n);
		explicit_bzero(chunk, (size_t)n); /* there may be a password in it */
	}
	return s->in.failed ? -ENOMEM : n;
}

/* Each event ends with at most one call of the owner, who may have freed the stream in it. */
void
stream_readable(struct stream *s)
{
	ssize_t n = fill(s);
	if (n == -EAGAIN) {
		if (s->tls)
			stream_watch(s);
		return;
	}
	if (n < 0) {
		stream_fail(s);
		s->fn(s->arg, STREAM_ERROR);
		return;
	}
	s->eof = n == 0;
	stream_watch(s);
	s->fn(s->arg, s->eof ? STREAM_EOF : STREAM_INPUT);
}

static void
on_writable(struct stream *s)
{
	flush(s);
	if (s->failed)
		s->fn(s->arg, STREAM_ERROR);
	else if (!s->blocked)
		s->fn(s->arg, STREAM_DRAINED);
}

static void
on_io(void *arg, unsigned events)
{
	struct stream *s = arg;
	if (s->failed)
		return;
	if (s->tls && s->tls->handshake)
		stream_tls_io(s);
	else if ((events & LOOP_WRITE) && s->blocked)
		on_writable(s); /* if it is readable too, the loop says so again */
	else if ((events & (LOOP_READ | LOOP_WRITE)) && stream_reads(s))
		stream_readable(s);
}

int
stream_open(struct stream *s, struct loop *l, int fd, stream_fn *fn, void *arg)
{
	*s = (struct stream){ .fd = -1, .loop = l, .fn = fn, .arg = arg };
	buf_init(&s->in, STREAM_IN_MAX);
	buf_init(&s->out, STREAM_OUT_MAX);
	loop_defer_init(&s->broke, on_broke, s);
	s->io = loop_io_new(l, fd, on_io, s);
	if (!s->io)
		return -errno;
	s->fd = fd;
	stream_watch(s);
	return 0;
}

void
stream_close(struct stream *s)
{
	if (!s->io)
		return;
	loop_defer_del(&s->broke);
	if (s->tls)
		stream_tls_close(s);
	s->io = loop_io_close(s->io);
	s->fd = -1;
	s->failed = true;
	s->blocked = false;
	s->in_off = 0;
	buf_done(&s->in);
	buf_done(&s->out);
}

struct str
stream_input(struct stream *s)
{
	return str_skip(buf_str(&s->in), s->in_off);
}

void
stream_eat(struct stream *s, size_t n)
{
	check(n <= s->in.len - s->in_off);
	s->in_off += n;
	if (s->in_off == s->in.len) {
		buf_done(&s->in);
		s->in_off = 0;
	}
	if (s->io)
		stream_watch(s);
}

void
stream_send(struct stream *s)
{
	if (!s->io || s->failed) {
		buf_done(&s->out);
		return;
	}
	if (!s->out.failed && (s->blocked || (s->tls && s->tls->handshake)))
		return;
	flush(s);
	if (s->failed)
		loop_defer_add(s->loop, &s->broke);
}

size_t
stream_unsent(const struct stream *s)
{
	return s->out.len;
}

void
stream_pause(struct stream *s, bool paused)
{
	s->paused = paused;
	if (s->io)
		stream_watch(s);
}

void
stream_shutdown_write(struct stream *s)
{
	s->shut = true;
	if (s->io && !s->failed && !s->blocked)
		stream_send(s);
}
