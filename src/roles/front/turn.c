/*
 * turn: connections that change their direction (RFC 2645).
 *
 * Provider: a client that has logged in says ATRN. A relay is asked for one end of a socket pair;
 * behind our 250 the octets of the connection (TLS stays) go to that end and back, and the relay
 * speaks as SMTP client over it. Customer: a relay has turned a connection that it made and hands
 * in one end of a pair; it is served as any SMTP client's, for the domains that were asked for.
 */
#include "roles/front/smtp_priv.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define WAIT_MS 60000          /* a relay's answer */
#define AHEAD_MAX (256u << 10) /* octets that wait on one side */

/* A turn of ours: it is asked for, or under way. */
struct turn {
	uint64_t id;
	struct conn *conn;
	int64_t asked_at;
	struct stream pair;
	bool open;      /* the pair is there */
	bool pair_over; /* the relay has said all */
};

static struct str
key_of(const uint64_t *id)
{
	return str_n(id, sizeof(*id));
}

/* --- whose mail it is --- */

static bool
is_named(struct str list, struct str domain)
{
	bool all = list.len == 0;
	while (list.len && !all) {
		size_t n = str_find_any(list, ", \t");
		all = str_ieq(str_first(list, n), domain);
		list = str_skip(list, n + 1);
	}
	return all;
}

/* Every domain that is named must be one that this account may fetch. */
static bool
all_granted(const struct conf *conf, struct str user, struct str list)
{
	while (list.len) {
		size_t n = str_find_any(list, ", \t");
		struct str one = str_first(list, n);
		const struct conf_route *r = one.len ? conf_route_find(conf, one) : NULL;
		if (one.len && (!r || !conf_lists(r->atrn, user)))
			return false;
		list = str_skip(list, n + 1);
	}
	return true;
}

static uint16_t
put_domains(const struct conf *conf, struct str user, struct str list, struct buf *out)
{
	uint16_t n = 0;
	for (size_t i = 0; i < conf->n_routes && n < TURN_DOMAINS_MAX; i++) {
		const struct conf_route *r = &conf->routes[i];
		if (!conf_lists(r->atrn, user) || !is_named(list, str_of(r->match)))
			continue;
		put_str(out, str_of(r->match));
		n++;
	}
	return n;
}

/* --- relays --- */

static struct chan *
a_relay(const struct front *f)
{
	for (unsigned i = 0; i < RELAY_MAX; i++) {
		struct chan *c = f->relay[(f->index + i) % RELAY_MAX];
		if (c)
			return c;
	}
	return NULL;
}

bool
turn_ask(struct conn *c, struct smtp_answer *a)
{
	struct front *f = c->front;
	const struct conf *conf = c->settings->conf;
	struct str user = str_of(c->smtp->session.user), list = c->smtp->session.arg;
	struct chan *relay = a_relay(f);
	struct buf domains = BUF_INIT(TURN_DOMAINS_MAX * 300),
		   body = BUF_INIT(TURN_DOMAINS_MAX * 300);
	char who[512];
	if (c->turn)
		return false;
	uint16_t n = all_granted(conf, user, list) ? put_domains(conf, user, list, &domains) : 0;
	a->situation = n == 0 ? SMTP_ATRN_DENIED : SMTP_ATRN_BUSY;
	if (n > 0 && relay) {
		struct turn *t = xalloc(sizeof(*t));
		snprintf(who, sizeof(who), "%.400s %s", c->smtp->session.user, c->ip);
		*t = (struct turn){ .id = front_next_id(f), .conn = c, .asked_at = f->clock.now };
		struct msg_turn m = { .n = n,
			.domains = buf_str(&domains),
			.who = str_of(who),
			.tls = c->tls != NULL };
		msg_turn_put(&body, &m);
		c->turn = t;
		map_put(&f->turns, key_of(&t->id), c);
		chan_send(relay, IPC_TURN_ASK, t->id, buf_str(&body), -1);
		a->situation = SMTP_NONE;
	}
	buf_done(&domains);
	buf_done(&body);
	if (a->situation != SMTP_NONE)
		letter_note(c, "ATRN: %s",
		    n ? "no relay is there" : "no domain that this account may fetch");
	return a->situation != SMTP_NONE;
}

