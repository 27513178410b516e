#include "roles/store/deliveries.h"

#include <string.h>

const char *const delivery_result_name[DELIVERY_RESULTS] = { "sent", "later", "refused", "doubt" };

static void
add(struct delivery_counts *to, const struct delivery_counts *more)
{
	for (size_t i = 0; i < DELIVERY_RESULTS; i++)
		to->n[i] += more->n[i];
}

/* Its row, one that is free or that of who was idle longest; -1: all are in use. */
static int
row_of(const struct deliveries *d, struct str name, uint64_t now_ms)
{
	int oldest = 0;
	for (int i = 0; i < DELIVERIES_NAMED; i++) {
		if (str_eq(str_of(d->to[i].name), name))
			return i;
		if (d->to[i].last_ms < d->to[oldest].last_ms)
			oldest = i;
	}
	uint64_t last = d->to[oldest].last_ms;
	return last == 0 || now_ms > last + DELIVERIES_IDLE_MS ? oldest : -1;
}

void
deliveries_add(struct deliveries *d, struct str name, const struct delivery_counts *more,
    uint64_t now_ms)
{
	name = str_first(name, METRICS_VALUE_MAX - 1);
	int i = row_of(d, name, now_ms);
	if (i < 0) {
		add(&d->others, more);
		return;
	}
	if (!str_eq(str_of(d->to[i].name), name)) {
		add(&d->others, &d->to[i].counts);
		memset(&d->to[i], 0, sizeof(d->to[i]));
		(void)str_copy(d->to[i].name, sizeof(d->to[i].name), name);
	}
	add(&d->to[i].counts, more);
	d->to[i].last_ms = now_ms;
}

static void
put(struct buf *rows, const char *name, const struct delivery_counts *c)
{
	for (size_t i = 0; i < DELIVERY_RESULTS; i++) {
		const struct metric_label labels[] = { { "destination", str_of(name) },
			{ "result", str_of(delivery_result_name[i]) } };
		metrics_put(rows, METRIC_DELIVERIES_TO, labels, 2, c->n[i]);
	}
}

void
deliveries_figures(const struct deliveries *d, struct buf *rows)
{
	for (size_t i = 0; i < DELIVERIES_NAMED; i++)
		if (d->to[i].last_ms)
			put(rows, d->to[i].name, &d->to[i].counts);
	put(rows, "other", &d->others);
}
