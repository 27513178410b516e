/* Connections: one host after the other, one letter after the other. */
#include "roles/relay/relay_priv.h"

#include "sys/listen.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const unsigned char v4_prefix[12] = { [10] = 0xff, [11] = 0xff };

const struct plan_host *
relay_conn_host(const struct conn *c)
{
	return &c->plan->hosts[c->host];
}

void
relay_conn_arm(struct conn *c, int64_t ms)
{
	if (ms > 0)
		loop_timer_set(c->timer, ms, 0);
	else
		loop_timer_stop(c->timer);
}

/* --- the end of it --- */

static void
session_end(struct conn *c)
{
	relay_login_drop(c);
	c->client = smtp_client_free(c->client);
	c->order = DRIVE_NONE;
	c->waits = false;
	c->tls[0] = c->helo[0] = '\0';
	if (!c->open)
		return;
	stream_close(&c->stream);
	c->open = false;
	c->relay->n_open--;
}

/* It rests no more. */
static void
rouse(struct conn *c)
{
	if (list_empty(&c->rest))
		return;
	list_del(&c->rest);
	c->relay->n_idle--;
}

static void
bury(void *arg)
{
	struct conn *c = arg;
	free(c);
}

void
relay_conn_close(struct conn *c)
{
	if (c->dead)
		return;
	check(!c->job);
	c->dead = true;
	relay_race_end(c);
	session_end(c);
	c->timer = loop_timer_free(c->timer);
	rouse(c);
	list_del(&c->node);
	c->dest->n_conns--;
	c->plan = plan_unref(c->plan);
	free(c->verdict.text);
	c->verdict.text = NULL;
	turn_closed(c->dest);
	dest_stir(c->dest);
	loop_defer_init(&c->bury, bury, c);
	loop_defer_add(c->relay->role.loop, &c->bury);
}

static struct job *
let_go(struct conn *c)
{
	struct job *j = c->job;
	c->job = NULL;
	j->conn = NULL;
	j->ending = false;
	return j;
}

void
relay_conn_end_job(struct conn *c)
{
	struct job *j = let_go(c);
	if (j->mta[0] == '\0')
		str_copy(j->mta, sizeof(j->mta), str_of(c->mta));
	if (j->ip[0] == '\0')
		str_copy(j->ip, sizeof(j->ip), str_of(c->ip));
	str_copy(j->tls, sizeof(j->tls), str_of(c->tls));
	relay_job_done(j);
}

/* --- one host after the other --- */

/* The first host from i on that is not barred to its letter, or plan->n. */
static size_t
host_from(const struct conn *c, size_t i)
{
	while (i < c->plan->n && relay_job_is_barred(c->job, &c->plan->hosts[i]))
		i++;
	return i;
}

bool
relay_conn_is_only_host(const struct conn *c)
{
	size_t first = host_from(c, 0);
	return first == c->host && host_from(c, first + 1) >= c->plan->n;
}

static void
again_at(struct conn *c, size_t host)
{
	if (relay_conn_outdated(c))
		return;
	session_end(c);
	relay_race_end(c);
	c->letters = 0;
	c->clear = c->clear && host == c->host;
	c->host = host;
	relay_race_begin(c);
}

void
relay_conn_again(struct conn *c, bool same_host)
{
	again_at(c, same_host ? c->host : host_from(c, c->host + 1));
}

/* What was said last counts, but a host that may take it later weighs more than one that refuses.
 */
static void
remember(struct conn *c, enum job_fate f, enum job_trouble t, unsigned code, const char *status,
    struct str text)
{
	struct verdict *v = &c->verdict;
	if (v->any && v->fate == JOB_LATER && f != JOB_LATER)
		return;
	v->any = true;
	v->fate = (uint8_t)f;
	v->trouble = (uint8_t)t;
	v->code = (uint16_t)code;
	str_copy(v->status, sizeof(v->status), str_of(status));
	str_copy(v->mta, sizeof(v->mta), str_of(c->mta));
	str_copy(v->ip, sizeof(v->ip), str_of(c->ip));
	char *copy = str_dup(str_first(text, JOB_TEXT_MAX));
	free(v->text);
	v->text = copy;
}

