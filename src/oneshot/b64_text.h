/*
 * b64_text: base64 as people have it: with line breaks in it, or with something missing; and the
 * answers of PLAIN, LOGIN and CRAM-MD5. Pure.
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"

#include <stdbool.h>

/* Appends the octets. White space is passed over. False with a sentence in err that says which octet
 * is wrong; note: what was put up with. */
bool b64_dec(struct str in, struct buf *out, struct buf *note, struct buf *err);
/* RFC 4616: is it authzid NUL user NUL password? */
bool b64_plain_parts(struct str raw, struct str *authzid, struct str *user, struct str *password);
void b64_plain(struct str authzid, struct str user, struct str password, struct buf *out);
/* RFC 2195 2: the answer, in base64. */
bool b64_cram(struct str user, struct str password, struct str challenge, struct buf *out);
