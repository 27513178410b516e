/*
 * dot: the body that follows DATA, octets in, octets of the letter out (RFC 5321 4.5.2).
 *
 * The end is a line that is exactly "." (R-DOT); from other lines a leading dot is taken away.
 * In a CRLF session only CRLF ends a line, so neither LF nor CR can smuggle an end mark; in an
 * LF session (R-EOL) LF and CRLF both do, and the octets that come out have CRLF. What comes
 * out are views into the input, or into constants where an octet had to be held back.
 */
#pragma once

#include "base/str.h"

#include <stdbool.h>

enum dot_state {
	DOT_BOL,       /* at the start of a line */
	DOT_LINE,      /* inside a line */
	DOT_LINE_CR,   /* inside a line, behind a CR */
	DOT_DOT,       /* a line began with a dot; it is held back, and so is what follows: */
	DOT_DOT_CR,    /* CR */
	DOT_DOT_SP,    /* blank */
	DOT_DOT_SP_CR, /* blank, CR */
	DOT_STATE_COUNT
};

struct dot {
	enum dot_state state;
	bool lf;        /* LF session */
	bool space_end; /* ". " ends too (dot_space=end) */
};

enum dot_step {
	DOT_MORE,  /* all input is eaten */
	DOT_CHUNK, /* *ret_chunk holds octets of the letter */
	DOT_END    /* the end mark was eaten; *in stands behind it */
};

void dot_init(struct dot *d, bool lf, bool space_end);
enum dot_step dot_feed(struct dot *d, struct str *in, struct str *ret_chunk);
