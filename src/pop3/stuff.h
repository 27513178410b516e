/*
 * stuff: a letter as the lines of a POP3 answer (RFC 1939 3), in any pieces.
 *
 * A line that begins with a dot gets one more; a bare LF becomes CRLF, so that no client sees a
 * line where none was stuffed. All zeroes is no start: stuff_init().
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"

#include <stdbool.h>

struct stuff {
	bool line_start; /* the next octet is the first of a line */
	bool after_cr;   /* the last octet was CR */
};
void stuff_init(struct stuff *x);
/* At most twice as many octets come out. */
void stuff_feed(struct stuff *x, struct str in, struct buf *out);
/* The line end that may be missing, and the dot. */
void stuff_end(struct stuff *x, struct buf *out);
