/*
 * charset: text of any charset as UTF-8, and searching in it without regard to case.
 *
 * A process opens the usual charsets once, before it gives up its right to open files; from then on
 * conversions come out of memory. Charsets of one octet per character become a table of 128
 * characters; the others keep an iconv(3) descriptor open, so that another of the same kind finds
 * its module loaded. UTF-8, US-ASCII and Latin-1 need nothing. struct charsets never changes once it is
 * made; NULL knows those three.
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHARSET_NAME_MAX 40

struct charsets;
struct charsets *charsets_open(void);
struct charsets *charsets_close(struct charsets *cs); /* NULL is fine; returns NULL */
/* Is this charset known? For SEARCH CHARSET (NO [BADCHARSET]) and [UNKNOWN-CTE]. */
bool charset_known(const struct charsets *cs, struct str name);

/* A conversion in progress. What is no text in its charset comes out as U+FFFD. */
struct charset;
/* NULL: the charset is not known. An empty name is US-ASCII; octets above 0x7f in US-ASCII are
 * taken for UTF-8 where they are, else for U+FFFD. */
struct charset *charset_new(const struct charsets *cs, struct str name);
struct charset *charset_free(struct charset *c); /* NULL is fine; returns NULL */
/* Any split. Valid UTF-8 is appended; an incomplete character waits for the next call. */
void charset_feed(struct charset *c, struct str in, struct buf *out);
void charset_end(struct charset *c, struct buf *out); /* and it may be used again */

/* Whole texts. False: the charset is not known; out is as before. */
bool charset_to_utf8(const struct charsets *cs, struct str name, struct str in, struct buf *out);

/* UTF-8 folded as i;unicode-casemap wants it (RFC 5051): titlecase, decomposed. Two texts are equal
 * without regard to case when their folded forms are the same octets; the order of the octets is
 * the order of SORT. What is no UTF-8 is dropped. */
void charset_fold(struct str utf8, struct buf *out);

/* --- searching --- */

#define NEEDLE_MAX 1024 /* octets, folded */

/* What is looked for: folded once. It does not change and may be shared by searchers. */
struct needle;
struct needle *needle_new(struct str utf8); /* NULL: too long, or no UTF-8. Empty: always found */
struct needle *needle_free(struct needle *n);

/* One text that is fed in pieces, in any split. */
struct searcher {
	const struct needle *needle;
	bool found;
	/* private */
	uint32_t tail;            /* octets in back: the end of what was fed, folded */
	uint32_t part;            /* octets of a character that is not complete */
	char partial[4];
	char back[NEEDLE_MAX];
};
void searcher_init(struct searcher *s, const struct needle *n); /* also: another text begins */
bool searcher_feed(struct searcher *s, struct str utf8);        /* found, now or before */

/* Does the text hold the needle? */
bool needle_in(const struct needle *n, struct str utf8);
