/*
 * rate: recipients per hour and address prefix, counted across fronts.
 *
 * It lives behind the counters in each front's tally memfd and follows the same rule: one
 * writer, the others read; an hour is a fixed window of the wall clock. A table holds RATE_ADDRS
 * addresses; when it is full the oldest window goes.
 */
#pragma once

#include "policy/tally.h"

#define RATE_ADDRS 8192 /* per front; power of two */

struct rate_table;
size_t rate_size(void);

/* Recipients of key in the hour of sec, over all n tables (NULL ones skipped). */
uint64_t rate_count(const struct rate_table *const *tables, size_t n, const struct tally_key *key,
    int64_t sec);
/* Adds one to our own table. */
void rate_add(struct rate_table *own, const struct tally_key *key, int64_t sec);
