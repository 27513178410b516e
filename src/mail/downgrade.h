/*
 * downgrade: a letter as a server can take it that knows no 8-bit octets (RFC 6152 3), or no lines of
 * more than 998 octets: bodies of parts become quoted-printable (text) or base64, and the fields that
 * say so follow. Everything else stays as it is, octet by octet. Pure.
 *
 * A letter without MIME is declared as text/plain in an unknown charset (RFC 1428). What cannot be done
 * without harm is not done: 8-bit octets in headers, parts below multipart/signed (RFC 1847 2.1), parts
 * whose encoding is another already. Only of a letter that is enclosed in a report and is so, its header
 * stays (text/rfc822-headers), so that the report arrives.
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"

#include <stdbool.h>

enum downgrade {
	DOWNGRADE_OK,
	DOWNGRADE_HEADER,   /* 8-bit octets in a header */
	DOWNGRADE_SIGNED,   /* it would break a signature */
	DOWNGRADE_ENCODED,  /* a part says that it is encoded, and holds such octets all the same */
	DOWNGRADE_TOO_MANY, /* parts, or out has failed */
	DOWNGRADE_VERDICTS
};
extern const char *const downgrade_text[DOWNGRADE_VERDICTS]; /* why not, in words */

/* eight: no octet above 127 and no NUL in out; lines: none of more than 998 octets in a body. */
enum downgrade downgrade_letter(struct str letter, bool eight, bool lines, struct buf *out);
