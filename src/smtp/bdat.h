/*
 * bdat: the argument of BDAT and the counting of its octets (RFC 3030 section 2).
 *
 * A size that can be read is always obeyed, even when the command is refused: its octets are
 * the peer's data and must never be read as commands.
 */
#pragma once

#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

struct bdat {
	uint64_t size; /* of this chunk */
	uint64_t left; /* octets still to come */
	bool last;
};

enum bdat_verdict {
	BDAT_GOOD,
	BDAT_BAD,     /* the size is known, what follows it is not LAST */
	BDAT_UNKNOWN  /* no size, or one that no counter holds: nobody knows where it ends */
};

enum bdat_verdict bdat_parse(struct str arg, struct bdat *ret);
/* The octets of this chunk at the start of *in, taken off it. */
struct str bdat_take(struct bdat *b, struct str *in);
