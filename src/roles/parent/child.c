#include "roles/parent/parent_priv.h"

#include "log/log.h"
#include "sys/spawn.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BACKOFF_FIRST_MS 100
#define BACKOFF_MAX_MS 5000

static void start(struct child *c);

int64_t
child_backoff_ms(unsigned fails)
{
	int64_t ms = BACKOFF_FIRST_MS;
	if (fails <= 1)
		return 0;
	for (unsigned i = 2; i < fails && ms < BACKOFF_MAX_MS; i++)
		ms *= 2;
	return MIN(ms, BACKOFF_MAX_MS);
}

bool
child_early_death(struct child *c, int64_t now)
{
	if (c->ever_ready)
		return false;
	if (c->early_deaths == 0 || now - c->early_since > CHILD_EARLY_MS) {
		c->early_deaths = 0;
		c->early_since = now;
	}
	return ++c->early_deaths >= CHILD_EARLY_DEATHS;
}

void
child_kill(struct child *c, const char *why)
{
	if (c->pid == 0)
		return;
	LOG(LOG_ERROR, 0, "role-killed", LOGZ("role", c->name), LOGN("pid", c->pid),
	    LOGZ("why", why));
	kill(c->pid, SIGKILL);
	c->state = CHILD_ENDING;
}

static bool
wants_dns(const struct conf *c)
{
	return c->dns[0] != '\0';
}

static bool
wants_fetch(const struct conf *c)
{
	return c->oauth_introspect_url[0] != '\0' || c->dns[0] != '\0'; /* MTA-STS */
}

static bool
wants_gssapi(const struct conf *c)
{
	return c->gssapi_keytab[0] != '\0';
}

static bool
wants_gssapi_out(const struct conf *c)
{
	return c->gssapi_client_keytab[0] != '\0';
}

static bool
wants_relay(const struct conf *c)
{
	return true; /* but not in maintenance: nothing leaves then */
}

/* In the order of their start. */
static const struct kind {
	enum ipc_role role;
	bool many;
	bool (*wanted)(const struct conf *c); /* NULL: always, and nothing works without it */
} kinds[] = {
	{ ROLE_STORE, false, NULL },
	{ ROLE_READER, true, NULL },
	{ ROLE_AUTH, false, NULL },
	{ ROLE_DNS, false, wants_dns },
	{ ROLE_FETCH, false, wants_fetch },
	{ ROLE_GSSAPI, false, wants_gssapi },
	{ ROLE_GSSAPI_OUT, false, wants_gssapi_out },
	{ ROLE_RELAY, true, wants_relay },
	{ ROLE_FRONT, true, NULL },
};

static const struct kind *
kind_of(enum ipc_role role)
{
	size_t i = 0;
	while (kinds[i].role != role)
		check(++i < ARRAY_LEN(kinds));
	return &kinds[i];
}

/* By the configuration of now. */
static bool
is_wanted(const struct child *c)
{
	const struct kind *k = kind_of(c->role);
	return !k->wanted || (!c->parent->options->maintenance && k->wanted(c->parent->conf));
}

bool
children_ready(const struct parent *p)
{
	for (unsigned i = 0; i < p->n_children; i++) {
		const struct child *c = &p->children[i];
		if (!is_wanted(c))
			continue;
		if (c->state != CHILD_READY || (c->role == ROLE_FRONT && !c->has_listeners))
			return false;
	}
	return p->phase == PHASE_RUN;
}

struct child *
child_of(struct parent *p, enum ipc_role role)
{
	unsigned turn = role == ROLE_READER ? p->next_reader++ : 0;
	struct child *found = NULL;

	for (unsigned i = 0; i < p->n_children; i++) {
		struct child *c = &p->children[(i + turn) % p->n_children];
		if (c->role != role || !c->chan)
			continue;
		if (c->state == CHILD_READY)
			return c;
		if (c->state == CHILD_STARTING)
			found = c;
	}
	return found;
}

/* A front gets its listeners when it and the store are ready: a stranger never meets a server
 * that does not know yet who lives here. */
static void
give_listeners(struct parent *p)
{
	bool stored = false;
	for (unsigned i = 0; i < p->n_children; i++)
		stored |= p->children[i].role == ROLE_STORE && p->children[i].state == CHILD_READY;
	if (!stored || p->phase != PHASE_RUN)
		return;
	for (unsigned i = 0; i < p->n_children; i++) {
		struct child *c = &p->children[i];
		if (c->role == ROLE_FRONT && c->state == CHILD_READY && !c->has_listeners)
			handout_listeners(c);
	}
}

