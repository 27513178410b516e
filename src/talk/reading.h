/*
 * reading: a letter as somebody reads it on a terminal: the fields that matter, decoded, what parts it
 * has, and its text as UTF-8. Pure; fed in any split. What comes out is capped and not yet escaped for
 * a terminal.
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"

#define READING_TEXT_MAX (256u << 10) /* octets of text that are kept */
#define READING_PARTS_MAX 50u

struct reading;
struct reading *reading_new(void);
struct reading *reading_free(struct reading *r); /* NULL is fine; returns NULL */
void reading_feed(struct reading *r, struct str octets);
/* cut: the letter is longer than what was fed. Appends lines parted by \n. */
void reading_end(struct reading *r, bool cut, struct buf *out);
