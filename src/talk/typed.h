/*
 * typed: a line that somebody typed, read as a command of SMTP or LMTP: which one it is, its
 * address, and the form in which it is sent when it was written loosely. Pure; all views are of the
 * line.
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

enum typed_verb {
	TYPED_OTHER,
	TYPED_EHLO,
	TYPED_HELO,
	TYPED_LHLO,
	TYPED_MAIL,
	TYPED_RCPT,
	TYPED_DATA,
	TYPED_BDAT,
	TYPED_AUTH,
	TYPED_STARTTLS,
	TYPED_RSET,
	TYPED_QUIT,
	TYPED_NOOP,
	TYPED_HELP,
	TYPED_VRFY,
	TYPED_EXPN,
	TYPED_ATRN,
	TYPED_VERBS
};
extern const char *const typed_verb_name[TYPED_VERBS]; /* "EHLO"; TYPED_OTHER: "" */

struct typed {
	enum typed_verb verb;
	struct str word;    /* as it was typed */
	struct str rest;    /* behind it, trimmed */
	struct str address; /* MAIL, RCPT: without brackets; p NULL: there is none to be made out */
	struct str params;  /* behind it */
	bool bracketed;
};

void typed_read(struct str line, struct typed *ret);
/* The line as it is sent: `mail from a@b` becomes MAIL FROM:<a@b>, `ehlo` alone gets the name.
 * False: as it was typed, and out gets that. */
bool typed_make(struct str line, struct str name, struct buf *out);
/* AUTH with an initial response: appends what is shown instead. False: nothing is secret. */
bool typed_mask(struct str line, struct buf *out);
/* The same for what is typed behind a 334: nth answer (from 0) of an exchange of mech. */
void typed_mask_answer(struct str mech, unsigned nth, struct str line, struct buf *out);
/* BDAT: its size and whether it is the last; false: not well-formed. */
bool typed_bdat(const struct typed *t, uint64_t *ret_size, bool *ret_last);
