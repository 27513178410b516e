/*
 * ask: put a question of ipc/ops.h to a running server, over DIR/ctl.sock, and wait for the
 * answer.
 */
#pragma once

#include "base/buf.h"
#include "ipc/msg.h"

#include <stdbool.h>
#include <stddef.h>

struct ask {
	const char *dir; /* the server's data_dir */
	const char *op;  /* "mailbox.list" */
	const struct str *args;
	size_t n_args;
	/* Each row of the answer; views that live during the call. May be NULL. */
	void (*row)(void *arg, const struct msg_row *row);
	void *arg;
	int64_t timeout_ms;
};

/* True when the server has answered with CTL_OK; else why says what happened. */
bool ask_server(const struct ask *a, struct buf *why);
