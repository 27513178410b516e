/*
 * client: the sending side of SMTP (RFC 5321) and LMTP (RFC 2033) without I/O: octets in, octets
 * out. It knows no terminal, no clock and no socket; a process may have thousands of them.
 *
 * The host gives an order (smtp_client_go, _letter, _command, _rset, _quit) and then asks again and
 * again what is to be done (smtp_client_next), until the order is over:
 *
 *   SEND    send these octets
 *   READ    nothing to do before the server has spoken: smtp_client_feed(), or smtp_client_closed()
 *   REPLY   for the host to show or keep: the server's answer to `step`
 *   NOTE    likewise: something odd, or a decision, in a sentence
 *   RESULT  likewise: what became of recipient `rcpt`, for good
 *   TLS     make the handshake now; then smtp_client_secured()
 *   AUTH    a login is due: smtp_client_auth() with an exchange, smtp_client_auth_remote(), or
 *           smtp_client_auth_none(); `challenge`: of a remote exchange, the server has said `octets`:
 *           smtp_client_auth_say() or smtp_client_auth_cancel()
 *   DATA    the next piece of the letter: smtp_client_data(); `begin`: from its beginning
 *   READY   the order is over: all is well; the next order
 *   FAILED  the order is over: smtp_client_trouble(); another order may follow (QUIT, RSET, ...)
 *   CLOSED  the order is over, and so is the connection: smtp_client_trouble()
 *
 * Decisions hang on codes only. Commands and replies are never mismatched: each reply belongs to
 * the oldest command without one; a reply that nobody asked for is a NOTE, 421 ends it anywhere.
 * What the server may make us hold is capped (a line, an answer, the lines of EHLO).
 *
 * Views in an event live until the next call on the same session. One owner.
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"
#include "sasl/client.h"
#include "smtp/answer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SMTP_CLIENT_LINE_MAX (20u << 10) /* octets kept of one line; SASL needs 16384 and some */
#define SMTP_CLIENT_FLIGHT_MAX 200u      /* commands without an answer when pipelining */
#define SMTP_CLIENT_STRAY_MAX 50u        /* replies that nobody asked for; more end the session */

/* Where the session is, and what a reply answers. */
enum smtp_client_step {
	SMTP_STEP_GREETING, SMTP_STEP_HELLO, SMTP_STEP_STARTTLS, SMTP_STEP_XCLIENT, SMTP_STEP_AUTH,
	SMTP_STEP_MAIL, SMTP_STEP_RCPT,
	SMTP_STEP_DATA, /* DATA, and BDAT without LAST */
	SMTP_STEP_DOT,  /* the end of the letter, BDAT LAST too */
	SMTP_STEP_RSET, SMTP_STEP_QUIT, SMTP_STEP_COMMAND /* of smtp_client_command() */,
	SMTP_STEP_COUNT
};
extern const char *const smtp_step_name[SMTP_STEP_COUNT]; /* "greeting", ..., "command" */

enum smtp_client_hello {
	SMTP_HELLO_AUTO, /* EHLO; when that is refused for good, HELO */
	SMTP_HELLO_EHLO, SMTP_HELLO_HELO, SMTP_HELLO_LHLO, SMTP_HELLO_NONE
};
enum smtp_client_tls { SMTP_TLS_MAY, SMTP_TLS_MUST, SMTP_TLS_NEVER };

struct smtp_client_conf {
	enum smtp_client_hello hello;
	struct str name;         /* what we call ourselves */
	enum smtp_client_tls tls;
	bool secured;            /* TLS is there before the greeting */
	bool lmtp;               /* an answer for each recipient behind the letter; LHLO by AUTO */
	bool auth;               /* ask the host for a login (AUTH) */
	bool auth_force;         /* even when it is not offered */
	bool no_initial;         /* AUTH PLAIN, and the first message only when asked for */
	struct str xclient;      /* "NAME=... ADDR=..." as it is sent, when XCLIENT is offered; or empty */
	bool pipeline;           /* several commands at a time, where PIPELINING is offered */
	bool pipeline_force;     /* ... or not */
	bool mailmax;            /* no more transactions than LIMITS says: SMTP_TROUBLE_SPENT */
	uint64_t max_rcpt;       /* recipients of one transaction; 0: as LIMITS says, else all */
};

/* What an envelope asks for and the server does not offer. */
enum smtp_lacks {
	SMTP_LACKS_8BITMIME = 1u << 0, SMTP_LACKS_BINARYMIME = 1u << 1, SMTP_LACKS_SMTPUTF8 = 1u << 2,
	SMTP_LACKS_SIZE = 1u << 3 /* it is larger than may be */, SMTP_LACKS_REQUIRETLS = 1u << 4,
	/* Those below do not keep a letter from being sent; their parameters are left out. */
	SMTP_LACKS_CHUNKING = 1u << 5, SMTP_LACKS_DSN = 1u << 6, SMTP_LACKS_DELIVERBY = 1u << 7,
	SMTP_LACKS_FUTURERELEASE = 1u << 8, SMTP_LACKS_MT_PRIORITY = 1u << 9, SMTP_LACKS_XVERP = 1u << 10,
	SMTP_LACKS_AUTH = 1u << 11,
};
#define SMTP_LACKS_FATAL 0x1fu

