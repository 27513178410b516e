/*
 * preview: the first words of a letter on one line (RFC 8970), out of a text part that is fed as it
 * stands in the letter.
 */
#pragma once

#include "mail/charset.h"
#include "mail/mime.h"

#define PREVIEW_CHARS 200
#define PREVIEW_INPUT_MAX (64u << 10) /* octets of a part that are looked at */

struct preview {
	const struct charsets *cs;
	struct charset *charset;
	struct mime_decoder decoder;
	size_t fed;
	bool html, blank, done;
	/* private: where in HTML */
	uint8_t state, word_len;
	char word[12];       /* a tag's name, or an entity */
	char skip[12];       /* the element whose text is passed over */
	unsigned chars;
	struct buf octets, utf8;
	size_t len;                  /* octets of text */
	char text[PREVIEW_CHARS * 4];
};
void preview_init(struct preview *p, const struct charsets *cs);
void preview_done(struct preview *p);
void preview_again(struct preview *p); /* for another letter */
/* A text part begins; what the parts before said stays. */
void preview_begin(struct preview *p, enum mime_encoding encoding, struct str charset, bool html);
/* False: no more is wanted. */
bool preview_feed(struct preview *p, struct str octets);
/* The part ends; p->text has p->len octets of UTF-8. */
void preview_end(struct preview *p);
