#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/check.h"
#include "queue/sched.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MINUTE 60000u
#define HOUR (60 * MINUTE)
#define START 1700000000000u

static const struct sched_rules rules = { .lifetime_ms = 120 * HOUR,
	.warn_ms = 4 * HOUR,
	.retry_first_ms = 5 * MINUTE,
	.retry_most_ms = HOUR,
	.window_first = 2,
	.window_most = 20 };

static const struct {
	const char *domain;
	struct sched_way way;
} ways[] = {
	{ "[report]", { .target = { "report:", 7 }, .kind = SCHED_OWN } },
	{ "held.test", { .target = { "hold:", 5 }, .kind = SCHED_HOLDS } },
	{ "fetched.test", { .target = { "turn:", 5 }, .kind = SCHED_FETCHED } },
	{ "error.test", { .target = { "error:5.1.2 no", 14 }, .kind = SCHED_OWN } },
	{ "one.test", { .target = { "smtp:hub:587", 12 }, .route = { "one.test", 8 }, .most = 1 } },
	{ "two.test", { .target = { "smtp:hub:587", 12 }, .route = { "two.test", 8 }, .most = 3 } },
	{ "a.lan", { .target = { "smtp:hub:25", 11 }, .route = { "*.lan", 5 } } },
	{ "b.lan", { .target = { "smtp:hub:25", 11 }, .route = { "*.lan", 5 } } },
};
static unsigned smarthost; /* all others go there; 0: by MX */

static void
way_of(void *arg, struct str domain, struct sched_way *ret)
{
	static char text[300];
	if (smarthost)
		snprintf(text, sizeof(text), "smtp:relay%u.example:25", smarthost);
	else
		snprintf(text, sizeof(text), "mx:" STR_FMT, STR_ARG(domain));
	*ret = (struct sched_way){ .target = str_of(text), .most = smarthost ? 7 : 0 };
	for (size_t i = 0; i < ARRAY_LEN(ways); i++)
		if (str_eq(str_of(ways[i].domain), domain))
			*ret = ways[i].way;
}

static struct sched *
a_sched(uint32_t places)
{
	struct sched *s = sched_new(&rules, way_of, NULL, 42);
	smarthost = 0;
	sched_places(s, places);
	return s;
}

static struct sched_entry *
add(struct sched *s, uint64_t letter, const char *domain, int8_t priority)
{
	const struct sched_facts f = { .letter = letter,
		.created_ms = START,
		.size = 1000,
		.n_rcpts = 1,
		.priority = priority };
	return sched_add(s, &f, str_of(domain), START);
}

static const struct sched_end sent = { .tried = true, .sent = true, .took_ms = 10 };
static const struct sched_end dead = { .tried = true,
	.retry = true,
	.dead = true,
	.slow_down = true,
	.n_rcpts = 1,
	.trouble = 2,
	.took_ms = 30000,
	.text = { "no route to host", 16 } };
static const struct sched_end later = {
	.tried = true, .retry = true, .slow_down = true, .n_rcpts = 1, .code = 451, .took_ms = 10
};

static void
ends(struct sched *s, struct sched_entry *e, const struct sched_end *end, uint64_t now)
{
	sched_ended(s, e, end, now);
	if (end->retry || !end->tried)
		sched_back(s, e, now);
	else
		sched_del(s, e);
}

static struct sched_entry *
job(struct sched *s, uint64_t now)
{
	struct sched_entry *e;
	enum sched_what what = sched_next(s, now, &e);
	if (what == SCHED_NOTHING)
		return NULL;
	assert_int_equal(what, SCHED_JOB);
	return e;
}

static uint64_t
in_state(struct sched *s, enum sched_state state)
{
	struct sched_totals t;
	sched_totals(s, &t);
	return t.in_state[state];
}

static void
test_one(void **state)
{
	struct sched *s = a_sched(10);
	assert_non_null(add(s, 1, "example.net", 0));
	assert_null(add(s, 1, "example.net", 0)); /* there already */
	struct sched_entry *e = job(s, START);
	assert_non_null(e);
	assert_int_equal(e->letter, 1);
	assert_null(job(s, START));
	ends(s, e, &sent, START);
	assert_null(sched_find(s, 1, 0));
	struct sched_totals t;
	sched_totals(s, &t);
	assert_true(t.entries == 0 && t.octets == 0);
	assert_true(sched_wake(s) == SCHED_NEVER);
	sched_free(s);
}

