#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/check.h"
#include "base/map.h"
#include "base/wire.h"
#include "ipc/chan.h"
#include "ipc/fdpass.h"
#include "ipc/frame.h"
#include "loop/loop.h"
#include "sys/file.h"
#include "sys/thread.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum free_when { NEVER, AT_FRAME, AT_GONE, AT_DRAINED };

/* One end is a channel in a loop, the other a bare socket or a second channel. */
struct world {
	struct loop *loop;
	struct loop_timer *timer;
	int rounds;
	struct chan *chan, *peer;
	int raw; /* the other end, or -1 */
	enum free_when free_when;
	int frames, gones, drains, fds;
	int stop_at;  /* frames */
	bool in_call; /* of chan_send() or chan_flush() */
	bool refill;  /* at each drained */
	char why[80];
	struct buf log; /* what the frames were */
};

static void
on_frame(void *arg, struct chan *c, const struct ipc_frame *f)
{
	struct world *w = arg;
	check(!w->in_call);
	w->frames++;
	buf_putf(&w->log, "%u:%llu:%zu:%08x", f->type, (unsigned long long)f->id, f->body.len,
	    (unsigned)siphash((const unsigned char *)"0123456789abcdef", f->body));
	if (f->fd >= 0) {
		struct stat st;
		check(fstat(f->fd, &st) == 0);
		check(fcntl(f->fd, F_GETFD) & FD_CLOEXEC);
		buf_putf(&w->log, ":fd%lld", (long long)st.st_size);
		close(f->fd);
		w->fds++;
	}
	buf_putc(&w->log, '\n');
	if (w->free_when == AT_FRAME)
		w->chan = chan_free(w->chan);
	if (w->frames == w->stop_at)
		loop_stop(w->loop);
}

static void
on_gone(void *arg, struct chan *c, const char *why)
{
	struct world *w = arg;
	check(!w->in_call);
	w->gones++;
	snprintf(w->why, sizeof(w->why), "%s", why ? why : "closed");
	if (w->free_when == AT_GONE)
		w->chan = chan_free(w->chan);
	loop_stop(w->loop);
}

static void
on_drained(void *arg, struct chan *c)
{
	struct world *w = arg;
	check(!w->in_call);
	check(chan_pending(c) < IPC_LOW_WATER);
	w->drains++;
	if (w->refill) {
		char *body = xalloc(IPC_BODY_MAX);
		chan_send(c, IPC_BODY_DATA, 1, str_n(body, IPC_BODY_MAX), -1);
		free(body);
		return;
	}
	if (w->free_when == AT_DRAINED)
		w->chan = chan_free(w->chan);
	loop_stop(w->loop);
}

static const struct chan_handler handler = { on_frame, on_gone, on_drained };

static void
on_timer(void *arg)
{
	struct world *w = arg;
	if (w->rounds-- > 0)
		loop_timer_set(w->timer, 0, 0);
	else
		loop_stop(w->loop);
}

/* And a few turns more: on a busy machine the time may be up before anything was looked at. */
static void
run_ms(struct world *w, int ms)
{
	w->rounds = 4;
	loop_timer_set(w->timer, ms, 0);
	loop_run(w->loop);
}

static void
begin(struct world *w)
{
	int fd[2];
	*w = (struct world){ .loop = loop_new(), .log = BUF_INIT(1u << 20) };
	w->timer = loop_timer_new(w->loop, on_timer, w);
	assert_int_equal(chan_pair(fd), 0);
	w->raw = fd[1];
	w->chan = chan_new(w->loop, fd[0], &handler, w);
	assert_non_null(w->chan);
}

static void
begin_two(struct world *w)
{
	begin(w);
	w->peer = chan_new(w->loop, w->raw, &handler, w);
	w->raw = -1;
}

