/*
 * pop3: what a POP3 server says (RFC 1939, RFC 2449, RFC 3206, RFC 5034), taken apart without trust.
 * Pure. Views point into the line.
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

enum pop_status {
	POP_OK,        /* "+OK" */
	POP_ERR,       /* "-ERR" */
	POP_CHALLENGE, /* "+ ..." of AUTH */
	POP_STRANGE,   /* none of these */
};
struct pop_answer {
	enum pop_status status;
	struct str code; /* "IN-USE", "SYS/TEMP" of "[IN-USE] ..." (RFC 2449 8), or empty */
	struct str text; /* behind it, without line end; of what is strange: all of it */
};
void pop_answer_read(struct str line, struct pop_answer *ret);

/* The stamp for APOP in the text of a greeting: "<1896.697170952@dbc.mtview.ca.us>" (RFC 1939 7). */
bool pop_stamp(struct str text, struct str *ret);

/* What APOP sends: MD5 of the stamp and, right behind it, the password, in hexadecimal. */
void pop_apop_digest(struct str stamp, struct str secret, struct buf *out);

/* Do several lines and a dot follow when the answer to this command is +OK? */
bool pop_many_lines(struct str command);

/* "2 200" of LIST, "2 whqtswO00WBw418f9t5JxYwZ" of UIDL, "2 320" of STAT. */
bool pop_pair(struct str line, uint64_t *ret_number, struct str *ret_rest);

/*
 * The octets behind such a +OK (RFC 1939 3): without the dots that were put in, up to the line that is
 * one dot. In any split; a line may end in LF alone.
 */
struct pop_dot {
	int state;
	bool ended;
};
/* Takes octets off *in up to the end; fn gets them in pieces. True: the end was there. */
bool pop_dot_feed(struct pop_dot *d, struct str *in, void (*fn)(void *arg, struct str piece), void *arg);
