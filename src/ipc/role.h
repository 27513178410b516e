/* role: what every role says to parent and takes from it, whatever else it does. */
#pragma once

#include "ipc/chan.h"
#include "ipc/msg.h"

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
/* IPC_LOG: log lines go to the descriptor that came. */
bool role_take_log(struct ipc_frame *m);
