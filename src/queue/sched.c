#include "queue/sched_priv.h"

#include "base/check.h"

#include <stdlib.h>

struct sched *
sched_new(const struct sched_rules *rules, sched_way_fn *way, void *arg, uint64_t seed)
{
	struct sched *s = xalloc(sizeof(*s));
	*s = (struct sched){
		.rules = *rules, .way = way, .way_arg = arg, .seed = seed, .chance = seed | 1
	};
	memcpy(s->key, &seed, sizeof(seed));
	seed *= 0x9e3779b97f4a7c15u;
	memcpy(s->key + 8, &seed, sizeof(seed));
	slab_init(&s->entries, sizeof(struct sched_entry));
	slab_init(&s->domains, sizeof(struct sched_domain));
	slab_init(&s->dests, sizeof(struct sched_dest));
	return s;
}

struct sched *
sched_free(struct sched *s)
{
	if (!s)
		return NULL;
	dest_free_all(s);
	slab_done(&s->entries);
	slab_done(&s->domains);
	slab_done(&s->dests);
	free(s->by_letter.slot);
	free(s->by_name.slot);
	free(s->due.at);
	free(s->backoff.at);
	free(s);
	return NULL;
}

void
sched_rules(struct sched *s, const struct sched_rules *rules)
{
	s->rules = *rules;
	due_again(s);
}

void
sched_places(struct sched *s, uint32_t n)
{
	s->places = n;
}

/* --- where an entry stands --- */

static void
set_state(struct sched *s, struct sched_entry *e, enum sched_state state)
{
	s->in_state[e->state]--;
	e->state = (uint8_t)state;
	s->in_state[state]++;
}

/* Nobody is owed an attempt for ever that cannot be made here: its sender hears of that, too. */
#define UNTRIED_MOST 250

/* Out of whatever it stands in; it is busy then. */
static void
take_out(struct sched *s, struct sched_entry *e)
{
	struct sched_dest *d = dest_at(s, e->dest);
	if (e->heap_at)
		due_del(s, e);
	if (e->state == SCHED_READY || e->state == SCHED_TURN)
		ready_del(s, d, e);
	if (e->state == SCHED_HELD) {
		d->n_held--;
		e->due_ms = MAX(e->due_ms, s->now_ms); /* nobody could try it before */
	}
	check(e->state != SCHED_ACTIVE);
	set_state(s, e, SCHED_BUSY);
}

static void
put_in(struct sched *s, struct sched_entry *e, uint64_t now)
{
	struct sched_dest *d = dest_at(s, e->dest);
	check(e->state == SCHED_BUSY);
	e->spared = e->spared && e->due_ms > now;
	if (e->held || d->kind == SCHED_HOLDS) {
		set_state(s, e, SCHED_HELD);
		d->n_held++;
		dest_link(s, d);
		return;
	}
	if (d->kind == SCHED_FETCHED)
		set_state(s, e, SCHED_TURN);
	else
		set_state(s, e, e->due_ms <= now ? SCHED_READY : SCHED_WAITS);
	if (e->state != SCHED_WAITS) {
		e->later = false;
		e->owed = e->untried < UNTRIED_MOST;
		ready_put(s, d, e);
	}
	due_put(s, e);
	dest_link(s, d);
}

/* The longest pause there is. */
static uint64_t
pause_most(const struct sched *s)
{
	return s->rules.retry_most_ms + s->rules.retry_most_ms / 4 + 1;
}

/* Its times by a clock that is behind the one they were made by. When a sender wants it to leave is
 * no time of ours. */
static void
pull_back(const struct sched *s, struct sched_entry *e, uint64_t now)
{
	if (e->later)
		return;
	uint64_t ahead = e->created_ms > now ? e->created_ms - now : 0;
	e->created_ms -= ahead;
	e->by_ms -= e->by_ms > ahead ? ahead : 0;
	e->due_ms = MIN(e->due_ms, now + pause_most(s));
}

/* Where its domain's mail goes by now. */
static void
move(struct sched *s, struct sched_entry *e)
{
	uint32_t to = domain_at(s, e->domain)->dest, was = e->dest;
	if (to == was)
		return;
	e->dest = to;
	dest_at(s, to)->n++;
	if (was) {
		dest_at(s, was)->n--;
		dest_link(s, dest_at(s, was));
	}
}