static void
end(struct world *w)
{
	w->chan = chan_free(w->chan);
	w->peer = chan_free(w->peer);
	w->timer = loop_timer_free(w->timer);
	w->loop = loop_free(w->loop);
	if (w->raw >= 0)
		close(w->raw);
	buf_done(&w->log);
}

static int
open_fds(void)
{
	int n = 0;
	DIR *d = opendir("/proc/self/fd");
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

/* Octets of a frame whose body is n times c. */
static void
frame_put(struct buf *b, uint16_t type, uint64_t id, size_t n, char c, bool fd)
{
	unsigned char head[FRAME_HEAD];
	struct frame_head h = { (uint32_t)n, type, fd, id };
	frame_head_put(head, &h);
	buf_put(b, head, sizeof(head));
	for (size_t i = 0; i < n; i++)
		buf_putc(b, c);
	while (b->len % 8)
		buf_putc(b, '\0');
}

static void
test_round_trip(void **state)
{
	static const size_t sizes[] = { 0, 1, 7, 8, 9, 4095, 65536, 262144, 1u << 20,
		IPC_BODY_MAX };
	struct world w;
	begin_two(&w);
	char *big = xalloc(IPC_BODY_MAX);
	struct buf want = BUF_INIT(1u << 16);
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		memset(big, (int)i + 1, sizes[i]);
		size_t half = sizes[i] / 3;
		if (i % 2)
			chan_send(w.chan, IPC_BODY_DATA, i, str_n(big, sizes[i]), -1);
		else
			chan_send2(w.chan, IPC_BODY_DATA, i, str_n(big, half),
			    str_n(big + half, sizes[i] - half));
		buf_putf(&want, "%u:%zu:%zu:%08x\n", IPC_BODY_DATA, i, sizes[i],
		    (unsigned)siphash((const unsigned char *)"0123456789abcdef",
			str_n(big, sizes[i])));
	}
	w.stop_at = ARRAY_LEN(sizes);
	run_ms(&w, 5000);
	assert_int_equal(w.frames, ARRAY_LEN(sizes));
	assert_true(str_eq(buf_str(&w.log), buf_str(&want)));
	assert_int_equal(chan_pending(w.chan), 0);
	buf_done(&want);
	free(big);
	end(&w);
}

/* All kinds in one stream of octets, with a descriptor here and there. */
struct sent {
	uint16_t type;
	size_t len;
	bool fd;
};

static const struct sent mixture[] = {
	{ IPC_STATUS_ASK, 0, false },
	{ IPC_PEER, 3, true },
	{ IPC_CTL, 0, true },
	{ IPC_BODY_DATA, 20, false },
	{ IPC_SETUP, 13, true },
	{ IPC_ASK_FD, 9, true },
	{ IPC_DONE, 9, false },
};

static void
put_mixture(struct buf *b, size_t fd_at[], size_t *n_fds)
{
	*n_fds = 0;
	for (size_t i = 0; i < ARRAY_LEN(mixture); i++) {
		if (mixture[i].fd)
			fd_at[(*n_fds)++] = b->len;
		frame_put(b, mixture[i].type, i, mixture[i].len, 'x', mixture[i].fd);
	}
}

/* Sends s in pieces, each descriptor on the octet where its frame begins. */
static void
send_raw(struct world *w, struct str s, size_t piece, size_t first, const size_t *fd_at,
    size_t n_fds)
{
	size_t at = 0, k = 0;
	int fd = memfd_sealed("test", STR("seven77"));
	while (at < s.len) {
		size_t n = MIN(at == 0 && first ? first : piece, s.len - at);
		bool now = k < n_fds && fd_at[k] == at;
		size_t next = k + now < n_fds ? fd_at[k + now] : s.len;
		n = MIN(n, next - at);
		assert_int_equal(fdpass_send(w->raw, s.p + at, n, now ? fd : -1, 0), n);
		k += now;
		at += n;
		if (piece < s.len || first)
			run_ms(w, 0);
	}
	close(fd);
}

