/*
 * deliveries: what attempts came to, by destination, for metrics. Destinations are the senders' to
 * choose, so only some have a row of their own. One that was idle for long gives its place up, and
 * what it had is added to the others': their sum never falls.
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"
#include "metrics/metrics.h"

#include <stdint.h>

#define DELIVERIES_NAMED 50
#define DELIVERIES_IDLE_MS 3600000u

enum delivery_result { DELIVERY_SENT, DELIVERY_LATER, DELIVERY_REFUSED, DELIVERY_DOUBT, DELIVERY_RESULTS };
extern const char *const delivery_result_name[DELIVERY_RESULTS];

struct delivery_counts {
	uint64_t n[DELIVERY_RESULTS]; /* recipients */
};
struct deliveries {
	struct {
		char name[METRICS_VALUE_MAX]; /* "": nobody's */
		struct delivery_counts counts;
		uint64_t last_ms;
	} to[DELIVERIES_NAMED];
	struct delivery_counts others;
};
void deliveries_add(
    struct deliveries *d, struct str name, const struct delivery_counts *more, uint64_t now_ms);
void deliveries_figures(const struct deliveries *d, struct buf *rows);
