/* stream_priv: TLS (stream_tls.c) and compression (stream_deflate.c) of a stream, and what they
 * need of the plain one. */
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
size_t stream_room(const struct stream *s); /* for so many octets of it */
/* As recv(), through TLS where there is some: n > 0, 0 at the end, -EAGAIN, -errno. */
ssize_t stream_recv(struct stream *s, char *p, size_t n);

/* stream_tls.c: as send() and recv(), for as much as goes; 0 or -errno. */
int stream_tls_send(struct stream *s, struct str octets, size_t *ret_sent);
/* n > 0, 0 at the end, -EAGAIN, -errno. */
ssize_t stream_tls_fill(struct stream *s, char *p, size_t n);
void stream_tls_io(struct stream *s); /* an event during the handshake */
bool stream_tls_waits(const struct stream *s); /* stream_tls.again is due */
void stream_tls_close(struct stream *s);

/* stream_deflate.c */
/* Takes out, once all that it made before is sent; what is to be sent now. */
struct str stream_deflate_pack(struct stream *s);
void stream_deflate_sent(struct stream *s, size_t n);
size_t stream_deflate_unsent(const struct stream *s);
ssize_t stream_deflate_fill(struct stream *s); /* as stream_recv(), straight into s->in */
bool stream_deflate_waits(const struct stream *s); /* there is input that no poll tells about */
void stream_deflate_close(struct stream *s);
