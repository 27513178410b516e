/*
 * learn: a dialect file made from a recorded conversation.
 *
 * Pure text work. It reads what people keep: telnet captures, with prose around them or not, and
 * transcripts whose lines begin with c: and s: in either case. A reply is a line of three digits;
 * what was said before it is the line above. What is different every time (names, addresses,
 * dates, queue ids) becomes a variable. A text may hold several conversations; one is learned.
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"

#define LEARN_TEXT_MAX (4u << 20)
#define LEARN_SESSIONS_MAX 32

struct learn_options {
	struct str name;   /* of the dialect */
	struct str source; /* where the text is from, for the label */
	unsigned session;  /* which one, from 1; 0: the one that teaches most */
};

/* Appends the dialect file to out and a line about each conversation to notes. False when there
 * is nothing to learn from, with a line in notes that says why. */
bool dialect_learn(struct str text, const struct learn_options *o, struct buf *out,
    struct buf *notes);
