/*
 * sasl: the server's side of SASL (RFC 4422) without I/O, over Cyrus SASL and ours.
 *
 * PLAIN, LOGIN, EXTERNAL, OAUTHBEARER, XOAUTH2 and APOP are taken apart here; SCRAM, CRAM-MD5,
 * DIGEST-MD5, NTLM and GSSAPI are the library's. An exchange is a plain object: the host feeds the
 * client's octets (decoded: no base64 here) and gets a challenge, an end, or a question it must
 * answer: is this password right, is this token good. Secrets it needs (SCRAM verifiers, where it
 * must be the password itself) come from sasl_lookup_fn, which is called on the thread that steps.
 * One exchange is stepped by one thread at a time; different ones by several.
 *
 * Unknown names: the lookup gives made-up but stable SCRAM facts (sasl_scram_made_up), so that
 * the exchange fails only at its end and looks the same.
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"
#include "crypt/crypt.h"

#include <stdbool.h>
#include <stdint.h>

#define SASL_MECH_MAX 32       /* with NUL */
#define SASL_NAME_MAX 512      /* with NUL: of an authentication or authorization identity */
#define SASL_MESSAGE_MAX 12288 /* octets of one message, either way */
#define SASL_STEPS_MAX 16      /* messages of one exchange */
#define SASL_PASSWORD_MAX 512  /* with NUL */
#define SASL_SALT_MAX 32
#define SASL_SCRAM_SALT 16      /* octets of a salt that we choose; made-up ones have as many */
#define SASL_SCRAM_ROUNDS 4096u /* RFC 7677 4: at least */
#define SASL_SCRAM_ROUNDS_MAX 1000000u

/* A stored verifier (RFC 5803): no password can be read from it. */
struct sasl_scram {
	enum crypt_hash hash; /* CRYPT_SHA1 or CRYPT_SHA256 */
	uint32_t rounds;
	unsigned char salt[SASL_SALT_MAX];
	size_t salt_len;
	unsigned char stored_key[CRYPT_DIGEST_MAX], server_key[CRYPT_DIGEST_MAX];
};
/* From a password, which is octets. Takes milliseconds. Of SASLprep (RFC 4013) there is what needs
 * no tables of Unicode: in valid UTF-8 its other blanks become a blank and what it maps to nothing
 * goes; nothing is composed or decomposed, as keyboards send composed characters. */
void sasl_scram_make(enum crypt_hash h, struct str password, struct str salt, uint32_t rounds,
    struct sasl_scram *ret);
/* For a name nobody has: the same every time for one secret and name, different for each name. */
void sasl_scram_made_up(enum crypt_hash h, struct str secret, struct str name, struct sasl_scram *ret);
/* "SCRAM-SHA-256$4096:salt$StoredKey:ServerKey" (RFC 5803), and back. */
void sasl_scram_put(struct buf *b, const struct sasl_scram *s);
bool sasl_scram_get(struct str text, struct sasl_scram *ret);

/* Mechanisms by name. */
enum sasl_need { /* what the account must have */
	SASL_NEED_PASSWORD,  /* the host checks a password that came in clear */
	SASL_NEED_VERIFIER,  /* a SCRAM verifier */
	SASL_NEED_SECRET,    /* the password itself, kept recoverably */
	SASL_NEED_TOKEN,     /* the host checks a token */
	SASL_NEED_EXTERNAL,  /* what TLS says */
	SASL_NEED_TICKET,    /* Kerberos */
};
struct sasl_mech {
	const char *name;
	enum sasl_need need;
	bool client_first;   /* may have an initial response (RFC 4422 5) */
	bool server_first;   /* without one its first challenge is not empty */
	bool in_clear;       /* the password itself crosses the line */
	bool weak;           /* broken or about to be: off by default */
	bool binds;          /* -PLUS: needs a channel binding */
	bool pop;            /* a command of POP3 (RFC 1939 7) that goes the same way; in no list:
	                      * one message, "stamp NUL name NUL digest" */
};
extern const struct sasl_mech sasl_mechs[]; /* ends with name NULL; strongest first */
const struct sasl_mech *sasl_mech_find(struct str name); /* in any case; NULL: unknown */
/* Is what it needs installed? After sasl_library_open(); GSSAPI is a package of its own. */
bool sasl_mech_ready(const struct sasl_mech *m);

