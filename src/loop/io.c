#include "base/check.h"
#include "loop/loop.h"
#include "loop/loop_priv.h"

#include <errno.h>
#include <stdlib.h>

struct loop_io {
	uv_poll_t h; /* first: freed through it */
	struct loop *loop;
	loop_io_fn *fn; /* NULL: freed */
	void *arg;
	unsigned want;
	bool gone; /* reported; asking again would wake us for ever */
};

static void on_poll(uv_poll_t *h, int status, int events);

static void
arm(struct loop_io *io)
{
	int mask =
	    (io->want & LOOP_READ ? UV_READABLE : 0) | (io->want & LOOP_WRITE ? UV_WRITABLE : 0);
	if (mask == 0) {
		check(uv_poll_stop(&io->h) == 0);
		return;
	}
	if (!io->gone)
		mask |= UV_DISCONNECT;
	check(uv_poll_start(&io->h, mask, on_poll) == 0);
}

static void
on_poll(uv_poll_t *h, int status, int events)
{
	struct loop_io *io = container_of(h, struct loop_io, h);
	if (!io->fn)
		return;
	unsigned out =
	    (events & UV_READABLE ? LOOP_READ : 0) | (events & UV_WRITABLE ? LOOP_WRITE : 0);
	bool gone_now = (status < 0 || (events & UV_DISCONNECT)) && !io->gone;
	if (status < 0)
		out = io->want; /* the owner's next read or write meets the error */
	if (gone_now) {
		io->gone = true;
		out |= LOOP_GONE;
	}
	io->fn(io->arg, out);
	/* After an error libuv has stopped the watch. After a hang-up only a reader may go on
	 * with it, for it comes to the end of the input; others would wake again and again. */
	if (io->fn && io->want && (status < 0 || (gone_now && !(io->want & LOOP_READ))))
		arm(io);
}

struct loop_io *
loop_io_new(struct loop *l, int fd, loop_io_fn *fn, void *arg)
{
	struct loop_io *io = xalloc(sizeof(*io));
	int r = uv_poll_init(&l->uv, &io->h, fd);
	if (r < 0) {
		free(io);
		errno = -r;
		return NULL;
	}
	io->loop = l;
	io->fn = fn;
	io->arg = arg;
	l->n_handles++;
	return io;
}

void
loop_io_want(struct loop_io *io, unsigned events)
{
	events &= LOOP_READ | LOOP_WRITE;
	if (events == io->want)
		return;
	io->want = events;
	arm(io);
}

struct loop_io *
loop_io_free(struct loop_io *io)
{
	if (!io)
		return NULL;
	check(io->fn != NULL);
	io->fn = NULL;
	io->want = 0;
	loop_handle_close(io->loop, (uv_handle_t *)&io->h);
	return NULL;
}
