/* Inside the policies of MTA-STS: policy.c remembers and answers, policy_fetch.c fetches. */
#pragma once

#include "roles/fetch/fetch_priv.h"
#include "smtp/sts.h"

#define DOMAIN_LEN_MAX 245 /* "mta-sts." stands before it */
#define WHY_LEN 256

struct waiter {
	struct list node;
	struct relay_peer *peer; /* NULL: gone */
	uint64_t id;
	struct msg_sts_ask ask; /* of an early one; its strings lie in `text` */
	char text[DOMAIN_LEN_MAX + STS_ID_MAX];
};

struct policy {
	struct list node; /* policies->used */
	struct policies *all;
	char domain[DOMAIN_LEN_MAX + 1];
	char id[STS_ID_MAX + 1], next_id[STS_ID_MAX + 1], failed_id[STS_ID_MAX + 1];
	char *text; /* NULL: there is none */
	size_t len;
	int64_t fetched, until; /* Unix seconds */
	bool asked_for;         /* since it was fetched */
	int64_t failed_until;   /* of loop_now(); 0: it did not fail */
	char why[WHY_LEN];      /* it failed */
	bool busy;
	struct name_ask name;
	struct transfer *transfer;
	struct list waiters;
};

struct policies {
	struct fetch *fetch;
	struct map by_domain;
	struct list used; /* the least recently used first */
	size_t n, octets, n_busy, n_waiters;
	struct list early;
	bool ready; /* what was kept is here, or will not come */
	struct loop_timer *sweep, *patience;
};

/* policy.c */
int64_t fetch_policy_now(void); /* Unix seconds */
void fetch_policy_stop(struct policy *p);
void fetch_policy_answer(struct policy *p); /* all who wait */
/* False: it is no policy. */
bool fetch_policy_take(struct policy *p, struct str text, const char *id, int64_t fetched,
    struct buf *err);
void fetch_policy_keep(const struct policy *p); /* store is told */

/* policy_fetch.c */
void fetch_policy_begin(struct policy *p, struct str id); /* its end answers all who wait */
void fetch_policy_addresses(void *policy, struct str addresses, const char *why);