enum smtp_fate {
	SMTP_FATE_OPEN,     /* nothing is known yet */
	SMTP_FATE_ACCEPTED, /* RCPT was; the letter has not been taken yet */
	SMTP_FATE_SENT,     /* the server has taken it */
	SMTP_FATE_REFUSED,  /* by `code` at `step` */
	SMTP_FATE_UNKNOWN,  /* the connection was lost behind the letter: it may be there (RFC 1047) */
	SMTP_FATE_UNSENT,   /* the session ended before */
};

struct smtp_client_rcpt {
	struct str addr;     /* without brackets */
	struct str notify, orcpt; /* of DSN: "SUCCESS,FAILURE"; "rfc822;joe@example.com" before xtext */
	struct str params;   /* more, as they are */
	/* results */
	enum smtp_fate fate;
	enum smtp_client_step step;
	int code;
	char enhanced[16];
	/* private */
	bool later, told;
};

enum smtp_client_body { SMTP_BODY_UNSAID, SMTP_BODY_7BIT, SMTP_BODY_8BIT, SMTP_BODY_BINARY };

/* Borrowed until the order is over. Empty: not sent. */
struct smtp_client_envelope {
	struct str from;           /* without brackets; empty: <> */
	struct smtp_client_rcpt *rcpts;
	size_t n_rcpts;
	uint64_t size;             /* octets; 0: not told */
	enum smtp_client_body body;
	bool utf8, requiretls, verp;
	bool chunking;             /* BDAT; each piece of smtp_client_data() is one chunk */
	bool as_is;                /* bare CR and LF are sent as they stand; else they become CRLF */
	struct str ret, envid;     /* of DSN: "FULL"; before xtext */
	struct str by;             /* "120;R" */
	struct str hold_for, hold_until; /* "3600"; "2026-11-22T07:30:00Z" */
	struct str priority;       /* "-3" */
	struct str auth;           /* before xtext; "<>" for nobody */
	bool xtext;                /* envid, auth and orcpt are in xtext already */
	struct str params;         /* more, as they are */
	unsigned anyway;           /* enum smtp_lacks: sent though it is not offered */
};

enum smtp_trouble {
	SMTP_TROUBLE_NONE,
	SMTP_TROUBLE_GREETING,     /* 4xx or 5xx */
	SMTP_TROUBLE_HELLO,
	SMTP_TROUBLE_TLS_MISSING,  /* MUST, and not offered */
	SMTP_TROUBLE_TLS_REFUSED,  /* MUST, offered and refused */
	SMTP_TROUBLE_INJECTED,     /* octets in clear between the answer to STARTTLS and TLS */
	SMTP_TROUBLE_XCLIENT,
	SMTP_TROUBLE_AUTH_MISSING, /* no login is offered */
	SMTP_TROUBLE_AUTH_NONE,    /* smtp_client_auth_none() */
	SMTP_TROUBLE_AUTH,         /* refused */
	SMTP_TROUBLE_AUTH_PROOF,   /* a challenge was wrong, or the server did not prove itself; in why */
	SMTP_TROUBLE_LACKS,        /* smtp_client_lacks() */
	SMTP_TROUBLE_ADDRESS,      /* an address or parameter that must not be sent; in why */
	SMTP_TROUBLE_MAIL,
	SMTP_TROUBLE_RCPT,         /* every recipient was refused */
	SMTP_TROUBLE_DATA,         /* DATA or a chunk was refused */
	SMTP_TROUBLE_LETTER,       /* refused at its end for some or all recipients */
	SMTP_TROUBLE_COMMAND,      /* RSET was refused */
	SMTP_TROUBLE_CLOSED,       /* by the peer */
	SMTP_TROUBLE_SHUTDOWN,     /* 421 */
	SMTP_TROUBLE_LOST,         /* by the peer behind the end mark: nobody knows (RFC 1047) */
	SMTP_TROUBLE_SPENT,        /* MAILMAX: the rest goes over another connection */
	SMTP_TROUBLE_NOT_SMTP,     /* what greets is no SMTP server */
	SMTP_TROUBLE_ENDLESS,      /* a reply without end, or rubbish */
	SMTP_TROUBLE_COUNT
};
extern const char *const smtp_trouble_text[SMTP_TROUBLE_COUNT]; /* a sentence each */

enum smtp_client_todo {
	SMTP_CLIENT_SEND, SMTP_CLIENT_READ, SMTP_CLIENT_REPLY, SMTP_CLIENT_NOTE, SMTP_CLIENT_RESULT,
	SMTP_CLIENT_TLS, SMTP_CLIENT_AUTH, SMTP_CLIENT_DATA,
	SMTP_CLIENT_READY, SMTP_CLIENT_FAILED, SMTP_CLIENT_CLOSED
};

