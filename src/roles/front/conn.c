/*
 * conn: one stranger's connection: a stream, and the session of a protocol at it.
 *
 * conn_drive() is the only place that steps the session. A connection is never freed inside a
 * callback of its own: conn_kill() marks it and conn_reap() frees it at the end of the turn.
 */
#include "roles/front/front_priv.h"

#include <stdlib.h>
#include <unistd.h>

void
conn_leave(struct conn *c)
{
	if (c->counted)
		tally_leave(&c->front->tally, &c->key, c->seat);
	c->counted = false;
}

void
conn_reseat(struct conn *c, const uint16_t seat_of[LISTENER_MAX])
{
	uint16_t seat = c->seat < LISTENER_MAX ? seat_of[c->seat] : TALLY_NOWHERE;
	if (c->counted)
		tally_move(&c->front->tally, c->seat, seat);
	c->seat = seat;
}

void
conn_kill(struct conn *c, const char *why)
{
	if (c->dead)
		return;
	c->dead = true;
	c->protocol->closing(c, why);
	conn_leave(c);
	login_drop(c);
	turn_drop(c);
	room_drop(c);
	names_drop(c);
	secure_leave(c);
	stream_close(&c->stream);
	list_del(&c->parked);
	list_del(&c->node);
	list_add_tail(&c->front->dead, &c->node);
	c->front->n_conns--;
	c->front->n_turned_away -= c->turned_away;
}

void
conn_reap(struct front *f)
{
	list_each(n, &f->dead)
	{
		struct conn *c = list_entry(n, struct conn, node);
		list_del(n);
		c->protocol->done(c);
		settings_unref(c->settings);
		free(c);
	}
}

/* All is said. A peer that said QUIT waits for us to close; another one may still be sending,
 * and a reset would destroy our last line on its way, so read on for a moment. */
static void
finish(struct conn *c)
{
	c->ending = true;
	if (!c->end_by)
		c->end_by = c->front->clock.now + LAST_WORDS_MS;
	if (stream_unsent(&c->stream) > 0)
		return;
	if (c->polite) {
		conn_kill(c, "quit");
	} else if (c->turned_away && c->front->n_turned_away > TURNED_AWAY_MAX) {
		conn_kill(c, "turned away");
	} else if (!c->lingering) {
		c->lingering = true;
		c->end_by = c->front->clock.now + LINGER_MS;
		stream_shutdown_write(&c->stream);
		stream_pause(&c->stream, false);
	}
}

void
conn_eat(struct conn *c, struct str in, size_t n)
{
	if (n)
		explicit_bzero(c->stream.in.p + (in.p - c->stream.in.p), n);
	stream_eat(&c->stream, n);
}

void
conn_upgrade(struct conn *c)
{
	c->stage = STAGE_UPGRADE;
	c->end_by = c->front->clock.now + HANDSHAKE_MS;
}

/* RFC 3207 6: what came behind STARTTLS in clear may be anybody's. */
static void
upgrade(struct conn *c)
{
	if (stream_input(&c->stream).len > 0) {
		LOG(LOG_WARN, c->id, "tls-injection", LOGZ("peer", c->ip));
		conn_kill(c, "input behind STARTTLS");
		return;
	}
	if (stream_unsent(&c->stream) == 0)
		secure_begin(c);
}

void
conn_drive(struct conn *c)
{
	const struct protocol *p = c->protocol;
	if (c->driving || c->dead || c->ending || c->stage != STAGE_TALK)
		return;
	c->driving = true;
	while (!c->dead && p->step(c))
		;
	c->driving = false;
	if (c->dead)
		return;
	p->settle(c);
	if (c->stream.out.failed) {
		conn_kill(c, "does not read its replies");
		return;
	}
	/* A question that waits, or a full way to store: leave the octets in the kernel. */
	stream_pause(&c->stream, c->held || p->waits(c) || c->stage == STAGE_UPGRADE);
	stream_send(&c->stream);
	if (c->stage == STAGE_UPGRADE)
		upgrade(c);
	else if (c->ending)
		finish(c);
}

void
conn_release(struct conn *c)
{
	if (!c->held)
		return;
	c->held = false;
	conn_drive(c);
}

bool
conn_park(struct conn *c)
{
	if (list_empty(&c->parked)) {
		c->parked_at = c->front->clock.now;
		list_add_tail(&c->front->parked, &c->parked);
	}
	return false;
}

void
conn_unpark(struct front *f)
{
	list_each(n, &f->parked)
	{
		struct conn *c = list_entry(n, struct conn, parked);
		c->protocol->again(c);
	}
}

static void
on_drained(struct conn *c)
{
	if (c->stage == STAGE_UPGRADE)
		upgrade(c);
	else if (c->ending)
		finish(c);
	else
		c->protocol->drained(c);
}

