/*
 * mailread: a client's conversation with a server that keeps mail (IMAP, POP3; ManageSieve as far
 * as the login), over a link that is connected. Blocking; every step is told as events; nothing is
 * printed here.
 *
 *   link_open(&l, &conf, &ev);              (and link_tls() for a port that begins with TLS)
 *   mailread_init(&m, &l, PROTO_IMAP, host);
 *   status = mailread_begin(&m, CLIENT_TLS_MAY);  greeting, capabilities, STARTTLS, them again
 *   status = mailread_login(&m, &login);    SASL, then LOGIN, USER and PASS, APOP
 *   ... mailread_select, _find, _wait, _fetch, _delete ...
 *   mailread_bye(&m); mailread_done(&m);
 *
 * All return an enum client_exit; m->why says what happened in one sentence, m->step where. The
 * steps of begin and login may be taken one by one (for `check`). What a server says is capped: an
 * answer's text in m->text, capabilities at MAILREAD_CAPS_MAX; letters go piecewise to a function.
 *
 * A password goes over a line without TLS only when login->allow_cleartext says so, and never by
 * LOGIN where the server says LOGINDISABLED (RFC 3501 6.2.3).
 */
#pragma once

#include "base/buf.h"
#include "client/imap.h"
#include "client/link.h"
#include "client/options.h"

#include <stdbool.h>
#include <stdint.h>

#define MAILREAD_CAPS_MAX 8192u
#define MAILREAD_TEXT_MAX 1024u
#define MAILREAD_ANSWER_MAX (8u << 20) /* octets of one answer, letters not counted */

struct mailread_login {
	struct str user, authzid, secret; /* octets; authzid may be empty */
	const char *mechs;      /* as --auth: "PLAIN,LOGIN", and "USER", "APOP"; NULL: the strongest */
	bool has_token, has_cert;
	bool allow_cleartext, no_initial_response;
};

struct mailread {
	struct link *link;
	struct events *ev;
	enum client_proto proto;
	const char *host;       /* the server's name, for SASL */
	/* What is known of it. */
	struct buf greeting;    /* its text */
	struct buf caps;        /* "IMAP4rev1 STARTTLS AUTH=PLAIN": as it came, parted by blanks; of POP3
	                         * and ManageSieve one a line: "SASL PLAIN LOGIN" */
	char mechs[512];        /* of SASL, upper case, parted by blanks */
	char stamp[256];        /* of APOP: "<1.2@host>", or "" */
	bool caps_known, login_disabled, logged_in, preauth;
	char mech[40];          /* how the login went: "SCRAM-SHA-256", "LOGIN", "USER", "APOP" */
	/* The last answer. */
	bool good;              /* OK, +OK */
	char code[64];          /* "AUTHENTICATIONFAILED", "IN-USE", or "" */
	struct buf text;        /* without code */
	const char *step;       /* "greeting", "starttls", "tls", "auth", "select", "find", ... */
	struct buf why;
	/* The mailbox. */
	uint64_t exists;
	bool has_idle;
	/* private */
	unsigned tag;
	bool saw_caps;          /* the last answer brought them */
	struct imap_reader reader;
	void (*untagged)(struct mailread *m, const struct imap_response *r);
	uint64_t found;
	uint64_t tried;         /* POP3: letters up to this one are not what is looked for */
	void (*letter)(void *arg, struct str piece);
	void *letter_arg;
	uint64_t letter_size;
};

void mailread_init(struct mailread *m, struct link *l, enum client_proto proto, const char *host);
void mailread_done(struct mailread *m);

/* --- the beginning --- */
int mailread_greet(struct mailread *m);    /* CLIENT_GREETING: BYE, -ERR, or nothing of the kind */
int mailread_caps(struct mailread *m);     /* asks; a server of POP3 need not know CAPA */
/* Is there a capability of this name (IMAP: all of it, "AUTH=PLAIN"; else its first word)? Any case. */
bool mailread_has(const struct mailread *m, const char *name);
/* STARTTLS or STLS and the handshake, then capabilities again (RFC 3501 6.2.1). */
int mailread_starttls(struct mailread *m); /* CLIENT_TLS_REFUSED, CLIENT_TLS */
/* All of it. tls: CLIENT_TLS_MAY takes STARTTLS where it is offered. */
int mailread_begin(struct mailread *m, enum client_tls tls);

/* --- the login --- */
int mailread_login(struct mailread *m, const struct mailread_login *login); /* CLIENT_AUTH */

/* --- letters (IMAP, POP3) --- */
int mailread_select(struct mailread *m, struct str mailbox); /* POP3: nothing but STAT */
/* The letter whose header field `name` holds `value`; *ret_id 0: there is none (yet). id: IMAP's UID,
 * POP3's number. POP3 looks at the newest 200 letters only, each once. */
int mailread_find(struct mailread *m, struct str name, struct str value, uint64_t *ret_id);
/* Until something may have come, or ms have passed: IDLE where there is, else NOOP; POP3 begins a
 * session of its own, so its caller connects again. */
int mailread_wait(struct mailread *m, int64_t ms);
/* The letter's octets, in pieces. ret_size: how many there were. */
int mailread_fetch(struct mailread *m, uint64_t id, void (*fn)(void *arg, struct str piece), void *arg,
    uint64_t *ret_size);
int mailread_delete(struct mailread *m, uint64_t id); /* IMAP: and UID EXPUNGE; POP3: with QUIT */
int mailread_bye(struct mailread *m);                 /* LOGOUT, QUIT */