static void
test_no_relay(void **state)
{
	struct sched *s = a_sched(0);
	add(s, 1, "example.net", 0);
	assert_null(job(s, START));
	sched_places(s, 1);
	assert_non_null(job(s, START));
	sched_free(s);
}

/* Priority, then time. */
static void
test_priority(void **state)
{
	static const struct {
		uint64_t letter;
		int8_t priority;
	} rows[] = { { 5, 0 }, { 4, -9 }, { 3, 9 }, { 2, 0 }, { 1, -9 }, { 6, 9 } };
	static const uint64_t order[] = { 3, 6, 2, 5, 1, 4 };
	struct sched *s = a_sched(100);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		add(s, rows[i].letter, "example.net", rows[i].priority);
	for (size_t i = 0; i < ARRAY_LEN(order); i++) {
		struct sched_entry *e = job(s, START);
		assert_non_null(e);
		assert_int_equal(e->letter, order[i]);
		ends(s, e, &sent, START);
	}
	sched_free(s);
}

/* It starts small, grows with success and shrinks with 421. */
static void
test_window(void **state)
{
	struct sched *s = a_sched(1000);
	struct sched_entry *e[100];
	for (uint64_t i = 1; i <= 1000; i++)
		add(s, i, "example.net", 0);
	unsigned n = 0;
	while ((e[n] = job(s, START)))
		n++;
	assert_int_equal(n, 2);
	ends(s, e[0], &sent, START);
	ends(s, e[1], &sent, START);
	for (n = 0; (e[n] = job(s, START)); n++)
		;
	assert_int_equal(n, 8); /* four connections, and one letter in front of each */
	assert_int_equal(sched_window_of(s, e[0]), 4);
	for (int round = 0; round < 10; round++) {
		for (unsigned i = 0; i < n; i++)
			ends(s, e[i], &sent, START);
		for (n = 0; n < 99 && (e[n] = job(s, START)); n++)
			;
	}
	assert_int_equal(sched_window_of(s, e[0]), rules.window_most);
	assert_int_equal(n, 2 * rules.window_most);
	ends(s, e[0], &later, START);
	assert_int_equal(sched_window_of(s, e[1]), rules.window_most / 2);
	sched_free(s);
}

/* One connection for each back-off, whatever waits. */
static void
test_dead(void **state)
{
	struct sched *s = a_sched(1000);
	uint64_t now = START, last = 0;
	for (uint64_t i = 1; i <= 1000; i++)
		add(s, i, "dead.example", 0);
	struct sched_entry *a = job(s, now), *b = job(s, now);
	ends(s, a, &dead, now);
	ends(s, b, &dead, now);
	assert_null(job(s, now));
	for (int i = 0; i < 8; i++) {
		uint64_t wake = sched_wake(s);
		assert_true(wake > now && wake < now + 2 * HOUR);
		if (i < 6) /* it doubles, within the jitter */
			assert_true(wake - now > last / 2);
		last = wake - now;
		assert_null(job(s, wake - 1));
		now = wake;
		a = job(s, now);
		assert_non_null(a);
		assert_null(job(s, now));
		ends(s, a, &dead, now);
	}
	struct sched_dest_view v;
	sched_dest_of(s, a, &v);
	assert_true(v.backoff_until_ms > now && str_eq(v.text, STR("no route to host")));
	assert_int_equal(v.entries, 1000);
	assert_int_equal(sched_flush(s, STR("dead.example"), now), 1000);
	assert_non_null(job(s, now));
	sched_free(s);
}

/* A thousand domains of which a tenth hangs, a tenth is dead and a tenth says 4xx: the rest is done
 * without waiting for them. */
