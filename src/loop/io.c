/*
 * What the kernel was told (`armed`) may be more than what is wanted now: a watch that pauses
 * and goes on costs nothing. Only an event that nobody wants takes the surplus away, and what is
 * missing is added once, at the end of the turn.
 */
#include "base/check.h"
#include "loop/loop.h"
#include "loop/loop_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

struct loop_io {
	struct list node; /* loop->unarmed or loop->dead */
	struct loop *loop;
	loop_io_fn *fn; /* NULL: freed */
	void *arg;
	int fd;
	uint32_t armed; /* EPOLLIN, EPOLLOUT, EPOLLRDHUP */
	unsigned want;
	bool gone; /* reported; asking again would wake us for ever */
};

/* What the kernel must be told for what is wanted. */
static uint32_t
mask_of(const struct loop_io *io)
{
	uint32_t mask =
	    (io->want & LOOP_READ ? EPOLLIN : 0) | (io->want & LOOP_WRITE ? EPOLLOUT : 0);
	return mask && !io->gone ? mask | EPOLLRDHUP : mask;
}

static void
arm(struct loop_io *io)
{
	struct epoll_event e = { .data.ptr = io };
	io->armed = mask_of(io);
	/* Errors and hang-ups cannot be masked; edge-triggered they come once more at most. */
	e.events = io->armed ? io->armed : EPOLLET;
	check(epoll_ctl(io->loop->epoll, EPOLL_CTL_MOD, io->fd, &e) == 0);
}

void
loop_io_arm_all(struct loop *l)
{
	list_each(n, &l->unarmed)
	{
		struct loop_io *io = list_entry(n, struct loop_io, node);
		list_del(&io->node);
		if (mask_of(io) & ~io->armed)
			arm(io);
	}
}

void
loop_io_event(struct loop_io *io, uint32_t events)
{
	if (!io->fn)
		return;
	bool broken = events & (EPOLLERR | EPOLLHUP);
	uint32_t surplus = events & io->armed & ~mask_of(io);
	unsigned out = (events & EPOLLIN ? LOOP_READ : 0) | (events & EPOLLOUT ? LOOP_WRITE : 0);
	/* Whoever reads on after a hang-up is about to meet the end of the input. */
	if (events & EPOLLIN && io->want & LOOP_READ)
		surplus &= ~(uint32_t)EPOLLRDHUP;
	out = (broken ? io->want : out) & io->want; /* the next read or write meets the error */
	if (io->want && !io->gone && (broken || events & EPOLLRDHUP)) {
		io->gone = true;
		out |= LOOP_GONE;
	}
	bool unasked = surplus || (broken && !io->want && io->armed);
	if (out)
		io->fn(io->arg, out);
	/* What came true and nobody wants would come true again and again. */
	if (io->fn && unasked)
		arm(io);
}

struct loop_io *
loop_io_new(struct loop *l, int fd, loop_io_fn *fn, void *arg)
{
	struct loop_io *io = xalloc(sizeof(*io));
	struct epoll_event e = { .events = EPOLLIN | EPOLLRDHUP, .data.ptr = io };
	if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &e) < 0) {
		free(io);
		return NULL;
	}
	io->armed = e.events;
	io->loop = l;
	io->fd = fd;
	io->fn = fn;
	io->arg = arg;
	list_init(&io->node);
	l->n_handles++;
	return io;
}

void
loop_io_want(struct loop_io *io, unsigned events)
{
	io->want = events & (LOOP_READ | LOOP_WRITE);
	if ((mask_of(io) & ~io->armed) && list_empty(&io->node))
		list_add_tail(&io->loop->unarmed, &io->node);
}

static void
bury(struct loop_io *io)
{
	check(io->fn != NULL);
	io->fn = NULL;
	io->loop->n_handles--;
	list_del(&io->node);
	list_add_tail(&io->loop->dead, &io->node);
}

struct loop_io *
loop_io_free(struct loop_io *io)
{
	if (!io)
		return NULL;
	bury(io);
	check(epoll_ctl(io->loop->epoll, EPOLL_CTL_DEL, io->fd, NULL) == 0);
	return NULL;
}

struct loop_io *
loop_io_close(struct loop_io *io)
{
	if (!io)
		return NULL;
	bury(io);
	close(io->fd);
	return NULL;
}

void
loop_io_reap(struct loop *l)
{
	list_each(n, &l->dead)
	{
		list_del(n);
		free(list_entry(n, struct loop_io, node));
	}
}
