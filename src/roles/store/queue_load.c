/* Which entries there are, and where their mail goes. At the start they are read from the store. */
#include "roles/store/queue_priv.h"

#include "base/check.h"
#include "log/log.h"
#include "queue/target.h"
#include "route/directory.h"
#include "sys/clock.h"
#include "sys/file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define LOAD_SLICE 5000
#define LOAD_SAY 100000
#define LOAD_AGAIN_MS 1000

/* --- where mail goes --- */

const struct directory *
queue_directory(struct queue *q, struct directory *d)
{
	struct store_role *r = q->role;
	if (q->directory_version != r->directory_version || !q->directory.p) {
		if (q->directory.p)
			memfd_unmap(q->directory);
		q->directory = STR_NULL;
		q->directory_version = r->directory_version;
		if (memfd_map(r->directory_fd, DIRECTORY_MAX, &q->directory) < 0)
			return NULL;
	}
	return directory_open(d, q->directory) ? d : NULL;
}

/* One of ours? */
static bool
is_here(struct queue *q, struct str domain)
{
	struct directory d;
	return queue_directory(q, &d) && directory_is_local(&d, domain);
}

/* By its route, or its MX records. */
void
queue_way_of(void *arg, struct str domain, struct sched_way *ret)
{
	static char text[TARGET_MAX + 8];
	static const enum sched_kind kinds[TARGET_KINDS] = {
		[TARGET_TURN] = SCHED_FETCHED,
		[TARGET_HOLD] = SCHED_HOLDS,
		[TARGET_ERROR] = SCHED_OWN,
	};
	struct queue *q = arg;
	struct target t;
	if (str_eq(domain, STR(ENTRY_REPORT_DOMAIN))) {
		*ret = (struct sched_way){ .target = STR("report:"), .kind = SCHED_OWN };
		return;
	}
	if (is_here(q, domain)) {
		*ret = (struct sched_way){ .target = STR("here:"), .kind = SCHED_OWN };
		return;
	}
	const struct conf_route *route = conf_route_for(q->role->conf, domain);
	if (route) {
		ret->route = str_of(route->match);
		ret->most = (uint32_t)MIN(route->max_connections, 10000u);
	}
	if (!route || strcmp(route->via, "mx") == 0 || !target_parse(str_of(route->via), &t)) {
		snprintf(text, sizeof(text), "mx:" STR_FMT, STR_ARG(domain));
		ret->target = str_of(text);
		return;
	}
	ret->kind = kinds[t.kind];
	ret->target = str_of(route->via);
}

/* --- learning --- */

void
queue_put_back(struct queue *q, struct sched_entry *e)
{
	sched_back(q->sched, e, (uint64_t)sys_wall_ms());
	queue_wish(q, e);
}

static uint16_t
waiting(const struct queue_entry *e, const struct queue_state *s)
{
	struct wire w = wire_of(s->rcpts);
	struct queue_told t;
	uint16_t n = 0;
	for (uint32_t i = 0; i < s->n && queue_told_get(&w, &t); i++)
		n += t.state == RCPT_WAITS;
	return s->n ? n : (uint16_t)e->n_rcpts;
}

/* A report that an end of ours interrupted, or an end behind it. */
static void
resume(struct queue *q, struct sched_entry *e, uint64_t size, struct str value, struct str state)
{
	sched_busy(q->sched, e);
	struct ending *x = ending_begin(q, e, queue_held_new(size, value, state));
	if (!x)
		return;
	x->phase = PHASE_REPORT;
	list_add_tail(&q->stuck, &x->node); /* taken up when the scan is over */
}

struct sched_entry *
queue_learn(struct queue *q, uint64_t letter, uint32_t part, uint64_t size, struct str value,
    struct str state)
{
	struct queue_entry v;
	struct queue_state s;
	uint64_t now = (uint64_t)sys_wall_ms();
	const char *damage = queue_stored_get(value, state, &v, &s);
	if (damage) {
		queue_say_damaged(letter, part, damage);
		return NULL;
	}
	/* Its state has a time once it was tried, or released before its own. */
	uint64_t hold = s.next_ms && v.hold_until_ms > now ? 0 : v.hold_until_ms;
	struct sched_facts f = { .letter = letter,
		.part = part,
		.size = size,
		.created_ms = MAX(v.created_ms, hold),
		.by_ms = s.by_over ? 0 : v.by_ms,
		.due_ms = MAX(s.next_ms, hold),
		.later = hold > now,
		.attempts = (uint16_t)MIN(s.attempts, UINT16_MAX),
		.n_rcpts = waiting(&v, &s),
		.priority = v.priority,
		.warned = s.warned,
		.trouble = s.trouble,
		.held = s.held };
	struct sched_entry *e = sched_add(q->sched, &f, v.domain, now);
	if (s.report)
		q->id_ms = MAX(q->id_ms, (s.report >> 22) + 1);
	if (e)
		sched_wish(e, (enum sched_wish)s.wish);
	if (e && s.report)
		resume(q, e, size, value, state);
	return e;
}

void
queue_say_damaged(uint64_t letter, uint32_t part, const char *damage)
{
	char id[14];
	id_format(id, letter);
	LOG(LOG_ERROR, 0, "queue-damaged", LOGZ("letter", id), LOGN("part", part),
	    LOGZ("why", damage),
	    LOGZ("then", "it is left alone and the others go on; see queue list --state damaged"));
}

struct loading {
	struct queue *queue;
	uint32_t n;
};

static bool
load_one(void *arg, const struct store_queued *s)
{
	struct loading *l = arg;
	struct queue *q = l->queue;
	if (s->damaged)
		queue_say_damaged(s->letter, s->part, QUEUE_UNDECODED);
	else
		queue_learn(q, s->letter, s->part, s->size, s->value, s->state);
	q->load_letter = s->letter + (s->part == UINT32_MAX);
	q->load_part = s->part + 1;
	l->n++;
	return true;
}

/* A slice at a time: letters are accepted meanwhile. */
void
queue_load(struct queue *q)
{
	struct loading l = { .queue = q };
	struct store_snap *sn;
	struct sched_totals t, before;
	sched_totals(q->sched, &before);
	int rc = queue_snap(q, &sn);
	if (rc == 0)
		rc = store_queue_scan(sn, q->load_letter, q->load_part, LOAD_SLICE, load_one, &l);
	writer_check(rc);
	sched_totals(q->sched, &t);
	q->load_rc = rc;
	if (rc < 0) {
		LOG_OFTEN(LOG_ERROR, 0, "queue-not-read", LOGZ("error", strerror(-rc)),
		    LOGN("entries", t.entries), LOGZ("then", "tried again; see fsck"));
		loop_timer_set(q->timer, LOAD_AGAIN_MS, 0);
		return;
	}
	q->loaded = l.n < LOAD_SLICE;
	if (q->loaded ? t.entries > 0 : t.entries / LOAD_SAY != before.entries / LOAD_SAY)
		LOG(LOG_INFO, 0, q->loaded ? "queue-read" : "queue-reading",
		    LOGN("entries", t.entries), LOGN("octets", t.octets), LOGN("memory", t.memory));
	if (q->loaded)
		queue_relays_begin(q);
	loop_timer_set(q->timer, 0, 0);
}
