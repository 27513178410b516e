/*
 * msg_auth: what is said of keys, logins and tokens; a part of ipc/msg.h, which includes it and
 * says what holds for all messages.
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

enum secret_kind {
	SECRET_CERT,     /* PEM: certificate and chain; the key follows */
	SECRET_KEY,      /* PEM: the private key of the certificate before it */
	SECRET_JWT,      /* keys that check tokens (oauth.keys) */
	SECRET_KEYTAB,   /* gssapi: the keys of this server */
	SECRET_KRB5_CONF, /* gssapi: the configuration of Kerberos */
	SECRET_CLIENT,   /* fetch: the password of oauth.introspect_client */
	SECRET_CA,       /* fetch: PEM: the authorities that its server's certificate must come from */
	SECRET_PASSES,   /* auth, gssapi, store, reader: the key of ipc/pass.h, in a sealed memfd; in
	                  * no set of files, and without an end */
	SECRET_ROUTE,    /* auth: the password of a route, in its first line */
	SECRET_SRS,      /* auth: the keys of mail/srs.h */
	SECRET_END,      /* that was all: use what came, forget what was */
	SECRET_KIND_COUNT
};
struct msg_secret {
	uint8_t kind;
	struct str name; /* the file's, for messages; <= 1024 */
};

struct msg_sign {
	struct str key; /* 32 octets: which key (tls/tls.h) */
	uint8_t alg;    /* enum tls_sign_alg */
	struct str tbs; /* what is to be signed; <= 512 */
};

/* An exchange begins. */
struct msg_sasl_start {
	struct str service;   /* "smtp" "imap" "pop"; <= 8 */
	struct str mech;      /* <= 32 */
	bool has_initial;
	struct str initial;   /* <= 12288 */
	bool tls;
	uint16_t listener;    /* index in the configuration */
	struct str peer;      /* text of the address; <= 64 */
	struct str prefix;    /* 16 octets that failures are counted by (tally_key); empty: local */
	struct str external;  /* identity of a verified client certificate, or empty; <= 512 */
	struct str exporter, endpoint, unique; /* channel bindings, each <= 64 */
	struct str user_prompt, pass_prompt; /* of LOGIN, as the dialect has them; <= 256 */
};

enum sasl_verdict {
	SASL_V_CHALLENGE,  /* text: what to send, base64 to be put on */
	SASL_V_OK,         /* account: who it is now; text: a last message for the client or empty */
	SASL_V_FAIL,       /* wrong name or password */
	SASL_V_MALFORMED,  /* not a message of this mechanism (501) */
	SASL_V_BADMECH,    /* not known or switched off (504) */
	SASL_V_WEAK,       /* the account cannot use this mechanism (534) */
	SASL_V_TEMPFAIL,   /* 454 */
	SASL_V_TOO_SOON,   /* all was right, but the last login was too short a time ago */
	SASL_V_COUNT
};
struct msg_sasl {
	uint8_t verdict;
	struct str text;    /* <= 12288 */
	struct str account; /* with OK: the login address, folded; <= 512 */
	struct str authzid; /* with OK: as asked for, or empty; <= 512 */
	struct str why;     /* for history and log, no secret in it; <= 256 */
	uint64_t ticket_ms; /* with OK: when it was made */
	struct str ticket;  /* with OK: 32 octets (ipc/pass.h) that lead into the mail of `account`,
	                     * for IPC_ENTER; or empty: there is no way in */
};

/* What is asked for at the web address that the configuration names: no URL comes from auth. */
enum fetch_what { FETCH_INTROSPECT, FETCH_WHAT_COUNT };
struct msg_fetch {
	uint8_t what;
	struct str form; /* application/x-www-form-urlencoded; <= 32 KiB */
};
struct msg_fetched {
	uint16_t status;  /* of HTTP, or 0: it did not come to an answer */
	struct str body;  /* <= 256 KiB */
	struct str error; /* with status 0; <= 256 */
};

/* gssapi asks auth. */
struct msg_account {
	bool pop;        /* this is a login over POP3 */
	uint32_t delay;  /* ... and the one before must be so many seconds ago */
	struct str name; /* a folded address that has shown who it is; <= 511 */
};
enum account_verdict { ACCOUNT_NONE, ACCOUNT_LETS_IN, ACCOUNT_TOO_SOON, ACCOUNT_VERDICT_COUNT };

void msg_secret_put(struct buf *b, const struct msg_secret *m);
bool msg_secret_get(struct str body, struct msg_secret *ret);
void msg_sign_put(struct buf *b, const struct msg_sign *m);
bool msg_sign_get(struct str body, struct msg_sign *ret);
void msg_sasl_start_put(struct buf *b, const struct msg_sasl_start *m);
bool msg_sasl_start_get(struct str body, struct msg_sasl_start *ret);
void msg_sasl_put(struct buf *b, const struct msg_sasl *m);
bool msg_sasl_get(struct str body, struct msg_sasl *ret);
void msg_fetch_put(struct buf *b, const struct msg_fetch *m);
bool msg_fetch_get(struct str body, struct msg_fetch *ret);
void msg_fetched_put(struct buf *b, const struct msg_fetched *m);
bool msg_fetched_get(struct str body, struct msg_fetched *ret);
void msg_account_put(struct buf *b, const struct msg_account *m);
bool msg_account_get(struct str body, struct msg_account *ret);
