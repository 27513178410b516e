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
	const struct sched_entry *e;
	uint64_t size;
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
const char *queue_state_word(const struct sched_entry *e);

/* queue_row.c: rows of answers */
void queue_row_list(struct queue *q, struct desk_ask *a, const struct queue_item *it);
void queue_row_show(struct queue *q, struct desk_ask *a, const struct queue_item *it, bool why);
void queue_row_target(struct desk_ask *a, const struct sched_dest_view *v, bool why, uint64_t now);
uint32_t queue_waiting_rcpts(const struct queue_item *it);
