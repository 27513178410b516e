/*
 * loop: the event loop of a role; a thin seam over epoll and libuv, which no other room sees.
 *
 * Callbacks run on the thread that called loop_run(). Handles are heap objects with one
 * owner; X_free(NULL) is allowed, freeing inside any callback is allowed, and a freed handle's
 * callback never runs again (memory goes back at the end of the turn). Every failure of the
 * library that can happen at run time is returned; the rest is check()ed.
 * Only loop_wake_send() may be called from another thread.
 */
#pragma once

#include "base/list.h"

#include <stdint.h>

struct loop;
struct loop_io;
struct loop_timer;
struct loop_signal;
struct loop_wake;

enum {
	LOOP_READ = 1u << 0,
	LOOP_WRITE = 1u << 1,
	LOOP_GONE = 1u << 2, /* reported, never asked for */
};

typedef void loop_fn(void *arg);
typedef void loop_io_fn(void *arg, unsigned events);

struct loop *loop_new(void);
struct loop *loop_free(struct loop *l); /* every handle must be freed before; returns NULL */
void loop_run(struct loop *l);          /* until loop_stop() */
void loop_stop(struct loop *l);
/* Called once at the end of each turn, before the loop sleeps: IPC flushes here. */
void loop_on_turn(struct loop *l, loop_fn *fn, void *arg); /* up to 4 of them, never removed */
/* Run d->fn once at the end of this turn, behind the functions of loop_on_turn(); what is added
 * meanwhile still runs in the same turn. Embedded in its owner, who takes it out before it dies. */
struct loop_defer {
	struct list node;
	loop_fn *fn;
	void *arg;
};
void loop_defer_init(struct loop_defer *d, loop_fn *fn, void *arg);
void loop_defer_add(struct loop *l, struct loop_defer *d); /* already in: nothing happens */
void loop_defer_del(struct loop_defer *d);                 /* not in: nothing happens */
int64_t loop_now(struct loop *l);       /* monotonic milliseconds, as of this turn */

/* Watch fd, which is non-blocking or used as if it were (MSG_DONTWAIT). NULL with errno set on
 * failure. Nothing is told before loop_io_want(), which costs no system call unless it asks for
 * more than ever before, or stops asking for what then comes. The owner frees the watch before
 * it closes the fd. LOOP_GONE comes once, with whatever else is ready, when the peer has
 * closed at least its writing half or the connection broke: a read or write then tells which. */
struct loop_io *loop_io_new(struct loop *l, int fd, loop_io_fn *fn, void *arg);
void loop_io_want(struct loop_io *io, unsigned events);
struct loop_io *loop_io_free(struct loop_io *io);
/* Frees the watch and closes its descriptor, of which no other copy is open in any process (the
 * kernel would go on watching that): one system call less for each connection. */
struct loop_io *loop_io_close(struct loop_io *io);

struct loop_timer *loop_timer_new(struct loop *l, loop_fn *fn, void *arg);
void loop_timer_set(struct loop_timer *t, int64_t in_ms, int64_t repeat_ms); /* repeat 0: once */
void loop_timer_stop(struct loop_timer *t);
struct loop_timer *loop_timer_free(struct loop_timer *t);

struct loop_signal *loop_signal_new(struct loop *l, int signo, loop_fn *fn, void *arg);
struct loop_signal *loop_signal_free(struct loop_signal *s);

/* fn runs on the loop's thread at least once after each loop_wake_send(). */
struct loop_wake *loop_wake_new(struct loop *l, loop_fn *fn, void *arg);
void loop_wake_send(struct loop_wake *w);
struct loop_wake *loop_wake_free(struct loop_wake *w);
