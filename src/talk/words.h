/* words: what Tab offers. Pure. */
#pragma once

#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>

#define WORDS_MAX 256u

struct words {
	struct str line;  /* what stands left of the cursor */
	struct str word;  /* its end that is being completed; words_start() changes it */
	char *found[WORDS_MAX];
	size_t n;
};

/* word: the last run without blanks. */
void words_init(struct words *w, struct str line);
void words_done(struct words *w);
/* Complete what begins at this offset of line instead. */
void words_start(struct words *w, size_t offset);
/* Keeps it when it begins with the word, in any case, and is not there yet; it is given in the case
 * that the word was begun with: "mail f" -> "mail from:". */
void words_offer(struct words *w, struct str text);
/* The same, case kept as it is: mailboxes, files. */
void words_offer_as_is(struct words *w, struct str text);
void words_offer_list(struct words *w, const char *const *list); /* ends with NULL */
/* What all that was found has in common beyond the word (of found[0]); 0: nothing. */
size_t words_common(const struct words *w);
