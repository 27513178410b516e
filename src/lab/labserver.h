/*
 * labserver: a server for one case: `pennypost lab` of this same binary, in a folder of its own
 * and on free ports, set up as the header of the conversation says.
 */
#pragma once

#include "base/buf.h"
#include "play/case.h"

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct labserver {
	pid_t pid;
	char dir[256];
	uint16_t base;    /* port base: logical port 25 is base + 25 */
	int guard;        /* socket that keeps other runs off our ports */
	int out;          /* pipe: its standard output, read until it is ready, then held open */
	int log;          /* memfd: what the server wrote to its standard error */
	bool keep;        /* leave the folder where it is */
};

struct labserver_options {
	bool keep;
	int64_t timeout_ms; /* how long the start may take */
	const volatile sig_atomic_t *stop;
};

/* False, and why appended, when it did not get ready. labserver_stop() is due in either case. */
bool labserver_start(struct labserver *l, const struct conv *c, const struct labserver_options *o,
	struct buf *why);
/* How often the server had to start a role again; false and why when it does not say. */
bool labserver_restarts(const struct labserver *l, uint64_t *ret, struct buf *why);
/* Stops it and removes the folder. False, and why appended, when it did not end cleanly. */
bool labserver_stop(struct labserver *l, struct buf *why);
/* Appends what it wrote to standard error, the end of it when it was very much. */
void labserver_log(const struct labserver *l, struct buf *out);
void labserver_done(struct labserver *l);
