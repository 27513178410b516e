/*
 * name: what a mailbox may be called, and how IMAP writes it.
 *
 * Inside, a name is UTF-8 in NFC with '/' between its components. IMAP4rev1 writes modified UTF-7
 * (RFC 3501 5.1.3), IMAP4rev2 and UTF8=ACCEPT write UTF-8; either with the separator that is
 * configured. Refused: an empty component, "." and "..", a leading separator or '~', control
 * characters, invalid or over-encoded UTF-7, invalid UTF-8, the character '/' where it is not the
 * separator, a component over NAME_COMPONENT_MAX octets, more than NAME_LEVELS_MAX levels, a name
 * over ACCESS_NAME_MAX octets, and one longer than the store can keep.
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"

#include <stdbool.h>

#define NAME_COMPONENT_MAX 255
#define NAME_LEVELS_MAX 32
#define NAME_STORED_MAX 254 /* octets; the store's MAILBOX_NAME_STORED_MAX */

/* From the wire: NULL, or what is wrong with it, for NO [CANNOT]. utf8: it is UTF-8, else modified
 * UTF-7 (octets above 0x7f that are valid UTF-8 are taken as such). INBOX in any case, and as first
 * component, becomes INBOX. One trailing separator is taken off where `trailing` (CREATE). */
const char *name_from_wire(
    struct str wire, char separator, bool utf8, bool trailing, struct buf *out);
/* To the wire, not quoted. A name from a time with another separator may hold the one that is in
 * use now: there stands '/' then, so that no two names look alike. */
void name_to_wire(struct str name, char separator, bool utf8, struct buf *out);
/* The rules above, of a name inside: for the store, which believes nobody. NULL or what is wrong. */
const char *name_check(struct str name);
/* Does a name (inside) match a pattern of LIST (wire form converted by name_pattern_from_wire)?
 * '*' any, '%' any but '/'. INBOX matches in any case. Linear in pattern * name. */
bool name_matches(struct str name, struct str pattern);
/* A pattern from the wire: as name_from_wire, but wildcards stand and little is refused. */
bool name_pattern_from_wire(struct str wire, char separator, bool utf8, struct buf *out);
