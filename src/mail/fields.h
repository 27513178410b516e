/*
 * fields: tells the octets of some header fields from all the others while a letter arrives.
 *
 * What is header is decided as scan.h decides it: a first line that is no field is body already,
 * else everything before the first empty line is looked at, so that a field behind a damaged line
 * is found too. A line that begins with a blank belongs to the field before it; lines that are
 * neither field nor folded belong to the field before them too, when a field comes before the next
 * empty line. Feed the octets in any split; each comes back exactly once and in order, with the
 * index of the name whose field it belongs to (name, colon, line ends and all), or FIELDS_OTHER.
 * At most FIELDS_DOUBT octets are held back until their line shows what it is; where that is not
 * enough, `unclear` is set, and what was told may be wrong.
 */
#pragma once

#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>

#define FIELDS_HOLD 64     /* of a name, with the blanks behind it */
#define FIELDS_DOUBT 8192u /* of lines behind a field that are none */
#define FIELDS_OTHER (-1)

struct fields {
	const char *const *names; /* lower case, shorter than FIELDS_HOLD; 32 at most, then NULL */
	unsigned damaged; /* bit i: lines that are no field were told as names[i] */
	bool unclear;
	/* private */
	int state, shape, which;
	int after;         /* whose field ended before the line at hand */
	bool any;          /* a field was seen */
	size_t held, line; /* octets of hold; where its last line begins */
	char hold[FIELDS_DOUBT];
};

typedef void fields_fn(void *arg, int which, struct str octets);

void fields_init(struct fields *f, const char *const *names);
void fields_feed(struct fields *f, struct str chunk, fields_fn *fn, void *arg);
void fields_end(struct fields *f, fields_fn *fn, void *arg);
bool fields_over(const struct fields *f); /* the header has ended: all that follows is OTHER */
