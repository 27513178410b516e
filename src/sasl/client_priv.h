/* What the files of the client's side share: an exchange, and how one kind of mechanism runs in it. */
#pragma once

#include "crypt/crypt.h"
#include "sasl/client.h"

struct sasl_client_library;

struct sasl_client_kind {
	bool begins;
	enum sasl_client_status (*begin)(struct sasl_client *c);
	enum sasl_client_status (*answer)(struct sasl_client *c, struct str challenge);
	bool (*open)(struct sasl_client *c, struct buf *err); /* NULL: nothing to open */
	void (*done)(struct sasl_client *c);                  /* may be NULL */
};

struct sasl_client {
	const struct sasl_mech *mech;
	const struct sasl_client_kind *kind;
	struct sasl_client_conf conf; /* strings are ours */
	unsigned state;               /* of the kind: 0 at first */
	bool begun;
	bool proves, proved;          /* shall the server prove itself, and has it? */
	struct buf out, why;
	const char *masked;
	/* SCRAM */
	struct buf first;             /* client-first-message-bare, then the AuthMessage */
	struct buf header;            /* gs2-header and what is bound */
	char nonce[48];
	unsigned char server_signature[CRYPT_DIGEST_MAX];
	struct sasl_client_library *library;
};

extern const struct sasl_client_kind sasl_client_plain, sasl_client_login, sasl_client_external;
extern const struct sasl_client_kind sasl_client_oauthbearer, sasl_client_xoauth2, sasl_client_cram;
extern const struct sasl_client_kind sasl_client_scram, sasl_client_cyrus, sasl_client_cyrus_later;

enum sasl_client_status sasl_client_send(struct sasl_client *c, const char *masked);
enum sasl_client_status sasl_client_fail(struct sasl_client *c, const char *fmt, ...) PRINTF(2, 3);
