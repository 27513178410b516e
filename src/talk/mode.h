/*
 * mode: what talk knows about a protocol: a row of functions each. The loop (talk/loop.c) has the
 * terminal and the link; a mode says what goes out for a line that was typed, takes every line that
 * comes, and knows whether an answer is awaited.
 *
 * The order of things: greeting -> received(); whole -> begin(). Somebody types a line: it waits until
 * waits() allows it, then typed() says what to send, the loop asks the question there is, shows, sends,
 * and calls sent(). Lines come: received(), one by one, each with its end or as pieces.
 *
 * Any of these may print (event_note(), event_warn(), event_emit() of a REPLY to t->ev): the screen sees
 * to the line that is being edited. None waits for the server: what takes several steps is kept in
 * the state. Decisions hang on codes, never on texts.
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"
#include "client/options.h"

#include <stdbool.h>
#include <stddef.h>

struct talk;
struct words;

/* May the next line go? */
enum mode_wait {
	MODE_FREE,   /* nothing is awaited */
	MODE_ANSWER, /* an answer is awaited: the next line waits, unless --pipeline */
	MODE_HOLD,   /* the answer decides what comes next (DATA, STARTTLS, AUTH): always wait */
};

/* What becomes of a line that was typed. Zeroed with buffers ready; the loop frees it. */
struct mode_typed {
	struct buf send;     /* without its line end */
	struct buf masked;   /* what is shown, recorded instead; empty: the same as send */
	struct buf question; /* not empty: is asked first, "Send it in clear? (yes/no) " */
	bool octets;         /* send goes as it stands: no line end is added */
	bool content;        /* it is of a letter */
	bool nothing;        /* nothing goes: the mode has done what there was to do, or refused */
	bool changed;        /* send is not what was typed: the screen keeps both */
	bool secret;         /* never into the history */
};

/* A local command: typed behind ^] or "/". */
struct talk_command {
	const char *name; /* "caps"; NULL ends a table */
	const char *args; /* "[MECH] [USER]", or "" */
	const char *help; /* one line */
	void (*run)(struct talk *t, struct str args);
	bool offline;     /* makes sense without a connection */
};

struct mode {
	enum client_proto proto;
	const char *alpn;     /* or NULL */
	const char *service;  /* of SASL: "smtp", "imap", "pop", "sieve" */
	const char *starttls; /* "STARTTLS", "STLS", as somebody would type it; NULL: there is none */
	const char *quit;     /* "QUIT", "LOGOUT", as somebody would type it; NULL: just close */
	bool greets;          /* the server speaks first */
	const struct talk_command *commands; /* its own, looked at before those of all; or NULL */

	void *(*open)(struct talk *t);  /* the state, in t->state; again for each connection */
	void (*close)(void *state);
	/* The greeting has come (at once when !greets, and once for implicit TLS): what the options ask
	 * for by itself (--tls=must, --auth), by talk_auto(). */
	void (*begin)(struct talk *t);
	enum mode_wait (*waits)(struct talk *t);
	/* sure: the question was answered with yes (or no question can be asked and options allow it). */
	void (*typed)(struct talk *t, struct str line, bool sure, struct mode_typed *ret);
	void (*sent)(struct talk *t, struct str line, const struct mode_typed *typed);
	/* A line of the server with its end. piece: more of it comes (it is over-long); the rest comes
	 * with again = true. Octets of literals come as lines, too. */
	void (*received)(struct talk *t, struct str line, bool piece, bool again);
	/* Lines are content now (a letter, a literal, base64): "/" and "!" begin no local command, and
	 * nothing is kept in the history. May be NULL: never. */
	bool (*literal)(struct talk *t);
	/* There is something that would be lost with the program: a letter half typed. May be NULL. */
	bool (*holds)(struct talk *t);
	/* Behind a handshake: what was known is forgotten; propose the next step. */
	void (*secured)(struct talk *t);
	/* The connection has ended: was that to be expected (QUIT, 221, BYE, 421)? */
	bool (*ended)(struct talk *t);
	/* `auth` by itself, /auth: choose, ask (talk_auth_*), send. Either may be empty. */
	void (*auth)(struct talk *t, struct str mech, struct str user);
	void (*caps)(struct talk *t); /* /caps: prints the table, or asks the server for it */
	/* "smtp(ehlo,tls) mail:1 rcpt:2 > "; ASCII. data: "" behind it. */
	void (*prompt)(struct talk *t, struct buf *ret);
	void (*complete)(struct talk *t, struct words *w); /* verbs, parameters, what was advertised */
	/* An enum client_exit for what was refused so far; CLIENT_OK: nothing. */
	int (*status)(struct talk *t);
	/* ^C on a line: whatever is half done here (data mode stays). May be NULL. */
	void (*cancel)(struct talk *t);
	/* Somebody has pressed a key; whatever it is comes into the line. May be NULL. */
	void (*key)(struct talk *t);
	/* The command as telnet or s_client would get it, for --print-manual; NULL: as it was sent. */
	void (*manual)(struct talk *t, struct str line, struct buf *out);
};

/* One row per protocol; mode_of() finds it. PROTO_LMTP is a row of smtp.c. */
extern const struct mode mode_smtp, mode_lmtp, mode_raw;
extern const struct mode mode_imap, mode_pop3, mode_sieve; /* by imap.c, pop3.c, sieve.c */
const struct mode *mode_of(enum client_proto proto);