void
turn_drop(struct conn *c)
{
	struct turn *t = c->turn;
	if (!t)
		return;
	map_del(&c->front->turns, key_of(&t->id));
	if (t->open)
		stream_close(&t->pair);
	free(t);
	c->turn = NULL;
}

static void
refuse(struct conn *c, enum smtp_situation say)
{
	struct smtp_answer a = { .situation = say };
	turn_drop(c);
	answer_give(c, &a);
}

/* --- octets go through --- */

/* What came from one side, as much as the other takes. */
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
pump(struct conn *c)
{
	struct turn *t = c->turn;
	pass(&c->stream, &t->pair);
	pass(&t->pair, &c->stream);
	if (c->stream.eof && stream_input(&c->stream).len == 0)
		stream_shutdown_write(&t->pair);
	if (t->pair_over && stream_input(&t->pair).len == 0 && stream_unsent(&c->stream) == 0) {
		LOG(LOG_INFO, c->id, "turn-over", LOGZ("peer", c->ip), LOGN("sent", c->stream.sent),
		    LOGN("received", c->stream.received));
		conn_kill(c, "turned and done");
	}
}

static void
on_pair(void *arg, enum stream_event e)
{
	struct conn *c = arg;
	front_clock(c->front);
	if (e == STREAM_ERROR) {
		conn_kill(c, "the relay is gone");
		return;
	}
	c->turn->pair_over |= e == STREAM_EOF;
	if (c->stage == STAGE_TURNED)
		pump(c);
}

void
turn_begin(struct conn *c)
{
	check(c->turn && c->turn->open);
	c->stage = STAGE_TURNED;
	map_del(&c->front->turns, key_of(&c->turn->id));
	LOG(LOG_INFO, c->id, "turned", LOGZ("peer", c->ip), LOGZ("account", c->smtp->session.user));
}

void
turn_event(struct conn *c, enum stream_event e)
{
	if (e == STREAM_ERROR)
		conn_kill(c, "connection lost");
	else
		pump(c);
}

/* --- what relays say --- */

static bool
granted(struct front *f, const struct ipc_frame *m)
{
	struct conn *c = map_get(&f->turns, key_of(&m->id));
	struct smtp_answer yes = { .situation = SMTP_NONE };
	uint8_t verdict;
	if (m->fd < 0 || !msg_u8_get(m->body, TURN_VERDICT_COUNT, &verdict))
		return false;
	if (!c || c->turn->open)
		return true; /* it has gone meanwhile */
	int fd = fcntl(m->fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0 || stream_open(&c->turn->pair, f->loop, fd, on_pair, c) < 0) {
		if (fd >= 0)
			close(fd);
		refuse(c, SMTP_ATRN_BUSY);
		return true;
	}
	c->turn->open = true;
	answer_give(c, &yes);
	return true;
}

static bool
denied(struct front *f, const struct ipc_frame *m)
{
	struct conn *c = map_get(&f->turns, key_of(&m->id));
	uint8_t verdict;
	if (!msg_u8_get(m->body, TURN_VERDICT_COUNT, &verdict))
		return false;
	if (c && !c->turn->open)
		refuse(c, verdict == TURN_EMPTY ? SMTP_ATRN_NONE : SMTP_ATRN_BUSY);
	return true;
}

static bool
is_smtp_listener(const struct front *f, uint16_t index)
{
	const struct conf *c = f->settings->conf;
	return index < c->n_listeners && conf_protocol(&c->listeners[index]) == CONF_IS_SMTP;
}

static struct tally_key
key_of_address(const struct sys_addr *a)
{
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
	struct sockaddr_in in = { .sin_family = AF_INET };
	memcpy(&in6.sin6_addr, a->ip, 16);
	memcpy(&in.sin_addr, a->ip + 12, 4);
	return tally_key_of(a->is_v4 ? (const struct sockaddr *)&in
				     : (const struct sockaddr *)&in6);
}