static bool
on_ready(struct child *c, const struct ipc_frame *f)
{
	struct parent *p = c->parent;
	struct msg_ready m;

	if (c->state != CHILD_STARTING)
		return c->state == CHILD_ENDING;
	if (!msg_ready_get(f->body, &m))
		return false;
	c->state = CHILD_READY;
	c->ever_ready = true;
	c->layers = m.layers;
	c->uid = m.uid;
	LOG(LOG_INFO, 0, "role-ready", LOGZ("role", c->name), LOGN("pid", c->pid),
	    LOGN("uid", m.uid), LOGN("ms", loop_now(p->loop) - c->started));
	give_listeners(p);
	if (!p->said_ready && children_ready(p)) {
		p->said_ready = true;
		LOG(LOG_INFO, 0, "ready", LOGN("listeners", p->listeners.n),
		    LOGN("fronts", p->n_fronts));
	}
	return true;
}

static bool
on_status(struct child *c, const struct ipc_frame *f)
{
	struct msg_status m;
	if (!msg_status_get(f->body, &m))
		return false;
	status_answer(c, f->id, &m);
	figures_status(c, f->id, &m);
	return true;
}

/* All that a role may say to parent. */
static const struct {
	uint16_t type;
	bool (*run)(struct child *c, const struct ipc_frame *f);
} messages[] = {
	{ IPC_READY, on_ready },
	{ IPC_STATUS, on_status },
	{ IPC_FAULT_TAKEN, fault_taken },
	{ IPC_UNIX_ASK, onward_socket },
	{ IPC_FIGURES_ASK, figures_ask },
	{ IPC_FIGURES, figures_rows },
};

static void
on_frame(void *arg, struct chan *ch, const struct ipc_frame *f)
{
	struct child *c = arg;
	bool fine = false;

	if (f->fd >= 0)
		close(f->fd);
	else
		for (size_t i = 0; i < ARRAY_LEN(messages); i++)
			if (messages[i].type == f->type)
				fine = messages[i].run(c, f);
	if (fine)
		return;
	char why[64];
	snprintf(why, sizeof(why), "malformed or unexpected message %u", f->type);
	c->chan = chan_free(c->chan);
	status_child_gone(c);
	figures_child_gone(c);
	child_kill(c, why);
}

/* A role that closes its channel ends by itself; one that does not is helped. While we stop,
 * the time of the phase counts instead: a store may still be writing. */
static void
on_gone(void *arg, struct chan *ch, const char *why)
{
	struct child *c = arg;
	c->chan = chan_free(c->chan);
	status_child_gone(c);
	figures_child_gone(c);
	if (why)
		child_kill(c, why);
	else if (c->state != CHILD_ENDING)
		loop_timer_set(c->timer, CHILD_GRACE_MS, 0);
}

static const struct chan_handler handler = { on_frame, on_gone, NULL };

static void
on_timer(void *arg)
{
	struct child *c = arg;
	if (c->pid)
		child_kill(c, "did not end when it should");
	else if (c->parent->phase == PHASE_RUN)
		start(c);
}

static void
later(struct child *c)
{
	c->state = CHILD_DOWN;
	loop_timer_set(c->timer, child_backoff_ms(c->fails), 0);
}

static int
spawn(struct child *c)
{
	char title[40];
	int pair[2];
	int r = chan_pair(pair);
	if (r < 0)
		return r;
	snprintf(title, sizeof(title), "pennypost: %s", c->name);
	char flag[] = "--role", role[16];
	str_copy(role, sizeof(role), str_of(ipc_role_name[c->role]));
	char *argv[] = { title, flag, role, NULL };
	pid_t pid = spawn_self(argv, pair[1]);
	close(pair[1]);
	if (pid < 0) {
		close(pair[0]);
		return pid;
	}
	c->pid = pid;
	c->chan = chan_new(c->parent->loop, pair[0], &handler, c);
	if (!c->chan)
		child_kill(c, "no memory or descriptor for its channel");
	return 0;
}

static void
start(struct child *c)
{
	struct parent *p = c->parent;

	c->started = loop_now(p->loop);
	c->has_listeners = false;
	c->layers = c->uid = 0;
	int r = spawn(c);
	if (r < 0) {
		c->fails++;
		LOG(LOG_ERROR, 0, "role-not-started", LOGZ("role", c->name),
		    LOGZ("why", strerror(-r)), LOGN("again-ms", child_backoff_ms(c->fails)));
		if (child_early_death(c, c->started) && !kind_of(c->role)->wanted)
			stop_fail(p, c->name, "cannot be started");
		else
			later(c);
		return;
	}
	if (!c->chan)
		return;
	c->state = CHILD_STARTING;
	LOG(LOG_DEBUG, 0, "role-started", LOGZ("role", c->name), LOGN("pid", c->pid));
	handout_new(c);
}

