/*
 * notify: who is told what of a letter (RFC 3461, RFC 2852): events of recipients become a report.
 *
 * Pure. The rules:
 * - NOTIFY decides; without it failures and delays are told. A report is from nobody and asks for none.
 * - A letter from nobody gets none. Its failures go to the postmaster when the configuration says so,
 *   but never those of a letter to the postmaster.
 * - No letter is enclosed whole but in the report of a failure (RFC 3461 4.3), and there when RET=FULL,
 *   or without RET when it is not large; never with REQUIRETLS (RFC 8689 5).
 * - A stranger's letter (not from a user of ours or a host we relay for) may bear a false
 *   reverse-path. What goes there is as little as can be: no delay and no success that NOTIFY did not
 *   ask for, never the letter whole, nothing about where an address of ours leads.
 */
#pragma once

#include "base/str.h"
#include "mail/report.h"
#include "queue/entry.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum notify_event {
	NOTIFY_NOTHING,
	NOTIFY_DELIVERED, /* it is in a mailbox here, or an LMTP server said so */
	NOTIFY_RELAYED,   /* another server has it, which knows nothing of DSN (JOB_SENT) */
	NOTIFY_PASSED,    /* another server has it, which tells the rest (JOB_RELAYED) */
	NOTIFY_EXPANDED,  /* it was a list */
	NOTIFY_FAILED,    /* refused, or an administrator gave it back */
	NOTIFY_EXPIRED,   /* tried for as long as the configuration says */
	NOTIFY_DELAYED,   /* waits for long, and is tried on */
	NOTIFY_OVERDUE,   /* DELIVERBY with R: too late, given up */
	NOTIFY_LATE,      /* DELIVERBY with N: too late, tried on */
	NOTIFY_UNTIMED,   /* DELIVERBY with N: another server has it, which does not know it */
	NOTIFY_EVENTS
};

struct notify_conf {
	struct str host;       /* name of this server */
	struct str postmaster; /* "postmaster@example.com" */
	bool copies;           /* what nobody gets goes to the postmaster */
	uint32_t full_max;     /* octets of a letter that is enclosed whole without RET */
	int zone;              /* minutes east of UTC */
};
struct notify_letter {
	struct str sender;     /* its reverse-path; of what an alias sends on, the one it came with */
	struct str qid, envid, ret;
	bool ours, utf8;       /* ONWARD_OURS, ONWARD_UTF8 */
	bool by_trace, requiretls; /* ONWARD_BY_TRACE, ONWARD_REQUIRETLS */
	int64_t arrived;       /* Unix seconds */
	int64_t held_until;    /* RFC 4865, or 0 */
	uint64_t size;         /* octets of it */
};
struct notify_rcpt {
	enum notify_event event;
	struct str addr, notify, orcpt, via; /* as in struct queue_rcpt */
	int code;              /* of the last reply */
	struct str status, text, mta;
	int64_t last_attempt, until; /* Unix seconds, or 0; until: when it will be given up */
};
enum notify_verdict { NOTIFY_NOBODY, NOTIFY_SENDER, NOTIFY_POSTMASTER };

/* Is this event told to one who wrote NOTIFY so? */
bool notify_wanted(struct str notify, enum notify_event event, const struct notify_letter *l);
/*
 * What to send and to whom; rows: room for n. Then the caller fills in id, now and letter (its header,
 * or the whole when ret->full), writes it with report_put(), and sends it from <> to ret->to with
 * NOTIFY=NEVER. Strings are views of what came in.
 */
enum notify_verdict notify_plan(const struct notify_conf *c, const struct notify_letter *l,
    const struct notify_rcpt *rcpt, size_t n, struct report_rcpt *rows, struct report *ret);

/* The letter and recipients of an entry, without events: rcpt: room for e->n_rcpts, in its order. s may
 * be NULL. False: the two do not belong together. */
bool notify_entry(const struct queue_entry *e, const struct queue_state *s, struct notify_letter *ret,
    struct notify_rcpt *rcpt);
