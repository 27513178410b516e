/*
 * words: header values as people read them (RFC 2047), and what SORT and THREAD make of them
 * (RFC 5256, RFC 5957).
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"
#include "mail/charset.h"

#include <stdbool.h>

/* Appends a header value as UTF-8: unfolded, encoded words decoded (those of an unknown charset
 * as if they were UTF-8), blanks between two of them taken off; what is no UTF-8 becomes U+FFFD. */
void words_decode(const struct charsets *cs, struct str value, struct buf *out);
/* The base subject of a decoded subject (RFC 5256 2.1). ret_reply: it was a reply or a forward
 * (step 2.2 of THREAD); may be NULL. */
void words_base_subject(struct str subject, struct buf *out, bool *ret_reply);