static void
ended(struct child *c, int status)
{
	struct parent *p = c->parent;
	int64_t now = loop_now(p->loop);
	bool told = p->phase != PHASE_RUN || c->renew || !is_wanted(c);

	spawn_status_text(status, c->last);
	LOG(told && status == 0 ? LOG_INFO : LOG_ERROR, 0, "role-ended", LOGZ("role", c->name),
	    LOGN("pid", c->pid), LOGZ("how", c->last), LOGN("lived-ms", now - c->started));
	c->pid = 0;
	c->state = CHILD_DOWN;
	c->chan = chan_free(c->chan);
	status_child_gone(c);
	figures_child_gone(c);
	loop_timer_stop(c->timer);
	if (p->phase != PHASE_RUN)
		return;
	if (told) {
		c->renew = false;
		c->fails = 0;
		c->state = CHILD_IDLE;
		if (is_wanted(c))
			start(c);
		return;
	}
	c->fails = now - c->started >= CHILD_LIFE_MS ? 1 : c->fails + 1;
	if (child_early_death(c, now) && !kind_of(c->role)->wanted) {
		stop_fail(p, c->name, c->last);
		return;
	}
	c->restarts++;
	later(c);
}

void
children_reap(struct parent *p)
{
	int status;
	for (pid_t pid; (pid = spawn_reap(&status)) > 0;)
		for (unsigned i = 0; i < p->n_children; i++)
			if (p->children[i].pid == pid) {
				ended(&p->children[i], status);
				break;
			}
	stop_step(p);
}

static void
child_init(struct parent *p, struct child *c, const struct kind *k, unsigned index)
{
	*c = (struct child){
		.parent = p, .role = k->role, .index = index, .tally = -1, .state = CHILD_IDLE
	};
	if (k->many)
		snprintf(c->name, sizeof(c->name), "%s.%u", ipc_role_name[k->role], index);
	else
		snprintf(c->name, sizeof(c->name), "%s", ipc_role_name[k->role]);
	c->timer = loop_timer_new(p->loop, on_timer, c);
}

void
children_init(struct parent *p)
{
	p->children = xalloc((ARRAY_LEN(kinds) + p->n_readers + p->n_fronts + p->n_relays) *
			     sizeof(*p->children));
	for (size_t r = 0; r < ARRAY_LEN(kinds); r++) {
		enum ipc_role role = kinds[r].role;
		unsigned n = role == ROLE_FRONT    ? p->n_fronts
		             : role == ROLE_READER ? p->n_readers
		             : role == ROLE_RELAY  ? p->n_relays
		                                   : 1;
		for (unsigned i = 0; i < n; i++)
			child_init(p, &p->children[p->n_children++], &kinds[r], i);
	}
}

void
children_start(struct parent *p)
{
	for (unsigned i = 0; i < p->n_children && p->phase == PHASE_RUN; i++)
		if (is_wanted(&p->children[i]))
			start(&p->children[i]);
}

/* Asked to finish what is open; the reaping decides how it goes on. */
static void
end(struct child *c)
{
	struct buf b = BUF_INIT(16);
	if (c->pid == 0) {
		loop_timer_stop(c->timer);
		c->state = CHILD_IDLE;
		return;
	}
	if (c->state == CHILD_ENDING)
		return;
	msg_u32_put(&b, CHILD_GRACE_MS);
	if (c->chan)
		chan_send(c->chan, IPC_DRAIN, 0, buf_str(&b), -1);
	buf_done(&b);
	c->state = CHILD_ENDING;
	loop_timer_set(c->timer, 2 * CHILD_GRACE_MS, 0);
}

void
children_adjust(struct parent *p, bool dns_changed)
{
	for (unsigned i = 0; i < p->n_children && p->phase == PHASE_RUN; i++) {
		struct child *c = &p->children[i];
		if (!kind_of(c->role)->wanted)
			continue;
		if (!is_wanted(c)) {
			end(c);
		} else if (c->state == CHILD_IDLE) {
			start(c);
		} else if (c->role == ROLE_DNS && dns_changed && c->pid) {
			c->renew = true;
			end(c);
		}
	}
}

void
children_done(struct parent *p)
{
	for (unsigned i = 0; i < p->n_children; i++) {
		struct child *c = &p->children[i];
		check(c->pid == 0);
		chan_free(c->chan);
		loop_timer_free(c->timer);
		if (c->tally >= 0)
			close(c->tally);
	}
	free(p->children);
	p->children = NULL;
	p->n_children = 0;
}