static void
give_up(struct conn *c)
{
	struct verdict *v = &c->verdict;
	struct job *j = c->job;
	if (j && v->any) {
		relay_job_fate_rest(j, v->fate, v->code, v->status, str_of(v->text));
		j->trouble = v->trouble;
		j->dead = v->fate == JOB_LATER && !v->met;
		str_copy(j->mta, sizeof(j->mta), str_of(v->mta));
		str_copy(j->ip, sizeof(j->ip), str_of(v->ip));
	}
	if (j)
		relay_conn_end_job(c);
	relay_conn_close(c);
}

void
relay_conn_put_back(struct conn *c, const char *why)
{
	relay_job_notef(c->job, "%s", why);
	buf_reset(&c->job->tlsrpt);
	c->verdict.any = false;
	give_up(c);
}

bool
relay_conn_outdated(struct conn *c)
{
	if (c->outdated)
		relay_conn_put_back(c, "the configuration has changed meanwhile");
	return c->outdated;
}

void
relay_conn_next_host(struct conn *c, enum job_fate f, enum job_trouble t, unsigned code,
    const char *status, struct str text)
{
	remember(c, f, t, code, status, text);
	if (!c->job || c->job->cancelled || host_from(c, c->host + 1) >= c->plan->n ||
	    c->sessions >= HOSTS_TRIED_MAX)
		give_up(c);
	else
		relay_conn_again(c, false);
}

void
relay_conn_elsewhere(struct conn *c, const char *status, const char *why)
{
	relay_job_notef(c->job, "%s: %s", relay_conn_host(c)->name, why);
	drive_leave(c);
	if (c->letters > 0) { /* the connection of others, which hosts before it did not get */
		c->sessions = 0;
		again_at(c, host_from(c, 0));
		return;
	}
	relay_conn_next_host(c, JOB_REFUSED, JOB_TROUBLE_POLICY, 0, status, str_of(why));
}

void
relay_conn_loops(struct conn *c)
{
	char text[JOB_TEXT_MAX];
	snprintf(text, sizeof(text),
	    "mail for " STR_FMT " loops: %s is this server, by the name that it gives itself",
	    STR_ARG(c->dest->target.host), c->where);
	relay_job_notef(c->job, "%s", text);
	remember(c, JOB_REFUSED, JOB_TROUBLE_NAME, 0, "5.4.6", str_of(text));
	give_up(c);
}

/* --- connected --- */

/* Who refuses a letter in the middle of it and closes, with our octets unread, has the connection
 * reset: our send fails before the refusal is read, and the code decides (RFC 5321 4.2.1). */
static void
broke(struct conn *c)
{
	struct str in = stream_last_words(&c->stream);
	if (c->client)
		smtp_client_feed(c->client, in);
	stream_eat(&c->stream, in.len);
	drive_lost(c, "the connection broke");
}

static void
on_stream(void *arg, enum stream_event e)
{
	struct conn *c = arg;
	if (c->state == CONN_TURNED) {
		fetch_event(c, e);
		return;
	}
	switch (e) {
	case STREAM_INPUT: {
		struct str in = stream_input(&c->stream);
		if (c->client)
			smtp_client_feed(c->client, in);
		stream_eat(&c->stream, in.len);
		drive(c);
		break;
	}
	case STREAM_EOF:
		if (c->state == CONN_SHAKES)
			relay_secure_failed(c, "the server closed the connection");
		else
			drive_lost(c, NULL);
		break;
	case STREAM_ERROR:
		if (c->state == CONN_SHAKES)
			relay_secure_failed(c, NULL);
		else
			broke(c);
		break;
	case STREAM_SECURED:
		relay_secure_done(c);
		break;
	case STREAM_DRAINED:
		drive(c);
		break;
	}
}