static bool
guest_comes(struct front *f, const struct ipc_frame *m)
{
	struct msg_guest g;
	struct sys_addr from;
	char ip[INET6_ADDRSTRLEN];
	if (m->fd < 0 || !msg_guest_get(m->body, &g) || !str_copy(ip, sizeof(ip), g.ip) ||
	    !sys_addr_parse(ip, &from))
		return false;
	if (!is_smtp_listener(f, g.listener) || f->draining)
		return true; /* a reload came between */
	struct guest guest = { .listener = g.listener,
		.refuse = SMTP_NONE,
		.turned = true,
		.domains = g.domains,
		.tls = g.tls };
	memcpy(guest.ip, ip, sizeof(guest.ip));
	guest.from.ss_family = AF_UNSPEC;
	guest.key = key_of_address(&from);
	guest.fd = fcntl(m->fd, F_DUPFD_CLOEXEC, 0);
	if (guest.fd < 0)
		return true;
	guest_judge(f, &guest);
	conn_new(f, &guest);
	return true;
}

void
turn_guest_init(struct conn *c, const struct guest *g)
{
	c->smtp->only_domains = str_dup(g->domains);
	c->smtp->only_tls = g->tls.len ? str_dup(g->tls) : NULL;
	c->tls = c->smtp->only_tls;
	c->front->n_tls += c->tls != NULL;
}

bool
turn_refuses(const struct conn *c, const struct addr *to)
{
	return c->smtp->only_domains && !conf_lists(c->smtp->only_domains, to->domain);
}

/* --- channels --- */

static struct chan **
slot_of(struct front *f, const struct chan *c)
{
	for (unsigned i = 0; i < RELAY_MAX; i++)
		if (f->relay[i] == c)
			return &f->relay[i];
	check_failed("a channel belongs to a relay", __FILE__, __LINE__);
}

static void
relay_gone(void *arg, struct chan *c, const char *why)
{
	struct front *f = arg;
	struct chan **at = slot_of(f, c);
	LOG(LOG_WARN, 0, "peer-away", LOGZ("role", "relay"), LOGZ("why", why ? why : "closed"));
	front_clock(f);
	*at = chan_free(c);
}

static void
relay_frame(void *arg, struct chan *c, const struct ipc_frame *m)
{
	static const struct {
		enum ipc_type type;
		bool (*handle)(struct front *f, const struct ipc_frame *m);
	} rows[] = {
		{ IPC_TURN, granted },
		{ IPC_TURN_NO, denied },
		{ IPC_TURN_GUEST, guest_comes },
	};
	struct front *f = arg;
	bool ok = false;
	front_clock(f);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].type == m->type)
			ok = rows[i].handle(f, m);
	if (m->fd >= 0)
		close(m->fd);
	if (ok)
		return;
	LOG(LOG_ERROR, 0, "ipc-breach", LOGN("type", m->type));
	relay_gone(f, c, "breach");
}

static const struct chan_handler relay_handler = { relay_frame, relay_gone, NULL };

bool
turn_relay(struct front *f, uint16_t index, int fd)
{
	if (index >= RELAY_MAX)
		return false;
	f->relay[index] = chan_free(f->relay[index]);
	f->relay[index] = chan_new(f->loop, fcntl(fd, F_DUPFD_CLOEXEC, 0), &relay_handler, f);
	return f->relay[index] != NULL;
}

/* A relay that does not answer, or went away while it was asked. */
void
turn_sweep(struct conn *c)
{
	if (c->turn && !c->turn->open && c->front->clock.now - c->turn->asked_at >= WAIT_MS)
		refuse(c, SMTP_ATRN_BUSY);
}

void
turn_close(struct front *f)
{
	for (unsigned i = 0; i < RELAY_MAX; i++)
		f->relay[i] = chan_free(f->relay[i]);
	map_done(&f->turns);
}
