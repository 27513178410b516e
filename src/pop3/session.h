/*
 * session: the server's side of one POP3 conversation (RFC 1939, 2449, 5034, 6856), without I/O.
 *
 * Shaped as imap/session.h. After login the session loads its drop (the INBOX): number, size, uid
 * of each letter, 16 octets each, so that the numbers stay what they are until it ends. Deletions
 * happen at QUIT, before its +OK, and only then. UIDL is "uidvalidity.uid" and never changes.
 *
 *   POP3_MORE    all input is eaten; feed more when it comes
 *   POP3_ASK     one question is open (session->ask, session->ask_no): no input is eaten until
 *                pop3_session_answer() brings the answer with that number; then step again
 *   POP3_FLUSH   more than POP3_OUT_HIGH octets are in out: step again when the peer has read
 *                most of them. out never gets more than POP3_OUT_OVER octets longer than that
 *   POP3_UPGRADE start TLS when out is flushed, then pop3_session_secured(); input behind it: close
 *   POP3_END     flush out and close
 *
 * A session that was idle for too long ends without a word and without deletions (RFC 1939 3).
 *
 * Idle memory: the struct, and after login the private part with 16 octets a letter; while letters
 * are fetched in order also one window of ACCESS_WINDOW octets, which holds those that are next.
 */
#pragma once

#include "access/access.h"
#include "base/buf.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

#define POP3_LINE_MAX 4096     /* of a command; a SASL response: POP3_AUTH_RESPONSE_MAX */
#define POP3_AUTH_RESPONSE_MAX 12288
#define POP3_AUTH_STEPS_MAX 16
#define POP3_LETTERS_MAX (16u << 20)
#define POP3_OUT_HIGH (256u << 10)
#define POP3_OUT_OVER (64u << 10)
#define POP3_USER_MAX 512

struct pop3_wording; /* dialect */

struct pop3_conf {
	const struct pop3_wording *wording;
	struct str host;
	bool stls, stls_refuse, tls_required, auth_cleartext;
	struct str mechs, mechs_tls;
	bool apop;                   /* off by default: needs recoverable secrets */
	bool bare_lf;
	uint64_t bad_commands;       /* UINT64_MAX: no limit, as below */
	uint64_t idle_seconds, conn_seconds;
	uint64_t login_delay;        /* is shown; the host keeps it (POP3_AUTH_TOO_SOON) */
	uint64_t expire_days;        /* UINT64_MAX: never */
	struct str implementation;
};
struct pop3_clock { int64_t now, wall; };

enum pop3_ask {
	POP3_ASK_NONE,
	POP3_ASK_TLS,    /* answer.status: ACCESS_OK, or refused */
	POP3_ASK_AUTH,   /* session->auth: a step of SASL; answer.verdict */
	POP3_ASK_READ,   /* session->read: answer.status and octets (access_head first) */
	POP3_ASK_CHANGE, /* session->change: answer.status */
};
struct pop3_auth { /* USER/PASS: mech PLAIN; APOP: mech "APOP", octets: "stamp\0name\0digest" */
	bool begin, pass;
	char mech[32];
	bool has_initial;
	struct str octets;
	unsigned steps;
};
enum pop3_auth_verdict {
	POP3_AUTH_CHALLENGE, POP3_AUTH_OK, POP3_AUTH_FAIL, POP3_AUTH_MALFORMED, POP3_AUTH_BADMECH,
	POP3_AUTH_WEAK, POP3_AUTH_TEMPFAIL,
	POP3_AUTH_TOO_SOON, /* conf.login_delay has not passed since the last login */
};
struct pop3_answer {
	enum access_status status;
	struct str octets;
	enum pop3_auth_verdict verdict;
	struct str challenge, user;
};
enum pop3_state { POP3_GREETING, POP3_STRANGER, POP3_TRANSACTION, POP3_UPDATE, POP3_CLOSED };

struct pop3_private;
struct pop3_session {
	const struct pop3_conf *conf;
	enum pop3_state state;
	enum pop3_ask ask;
	uint32_t ask_no;
	struct access_ask read;
	struct access_change change;
	struct pop3_auth *auth;
	bool tls;
	char *user;
	uint64_t stamp;              /* random, set by the host between init and greet; 0: no APOP */
	uint64_t commands, bad;
	int64_t opened, last_input;
	/* private: session_priv.h */
	struct pop3_private *priv;
	unsigned flags;
};
enum pop3_step { POP3_MORE, POP3_ASK, POP3_FLUSH, POP3_UPGRADE, POP3_END };

void pop3_session_init(struct pop3_session *s, const struct pop3_conf *conf, bool tls,
    const struct pop3_clock *clock);
void pop3_session_done(struct pop3_session *s);
/* The greeting; refuse: said as -ERR instead, and it ends. Empty: welcome. */
void pop3_session_greet(struct pop3_session *s, struct str refuse, const struct pop3_clock *clock,
    struct buf *out);
enum pop3_step pop3_session_step(struct pop3_session *s, struct str *in,
    const struct pop3_clock *clock, struct buf *out);
/* False: stale, dropped. Then step again, also without input. */
bool pop3_session_answer(struct pop3_session *s, uint32_t ask_no, const struct pop3_answer *a,
    const struct pop3_clock *clock, struct buf *out);
void pop3_session_secured(struct pop3_session *s, const struct pop3_clock *clock);
int64_t pop3_session_deadline(const struct pop3_session *s);
/* True: a deadline has passed and the session has ended. */
bool pop3_session_timeout(struct pop3_session *s, const struct pop3_clock *clock, struct buf *out);
/* The server stops: -ERR [SYS/TEMP], but not in the middle of an answer or of deletions. */
void pop3_session_shutdown(struct pop3_session *s, const struct pop3_clock *clock, struct buf *out);
