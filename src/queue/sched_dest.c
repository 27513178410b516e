#include "queue/sched_priv.h"

#include "base/buf.h"
#include "base/check.h"
#include "queue/target.h"

#include <stdlib.h>

#define IDLE_MAX 20000 /* destinations without entries that are remembered */
#define WINDOW_ONE 256u
#define SLOW_MS 1000    /* a job that takes longer, and twice as long as others, proves nothing */
#define TURNS 8         /* of so many one is for destinations that have not proven anything */
#define STALLED_MS 5000 /* no job has ended for so long although some are active */
#define BACKOFF_FIRST_MS 60000
#define CHUNK_OVERHEAD 16 /* of what malloc() gives */

uint64_t
sched_jitter(struct sched *s, uint64_t ms)
{
	s->chance ^= s->chance << 13;
	s->chance ^= s->chance >> 7;
	s->chance ^= s->chance << 17;
	return ms - ms / 4 + s->chance % (ms / 2 + 1);
}

/* --- rings --- */

static void
ring_leave(struct sched *s, struct sched_dest *d)
{
	if (d->ring == RING_NONE)
		return;
	if (d->ring == RING_IDLE)
		s->n_idle--;
	if (d->ring_next == d->self) {
		s->ring[d->ring] = 0;
	} else {
		dest_at(s, d->ring_prev)->ring_next = d->ring_next;
		dest_at(s, d->ring_next)->ring_prev = d->ring_prev;
		if (s->ring[d->ring] == d->self)
			s->ring[d->ring] = d->ring_next;
	}
	d->ring = RING_NONE;
}

/* Behind all others. */
static void
ring_enter(struct sched *s, struct sched_dest *d, uint8_t ring)
{
	d->ring = ring;
	if (ring == RING_NONE)
		return;
	if (ring == RING_IDLE)
		s->n_idle++;
	uint32_t head = s->ring[ring];
	if (head == 0) {
		d->ring_next = d->ring_prev = s->ring[ring] = d->self;
		return;
	}
	struct sched_dest *first = dest_at(s, head);
	d->ring_next = head;
	d->ring_prev = first->ring_prev;
	dest_at(s, first->ring_prev)->ring_next = d->self;
	first->ring_prev = d->self;
}

static uint32_t
window_most(const struct sched *s, const struct sched_dest *d)
{
	return MAX(d->most ? d->most : s->rules.window_most, 1);
}

uint32_t
dest_window(const struct sched *s, const struct sched_dest *d)
{
	return MAX(MIN(d->window / WINDOW_ONE, window_most(s, d)), 1);
}

/* Jobs at once. Who is known to answer gets the next letter before the last one is told of, so that
 * no connection waits for us. */
static uint32_t
jobs_most(const struct sched *s, const struct sched_dest *d)
{
	uint32_t window = dest_window(s, d);
	return d->proven ? 2 * window : window;
}

static uint8_t
ring_of(const struct sched *s, const struct sched_dest *d)
{
	if (d->n == 0 && d->n_active == 0 && d->aimed == 0)
		return RING_IDLE;
	if (d->n_ready == 0 || d->kind == SCHED_HOLDS || d->kind == SCHED_FETCHED)
		return RING_NONE;
	if (d->kind == SCHED_OWN)
		return RING_OWN;
	if (d->backoff_ms || d->n_active >= jobs_most(s, d))
		return RING_NONE;
	return d->proven ? RING_PROVEN : RING_UNPROVEN;
}

static void dest_free(struct sched *s, struct sched_dest *d);

void
dest_link(struct sched *s, struct sched_dest *d)
{
	uint8_t ring = ring_of(s, d);
	/* A domain that has moved elsewhere has no use for it. */
	if (ring == RING_IDLE && d->domain && domain_at(s, d->domain)->dest != d->self) {
		d->domain = 0;
		dest_free(s, d);
		return;
	}
	if (ring == d->ring)
		return;
	ring_leave(s, d);
	ring_enter(s, d, ring);
	if (s->n_idle > IDLE_MAX)
		dest_free(s, dest_at(s, s->ring[RING_IDLE]));
}

/* --- making and forgetting --- */

static void
text_set(struct sched *s, char **text, struct str to)
{
	if (*text)
		s->text_memory -= strlen(*text) + 1 + CHUNK_OVERHEAD;
	free(*text);
	*text = to.len ? str_dup(to) : NULL;
	if (*text)
		s->text_memory += strlen(*text) + 1 + CHUNK_OVERHEAD;
}

void
domain_free(struct sched *s, uint32_t i)
{
	struct sched_domain *m = domain_at(s, i);
	check(m->n == 0);
	sched_name_del(s, i);
	s->text_memory -= m->len + 1 + CHUNK_OVERHEAD;
	free(m->name);
	slab_put(&s->domains, i);
}

