/*
 * talk: `pennypost talk`, a conversation by hand. One loop waits for the terminal and for the link;
 * what the server says appears at once, above the line that is being edited.
 *
 * This header is what modes (talk/mode.h) and local commands may use. All of it runs on the one
 * thread; nothing here returns while another call is under way but link_tls() and the hidden prompt,
 * which wait (a server that talks meanwhile is read afterwards).
 */
#pragma once

#include "base/buf.h"
#include "base/check.h"
#include "base/str.h"
#include "client/exit.h"
#include "client/link.h"
#include "client/options.h"
#include "talk/mode.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TALK_LINE_MAX (1u << 20)  /* octets of a typed line */
#define TALK_QUEUE_MAX (8u << 20) /* octets typed ahead; a pipe is not read beyond it */

struct editor;
struct history;
struct talk_auth;

struct talk_line {
	struct talk_line *next;
	bool entered; /* just now, by the editor */
	size_t len;
	char text[];
};

struct talk_queue {
	struct talk_line *first, **last;
	size_t n, octets;
};

/* A question that the next line answers. */
typedef void talk_answer_fn(struct talk *t, struct str answer, void *arg);

struct talk {
	struct client_options *o;
	struct events *ev;     /* &o->events */
	struct link link;
	const struct mode *mode;
	void *state;           /* the mode's */
	bool connected;        /* the link is open, and the peer has not closed */
	bool greeted;          /* begin() was called */
	struct talk_auth *auth; /* an exchange is under way, or NULL */
	bool clear_ok;         /* "yes" was typed: this login may go in clear */
	bool login_tried;      /* what is typed from now on may be a password at the wrong place */
	bool no_local;         /* of a pipe: what is left was meant to be a letter */

	char *mx_host;         /* --mx: who it is in the end; owned */
	bool terminal;         /* somebody sits there */
	struct editor *editor; /* NULL: standard input is no terminal */
	struct history *history;
	struct talk_queue typed; /* typed ahead */
	struct talk_queue autos; /* what we do by ourselves; goes first */
	struct talk_queue edits; /* lines to be offered for editing, one by one */
	struct buf proposed;     /* what Enter alone sends */
	struct { /* a question is open */
		talk_answer_fn *fn;
		void *arg;
		struct buf text;
	} question;
	struct buf in;         /* of a pipe: what has no line end yet */
	bool input_ended;
	bool more;             /* lines came that were not read yet */
	bool in_piece;         /* of an over-long line */
	bool editing_for;      /* the line being edited came from `edits` */
	bool leaving;          /* talk_end() was called */
	int status;            /* an enum client_exit to leave with */
	bool failed;           /* status was decided by something that went wrong */
	unsigned interrupts;   /* ^C in a row */
	int64_t asked_us;      /* since when an answer is awaited; 0: none is */
	bool told_slow;
	int refused;           /* an enum client_exit: what the mode said when the connection ended */
	struct buf manual;     /* --print-manual: what was done, as commands of old */
	struct buf last_reply; /* for /explain */
	struct buf last_line;  /* for /fix */
	void *local;           /* what local commands remember (talk/local.c) */
};

/* --- to the server --- */

/* text and a line end; masked as in client/event.h, or STR_NULL. False: the link is dead, and the
 * session ends by itself. */
bool talk_send(struct talk *t, struct str text, struct str masked);
bool talk_send_octets(struct talk *t, struct str octets, struct str masked, bool content);
/* An answer is whole: the clock stops, the next line may go. Emits REPLY with these. code: SMTP's, or
 * 0 (text begins with OK, NO, +OK ...). step: of client/event.h, or NULL. Keeps the text for /explain. */
void talk_reply(struct talk *t, int code, struct str enhanced, struct str text, const char *step);
/* The handshake, now (the server has said yes to STARTTLS). Then mode->secured(). False: it failed,
 * was told, and the session ends. */
bool talk_tls(struct talk *t);
/* Ends the session when what is under way has been shown; the first status but CLIENT_OK counts. */
void talk_end(struct talk *t, int status);

/* --- lines we send by ourselves, each as if typed, in order, when waits() allows it --- */

void talk_auto(struct talk *t, const char *fmt, ...) PRINTF(2, 3);
void talk_auto_clear(struct talk *t); /* what is left of them will not happen */
/* Offers text, and says so: Enter on an empty line sends it, any other line forgets it. Nothing
 * happens without a terminal. */
void talk_propose(struct talk *t, struct str text);
/* Puts text where somebody types, to be edited; several come one after the other. Without a terminal
 * they are sent as they are. */
void talk_edit(struct talk *t, struct str text);

/* --- asking --- */

bool talk_can_ask(const struct talk *t); /* there is a terminal */
/* The next line goes to fn. */
void talk_ask(struct talk *t, talk_answer_fn *fn, void *arg, const char *fmt, ...) PRINTF(4, 5);
bool talk_is_yes(struct str answer); /* "y", "yes" in any case */
/* Waits for a line with echo; false: ^C, the end, or no terminal. */
bool talk_read(struct talk *t, const char *prompt, struct buf *ret);
/* The name (--user, or asked for) and the secret (--password-file ..., or a hidden prompt) of the
 * login. False: it was told why not. Wipe secret. */
bool talk_credentials(struct talk *t, struct str mech, struct str user, struct buf *name, struct buf *secret);

/* What speaks against sending a password now, as a question: others could read it (no TLS), or it
 * might go to another server than the one that was named (its certificate was not verified). NULL:
 * nothing does, or the options allow it. */
const char *talk_secret_risk(const struct talk *t);

/* --- SASL (talk/auth.c): the same for every protocol; base64 is done here --- */

enum talk_auth_status {
	TALK_AUTH_SEND,   /* out is to be sent, shown as masked */
	TALK_AUTH_READY,  /* the exchange has nothing more to say: the server's word decides */
	TALK_AUTH_CANCEL, /* told why; send "*" where an exchange is open (out is "*") */
};
/* Chooses (mech empty: the best of offered), asks, makes t->auth. Warns, and asks or refuses, when a
 * password would go in clear: then it comes back by mode->auth() after a yes. False: nothing begins.
 * offered: blank-separated; empty: nothing is known (--force-auth). */
bool talk_auth_begin(struct talk *t, struct str offered, struct str mech, struct str user);
const char *talk_auth_mech(const struct talk *t);
/* The initial response, base64 ("=" when empty): SEND, or READY when there is none (the server
 * challenges first). */
enum talk_auth_status talk_auth_initial(struct talk *t, struct buf *out, struct buf *masked);
/* To a challenge, base64 as it came: SEND (out may be empty: an empty line) or CANCEL. */
enum talk_auth_status talk_auth_step(
    struct talk *t, struct str challenge, struct buf *out, struct buf *masked);
/* The server's final word (final: octets that came with it, base64, or empty). Frees t->auth. False:
 * the server said yes and could not prove that it knows the secret (SCRAM): told. */
bool talk_auth_end(struct talk *t, bool accepted, struct str final);

/* --- local commands (talk/local.c) --- */

/* A line behind "/" or ^]: finds the command, of the mode first, or says which name is near. */
void talk_local(struct talk *t, struct str line);
/* Prints a line of a local command's result: text of ours, escaped; not part of the conversation. */
void talk_print(struct talk *t, const char *fmt, ...) PRINTF(2, 3);
