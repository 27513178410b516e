/*
 * Figures of all roles for a front that was asked for them: everybody is asked for its counters,
 * those that have more for rows. What comes is sent on as it comes; an empty message ends it.
 */
#include "roles/parent/parent_priv.h"

#include "metrics/metrics.h"

#include <stdio.h>
#include <stdlib.h>

#define ASKS_MAX 8 /* open ones of one front */

struct figures {
	struct list node; /* parent->figures */
	struct parent *parent;
	struct child *asker;
	uint64_t asker_id, id;
	struct loop_timer *timer;
	struct {
		bool status, rows; /* are to come */
	} waits[];                 /* by child */
};

static void
figures_free(struct figures *f)
{
	list_del(&f->node);
	loop_timer_free(f->timer);
	free(f);
}

static void
say(struct figures *f, struct str rows)
{
	struct chan *ch = f->asker->chan;
	if (ch && chan_pending(ch) <= IPC_HIGH_WATER)
		chan_send(ch, IPC_FIGURES, f->asker_id, rows, -1);
}

static void
end(struct figures *f)
{
	say(f, STR_NULL);
	figures_free(f);
}

static void
end_if_complete(struct figures *f)
{
	for (unsigned i = 0; i < f->parent->n_children; i++)
		if (f->waits[i].status || f->waits[i].rows)
			return;
	end(f);
}

/* --- what counters come to --- */

static const struct {
	enum status_key key;
	enum metric metric;
	const char *label, *value;
} counters[] = {
	{ STATUS_CONNECTIONS_SMTP, METRIC_CONNECTIONS, "protocol", "smtp" },
	{ STATUS_CONNECTIONS_IMAP, METRIC_CONNECTIONS, "protocol", "imap" },
	{ STATUS_CONNECTIONS_POP3, METRIC_CONNECTIONS, "protocol", "pop3" },
	{ STATUS_CONNECTIONS_ALL, METRIC_CONNECTIONS_TOTAL },
	{ STATUS_REFUSED, METRIC_REFUSED },
	{ STATUS_TLS, METRIC_TLS_SESSIONS },
	{ STATUS_TLS_HANDSHAKES, METRIC_TLS_HANDSHAKES, "result", "ok" },
	{ STATUS_LOG_DROPPED, METRIC_LOG_DROPPED },
	{ STATUS_LOGINS_FAILED, METRIC_LOGINS, "result", "failed" },
	{ STATUS_SIGNATURES, METRIC_SIGNATURES },
	{ STATUS_LOOKUPS, METRIC_LOOKUPS },
	{ STATUS_GROUPS, METRIC_GROUPS },
	{ STATUS_GROUP_LETTERS, METRIC_GROUP_LETTERS },
	{ STATUS_INDEX_COMMITS, METRIC_INDEX_COMMITS },
	{ STATUS_SEGMENTS, METRIC_SEGMENTS },
	{ STATUS_LOG_SIZE, METRIC_LOG_BYTES, "kind", "all" },
	{ STATUS_LOG_LIVE, METRIC_LOG_BYTES, "kind", "live" },
	{ STATUS_SPACE_FREE, METRIC_FREE_BYTES },
	{ STATUS_BODY_MEMORY, METRIC_BODY_MEMORY },
	{ STATUS_ACCOUNTS, METRIC_ACCOUNTS },
	{ STATUS_COMPACTIONS, METRIC_COMPACTIONS },
	{ STATUS_CHECKPOINTS, METRIC_CHECKPOINTS },
	{ STATUS_RESERVE, METRIC_RESERVE },
	{ STATUS_CONNECTIONS_OUT, METRIC_CONNECTIONS_OUT },
	{ STATUS_SENT, METRIC_SENT },
};

static bool
have(const struct msg_status *m, enum status_key key)
{
	return m->have >> key & 1;
}

static void
put_counters(struct buf *b, const struct child *c, const struct msg_status *m)
{
	for (size_t i = 0; i < ARRAY_LEN(counters); i++) {
		struct metric_label l = { counters[i].label, str_of(counters[i].value) };
		if (have(m, counters[i].key))
			metrics_put(b, counters[i].metric, &l, counters[i].label != NULL,
			    m->value[counters[i].key]);
	}
	if (have(m, STATUS_LETTERS) && (c->role == ROLE_FRONT || c->role == ROLE_STORE))
		METRICS_PUT(b, c->role == ROLE_FRONT ? METRIC_LETTERS : METRIC_STORED,
		    m->value[STATUS_LETTERS]);
	if (have(m, STATUS_LOGINS)) {
		uint64_t all = m->value[STATUS_LOGINS], failed = m->value[STATUS_LOGINS_FAILED];
		struct metric_label ok = { "result", STR("ok") };
		metrics_put(b, METRIC_LOGINS, &ok, 1, all > failed ? all - failed : 0);
	}
	if (have(m, STATUS_DURABLE_LSN))
		METRICS_PUT(b, METRIC_INDEX_LAG,
		    m->value[STATUS_DURABLE_LSN] != m->value[STATUS_APPLIED_LSN]);
}

