/* What the writer counts, for metrics (metrics/metrics.h): the queue, deliveries, the recorder. */
#include "roles/store/queue_priv.h"

#include "metrics/metrics.h"

#include <stdlib.h>

#define DESTINATIONS 50 /* that are named; the others are one */

struct dest {
	uint32_t entries;
	char name[METRICS_VALUE_MAX];
};

struct top {
	struct dest dest[DESTINATIONS]; /* the first n, most entries first */
	size_t n;
	uint64_t others;
};

static void
top_add(struct top *t, const struct sched_dest_view *v)
{
	struct str name = v->domain.len ? v->domain : v->target;
	size_t at = t->n;
	while (at > 0 && t->dest[at - 1].entries < v->entries)
		at--;
	if (at == DESTINATIONS) {
		t->others += v->entries;
		return;
	}
	if (t->n == DESTINATIONS)
		t->others += t->dest[--t->n].entries;
	memmove(&t->dest[at + 1], &t->dest[at], (t->n - at) * sizeof(t->dest[0]));
	t->dest[at].entries = v->entries;
	(void)str_copy(t->dest[at].name, sizeof(t->dest[at].name),
	    str_first(name, METRICS_VALUE_MAX - 1));
	t->n++;
}

static void
put_destinations(struct buf *b, struct sched *s)
{
	struct top *t = xalloc(sizeof(*t));
	struct sched_dest_view v;
	uint32_t pos = 0;
	while (sched_dest_each(s, &pos, &v))
		if (v.entries)
			top_add(t, &v);
	for (size_t i = 0; i < t->n; i++) {
		const struct metric_label l = { "destination", str_of(t->dest[i].name) };
		metrics_put(b, METRIC_QUEUE_DESTINATION, &l, 1, t->dest[i].entries);
	}
	const struct metric_label other = { "destination", STR("other") };
	metrics_put(b, METRIC_QUEUE_DESTINATION, &other, 1, t->others);
	free(t);
}

static void
put_states(struct buf *b, struct sched *s)
{
	static const char *const state[SCHED_STATES] = {
		[SCHED_WAITS] = "waiting",
		[SCHED_READY] = "ready",
		[SCHED_ACTIVE] = "active",
		[SCHED_HELD] = "held",
		[SCHED_TURN] = "turn",
		[SCHED_BUSY] = "ending",
	};
	struct sched_totals all;
	sched_totals(s, &all);
	for (size_t i = 0; i < SCHED_STATES; i++) {
		const struct metric_label l = { "state", str_of(state[i]) };
		metrics_put(b, METRIC_QUEUE_ENTRIES, &l, 1, all.in_state[i]);
	}
}

static void
put_queue(struct buf *b, const struct queue *q)
{
	const uint64_t results[DELIVERY_RESULTS] = { q->sent, q->later, q->refused, q->doubt };
	put_states(b, q->sched);
	put_destinations(b, q->sched);
	for (size_t i = 0; i < ARRAY_LEN(results); i++) {
		const struct metric_label l = { "result", str_of(delivery_result_name[i]) };
		metrics_put(b, METRIC_DELIVERIES, &l, 1, results[i]);
	}
	deliveries_figures(&q->deliveries, b);
	metrics_put_histogram(b, METRIC_DELIVERY_SECONDS, NULL, 0, &q->delivery_time);
}

static void
put_recorder(struct buf *b, struct recorder *r)
{
	struct recorder_stats st;
	recorder_stats(r, &st);
	METRICS_PUT(b, METRIC_TRACE_RECORDS, st.records);
	METRICS_PUT(b, METRIC_TRACE_LOST, st.lost);
	METRICS_PUT(b, METRIC_TRACE_BYTES, st.octets);
	METRICS_PUT(b, METRIC_TRACE_LAG, st.lag);
}

void
writer_figures(struct store_role *r, struct buf *rows)
{
	struct store_stats st = { 0 };
	store_stats(r->store, &st);
	METRICS_PUT(rows, METRIC_QUEUE_LETTERS, st.queue_letters);
	METRICS_PUT(rows, METRIC_QUEUE_BYTES, st.queue_bytes);
	if (r->queue)
		put_queue(rows, r->queue);
	if (r->recorder)
		put_recorder(rows, r->recorder);
}
