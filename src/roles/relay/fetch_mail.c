/*
 * Mail that is fetched with ATRN (RFC 2645), as customer: for each route with fetch_by_atrn, now
 * and then or when the command line says so. A job of our own makes the connection: the race of
 * addresses, TLS and the login are those of any job. Behind the 250 the other side is a client: a
 * front gets one end of a socket pair and serves it, and octets go to and fro here.
 *
 * Only the first relay fetches.
 */
#include "roles/relay/relay_priv.h"

#include "log/log.h"
#include "sys/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define AHEAD_MAX (256u << 10) /* octets that wait on one side */
#define SILENCE_MS 600000      /* of a turned connection */
#define COMMAND_MAX 512u       /* octets of a line: RFC 5321 4.5.3.1.4 */

struct fetching {
	struct list node; /* relay->fetches */
	struct relay *relay;
	char *match;          /* the route's */
	int64_t due;          /* 0: only when told */
	bool gone;            /* the route is not there any more */
	struct job *job;      /* under way, or NULL */
	struct desk_ask *ask; /* who waits for it, or NULL */
	struct conn *conn;    /* once it is turned */
	struct stream pair;
	bool pair_over;      /* front has said all */
	const char *outcome; /* what became of it, in words; NULL: a failure */
};

/* --- the end of one --- */

static void
fetching_free(struct fetching *f)
{
	list_del(&f->node);
	free(f->match);
	free(f);
}

static void
answer(struct fetching *f, struct str history)
{
	const char *what = f->outcome ? f->outcome : "failed";
	struct str fields[] = { str_of(f->match), str_of(what), history };
	desk_row(f->ask, fields, ARRAY_LEN(fields));
	if (f->outcome)
		desk_done(f->ask, CTL_OK, "%s", "");
	else
		desk_done(f->ask, CTL_FAILED,
		    "%s: no mail could be fetched; the conversation above says why", f->match);
	f->ask = NULL;
}

void
fetch_over(struct job *j)
{
	struct fetching *f = j->fetch;
	if (f->conn)
		stream_close(&f->pair);
	f->conn = NULL;
	f->job = NULL;
	LOG(f->outcome ? LOG_INFO : LOG_WARN, 0, "atrn", LOGZ("route", f->match),
	    LOGZ("outcome", f->outcome ? f->outcome : "failed"));
	if (f->ask)
		answer(f, buf_str(&j->history));
	if (f->gone)
		fetching_free(f);
}

/* --- octets go through --- */

static void
pass(struct stream *from, struct stream *to)
{
	struct str in = stream_input(from);
	while (in.len > 0 && stream_unsent(to) < AHEAD_MAX) {
		buf_puts(&to->out, in);
		stream_eat(from, in.len);
		stream_send(to);
		in = stream_input(from);
	}
	stream_pause(from, stream_unsent(to) >= AHEAD_MAX);
}

static void
finish(struct conn *c)
{
	relay_conn_end_job(c);
	relay_conn_close(c);
}

static void
pump(struct fetching *f)
{
	struct conn *c = f->conn;
	pass(&c->stream, &f->pair);
	pass(&f->pair, &c->stream);
	if (c->stream.eof && stream_input(&c->stream).len == 0)
		stream_shutdown_write(&f->pair);
	if (f->pair_over && stream_input(&f->pair).len == 0 && stream_unsent(&c->stream) == 0) {
		f->outcome = "fetched";
		relay_job_notef(c->job, "%llu octets came over the turned connection",
		    (unsigned long long)c->stream.received);
		finish(c);
	} else {
		relay_conn_arm(c, SILENCE_MS);
	}
}

void
fetch_event(struct conn *c, enum stream_event e)
{
	if (e == STREAM_ERROR) {
		relay_job_notef(c->job, "the turned connection broke");
		finish(c);
	} else {
		pump(c->job->fetch);
	}
}

void
fetch_late(struct conn *c)
{
	relay_job_notef(c->job, "nothing came for %d seconds", SILENCE_MS / 1000);
	finish(c);
}

static void
on_pair(void *arg, enum stream_event e)
{
	struct fetching *f = arg;
	if (e == STREAM_ERROR) {
		relay_job_notef(f->job, "the front that served the connection is gone");
		finish(f->conn);
		return;
	}
	f->pair_over |= e == STREAM_EOF;
	pump(f);
}

