/*
 * author: the addresses of a letter's From field (RFC 5322 3.6.2, 4.4), taken out so that somebody
 * can say whether they belong to the one who hands the letter in.
 *
 * Every reading counts: what stands in angle brackets, what stands alone, and a word with an '@'
 * in front of the brackets that is not quoted. Comments and blanks are taken off. What cannot be
 * taken apart, or names nobody, is AUTHOR_BAD; there is nothing lenient here, because a reader at
 * the other end may see another address than we do.
 */
#pragma once

#include "base/str.h"

#include <stdbool.h>

#define AUTHOR_TEXT_MAX (16u << 10) /* octets of From fields */
#define AUTHOR_ADDRS_MAX 20

enum author_verdict {
	AUTHOR_OK,
	AUTHOR_NONE,   /* there is no From field */
	AUTHOR_BAD,    /* it cannot be read, or is too much */
	AUTHOR_REFUSED /* the one who was asked said no */
};

/* False: no more. addr is good during the call. */
typedef bool author_fn(void *arg, struct str addr);
/* text: From fields as they stand in a header, one behind the other, names and line ends too. */
enum author_verdict author_each(struct str text, author_fn *fn, void *arg);
