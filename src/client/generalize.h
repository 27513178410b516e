/*
 * generalize: a line that a server said as a POSIX extended regular expression that matches what it
 * will say the next time: dates, times, queue and session ids, challenges and the addresses of
 * clients become patterns; the rest stays as it is, escaped. Pure.
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"

/* Appends the pattern, which matches line. Octets that a conversation file cannot hold become ".". */
void generalize(struct buf *out, struct str line);
