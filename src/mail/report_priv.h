/* report, inside: its two parts for people and for programs, each behind the empty line of its header. */
#pragma once

#include "mail/report.h"

/* Appends text whose control characters become blanks and whose octets that are no UTF-8, or with
 * `ascii` those above 0x7f, become '?'. */
void report_clean(struct buf *out, struct str text, bool ascii);
void report_words_put(struct buf *out, const struct report *r);
void report_status_put(struct buf *out, const struct report *r, bool global);
/* The value of a field of the letter, unfolded and decoded; empty when there is none. */
void report_field_put(struct buf *out, struct str header, struct str name);
/* The enhanced code that stood in the reply behind its code, and that its text has lost; or empty. One
 * that only fills a gap is not told as if it had been said. */
struct str report_said(const struct report_rcpt *q);
const char *report_subject(const struct report *r);
