/*
 * A stream that inflates what any peer sends: octet 0 says how it is cut, bit 7 whether the stream
 * rests in between. It is what zlib makes of the whole.
 */
#include "base/check.h"
#include "io/stream_priv.h"
#include "loop/loop.h"

#include <errno.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

#define INFLATED_MAX (1u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
on_stream(void *arg, enum stream_event e)
{
}

static void
inflate_all(const uint8_t *data, size_t n, struct buf *out)
{
	z_stream z = { .next_in = (Bytef *)(uintptr_t)data, .avail_in = (uInt)n };
	check(inflateInit2(&z, -15) == Z_OK && buf_reserve(out, INFLATED_MAX));
	z.next_out = (Bytef *)out->p;
	z.avail_out = INFLATED_MAX;
	(void)inflate(&z, Z_SYNC_FLUSH);
	out->len = INFLATED_MAX - z.avail_out;
	inflateEnd(&z);
}

/* Everything that is there; false: it failed or ended. */
static bool
take(struct stream *s, struct buf *all)
{
	for (;;) {
		ssize_t n = stream_deflate_fill(s);
		buf_puts(all, stream_input(s));
		bool had = stream_input(s).len > 0;
		stream_eat(s, stream_input(s).len);
		if (n == -EAGAIN && !had && !stream_deflate_waits(s))
			return true;
		if ((n <= 0 && n != -EAGAIN) || all->failed)
			return false;
	}
}

/* Three calls without anything in between, and one more. */
static void
rest(struct stream *s)
{
	for (int i = 0; i < 4; i++)
		stream_rest(s);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct loop *loop;
	struct buf want = BUF_INIT(INFLATED_MAX), got = BUF_INIT(INFLATED_MAX);
	struct stream s;
	int fd[2];
	if (n < 1 || n > 16384)
		return 0;
	if (!loop)
		loop = loop_new();
	check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fd) == 0);
	check(stream_open(&s, loop, fd[0], on_stream, NULL) == 0 && stream_deflate(&s));
	size_t step = (data[0] & 127) * 16 + 1, at = 1;
	for (bool open = true; open && at < n; at += step) {
		size_t len = MIN(step, n - at);
		check(send(fd[1], data + at, len, MSG_NOSIGNAL) == (ssize_t)len);
		open = take(&s, &got);
		if (data[0] & 128)
			rest(&s);
	}
	inflate_all(data + 1, n - 1, &want);
	check(got.len <= want.len || want.len == INFLATED_MAX);
	check(str_eq(buf_str(&got), str_first(buf_str(&want), got.len)));
	stream_close(&s);
	close(fd[1]);
	buf_done(&want);
	buf_done(&got);
	return 0;
}
