/* show_priv: what the files of the screen share. */
#pragma once

#include "client/show.h"

/* The octets of the character at the beginning of s (RFC 3629 4); 0: it is none. */
size_t show_character(struct str s, uint32_t *ret);
/* Does it change the order or the place of what stands beside it, or cannot be seen? */
bool show_is_hidden(uint32_t v);
/* What a reply means, in a line or two; false: nothing is to be said of it. */
bool show_meaning(enum show_explain when, const struct event *e, struct buf *out);
/* Lines of explanation. */
void show_note(const struct show *s, struct buf *out, struct str text);
/* --decode-auth: what the base64 of an exchange says, secrets left out (show_auth.c). */
void show_auth_sent(struct show *s, struct buf *out, const struct event *e);
void show_auth_came(struct show *s, struct buf *out, const struct event *e);