static void
test_fair(void **state)
{
	struct sched *s = a_sched(300);
	char name[32];
	for (uint64_t i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "d%03u.example", (unsigned)i);
		for (uint64_t k = 0; k < 20; k++)
			add(s, 1 + i + 1000 * k, name, 0);
	}
	unsigned done = 0, hanging = 0, rounds = 0;
	struct sched_entry *e, *given[400];
	while (rounds++ < 100000) {
		unsigned n = 0;
		while (n < 400 && (e = job(s, START + rounds * 10)))
			given[n++] = e;
		if (n == 0)
			break;
		for (unsigned i = 0; i < n; i++) {
			unsigned d = (unsigned)((given[i]->letter - 1) % 1000);
			if (d % 10 == 0)
				hanging++; /* never ends */
			else if (d % 10 == 1)
				ends(s, given[i], &dead, START + rounds * 10);
			else if (d % 10 == 2)
				ends(s, given[i], &later, START + rounds * 10);
			else
				done++, ends(s, given[i], &sent, START + rounds * 10);
		}
	}
	assert_int_equal(done, 700 * 20);
	assert_true(hanging <= 150);
	/* Each round has 150 places at least for those that answer. */
	assert_true(rounds < 3 * 20000 / 150);
	sched_free(s);
}

/* Time passes, with a turn every five minutes; what the last one said. */
static enum sched_what
until(struct sched *s, uint64_t *clock, uint64_t to, struct sched_entry **e)
{
	for (;;) {
		enum sched_what what = sched_next(s, *clock, e);
		if (what != SCHED_NOTHING || *clock >= to)
			return what;
		*clock = MIN(*clock + 5 * MINUTE, to);
	}
}

static void
test_deadlines(void **state)
{
	struct sched *s = a_sched(10);
	struct sched_entry *e;
	uint64_t clock = START;
	add(s, 1, "example.net", 0);
	const struct sched_facts by = { .letter = 2,
		.created_ms = START,
		.by_ms = START + MINUTE,
		.n_rcpts = 1,
		.due_ms = START + HOUR };
	sched_add(s, &by, STR("example.org"), START);
	e = job(s, START);
	ends(s, e, &dead, START);
	assert_int_equal(sched_next(s, START + MINUTE, &e), SCHED_BY);
	assert_int_equal(e->letter, 2);
	sched_by_over(e);
	sched_back(s, e, START + MINUTE);
	sched_places(s, 0);
	assert_int_equal(until(s, &clock, START + 4 * HOUR, &e), SCHED_WARN);
	assert_true(clock == START + 4 * HOUR);
	assert_int_equal(e->state, SCHED_BUSY);
	sched_warned(e, 1);
	sched_back(s, e, START + 4 * HOUR);
	assert_int_equal(sched_next(s, START + 4 * HOUR, &e), SCHED_WARN);
	sched_warned(e, 1);
	sched_back(s, e, START + 4 * HOUR);
	assert_int_equal(sched_next(s, START + 5 * HOUR, &e), SCHED_NOTHING);
	assert_true(sched_wake(s) > START + 5 * HOUR);
	assert_int_equal(until(s, &clock, START + 120 * HOUR, &e), SCHED_LATE);
	assert_true(clock == START + 120 * HOUR);
	sched_del(s, e);
	assert_int_equal(sched_next(s, START + 120 * HOUR, &e), SCHED_LATE);
	sched_hold(e, true); /* held ones never expire */
	sched_back(s, e, START + 120 * HOUR);
	assert_int_equal(sched_next(s, START + 240 * HOUR, &e), SCHED_NOTHING);
	assert_int_equal(in_state(s, SCHED_HELD), 1);
	sched_free(s);
}

/* Nobody could try while the clock jumped, or the server was stopped: a last attempt comes first.
 */
