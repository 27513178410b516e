/*
 * tls: TLS over OpenSSL 3, both sides (RFC 8446, RFC 5246, RFC 8314).
 *
 * The server's side never holds a private key, nor does a client's that many connections share. A
 * certificate comes with the name of its key (the SHA-256 of its SubjectPublicKeyInfo); when the
 * handshake needs a signature, a provider of ours asks the host (tls_sign_fn) and the handshake
 * stops with TLS_SIGN. tls_signed() brings the answer; then call tls_handshake() of the connection
 * it names again.
 *
 * What is offered: TLS 1.2 and 1.3, authenticated ciphers, ECDHE. A legacy listener has TLS 1.0
 * and 1.1 and CBC ciphers too, but still only ECDHE: an exchange by RSA would have the key's holder
 * decrypt, and one by finite fields is slow for strangers to ask for. Nothing is renegotiated or
 * compressed, no session is kept: clients resume with tickets, which hold only at one listener.
 * A resumed session has the channel bindings of RFC 5929 of the session that it goes on with.
 *
 * A connection reads and writes its socket itself (with read-ahead and released buffers), never
 * blocks, raises no SIGPIPE, and tells what it waits for. One owner: the stream it is part of. All
 * connections of a process live on one thread. tls_free() may come at any time, also while a
 * signature is open: the paused handshake ends then, and its answer will find nobody.
 *
 * tls_init() before the sandbox. Errors of OpenSSL never escape as text to peers; tls_error() is
 * for logs.
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"
#include "crypt/crypt.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define TLS_KEY_NAME 32            /* octets: SHA-256 of a SubjectPublicKeyInfo */
#define TLS_SIGN_MAX 512           /* octets to be signed, at most */
#define TLS_SIGNATURE_MAX 1024     /* octets of a signature: RSA of 8192 bits */
#define TLS_CHAIN_MAX (64u << 10)  /* PEM text of one certificate with its chain */
#define TLS_CERTS_MAX 1000         /* certificates that a server may have */
#define TLS_TICKET_KEYS 3          /* the first makes tickets, all of them open some */
#define TLS_OPEN_SIGNS_MAX 4096    /* open signatures of one process; behind it handshakes fail */

/* How a signature is to be made. The octets are what is hashed, not a hash. */
enum tls_sign_alg {
	TLS_SIGN_ECDSA_SHA256, TLS_SIGN_ECDSA_SHA384, TLS_SIGN_ECDSA_SHA512, TLS_SIGN_ECDSA_SHA1,
	TLS_SIGN_PSS_SHA256, TLS_SIGN_PSS_SHA384, TLS_SIGN_PSS_SHA512,
	TLS_SIGN_PKCS1_SHA256, TLS_SIGN_PKCS1_SHA384, TLS_SIGN_PKCS1_SHA512, TLS_SIGN_PKCS1_SHA1,
	TLS_SIGN_PKCS1_MD5SHA1, /* TLS 1.0 and 1.1 */
	TLS_SIGN_ALG_COUNT
};
/* Asks the host for a signature; id is echoed by tls_signed(), which may be called in here already.
 * False: it cannot be asked for. Runs on the handshake's small stack: no large arrays. */
typedef bool tls_sign_fn(void *arg, uint32_t id, const unsigned char key[TLS_KEY_NAME],
    enum tls_sign_alg alg, struct str tbs);

/* Are these octets something a TLS server signs (and nothing else)? TLS 1.3: RFC 8446 4.4.3; up
 * to 1.2: randoms and ServerECDHParams, RFC 8422 5.4. The signer asks this before it signs. */
bool tls_signable(struct str tbs);
/* The same of a client; TLS 1.3 only. */
bool tls_signable_by_client(struct str tbs);

void tls_init(void);

/* --- private keys and certificates, where keys may be (auth, the command line, tests) --- */

struct tls_key; /* a private key */
/* NULL with a sentence in err. RSA of 2048 to 8192 bits, EC P-256, P-384, P-521. */
struct tls_key *tls_key_read(struct str pem, struct buf *err);
struct tls_key *tls_key_free(struct tls_key *k);
void tls_key_name(const struct tls_key *k, unsigned char out[TLS_KEY_NAME]);
/* Thread-safe for one key. Octets of the signature, or 0. */
size_t tls_key_sign(const struct tls_key *k, enum tls_sign_alg alg, struct str tbs,
    unsigned char out[TLS_SIGNATURE_MAX]);

