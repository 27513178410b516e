/*
 * stream: a connection to a stranger: what came and is not eaten yet, what is to go out.
 *
 * Writes are tried at once; only after EAGAIN is writability watched. Reading stops by itself
 * while the input buffer is full or stream_pause() holds; buffers go back when empty, so an
 * idle stream costs the struct. One owner: the connection it is embedded in.
 *
 * Events: INPUT: more came. EOF: the peer closed its writing half, once; what came before may
 * still lie in the input. ERROR: the connection broke, or the peer let STREAM_OUT_MAX of replies
 * pile up; once, and the last event. DRAINED: all that had to wait is sent. The callback is never
 * called from inside these functions, only by the loop, and it may close the stream and free it.
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"
#include "loop/loop.h"

#include <stdbool.h>

#define STREAM_IN_MAX (64u << 10)
#define STREAM_OUT_MAX (1u << 20) /* a peer that does not read its replies is cut off here */

enum stream_event { STREAM_INPUT, STREAM_EOF, STREAM_ERROR, STREAM_DRAINED };
struct stream;
typedef void stream_fn(void *arg, enum stream_event e);

struct stream {
	struct loop_io *io;
	int fd;
	struct buf in, out;
	size_t in_off;     /* octets of in already eaten */
	bool paused, eof, failed;
	bool blocked;      /* waiting for writability */
	bool shut;         /* close the writing half once out is empty */
	struct loop *loop;
	struct loop_defer broke; /* tells about a failed send */
	stream_fn *fn;
	void *arg;
};

/* Takes the connected, non-blocking fd over. 0 or -errno (then fd stays the caller's). */
int stream_open(struct stream *s, struct loop *l, int fd, stream_fn *fn, void *arg);
void stream_close(struct stream *s); /* at once; idempotent */
struct str stream_input(struct stream *s);
void stream_eat(struct stream *s, size_t n);
/* Append to s->out, then stream_send(): one send for all of it. */
void stream_send(struct stream *s);
size_t stream_unsent(const struct stream *s);
/* After a pause what waited in the kernel is read in the next turn. */
void stream_pause(struct stream *s, bool paused);
/* Closes the writing half as soon as all is sent. To end a connection without losing the last
 * reply: this, then eat and ignore input until STREAM_EOF or a deadline, then stream_close(). */
void stream_shutdown_write(struct stream *s);
