/*
 * report: delivery status notifications: made (RFC 3461, 3464, 6522, 6533) and read.
 *
 * Pure. report_put() writes a whole letter (header and body, CRLF): multipart/report with words for
 * people, message/delivery-status (or message/global-delivery-status when an address needs UTF-8), and
 * the letter or its header (message/rfc822, text/rfc822-headers, message/global...). The boundary does
 * not occur in what is enclosed.
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Octets of a report; what is enclosed is cut to its header above it. Only what is said of hundreds
 * of recipients may be more. */
#define REPORT_MAX (1u << 20)

enum report_action {
	REPORT_FAILED, REPORT_DELAYED, REPORT_DELIVERED, REPORT_RELAYED, REPORT_EXPANDED, REPORT_ACTIONS
};

struct report_rcpt {
	enum report_action action;
	struct str final;      /* address as we had it */
	struct str orcpt;      /* "rfc822;joe@example.com" in xtext, as given, or empty */
	struct str status;     /* "5.1.1" */
	struct str mta;        /* the host that said so, or empty: we did */
	int code;              /* of its reply, or 0 */
	struct str text;       /* of its reply, or our words */
	int64_t last_attempt;  /* Unix seconds, or 0 */
	int64_t will_retry_until; /* delayed: Unix seconds, or 0 */
};
struct report {
	struct str host;       /* Reporting-MTA */
	struct str to;         /* whom it goes to: the reverse-path of the letter */
	struct str postmaster; /* address for the From field */
	struct str qid, envid; /* envid: xtext, as given, or empty */
	struct str id;         /* makes the Message-ID and the boundary: unique, [0-9a-z] */
	int64_t now, arrived;  /* Unix seconds */
	int64_t held_until;    /* when it was first to be sent, or 0: at once */
	int zone;              /* minutes east of UTC */
	const struct report_rcpt *rcpt;
	size_t n;
	bool utf8;         /* the letter was SMTPUTF8: the global forms may be used */
	bool full;         /* RET=FULL: the letter whole */
	bool copy;         /* for the postmaster, of a failure: the letter is from <> */
	struct str letter; /* what is enclosed: header, or all when `full`; may be empty */
};
/* False: out has failed. */
bool report_put(struct buf *out, const struct report *r);

/*
 * Reading: the fields of RFC 3464 wherever they stand in a text, recipient by recipient; MIME is not
 * needed, so that a pasted report can be read. Pull: report_read() while true. Views point into the
 * text; nothing is allocated; of a line, its first 2048 octets count.
 */
struct report_reader {
	struct str rest;
};
struct report_seen { /* "rfc822;" and "dns;" are left out; all but final may be empty */
	struct str orcpt, final, action, status, mta;
	struct str diag;  /* behind "smtp;", with its folded lines as they stand */
	struct str last_attempt, retry_until; /* dates, as written */
};
void report_read_begin(struct report_reader *r, struct str text);
bool report_read(struct report_reader *r, struct report_seen *ret);
/* Is this line the field that begins what is said of a recipient? */
bool report_is_recipient(struct str line);