static void
test_gap(void **state)
{
	struct sched *s = a_sched(10);
	struct sched_entry *e;
	uint64_t clock = START;
	add(s, 1, "example.net", 0);
	ends(s, job(s, START), &later, START);
	add(s, 2, "dead.example", 0);
	add(s, 3, "dead.example", 0);
	ends(s, job(s, START), &dead, START);
	clock = START + 200 * HOUR;
	for (int i = 0; i < 2; i++) {
		e = job(s, clock);
		assert_non_null(e);
		ends(s, e, e->letter == 1 ? &later : &dead, clock);
		assert_int_equal(sched_next(s, clock, &e), SCHED_LATE);
		sched_del(s, e);
	}
	/* The one that nobody got to is given up when every pause is over. */
	assert_null(job(s, clock));
	sched_places(s, 0);
	assert_int_equal(until(s, &clock, clock + 2 * HOUR, &e), SCHED_LATE);
	assert_true(clock == START + 201 * HOUR);
	sched_free(s);

	s = a_sched(10);
	add(s, 4, "example.net", 0);
	assert_int_equal(sched_next(s, START + 200 * HOUR, &e), SCHED_JOB); /* the first turn */
	sched_free(s);
}

/* What cannot be read is left alone, however late it is, and the others go on. */
static void
test_spared(void **state)
{
	struct sched *s = a_sched(10);
	struct sched_entry *e = add(s, 1, "example.net", 0), *t, *got;
	uint64_t late = START + rules.lifetime_ms + HOUR;
	assert_ptr_equal(job(s, START), e);
	ends(s, e, &later, late - MINUTE);
	assert_int_equal(sched_next(s, late - MINUTE, &got), SCHED_LATE);
	assert_ptr_equal(got, e);
	sched_spare(s, e, late + MINUTE, late - MINUTE);
	assert_null(job(s, late));
	assert_true(sched_wake(s) > late);
	add(s, 2, "example.org", 0);
	assert_int_equal(job(s, late)->letter, 2);
	assert_ptr_equal(job(s, late + MINUTE), e); /* for the last time */
	ends(s, e, &sent, late + MINUTE);
	/* It may be fetched only, and has no turn that it could wait for. */
	t = add(s, 3, "fetched.test", 0);
	sched_busy(s, t);
	sched_spare(s, t, late + 2 * MINUTE, late + MINUTE);
	assert_null(job(s, late + MINUTE));
	assert_int_equal(sched_wake(s), late + 2 * MINUTE);
	sched_free(s);
}

/* What nobody tries but the host itself, and what was held, is never too old to be looked at. */
static void
test_old(void **state)
{
	struct sched *s = a_sched(10);
	struct sched_entry *e;
	const struct sched_facts own = { .letter = 1, .created_ms = START, .n_rcpts = 1 };
	const struct sched_facts held = {
		.letter = 2, .created_ms = START, .n_rcpts = 1, .held = true
	};
	uint64_t clock = START;
	sched_add(s, &held, STR("example.net"), START);
	assert_int_equal(until(s, &clock, START + 130 * HOUR, &e), SCHED_NOTHING);
	sched_add(s, &own, STR("[report]"), clock);
	assert_int_equal(sched_next(s, clock, &e), SCHED_DO);
	sched_del(s, e);
	e = sched_find(s, 2, 0);
	sched_busy(s, e);
	sched_hold(e, false);
	sched_back(s, e, clock);
	assert_int_equal(sched_next(s, clock, &e), SCHED_JOB);
	ends(s, e, &later, clock);
	assert_int_equal(sched_next(s, clock, &e), SCHED_LATE);
	sched_free(s);
}

/* The clock is set back by years: nothing waits for as long. */
static void
test_set_back(void **state)
{
	const uint64_t now = START - 20000u * HOUR, most = HOUR + HOUR / 4 + 1;
	const struct sched_facts ahead = { .letter = 3,
		.created_ms = START,
		.by_ms = START + 3 * HOUR,
		.due_ms = START + HOUR,
		.n_rcpts = 1 };
	const struct sched_facts released = {
		.letter = 4, .created_ms = START, .due_ms = START, .n_rcpts = 1, .later = true
	};
	struct sched *s = a_sched(10);
	struct sched_entry *e;
	uint64_t clock = now;
	add(s, 1, "example.net", 0);
	ends(s, job(s, START), &later, START);
	add(s, 2, "dead.example", 0);
	ends(s, job(s, START), &dead, START);
	assert_null(job(s, now));
	assert_true(sched_wake(s) <= now + most);
	sched_add(s, &ahead, STR("example.org"), now);
	sched_add(s, &released, STR("later.example"), now);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(until(s, &clock, now + most, &e), SCHED_JOB);
		ends(s, e, &later, clock);
	}
	sched_places(s, 0);
	assert_int_equal(until(s, &clock, now + 4 * HOUR, &e), SCHED_BY);
	assert_true(e->letter == 3 && clock - now - 3 * HOUR < 5 * MINUTE);
	assert_int_equal(sched_find(s, 4, 0)->state, SCHED_WAITS); /* its sender wants it so */
	sched_free(s);
}