static void
check_mixture(struct world *w)
{
	assert_int_equal(w->frames, ARRAY_LEN(mixture));
	assert_int_equal(w->fds, 4);
	assert_int_equal(w->gones, 0);
	struct str log = buf_str(&w->log);
	for (size_t i = 0; i < ARRAY_LEN(mixture); i++) {
		struct str line = str_cut(&log, '\n');
		char start[32];
		snprintf(start, sizeof(start), "%u:%zu:%zu:", mixture[i].type, i, mixture[i].len);
		assert_true(str_starts(line, str_of(start)));
		assert_int_equal(str_ends(line, STR(":fd7")), mixture[i].fd);
	}
}

static void
test_whole_bytewise_and_at_every_split(void **state)
{
	struct buf b = BUF_INIT(4096);
	size_t fd_at[ARRAY_LEN(mixture)], n_fds;
	put_mixture(&b, fd_at, &n_fds);
	int before = open_fds();
	for (size_t first = 0; first <= b.len; first++) {
		struct world w;
		begin(&w);
		w.stop_at = ARRAY_LEN(mixture);
		send_raw(&w, buf_str(&b), first == b.len ? 1 : b.len, first % b.len, fd_at, n_fds);
		if (w.frames < (int)ARRAY_LEN(mixture))
			run_ms(&w, 20000);
		check_mixture(&w);
		end(&w);
	}
	assert_int_equal(open_fds(), before);
	buf_done(&b);
}

struct breach {
	const char *name;
	uint16_t type;
	uint32_t len;
	uint8_t version, flags;
	char pad; /* what the padding is made of */
	int fds;  /* that ride along */
	const char *why;
};

static const struct breach breaches[] = {
	{ "version", IPC_STATUS_ASK, 0, 2, 0, 0, 0, "frame of another version" },
	{ "version 0", IPC_STATUS_ASK, 0, 0, 0, 0, 0, "frame of another version" },
	{ "type 0", 0, 0, 1, 0, 0, 0, "frame of unknown type" },
	{ "type in a gap", 50, 0, 1, 0, 0, 0, "frame of unknown type" },
	{ "type over all", IPC_ASK_FD + 1, 0, 1, 0, 0, 0, "frame of unknown type" },
	{ "type far over all", 65535, 0, 1, 0, 0, 0, "frame of unknown type" },
	{ "flags", IPC_STATUS_ASK, 0, 1, 2, 0, 0, "frame with unknown flags" },
	{ "body where none is", IPC_STATUS_ASK, 1, 1, 0, 0, 0,
	    "frame with a longer body than its type allows" },
	{ "body over all", IPC_BODY_DATA, IPC_BODY_MAX + 1, 1, 0, 0, 0,
	    "frame with a longer body than its type allows" },
	{ "body of 4 GiB", IPC_BODY_DATA, UINT32_MAX, 1, 0, 0, 0,
	    "frame with a longer body than its type allows" },
	{ "padding", IPC_BODY_DATA, 3, 1, 0, 'x', 0, "frame with octets in its padding" },
	{ "no descriptor came", IPC_CTL, 0, 1, 1, 0, 0,
	    "frame announced a descriptor and none came" },
	{ "descriptor not announced", IPC_STATUS_ASK, 0, 1, 0, 0, 1,
	    "descriptor that no frame announced" },
	{ "announced for a type without", IPC_STATUS_ASK, 0, 1, 1, 0, 1,
	    "frame with a descriptor that its type does not carry" },
	{ "missing for a type with", IPC_CTL, 0, 1, 0, 0, 0,
	    "frame without the descriptor of its type" },
	{ "two for one", IPC_CTL, 0, 1, 1, 0, 2, "descriptor that no frame announced" },
	{ "more than fit", IPC_CTL, 0, 1, 1, 0, 17, "more descriptors than frames may carry" },
};

