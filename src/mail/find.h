/*
 * find: looks for words in a letter that streams in (SEARCH TEXT, BODY and HEADER of RFC 9051
 * 6.4.4): header fields decoded (RFC 2047), bodies by their transfer encoding and charset, every
 * text part and the letters in a letter. One pass answers several questions.
 *
 * Memory is bounded; the letter may come in any split, and feeding may stop when all is known.
 */
#pragma once

#include "base/str.h"
#include "mail/charset.h"

#include <stdbool.h>
#include <stddef.h>

#define FIND_MAX 32 /* questions of one pass */

enum find_where {
	FIND_TEXT,   /* header or body */
	FIND_BODY,   /* neither the letter's own header nor those inside */
	FIND_HEADER, /* fields of the letter's own header with this name; an empty needle: is there one? */
};
struct find_ask {
	enum find_where where;
	struct str field;            /* FIND_HEADER; borrowed until find_free() */
	const struct needle *needle; /* borrowed too */
};

struct find;
/* n <= FIND_MAX */
struct find *find_new(const struct charsets *cs, const struct find_ask *asks, size_t n);
struct find *find_free(struct find *f); /* NULL is fine; returns NULL */
bool find_feed(struct find *f, struct str octets); /* true: all is known, feed no more */
void find_end(struct find *f);                     /* the letter is over: the rest is not there */
/* asks[i]; final once find_feed() said true, or after find_end(). */
bool find_found(const struct find *f, size_t i);
