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
 *
 * Inside TLS a peer that closes its socket without a close_notify has closed its writing half like
 * any other; one that breaks the protocol is an ERROR, and tls_error() of stream_tls_of() has the
 * reason until stream_close(). During the handshake a pause holds nothing up.
 *
 * Deflated (RFC 4978) in and out are what the peer means, before and after compression. A few
 * octets that inflate to many come in as fast as they are eaten, and never more at once than the
 * input buffer holds.
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"
#include "loop/loop.h"
#include "tls/tls.h"

#include <stdbool.h>
#include <stdint.h>

#define STREAM_IN_MAX (64u << 10)
#define STREAM_OUT_MAX (1u << 20) /* a peer that does not read its replies is cut off here */

enum stream_event {
	STREAM_INPUT, STREAM_EOF, STREAM_ERROR, STREAM_DRAINED,
	STREAM_SECURED, /* the TLS handshake is done, once */
};
struct stream;
typedef void stream_fn(void *arg, enum stream_event e);

struct stream {
	struct loop_io *io;
	int fd;
	struct buf in, out;
	size_t in_off;     /* octets of in already eaten */
	size_t out_off;    /* octets of out already sent */
	uint64_t received, sent; /* octets that crossed the socket, TLS taken off */
	bool paused, eof, failed;
	bool blocked;      /* waiting for writability */
	bool wrote;        /* of the last event that could be either: the next one reads */
	bool shut;         /* close the writing half once out is empty */
	struct stream_tls *tls; /* NULL: plain */
	struct stream_deflate *z; /* NULL: not compressed */
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
/* Nothing is unsent, and a little more would go to the kernel at once. Else STREAM_DRAINED follows when
 * that is so. */
bool stream_has_room(struct stream *s);
/* TLS from here on: takes t over (tls_accept or tls_connect on this descriptor) and shakes hands;
 * input and output must be empty. STREAM_SECURED or STREAM_ERROR follows; what is appended to out
 * before is sent behind the handshake. in and out are the plain text; all rules above hold. */
void stream_tls(struct stream *s, struct tls *t);
struct tls *stream_tls_of(const struct stream *s); /* NULL: plain */
/* The signature that the handshake waited for has come (tls_signed() named this stream), or its
 * signer is gone. */
void stream_tls_resume(struct stream *s);
/* Both directions are deflated from here on; input and output must be empty. False: no memory. */
bool stream_deflate(struct stream *s);
/* Now and then, of an idle stream: what compression does not need meanwhile goes back. */
void stream_rest(struct stream *s);
/* After a pause what waited in the kernel is read in the next turn. */
void stream_pause(struct stream *s, bool paused);
/* Behind STREAM_ERROR: what the peer has said that was not read, as when a send failed before; as
 * much of it as the input holds. */
struct str stream_last_words(struct stream *s);
/* Closes the writing half as soon as all is sent. To end a connection without losing the last
 * reply: this, then eat and ignore input until STREAM_EOF or a deadline, then stream_close(). */
void stream_shutdown_write(struct stream *s);