static void
send_fds(int sock, struct str s, int n)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(32 * sizeof(int))];
	} control = { 0 };
	struct iovec iov = { (void *)(uintptr_t)s.p, s.len };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	int fds[32];
	for (int i = 0; i < n; i++)
		fds[i] = 2;
	if (n > 0) {
		m.msg_control = control.room;
		m.msg_controllen = CMSG_SPACE((size_t)n * sizeof(int));
		struct cmsghdr *h = CMSG_FIRSTHDR(&m);
		h->cmsg_level = SOL_SOCKET;
		h->cmsg_type = SCM_RIGHTS;
		h->cmsg_len = CMSG_LEN((size_t)n * sizeof(int));
		memcpy(CMSG_DATA(h), fds, (size_t)n * sizeof(int));
	}
	assert_int_equal(sendmsg(sock, &m, 0), s.len);
}

static void
put_breach(struct buf *b, const struct breach *k)
{
	put_u32(b, k->len);
	put_u16(b, k->type);
	put_u8(b, k->version);
	put_u8(b, k->flags);
	put_u64(b, 1);
	for (uint32_t i = 0; i < k->len && i < 64; i++)
		put_u8(b, 'b');
	while (b->len % 8)
		put_u8(b, (uint8_t)k->pad);
}

static void
test_breaches(void **state)
{
	int before = open_fds();
	for (size_t i = 0; i < ARRAY_LEN(breaches); i++) {
		struct world w;
		struct buf b = BUF_INIT(4096);
		begin(&w);
		put_breach(&b, &breaches[i]);
		send_fds(w.raw, buf_str(&b), breaches[i].fds);
		run_ms(&w, 2000);
		if (w.gones != 1 || strcmp(w.why, breaches[i].why) != 0)
			fail_msg("%s: %d %s", breaches[i].name, w.gones, w.why);
		/* Closed: the peer sees the end, and what is sent goes nowhere. */
		char c;
		ssize_t n = recv(w.raw, &c, 1, 0);
		assert_true(n == 0 || (n < 0 && errno == ECONNRESET));
		chan_send(w.chan, IPC_STATUS_ASK, 1, STR_NULL, -1);
		run_ms(&w, 1);
		assert_int_equal(w.gones, 1);
		end(&w);
		buf_done(&b);
	}
	assert_int_equal(open_fds(), before);
}

/* A good frame, then a bad one in the same octets: the good one counts. */
static void
test_good_then_bad(void **state)
{
	struct world w;
	struct buf b = BUF_INIT(4096);
	begin(&w);
	frame_put(&b, IPC_SYNCED, 7, 0, 0, false);
	put_breach(&b, &breaches[2]);
	frame_put(&b, IPC_SYNCED, 8, 0, 0, false);
	send_fds(w.raw, buf_str(&b), 0);
	run_ms(&w, 2000);
	assert_int_equal(w.frames, 1);
	assert_int_equal(w.gones, 1);
	buf_done(&b);
	end(&w);
}

static void
test_descriptors_in_a_crowd(void **state)
{
	struct world w;
	int before = open_fds();
	begin_two(&w);
	int fd = memfd_sealed("test", STR("seven77"));
	char body[3000] = { 0 };
	/* Runs without any between runs with many. */
	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < round; i++)
			chan_send(w.chan, IPC_BODY_DATA, 0, str_n(body, sizeof(body)), -1);
		for (int i = 0; i < 3; i++)
			chan_send(w.chan, IPC_CTL, 0, STR_NULL, fd);
		chan_send(w.chan, IPC_SYNCED, 0, STR_NULL, -1);
	}
	close(fd); /* the channel has its own */
	w.stop_at = 190 + 60 + 20;
	run_ms(&w, 5000);
	assert_int_equal(w.frames, w.stop_at);
	assert_int_equal(w.fds, 60);
	end(&w);
	assert_int_equal(open_fds(), before);
}

