/*
 * shared: what lies in the memfd that each front has: its tally table, then its rate table.
 * parent makes it (all zero), the owner maps it for writing, the others for reading.
 */
#pragma once

#include "base/str.h"
#include "policy/rate.h"
#include "policy/tally.h"

size_t policy_shared_size(void);
/* Tables inside a mapping of at least that size; check()ed. */
struct tally_table *policy_tally(void *map, size_t len);
struct rate_table *policy_rate(void *map, size_t len);
const struct tally_table *policy_tally_in(const void *map, size_t len);
const struct rate_table *policy_rate_in(const void *map, size_t len);
