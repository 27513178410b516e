/*
 * entry: a letter that waits for another server, as octets: what never changes (value) and what does
 * (state). Who reads it checks it again: store after a restart, relay from the channel.
 *
 * One entry is one letter and its recipients at one domain, at most ENTRY_RCPTS_MAX of them; a letter
 * for several domains has several entries, which are tried, retried and ended on their own.
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"
#include "base/wire.h"

#include <stdbool.h>
#include <stdint.h>

#define ENTRY_RCPTS_MAX 500
#define ENTRY_TEXT_MAX 512 /* kept of what a server said last */

/* Flags of enum onward_flag (ipc/msg.h) stand here as they are. An entry with one of these two is no
 * letter on its way: it makes sure that its sender is told of what has happened already. */
#define ENTRY_DELIVERED (1u << 30) /* it is in these recipients' mailboxes here */
#define ENTRY_EXPANDED (1u << 31)  /* these were lists */
#define ENTRY_REPORT_DOMAIN "[report]" /* of such an entry */
struct queue_entry {
	uint64_t created_ms;
	uint32_t flags;
	int8_t priority;        /* -9..9 */
	uint64_t hold_until_ms, by_ms;
	struct str domain;      /* lower-case A-labels, or "[192.0.2.1]" */
	struct str from;        /* reverse-path as it is sent (SRS applied) */
	struct str sender;      /* that of the letter, when it differs; else empty */
	struct str envid, ret;  /* as given */
	struct str auth;
	struct str account, peer, qid, message_id;
	uint64_t session;
	uint32_t n_rcpts;       /* 1..ENTRY_RCPTS_MAX */
	struct str rcpts;       /* encoded queue_rcpt; walk with queue_rcpt_get() */
};
struct queue_rcpt {
	struct str addr, notify, orcpt, via;
};
void queue_entry_put(struct buf *b, const struct queue_entry *e);
bool queue_entry_get(struct str octets, struct queue_entry *ret); /* checks every recipient too */
void queue_rcpt_put(struct buf *b, const struct queue_rcpt *r);
bool queue_rcpt_get(struct wire *w, struct queue_rcpt *ret); /* advances w */

enum queue_rcpt_state { RCPT_WAITS, RCPT_SENT, RCPT_FAILED, RCPT_STATES };
struct queue_state {
	uint32_t attempts;
	uint64_t next_ms, last_ms; /* when it is due; when it was tried last, or 0 */
	bool held;                 /* by an administrator: until it is released */
	uint8_t wish;              /* enum sched_wish: when its attempt is over */
	uint8_t warned;            /* delay warnings that were sent */
	uint8_t trouble;           /* enum job_trouble of the last attempt */
	bool by_over;              /* its deadline (DELIVERBY) is over, and was told */
	uint64_t report;           /* id of the letter that tells the events below, or 0: it is on its
	                            * way to be accepted, and then this state changes */
	struct str mta;            /* host of the last attempt, or empty */
	uint32_t n;                /* recipients, in the order of the entry */
	struct str rcpts;          /* encoded queue_told */
	struct str reason;         /* of the wish, or why it is held, or empty; <= ENTRY_TEXT_MAX */
};
struct queue_told {              /* what is known of a recipient */
	uint8_t state;               /* enum queue_rcpt_state */
	uint8_t event;               /* enum notify_event that the report tells of it */
	uint16_t code;
	struct str status, text;     /* of the last reply */
};
void queue_state_put(struct buf *b, const struct queue_state *s);
bool queue_state_get(struct str octets, struct queue_state *ret);
/* What the store has of an entry; state p NULL: none yet, and *ret_state is all zeroes. NULL, or
 * what is wrong with them. */
const char *queue_stored_get(struct str value, struct str state, struct queue_entry *ret,
    struct queue_state *ret_state);
void queue_told_put(struct buf *b, const struct queue_told *t);
bool queue_told_get(struct wire *w, struct queue_told *ret);