static void
test_kinds(void **state)
{
	struct sched *s = a_sched(10);
	struct sched_entry *e;
	add(s, 1, "held.test", 0);
	add(s, 2, "fetched.test", 0);
	add(s, 3, "fetched.test", 0);
	add(s, 4, "error.test", 0);
	assert_int_equal(sched_next(s, START, &e), SCHED_DO);
	assert_int_equal(e->letter, 4);
	sched_del(s, e);
	assert_int_equal(sched_next(s, START, &e), SCHED_NOTHING);
	assert_int_equal(in_state(s, SCHED_HELD), 1);
	assert_int_equal(in_state(s, SCHED_TURN), 2);
	struct sched_dest_view v;
	sched_survey(s);
	sched_dest_of(s, sched_find(s, 2, 0), &v);
	assert_int_equal(v.ready + v.waiting, 2);
	e = sched_find(s, 2, 0);
	sched_given(s, e, START);
	ends(s, e, &sent, START);
	e = sched_find(s, 3, 0);
	sched_given(s, e, START);
	ends(s, e, &later, START);
	assert_int_equal(sched_flush(s, STR("fetched.test"), START), 0);
	assert_int_equal(in_state(s, SCHED_TURN), 1);
	sched_free(s);
}

/* Two routes to one host: what befalls one is no business of the other, also behind a reload. */
static void
test_routes(void **state)
{
	struct sched *s = a_sched(100);
	struct sched_dest_view one, two;
	struct sched_entry *e[8];
	unsigned n = 0;
	for (uint64_t i = 1; i <= 30; i++)
		add(s, i, i <= 5 ? "one.test" : "two.test", 0);
	while (n < 8 && (e[n] = job(s, START)))
		n++;
	assert_int_equal(n, 1 + rules.window_first);
	assert_int_equal(sched_window_of(s, sched_find(s, 1, 0)), 1);
	for (unsigned i = 0; i < n; i++)
		ends(s, e[i], e[i]->letter <= 5 ? &dead : &sent, START);
	sched_retarget(s, START);
	sched_dest_of(s, sched_find(s, 1, 0), &one);
	sched_dest_of(s, sched_find(s, 30, 0), &two);
	assert_true(str_eq(one.target, two.target) && str_eq(one.target, STR("smtp:hub:587")));
	assert_true(str_eq(one.route, STR("one.test")) && str_eq(two.route, STR("two.test")));
	assert_true(one.backoff_until_ms > START && two.backoff_until_ms == 0);
	assert_true(one.entries == 5 && two.entries == 23);
	assert_int_equal(sched_flush(s, STR("two.test"), START), 23);
	for (n = 0; (e[n] = job(s, START)); n++)
		assert_true(n < 7 && e[n]->letter > 5);
	assert_int_equal(n, 6); /* three connections, and one letter in front of each */
	assert_int_equal(sched_window_of(s, e[0]), 3);
	sched_free(s);
}

/* Domains of one route share what is known of its host. */
static void
test_one_route(void **state)
{
	struct sched *s = a_sched(100);
	struct sched_dest_view v;
	add(s, 1, "a.lan", 0);
	ends(s, job(s, START), &dead, START);
	add(s, 2, "b.lan", 0);
	assert_null(job(s, START));
	sched_dest_of(s, sched_find(s, 2, 0), &v);
	assert_true(v.entries == 2 && v.backoff_until_ms > START);
	assert_true(str_eq(v.route, STR("*.lan")) && v.domain.len == 0);
	sched_free(s);
}