/* What a -PLUS may bind to; length 0: not there. All empty where no -PLUS was offered: a client
 * that knows bindings and says that we do not (RFC 5802 6) fails when there are some. */
struct sasl_binding {
	struct str exporter, endpoint, unique;
};

/* What the host knows about the account `name` (as the client wrote it). */
struct sasl_account {
	bool known;
	char name[SASL_NAME_MAX];      /* canonical: local@domain, folded */
	struct sasl_scram scram1, scram256;
	bool has_scram1, has_scram256;
	char secret[SASL_PASSWORD_MAX]; /* recoverable password, or "" */
};
typedef void sasl_lookup_fn(void *arg, struct str name, struct sasl_account *ret);

struct sasl_conf {
	const char *service;   /* "smtp", "imap", "pop" */
	const char *host;      /* our name: realm, service principal */
	struct str external;   /* what TLS says of the client, or empty: EXTERNAL fails */
	struct sasl_binding binding;
	const char *user_prompt, *pass_prompt; /* of LOGIN; NULL: "Username:" "Password:" */
	sasl_lookup_fn *lookup;
	void *arg;
};

enum sasl_status {
	SASL_CHALLENGE,   /* sasl_out() goes to the client */
	SASL_PASSWORD,    /* is sasl_password() right for sasl_authcid()? sasl_answer() */
	SASL_TOKEN,       /* is sasl_password() a good token, for sasl_authcid() if not empty? */
	SASL_DONE,        /* sasl_authcid() is who it says, and wants to be sasl_authzid();
	                   * sasl_out() may hold a last message: a challenge that wants "" */
	SASL_FAILED,      /* wrong */
	SASL_MALFORMED,   /* not what the mechanism's messages look like */
	SASL_UNAVAILABLE, /* the account has nothing this mechanism could use (534), or trouble */
};

/* Once per process, before the sandbox, from one thread; calls crypt_init(). plugin_dir NULL: the
 * library's own. 0 or -errno with a sentence. Afterwards nothing is opened (but by GSSAPI, which
 * takes KRB5_CONFIG, KRB5_KTNAME and KRB5RCACHENAME from the environment): each
 * exchange gets random octets from the kernel and no log, where the library by itself would go to
 * /dev/urandom and to syslog. No file of its configuration is read. */
int sasl_library_open(const char *plugin_dir, bool gssapi, struct buf *err);
void sasl_library_close(void);

struct sasl; /* an exchange */
/* conf is copied, what it points to as well (but arg). */
struct sasl *sasl_new(const struct sasl_mech *m, const struct sasl_conf *conf);
struct sasl *sasl_free(struct sasl *s); /* wipes */
/* in NULL: no initial response was given. After the end, or while a question is open: MALFORMED. */
enum sasl_status sasl_step(struct sasl *s, const struct str *in);
/* To SASL_PASSWORD and SASL_TOKEN; name: canonical, for a token whose owner it tells. */
enum sasl_status sasl_answer(struct sasl *s, bool good, struct str name);
struct str sasl_out(const struct sasl *s);
struct str sasl_authcid(const struct sasl *s); /* as the client wrote it; with DONE: canonical */
struct str sasl_authzid(const struct sasl *s); /* empty: the same */
struct str sasl_password(const struct sasl *s);
/* After FAILED and UNAVAILABLE: what the library says of it, for a log; may be empty. */
struct str sasl_trouble(const struct sasl *s);

/* OAuth tokens that can be checked without asking anybody: a JWT (RFC 7519) with RS256, ES256 or
 * HS256 by the keys given. */
struct sasl_jwt_conf {
	struct str keys;      /* PEM public keys, or a JWK set (RFC 7517), or "secret:..." */
	struct str issuer, audience; /* empty: not looked at */
	const char *claim;    /* that names the account: "email" */
};
/* name: the claim. False with a sentence (without the token) in why. now: Unix seconds. */
bool sasl_jwt_check(const struct sasl_jwt_conf *conf, struct str token, int64_t now,
    char name[SASL_NAME_MAX], struct buf *why);