struct sched_entry *
sched_add(struct sched *s, const struct sched_facts *f, struct str domain, uint64_t now)
{
	if (letter_find(s, f->letter, f->part))
		return NULL;
	uint32_t m = domain_get(s, domain), i = slab_new(&s->entries);
	struct sched_entry *e = entry_at(s, i);
	*e = (struct sched_entry){ .letter = f->letter,
		.created_ms = f->created_ms,
		.due_ms = f->due_ms,
		.by_ms = f->by_ms,
		.size = f->size,
		.part = f->part,
		.domain = m,
		.self = i,
		.attempts = f->attempts,
		.n_rcpts = f->n_rcpts,
		.code = f->code,
		.priority = f->priority,
		.state = SCHED_BUSY,
		.warned = f->warned,
		.trouble = f->trouble,
		.held = f->held,
		.later = f->later };
	domain_entered(s, m);
	s->octets += e->size;
	s->in_state[SCHED_BUSY]++;
	pull_back(s, e, now);
	sched_letter_put(s, i);
	move(s, e);
	put_in(s, e, now);
	return e;
}

struct sched_entry *
sched_find(struct sched *s, uint64_t letter, uint32_t part)
{
	uint32_t i = letter_find(s, letter, part);
	return i ? entry_at(s, i) : NULL;
}

void
sched_del(struct sched *s, struct sched_entry *e)
{
	struct sched_dest *d = dest_at(s, e->dest);
	uint32_t domain = e->domain;
	take_out(s, e);
	sched_letter_del(s, e->self);
	s->in_state[SCHED_BUSY]--;
	s->octets -= e->size;
	slab_put(&s->entries, e->self);
	d->n--;
	dest_link(s, d);
	domain_left(s, domain);
}

void
sched_busy(struct sched *s, struct sched_entry *e)
{
	take_out(s, e);
	dest_link(s, dest_at(s, e->dest));
}

void
sched_back(struct sched *s, struct sched_entry *e, uint64_t now)
{
	move(s, e);
	put_in(s, e, now);
}

/* --- the clock --- */

#define GAP_MS 600000     /* no turn for so long: the machine, or its clock, was elsewhere */
#define SET_BACK_MS 60000 /* less is waited for */

static void
set_back(struct sched *s, uint64_t now)
{
	struct sched_entry *e;
	uint32_t pos = 0;
	while (sched_each(s, &pos, &e))
		pull_back(s, e, now);
	dest_pull_back(s, now, now + pause_most(s));
}

static void
look_at_clock(struct sched *s, uint64_t now)
{
	bool behind = now + SET_BACK_MS < s->now_ms;
	bool gap = now > s->now_ms + GAP_MS;
	if (behind || now > s->now_ms)
		s->now_ms = now;
	if (!behind && !gap)
		return;
	if (behind)
		set_back(s, now);
	s->since_ms = now;
	due_again(s);
}

/* --- what is next --- */

#define RIPE_AT_ONCE 32 /* a million may be due at one moment, and others want a turn, too */

static enum sched_what
deadline(struct sched *s, const struct sched_entry *e, uint64_t now)
{
	bool ages = dest_at(s, e->dest)->kind != SCHED_OWN;
	if (ages && due_age(s, e, s->rules.lifetime_ms) <= now)
		return SCHED_LATE;
	if (e->by_ms && !e->by_over && e->by_ms <= now)
		return SCHED_BY;
	if (ages && s->rules.warn_ms && !e->warned && due_age(s, e, s->rules.warn_ms) <= now)
		return SCHED_WARN;
	return SCHED_NOTHING;
}

static void
begin(struct sched *s, struct sched_dest *d, struct sched_entry *e, uint64_t now)
{
	if (e->heap_at)
		due_del(s, e);
	ready_del(s, d, e);
	set_state(s, e, SCHED_ACTIVE);
	dest_began(s, d, e, now);
}

void
sched_given(struct sched *s, struct sched_entry *e, uint64_t now)
{
	take_out(s, e);
	set_state(s, e, SCHED_ACTIVE);
	dest_began(s, dest_at(s, e->dest), e, now);
}

