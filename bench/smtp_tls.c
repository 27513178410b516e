#include "smtp_priv.h"

#include "base/check.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <sys/epoll.h>

static SSL_CTX *ctx;

void
secure_init(void)
{
	signal(SIGPIPE, SIG_IGN);
	ctx = SSL_CTX_new(TLS_client_method());
	check(ctx);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
				  SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_read_ahead(ctx, 1);
}

bool
secure_begin(struct conn *c)
{
	c->ssl = SSL_new(ctx);
	check(c->ssl && SSL_set_fd(c->ssl, c->fd) == 1);
	SSL_set_connect_state(c->ssl);
	c->shaking = true;
	return secure_shake(c);
}

/* EAGAIN, or the end of the run. */
static ssize_t
trouble(struct conn *c, int rc, const char *what)
{
	int e = SSL_get_error(c->ssl, rc);
	if (e == SSL_ERROR_ZERO_RETURN ||
	    (e == SSL_ERROR_SYSCALL && ERR_peek_error() == 0 && rc == 0))
		return 0;
	if (e != SSL_ERROR_WANT_READ && e != SSL_ERROR_WANT_WRITE && c->step != QUIT)
		die("TLS, %s: %s", what, ERR_reason_error_string(ERR_peek_error()));
	if (e != SSL_ERROR_WANT_READ && e != SSL_ERROR_WANT_WRITE)
		return 0;
	errno = EAGAIN;
	return -1;
}

bool
secure_shake(struct conn *c)
{
	ERR_clear_error();
	int rc = SSL_do_handshake(c->ssl);
	if (rc == 1) {
		c->shaking = false;
		return true;
	}
	if (trouble(c, rc, "handshake") == 0)
		die("TLS, handshake: the server closed");
	return false;
}

ssize_t
secure_send(struct conn *c, struct str what)
{
	ERR_clear_error();
	int rc = SSL_write(c->ssl, what.p, what.len > 1u << 20 ? 1 << 20 : (int)what.len);
	return rc > 0 ? rc : trouble(c, rc, "writing");
}

ssize_t
secure_recv(struct conn *c, char *p, size_t n)
{
	ERR_clear_error();
	int rc = SSL_read(c->ssl, p, (int)n);
	return rc > 0 ? rc : trouble(c, rc, "reading");
}

void
secure_end(struct conn *c)
{
	SSL_free(c->ssl);
	c->ssl = NULL;
	c->shaking = false;
}
