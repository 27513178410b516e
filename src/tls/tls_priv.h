/*
 * tls_priv: what the files of this room share.
 *
 * Two libraries' worth of state: libcrypto's default context for keys, certificates and digests,
 * and tls_lib, a context of our own in which handshakes run. tls_lib has the default provider and
 * beside it ours, whose keys are public halves that ask the host for signatures (provider.c). It
 * reads no configuration file.
 *
 * All connections of a process live on one thread. A handshake of the server's side, and the end of
 * a client's that shows a certificate, runs as a job of libcrypto (ASYNC_start_job) on a small
 * stack of its own, and is paused in there while its signature is made elsewhere.
 */
#pragma once

#include "tls/tls.h"

#include <openssl/ssl.h>

#define TLS_PROPS "?provider=default" /* ours only where the key is ours */
#define TLS_CA_MAX (1u << 20)         /* PEM text of authorities */
#define TLS_NAMES_MAX 1000            /* names in one certificate */
#define TLS_ID 32                     /* octets of tls_server.id */

extern OSSL_LIB_CTX *tls_lib;
extern EVP_CIPHER *tls_ticket_cipher;

/* provider.c */
bool tls_provider_load(OSSL_LIB_CTX *lib);
/* The public key of x as a key of our provider; NULL when it is of no kind we know. */
EVP_PKEY *tls_provider_key(X509 *x);

/* key.c */
bool tls_public_name(EVP_PKEY *key, unsigned char out[TLS_KEY_NAME]);
/* Says "EC P-256", "RSA 2048"; false with a sentence in err for keys that are not for us. */
bool tls_public_check(EVP_PKEY *key, char type[32], struct buf *err);

/* error.c */
const char *tls_reason(void); /* of the oldest error in the queue; empties it */

/* cert.c */
/* The certificates of a PEM text, in its order, in libcrypto's default context; NULL with a
 * sentence in err. */
STACK_OF(X509) *tls_pem_certs(struct str pem, struct buf *err);
/* Each DNS name of x, lower case; the common name where there is none. False: fn said so. */
bool tls_cert_names(X509 *x, bool (*fn)(void *arg, const char *name), void *arg);
/* A name on one line: RFC 2253, control octets escaped. False when it does not fit. */
bool tls_name_line(const X509_NAME *name, char *out, size_t n);
int64_t tls_seconds(const ASN1_TIME *t); /* Unix seconds; 0: no time */
/* RFC 5929 4.1: 0 when the certificate's signature has no one hash. */
size_t tls_cert_endpoint(X509 *x, unsigned char out[TLS_BINDING_MAX]);

/* certs.c */
/* Gives ssl the certificates for this name (NULL: the default). False: there is none. */
bool tls_certs_use(const struct tls_certs *c, const char *name, SSL *ssl);

/* server.c */
struct tls_server {
	unsigned refs; /* the listener's, and one of each connection */
	SSL_CTX *ctx;
	struct tls_certs *certs;
	tls_sign_fn *sign;
	void *arg;
	char alpn[16];
	unsigned char id[CRYPT_DIGEST_MAX]; /* what tickets are bound to: TLS_ID of them */
	struct tls_ticket_key tickets[TLS_TICKET_KEYS]; /* made of the given ones and id */
	size_t n_tickets;
};
struct tls_server *tls_server_ref(struct tls_server *s);

/* dane.c */
/* The records of conf for this handshake. False: none of them can be used, or no memory. */
bool tls_dane_begin(SSL *ssl, const struct tls_client_conf *conf);

/* conn.c */
struct tls_wait { /* on the stack of the paused job */
	uint32_t id;
	bool paused, answered;
	unsigned char sig[TLS_SIGNATURE_MAX];
	size_t len; /* 0: refused */
};
struct tls {
	SSL *ssl;
	void *owner;
	struct tls_server *server; /* NULL: a client */
	tls_sign_fn *sign;         /* who is asked for signatures, or NULL */
	void *sign_arg;
	struct tls_certs *certs;   /* a client: what it may show, or NULL */
	char *cert_name;           /* which of them */
	struct tls_wait *wait;     /* the open signature */
	const char *error;
	int fd;                    /* -1: let go */
	int recvs;                 /* how often the socket may be read; -1: no limit */
	int sys;                   /* errno of the socket */
	unsigned long code;        /* libssl's first error, when it failed */
	int keylog;                /* file descriptor, or -1 */
	void (*trace)(void *arg, bool sent, const char *what, size_t octets);
	void *trace_arg;
	bool client;
	bool eof, dry, failed;
	bool mute;                 /* the socket takes no more; what came may be read */
	bool wanted; /* a client: the server asked for a certificate, and there is none */
	bool shows;  /* a client: the rest of its handshake is a job, in which it shows one */
	bool asked; /* for its signature: the job has done its work */
};
extern struct tls *tls_current; /* whose handshake runs */
bool tls_conn_init(void);
struct tls *tls_conn_new(SSL_CTX *ctx, int fd);

/* Of functions whose frames lie on a job's stack while it is paused. AddressSanitizer keeps locals on
 * a stack of its own (detect_stack_use_after_return), which a longjmp clears and which knows no jobs. */
#define TLS_ON_JOB __attribute__((no_sanitize("address")))

/* open.c: signatures that were asked for */
/* For the provider, in the job of tls_current: octets of the signature, or 0. */
size_t tls_open_sign(const unsigned char key[TLS_KEY_NAME], enum tls_sign_alg alg, struct str tbs,
    unsigned char out[TLS_SIGNATURE_MAX]);
/* The connection waits no more: its job ends now, refused. */
void tls_open_abandon(struct tls *t);
/* Behind a burst of them: gives back the stacks of jobs, when none is in use. */
void tls_open_trim(void);