/* A new P-256 key and a certificate for the names (the first is the subject), signed by itself;
 * PEM texts. days: how long it is valid. */
bool tls_make_self_signed(const struct str *names, size_t n, unsigned days, struct buf *key_pem,
    struct buf *cert_pem, struct buf *err);

struct tls_cert_info {
	char subject[256], issuer[256]; /* one line each, control octets escaped */
	char key_type[32];              /* "EC P-256", "RSA 2048" */
	int64_t not_before, not_after;  /* Unix seconds */
	unsigned char key[TLS_KEY_NAME];
	unsigned char sha256[32];       /* of the certificate */
	bool self_signed;
};
/* The first certificate of a PEM text; names (DNS names of the subjectAltName, or the common name
 * when there are none) one a line in `names`. */
bool tls_cert_read(struct str pem, struct tls_cert_info *ret, struct buf *names, struct buf *err);

/* --- certificates whose keys are elsewhere --- */

struct tls_certs; /* public: chains and names; shared by all who show them, counted */
struct tls_certs *tls_certs_new(void);
/* pem: certificate first, then its chain. The first one added is the default. Names come from the
 * certificate; "*." matches one label. Of two for one name of different key types both are used,
 * EC first. */
bool tls_certs_add(struct tls_certs *c, struct str pem, struct buf *err);
size_t tls_certs_count(const struct tls_certs *c);
bool tls_certs_know(const struct tls_certs *c, const char *name); /* is one for this name? */
/* ... and that its key? */
bool tls_certs_is_for(const struct tls_certs *c, const char *name,
    const unsigned char key[TLS_KEY_NAME]);
struct tls_certs *tls_certs_ref(struct tls_certs *c);
struct tls_certs *tls_certs_unref(struct tls_certs *c);

/* --- a server --- */

struct tls_ticket_key {
	unsigned char name[16], aes[32], hmac[32];
};

struct tls_server_conf {
	bool legacy;            /* TLS 1.0 and 1.1 and what they need, for old devices (K4-14) */
	const char *alpn;       /* "smtp", "imap", "pop3", or NULL */
	struct str client_ca;   /* PEM of the authorities whose client certificates are asked for */
	struct str id;          /* tickets are good only where this is the same */
};
struct tls_server; /* a listener's */
struct tls_server *tls_server_new(const struct tls_server_conf *conf, struct tls_certs *certs,
    tls_sign_fn *sign, void *arg, struct buf *err); /* takes a reference of certs */
/* New certificates from the next handshake on; connections go on. */
bool tls_server_certs(struct tls_server *s, struct tls_certs *certs, struct buf *err);
/* The first makes tickets, all of them open some; from the first on that is all zero they do not
 * count. Tickets do not outlive a change of id, client_ca or legacy. */
void tls_server_tickets(struct tls_server *s, const struct tls_ticket_key key[TLS_TICKET_KEYS]);
struct tls_server *tls_server_free(struct tls_server *s); /* connections outlive it */

/* --- a client (talk; relay to come) --- */

/* A TLSA record (RFC 6698 2.1): what the DNS says about a server's certificate. data: octets. */
struct tls_tlsa {
	uint8_t usage, selector, matching;
	struct str data;
};
/* Can mail use it (RFC 7672 3.1)? Usages 2 and 3, data that is whole. */
bool tls_tlsa_usable(const struct tls_tlsa *r);

