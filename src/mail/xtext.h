/* xtext: octets as printable ASCII without "+" and "=" (RFC 3461 4), and the form of RFC 6533 3 for addresses
 * in UTF-8. */
#pragma once

#include "base/buf.h"
#include "base/str.h"

#include <stdbool.h>

/* At least one octet. */
bool xtext_valid(struct str s);
/* Appends the octets that xtext stands for; false (out as before) when it is none. */
bool xtext_decode(struct buf *out, struct str s);
/* Appends an address in UTF-8 as utf-8-addr-xtext: "\x{FC}" for u umlaut. Needs valid UTF-8. */
void xtext_utf8_put(struct buf *out, struct str address);
/* Appends what utf-8-addr-xtext or utf-8-addr-unitext stands for; false (out as before) when it is
 * neither. */
bool xtext_utf8_decode(struct buf *out, struct str s);
