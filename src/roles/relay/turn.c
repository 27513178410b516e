/*
 * Turned connections (RFC 2645), as provider: a client of a front has said ATRN. Store is asked
 * whether mail waits for its domains; when there is some, the front gets one end of a socket pair
 * and we speak as client over the other, with the jobs that store gives for this turn and no
 * others.
 */
#include "roles/relay/relay_priv.h"

#include "log/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define FIRST_JOB_MS 30000 /* from the answer to the first job */
#define NEXT_JOB_MS 10000  /* from one letter to the next */

struct turn {
	struct list node; /* relay->turns */
	struct relay *relay;
	uint64_t id;
	unsigned front;
	uint64_t front_id;    /* of its question; 0: it was answered */
	struct dest *dest;    /* while jobs may come */
	int fd;               /* our end, until the first job; or -1 */
	uint32_t count, done; /* letters that will come; that came to an end */
	int64_t since;
	bool tls; /* the connection is secured */
	char who[513];
};

static struct turn *
find(struct relay *r, uint64_t id)
{
	list_each(n, &r->turns)
	{
		struct turn *t = list_entry(n, struct turn, node);
		if (t->id == id)
			return t;
	}
	return NULL;
}

static void
tell_front(struct turn *t, enum turn_verdict v, int fd)
{
	struct chan *front = t->relay->front[t->front].chan;
	struct buf b = BUF_INIT(8);
	msg_u8_put(&b, (uint8_t)v);
	if (front && t->front_id)
		chan_send(front, v == TURN_YES ? IPC_TURN : IPC_TURN_NO, t->front_id, buf_str(&b),
		    fd);
	t->front_id = 0;
	buf_done(&b);
}

/* No more jobs. What waits at its dest goes back. */
static void
end(struct turn *t)
{
	struct relay *r = t->relay;
	tell_front(t, TURN_NO, -1);
	if (r->store)
		chan_send(r->store, IPC_TURN_END, t->id, STR_NULL, -1);
	if (t->fd >= 0)
		close(t->fd);
	if (t->dest) {
		t->dest->turn = NULL;
		dest_stir(t->dest);
		LOG(LOG_INFO, 0, "turn-over", LOGZ("who", t->who), LOGN("letters", t->done),
		    LOGN("waited", t->count));
	}
	list_del(&t->node);
	free(t);
}

/* --- what is asked --- */

static bool
asked(struct relay *r, unsigned front, const struct ipc_frame *m)
{
	struct msg_turn ask;
	if (!msg_turn_get(m->body, &ask) || ask.n == 0)
		return false;
	struct turn *t = xalloc(sizeof(*t));
	*t = (struct turn){ .relay = r,
		.id = ++r->next_id,
		.front = front,
		.front_id = m->id,
		.tls = ask.tls,
		.fd = -1,
		.since = loop_now(r->role.loop) };
	(void)str_copy(t->who, sizeof(t->who), ask.who);
	list_add_tail(&r->turns, &t->node);
	if (r->store && !r->role.draining)
		chan_send(r->store, IPC_TURN_JOBS, t->id, m->body, -1);
	else
		end(t);
	return true;
}

/* Each relay counts its turns, and a store that begins anew has forgotten those of before: what it
 * says of a turn that is not there any more is no breach. */
bool
turn_counted(struct relay *r, const struct ipc_frame *m)
{
	struct turn *t = find(r, m->id);
	uint32_t n;
	int pair[2];
	if (!msg_u32_get(m->body, &n))
		return false;
	if (!t || t->dest)
		return true;
	if (n == 0) {
		tell_front(t, TURN_EMPTY, -1);
		end(t);
		return true;
	}
	if (!t->front_id || n == MSG_COUNT_NOT_YET) { /* it went away meanwhile; or later */
		end(t);
		return true;
	}
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0) {
		LOG(LOG_WARN, 0, "turn-failed", LOGZ("who", t->who),
		    LOGZ("error", strerror(errno)));
		end(t);
		return true;
	}
	t->count = n;
	t->fd = pair[0];
	t->since = loop_now(r->role.loop);
	t->dest = dest_find(r, STR("turn:"), STR_NULL, t->id);
	t->dest->turn = t;
	if (!t->dest->plan)
		t->dest->plan = plan_turn(t->who, t->tls);
	tell_front(t, TURN_YES, pair[1]);
	close(pair[1]);
	LOG(LOG_INFO, 0, "turned", LOGZ("who", t->who), LOGN("letters", n));
	return true;
}

/* --- jobs --- */

int
turn_take_fd(struct turn *t)
{
	int fd = t->fd;
	t->fd = -1;
	return fd;
}

void
turn_rested(struct conn *c)
{
	struct turn *t = c->dest->turn;
	if (!t || ++t->done >= t->count)
		drive_quit(c);
	else
		relay_conn_arm(c, NEXT_JOB_MS);
}

void
turn_closed(struct dest *d)
{
	if (d->turn)
		end(d->turn);
}

void
turns_tick(struct relay *r)
{
	int64_t now = loop_now(r->role.loop);
	list_each(n, &r->turns)
	{
		struct turn *t = list_entry(n, struct turn, node);
		bool waits = t->fd >= 0 || !t->dest;
		if (waits && now - t->since >= FIRST_JOB_MS)
			end(t);
	}
}

/* What was asked for is asked for no more; connections that have their jobs go on. */
void
turns_store_gone(struct relay *r)
{
	list_each(n, &r->turns)
	{
		struct turn *t = list_entry(n, struct turn, node);
		if (t->fd >= 0 || !t->dest)
			end(t);
	}
}

/* --- fronts --- */

static void
front_close(struct relay *r, unsigned index)
{
	r->front[index].chan = chan_free(r->front[index].chan);
	list_each(n, &r->turns)
	{
		struct turn *t = list_entry(n, struct turn, node);
		if (t->front == index)
			t->front_id = 0;
	}
}

static void
front_gone(void *arg, struct chan *c, const char *why)
{
	struct front_link *f = arg;
	LOG(LOG_WARN, 0, "peer-away", LOGZ("role", "front"), LOGZ("why", why ? why : "closed"));
	front_close(f->relay, (unsigned)(f - f->relay->front));
}

static void
front_frame(void *arg, struct chan *c, const struct ipc_frame *m)
{
	struct front_link *f = arg;
	struct relay *r = f->relay;
	if (m->fd >= 0)
		close(m->fd);
	if (m->type == IPC_TURN_ASK && asked(r, (unsigned)(f - r->front), m))
		return;
	LOG(LOG_ERROR, 0, "ipc-breach", LOGN("type", m->type));
	front_close(r, (unsigned)(f - r->front));
}

static const struct chan_handler front_handler = { front_frame, front_gone, NULL };

void
turn_front(struct relay *r, unsigned index, int fd)
{
	front_close(r, index);
	r->front[index].relay = r;
	r->front[index].chan = chan_new(r->role.loop, fd, &front_handler, &r->front[index]);
}

void
turns_drop(struct relay *r)
{
	list_each(n, &r->turns) end(list_entry(n, struct turn, node));
	for (unsigned i = 0; i < FRONT_MAX; i++)
		r->front[i].chan = chan_free(r->front[i].chan);
}
