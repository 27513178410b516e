/*
 * match: POSIX extended regular expressions over octets that may be anything. A pattern that
 * regcomp() refuses says why; a subject that holds a NUL never matches.
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"

#include <stdbool.h>

enum match_result { MATCH_NO, MATCH_YES, MATCH_BAD_PATTERN };

/* The whole subject. ret_group, if not NULL, receives what group 1 matched (a view of the
 * subject; empty when there is no group or it took no part). */
enum match_result match_whole(struct str ere, struct str subject, struct str *ret_group);
/* A place in the subject. */
enum match_result match_part(struct str ere, struct str subject);
/* False, and why appended, when ere is no pattern. */
bool match_check(struct str ere, struct buf *why);