static void
test_one_send_per_turn(void **state)
{
	struct world w;
	char got[4096];
	begin(&w);
	for (int i = 0; i < 50; i++)
		chan_send(w.chan, IPC_ACCEPTED, 1, STR("\1"), -1);
	assert_int_equal(recv(w.raw, got, sizeof(got), 0), -1);
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(chan_pending(w.chan), 50 * 24);
	run_ms(&w, 1);
	assert_int_equal(recv(w.raw, got, sizeof(got), 0), 50 * 24);
	chan_send(w.chan, IPC_SYNCED, 1, STR_NULL, -1);
	w.in_call = true;
	chan_flush(w.chan);
	w.in_call = false;
	assert_int_equal(recv(w.raw, got, sizeof(got), 0), 16);
	end(&w);
}

static void
test_peer_closes(void **state)
{
	struct world w;
	struct buf b = BUF_INIT(4096);
	begin(&w);
	/* Its last words count, though it did not read ours. */
	chan_send(w.chan, IPC_SYNCED, 1, STR_NULL, -1);
	run_ms(&w, 1);
	frame_put(&b, IPC_SYNCED, 2, 0, 0, false);
	frame_put(&b, IPC_DONE, 3, 100, 'x', false);
	send_fds(w.raw, str_first(buf_str(&b), b.len - 20), 0);
	close(w.raw);
	w.raw = -1;
	chan_send(w.chan, IPC_SYNCED, 4, STR_NULL, -1);
	run_ms(&w, 2000);
	if (w.gones == 0)
		run_ms(&w, 2000);
	assert_int_equal(w.frames, 1);
	assert_int_equal(w.gones, 1);
	assert_string_equal(w.why, "closed");
	buf_done(&b);
	end(&w);
}

/* The peer stops reading and does not close: its own frames still come, and we do not spin. */
static void
test_peer_goes_deaf(void **state)
{
	struct world w;
	struct buf b = BUF_INIT(4096);
	begin(&w);
	shutdown(w.raw, SHUT_RD);
	chan_send(w.chan, IPC_SYNCED, 1, STR_NULL, -1);
	run_ms(&w, 5);
	frame_put(&b, IPC_SYNCED, 2, 0, 0, false);
	send_fds(w.raw, buf_str(&b), 0);
	run_ms(&w, 5);
	assert_int_equal(w.frames, 1);
	assert_int_equal(chan_pending(w.chan), 0);
	buf_done(&b);
	end(&w);
}

static void
test_freed_in_its_calls(void **state)
{
	struct world w;
	struct buf b = BUF_INIT(4096);
	int fd = memfd_sealed("test", STR("x"));
	int before = open_fds();
	for (int i = 0; i < 3; i++)
		frame_put(&b, IPC_SYNCED, 7, 0, 0, false);

	begin(&w);
	w.free_when = AT_FRAME;
	chan_send(w.chan, IPC_CTL, 0, STR_NULL, fd);
	send_fds(w.raw, buf_str(&b), 0);
	run_ms(&w, 5);
	assert_int_equal(w.frames, 1);
	assert_int_equal(w.gones, 0);
	end(&w);

	begin(&w);
	w.free_when = AT_GONE;
	send_fds(w.raw, buf_str(&b), 0);
	close(w.raw);
	w.raw = -1;
	run_ms(&w, 2000);
	assert_int_equal(w.frames, 3);
	assert_int_equal(w.gones, 1);
	end(&w);
	assert_int_equal(open_fds(), before);
	close(fd);
	buf_done(&b);
}

/* Reads and forgets; the thread's end is the socket's end. */
static void
drain(void *arg)
{
	struct world *w = arg;
	char *block = xalloc(1u << 20);
	ssize_t n;
	do
		n = recv(w->raw, block, 1u << 20, 0);
	while (n > 0 || (n < 0 && errno == EAGAIN));
	free(block);
}