static void
on_stream(void *arg, enum stream_event e)
{
	struct conn *c = arg;
	if (c->dead)
		return;
	front_clock(c->front);
	if (c->stage == STAGE_TURNED) {
		turn_event(c, e);
		return;
	}
	switch (e) {
	case STREAM_INPUT:
		if (c->ending)
			stream_eat(&c->stream, stream_input(&c->stream).len);
		else if (fault_shuts(c))
			conn_shutdown(c, true);
		else
			conn_drive(c);
		break;
	case STREAM_SECURED:
		secure_done(c);
		break;
	case STREAM_EOF:
		if (c->ending || !c->protocol->owed(c))
			conn_kill(c, c->ending ? "done" : "peer closed");
		break;
	case STREAM_ERROR:
		c->front->n_tls_failed += c->stage == STAGE_HANDSHAKE;
		if (c->stage == STAGE_HANDSHAKE)
			LOG(LOG_INFO, c->id, "tls-failed", LOGZ("peer", c->ip),
			    LOGZ("why", secure_error(c)));
		conn_kill(c, "connection lost");
		break;
	case STREAM_DRAINED:
		on_drained(c);
		break;
	}
}

void
conn_greet(struct conn *c)
{
	c->protocol->greet(c);
	if (c->refuse != SMTP_NONE) {
		LOG(LOG_INFO, c->id, "turned-away", LOGZ("peer", c->ip),
		    LOGZ("situation", smtp_situation_key[c->refuse]));
		c->ending = true;
	}
	stream_send(&c->stream);
	if (!c->dead && c->ending)
		finish(c);
}

static void
welcome(struct conn *c, const struct guest *g)
{
	bool admit = !c->implicit || secure_admit(c);
	c->turned_away = c->refuse != SMTP_NONE;
	c->front->n_turned_away += c->turned_away;
	if (!admit) {
		conn_kill(c, "TLS cannot begin");
		return;
	}
	if (c->refuse == SMTP_NONE && c->smtp)
		names_ask(c, g);
	if (c->implicit)
		secure_begin(c);
	else
		conn_greet(c);
}

const struct protocol *
protocol_of(const struct conf_listener *l)
{
	static const struct protocol *const rows[] = {
		[CONF_IS_SMTP] = &smtp_protocol,
		[CONF_IS_LMTP] = &smtp_protocol,
		[CONF_IS_IMAP] = &imap_protocol,
		[CONF_IS_POP3] = &pop3_protocol,
		[CONF_IS_METRICS] = &metrics_protocol,
	};
	return rows[conf_protocol(l)];
}

/* A connection with its protocol's part behind it. */
static struct conn *
make(struct front *f, const struct guest *g)
{
	const struct conf_listener *l = &f->settings->conf->listeners[g->listener];
	const struct protocol *p = protocol_of(l);
	struct conn *c = xalloc(sizeof(*c) + p->part);
	*c = (struct conn){ .front = f,
		.protocol = p,
		.listener = g->listener,
		.seat = g->listener,
		.key = g->key,
		.refuse = g->refuse,
		.local = g->local };
	c->id = front_next_id(f);
	c->counted = g->refuse == SMTP_NONE;
	c->implicit = conf_tls_implicit(l) && !g->turned;
	memcpy(c->ip, g->ip, sizeof(c->ip));
	list_init(&c->parked);
	return c;
}

void
conn_new(struct front *f, const struct guest *g)
{
	struct conn *c = make(f, g);
	int rc = stream_open(&c->stream, f->loop, g->fd, on_stream, c);
	if (rc < 0) {
		LOG(LOG_WARN, c->id, "accept-failed", LOGZ("peer", c->ip),
		    LOGZ("error", strerror(-rc)));
		conn_leave(c);
		close(g->fd);
		free(c);
		return;
	}
	c->settings = settings_ref(f->settings);
	c->protocol->init(c, c + 1, g);
	list_add_tail(&f->conns, &c->node);
	f->n_conns++;
	f->n_conns_all++;
	LOG(LOG_DEBUG, c->id, "connect", LOGZ("peer", c->ip),
	    LOGN("port", f->settings->conf->listeners[g->listener].port));
	welcome(c, g);
}

void
conn_sweep(struct conn *c)
{
	struct front *f = c->front;
	if (c->stage == STAGE_TURNED)
		return; /* the relay has its own patience */
	if (c->ending || c->stage != STAGE_TALK) {
		const char *late = c->stage != STAGE_TALK ? "TLS took too long"
		                   : c->lingering         ? "done"
		                                          : "does not read its replies";
		if (f->clock.now >= c->end_by)
			conn_kill(c, late);
		return;
	}
	if (!list_empty(&c->parked) && f->clock.now - c->parked_at >= PARK_MS) {
		room_drop(c);
		c->protocol->give_up(c);
		return;
	}
	login_sweep(c);
	turn_sweep(c);
	if (c->protocol->sweep && !c->dead)
		c->protocol->sweep(c);
	if (c->dead || f->clock.now < c->protocol->deadline(c) || !c->protocol->timeout(c))
		return;
	c->ending = true;
	stream_send(&c->stream);
	if (!c->dead)
		finish(c);
}

void
conn_shutdown(struct conn *c, bool late)
{
	if (c->shut || c->ending || c->dead)
		return;
	if (c->stage != STAGE_TALK) {
		/* Words in clear would be no words. The sweep comes back. */
		if (late)
			conn_kill(c, "server stops");
		return;
	}
	if (!c->protocol->shutdown(c, late))
		return;
	c->shut = true;
	conn_drive(c);
}
