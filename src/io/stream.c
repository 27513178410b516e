#include "io/stream.h"

#include "base/check.h"
#include "io/stream_priv.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_MAX (64u << 10)
#define OUT_SENT_MAX (256u << 10)

/* A large local array that need not be cleared on every call. */
#if defined(__has_attribute) && __has_attribute(uninitialized)
#define UNINITIALIZED __attribute__((uninitialized))
#else
#define UNINITIALIZED
#endif

size_t
stream_room(const struct stream *s)
{
	return STREAM_IN_MAX - (s->in.len - s->in_off);
}

bool
stream_reads(const struct stream *s)
{
	return !s->failed && !s->eof && !s->paused && stream_room(s) > 0;
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
	/* There is more at hand: as a rule writable comes at once, in the next turn, when others
	 * have had theirs. */
	if (reads && s->z && stream_deflate_waits(s))
		want |= LOOP_WRITE;
	loop_io_want(s->io, want);
	if (reads && s->tls && stream_tls_waits(s))
		loop_defer_add(s->loop, &s->tls->again);
}

static void
drop_out(struct stream *s)
{
	buf_done(&s->out);
	s->out_off = 0;
}

void
stream_fail(struct stream *s)
{
	s->failed = true;
	s->blocked = false;
	drop_out(s);
	stream_watch(s);
}

static void
on_broke(void *arg)
{
	struct stream *s = arg;
	s->fn(s->arg, STREAM_ERROR);
}

static int
send_some(struct stream *s, struct str octets, size_t *ret_sent)
{
	ssize_t n;
	do
		n = send(s->fd, octets.p, octets.len, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	*ret_sent = (size_t)n;
	return 0;
}

static void
shut(struct stream *s)
{
	if (s->tls)
		tls_close_notify(s->tls->t);
	shutdown(s->fd, SHUT_WR); /* ENOTCONN: the next read tells */
}

/* What is sent stays in front of the rest until it is much: to move the rest each time would cost
 * more than sending it. */
static void
out_sent(struct stream *s, size_t n)
{
	s->out_off += n;
	if (s->out_off == s->out.len) {
		drop_out(s);
	} else if (s->out_off >= OUT_SENT_MAX && s->out_off >= s->out.len / 2) {
		buf_drop(&s->out, s->out_off);
		s->out_off = 0;
	}
}

/* One attempt; false: no more goes now, or it failed. */
static bool
send_once(struct stream *s)
{
	size_t n = 0;
	struct str octets = s->z ? stream_deflate_pack(s) : str_skip(buf_str(&s->out), s->out_off);
	if (s->out.failed) {
		stream_fail(s);
		return false;
	}
	if (octets.len == 0)
		return false;
	if ((s->tls ? stream_tls_send(s, octets, &n) : send_some(s, octets, &n)) < 0) {
		stream_fail(s);
		return false;
	}
	s->sent += n;
	if (s->z)
		stream_deflate_sent(s, n);
	else
		out_sent(s, n);
	return n == octets.len && s->z;
}

/* One attempt to send all; after it nothing is unsent, or blocked or failed is set. */
static void
flush(struct stream *s)
{
	s->blocked = false;
	while (send_once(s))
		;
	if (s->failed)
		return;
	s->blocked = stream_unsent(s) > 0;
	if (s->shut && !s->blocked)
		shut(s);
	stream_watch(s);
}

ssize_t
stream_recv(struct stream *s, char *p, size_t room)
{
	ssize_t n;
	if (s->tls) {
		n = stream_tls_fill(s, p, room);
	} else {
		do
			n = recv(s->fd, p, room, MSG_DONTWAIT);
		while (n < 0 && errno == EINTR);
		n = n < 0 ? -errno : n;
	}
	s->received += n > 0 ? (uint64_t)n : 0;
	return n;
}

/* One recv into the stack, so that an idle or slow stream holds no more than it said. */
static ssize_t
fill_plain(struct stream *s)
{
	UNINITIALIZED char chunk[READ_MAX];
	ssize_t n = stream_recv(s, chunk, MIN(stream_room(s), sizeof(chunk)));
	if (n > 0) {
		buf_put(&s->in, chunk, (size_t)n);
		explicit_bzero(chunk, (size_t)n); /* there may be a password in it */
	}
	return n;
}

static ssize_t
fill(struct stream *s)
{
	buf_drop(&s->in, s->in_off);
	s->in_off = 0;
	ssize_t n = s->z ? stream_deflate_fill(s) : fill_plain(s);
	return s->in.failed ? -ENOMEM : n;
}

/* Each event ends with at most one call of the owner, who may have freed the stream in it. */
void
stream_readable(struct stream *s)
{
	ssize_t n = fill(s);
	if (n == -EAGAIN) {
		if (s->tls || s->z)
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

struct str
stream_last_words(struct stream *s)
{
	while (s->io && s->failed && !s->eof && stream_room(s) > 0 && fill(s) > 0)
		;
	return stream_input(s);
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
	bool writes = (events & LOOP_WRITE) && s->blocked;
	bool reads = (events & LOOP_READ) && stream_reads(s);
	if (s->tls && s->tls->handshake) {
		stream_tls_io(s);
		return;
	}
	/* By turns, as the loop says the other again: neither who is fed without end is kept from
	 * saying that it is enough, nor is who talks without end kept from hearing. */
	if (writes && reads)
		s->wrote = writes = !s->wrote;
	if (writes)
		on_writable(s);
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
	if (s->z)
		stream_deflate_close(s);
	s->io = loop_io_close(s->io);
	s->fd = -1;
	s->failed = true;
	s->blocked = false;
	s->in_off = 0;
	buf_done(&s->in);
	drop_out(s);
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
		drop_out(s);
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
	return s->out.len - s->out_off + (s->z ? stream_deflate_unsent(s) : 0);
}

bool
stream_has_room(struct stream *s)
{
	struct pollfd p = { .fd = s->fd, .events = POLLOUT };
	if (s->failed || s->blocked || stream_unsent(s) > 0)
		return false;
	if (poll(&p, 1, 0) > 0)
		return true;
	s->blocked = true;
	stream_watch(s);
	return false;
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