/* Ten thousand things are in the host's hands: it gets no more of them, but jobs. */
static void
test_full(void **state)
{
	struct sched *s = a_sched(10);
	struct sched_entry *e, *last = NULL;
	const uint32_t most = 10000;
	uint64_t late = START + 130 * HOUR, clock = late;
	uint32_t n = 0;
	for (uint64_t i = 1; i <= most + 2; i++)
		add(s, i, "error.test", 0);
	while (sched_next(s, START, &e) == SCHED_DO)
		n++, last = e;
	assert_int_equal(n, most);
	add(s, 20000, "example.net", 0);
	ends(s, job(s, START), &later, START);
	add(s, 20001, "fetched.test", 0);
	assert_int_equal(sched_next(s, late, &e), SCHED_JOB);
	ends(s, e, &later, late);
	sched_places(s, 0);
	assert_int_equal(until(s, &clock, late + 2 * HOUR, &e), SCHED_NOTHING);
	assert_true(sched_wake(s) == SCHED_NEVER);
	sched_del(s, last);
	assert_true(sched_wake(s) <= clock);
	assert_int_equal(sched_next(s, clock, &e), SCHED_LATE);
	sched_free(s);
}

/* All is due at one moment: the first letter does not wait until everybody was looked at. */
static void
test_one_moment(void **state)
{
	struct sched *s = a_sched(0);
	struct sched_entry *e;
	unsigned calls = 0;
	const uint64_t n = 10000;
	for (uint64_t i = 1; i <= n; i++) {
		const struct sched_facts f = { .letter = i,
			.created_ms = START,
			.due_ms = START + HOUR,
			.n_rcpts = 1,
			.later = true };
		sched_add(s, &f, STR("example.net"), START);
	}
	assert_int_equal(sched_next(s, START, &e), SCHED_NOTHING);
	for (; in_state(s, SCHED_READY) < n; calls++) {
		assert_true(sched_wake(s) <= START + HOUR);
		assert_int_equal(sched_next(s, START + HOUR, &e), SCHED_NOTHING);
	}
	assert_true(calls > 100 && calls < n);
	assert_true(sched_wake(s) > START + HOUR);
	sched_places(s, 1);
	assert_int_equal(job(s, START + HOUR)->letter, 1);
	sched_free(s);
}

/* The entries of some domains, each once. */
static void
test_some(void **state)
{
	struct sched *s = a_sched(10);
	struct sched_some w;
	struct sched_entry *e;
	uint64_t sum = 0;
	add(s, 1, "a.example", 0);
	add(s, 2, "b.example", 0);
	add(s, 4, "a.example", 0);
	add(s, 8, "c.example", 0);
	sched_some_begin(s, &w);
	sched_some_add(s, &w, STR("A.example"));
	sched_some_add(s, &w, STR("a.example"));
	sched_some_add(s, &w, STR("nobody.example"));
	sched_some_add(s, &w, STR("*"));
	sched_some_add(s, &w, STR(""));
	sched_some_add(s, &w, STR("c.example"));
	while (sched_some_next(s, &w, &e))
		sum += e->letter;
	assert_int_equal(sum, 13);
	sched_some_end(&w);
	assert_int_equal(sched_flush(s, STR("B.Example"), START), 1);
	assert_int_equal(sched_flush(s, STR("*.example"), START), 4);
	assert_int_equal(sched_flush(s, STR("@c.example"), START), 1);
	assert_int_equal(sched_flush(s, STR("d.example"), START), 0);
	assert_int_equal(sched_flush(s, STR(""), START), 4);
	sched_free(s);
}

/* Routes change, also under a job. */
static void
test_retarget(void **state)
{
	struct sched *s = a_sched(100);
	char name[32];
	struct sched_dest_view v;
	for (unsigned i = 0; i < 50; i++) {
		snprintf(name, sizeof(name), "d%u.example", i);
		add(s, 1 + i, name, 0);
		add(s, 100 + i, name, 0);
	}
	struct sched_entry *e = job(s, START), *gone = job(s, START), *f;
	for (int way = 1; way >= 0; way--) {
		smarthost = (unsigned)way;
		sched_retarget(s, START);
		f = sched_find(s, 50, 0);
		sched_dest_of(s, f, &v);
		assert_true(str_eq(v.target, way ? STR("smtp:relay1.example:25") : STR_NULL));
		if (way) {
			assert_int_equal(v.entries, 98);
			ends(s, gone, &sent, START);
		}
	}
	ends(s, e, &later, START);
	sched_dest_of(s, e, &v);
	assert_int_equal(v.entries, 2);
	uint32_t pos = 0;
	while (sched_each(s, &pos, &f)) {
		if (f->state == SCHED_ACTIVE)
			sched_ended(s, f, &sent, START);
		sched_del(s, f);
	}
	struct sched_totals t;
	sched_totals(s, &t);
	assert_int_equal(t.entries, 0);
	sched_free(s);
}