struct tls_client_conf {
	const char *name;       /* SNI and the name to verify, or NULL */
	const char *alpn;
	const char *ca_file;    /* a file, a directory of hashed names, or NULL: the system's (loaded
	                         * only now) */
	bool verify;
	const char *cert_file, *key_file; /* PEM files, or NULL; the key may be in cert_file */
	int min_version, max_version;     /* 0x0301 .. 0x0304; 0: TLS 1.2, any */
	const char *verify_name; /* the name to verify, when it is another than that of the SNI */
	bool judge;              /* without verify: find out what there is to say (tls_peer_trust()) */
	bool ocsp;               /* ask for a stapled answer (RFC 6066 8) */
	const char *ciphers;     /* suites that are offered, of any version, parted by ':' ',' or ' ' */
	const char *keylog;      /* a file that secrets are appended to, for others to decipher with */
	/* Each message of the protocol that goes or comes; what: "handshake: ClientHello". */
	void (*trace)(void *arg, bool sent, const char *what, size_t octets);
	void *trace_arg;
	/* With any of them they decide, and no authority: DANE. The name to verify is the one at which
	 * they stand; also_names: others that are as good, NULL at the end (empty ones are skipped), or
	 * NULL: none. */
	const struct tls_tlsa *tlsa;
	size_t n_tlsa;
	const char *const *also_names;
	/* Which of certs is shown when the server asks for one, or NULL: none. Of TLS 1.3 only:
	 * before, a client signs the whole handshake, and a signer could not tell what it is that
	 * it signs. */
	const char *cert_name;
	struct tls_certs *certs;
	tls_sign_fn *sign;
	void *sign_arg;
};

/* The authorities that this system trusts (PEM text); nothing where none of the usual files is. */
void tls_authorities_read(size_t max, struct buf *out);

/* What many connections of a client share: authorities (PEM text; empty: none), versions. Of conf
 * only the versions and ciphers count. NULL with a sentence in err. */
struct tls_client;
struct tls_client *tls_client_new(const struct tls_client_conf *conf, struct str authorities,
    struct buf *err);
struct tls_client *tls_client_free(struct tls_client *c); /* connections outlive it */

/* --- a connection --- */

enum tls_io {
	TLS_OK,
	TLS_READ,    /* when the socket can be read */
	TLS_WRITE,   /* when it can be written */
	TLS_SIGN,    /* when the signature has come */
	TLS_CLOSED,  /* the peer said close_notify, or closed the socket */
	TLS_FAILED,
};

struct tls;
struct tls *tls_accept(struct tls_server *s, int fd);
struct tls *tls_connect(const struct tls_client_conf *conf, int fd, struct buf *err);
/* Of conf the names, verify, judge, alpn, tlsa and certs count; no file is opened. */
struct tls *tls_client_connect(struct tls_client *c, const struct tls_client_conf *conf, int fd,
    struct buf *err);
void tls_owner(struct tls *t, void *owner); /* what tls_signed() gives back */
enum tls_io tls_handshake(struct tls *t);
/* A client: the server has seen our certificate (`certs`). */
bool tls_has_shown(const struct tls *t);
/* At most n octets; *ret_n those that came (TLS_OK: at least one). */
enum tls_io tls_read(struct tls *t, void *p, size_t n, size_t *ret_n);
bool tls_pending(const struct tls *t); /* octets that no poll will tell about */
/* How often tls_read() may look at the socket from here on; then TLS_READ, though there may be
 * more. Negative: no limit, as in the beginning. */
void tls_recv_limit(struct tls *t, int n);
/* At most n octets; call again with the same octets after TLS_WRITE or TLS_READ. After TLS_FAILED
 * tls_read() may have more, when it was the socket that failed. */
enum tls_io tls_write(struct tls *t, const void *p, size_t n, size_t *ret_n);
void tls_close_notify(struct tls *t); /* tries once */
struct tls *tls_free(struct tls *t);  /* the socket stays open */
const char *tls_error(const struct tls *t); /* why it failed: a short sentence, never NULL */

/* What kind of failure that was, for advice to people. */
enum tls_cause {
	TLS_CAUSE_OTHER,
	TLS_CAUSE_PLAIN,       /* what came is not TLS */
	TLS_CAUSE_CERTIFICATE, /* we do not trust theirs */
	TLS_CAUSE_VERSION,     /* no version in common */
	TLS_CAUSE_CIPHER,      /* no suite, group or signature in common */
	TLS_CAUSE_WANTS_CERT,  /* they do not trust ours, or there is none */
	TLS_CAUSE_NAME,        /* they know no such name */
	TLS_CAUSE_CLOSED,      /* the peer closed or reset the connection */
};
enum tls_cause tls_cause(const struct tls *t);