struct smtp_client_event {
	enum smtp_client_step step;
	struct str octets;   /* SEND: whole lines with CRLF, or a piece of the letter */
	struct str masked;   /* SEND: one line to be shown instead; p NULL: nothing is secret */
	bool content;        /* SEND: of the letter */
	const struct answer *answer; /* REPLY; RESULT: what decided, or NULL */
	size_t rcpt;         /* RESULT, and REPLY to RCPT: which; SIZE_MAX: none */
	struct str text;     /* NOTE */
	bool warn;           /* NOTE: a warning */
	bool begin;          /* DATA */
	bool challenge;      /* AUTH: of an exchange that is under way */
};

struct smtp_client;
/* conf is copied, its texts as well. NULL: xclient or name hold control octets. */
struct smtp_client *smtp_client_new(const struct smtp_client_conf *conf);
struct smtp_client *smtp_client_free(struct smtp_client *c); /* NULL is fine; returns NULL */

/* --- orders: only where none is under way --- */

/* Goes on until this step is over: GREETING, HELLO (capabilities are known), STARTTLS (and the EHLO
 * behind it), XCLIENT, AUTH; with a letter that was stopped: MAIL, RCPT, DOT. Steps that are not due
 * (no login wanted, TLS already there) are over at once. A step that has failed is not tried again,
 * except AUTH; without TLS that MUST be there is no way to the steps behind it. */
void smtp_client_go(struct smtp_client *c, enum smtp_client_step until);
/* One letter, in as many transactions as it takes. until: DOT, or MAIL or RCPT of the first
 * transaction: then smtp_client_go() or smtp_client_rset(). First goes on to AUTH where it has to. */
void smtp_client_letter(struct smtp_client *c, const struct smtp_client_envelope *e,
    enum smtp_client_step until);
/* A line of the host's, without its end, and what is shown instead of it (p NULL: itself). READY when
 * the answer is there, whatever it says: smtp_client_answer(). A line with CR, LF or NUL in it is
 * FAILED. */
void smtp_client_command(struct smtp_client *c, struct str line, struct str masked);
void smtp_client_rset(struct smtp_client *c);
/* READY once 221 has come, or the peer has closed without it; an open letter is given up. */
void smtp_client_quit(struct smtp_client *c);

enum smtp_client_todo smtp_client_next(struct smtp_client *c, struct smtp_client_event *ret);

/* --- answers to what next() says --- */

void smtp_client_feed(struct smtp_client *c, struct str octets); /* any split; any time */
void smtp_client_closed(struct smtp_client *c);                  /* the peer has closed; any time */
void smtp_client_secured(struct smtp_client *c);
/* Takes sc over; mech: its name. Octets behind AUTH are base64 and masked. */
void smtp_client_auth(struct smtp_client *c, struct str mech, struct sasl_client *sc);
void smtp_client_auth_none(struct smtp_client *c);
void smtp_client_auth_none_why(struct smtp_client *c, struct str why); /* in smtp_client_why() */
/* The exchange is made elsewhere. initial: NULL: none. may_end: the server may say yes to this; before
 * that its yes is a lie. What is said is base64 and masked. */
void smtp_client_auth_remote(struct smtp_client *c, struct str mech, const struct str *initial,
    bool may_end);
void smtp_client_auth_say(struct smtp_client *c, struct str octets, bool may_end);
void smtp_client_auth_cancel(struct smtp_client *c, struct str why);
/* A piece of the letter, of any size; last: there is no more. */
void smtp_client_data(struct smtp_client *c, struct str piece, bool last);

/* --- what is known --- */

const struct caps *smtp_client_caps(const struct smtp_client *c);
bool smtp_client_esmtp(const struct smtp_client *c);   /* EHLO or LHLO was taken */
bool smtp_client_is_secured(const struct smtp_client *c);
bool smtp_client_is_spent(const struct smtp_client *c); /* no transaction can come any more: MAILMAX */
bool smtp_client_is_over(const struct smtp_client *c); /* no order can come any more, QUIT neither */
enum smtp_trouble smtp_client_trouble(const struct smtp_client *c); /* of the last order */
enum smtp_client_step smtp_client_step(const struct smtp_client *c); /* at which */
bool smtp_client_letter_begun(const struct smtp_client *c); /* the server has answered a MAIL of it */
bool smtp_client_letter_met(const struct smtp_client *c);   /* ... and said yes to it */
size_t smtp_client_accepted(const struct smtp_client *c); /* recipients, in its last transaction */
const char *smtp_client_why(const struct smtp_client *c); /* one sentence about the trouble; "" */
/* The answer that decided: of the trouble, else the last one; code 0: there was none. */
const struct answer *smtp_client_answer(const struct smtp_client *c);
/* What this envelope needs and the server does not offer: enum smtp_lacks. */
unsigned smtp_client_lacks(const struct smtp_client *c, const struct smtp_client_envelope *e);
/* How long one should wait for what it waits for, at least, in seconds (RFC 5321 4.5.3.2). */
unsigned smtp_client_patience(const struct smtp_client *c);
/* Octets that it holds, more or less (tests). */
size_t smtp_client_memory(const struct smtp_client *c);
