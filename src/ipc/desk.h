/*
 * desk: where a role answers the command line.
 *
 * parent hands over the channel of an authorised command; desk_take() keeps it, at most
 * DESK_CHANNELS_MAX at a time. Each IPC_ASK is checked against ipc_ops (its role, its number of
 * arguments; none may hold a NUL) and against the role's own table, whose handler then owns the
 * question until it calls desk_done(), exactly once, now or later. One question at a time on a
 * channel: a second one before the answer is a breach.
 *
 * A handler never sees the asker go: rows for nobody are dropped and desk_done() is called as
 * ever; desk_gone() lets a long job end early. Long answers go in slices: after a row, when
 * desk_full() says so, stop and have desk_on_room() call you when there is room again (or the
 * asker went).
 *
 * Arguments are views into the frame: copy what must outlive the handler. The frame of an op
 * marked `secret` is overwritten when its handler returns.
 */
#pragma once

#include "base/check.h"
#include "ipc/msg.h"
#include "ipc/ops.h"

#include <stdbool.h>
#include <stddef.h>

#define DESK_CHANNELS_MAX 32

struct loop;
struct desk;
struct desk_ask;

struct desk_op {
	const char *name;
	void (*run)(void *arg, struct desk_ask *a, const struct msg_ask *m);
	bool secret; /* holds a password */
};

/* ops ends with name NULL and is kept by reference; arg goes to every handler. */
struct desk *desk_new(struct loop *l, enum ipc_role role, const struct desk_op *ops, void *arg);
/* Open questions stay with their handlers, which end them as ever. NULL is allowed. */
struct desk *desk_free(struct desk *d);
void desk_take(struct desk *d, int fd); /* takes fd over */
size_t desk_open(const struct desk *d); /* questions not yet answered */
void desk_flush(struct desk *d);        /* before the process ends */

void desk_row(struct desk_ask *a, const struct str *field, size_t n);
bool desk_full(const struct desk_ask *a);
void desk_on_room(struct desk_ask *a, void (*fn)(void *arg), void *arg); /* once */
bool desk_gone(const struct desk_ask *a);
/* The asker's channel, for what is to live no longer than it: the same number for all questions
 * on it, never given to another; 0 when it is gone. */
uint64_t desk_asker(const struct desk_ask *a);
bool desk_asker_here(const struct desk *d, uint64_t asker);
/* The descriptor that came with a question whose row in ipc_ops has `fd`: now the caller's to
 * close. -1 when it was taken before; what is not taken is closed at the end. */
int desk_take_fd(struct desk_ask *a);
/* Ends the question; a is gone afterwards. The text says what happened and what to do. */
void desk_done(struct desk_ask *a, enum ctl_code code, const char *fmt, ...) PRINTF(3, 4);
