/*
 * Inside front: what connections that read mail have: a way into one account, and the questions
 * that they ask there.
 *
 * Questions to read go to the one reader of this front, and are answered in slots of memory that
 * the reader writes and front reads; changes go to the store's writer. Whoever is away is waited
 * for: reads are asked again as they were, a change that was under way may or may not have
 * happened.
 */
#pragma once

#include "roles/front/front_priv.h"

#include "access/access.h"

#define SLOTS_SPARE 4       /* free slots that reading ahead leaves to others */
#define OUT_LOW (64u << 10) /* octets that are not sent yet, under which a session goes on */
#define STALLED_MS 300000   /* a peer that takes nothing for so long is cut off */

enum question_kind {
	QUESTION_ENTER,
	QUESTION_READ,
	QUESTION_CHANGE,
	QUESTION_ROOM,
};
/* In front->questions under its id until its answer is used up; its connection may die earlier. */
struct question {
	uint64_t id;
	enum question_kind kind;
	struct front *front;
	struct conn *conn;  /* NULL: nobody waits any more */
	bool asked;         /* it is with whom it is for */
	bool done;          /* a window that was read ahead is here */
	uint8_t status;     /* ... with this answer */
	uint32_t len;
	int slot;           /* that the answer stands or will stand in, or -1 */
	struct list node;   /* front->reads: waits for a slot */
	struct buf body;    /* encoded */
};
struct question *question_new(struct conn *c, enum question_kind kind);
struct question *question_free(struct question *q);
/* NULL: none of this kind is asked under that id. */
struct question *question_find(struct front *f, uint64_t id, enum question_kind kind);
/* Its connection is gone, or does not want it. */
struct question *question_drop(struct question *q);

/* The way from SASL's OK into the account. */
struct entry {
	uint64_t time_ms;
	struct buf address, ticket, challenge; /* challenge: SASL's last word */
	char mech[32];
};

/* Whose peer takes what is sent. */
struct stall {
	int64_t since; /* it has taken nothing; or 0 */
	uint64_t sent;
};

/* A connection in an account. */
struct visit {
	uint64_t account;
	unsigned char mac[MSG_MAC_LEN]; /* of the pass */
	bool entered;
	struct buf address;             /* that logged in */
	struct entry *entry;
	struct question *open;  /* the session's question, or ENTER */
	struct question *ahead; /* the window behind it */
	struct conn *conn;
	struct watch *watch;
	struct list watching;   /* watch->members */
	struct stall stall;
	bool flushing; /* much is in out: the session goes on when the peer took it */
};
void visit_init(struct conn *c, struct visit *m);
void visit_closing(struct conn *c);
void visit_done(struct visit *m);
struct msg_pass visit_pass(const struct visit *m);

/* visit.c. Each returns false, and protocol.told() is called later; true: it was called at once. */
bool visit_read(struct conn *c, const struct access_ask *ask);
bool visit_change(struct conn *c, const struct access_change *change);
void visit_again(struct conn *c);   /* as protocol.again and .give_up; only while m->open is there */
void visit_give_up(struct conn *c);
bool visit_entered(struct front *f, const struct ipc_frame *m);
bool visit_changed(struct front *f, const struct ipc_frame *m);
void visit_store_gone(struct front *f);
void visit_tell_read(struct question *q); /* its answer is in its slot */
/* The session asks nothing now: what was read ahead is for nobody. */
void visit_settle(struct conn *c, bool asks);

/* slots.c */
bool slots_take(struct front *f, const struct ipc_frame *m);
bool slots_answered(struct front *f, const struct ipc_frame *m);
void slots_ask(struct question *q); /* now or in its turn */
unsigned slots_free(const struct front *f);
struct str slots_text(const struct front *f, const struct question *q);
void slots_release(struct question *q); /* its slot, and its place in the queue */
void slots_reader_gone(struct front *f);

/* watch.c: one watch of a mailbox for all connections that look at it. */
struct watch;
/* What the session looks at now, or nothing. True: it was stirred at once. */
bool watch_set(struct conn *c, bool wanted, uint32_t mailbox, uint64_t modseq);
bool watch_stirred(struct front *f, const struct ipc_frame *m);
void watch_store_back(struct front *f);

/* SASL of IMAP and POP3: their steps have the same form, and so have their verdicts. */
#define AUTH_VERDICTS(P, TOO_SOON)                                                                 \
	{                                                                                          \
		[SASL_V_CHALLENGE] = P##_AUTH_CHALLENGE, [SASL_V_OK] = P##_AUTH_OK,                \
		[SASL_V_FAIL] = P##_AUTH_FAIL, [SASL_V_MALFORMED] = P##_AUTH_MALFORMED,            \
		[SASL_V_BADMECH] = P##_AUTH_BADMECH, [SASL_V_WEAK] = P##_AUTH_WEAK,                \
		[SASL_V_TEMPFAIL] = P##_AUTH_TEMPFAIL, [SASL_V_TOO_SOON] = P##_AUTH_##TOO_SOON     \
	}
/* Why somebody is turned away, in words that need no number; view of the settings or a constant. */
struct str visit_refusal(const struct conn *c);
/* As protocol.authed. */
void visit_authed(struct conn *c, const struct login *l, const struct msg_sasl *m);
/* Sends what is in out. False: that takes a while, and c->visit->flushing says so, or it failed. */
bool visit_flush(struct conn *c);
/* As protocol.sweep: cuts off whose peer has not taken anything for long. */
void visit_sweep(struct conn *c);
struct str visit_last_line(const struct conn *c); /* that is in out */
void visit_log_closed(const struct conn *c, const char *why, const char *user, uint64_t commands);
