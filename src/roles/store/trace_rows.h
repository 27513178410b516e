/* Histories as `trace` keeps them while it looks for others, and as it answers them. */
#pragma once

#include "roles/store/reader_priv.h"
#include "store/recorder.h"

/* A record about a letter; its payload is in the keeper's octets. */
struct kept {
	uint64_t letter, lsn;
	bool arrival;
	size_t off, len;
};

struct keeper {
	struct kept *p;
	size_t n, cap;
	struct buf octets; /* its max is how much is kept */
};
/* brief: without what only a whole letter shows. False: there is no room, and it is not kept. */
bool keeper_add(struct keeper *k, uint64_t letter, const struct trace_found *f, bool brief);
void keeper_reset(struct keeper *k);
void keeper_done(struct keeper *k);
/* By letter; of each first how it came, then the rest as it was written, whatever the clocks said;
 * each once. */
void keeper_sort(struct keeper *k);
bool kept_get(const struct keeper *k, const struct kept *r, struct trace_payload *ret);
/* The first record about the letter, or NULL. The keeper is sorted. */
const struct kept *keeper_first(const struct keeper *k, uint64_t letter);

/* Answers a row; brief: of the form that lists have. */
void trace_row_put(struct job *j, uint64_t letter, const struct trace_payload *t, uint64_t lsn,
    bool brief);
/* A mailbox event: a row for each letter that it is about; only: 0 or the one that is asked for. */
void trace_rows_put_event(struct job *j, const struct trace_payload *t, uint64_t lsn,
    uint64_t only);
/* Where the log stands, behind the rows of who looks on. */
void trace_row_end(struct job *j, uint64_t lsn);
