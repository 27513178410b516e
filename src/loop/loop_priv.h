/*
 * loop_priv: what the files of this room share.
 *
 * Descriptors are watched in an epoll set of our own (io.c): libuv takes six epoll_ctl and an
 * ioctl for a connection and two for each pause, and letters come with a connection each.
 * libuv keeps timers, signals and wakes; its own set lies in ours as one more descriptor, and
 * it runs only when that is readable or a timer is due.
 */
#pragma once

#include "loop/loop.h"

#include <stdbool.h>
#include <sys/epoll.h>
#include <uv.h>

#define ON_TURN_MAX 4
#define EVENTS_MAX 256 /* taken in one turn */

struct loop_turn {
	loop_fn *fn;
	void *arg;
};

struct loop {
	uv_loop_t uv;
	uv_prepare_t keep; /* does nothing: while it is active libuv knows how long to sleep */
	struct loop_turn turns[ON_TURN_MAX];
	unsigned n_turns;
	unsigned n_handles; /* made and not freed */
	bool running, stop;
	bool fresh; /* libuv has a handle that it does not watch yet */
	struct list deferred;
	int epoll;
	struct list unarmed; /* watches that want more than the kernel was told */
	struct list dead;    /* watches freed in this turn: an event may still name them */
	struct epoll_event events[EVENTS_MAX];
};

/* Closes a handle; its whole object, which begins with the handle, is freed after the turn. */
void loop_handle_close(struct loop *l, uv_handle_t *h);

/* io.c */
void loop_io_arm_all(struct loop *l); /* before the loop sleeps */
void loop_io_event(struct loop_io *io, uint32_t events);
void loop_io_reap(struct loop *l);
