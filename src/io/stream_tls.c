#include "base/check.h"
#include "io/stream_priv.h"

#include <errno.h>
#include <stdlib.h>

#define RECORD_MAX 16384 /* RFC 8446 5.1 */
#define RECVS_MAX 4      /* looks at the socket for one event: others want their turn */

/* --- the handshake ------------------------------------------------------------ */

static void
secured(struct stream *s)
{
	s->tls->handshake = false;
	/* What came meanwhile goes out when the socket takes it, and DRAINED follows. */
	s->blocked = stream_unsent(s) > 0 || s->shut;
	stream_watch(s);
	s->fn(s->arg, STREAM_SECURED);
}

void
stream_tls_io(struct stream *s)
{
	switch (tls_handshake(s->tls->t)) {
	case TLS_OK:
		secured(s);
		return;
	case TLS_READ:
		s->tls->want = LOOP_READ;
		break;
	case TLS_WRITE:
		s->tls->want = LOOP_WRITE;
		break;
	case TLS_SIGN:
		s->tls->want = 0;
		break;
	case TLS_CLOSED:
	case TLS_FAILED:
		stream_fail(s);
		s->fn(s->arg, STREAM_ERROR);
		return;
	}
	stream_watch(s);
}

static void
on_again(void *arg)
{
	struct stream *s = arg;

	if (s->failed)
		return;
	if (s->tls->handshake) {
		stream_tls_io(s);
	} else if (stream_reads(s)) {
		tls_recv_limit(s->tls->t, 0); /* only what is here: the loop tells of the rest */
		stream_readable(s);
	}
}

void
stream_tls(struct stream *s, struct tls *t)
{
	check(s->io && !s->tls && !s->in.len && !s->out.len);
	s->tls = xalloc(sizeof(*s->tls));
	s->tls->t = t;
	s->tls->handshake = true;
	tls_owner(t, s);
	loop_defer_init(&s->tls->again, on_again, s);
	loop_defer_add(s->loop, &s->tls->again);
	stream_watch(s);
}

struct tls *
stream_tls_of(const struct stream *s)
{
	return s->tls ? s->tls->t : NULL;
}

void
stream_tls_resume(struct stream *s)
{
	if (s->tls && s->tls->handshake && !s->failed)
		loop_defer_add(s->loop, &s->tls->again);
}

/* --- octets --------------------------------------------------------------------- */

int
stream_tls_send(struct stream *s, struct str octets, size_t *ret_sent)
{
	enum tls_io io = TLS_OK;
	size_t sent = 0, n;

	while (io == TLS_OK && sent < octets.len) {
		io = tls_write(s->tls->t, octets.p + sent, MIN(octets.len - sent, RECORD_MAX), &n);
		if (io == TLS_OK)
			sent += n;
	}
	*ret_sent = sent;
	return io == TLS_OK || io == TLS_WRITE ? 0 : -EIO;
}

bool
stream_tls_waits(const struct stream *s)
{
	return s->tls->ended != TLS_OK || tls_pending(s->tls->t);
}

/* A whole record is at hand after one look as a rule; more of them are taken with it. */
ssize_t
stream_tls_fill(struct stream *s, char *p, size_t n)
{
	struct stream_tls *x = s->tls;
	enum tls_io io = x->ended;
	size_t all = 0, got;

	while (io == TLS_OK && all < n && (all == 0 || tls_pending(x->t))) {
		io = tls_read(x->t, p + all, n - all, &got);
		if (io == TLS_OK)
			all += got;
	}
	tls_recv_limit(x->t, RECVS_MAX);
	x->read_blocked = io == TLS_WRITE;
	if (io == TLS_CLOSED || io == TLS_FAILED)
		x->ended = io;
	if (all > 0)
		return (ssize_t)all;
	return io == TLS_CLOSED ? 0 : io == TLS_FAILED ? -EIO : -EAGAIN;
}

void
stream_tls_close(struct stream *s)
{
	struct stream_tls *x = s->tls;

	if (!x->handshake && !s->failed && !s->shut && stream_unsent(s) == 0)
		tls_close_notify(x->t);
	loop_defer_del(&x->again);
	tls_free(x->t);
	free(x);
	s->tls = NULL;
}
