/*
 * letters: a mail merge at home: parts and one row's words put together by the code that serves
 * XMRG (smtp/merge.h), one letter after the other in the same memory.
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LETTERS_PARTS_MAX 100         /* what servers take unless they were told otherwise */
#define LETTERS_BODY_MAX (256u << 20) /* octets of all parts */

struct letters;
/* The parts, CRLF at the ends of their lines. names: of the variables, as they stand in XDFN, those
 * with "*" left out. sec, zone: the date of all letters. NULL with a sentence in err. */
struct letters *letters_new(const struct str *parts, size_t n_parts, const struct str *names,
    size_t n_names, bool brackets, int64_t sec, int zone, struct buf *err);
struct letters *letters_free(struct letters *l);
void letters_from(struct letters *l, struct str from); /* borrowed; before the first letter */
/* The arguments of the row's XDFN, a line each. False with a clause in err. */
bool letters_make(struct letters *l, struct str to, struct str xdfn, struct buf *err);
/* Of the letter made last: its octets, piece by piece; views until the next one. */
size_t letters_pieces(const struct letters *l);
struct str letters_piece(const struct letters *l, size_t i);
/* Octets above 127 in it? */
bool letters_is_8bit(const struct letters *l);
