/*
 * letter: a letter while it is being typed: the lines behind 354, kept until the dot, with the
 * commands that begin with a tilde, as mail(1) has them. Pure.
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>

#define LETTER_MAX (64u << 20) /* octets typed and read in; larger ones go by /send FILE */

struct letter {
	struct buf text; /* lines with CRLF, dots not doubled */
	unsigned lines;
	unsigned attached;
};

void letter_init(struct letter *l);
void letter_done(struct letter *l);
void letter_reset(struct letter *l);

enum letter_line {
	LETTER_KEPT,     /* a line of it */
	LETTER_END,      /* a dot by itself */
	LETTER_DOT_BLANK, /* ". ": looks like the end and is not */
	LETTER_EDIT, LETTER_READ, LETTER_ATTACH, LETTER_HEADERS, LETTER_QUIT, LETTER_PRINT, LETTER_HELP,
	LETTER_UNKNOWN,  /* "~x" */
	LETTER_FULL,
};
/* plain: no tildes, and ". " is text like any other (a pipe, --strict-typing). arg: what stands
 * behind ~r and ~a; a view of the line. */
enum letter_line letter_typed(struct letter *l, struct str line, bool plain, struct str *ret_arg);
void letter_put_line(struct letter *l, struct str line);
/* Takes any text: LF, CRLF and CR become CRLF, the last line gets its end. False: it is too large. */
bool letter_put_text(struct letter *l, struct str text);
/* Replaces what there is. */
bool letter_set(struct letter *l, struct str text);
/* The value of a field of the header, unfolded, trimmed; "" when there is none. */
void letter_field(const struct letter *l, struct str name, struct buf *ret);
/* Puts or replaces a field at the top; makes an empty line behind the header when there is none. */
bool letter_field_set(struct letter *l, struct str name, struct str value);
/* Does the text begin with a header? */
bool letter_has_header(const struct letter *l);
/* As it goes over the wire: dots doubled (RFC 5321 4.5.2), and the dot at the end. */
void letter_stuff(struct str text, struct buf *out);
/* Of a line that is sent by itself: ".x" becomes "..x". */
bool letter_needs_dot(struct str line);
