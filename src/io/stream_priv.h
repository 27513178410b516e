/* stream_priv: the TLS half of a stream (stream_tls.c) and what it needs of the plain one. */
#pragma once

#include "io/stream.h"

#include <sys/types.h>

struct stream_tls {
	struct tls *t;
	struct loop_defer again; /* there is something to do that no poll tells about */
	unsigned want;           /* of the handshake: LOOP_READ, LOOP_WRITE, or 0: a signature */
	bool handshake;          /* under way */
	bool read_blocked;       /* reading waits for writability */
	enum tls_io ended;       /* TLS_CLOSED or TLS_FAILED: the next read tells */
};

/* stream.c */
void stream_watch(struct stream *s);
void stream_fail(struct stream *s);
void stream_readable(struct stream *s);
bool stream_reads(const struct stream *s); /* more input would be taken */

/* stream_tls.c: as send() and recv(), for as much of out as goes; 0 or -errno. */
int stream_tls_send(struct stream *s);
/* n > 0, 0 at the end, -EAGAIN, -errno. */
ssize_t stream_tls_fill(struct stream *s, char *p, size_t n);
void stream_tls_io(struct stream *s); /* an event during the handshake */
bool stream_tls_waits(const struct stream *s); /* stream_tls.again is due */
void stream_tls_close(struct stream *s);
