/* unescape: octets as people write them: hexadecimal digits, or a text in quotes. Pure. */
#pragma once

#include "base/buf.h"
#include "base/str.h"

/* `0d 0a`, or `"QUIT\r\n"` with \r \n \t \0 \\ \" \xHH. NULL, or what is wrong with it. */
const char *octets_read(struct str text, struct buf *out);
