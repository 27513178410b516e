/* utf: characters of UTF-8, one at a time, and runs of ASCII, many at a time. */
#pragma once

#include "base/buf.h"
#include "base/str.h"

#include <stdint.h>

#define UTF_NONE 0xfffdu /* the character that stands for what is none */

/* Octets of the character at the start of s (RFC 3629): 0 where s ends inside it, -1 where there is
 * none. s is not empty. */
int utf_next(struct str s, uint32_t *ret);
void utf_put(struct buf *out, uint32_t c);
size_t utf_write(char o[4], uint32_t c); /* returns how many octets */
/* How many octets at the start of s are below 0x80. */
size_t utf_ascii(struct str s);