/* --- the turn --- */

/* The first listener that takes mail from elsewhere: its rules hold. */
static uint16_t
listener_of(const struct conf *c)
{
	uint16_t best = 0;
	for (uint16_t i = 0; i < c->n_listeners; i++) {
		const struct conf_listener *l = &c->listeners[i];
		bool smtp = conf_protocol(l) == CONF_IS_SMTP && !conf_auth_required(l);
		if (smtp && !conf_tls_required(l))
			return i;
		best = smtp ? i : best;
	}
	return best;
}

static struct chan *
a_front(const struct relay *r)
{
	for (unsigned i = 0; i < FRONT_MAX; i++)
		if (r->front[i].chan)
			return r->front[i].chan;
	return NULL;
}

static void
hand_in(struct fetching *f, struct conn *c, struct chan *front, int fd)
{
	const struct conf_route *route = conf_route_find(c->relay->conf, str_of(f->match));
	struct buf b = BUF_INIT(8192);
	struct msg_guest m = { .listener = listener_of(c->relay->conf),
		.ip = str_of(c->ip),
		.tls = str_of(c->tls),
		.domains = str_of(route ? route->fetch_by_atrn : "") };
	msg_guest_put(&b, &m);
	chan_send(front, IPC_TURN_GUEST, 0, buf_str(&b), fd);
	buf_done(&b);
}

static void
turn(struct conn *c)
{
	struct fetching *f = c->job->fetch;
	struct chan *front = a_front(c->relay);
	int pair[2] = { -1, -1 };
	int e = front ? 0 : ENOTCONN;
	if (e == 0 && socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0)
		e = errno;
	if (e == 0)
		e = -stream_open(&f->pair, c->relay->role.loop, pair[0], on_pair, f);
	if (e != 0) {
		if (pair[0] >= 0)
			close(pair[0]);
		if (pair[1] >= 0)
			close(pair[1]);
		relay_job_notef(c->job, "no front can serve the connection: %s", strerror(e));
		finish(c);
		return;
	}
	f->conn = c;
	c->client = smtp_client_free(c->client);
	c->state = CONN_TURNED;
	hand_in(f, c, front, pair[1]);
	close(pair[1]);
	relay_job_notef(c->job, "turned: the other side is the client from here on");
	relay_conn_arm(c, SILENCE_MS);
}

/* On a session that is ready. */
void
fetch_order(struct conn *c)
{
	struct fetching *f = c->job->fetch;
	const struct conf_route *route = conf_route_find(c->relay->conf, str_of(f->match));
	struct str list = str_of(route ? route->fetch_by_atrn : "");
	struct buf line = BUF_INIT(COMMAND_MAX - 2);
	buf_putz(&line, "ATRN ");
	size_t n = 0;
	while (list.len) {
		size_t len = str_find_any(list, ", \t");
		if (len > 0)
			buf_putf(&line, "%s" STR_FMT, n++ ? "," : "",
			    STR_ARG(str_first(list, len)));
		list = str_skip(list, len + 1);
	}
	if (line.failed) { /* more than a line holds: all that is ours there (RFC 2645 5.2.1) */
		buf_reset(&line);
		buf_putz(&line, "ATRN");
	}
	c->state = CONN_TALKS;
	c->order = DRIVE_TURN;
	smtp_client_command(c->client, buf_str(&line), STR_NULL);
	buf_done(&line);
	drive(c);
}

void
fetch_answered(struct conn *c, bool ready)
{
	struct fetching *f = c->job->fetch;
	const struct answer *a = smtp_client_answer(c->client);
	if (!ready) {
		relay_conn_next_host(c, JOB_LATER, JOB_TROUBLE_CLOSED, 0, "4.4.2",
		    str_of(smtp_client_why(c->client)));
		return;
	}
	if (a->code == 250) {
		turn(c);
		return;
	}
	if (a->code == 453)
		f->outcome = "no mail";
	relay_conn_end_job(c);
	drive_quit(c);
}

/* --- beginnings --- */