/* Of destinations that nobody needs any more only so many are remembered, also of those that were
 * never used. */
static void
test_forgets(void **state)
{
	struct sched *s = a_sched(10);
	struct sched_totals t;
	for (unsigned i = 1; i <= 25000; i++) {
		char name[32];
		snprintf(name, sizeof(name), "d%u.example", i);
		smarthost = 0;
		add(s, i, name, 0);
		ends(s, job(s, START), &sent, START);
		smarthost = i;
		sched_retarget(s, START);
	}
	sched_totals(s, &t);
	assert_true(t.entries == 0 && t.domains == 0 && t.destinations <= 20000);
	sched_free(s);
}

/* More domains than destinations are remembered lead elsewhere all at once, and some of their
 * letters are under way: none loses its domain. */
static void
test_retarget_many(void **state)
{
	struct sched *s = a_sched(10);
	struct sched_totals t;
	struct sched_entry *active[10], *e;
	char name[32];
	smarthost = 1;
	for (unsigned i = 1; i <= 25000; i++) {
		snprintf(name, sizeof(name), "d%u.example", i);
		add(s, i, name, 0);
	}
	for (size_t i = 0; i < 2; i++)
		active[i] = job(s, START);
	for (unsigned round = 0; round < 4; round++) {
		smarthost = round % 2 ? 1 + round : 0;
		sched_retarget(s, START);
		for (unsigned i = 1; i <= 25000; i++) {
			snprintf(name, sizeof(name), "d%u.example", i);
			e = sched_find(s, i, 0);
			assert_true(e && str_eq(sched_domain_of(s, e), str_of(name)));
		}
	}
	smarthost = 0;
	sched_retarget(s, START);
	for (size_t i = 0; i < 2; i++)
		ends(s, active[i], &sent, START);
	for (unsigned i = 1; i <= 25000; i++)
		if ((e = sched_find(s, i, 0)))
			sched_del(s, e);
	sched_totals(s, &t);
	assert_true(t.entries == 0 && t.domains <= 20000 && t.destinations <= 20001);
	sched_free(s);
}

/* What cannot be tried here for days is late like anything else; its sender is told before. */
static void
test_never_tried(void **state)
{
	struct sched *s = a_sched(10);
	struct sched_entry *e = add(s, 1, "one.example", 0), *next = NULL;
	const struct sched_end untried = { .tried = false };
	uint64_t now = START;
	enum sched_what what = SCHED_JOB;
	for (unsigned i = 0; what == SCHED_JOB && i < 300; i++, now += 2000) {
		what = sched_next(s, now, &next);
		assert_true(what == SCHED_JOB && next == e);
		ends(s, e, &untried, now);
	}
	for (now = START + 4 * HOUR; (what = sched_next(s, now, &next)) == SCHED_JOB; now += 2000)
		ends(s, e, &untried, now);
	assert_true(what == SCHED_WARN && now < START + 5 * HOUR);
	sched_warned(e, 1);
	sched_back(s, e, now);
	for (now = START + 120 * HOUR; (what = sched_next(s, now, &next)) == SCHED_JOB; now += 2000)
		ends(s, e, &untried, now);
	assert_true(what == SCHED_LATE && now < START + 121 * HOUR);
	sched_free(s);
}

