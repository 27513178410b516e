#include "roles/parent/parent_priv.h"

#include "log/log.h"

#include <signal.h>

#define DRAIN_MS 30000 /* for open conversations */
#define DRAIN_LAB_MS 2000
/* Beyond what the role was told: it may get no processor for seconds. */
#define DRAIN_EXTRA_MS 8000
#define MIDDLE_MS 5000
#define STORE_MS 30000 /* a sync on a slow disk */

/* Who ends in which phase; the next phase begins when all of them are reaped. The store goes
 * last, so that what others still want from it is answered. */
static const struct {
	unsigned roles;
	int64_t ms;
} phases[] = {
	[PHASE_RUN] = { 0, 0 },
	[PHASE_FRONTS] = { 1u << ROLE_FRONT | 1u << ROLE_RELAY, DRAIN_MS },
	[PHASE_MIDDLE] = { 1u << ROLE_READER | 1u << ROLE_AUTH | 1u << ROLE_DNS | 1u << ROLE_FETCH |
			       1u << ROLE_GSSAPI | 1u << ROLE_GSSAPI_OUT,
	    MIDDLE_MS },
	[PHASE_STORE] = { 1u << ROLE_STORE, STORE_MS },
	[PHASE_END] = { ~0u, 0 },
};

static bool
in_phase(const struct parent *p, const struct child *c)
{
	return (phases[p->phase].roles >> c->role & 1) != 0;
}

static bool
alive(const struct parent *p)
{
	for (unsigned i = 0; i < p->n_children; i++)
		if (p->children[i].pid && in_phase(p, &p->children[i]))
			return true;
	return false;
}

static void
on_late(void *arg)
{
	struct parent *p = arg;
	p->exit_status = EXIT_BROKEN;
	for (unsigned i = 0; i < p->n_children; i++)
		if (in_phase(p, &p->children[i]))
			child_kill(&p->children[i], "did not end in time");
}

static void
enter(struct parent *p)
{
	int64_t ms = phases[p->phase].ms;
	if (p->phase == PHASE_FRONTS && p->conf->lab)
		ms = DRAIN_LAB_MS;
	for (unsigned i = 0; i < p->n_children; i++) {
		struct child *c = &p->children[i];
		struct buf b = BUF_INIT(16);
		if (!in_phase(p, c) || !c->chan || c->state == CHILD_ENDING)
			continue;
		msg_u32_put(&b, (uint32_t)ms);
		chan_send(c->chan, IPC_DRAIN, 0, buf_str(&b), -1);
		buf_done(&b);
		c->state = CHILD_ENDING;
	}
	loop_timer_set(p->phase_timer, ms + DRAIN_EXTRA_MS, 0);
}

void
stop_step(struct parent *p)
{
	if (p->phase == PHASE_RUN)
		return;
	while (p->phase != PHASE_END && !alive(p)) {
		p->phase++;
		enter(p);
	}
	if (p->phase == PHASE_END && !alive(p)) {
		loop_timer_stop(p->phase_timer);
		loop_stop(p->loop);
	}
}

void
stop_begin(struct parent *p, const char *why)
{
	if (p->phase != PHASE_RUN)
		return;
	LOG(LOG_INFO, 0, "stop", LOGZ("why", why));
	for (unsigned i = 0; i < p->n_children; i++)
		if (p->children[i].pid == 0)
			loop_timer_stop(p->children[i].timer);
	/* New connections are refused from here on, not kept waiting. */
	listeners_close(&p->listeners);
	p->phase_timer = loop_timer_new(p->loop, on_late, p);
	p->phase = PHASE_FRONTS;
	enter(p);
	stop_step(p);
}

void
stop_fail(struct parent *p, const char *who, const char *why)
{
	LOG(LOG_ERROR, 0, "giving-up", LOGZ("role", who), LOGZ("why", why),
	    LOGZ("remedy", "see the lines of this role above; nothing was lost"));
	p->exit_status = EXIT_BROKEN;
	stop_begin(p, "a role could not be started");
}

void
stop_kill(struct parent *p, const char *why)
{
	p->exit_status = EXIT_BROKEN;
	for (unsigned i = 0; i < p->n_children; i++)
		child_kill(&p->children[i], why);
}
