/*
 * client: the client's side of SASL (RFC 4422) without I/O. PLAIN, LOGIN, EXTERNAL, OAUTHBEARER,
 * XOAUTH2, CRAM-MD5 and SCRAM (with -PLUS) are ours and need nothing loaded; DIGEST-MD5, NTLM and
 * GSSAPI come from Cyrus SASL, whose library is opened at their first use only.
 *
 * Messages are octets (no base64 here). The exchange says for each message it makes what a
 * transcript shows instead of it: "<user name, base64>", "<password hidden>".
 *
 * (sasl_client_new and sasl_client_step are names of Cyrus SASL; ours must not be called so.)
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"
#include "sasl/sasl.h"

#include <stdbool.h>

struct sasl_client_conf {
	const char *service, *host;    /* "smtp", "imap", "pop", "sieve"; the server's name */
	struct str user, authzid;      /* octets as given; authzid may be empty */
	struct str secret;             /* password, or token for OAUTHBEARER and XOAUTH2 */
	struct sasl_binding binding;   /* of TLS; empty without */
	uint16_t port;                 /* OAUTHBEARER names it */
	bool plus_missing;             /* there is TLS, and no -PLUS was offered (RFC 5802 6) */
};

enum sasl_client_status {
	SASL_CLIENT_SEND,  /* sasl_client_out() goes to the server; then its next challenge */
	SASL_CLIENT_DONE,  /* nothing more to send; the server's final word decides */
	SASL_CLIENT_FAILED, /* sasl_client_why(): a challenge that is wrong, a server that lies (SCRAM) */
};

struct sasl_client;
/* mech: one of sasl_mechs[], with -PLUS when it shall bind. NULL with a sentence in err. */
struct sasl_client *sasl_client_make(struct str mech, const struct sasl_client_conf *conf,
    struct buf *err);
struct sasl_client *sasl_client_free(struct sasl_client *c);
/* Is there an initial response (RFC 4422 5)? Then SASL_CLIENT_SEND. */
bool sasl_client_begins(const struct sasl_client *c);
enum sasl_client_status sasl_client_begin(struct sasl_client *c);
enum sasl_client_status sasl_client_answer(struct sasl_client *c, struct str challenge);
/* The server has said that all is well: did it prove itself, where the mechanism has it do so? */
bool sasl_client_end(struct sasl_client *c);
/* May it say so by now? Without changing anything. */
bool sasl_client_proved(const struct sasl_client *c);
/* Opens the library that DIGEST-MD5 and NTLM need now, for a process that can open nothing later; GSSAPI
 * is among what it has then only with `tickets`. */
void sasl_client_preload(bool tickets);
struct str sasl_client_out(const struct sasl_client *c);
struct str sasl_client_masked(const struct sasl_client *c); /* never empty */
const char *sasl_client_why(const struct sasl_client *c);
/* The best of `offered` (blank-separated): not weak, and in_clear only when `clear_ok` (TLS, or allowed).
 * wanted: the user's list, in its order, comma-separated, or NULL. NULL: none, with the reason in why. */
const struct sasl_mech *sasl_client_choose(struct str offered, const char *wanted, bool has_tls,
    bool clear_ok, bool has_token, bool has_cert, struct buf *why);