static void
fill_over(struct world *w, size_t level)
{
	char *body = xalloc(IPC_BODY_MAX);
	w->in_call = true;
	while (chan_pending(w->chan) < level && w->gones == 0) {
		size_t was = chan_pending(w->chan);
		chan_send(w->chan, IPC_BODY_DATA, 1, str_n(body, IPC_BODY_MAX), -1);
		chan_flush(w->chan);
		if (chan_pending(w->chan) < was)
			break; /* dropped: a breach */
	}
	w->in_call = false;
	free(body);
}

static void
test_high_water_and_drained(void **state)
{
	struct world w;
	struct thread t;
	begin(&w);
	fill_over(&w, IPC_HIGH_WATER + 1);
	assert_true(chan_pending(w.chan) > IPC_HIGH_WATER);
	run_ms(&w, 5);
	assert_int_equal(w.drains, 0);
	thread_start(&t, "drain", drain, &w);
	run_ms(&w, 5000);
	assert_int_equal(w.drains, 1);
	run_ms(&w, 20);
	assert_int_equal(w.drains, 1);
	assert_int_equal(chan_pending(w.chan), 0);
	fill_over(&w, IPC_HIGH_WATER + 1);
	w.free_when = AT_DRAINED;
	run_ms(&w, 5000);
	assert_int_equal(w.drains, 2);
	thread_join(&t);
	end(&w);
}

/* A peer that takes all at once and an owner that has always more: timers still run. */
static void
test_drained_leaves_others_their_turn(void **state)
{
	struct world w;
	struct thread t;
	begin(&w);
	w.refill = true;
	thread_start(&t, "drain", drain, &w);
	fill_over(&w, IPC_HIGH_WATER + 1);
	run_ms(&w, 50);
	assert_true(w.drains > 0);
	w.chan = chan_free(w.chan);
	thread_join(&t);
	end(&w);
}

static void
test_queue_over_its_ceiling(void **state)
{
	struct world w;
	begin(&w);
	fill_over(&w, IPC_QUEUE_MAX);
	assert_int_equal(w.gones, 0); /* not from inside chan_send() */
	chan_send(w.chan, IPC_SYNCED, 1, STR_NULL, -1);
	run_ms(&w, 2000);
	assert_int_equal(w.gones, 1);
	assert_string_equal(w.why, "it does not read what we send");
	end(&w);
}

static void
test_chan_new_fails_cleanly(void **state)
{
	struct world w;
	begin(&w);
	int fd = memfd_sealed("test", STR("x"));
	assert_null(chan_new(w.loop, fd, &handler, &w));
	assert_int_equal(errno, EPERM);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	end(&w);
}

static void
test_sync(void **state)
{
	int fd[2], file = memfd_sealed("test", STR("seven77"));
	struct ipc_frame f;
	struct buf store = BUF_INIT(FRAME_HEAD + IPC_BODY_MAX + 8);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	assert_int_equal(chan_sync_send(fd[0], IPC_ASK, 5, STR("hello, world"), -1), 0);
	assert_int_equal(chan_sync_send(fd[0], IPC_CTL, 6, STR_NULL, file), 0);
	assert_int_equal(chan_sync_send(fd[0], IPC_SYNCED, 7, STR_NULL, -1), 0);
	assert_int_equal(chan_sync_recv(fd[1], &f, &store), 0);
	assert_int_equal(f.type, IPC_ASK);
	assert_int_equal(f.id, 5);
	assert_true(str_eq(f.body, STR("hello, world")));
	assert_int_equal(f.fd, -1);
	assert_int_equal(chan_sync_recv(fd[1], &f, &store), 0);
	assert_int_equal(f.type, IPC_CTL);
	assert_true(f.fd >= 0);
	close(f.fd);
	assert_int_equal(chan_sync_recv(fd[1], &f, &store), 0);
	assert_int_equal(f.id, 7);
	close(fd[0]);
	assert_int_equal(chan_sync_recv(fd[1], &f, &store), -EPIPE);
	assert_int_equal(chan_sync_send(fd[1], IPC_SYNCED, 7, STR_NULL, -1), -EPIPE);
	close(fd[1]);
	close(file);
	buf_done(&store);
}