static void
dest_free(struct sched *s, struct sched_dest *d)
{
	ring_leave(s, d);
	if (d->heap_at)
		backoff_del(s, d);
	if (d->domain)
		domain_free(s, d->domain);
	else if (d->target && map_get(&s->shared, str_of(d->target)) == d)
		map_del(&s->shared, str_of(d->target));
	text_set(s, &d->target, STR_NULL);
	text_set(s, &d->text, STR_NULL);
	slab_put(&s->dests, d->self);
}

void
dest_free_all(struct sched *s)
{
	for (uint32_t i = 1; i < s->dests.n; i++) {
		struct sched_dest *d = dest_at(s, i);
		if (d->self == i && d->window) {
			free(d->target);
			free(d->text);
		}
	}
	size_t at = 0;
	for (; at < s->by_name.cap; at++)
		if (s->by_name.slot[at])
			free(domain_at(s, s->by_name.slot[at])->name);
	map_done(&s->shared);
}

/* Is it the destination that a domain has to itself? */
static bool
is_own(struct str name, const struct sched_way *way)
{
	return way->kind != SCHED_RELAYED ||
	       (str_starts(way->target, STR("mx:")) && str_eq(str_skip(way->target, 3), name));
}

static struct sched_dest *
dest_new(struct sched *s, struct str target, enum sched_kind kind)
{
	uint32_t i = slab_new(&s->dests);
	struct sched_dest *d = dest_at(s, i);
	d->self = i;
	d->kind = (uint8_t)kind;
	d->window = MAX(s->rules.window_first, 1) * WINDOW_ONE;
	text_set(s, &d->target, target);
	d->target_len = (uint16_t)target.len;
	return d;
}

static struct sched_dest *
dest_shared(struct sched *s, const struct sched_way *way)
{
	struct buf key = BUF_INIT(2 * TARGET_MAX);
	buf_putf(&key, STR_FMT "\n" STR_FMT, STR_ARG(way->target), STR_ARG(way->route));
	check(!key.failed);
	struct sched_dest *d = map_get(&s->shared, buf_str(&key));
	if (!d) {
		d = dest_new(s, buf_str(&key), way->kind);
		d->target_len = (uint16_t)way->target.len;
		map_put(&s->shared, buf_str(&key), d);
	}
	buf_done(&key);
	return d;
}

/* The destination that the domain has on this way; its own one is made anew when it is another. */
static struct sched_dest *
dest_get(struct sched *s, uint32_t domain, const struct sched_way *way)
{
	struct sched_domain *m = domain_at(s, domain);
	if (!is_own(domain_name(m), way))
		return dest_shared(s, way);
	struct str text = way->kind == SCHED_RELAYED ? STR_NULL : way->target;
	struct sched_dest *d = m->dest ? dest_at(s, m->dest) : NULL;
	if (d && d->domain == domain && d->kind == way->kind && str_eq(str_of(d->target), text))
		return d;
	d = dest_new(s, text, way->kind);
	d->domain = domain;
	return d;
}

void
domain_aim(struct sched *s, uint32_t domain)
{
	struct sched_domain *m = domain_at(s, domain);
	struct sched_way way = { 0 };
	s->way(s->way_arg, domain_name(m), &way);
	struct sched_dest *d = dest_get(s, domain, &way);
	struct sched_dest *was = m->dest ? dest_at(s, m->dest) : NULL;
	d->most = way.most;
	if (was == d)
		return;
	m->dest = d->self;
	d->aimed += m->n > 0;
	if (was)
		was->aimed -= m->n > 0;
	/* What is the domain's own must not be forgotten together with it. */
	if (was && was->domain == domain) {
		dest_link(s, was);
		was = NULL;
	}
	dest_link(s, d); /* a new one that gets no entry is idle */
	if (was)
		dest_link(s, was);
}

uint32_t
domain_get(struct sched *s, struct str name)
{
	uint32_t i = sched_name_find(s, name);
	if (i)
		return i;
	i = slab_new(&s->domains);
	domain_at(s, i)->name = str_dup(name);
	domain_at(s, i)->len = (uint32_t)name.len;
	s->text_memory += name.len + 1 + CHUNK_OVERHEAD;
	sched_name_put(s, i);
	domain_aim(s, i);
	return i;
}

void
domain_entered(struct sched *s, uint32_t domain)
{
	struct sched_domain *m = domain_at(s, domain);
	if (m->n++ == 0)
		dest_at(s, m->dest)->aimed++;
}

void
domain_left(struct sched *s, uint32_t domain)
{
	struct sched_domain *m = domain_at(s, domain);
	struct sched_dest *d = dest_at(s, m->dest);
	check(m->n > 0);
	if (--m->n)
		return;
	d->aimed--;
	if (d->domain != domain)
		domain_free(s, domain);
	dest_link(s, d);
}

/* --- whose turn it is --- */

