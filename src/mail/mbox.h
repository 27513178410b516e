/*
 * mbox: letters out of an mbox file. Pure: the caller shows it a view that begins with a letter
 * and grows; it says where the letter ends, and writes it as a letter is stored (CRLF lines,
 * quoting undone).
 *
 * A letter ends before a line "From sender date" (a From_ line), wherever that stands; files
 * whose first From_ line has no date are taken to have none, then a From_ line must follow an
 * empty line and precede a header field. The empty line in front of a From_ line, and one at
 * the end of the file, belong to the file and not to the letter.
 *
 * Content-Length (mboxcl, mboxcl2) is believed when exactly behind so many octets there is, but
 * for line ends, a From_ line or the end of the file. A body that holds From_ lines then is
 * taken for mboxcl2, which does not quote.
 *
 * Memory: the caller's view of one letter, up to `max` octets; a larger letter is passed over in
 * pieces. Every octet is looked at once, however the view grows.
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

#define MBOX_FROM_LINE_MAX 4096 /* a longer line is no From_ line */

enum mbox_format {
	MBOX_AUTO, /* as said above; ">From " is undone as in mboxrd */
	MBOX_RD,   /* any number of ">" in front of "From " is one too many; no Content-Length */
	MBOX_O,    /* only ">From " is quoted */
	MBOX_CL2,  /* nothing is quoted */
};

struct mbox_split {
	enum mbox_format format;
	uint64_t max; /* octets of a letter in the file */
	/* private */
	bool begun;    /* the first From_ line was seen */
	bool dateless; /* it had no date */
	bool passing;  /* a letter that is too large */
	bool no_length; /* the letter's Content-Length is none, or wrong */
	size_t seen;   /* octets of the view that are behind us */
	size_t text;   /* where the text begins, 0: not known yet */
	size_t body;   /* where the body begins, 0: not known yet */
	uint64_t length; /* Content-Length, while it may be right */
};

struct mbox_letter {
	struct str from_line; /* behind "From ", without the line end */
	struct str text;      /* header and body as they are in the file */
	bool quoted;          /* there may be ">From " to undo */
	bool quoted_once;     /* ... and only in front of "From " itself */
	size_t size;          /* octets of the view that are done with */
	uint64_t line;        /* MBOX_GARBAGE: number of the line at fault */
};

enum mbox_verdict {
	MBOX_MORE,    /* the same view and more behind it, please */
	MBOX_LETTER,
	MBOX_DROP,    /* `size` octets are passed over; go on behind them */
	MBOX_TOO_LARGE, /* the same, and the letter that was too large ends here */
	MBOX_END,     /* nothing is left */
	MBOX_GARBAGE, /* the first line is no From_ line */
};

void mbox_split_init(struct mbox_split *m, enum mbox_format format, uint64_t max);
/* eof: nothing comes behind the view. After every verdict but MBOX_MORE the next view begins
 * `size` octets further on. */
enum mbox_verdict mbox_split_next(struct mbox_split *m, struct str view, bool eof,
    struct mbox_letter *ret);

/* What a letter's own header says about it. */
enum { MBOX_SEEN = 1, MBOX_ANSWERED = 2, MBOX_FLAGGED = 4, MBOX_DELETED = 8, MBOX_DRAFT = 16 };
struct mbox_facts {
	uint32_t flags;      /* from Status and X-Status */
	uint64_t header_len; /* octets written that are header, the empty line not counted */
	bool has_date;
	int64_t date;        /* Unix time in the field Date */
	bool internal;       /* not a letter: a note of the program that owned the file */
};
/* Appends a letter as it is stored: lines end in CRLF, quoting is undone, Status and X-Status
 * are left out, and the last line has an end. */
void mbox_letter_put(struct buf *out, const struct mbox_letter *l, struct mbox_facts *ret);
/* The same for a letter in a file of its own: only the line ends. */
void mbox_file_put(struct buf *out, struct str text, struct mbox_facts *ret);
