/* queue_op: what the command line asks of the queue. Inside the queue's host. */
#pragma once

#include "roles/store/queue_priv.h"

enum crit_key {
	CRIT_ID, CRIT_FROM, CRIT_TO, CRIT_DOMAIN, CRIT_OLDER, CRIT_NEWER, CRIT_ERROR, CRIT_STATE,
	CRIT_LIMIT, CRIT_REASON, CRIT_ALL, CRIT_COUNT
};
struct crit {
	enum crit_key key;
	char *text; /* owned */
	uint64_t number;
};
struct queue_filter {
	struct crit crit[ASK_ARGS_MAX];
	size_t n;
	unsigned has; /* bit: there is one of this key */
	uint64_t now_ms;
};
/* An entry as it is looked at. */
struct queue_item {
	const struct sched_entry *e; /* NULL: nobody knows it, for it is damaged */
	const char *damage;          /* what is wrong with its records, or NULL */
	uint64_t letter, size;
	uint32_t part;
	struct queue_entry v;
	struct queue_state s; /* all zeroes: none yet */
};
extern const char *const queue_trouble_word[JOB_TROUBLE_COUNT];

bool queue_filter_get(struct queue_filter *f, const struct msg_ask *m); /* false: malformed */
void queue_filter_done(struct queue_filter *f);
const char *queue_filter_text(const struct queue_filter *f, enum crit_key key); /* or NULL */
uint64_t queue_filter_limit(const struct queue_filter *f);
bool queue_filter_fits(const struct queue_filter *f, const struct queue_item *it);
bool queue_filter_may_fit(struct queue *q, const struct queue_filter *f, const struct sched_entry *e);
const char *queue_state_word(const struct queue_item *it);

/* queue_change.c */
enum act {
	ACT_LIST, ACT_COUNT, ACT_SHOW, ACT_WHY,
	ACT_RETRY, ACT_HOLD, ACT_RELEASE, ACT_BOUNCE, ACT_DELETE, /* these change entries */
};
enum acted {
	ACTED_NONE,    /* there is nothing to do, or it cannot be read */
	ACTED_DONE,
	ACTED_WRITTEN, /* queue_op_changed() tells when it is durable */
	ACTED_WISHED,  /* the same, and it happens when its attempt is over */
	ACTED_TRYING,  /* a relay has it, as is wanted */
	ACTED_BUSY,    /* it is being written: ask again in a moment */
	/* It stays as it is, and the answer says how many do. */
	ACTED_ROUTE,   /* it is held by a route */
	ACTED_ENDING,  /* it is to be bounced or deleted when its attempt is over */
	ACTED_HELD,    /* to be retried, but an administrator holds it, */
	ACTED_LATER,   /* its sender wants it to leave later, */
	ACTED_TURN,    /* or it waits until it is fetched */
	ACTED_ALREADY, /* it is as is wanted */
	ACTED_DAMAGED, /* only to be deleted */
	ACTED_COUNT
};
enum acted queue_change(struct queue *q, struct sched_entry *e, enum act act, struct str reason,
    uint64_t op);
void queue_remove_damaged(struct queue *q, uint64_t letter, uint32_t part, uint64_t op); /* written */

/* queue_row.c: rows of answers */
void queue_row_list(struct queue *q, struct desk_ask *a, const struct queue_item *it);
void queue_row_show(struct queue *q, struct desk_ask *a, const struct queue_item *it, bool why);
void queue_row_target(struct desk_ask *a, const struct sched_dest_view *v, bool why, uint64_t now);
uint32_t queue_waiting_rcpts(const struct queue_item *it);
