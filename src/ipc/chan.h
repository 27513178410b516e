/*
 * chan: one end of a stream socket between two of our processes; frames with descriptors.
 *
 * Frame: u32 length of the body, u16 type, u8 version, u8 flags (1: a descriptor rides
 * along), u64 id, body, zero octets up to a multiple of 8; all big-endian. A frame of unknown
 * type or version, a body over IPC_BODY_MAX or a descriptor nobody announced is a breach: the
 * channel closes and `gone` is called with the reason; whoever owns the other process kills it.
 *
 * Sending queues; the queue goes out once per loop turn (chan_flush is hooked to the turn by
 * chan_new). It never blocks. A queue over its ceiling is a breach of ours: senders look at
 * chan_pending() and stop reading from their own peers above IPC_HIGH_WATER; `drained` is
 * called when the queue falls below IPC_LOW_WATER again.
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"

#include <stddef.h>
#include <stdint.h>

#define IPC_VERSION 1
#define IPC_BODY_MAX (4u << 20)
#define IPC_HIGH_WATER (4u << 20)
#define IPC_LOW_WATER (1u << 20)
#define IPC_QUEUE_MAX (64u << 20)

struct loop;
struct chan;

struct ipc_frame {
	uint16_t type;  /* enum ipc_type */
	uint64_t id;    /* request id, letter id, or 0 */
	struct str body; /* borrowed: valid during the call */
	int fd;         /* -1, or now the receiver's to close */
};

struct chan_handler {
	void (*frame)(void *arg, struct chan *c, const struct ipc_frame *f);
	void (*gone)(void *arg, struct chan *c, const char *why); /* NULL why: the peer closed */
	void (*drained)(void *arg, struct chan *c);               /* may be NULL */
};

/* Takes fd over. The handler may free the channel inside any of its calls; none of them runs
 * inside chan_send() or chan_flush(). After `gone` the channel is closed and swallows what is
 * sent; it still wants chan_free(). NULL with errno set (and fd closed) when it cannot be
 * watched. */
struct chan *chan_new(struct loop *l, int fd, const struct chan_handler *h, void *arg);
struct chan *chan_free(struct chan *c);
/* fd -1: none; a fd is duplicated, the caller keeps its own. */
void chan_send(struct chan *c, uint16_t type, uint64_t id, struct str body, int fd);
/* The same in two pieces, for messages that carry a long run of octets at their end. */
void chan_send2(struct chan *c, uint16_t type, uint64_t id, struct str head, struct str tail);
size_t chan_pending(const struct chan *c);
void chan_flush(struct chan *c);

/* Blocking use, for the command line: the same frames without a loop. 0, or -errno; -EPROTO
 * for a breach, -EPIPE when the peer closed. The body of a received frame lives in *store. */
int chan_sync_send(int sock, uint16_t type, uint64_t id, struct str body, int fd);
int chan_sync_recv(int sock, struct ipc_frame *ret, struct buf *store);

/* A connected pair with send and receive buffers of 4 MiB; 0 or -errno. */
int chan_pair(int ret_fd[2]);
