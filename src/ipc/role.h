/*
 * role: what every role says to parent and takes from it, whatever else it does.
 *
 * A role leaves its life to role_run(): it opens what it needs, gives up its rights, and gives a
 * table of what it takes from parent besides IPC_LOG, IPC_DRAIN and, with a desk, IPC_CTL.
 * conf/setup.h has what comes before.
 */
#pragma once

#include "ipc/chan.h"
#include "ipc/msg.h"
#include "loop/loop.h"

struct desk;

/* The frame's descriptor; from here on it is the caller's. */
int role_take_fd(struct ipc_frame *m);
/* IPC_READY: the rights are dropped. */
void role_say_ready(struct chan *parent, uint32_t layers);

struct role_count {
	enum status_key key;
	uint64_t value;
};
/* IPC_STATUS in answer to ask `id`; the lines that the log lost are counted in. */
void role_say_status(struct chan *parent, uint64_t id, uint32_t layers,
    const struct role_count *counts, size_t n);

struct role_row {
	enum ipc_type type;
	bool (*handle)(void *arg, struct ipc_frame *m); /* false: a breach */
};

struct role {
	struct loop *loop;
	struct desk *desk; /* or NULL: no command is answered; flushed when the role ends */
	const struct role_row *rows;
	size_t n;
	void *arg;
	bool (*idle)(void *arg); /* nothing is open: told to drain, the role may end */
	void (*end)(void *arg);  /* or NULL: last words, before the channel to parent closes */
	bool says_ready;         /* by itself, later */
	uint32_t layers;
	struct chan *parent; /* while it runs */
	struct loop_timer *drain;
	bool draining;
	int exit_status;
};
/* Says ready, and returns the exit status when the loop was stopped: parent is gone, misbehaved, or
 * said drain and the role is idle or the time for it is over. channel: to parent; taken over. */
int role_run(struct role *r, int channel);
