/* Destinations: jobs that wait, connections that serve them. */
#include "roles/relay/relay_priv.h"

#include <stdlib.h>
#include <string.h>

static void
on_serve(void *arg)
{
	dest_serve(arg);
}

static bool
leads_to(const struct conf_route *route, struct str target)
{
	bool mx = strcmp(route->via, "mx") == 0 && str_starts(target, STR("mx:"));
	return mx || str_eq(str_of(route->via), target);
}

/* A route that leads elsewhere by now is none: its secrets are for other servers. */
static void
find_route(struct dest *d)
{
	const struct conf *c = d->relay->conf;
	struct str key = str_of(d->key), target = str_first(key, str_find(key, '\n'));
	const struct conf_route *route = NULL;
	/* Without a match the configuration has changed since store chose the target: the host
	 * tells the route. */
	if (d->match.len)
		route = conf_route_find(c, d->match);
	else if (d->target.kind == TARGET_MX)
		route = conf_route_for(c, d->target.host);
	else
		for (size_t i = 0; i < c->n_routes && !route; i++)
			if (strcmp(c->routes[i].via, d->key) == 0)
				route = &c->routes[i];
	d->route = route && leads_to(route, target) ? route : NULL;
}

struct str
dest_match(const struct relay *r, struct str domain, struct str target)
{
	const struct conf_route *route = conf_route_for(r->conf, domain);
	return route && leads_to(route, target) ? str_of(route->match) : STR_NULL;
}

struct dest *
dest_find(struct relay *r, struct str target, struct str match, uint64_t turn)
{
	struct buf key = BUF_INIT(TARGET_MAX + 1024);
	buf_puts(&key, target);
	if (turn)
		buf_putf(&key, "\n%llu", (unsigned long long)turn);
	else if (match.len)
		buf_putf(&key, "\n" STR_FMT, STR_ARG(match));
	check(!key.failed);
	struct dest *d = map_get(&r->dest_map, buf_str(&key));
	if (!d) {
		d = xalloc(sizeof(*d));
		*d = (struct dest){ .relay = r,
			.key = str_dup(buf_str(&key)),
			.mx_octets = BUF_INIT(IPC_BODY_MAX),
			.sts_text = BUF_INIT(STS_POLICY_MAX),
			.window = 1 };
		check(target_parse(str_n(d->key, target.len), &d->target));
		d->match = turn ? STR_NULL : str_skip(str_of(d->key), target.len + 1);
		list_init(&d->waiting);
		list_init(&d->conns);
		loop_defer_init(&d->serve, on_serve, d);
		list_add_tail(&r->dests, &d->node);
		map_put(&r->dest_map, buf_str(&key), d);
		find_route(d);
	}
	buf_done(&key);
	return d;
}

static void
dest_free(struct dest *d)
{
	struct relay *r = d->relay;
	turn_closed(d);
	check(list_empty(&d->waiting) && list_empty(&d->conns));
	if (d->look_id)
		map_del(&r->looks, relay_key(&d->look_id));
	loop_defer_del(&d->serve);
	list_del(&d->node);
	map_del(&r->dest_map, str_of(d->key));
	plan_unref(d->plan);
	buf_done(&d->mx_octets);
	buf_done(&d->sts_text);
	free(d->key);
	free(d);
}

void
dest_stir(struct dest *d)
{
	loop_defer_add(d->relay->role.loop, &d->serve);
}

void
dest_add(struct dest *d, struct job *j)
{
	j->dest = d;
	j->state = JOB_WAITS;
	d->window = MAX(j->msg.window, 1);
	list_add_tail(&d->waiting, &j->node);
	d->n_waiting++;
	dest_stir(d);
}

void
dest_remove(struct job *j)
{
	if (list_empty(&j->node))
		return;
	list_del(&j->node);
	j->dest->n_waiting--;
}

/* There is no way there: all that wait are told, but those that may go to hosts that are barred. */
static void
fail_all(struct dest *d)
{
	const struct plan *p = d->plan;
	list_each(n, &d->waiting)
	{
		struct job *j = list_entry(n, struct job, node);
		if (p->n > 0 && !relay_job_is_barred(j, &p->hosts[0]))
			continue;
		relay_job_note_route(j, d);
		relay_job_notef(j, "%s", p->why);
		relay_job_fate_rest(j, p->for_ever ? JOB_REFUSED : JOB_LATER, 0, p->status,
		    str_of(p->why));
		j->trouble = p->trouble;
		j->dead = !p->for_ever;
		relay_job_done(j);
	}
}

/* Its route leads elsewhere: store chooses anew. */
static void
give_back(struct dest *d)
{
	list_each(n, &d->waiting)
	{
		struct job *j = list_entry(n, struct job, node);
		relay_job_notef(j, "the route " STR_FMT " has changed meanwhile",
		    STR_ARG(d->match));
		relay_job_done(j);
	}
}

static struct conn *
free_conn(struct dest *d, const struct job *j)
{
	list_each(n, &d->conns)
	{
		struct conn *c = list_entry(n, struct conn, node);
		if (c->state == CONN_IDLE && relay_conn_suits(c, j))
			return c;
	}
	return NULL;
}

