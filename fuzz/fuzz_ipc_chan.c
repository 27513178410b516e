/*
 * The frame reader: the octets reach a channel through its socket, in pieces whose size the
 * first octet says, and one descriptor rides where the second says. The same octets go through
 * the pure ipc_frame_get() and through the blocking reader; while no descriptor rides, all three
 * must see the same frames.
 */
#include "base/check.h"
#include "ipc/chan.h"
#include "ipc/fdpass.h"
#include "ipc/frame.h"
#include "loop/loop.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INPUT_MAX 8192 /* fits into a socket unread */

struct run {
	struct loop *loop;
	struct chan *chan;
	int raw;
	struct str in;
	size_t at, piece, fd_at;
	size_t frames, octets;
	bool ended;
};

static void
on_frame(void *arg, struct chan *c, const struct ipc_frame *f)
{
	struct run *r = arg;
	check(f->body.len <= IPC_BODY_MAX && frame_type(f->type) != NULL);
	check((f->fd >= 0) == frame_type(f->type)->fd);
	if (f->fd >= 0)
		close(f->fd);
	r->frames++;
	r->octets += f->body.len;
}

static void
on_gone(void *arg, struct chan *c, const char *why)
{
	struct run *r = arg;
	r->ended = true;
	loop_stop(r->loop);
}

static const struct chan_handler handler = { .frame = on_frame, .gone = on_gone };

/* One piece more on its way, or the end. */
static void
on_turn(void *arg)
{
	struct run *r = arg;
	if (r->raw < 0)
		return;
	struct str left = str_skip(r->in, r->at);
	bool fd_now = r->at == r->fd_at;
	size_t n = MIN(left.len, r->piece);
	if (r->at < r->fd_at)
		n = MIN(n, r->fd_at - r->at);
	if (n > 0 && fdpass_send(r->raw, left.p, n, fd_now ? 2 : -1, MSG_DONTWAIT) == (ssize_t)n) {
		r->at += n;
		return;
	}
	close(r->raw);
	r->raw = -1;
}

/* Whole good frames at the start of in, up to one that wants a descriptor. */
static size_t
count_frames(struct str in, size_t *ret_octets)
{
	struct frame_head h;
	struct str body;
	size_t size, n = 0;
	const char *why;
	*ret_octets = 0;
	while (ipc_frame_get(in, &h, &body, &size, &why) == FRAME_OK) {
		check(size % 8 == 0 && size <= in.len && body.len <= size - FRAME_HEAD);
		if (h.fd)
			break;
		*ret_octets += body.len;
		in = str_skip(in, size);
		n++;
	}
	return n;
}

static void
through_channel(struct str in, size_t piece, size_t fd_at)
{
	int fd[2];
	check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) == 0);
	struct run r = {
		.loop = loop_new(), .raw = fd[1], .in = in, .piece = piece, .fd_at = fd_at
	};
	r.chan = chan_new(r.loop, fd[0], &handler, &r);
	check(r.chan != NULL);
	loop_on_turn(r.loop, on_turn, &r);
	/* Each turn sends, so the next one has something to read. */
	struct loop_timer *tick = loop_timer_new(r.loop, (loop_fn *)on_turn, &r);
	loop_timer_set(tick, 0, 1);
	loop_run(r.loop);
	check(r.ended);
	size_t octets, n = count_frames(in, &octets);
	if (fd_at > in.len) /* no descriptor anywhere: the first frame that wants one is the end */
		check(r.frames == n && r.octets == octets);
	r.chan = chan_free(r.chan);
	tick = loop_timer_free(tick);
	if (r.raw >= 0)
		close(r.raw);
	r.loop = loop_free(r.loop);
}

static void
through_blocking(struct str in)
{
	int fd[2];
	struct ipc_frame f;
	struct buf store = BUF_INIT(1u << 16);
	size_t octets, want = count_frames(in, &octets), n = 0;
	check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) == 0);
	check(in.len == 0 || send(fd[1], in.p, in.len, 0) == (ssize_t)in.len);
	close(fd[1]);
	while (chan_sync_recv(fd[0], &f, &store) == 0) {
		check(f.fd < 0);
		n++;
	}
	check(n == want);
	close(fd[0]);
	buf_done(&store);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2 || size > INPUT_MAX)
		return 0;
	char *copy = xmemdup(data + 2, size - 2);
	struct str in = str_n(copy, size - 2);
	size_t piece = data[0] < 128 ? in.len + 1 : (size_t)(data[0] - 127) * 8;
	size_t fd_at = data[1] == 0 ? SIZE_MAX : (size_t)(data[1] - 1) * 8;
	through_channel(in, piece, fd_at);
	through_blocking(in);
	free(copy);
	return 0;
}