static void
test_sync_breaches(void **state)
{
	int before = open_fds();
	for (size_t i = 0; i < ARRAY_LEN(breaches); i++) {
		int fd[2];
		struct ipc_frame f;
		struct buf b = BUF_INIT(4096), store = BUF_INIT(IPC_BODY_MAX);
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
		put_breach(&b, &breaches[i]);
		send_fds(fd[0], buf_str(&b), breaches[i].fds);
		shutdown(fd[0], SHUT_WR);
		if (chan_sync_recv(fd[1], &f, &store) != -EPROTO)
			fail_msg("%s", breaches[i].name);
		close(fd[0]);
		close(fd[1]);
		buf_done(&b);
		buf_done(&store);
	}
	assert_int_equal(open_fds(), before);
}

/* Between a channel and the blocking calls, on one socket of the channel's kind. */
static void
test_sync_with_a_channel(void **state)
{
	struct world w;
	struct ipc_frame f;
	struct buf store = BUF_INIT(FRAME_HEAD + IPC_BODY_MAX + 8);
	char *big = xalloc(IPC_BODY_MAX);
	begin(&w);
	assert_int_equal(chan_sync_send(w.raw, IPC_ROW, 1, str_n(big, 100000), -1), 0);
	w.stop_at = 1;
	run_ms(&w, 2000);
	assert_int_equal(w.frames, 1);
	chan_send(w.chan, IPC_ROW, 9, str_n(big, 200001), -1);
	run_ms(&w, 1);
	assert_int_equal(chan_sync_recv(w.raw, &f, &store), 0);
	assert_int_equal(f.id, 9);
	assert_int_equal(f.body.len, 200001);
	free(big);
	buf_done(&store);
	end(&w);
}

static void
test_pair(void **state)
{
	int fd[2], size = 0;
	socklen_t n = sizeof(size);
	assert_int_equal(chan_pair(fd), 0);
	for (int i = 0; i < 2; i++) {
		assert_true(fcntl(fd[i], F_GETFD) & FD_CLOEXEC);
		assert_int_equal(getsockopt(fd[i], SOL_SOCKET, SO_SNDBUF, &size, &n), 0);
		if (geteuid() == 0)
			assert_true(size >= 4 << 20);
		close(fd[i]);
	}
}

static void
test_type_table(void **state)
{
	int known = 0;
	for (unsigned t = 0; t < 65536; t++) {
		const struct frame_type *row = frame_type((uint16_t)t);
		known += row != NULL;
		assert_true(!row || row->body_max <= IPC_BODY_MAX);
	}
	assert_int_equal(known, 95);
	assert_non_null(frame_type(IPC_ASK_FD));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_whole_bytewise_and_at_every_split),
		cmocka_unit_test(test_breaches),
		cmocka_unit_test(test_good_then_bad),
		cmocka_unit_test(test_descriptors_in_a_crowd),
		cmocka_unit_test(test_one_send_per_turn),
		cmocka_unit_test(test_peer_closes),
		cmocka_unit_test(test_peer_goes_deaf),
		cmocka_unit_test(test_freed_in_its_calls),
		cmocka_unit_test(test_high_water_and_drained),
		cmocka_unit_test(test_drained_leaves_others_their_turn),
		cmocka_unit_test(test_queue_over_its_ceiling),
		cmocka_unit_test(test_chan_new_fails_cleanly),
		cmocka_unit_test(test_sync),
		cmocka_unit_test(test_sync_breaches),
		cmocka_unit_test(test_sync_with_a_channel),
		cmocka_unit_test(test_pair),
		cmocka_unit_test(test_type_table),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
