/* Inside the reports about TLS: tlsrpt.c adds up and keeps, tlsrpt_send.c sends. */
#pragma once

#include "mail/tlsrpt.h"
#include "roles/store/store_priv.h"

struct reported {
	struct list node; /* host->now or host->due */
	struct tlsrpt_day *day;
	bool dirty;                          /* not written down as it is */
	int64_t send_at;                     /* due: Unix seconds */
	unsigned tries, open, done;          /* done: a bit for each place that has its report */
	uint64_t post_id[TLSRPT_PLACES_MAX]; /* 0: none is under way */
};

struct tlsrpt_host {
	struct store_role *role;
	bool loaded;
	struct map by_domain; /* of the current days */
	struct list now, due;
	size_t n;
	int64_t flush_at;
	uint64_t last_post;
};

/* tlsrpt.c */
int64_t writer_tlsrpt_now(void); /* Unix seconds */
void writer_tlsrpt_key(struct buf *b, const struct tlsrpt_day *d);
void writer_tlsrpt_forget(struct tlsrpt_host *h, struct reported *d); /* frees it, too */

/* tlsrpt_send.c */
void writer_tlsrpt_send(struct tlsrpt_host *t, struct reported *d); /* it may be gone then */
