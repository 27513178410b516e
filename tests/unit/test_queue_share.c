#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/check.h"
#include "queue/sched.h"

#include <stdio.h>

#define START 1700000000000u
#define TICK 10u /* ms */
#define EACH 100u
#define SLOW_TICKS 200u
#define PLACES 1000u
#define HURRY 50u /* jobs that can end in one tick, however many are under way */

/* What a destination does with a letter. */
enum kind { WELL, SLOW, BUSY, HANGS, KINDS };

struct job {
	struct sched_entry *e;
	enum kind kind;
	unsigned since;
};

struct world {
	struct sched *s;
	unsigned domains;
	struct job job[PLACES]; /* the oldest first */
	unsigned n;
	unsigned given[KINDS], done;
};

static enum kind
kind_of(const struct sched_entry *e)
{
	static const enum kind by_tenth[10] = { [7] = HANGS, [8] = SLOW, [9] = BUSY };
	return by_tenth[(e->letter - 1) / EACH % 10];
}

static void
by_mx(void *arg, struct str domain, struct sched_way *ret)
{
	static char target[40];
	snprintf(target, sizeof(target), "mx:" STR_FMT, STR_ARG(domain));
	ret->target = str_of(target);
}

/* EACH letters for each of n domains; with others, three of ten are not well. */
static void
begin(struct world *w, unsigned n, bool others)
{
	static const struct sched_rules rules = { .lifetime_ms = 432000000,
		.retry_first_ms = 300000,
		.retry_most_ms = 3600000,
		.window_first = 2,
		.window_most = 20 };
	*w = (struct world){ .s = sched_new(&rules, by_mx, NULL, 7), .domains = n };
	sched_places(w->s, PLACES);
	for (unsigned d = 0; d < n; d++) {
		char domain[40];
		snprintf(domain, sizeof(domain), "d%u.example", d);
		for (unsigned k = 0; k < EACH && (others || d % 10 < 7); k++) {
			const struct sched_facts f = { .letter = d * EACH + k + 1,
				.created_ms = START,
				.size = 1000,
				.n_rcpts = 1 };
			assert_non_null(sched_add(w->s, &f, str_of(domain), START));
		}
	}
}

static void
end_job(struct world *w, struct job j, unsigned tick)
{
	uint64_t now = START + tick * TICK;
	const struct sched_end end = { .tried = true,
		.sent = j.kind != BUSY,
		.retry = j.kind == BUSY,
		.n_rcpts = j.kind == BUSY,
		.took_ms = (tick - j.since) * TICK };
	w->done += j.kind == WELL;
	sched_ended(w->s, j.e, &end, now);
	if (end.retry)
		sched_back(w->s, j.e, now);
	else
		sched_del(w->s, j.e);
}

static void
work(struct world *w, unsigned tick)
{
	unsigned ended = 0, kept = 0;
	for (unsigned i = 0; i < w->n; i++) {
		struct job j = w->job[i];
		unsigned takes = j.kind == SLOW ? SLOW_TICKS : 1;
		if (ended == HURRY || j.kind == HANGS || tick - j.since < takes) {
			w->job[kept++] = j;
			continue;
		}
		end_job(w, j, tick);
		ended++;
	}
	w->n = kept;
}

/* Ticks until all letters to those that are well have arrived. */
static unsigned
run(struct world *w)
{
	unsigned tick = 0, wanted = w->domains / 10 * 7 * EACH;
	for (; w->done < wanted; tick++) {
		struct sched_entry *e;
		assert_true(tick < 1000000);
		while (sched_next(w->s, START + tick * TICK, &e) == SCHED_JOB) {
			assert_true(w->n < PLACES);
			w->job[w->n++] = (struct job){ e, kind_of(e), tick };
			w->given[kind_of(e)]++;
		}
		work(w, tick);
	}
	sched_free(w->s);
	return tick;
}

/* Where our own speed is the bound, every letter that is tried in vain or slowly costs those that
 * are well: of a thousand destinations the three hundred others get no more than 1.3 times (issue:
 * the queue) may cost. */
static void
test_share(void **state)
{
	static struct world alone, all;
	for (unsigned n = 100; n <= 1000; n *= 10) {
		begin(&alone, n, false);
		begin(&all, n, true);
		unsigned least = run(&alone), most = run(&all);
		print_message("# %u domains: %u ticks alone, %u among all; %u slow, %u busy, %u "
			      "hang\n",
		    n, least, most, all.given[SLOW], all.given[BUSY], all.given[HANGS]);
		assert_true(most * 10 <= least * 13);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = { cmocka_unit_test(test_share) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