static bool
is_stalled(const struct sched_dest *d, uint64_t now)
{
	return d->n_active && now > d->quiet_ms && now - d->quiet_ms > STALLED_MS;
}

static struct sched_dest *
ring_turn(struct sched *s, uint8_t ring)
{
	struct sched_dest *d = dest_at(s, s->ring[ring]);
	s->ring[ring] = d->ring_next;
	return d;
}

static struct sched_dest *
proven_turn(struct sched *s, uint64_t now)
{
	while (s->ring[RING_PROVEN]) {
		struct sched_dest *d = ring_turn(s, RING_PROVEN);
		if (!is_stalled(d, now))
			return d;
		d->proven = false;
		dest_link(s, d);
	}
	return NULL;
}

static struct sched_dest *
unproven_turn(struct sched *s)
{
	if (!s->ring[RING_UNPROVEN] || s->n_unproven >= MAX(s->places / 2, 1))
		return NULL;
	return ring_turn(s, RING_UNPROVEN);
}

struct sched_dest *
dest_turn(struct sched *s, uint64_t now)
{
	if (s->ring[RING_OWN] && !host_is_full(s))
		return ring_turn(s, RING_OWN);
	if (s->n_active >= s->places)
		return NULL;
	s->turn = (s->turn + 1) % TURNS;
	struct sched_dest *d = s->turn ? proven_turn(s, now) : unproven_turn(s);
	if (!d)
		d = s->turn ? unproven_turn(s) : proven_turn(s, now);
	return d;
}

void
dest_began(struct sched *s, struct sched_dest *d, struct sched_entry *e, uint64_t now)
{
	if (d->n_active++ == 0)
		d->quiet_ms = now;
	s->n_active++;
	e->unproven = !d->proven;
	s->n_unproven += e->unproven;
	dest_link(s, d);
}

/* --- what becomes of a job --- */

static void
back_off(struct sched *s, struct sched_dest *d, uint64_t now)
{
	d->proven = false;
	d->window = WINDOW_ONE;
	if (d->backoff_ms) /* the others that were under way say the same */
		return;
	uint64_t ms = MIN(s->rules.retry_first_ms, BACKOFF_FIRST_MS);
	for (uint16_t i = 0; i < d->fails && ms < s->rules.retry_most_ms; i++)
		ms *= 2;
	if (d->fails < UINT16_MAX)
		d->fails++;
	d->backoff_ms = now + sched_jitter(s, MIN(ms, s->rules.retry_most_ms)) + 1;
	backoff_put(s, d);
}

/* By the last jobs there, and by what a job took lately wherever it went. */
static bool
is_slow(struct sched *s, struct sched_dest *d, uint32_t took_ms)
{
	s->took += took_ms - s->took / TOOK_OF;
	d->took_ms = d->took_ms ? (d->took_ms + took_ms) / 2 : took_ms;
	return d->took_ms > SLOW_MS && d->took_ms > 2 * s->took / TOOK_OF;
}

static void
answered(struct sched *s, struct sched_dest *d, const struct sched_end *end)
{
	d->fails = 0;
	d->proven = !is_slow(s, d, end->took_ms) && !end->retry;
	if (end->slow_down)
		d->window = MAX(d->window / 2, WINDOW_ONE);
	else if (end->sent)
		d->window = MIN(d->window + WINDOW_ONE, window_most(s, d) * WINDOW_ONE);
}

void
dest_ended(struct sched *s, struct sched_dest *d, const struct sched_end *end, uint64_t now)
{
	d->n_active--;
	d->quiet_ms = now;
	if (end->tried) {
		d->sent += end->sent;
		d->later += end->retry;
		d->refused += !end->sent && !end->retry;
		d->trouble = end->trouble;
		if (end->text.len || end->sent)
			text_set(s, &d->text, str_first(end->text, SCHED_TEXT_MAX));
		if (end->dead)
			back_off(s, d, now);
		else
			answered(s, d, end);
	}
	dest_link(s, d);
}

void
dest_wake(struct sched *s, struct sched_dest *d)
{
	if (d->heap_at)
		backoff_del(s, d);
	d->backoff_ms = 0;
	dest_link(s, d);
}

void
dest_awake(struct sched *s, uint64_t now)
{
	while (s->backoff.n && dest_at(s, s->backoff.at[0])->backoff_ms <= now)
		dest_wake(s, dest_at(s, s->backoff.at[0]));
}

/* The heap of back-offs stays one: all are cut at the same time. */
void
dest_pull_back(struct sched *s, uint64_t now, uint64_t most)
{
	for (uint32_t i = 1; i < s->dests.n; i++) {
		struct sched_dest *d = dest_at(s, i);
		if (d->self != i || !d->window)
			continue;
		d->backoff_ms = MIN(d->backoff_ms, most);
		d->quiet_ms = MIN(d->quiet_ms, now);
	}
}
