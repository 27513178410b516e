/* base64: RFC 4648 section 4, strict: no white space, right padding, no stray bits. */
#pragma once

#include "base/buf.h"
#include "base/str.h"

#include <stdbool.h>

void base64_enc(struct buf *out, struct str in);
/* Appends the octets to out; false (out as before) when in is not base64. */
bool base64_dec(struct buf *out, struct str in);
int base64_value(char c); /* 0 to 63; -1: not of the alphabet */