static bool
begin(struct fetching *f)
{
	struct relay *r = f->relay;
	const struct conf_route *route = conf_route_find(r->conf, str_of(f->match));
	if (f->job || !route || r->role.draining)
		return false;
	struct job *j = xalloc(sizeof(*j));
	*j = (struct job){ .relay = r,
		.lease = UINT64_MAX, /* none: store knows nothing of it */
		.fetch = f,
		.octets = BUF_INIT(TARGET_MAX),
		.history = BUF_INIT(JOB_HISTORY_MAX),
		.begun_ms = sys_mono_ms(),
		.begun_wall_ms = sys_wall_ms() };
	list_init(&j->node);
	list_init(&j->cramped);
	f->job = j;
	f->outcome = NULL;
	f->pair_over = false;
	buf_putz(&j->octets, route->via);
	j->msg.target = buf_str(&j->octets);
	j->msg.window = 1;
	dest_add(dest_find(r, j->msg.target, str_of(f->match), 0), j);
	return true;
}

static struct fetching *
find(struct relay *r, struct str match)
{
	list_each(n, &r->fetches)
	{
		struct fetching *f = list_entry(n, struct fetching, node);
		if (!f->gone && str_ieq(str_of(f->match), match))
			return f;
	}
	return NULL;
}

/* The routes of a new configuration. */
void
fetches_conf(struct relay *r)
{
	list_each(n, &r->fetches) list_entry(n, struct fetching, node)->gone = true;
	for (size_t i = 0; i < r->conf->n_routes && r->index == 0; i++) {
		const struct conf_route *route = &r->conf->routes[i];
		struct fetching *f = NULL;
		if (!route->fetch_by_atrn[0])
			continue;
		list_each(n, &r->fetches)
		{
			struct fetching *old = list_entry(n, struct fetching, node);
			if (strcmp(old->match, route->match) == 0)
				f = old;
		}
		if (!f) {
			f = xalloc(sizeof(*f));
			*f = (struct fetching){ .relay = r, .match = xstrdup(route->match) };
			list_add_tail(&r->fetches, &f->node);
		}
		f->gone = false;
		f->due = route->fetch_every ? sys_mono_ms() + 1000 : 0;
	}
	list_each(n, &r->fetches)
	{
		struct fetching *f = list_entry(n, struct fetching, node);
		if (f->gone && !f->job)
			fetching_free(f);
	}
}

void
fetches_tick(struct relay *r)
{
	int64_t now = sys_mono_ms();
	list_each(n, &r->fetches)
	{
		struct fetching *f = list_entry(n, struct fetching, node);
		const struct conf_route *route = conf_route_find(r->conf, str_of(f->match));
		if (!f->due || now < f->due || !a_front(r) || !route)
			continue;
		f->due = now + (int64_t)route->fetch_every * 1000;
		(void)begin(f);
	}
}

void
fetches_drop(struct relay *r)
{
	list_each(n, &r->fetches)
	{
		struct fetching *f = list_entry(n, struct fetching, node);
		struct job *j = f->job;
		struct conn *c = j ? j->conn : NULL;
		f->gone = true;
		if (c)
			finish(c);
		else if (j)
			relay_job_done(j);
		else
			fetching_free(f);
	}
}

/* --- the command line --- */

static void
begin_for(struct fetching *f, struct desk_ask *a)
{
	f->ask = a;
	if (begin(f))
		return;
	f->ask = NULL;
	desk_done(a, CTL_REFUSED, "the server is stopping");
}

static void
op_fetch(void *arg, struct desk_ask *a, const struct msg_ask *m)
{
	struct relay *r = arg;
	struct fetching *f = m->n ? find(r, m->arg[0]) : NULL;
	if (m->n == 0 && !list_empty(&r->fetches) && r->fetches.next == r->fetches.prev)
		f = list_entry(r->fetches.next, struct fetching, node);
	if (!f && m->n == 0)
		desk_done(a, CTL_INVALID, "%s",
		    list_empty(&r->fetches)
			? "no route has fetch_by_atrn; set it in the configuration"
			: "several routes have fetch_by_atrn; name one");
	else if (!f)
		desk_done(a, CTL_NOT_FOUND, "no route " STR_FMT " has fetch_by_atrn",
		    STR_ARG(m->arg[0]));
	else if (f->job)
		desk_done(a, CTL_REFUSED, "%s: mail is being fetched there now", f->match);
	else
		begin_for(f, a);
}

const struct desk_op fetch_ops[] = {
	{ "relay.fetch", op_fetch, false },
	{ NULL, NULL, false },
};
