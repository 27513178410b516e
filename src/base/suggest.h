/*
 * suggest: the name a writer may have meant. Offer every name there is; the best is the one
 * with the fewest changed, missing, added or swapped characters, if they are few enough, or
 * the one whose last dotted part is what was written.
 */
#pragma once

#include "base/str.h"

#define SUGGEST_MAX 64 /* octets; longer words have no suggestion */

struct suggest {
	struct str word;
	const char *best; /* borrowed from suggest_offer() */
	unsigned cost;
};

void suggest_init(struct suggest *s, struct str word);
void suggest_offer(struct suggest *s, const char *name);
const char *suggest_best(const struct suggest *s); /* or NULL */
/* Optimal string alignment distance; case does not count. Both at most SUGGEST_MAX octets. */
unsigned suggest_distance(struct str a, struct str b);