/* Whatever is done in whatever order, counts stay what they are. */
static void
test_random(void **state)
{
	struct sched *s = a_sched(40);
	uint64_t now = START;
	struct sched_entry *active[64], *e;
	unsigned n = 0;
	srand(7);
	for (unsigned step = 0; step < 60000; step++) {
		char name[32];
		uint64_t letter = 1 + (uint64_t)(rand() % 3000);
		snprintf(name, sizeof(name), "d%u.example", rand() % 40);
		switch (rand() % 8) {
		case 0:
		case 1:
			add(s, letter, name, (int8_t)(rand() % 19 - 9));
			break;
		case 2:
		case 3:
			switch (sched_next(s, now, &e)) {
			case SCHED_JOB:
				active[n++] = e;
				break;
			case SCHED_NOTHING:
				break;
			case SCHED_LATE:
				sched_del(s, e);
				break;
			case SCHED_WARN:
				sched_warned(e, 1);
				sched_back(s, e, now);
				break;
			case SCHED_DO:
			case SCHED_BY:
				sched_by_over(e);
				sched_back(s, e, now);
				break;
			}
			break;
		case 4:
			if (n > 0) {
				e = active[--n];
				ends(s, e, rand() % 3 ? &sent : rand() % 2 ? &dead : &later, now);
			}
			break;
		case 5:
			now += (uint64_t)(rand() % (30 * (int)MINUTE));
			break;
		case 6:
			e = sched_find(s, letter, 0);
			if (e && e->state != SCHED_ACTIVE) {
				sched_busy(s, e);
				sched_hold(e, !e->held);
				sched_back(s, e, now);
			} else if (rand() % 50 == 0) {
				sched_flush(s, str_of(name), now);
			}
			break;
		default:
			e = sched_find(s, letter, 0);
			if (e && e->state != SCHED_ACTIVE)
				sched_del(s, e);
			else if (rand() % 200 == 0) {
				smarthost = !smarthost;
				sched_retarget(s, now);
			}
			break;
		}
		if (step % 1000 == 0) {
			struct sched_totals t;
			uint64_t all = 0, walked = 0;
			uint32_t pos = 0;
			sched_totals(s, &t);
			for (size_t i = 0; i < SCHED_STATES; i++)
				all += t.in_state[i];
			while (sched_each(s, &pos, &e))
				walked++;
			assert_true(all == t.entries && walked == t.entries);
			assert_int_equal(t.in_state[SCHED_ACTIVE], n);
			assert_int_equal(t.in_state[SCHED_BUSY], 0);
		}
	}
	sched_free(s);
}

/* A million entries, in a thousand domains and in a million: at most 300 octets each, measured. */
static void
test_memory(void **state)
{
	const uint64_t n = 1000000;
	for (uint64_t domains = 1000; domains <= n; domains *= 1000) {
		struct mallinfo2 before = mallinfo2();
		struct sched *s = a_sched(10);
		for (uint64_t i = 0; i < n; i++) {
			char name[40];
			snprintf(name, sizeof(name), "mail%llu.example.net",
			    (unsigned long long)(i % domains));
			add(s, i + 1, name, 0);
		}
		struct mallinfo2 after = mallinfo2();
		uint64_t took = after.uordblks + after.hblkhd - before.uordblks - before.hblkhd;
		struct sched_totals t;
		sched_totals(s, &t);
		print_message("# %llu domains: %llu octets an entry (counted: %llu)\n",
		    (unsigned long long)domains, (unsigned long long)(took / n),
		    (unsigned long long)(t.memory / n));
#ifndef __SANITIZE_ADDRESS__
		assert_true(took / n <= 300);
#endif
		sched_free(s);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one),
		cmocka_unit_test(test_no_relay),
		cmocka_unit_test(test_priority),
		cmocka_unit_test(test_window),
		cmocka_unit_test(test_dead),
		cmocka_unit_test(test_fair),
		cmocka_unit_test(test_deadlines),
		cmocka_unit_test(test_gap),
		cmocka_unit_test(test_spared),
		cmocka_unit_test(test_old),
		cmocka_unit_test(test_set_back),
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_routes),
		cmocka_unit_test(test_one_route),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_one_moment),
		cmocka_unit_test(test_some),
		cmocka_unit_test(test_retarget),
		cmocka_unit_test(test_forgets),
		cmocka_unit_test(test_retarget_many),
		cmocka_unit_test(test_never_tried),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
