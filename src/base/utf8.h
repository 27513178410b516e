/* utf8: RFC 3629 checks: no overlong form, no surrogate, nothing above U+10FFFF. */
#pragma once

#include "base/buf.h"
#include "base/str.h"

#include <stdbool.h>

bool utf8_valid(struct str s);
bool utf8_is_ascii(struct str s); /* no octet above 0x7f */
/* Appends s for a terminal or a log line: control characters, DEL, C1, U+2028 to U+202E and U+2066
 * to U+2069 (they would show what follows in another order) and octets that are not UTF-8 come out
 * as \xNN; backslash as \\. */
void utf8_escape(struct buf *out, struct str s);
/* The same of what should have been escaped before: a backslash stays one. */
void utf8_escape_again(struct buf *out, struct str s);
