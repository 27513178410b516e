/* text_priv: the checks every text must pass, from a file or from the configuration. */
#pragma once

#include "dialect/dialect.h"

/* A template: valid UTF-8, no control octet but TAB, known variables. NULL, or what is wrong. */
const char *dialect_template_check(struct str text);
/* A whole reply text: code, lines (parted by LF) of at most SMTP_REPLY_LINE_MAX octets, and
 * the class guard of its situation. NULL, or what is wrong. */
const char *dialect_reply_check(enum smtp_situation s, struct str text);
/* Copies text into the wording's own storage; "\n" of the notation becomes a line feed. */
struct str dialect_text_keep(struct smtp_wording *w, struct str text, bool notation);

/* IMAP's and POP3's words in the arena of w; false: no room. */
bool dialect_words_new(struct smtp_wording *w);
/* Checks and takes the value of a key. NULL, or what is wrong. */
const char *dialect_words_take(struct smtp_wording *w, enum dialect_access which, struct str key,
    struct str value);
/* A key that has no text yet, or NULL. */
const char *dialect_words_missing(const struct smtp_wording *w, enum dialect_access which);