/* The answer to tls_sign_fn: sig empty: refused. The owner whose handshake can go on, or NULL:
 * nobody waits any more, or tls_sign_fn has not returned yet. */
void *tls_signed(uint32_t id, struct str sig);
/* The signer is gone: every open handshake fails; owners are told by fn, one by one. */
void tls_signer_gone(void (*fn)(void *owner));

#define TLS_BINDING_MAX 64
struct tls_facts {
	char version[16];  /* "TLSv1.3" */
	char cipher[64];   /* "TLS_AES_256_GCM_SHA384" */
	int bits;
	bool resumed;
	char sni[256];     /* as the client sent it, lower case, or "" */
	char alpn[16];
	/* Client certificate. The subject as RFC 2253 has it, whoever signed it. The name only when
	 * client_ca verifies it: the first rfc822Name, else the subject; "" when too long. */
	char client_name[256], client_subject[256];
	bool client_verified;
	/* Channel bindings (RFC 9266, RFC 5929); length 0: there is none. */
	unsigned char exporter[TLS_BINDING_MAX], endpoint[TLS_BINDING_MAX], unique[TLS_BINDING_MAX];
	size_t exporter_len, endpoint_len, unique_len;
};
/* Behind the handshake. Bindings are computed here: ask once. */
void tls_facts(const struct tls *t, struct tls_facts *ret);
/* The peer's certificate chain as PEM texts (a client's view); for `cert` and transcripts. */
bool tls_peer_chain(const struct tls *t, struct buf *pem);

/* What a client finds out about the peer's certificate: with verify or judge. */
enum tls_trust {
	TLS_TRUST_OK,
	TLS_TRUST_NO_CERT,
	TLS_TRUST_EXPIRED,
	TLS_TRUST_EARLY,        /* not valid yet */
	TLS_TRUST_NAME,         /* made out to other names */
	TLS_TRUST_SELF_SIGNED,
	TLS_TRUST_UNKNOWN_ROOT, /* the chain is whole, its authority is not ours */
	TLS_TRUST_INCOMPLETE,   /* an issuer is missing between it and any authority */
	TLS_TRUST_REVOKED,
	TLS_TRUST_PURPOSE,      /* not for servers, or an issuer that may not issue */
	TLS_TRUST_WEAK,         /* a key or digest that is too weak */
	TLS_TRUST_OTHER,
	TLS_TRUST_DANE,         /* no TLSA record is about it */
	TLS_TRUST_COUNT
};
/* detail: libcrypto's words for it and which certificate it is about. */
enum tls_trust tls_peer_trust(const struct tls *t, struct buf *detail);
/* Which TLSA record the peer was found good by; ret: without data. False: none. */
bool tls_peer_dane(const struct tls *t, struct tls_tlsa *ret);

struct tls_peer_cert {
	char subject[512], issuer[512]; /* RFC 2253, control octets escaped; "..." at the end: cut */
	char common_name[256];          /* of the subject, escaped; "" when there is none */
	char serial[130];
	char key_type[48], signature[64]; /* "EC P-256", "ecdsa-with-SHA256" */
	int64_t not_before, not_after;
	unsigned char key[TLS_KEY_NAME]; /* SHA-256 of its SubjectPublicKeyInfo: a pin */
	unsigned char sha256[32];
	bool self_signed;
};
size_t tls_peer_certs(const struct tls *t); /* how many the peer sent */
/* Number i of them, 0 is the peer's own. names: the subjectAltName, one a line: DNS names as they
 * are, "IP:", "email:", "URI:" in front of others, escaped. */
bool tls_peer_cert(const struct tls *t, size_t i, struct tls_peer_cert *ret, struct buf *names);
bool tls_peer_der(const struct tls *t, size_t i, bool public_key, struct buf *ret);

struct tls_ocsp {
	bool stapled;
	const char *status;  /* "good", "revoked", "unknown", "unreadable", "of another certificate" */
	bool verified;       /* signed by the issuer, and in its time */
	int64_t this_update, next_update; /* 0: none is told */
};
/* Asked for with `ocsp`. */
void tls_peer_ocsp(const struct tls *t, struct tls_ocsp *ret);

/* Suites that could be offered for a version (0x0301 .. 0x0304), one a line. */
void tls_suites(int version, struct buf *ret);