enum sched_what
sched_next(struct sched *s, uint64_t now, struct sched_entry **ret)
{
	look_at_clock(s, now);
	dest_awake(s, now);
	for (unsigned i = 0; i < RIPE_AT_ONCE && s->due.n; i++) {
		struct sched_entry *e = entry_at(s, s->due.at[0]);
		if (due_key(s, e) > now)
			break;
		bool ripe = e->state == SCHED_WAITS && e->due_ms <= now;
		enum sched_what what = ripe ? SCHED_NOTHING : deadline(s, e, now);
		if (what != SCHED_NOTHING && host_is_full(s))
			break;
		take_out(s, e);
		if (what != SCHED_NOTHING) {
			dest_link(s, dest_at(s, e->dest));
			*ret = e;
			return what;
		}
		put_in(s, e, now);
	}
	struct sched_dest *d = dest_turn(s, now);
	if (!d)
		return SCHED_NOTHING;
	struct sched_entry *e = entry_at(s, d->root);
	*ret = e;
	if (d->kind != SCHED_OWN) {
		begin(s, d, e, now);
		return SCHED_JOB;
	}
	sched_busy(s, e);
	return SCHED_DO;
}

uint64_t
sched_wake(struct sched *s)
{
	uint64_t t = SCHED_NEVER;
	if (s->due.n && !host_is_full(s))
		t = due_key(s, entry_at(s, s->due.at[0]));
	if (s->backoff.n)
		t = MIN(t, dest_at(s, s->backoff.at[0])->backoff_ms);
	return t;
}

/* --- ends --- */

static uint64_t
pause_after(struct sched *s, uint16_t attempts)
{
	uint64_t ms = s->rules.retry_first_ms;
	for (uint16_t i = 1; i < attempts && ms < s->rules.retry_most_ms; i++)
		ms *= 2;
	return sched_jitter(s, MIN(ms, s->rules.retry_most_ms));
}

#define NOT_TRIED_MS 1000 /* whoever gave it up has a reason */

void
sched_ended(struct sched *s, struct sched_entry *e, const struct sched_end *end, uint64_t now)
{
	struct sched_dest *d = dest_at(s, e->dest);
	check(e->state == SCHED_ACTIVE);
	set_state(s, e, SCHED_BUSY);
	s->n_active--;
	s->n_unproven -= e->unproven;
	e->unproven = false;
	dest_ended(s, d, end, now);
	if (!end->tried) {
		e->untried += e->untried < UNTRIED_MOST;
		e->due_ms = now + sched_jitter(s, NOT_TRIED_MS);
		return;
	}
	e->owed = false;
	e->untried = 0;
	e->attempts += e->attempts < UINT16_MAX;
	e->trouble = end->trouble;
	e->code = end->code;
	e->n_rcpts = end->n_rcpts;
	e->due_ms = end->dead ? d->backoff_ms : now + pause_after(s, e->attempts);
}

void
sched_hold(struct sched_entry *e, bool held)
{
	check(e->state == SCHED_BUSY);
	e->held = held;
}

void
sched_due(struct sched_entry *e, uint64_t due_ms, bool later)
{
	check(e->state == SCHED_BUSY);
	e->due_ms = due_ms;
	e->later = later;
}

void
sched_spare(struct sched *s, struct sched_entry *e, uint64_t until_ms, uint64_t now)
{
	check(e->state == SCHED_BUSY);
	e->due_ms = until_ms;
	e->spared = true;
	sched_back(s, e, now);
}

void
sched_warned(struct sched_entry *e, uint8_t warned)
{
	check(e->state == SCHED_BUSY);
	e->warned = warned;
}

void
sched_by_over(struct sched_entry *e)
{
	check(e->state == SCHED_BUSY);
	e->by_over = true;
}

void
sched_wish(struct sched_entry *e, enum sched_wish wish)
{
	e->wish = (uint8_t)wish & 3u;
}

void
sched_retry(struct sched *s, struct sched_entry *e, uint64_t now)
{
	struct sched_dest *d = dest_at(s, e->dest);
	check(e->state == SCHED_READY || e->state == SCHED_WAITS);
	if (d->backoff_ms)
		dest_wake(s, d);
	sched_busy(s, e);
	e->due_ms = now;
	e->later = false;
	sched_back(s, e, now);
}
