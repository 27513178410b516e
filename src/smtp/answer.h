/*
 * answer: a server's reply as a client reads it (RFC 5321 4.2, RFC 2034). Decisions hang on the code
 * only; the text is kept for people. Lines are fed as they come, without trust: other codes in the
 * middle of a reply, no text, no blank, LF alone, NUL, text before the first code, telnet's options in
 * front of it, replies that never end.
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

#define ANSWER_TEXT_MAX (64u << 10) /* kept of one answer; what is more is left out, and `cut` */
#define ANSWER_LINES_MAX 2000u      /* behind them it is ANSWER_ENDLESS */

enum answer_status {
	ANSWER_MORE,    /* "250-": more lines belong to it */
	ANSWER_DONE,
	ANSWER_STRANGE, /* no reply line: "HTTP/1.1 400", "+OK", rubbish; it is not kept */
	ANSWER_ENDLESS,
};

struct answer {
	int code;           /* 200..599; 0 before the first line */
	char enhanced[16];  /* "5.7.1" of the first line that has one (RFC 2034), or "" */
	unsigned lines;
	bool cut;
	bool mixed;         /* lines had different codes; the last one counts (RFC 5321 4.2.1) */
	struct buf text;    /* what stands behind the code, lines parted by \n, enhanced code included */
};

void answer_init(struct answer *a);
void answer_reset(struct answer *a);
void answer_done(struct answer *a);
/* line: with or without its end. */
enum answer_status answer_line(struct answer *a, struct str line);
/* First digit. */
bool answer_good(const struct answer *a);      /* 2 or 3 */
bool answer_temporary(const struct answer *a); /* 4 */

/* What a reply to EHLO says (RFC 5321 4.1.1.1). Keywords in any case, blanks around them trimmed;
 * "OK" and other lines that are no keyword are passed over. */
enum caps_bit {
	CAPS_8BITMIME, CAPS_PIPELINING, CAPS_SIZE, CAPS_STARTTLS, CAPS_AUTH, CAPS_DSN, CAPS_CHUNKING,
	CAPS_BINARYMIME, CAPS_SMTPUTF8, CAPS_ENHANCEDSTATUSCODES, CAPS_DELIVERBY, CAPS_ETRN, CAPS_ATRN,
	CAPS_TURN, CAPS_HELP, CAPS_VRFY, CAPS_EXPN, CAPS_REQUIRETLS, CAPS_FUTURERELEASE, CAPS_MT_PRIORITY,
	CAPS_LIMITS, CAPS_XCLIENT, CAPS_XFORWARD, CAPS_XVERP, CAPS_PRDR, CAPS_BURL, CAPS_NO_SOLICITING,
	CAPS_CHECKPOINT, CAPS_SUBMITTER, CAPS_XMRG, CAPS_COUNT
};
struct caps {
	uint32_t has;         /* 1u << enum caps_bit */
	uint64_t size;        /* RFC 1870; 0: no limit that is told */
	uint64_t rcptmax, mailmax; /* LIMITS (RFC 9422); 0: not told */
	char mechs[512];      /* AUTH and AUTH= together, upper case, each once, parted by blanks */
	struct buf lines;     /* every keyword line as it came, parted by \n, for tables */
	char greets[256];     /* the first word of the reply: what the server calls itself */
};
extern const struct caps_keyword {
	const char *name, *meaning; /* "PIPELINING", "several commands at a time (RFC 2920)" */
} caps_keywords[CAPS_COUNT];
void caps_init(struct caps *c);
void caps_done(struct caps *c);
void caps_read(struct caps *c, const struct answer *a); /* replaces what was there */
bool caps_have(const struct caps *c, enum caps_bit bit);
bool caps_mech(const struct caps *c, struct str mech); /* any case */
