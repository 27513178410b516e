/*
 * track: where a conversation by SMTP or LMTP stands, from what was sent and what came back. Pure.
 *
 * Commands that wait for their reply stand in a queue, so that pipelined replies find theirs; LMTP's
 * replies after the dot are one per recipient that was accepted (RFC 2033 4.2).
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"
#include "smtp/answer.h"
#include "talk/typed.h"

#include <stdbool.h>
#include <stdint.h>

#define TRACK_SENT_MAX 1024u /* commands without an answer */
#define TRACK_RCPTS_KEPT 1000u /* recipients kept for /redo */

/* What a reply may belong to, beyond the verbs: */
enum track_kind {
	TRACK_COMMAND,
	TRACK_GREETING,
	TRACK_DOT,         /* the letter, or BDAT's chunk */
	TRACK_AUTH_ANSWER, /* what was said to a 334 */
};

struct track_sent {
	enum track_kind kind;
	enum typed_verb verb;
	bool last;        /* BDAT LAST */
	struct str what;  /* the address of MAIL and RCPT; owned */
};

enum track_phase {
	TRACK_COMMANDS,
	TRACK_DATA,   /* 354 came: lines of a letter */
	TRACK_AUTH,   /* 334 came: an answer to it */
	TRACK_TURNED, /* ATRN was accepted (RFC 2645): what comes are commands, and replies are typed */
};

enum track_got {
	TRACK_MORE,    /* more lines belong to the reply */
	TRACK_REPLY,   /* t->answer is whole, t->done says what it answers */
	TRACK_STRANGE, /* no reply line */
	TRACK_ENDLESS, /* the reply does not end (told once) */
	TRACK_NOISE,   /* a line of a reply that does not end, again */
	TRACK_ASKED,   /* turned: a line of the other side's, which is a client now */
};

struct track {
	bool lmtp, tls;
	bool hello, extended; /* EHLO, HELO or LHLO was accepted; which knows extensions */
	bool authenticated;
	bool mail;            /* MAIL was accepted */
	unsigned rcpts;       /* accepted in this transaction */
	unsigned dots;        /* LMTP: replies still due for the letter */
	enum track_phase phase;
	unsigned due;         /* turned: replies that the other side waits for */
	bool letter;          /* turned: 354 was typed, and a letter comes */
	unsigned auth_nth;    /* answers given in this exchange */
	char auth_mech[32];
	char greeted_as[256]; /* the first word of the greeting */
	bool quitting;        /* QUIT was sent, or 221 or 421 came */
	bool greeted, endless;
	bool fresh;           /* the last line ended a reply */
	struct caps caps;
	struct answer answer;
	struct track_sent queue[TRACK_SENT_MAX];
	size_t first, n;
	struct track_sent done;
	/* the envelope, as it was accepted or refused, for /redo */
	struct buf from_line, rcpt_lines; /* lines parted by \n */
	unsigned rcpt_lines_n;
	/* for the exit status */
	int first_wrong;      /* an enum client_exit */
	unsigned rcpts_good;
	bool temporary;
	int hello_wrong;      /* EHLO was refused, and HELO has not yet worked */
};

void track_init(struct track *t, bool lmtp);
void track_done(struct track *t);
void track_secured(struct track *t); /* RFC 3207 4.2: everything is forgotten */
bool track_waits(const struct track *t); /* a reply is awaited */
bool track_holds(const struct track *t); /* ... and decides how the next line is read */
/* False: too many commands without an answer. */
bool track_sent(struct track *t, enum track_kind kind, struct str line);
enum track_got track_line(struct track *t, struct str line);
/* Warnings for a command that is about to go, one per line of out. */
void track_warn(const struct track *t, const struct typed *typed, struct buf *out);
/* What the reply that is whole teaches, one per line of out. */
void track_teach(const struct track *t, struct buf *out);
void track_prompt(const struct track *t, struct buf *out);
const char *track_step(const struct track_sent *s); /* "mail", "rcpt", "dot", ...; NULL: none */
int track_status(const struct track *t, bool temp_exit);
