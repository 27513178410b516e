/*
 * metrics: the server's figures in the text format that Prometheus reads (0.0.4). Pure.
 *
 * A role says its figures as rows, one sample each: "name{label="value"} number\n", where number
 * is a whole one (of a histogram's sum: microseconds). Rows of several roles are added up, series
 * by series; what comes out has each metric's HELP and TYPE in front of its samples. Rows are
 * checked as they come: a name that the table does not have, or a number that is none, is a breach.
 *
 * A label's value is escaped here. Roles cap how many values a label takes.
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define METRICS_SERIES_MAX 8192u         /* of a whole answer */
#define METRICS_TEXT_MAX (4u << 20)
#define METRICS_ROWS_MAX (256u << 10)    /* of one role */
#define METRICS_VALUE_MAX 64u            /* octets of a label's value that are shown */

enum metric {
	/* parent */
	METRIC_UP,
	METRIC_RESTARTS,
	METRIC_UPTIME,
	/* front */
	METRIC_CONNECTIONS,
	METRIC_CONNECTIONS_TOTAL,
	METRIC_CONNECTIONS_MAX,
	METRIC_LETTERS,
	METRIC_REFUSED,
	METRIC_ACCEPT_SECONDS,
	METRIC_TLS_SESSIONS,
	METRIC_TLS_HANDSHAKES,
	METRIC_AUTH,
	METRIC_LOG_DROPPED,
	/* auth, dns */
	METRIC_LOGINS,
	METRIC_SIGNATURES,
	METRIC_LOOKUPS,
	/* store */
	METRIC_STORED,
	METRIC_GROUPS,
	METRIC_GROUP_LETTERS,
	METRIC_INDEX_COMMITS,
	METRIC_INDEX_LAG,
	METRIC_SEGMENTS,
	METRIC_LOG_BYTES,
	METRIC_FREE_BYTES,
	METRIC_BODY_MEMORY,
	METRIC_ACCOUNTS,
	METRIC_COMPACTIONS,
	METRIC_CHECKPOINTS,
	METRIC_RESERVE,
	METRIC_TRACE_RECORDS,
	METRIC_TRACE_LOST,
	METRIC_TRACE_BYTES,
	METRIC_TRACE_LAG,
	/* queue and relay */
	METRIC_QUEUE_LETTERS,
	METRIC_QUEUE_BYTES,
	METRIC_QUEUE_ENTRIES,
	METRIC_QUEUE_DESTINATION,
	METRIC_DELIVERIES,
	METRIC_DELIVERIES_TO,
	METRIC_DELIVERY_SECONDS,
	METRIC_CONNECTIONS_OUT,
	METRIC_SENT,
	METRIC_TLS_OUT,
	METRIC_COUNT
};

struct metric_label {
	const char *name;
	struct str value;
};
/* One sample. labels: up to n of them. */
void metrics_put(struct buf *rows, enum metric m, const struct metric_label *labels, size_t n,
    uint64_t value);
#define METRICS_PUT(rows, m, value) metrics_put((rows), (m), NULL, 0, (value))

/* --- histograms --- */
#define HISTOGRAM_BUCKETS 16
struct histogram {
	uint64_t count[HISTOGRAM_BUCKETS]; /* not cumulated; the last has no bound */
	uint64_t sum_us;
};
/* m's kind is a histogram, whose bounds are its own. */
void histogram_add(struct histogram *h, enum metric m, uint64_t us);
void metrics_put_histogram(struct buf *rows, enum metric m, const struct metric_label *labels,
    size_t n, const struct histogram *h);

/* --- adding up --- */
struct metrics_sum;
struct metrics_sum *metrics_sum_new(void);
struct metrics_sum *metrics_sum_free(struct metrics_sum *s); /* NULL is allowed */
/* False: these are no rows; what stood in front of the mistake is added. */
bool metrics_sum_add(struct metrics_sum *s, struct str rows);
bool metrics_sum_empty(const struct metrics_sum *s);
void metrics_sum_put(struct metrics_sum *s, struct buf *out);
