/* name_priv: modified UTF-7 (RFC 3501 5.1.3), without the rules for mailbox names. */
#pragma once

#include "access/name.h"

/* Appends UTF-8. NULL, or what is wrong; then out may hold part of it. Octets above 0x7f are
 * passed on as they are. */
const char *utf7_decode(struct str in, struct buf *out);
/* Appends modified UTF-7; what is not UTF-8 comes out as U+FFFD. */
void utf7_encode(struct str in, struct buf *out);