/* --- what parent itself knows --- */

static void
put_process(struct buf *b, const struct parent *p, const struct child *c)
{
	char index[12];
	int n = snprintf(index, sizeof(index), "%u", c->index);
	const struct metric_label labels[] = { { "role", str_of(ipc_role_name[c->role]) },
		{ "index", str_n(index, (size_t)n) } };
	int64_t up = c->pid ? loop_now(p->loop) - c->started : 0;
	metrics_put(b, METRIC_UP, labels, 2, c->state == CHILD_READY);
	metrics_put(b, METRIC_RESTARTS, labels, 2, c->restarts);
	metrics_put(b, METRIC_UPTIME, labels, 2, up > 0 ? (uint64_t)up / 1000 : 0);
}

static void
say_own(struct figures *f)
{
	const struct parent *p = f->parent;
	struct buf rows = BUF_INIT(METRICS_ROWS_MAX);
	for (unsigned i = 0; i < p->n_children; i++)
		if (p->children[i].state != CHILD_IDLE)
			put_process(&rows, p, &p->children[i]);
	METRICS_PUT(&rows, METRIC_CONNECTIONS_MAX, status_connections_max(p));
	say(f, buf_str(&rows));
	buf_done(&rows);
}

/* --- */

static void
on_time(void *arg)
{
	end(arg);
}

static bool
has_rows(const struct child *c)
{
	return c->role == ROLE_FRONT || c->role == ROLE_STORE || c->role == ROLE_RELAY;
}

bool
figures_ask(struct child *c, const struct ipc_frame *m)
{
	struct parent *p = c->parent;
	size_t open = 0;
	list_each(n, &p->figures) open += list_entry(n, struct figures, node)->asker == c;
	if (c->role != ROLE_FRONT || m->body.len)
		return false;
	struct figures *f = xalloc(sizeof(*f) + p->n_children * sizeof(f->waits[0]));
	f->parent = p;
	f->asker = c;
	f->asker_id = m->id;
	f->id = ++p->next_status;
	f->timer = loop_timer_new(p->loop, on_time, f);
	list_add_tail(&p->figures, &f->node);
	if (open >= ASKS_MAX) {
		end(f);
		return true;
	}
	loop_timer_set(f->timer, STATUS_WAIT_MS, 0);
	say_own(f);
	for (unsigned i = 0; i < p->n_children; i++) {
		struct child *k = &p->children[i];
		if (!k->chan || k->state != CHILD_READY)
			continue;
		f->waits[i].status = true;
		chan_send(k->chan, IPC_STATUS_ASK, f->id, STR_NULL, -1);
		f->waits[i].rows = has_rows(k);
		if (f->waits[i].rows)
			chan_send(k->chan, IPC_FIGURES_ASK, f->id, STR_NULL, -1);
	}
	end_if_complete(f);
	return true;
}

static struct figures *
find(struct child *c, uint64_t id)
{
	list_each(n, &c->parent->figures)
	{
		struct figures *f = list_entry(n, struct figures, node);
		if (f->id == id)
			return f;
	}
	return NULL;
}

bool
figures_rows(struct child *c, const struct ipc_frame *m)
{
	struct figures *f = find(c, m->id);
	bool *waits = f ? &f->waits[c - c->parent->children].rows : NULL;
	if (!has_rows(c) || m->body.len > METRICS_ROWS_MAX)
		return false;
	if (!waits || !*waits)
		return true; /* too late */
	*waits = false;
	if (m->body.len)
		say(f, m->body);
	end_if_complete(f);
	return true;
}

void
figures_status(struct child *c, uint64_t id, const struct msg_status *m)
{
	struct figures *f = find(c, id);
	bool *waits = f ? &f->waits[c - c->parent->children].status : NULL;
	if (!waits || !*waits)
		return;
	struct buf rows = BUF_INIT(METRICS_ROWS_MAX);
	*waits = false;
	put_counters(&rows, c, m);
	if (rows.len)
		say(f, buf_str(&rows));
	buf_done(&rows);
	end_if_complete(f);
}

void
figures_child_gone(struct child *c)
{
	list_each(n, &c->parent->figures)
	{
		struct figures *f = list_entry(n, struct figures, node);
		size_t at = (size_t)(c - c->parent->children);
		bool waited = f->waits[at].status || f->waits[at].rows;
		f->waits[at].status = f->waits[at].rows = false;
		if (f->asker == c)
			figures_free(f);
		else if (waited)
			end_if_complete(f);
	}
}

void
figures_end(struct parent *p)
{
	list_each(n, &p->figures) figures_free(list_entry(n, struct figures, node));
}