void
relay_conn_name(struct conn *c, int fd, const unsigned char *addr)
{
	const struct plan_host *h = relay_conn_host(c);
	struct sys_addr own;
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	struct sockaddr_in6 sa = { .sin6_family = AF_INET6 };
	memcpy(&sa.sin6_addr, addr, 16);
	if (c->plan->port == 0) {
		snprintf(c->where, sizeof(c->where), "%s", h->name);
		c->ip[0] = '\0';
	} else {
		char v4[INET6_ADDRSTRLEN];
		struct sockaddr_in sin = { .sin_family = AF_INET };
		if (memcmp(addr, v4_prefix, 12) == 0) {
			memcpy(&sin.sin_addr, addr + 12, 4);
			sys_addr_text((struct sockaddr *)&sin, sizeof(sin), v4);
		} else {
			sys_addr_text((struct sockaddr *)&sa, sizeof(sa), v4);
		}
		str_copy(c->ip, sizeof(c->ip), str_of(v4));
		snprintf(c->where, sizeof(c->where), "%s [%s]:%u", h->name, c->ip, c->plan->port);
	}
	str_copy(c->mta, sizeof(c->mta), str_of(h->name));
	c->own_ip[0] = '\0';
	if (fd >= 0 && getsockname(fd, (struct sockaddr *)&ss, &len) == 0 &&
	    sys_addr_of((struct sockaddr *)&ss, len, &own))
		str_copy(c->own_ip, sizeof(c->own_ip), str_of(own.text));
}

void
relay_conn_opened(struct conn *c, int fd, size_t addr)
{
	int one = 1;
	if (c->plan->port)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	int e = stream_open(&c->stream, c->relay->role.loop, fd, on_stream, c);
	if (e < 0) {
		close(fd);
		relay_race_lack(c, -e);
		return;
	}
	c->open = true;
	c->relay->n_open++;
	c->sessions++;
	c->opened_ms = loop_now(c->relay->role.loop);
	c->letters = 0;
	relay_conn_name(c, fd, relay_conn_host(c)->addrs[addr]);
	relay_job_notef(c->job, "connected to %s%s%s", c->where, c->own_ip[0] ? " from " : "",
	    c->own_ip);
	relay_conn_note_policy(c);
	drive_begin(c);
}

static void
quit(struct conn *c)
{
	rouse(c);
	drive_quit(c);
}

static struct conn *
longest_idle(const struct relay *r)
{
	return r->n_idle ? list_entry(r->idle.next, struct conn, rest) : NULL;
}

bool
relay_conn_end_idle(struct relay *r)
{
	struct conn *c = longest_idle(r);
	if (c)
		relay_conn_close(c);
	return c;
}

static void
on_timer(void *arg)
{
	struct conn *c = arg;
	switch (c->state) {
	case CONN_RACES:
		relay_race_late(c);
		break;
	case CONN_SHAKES:
		relay_secure_failed(c, "the TLS handshake takes too long");
		break;
	case CONN_TALKS:
		drive_late(c);
		break;
	case CONN_IDLE:
		quit(c);
		break;
	case CONN_QUITS:
		relay_conn_close(c);
		break;
	case CONN_TURNED:
		fetch_late(c);
		break;
	}
}

/* --- jobs --- */

static void
take(struct conn *c, struct job *j)
{
	c->job = j;
	j->conn = c;
	j->state = JOB_RUNS;
	free(c->verdict.text);
	c->verdict = (struct verdict){ 0 };
	relay_job_note_route(j, c->dest);
}

void
relay_conn_new(struct dest *d, struct job *j)
{
	struct conn *c = xalloc(sizeof(*c));
	*c = (struct conn){ .relay = d->relay, .dest = d, .plan = plan_ref(d->plan) };
	c->timer = loop_timer_new(d->relay->role.loop, on_timer, c);
	list_init(&c->rest);
	list_add_tail(&d->conns, &c->node);
	d->n_conns++;
	take(c, j);
	c->host = host_from(c, 0);
	check(c->host < c->plan->n);
	relay_job_stage(j, JOB_CONNECTING, relay_conn_host(c)->name);
	if (c->plan->notes[0])
		relay_job_notef(j, "%s", c->plan->notes);
	if (!d->has_sts && d->sts_why[0])
		relay_job_notef(j, "no MTA-STS policy: %s", d->sts_why);
	relay_tell_plan(c);
	relay_race_begin(c);
}

