/*
 * bounce: the failures that a pasted text tells of, one after another.
 *
 * The text may be a report (RFC 3464: the fields of message/delivery-status are looked for in
 * the whole text, MIME is not needed), the free text of a bounce as Postfix, Exim, qmail,
 * Sendmail, Exchange and Gmail write it, or a transcript of a conversation. When there are
 * fields of a report, only they count, because the free text says the same again.
 *
 * Pull: bounce_begin(), then bounce_next() while true. All strings are views of the text, except
 * reply, which is a view of the reader and valid until the next call. Nothing is allocated;
 * each line is looked at a bounded number of times, and of a line only its first 2048 octets.
 */
#pragma once

#include "base/str.h"
#include "explain/explain.h"

#include <stdbool.h>
#include <stddef.h>

struct bounce_failure {
	struct str recipient; /* "user@example.com"; empty when the text does not say */
	struct str server;    /* the remote one, a name or an address; may be empty */
	struct str command;   /* "RCPT", "MAIL", "end of data", "connect"; may be empty */
	struct str action;    /* RFC 3464 2.3.3: "failed", "delayed", ...; may be empty */
	struct str status;    /* RFC 3464 2.3.4: "5.1.1"; may be empty */
	struct str reply;     /* what explain_line() takes, lines parted by LF; may be empty */
};

struct bounce {
	struct str rest;
	bool report;     /* it has the fields of RFC 3464 */
	bool codes_only; /* there are replies with codes: prose counts only where it must be one */
	bool coded;      /* what is collected begins with a reply code */
	bool said;       /* the reply or prose that belongs to the recipient is being collected */
	bool headed;     /* "<recipient>: prose" */
	bool access;     /* a line of IMAP or POP3 */
	struct bounce_failure open;
	struct str last_recipient;
	char last_code[3]; /* of the failure returned last */
	size_t reply_len;
	char reply[EXPLAIN_TEXT_MAX];
};

void bounce_begin(struct bounce *b, struct str text);
bool bounce_next(struct bounce *b, struct bounce_failure *ret);
/* True when the text is more than one line or one reply of several lines. */
bool bounce_looks_so(struct str text);
