/* text_priv: the checks every reply text must pass, from a file or from the configuration. */
#pragma once

#include "dialect/dialect.h"

/* A template: valid UTF-8, no control octet but TAB, known variables. NULL, or what is wrong. */
const char *dialect_template_check(struct str text);
/* A whole reply text: code, lines (parted by LF) of at most SMTP_REPLY_LINE_MAX octets, and
 * the class guard of its situation. NULL, or what is wrong. */
const char *dialect_reply_check(enum smtp_situation s, struct str text);
/* Copies text into the wording's own storage; "\n" of the notation becomes a line feed. */
struct str dialect_text_keep(struct smtp_wording *w, struct str text, bool notation);
