/* One connection: its socket, its handshake, reading and writing. */
#include "base/check.h"
#include "tls/tls_priv.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct tls *tls_current;

/* --- the socket, as libssl sees it: never blocks, raises no SIGPIPE ------------------- */

static BIO_METHOD *socket_method;

static int
socket_failed(BIO *b, struct tls *t, int retry)
{
	if (errno == EAGAIN)
		BIO_set_flags(b, retry | BIO_FLAGS_SHOULD_RETRY);
	else
		t->sys = errno;
	return -1;
}

static int
socket_read(BIO *b, char *p, int n)
{
	struct tls *t = BIO_get_data(b);
	ssize_t got;

	BIO_clear_retry_flags(b);
	if (t->fd < 0) {
		t->eof = true;
		return 0;
	}
	if (t->recvs == 0) {
		BIO_set_retry_read(b);
		return -1;
	}
	if (t->recvs > 0)
		t->recvs--;
	do
		got = recv(t->fd, p, (size_t)n, MSG_DONTWAIT);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return socket_failed(b, t, BIO_FLAGS_READ);
	t->eof = got == 0;
	return (int)got;
}

static int
socket_write(BIO *b, const char *p, int n)
{
	struct tls *t = BIO_get_data(b);
	ssize_t sent;

	BIO_clear_retry_flags(b);
	if (t->fd < 0)
		return -1;
	do
		sent = send(t->fd, p, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	return sent < 0 ? socket_failed(b, t, BIO_FLAGS_WRITE) : (int)sent;
}

static long
socket_ctrl(BIO *b, int cmd, long num, void *ptr)
{
	const struct tls *t = BIO_get_data(b);

	return cmd == BIO_CTRL_FLUSH || (cmd == BIO_CTRL_EOF && t->eof);
}

static int
socket_create(BIO *b)
{
	BIO_set_init(b, 1);
	return 1;
}

bool
tls_conn_init(void)
{
	socket_method =
	    BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "a stranger's socket");
	return socket_method && BIO_meth_set_read(socket_method, socket_read) == 1 &&
	       BIO_meth_set_write(socket_method, socket_write) == 1 &&
	       BIO_meth_set_ctrl(socket_method, socket_ctrl) == 1 &&
	       BIO_meth_set_create(socket_method, socket_create) == 1;
}

/* --- begin and end -------------------------------------------------------------------- */

struct tls *
tls_conn_new(SSL_CTX *ctx, int fd)
{
	struct tls *t = xalloc(sizeof(*t));
	BIO *b = BIO_new(socket_method);

	*t = (struct tls){ .ssl = SSL_new(ctx), .fd = fd, .recvs = -1, .error = "", .keylog = -1 };
	if (!t->ssl || !b || SSL_set_app_data(t->ssl, t) != 1) {
		ERR_clear_error();
		BIO_free(b);
		SSL_free(t->ssl);
		free(t);
		return NULL;
	}
	BIO_set_data(b, t);
	SSL_set_bio(t->ssl, b, b);
	return t;
}

struct tls *
tls_accept(struct tls_server *s, int fd)
{
	struct tls *t = tls_conn_new(s->ctx, fd);

	if (!t)
		return NULL;
	t->server = tls_server_ref(s);
	t->sign = s->sign;
	t->sign_arg = s->arg;
	SSL_set_accept_state(t->ssl);
	return t;
}

void
tls_owner(struct tls *t, void *owner)
{
	t->owner = owner;
}

struct tls *
tls_free(struct tls *t)
{
	if (!t)
		return NULL;
	t->fd = -1;
	if (t->wait)
		tls_open_abandon(t);
	SSL_free(t->ssl);
	tls_open_trim();
	tls_server_free(t->server);
	tls_certs_unref(t->certs);
	free(t->cert_name);
	if (t->keylog >= 0)
		close(t->keylog);
	free(t);
	return NULL;
}

/* --- the life between -------------------------------------------------------------------- */

