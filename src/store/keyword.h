/*
 * keyword: the names of a mailbox's keywords, in the record "K": version (1), number, and for each
 * a string; the first is that of bit 16. They are compared without regard to case (RFC 9051 2.3.2)
 * and stay for ever, so that a bit never changes its meaning.
 */
#pragma once

#include "store/resolve.h"

#define KEYWORDS_KEY STR("K")
#define KEYWORDS_OCTETS_MAX 8192u /* of the record */
_Static_assert(48 * (4 + 128) + 2 <= KEYWORDS_OCTETS_MAX, "all of them fit");

struct keywords {
	unsigned n;
	struct buf octets; /* strings, one after another */
	bool changed;
};
/* Walks a record: for each name true and *ret, then false. begin: false when it is not one. */
bool keywords_begin(struct str value, struct wire *ret, unsigned *ret_n);
/* 0 (none: it is empty) or -errno; end with keywords_done(). */
int keywords_read(struct keywords *k, const struct view *v, const struct store_dom *d);
void keywords_done(struct keywords *k);
/* The bit of a name (16...); -ENOENT, or, when it is to be made, -E2BIG or -EINVAL. */
int keywords_bit(struct keywords *k, struct str name, bool make);
struct str keywords_name(const struct keywords *k, unsigned bit); /* STR_NULL: it has none */
/* Puts the record if there are new ones; operations of the batch that this took. */
uint32_t keywords_put(struct buf *out, const struct keywords *k);
/* Is it a name that can be one? An atom, and no system flag. */
bool keyword_fits(struct str name);
