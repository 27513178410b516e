#include "roles/parent/parent_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define HEAD_FIELDS 8

struct row {
	bool asked; /* and the answer may still come */
	bool got;
	bool missed;
	struct msg_status m;
};

struct status_ask {
	struct list node; /* parent->statuses */
	struct parent *parent;
	struct desk_ask *ask;
	bool rows;
	uint64_t id; /* as the roles were asked */
	struct loop_timer *timer;
	struct row row[]; /* by child */
};

struct line {
	struct str field[HEAD_FIELDS + STATUS_KEY_COUNT];
	char text[HEAD_FIELDS + STATUS_KEY_COUNT][24];
};

_Static_assert(HEAD_FIELDS + STATUS_KEY_COUNT <= ROW_FIELDS_MAX, "a status row is too long");

static const char *const state_name[] = {
	[CHILD_IDLE] = "idle",
	[CHILD_DOWN] = "down",
	[CHILD_STARTING] = "starting",
	[CHILD_READY] = "ready",
	[CHILD_ENDING] = "ending",
};

static void
number(struct line *l, unsigned i, uint64_t v)
{
	int n = snprintf(l->text[i], sizeof(l->text[i]), "%llu", (unsigned long long)v);
	l->field[i] = str_n(l->text[i], (size_t)n);
}

/* role index pid state layers uid restarts uptime_ms */
static void
head(struct line *l, enum ipc_role role, unsigned index, pid_t pid, const char *state)
{
	*l = (struct line){ 0 };
	for (size_t i = 0; i < ARRAY_LEN(l->field); i++)
		l->field[i] = STR("");
	l->field[0] = str_of(ipc_role_name[role]);
	number(l, 1, index);
	number(l, 2, (uint64_t)pid);
	l->field[3] = str_of(state);
}

static void
rest(struct line *l, uint32_t layers, uint32_t uid, uint64_t restarts, int64_t uptime)
{
	number(l, 4, layers);
	number(l, 5, uid);
	number(l, 6, restarts);
	number(l, 7, uptime > 0 ? (uint64_t)uptime : 0);
}

/* Any front may be the one that the kernel gives most connections to. */
uint64_t
status_connections_max(const struct parent *p)
{
	uint64_t room = p->files > CONF_SPARE_FILES ? p->files - CONF_SPARE_FILES : 0;
	return MIN(MIN(p->conf->limit_conns_total, (uint64_t)CONF_CONNS_SANE), room);
}

void
status_listeners(struct parent *p, struct desk_ask *a)
{
	for (size_t i = 0; i < p->listeners.n; i++) {
		const struct listener *l = &p->listeners.row[i];
		struct buf address = BUF_INIT(8192), port = BUF_INIT(16);
		buf_putf(&address, "%s%s", l->path ? "unix:" : "", l->path ? l->path : l->address);
		if (!l->path)
			buf_putf(&port, "%u", l->port);
		struct str field[] = { str_of(p->conf->listeners[i].protocol), buf_str(&address),
			buf_str(&port) };
		desk_row(a, field, ARRAY_LEN(field));
		buf_done(&address);
		buf_done(&port);
	}
	desk_done(a, CTL_OK, "%s", "");
}

static void
parent_line(const struct parent *p, struct desk_ask *a)
{
	struct line l;
	const char *state = children_ready(p) ? "ready" : "starting";
	if (p->phase != PHASE_RUN)
		state = "ending";
	head(&l, ROLE_PARENT, 0, getpid(), state);
	rest(&l, p->layers, geteuid(), 0, loop_now(p->loop) - p->started);
	if (p->n_fronts)
		number(&l, HEAD_FIELDS + STATUS_CONNECTIONS_MAX, status_connections_max(p));
	desk_row(a, l.field, ARRAY_LEN(l.field));
}

static void
child_line(const struct child *c, const struct row *r, struct desk_ask *a)
{
	struct line l;
	head(&l, c->role, c->index, c->pid, r->missed ? "not answering" : state_name[c->state]);
	rest(&l, c->layers, c->uid, c->restarts,
	    c->pid ? loop_now(c->parent->loop) - c->started : 0);
	for (unsigned k = 0; r->got && k < STATUS_KEY_COUNT; k++)
		if (r->m.have >> k & 1)
			number(&l, HEAD_FIELDS + k, r->m.value[k]);
	desk_row(a, l.field, ARRAY_LEN(l.field));
}

static void
ask_free(struct status_ask *s)
{
	list_del(&s->node);
	loop_timer_free(s->timer);
	free(s);
}

static void
finish(struct status_ask *s)
{
	struct parent *p = s->parent;
	if (s->rows)
		parent_line(p, s->ask);
	for (unsigned i = 0; s->rows && i < p->n_children; i++)
		if (p->children[i].state != CHILD_IDLE)
			child_line(&p->children[i], &s->row[i], s->ask);
	desk_done(s->ask, CTL_OK, "%s", "");
	ask_free(s);
}

static void
finish_if_complete(struct status_ask *s)
{
	for (unsigned i = 0; i < s->parent->n_children; i++)
		if (s->row[i].asked)
			return;
	finish(s);
}

static void
on_time(void *arg)
{
	struct status_ask *s = arg;
	for (unsigned i = 0; i < s->parent->n_children; i++)
		s->row[i].missed = s->row[i].asked;
	finish(s);
}

void
status_begin(struct parent *p, struct desk_ask *a, bool rows)
{
	struct status_ask *s = xalloc(sizeof(*s) + p->n_children * sizeof(s->row[0]));
	s->parent = p;
	s->ask = a;
	s->rows = rows;
	s->id = ++p->next_status;
	s->timer = loop_timer_new(p->loop, on_time, s);
	loop_timer_set(s->timer, STATUS_WAIT_MS, 0);
	list_add_tail(&p->statuses, &s->node);
	for (unsigned i = 0; i < p->n_children; i++) {
		struct child *c = &p->children[i];
		if (!c->chan || c->state != CHILD_READY)
			continue;
		s->row[i].asked = true;
		chan_send(c->chan, IPC_STATUS_ASK, s->id, STR_NULL, -1);
	}
	finish_if_complete(s);
}

void
status_answer(struct child *c, uint64_t id, const struct msg_status *m)
{
	list_each(n, &c->parent->statuses)
	{
		struct status_ask *s = list_entry(n, struct status_ask, node);
		struct row *r = &s->row[c - c->parent->children];
		if (s->id != id || !r->asked)
			continue;
		r->asked = false;
		r->got = true;
		r->m = *m;
		finish_if_complete(s);
	}
}

void
status_child_gone(struct child *c)
{
	list_each(n, &c->parent->statuses)
	{
		struct status_ask *s = list_entry(n, struct status_ask, node);
		struct row *r = &s->row[c - c->parent->children];
		if (!r->asked)
			continue;
		r->asked = false;
		finish_if_complete(s);
	}
}

void
status_end(struct parent *p)
{
	list_each(n, &p->statuses)
	{
		struct status_ask *s = list_entry(n, struct status_ask, node);
		finish(s);
	}
}
