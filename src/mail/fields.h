/*
 * fields: tells the octets of some header fields from all the others while a letter arrives.
 *
 * What is header is decided as scan.h decides it: a first line that is no field is body already,
 * else everything before the first empty line is looked at, so that a field behind a damaged line
 * is found too. A line that begins with a blank belongs to the field before it. Feed the octets
 * in any split; each comes back exactly once and in order, with the index of the name whose field
 * it belongs to (name, colon, line ends and all), or FIELDS_OTHER. At most FIELDS_HOLD octets are
 * held back until their line shows what it is.
 */
#pragma once

#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>

#define FIELDS_HOLD 64
#define FIELDS_OTHER (-1)

struct fields {
	const char *const *names; /* lower case, shorter than FIELDS_HOLD; ends with NULL */
	/* private */
	int state, shape, which;
	bool any; /* a field was seen */
	char hold[FIELDS_HOLD];
	size_t held;
};

typedef void fields_fn(void *arg, int which, struct str octets);

void fields_init(struct fields *f, const char *const *names);
void fields_feed(struct fields *f, struct str chunk, fields_fn *fn, void *arg);
void fields_end(struct fields *f, fields_fn *fn, void *arg);
bool fields_over(const struct fields *f); /* the header has ended: all that follows is OTHER */