/* A letter that needs another TLS than the open connections have may close one that is idle. */
static bool
make_room(struct dest *d)
{
	list_each(n, &d->conns)
	{
		struct conn *c = list_entry(n, struct conn, node);
		if (c->state != CONN_IDLE)
			continue;
		relay_conn_close(c);
		return true;
	}
	return false;
}

static size_t
most_conns(const struct dest *d)
{
	size_t n = d->window;
	if (d->route && d->route->max_connections)
		n = MIN(n, (size_t)d->route->max_connections);
	return n;
}

/* Letters with REQUIRETLS that a turned connection without TLS does not get. */
static void
keep_back(struct dest *d)
{
	list_each(n, &d->waiting)
	{
		struct job *j = list_entry(n, struct job, node);
		enum plan_tls need;
		const char *why;
		if (j->fetch || !d->plan || d->plan->n == 0 ||
		    plan_for_letter(&d->plan->hosts[0], j->entry.flags & ONWARD_REQUIRETLS,
			j->entry.flags & ONWARD_TLS_OPTIONAL, &need, &why))
			continue;
		why = "the letter needs TLS (REQUIRETLS), and whoever fetches it has none";
		dest_remove(j);
		relay_job_notef(j, "%s", why);
		relay_job_fate_rest(j, JOB_LATER, 0, "4.7.5", str_of(why));
		j->trouble = JOB_TROUBLE_TLS;
		relay_job_done(j);
	}
}

/* A turned connection is the only way, and when it is gone there is none. */
static void
serve_turn(struct dest *d)
{
	keep_back(d);
	int fd = d->turn && !list_empty(&d->waiting) ? turn_take_fd(d->turn) : -1;
	list_each(n, &d->waiting)
	{
		struct job *j = list_entry(n, struct job, node);
		struct conn *idle = free_conn(d, j);
		if (!idle && fd < 0 && d->n_conns > 0)
			return;
		dest_remove(j);
		if (idle)
			relay_conn_give(idle, j);
		else if (fd >= 0)
			relay_conn_adopt(d, j, fd);
		else
			relay_job_done(j);
		fd = -1;
	}
}

void
dest_serve(struct dest *d)
{
	if (d->target.kind == TARGET_TURN) {
		serve_turn(d);
		return;
	}
	struct relay *r = d->relay;
	int64_t now = loop_now(r->role.loop);
	if (list_empty(&d->waiting))
		return;
	if (d->match.len && !d->route) {
		give_back(d);
		return;
	}
	if (d->look == LOOK_ASKED)
		return;
	if (d->look == LOOK_NONE || now >= d->look_until) {
		list_each(n, &d->waiting)
		    relay_job_stage(list_entry(n, struct job, node), JOB_LOOKING, "");
		look_begin(d);
		return; /* look_done() stirs */
	}
	if (!d->plan->ok)
		fail_all(d);
	while (!list_empty(&d->waiting)) {
		struct job *j = list_entry(d->waiting.next, struct job, node);
		struct conn *c = free_conn(d, j);
		if (!c && d->n_conns >= most_conns(d) && !make_room(d))
			return;
		dest_remove(j);
		if (c)
			relay_conn_give(c, j);
		else
			relay_conn_new(d, j);
	}
}

/* --- now and then --- */

static void
tick(struct dest *d, int64_t now)
{
	if (d->look == LOOK_ASKED && now >= d->look_until) {
		d->mx = (struct msg_mx){ .verdict = MX_LATER,
			.why = STR("the way to the domain was not found out in time") };
		look_done(d);
	}
	if (d->relay->role.draining) {
		list_each(n, &d->waiting)
		{
			struct job *j = list_entry(n, struct job, node);
			relay_job_done(j);
		}
		list_each(n, &d->conns)
		{
			struct conn *c = list_entry(n, struct conn, node);
			if (c->state == CONN_IDLE)
				relay_conn_close(c);
		}
	}
	bool used = !list_empty(&d->waiting) || !list_empty(&d->conns) || d->look == LOOK_ASKED;
	if (used)
		d->idle_since = now;
	else if (now - d->idle_since > DEST_KEEP_MS || d->relay->role.draining)
		dest_free(d);
}

void
dests_tick(struct relay *r)
{
	int64_t now = loop_now(r->role.loop);
	list_each(n, &r->dests) tick(list_entry(n, struct dest, node), now);
}

void
dests_reconf(struct relay *r)
{
	list_each(n, &r->dests)
	{
		struct dest *d = list_entry(n, struct dest, node);
		find_route(d);
		if (d->look == LOOK_DONE)
			d->look_until = 0;
		if (d->target.kind == TARGET_TURN)
			continue;
		/* They were made by the rules of before. */
		list_each(k, &d->conns)
		{
			struct conn *c = list_entry(k, struct conn, node);
			c->outdated = true;
			if (c->state == CONN_IDLE)
				relay_conn_close(c);
		}
		dest_stir(d);
	}
}

void
dests_drop(struct relay *r)
{
	list_each(n, &r->dests)
	{
		struct dest *d = list_entry(n, struct dest, node);
		list_each(k, &d->conns) relay_conn_close(list_entry(k, struct conn, node));
		dest_free(d);
	}
}
