/*
 * fit: what keeps a server from taking a letter as it is, and the letter as it can take it. Pure.
 */
#pragma once

#include "mail/downgrade.h"
#include "roles/relay/scan.h"

enum fit {
	FIT_EIGHT = 1,  /* no octet above 127, no NUL */
	FIT_LINES = 2,  /* parts with long lines are encoded */
	FIT_WRAP = 4,   /* long lines are broken; never with others */
	FIT_REFUSE = 8, /* long lines, which are not to be sent */
};
struct fit_server {
	bool eight, binary; /* it offers 8BITMIME; BINARYMIME with CHUNKING */
	bool utf8; /* the header may have 8-bit octets: the letter goes by SMTPUTF8, or not */
	const char *long_lines; /* relay.long_lines */
};
unsigned fit_need(const struct letter_scan *s, const struct fit_server *server);
/* need: of EIGHT, LINES and WRAP; out is empty. */
enum downgrade fit_make(struct str letter, unsigned need, struct buf *out);