static enum tls_io
fail(struct tls *t, const char *why)
{
	t->failed = true;
	t->error = why;
	ERR_clear_error();
	return TLS_FAILED;
}

static enum tls_io
outcome(struct tls *t, int ret)
{
	t->code = ret > 0 ? 0 : ERR_peek_error();
	switch (SSL_get_error(t->ssl, ret)) {
	case SSL_ERROR_NONE:
		return TLS_OK;
	case SSL_ERROR_WANT_READ:
		return TLS_READ;
	case SSL_ERROR_WANT_WRITE:
		return TLS_WRITE;
	case SSL_ERROR_WANT_ASYNC:
		return TLS_SIGN;
	case SSL_ERROR_WANT_ASYNC_JOB:
		return fail(t, "too many handshakes wait for their signatures");
	case SSL_ERROR_ZERO_RETURN:
		ERR_clear_error();
		return TLS_CLOSED;
	case SSL_ERROR_SYSCALL:
		if (t->sys == 0 && ERR_peek_error() == 0)
			return TLS_CLOSED;
		return fail(t, t->sys ? strerrordesc_np(t->sys) : tls_reason());
	default:
		return fail(t, tls_reason());
	}
}

enum tls_io
tls_handshake(struct tls *t)
{
	if (t->failed)
		return TLS_FAILED;
	ERR_clear_error();
	if (t->asked) /* a client's certificate is better looked at on a large stack */
		SSL_clear_mode(t->ssl, SSL_MODE_ASYNC);
	tls_current = t;
	int ret = SSL_do_handshake(t->ssl);
	if (ret <= 0 && SSL_get_error(t->ssl, ret) == SSL_ERROR_WANT_X509_LOOKUP) {
		/* What shows a certificate is a job; the server's was looked at before. */
		t->shows = true;
		SSL_set_mode(t->ssl, SSL_MODE_ASYNC);
		ret = SSL_do_handshake(t->ssl);
	}
	tls_current = NULL;
	tls_open_trim();
	enum tls_io io = outcome(t, ret);
	if (io == TLS_OK)
		SSL_clear_mode(t->ssl, SSL_MODE_ASYNC);
	if (io == TLS_CLOSED)
		t->error = "the peer closed the connection";
	return io;
}

bool
tls_has_shown(const struct tls *t)
{
	return t->shows && t->asked;
}

enum tls_io
tls_read(struct tls *t, void *p, size_t n, size_t *ret_n)
{
	if (t->failed)
		return TLS_FAILED;
	ERR_clear_error();
	enum tls_io io = outcome(t, SSL_read_ex(t->ssl, p, n, ret_n));
	t->dry = io == TLS_READ;
	return io;
}

bool
tls_pending(const struct tls *t)
{
	return !t->failed && !t->dry && SSL_has_pending(t->ssl) == 1;
}

void
tls_recv_limit(struct tls *t, int n)
{
	t->recvs = n;
}

enum tls_io
tls_write(struct tls *t, const void *p, size_t n, size_t *ret_n)
{
	if (t->failed || t->mute)
		return TLS_FAILED;
	ERR_clear_error();
	t->sys = 0;
	enum tls_io io = outcome(t, SSL_write_ex(t->ssl, p, n, ret_n));
	/* The socket failed, not the protocol: what the peer has said before is good. */
	if (io == TLS_FAILED && t->sys) {
		t->mute = true;
		t->failed = false;
	}
	return io;
}

void
tls_close_notify(struct tls *t)
{
	/* A second SSL_shutdown() would wait for the peer's, and throw away what comes before it.
	 */
	if (t->failed || t->mute || !SSL_is_init_finished(t->ssl) ||
	    (SSL_get_shutdown(t->ssl) & SSL_SENT_SHUTDOWN))
		return;
	SSL_shutdown(t->ssl);
	ERR_clear_error();
}

const char *
tls_error(const struct tls *t)
{
	return t->error;
}