void
relay_conn_adopt(struct dest *d, struct job *j, int fd)
{
	struct conn *c = xalloc(sizeof(*c));
	*c = (struct conn){ .relay = d->relay, .dest = d, .plan = plan_ref(d->plan) };
	c->timer = loop_timer_new(d->relay->role.loop, on_timer, c);
	list_init(&c->rest);
	list_add_tail(&d->conns, &c->node);
	d->n_conns++;
	take(c, j);
	const char *why;
	(void)relay_conn_may(c, &why);
	snprintf(c->where, sizeof(c->where), "%s, who turned the connection",
	    relay_conn_host(c)->name);
	relay_job_stage(j, JOB_TALKING, c->where);
	int e = stream_open(&c->stream, c->relay->role.loop, fd, on_stream, c);
	if (e < 0) {
		close(fd);
		relay_conn_end_job(c);
		relay_conn_close(c);
		return;
	}
	c->open = true;
	c->relay->n_open++;
	c->sessions++;
	c->opened_ms = loop_now(c->relay->role.loop);
	relay_job_notef(j, "connected to %s", c->where);
	drive_begin(c);
}

/* The way may have changed since it was opened: what was found last holds. Or NULL. */
static const struct plan_host *
host_now(const struct conn *c)
{
	return plan_host_of(c->dest->plan, str_of(relay_conn_host(c)->name));
}

/* What relay_conn_suits() went by is what its letter goes by. */
static void
take_plan(struct conn *c)
{
	const struct plan_host *h = host_now(c);
	if (!h || c->plan == c->dest->plan)
		return;
	plan_unref(c->plan);
	c->plan = plan_ref(c->dest->plan);
	c->host = (size_t)(h - c->plan->hosts);
}

void
relay_conn_give(struct conn *c, struct job *j)
{
	check(c->state == CONN_IDLE && !c->job);
	rouse(c);
	take_plan(c);
	take(c, j);
	c->state = CONN_TALKS;
	c->sessions = 1;
	const char *why;
	(void)relay_conn_may(c, &why);
	relay_job_notef(j, "on the connection to %s%s%s, which had %llu letter%s before%s%s",
	    c->where, c->own_ip[0] ? " from " : "", c->own_ip, (unsigned long long)c->letters,
	    c->letters == 1 ? "" : "s", c->tls[0] ? "; " : "", c->tls);
	relay_conn_note_policy(c);
	drive_letter(c);
}

/* What the session has shown is enough for this letter, too. */
bool
relay_conn_suits(const struct conn *c, const struct job *j)
{
	enum plan_tls need;
	const char *why;
	if (c->dead || !c->client || c->outdated)
		return false;
	const struct plan_host *h = host_now(c);
	return h &&
	       plan_for_letter(h, j->entry.flags & ONWARD_REQUIRETLS,
		   j->entry.flags & ONWARD_TLS_OPTIONAL, &need, &why) &&
	       plan_suits(c->shown, need);
}

void
relay_conn_rest(struct conn *c)
{
	const struct conf *conf = c->relay->conf;
	const struct conf_route *route = c->dest->route;
	int64_t now = loop_now(c->relay->role.loop);
	uint64_t most = route && route->max_letters ? route->max_letters : conf->relay_letters;
	size_t room = c->dest->window;
	check(!c->job);
	if (c->dest->target.kind == TARGET_TURN) {
		c->state = CONN_IDLE;
		dest_stir(c->dest);
		turn_rested(c);
		return;
	}
	if (c->letters >= most || smtp_client_is_spent(c->client) ||
	    now - c->opened_ms >= (int64_t)conf->relay_session_seconds * 1000 ||
	    c->relay->role.draining || c->outdated || c->dest->n_conns > room) {
		drive_quit(c);
		return;
	}
	if (c->relay->n_idle >= IDLE_MAX)
		quit(longest_idle(c->relay));
	list_add_tail(&c->relay->idle, &c->rest);
	c->relay->n_idle++;
	c->state = CONN_IDLE;
	dest_stir(c->dest); /* at the end of this turn it may have a job again */
	relay_conn_arm(c, MAX((int64_t)conf->relay_idle_seconds * 1000, 1));
}

void
relay_conn_cancel(struct conn *c)
{
	struct job *j = c->job;
	if (j && !j->ending) {
		relay_job_notef(j, "given up: it was asked for");
		relay_conn_end_job(c);
		relay_conn_close(c);
	}
}

void
relay_conn_more(struct conn *c)
{
	drive_more(c);
}
