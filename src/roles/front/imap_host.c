/* imap_host: what an IMAP connection does with its session: asks, letters of APPEND, watching. */
#include "roles/front/visit_priv.h"

#include "imap/session.h"

#include <stdlib.h>

/* The letters of an APPEND whose octets go to store, in front->octets until they are answered. */
struct append {
	unsigned n;
	bool lost; /* store went away with what it had */
	uint64_t octets;
	uint64_t id[ACCESS_LETTERS_MAX];
};

struct imap_part {
	struct visit visit;
	struct imap_session session;
	struct append *append; /* or NULL: none under way */
	bool deflating;        /* compression begins when out is empty */
	bool full;             /* the letter that it asks about has no room in the quota */
	bool has_room;         /* ... or has */
	bool asked;            /* ask_no, which has no answer yet */
	uint32_t ask_no;
};

static struct imap_clock
clock_of(const struct conn *c)
{
	const struct smtp_clock *k = &c->front->clock;
	return (struct imap_clock){ k->now, k->wall, k->zone };
}

static void
imap_init(struct conn *c, void *part, const struct guest *g)
{
	struct imap_clock clock = clock_of(c);
	c->imap = part;
	c->stream.out.max = IMAP_OUT_HIGH + IMAP_OUT_ROOM;
	visit_init(c, &c->imap->visit);
	imap_session_init(&c->imap->session, &c->settings->imap[c->listener], &c->front->uidmaps,
	    c->implicit, &clock);
}

static void
imap_greet(struct conn *c)
{
	struct imap_clock clock = clock_of(c);
	struct str refuse = c->refuse == SMTP_NONE ? STR_NULL : visit_refusal(c);
	imap_session_greet(&c->imap->session, refuse, &clock, &c->stream.out);
}

static bool
answer(struct conn *c, const struct imap_answer *a)
{
	struct imap_clock clock = clock_of(c);
	struct imap_session *s = &c->imap->session;
	return imap_session_answer(s, s->ask_no, a, &clock, &c->stream.out);
}

/* --- letters of APPEND --- */

static void
append_end(struct conn *c, bool drop)
{
	struct append *a = c->imap->append;
	if (!a)
		return;
	for (unsigned i = 0; drop && !a->lost && c->front->store && i < a->n; i++)
		chan_send(c->front->store, IPC_BODY_DROP, a->id[i], STR_NULL, -1);
	letter_hold(c->front, 0, a->octets);
	c->imap->append = NULL;
	free(a);
}

static void
imap_store_gone(struct conn *c)
{
	if (c->imap->append)
		c->imap->append->lost = true;
}

/* May a letter of this size come? What only the writer knows is asked before it is sent here. */
static enum access_status
judge_letter(struct conn *c)
{
	struct imap_part *i = c->imap;
	const struct front *f = c->front;
	if (i->full)
		return ACCESS_OVERQUOTA;
	if (f->store_state.low || pressure_memory(f))
		return ACCESS_FULL;
	return i->append && (i->append->n == ACCESS_LETTERS_MAX || i->append->lost)
	           ? (i->append->lost ? ACCESS_FAILED : ACCESS_LIMIT)
	           : ACCESS_OK;
}

static uint64_t
append_begin(struct conn *c)
{
	struct imap_part *i = c->imap;
	if (!i->append)
		i->append = xalloc(sizeof(*i->append));
	uint64_t id = front_next_id(c->front);
	i->append->id[i->append->n++] = id;
	chan_send(c->front->store, IPC_BODY_OPEN, id, STR_NULL, -1);
	return id;
}

static bool
ask_letter(struct conn *c)
{
	struct imap_part *i = c->imap;
	if (!c->front->store)
		return conn_park(c);
	if (c->room)
		return false;
	if (!i->full && !i->has_room && room_limited(c, str_of(i->session.user))) {
		uint64_t pending = i->append ? i->append->octets : 0;
		room_ask(c, i->visit.account, i->session.letter_size + pending);
		return false;
	}
	list_del(&c->parked);
	struct imap_answer a = { .status = judge_letter(c) };
	if (a.status == ACCESS_OK)
		a.letter = append_begin(c);
	i->full = i->has_room = false;
	return answer(c, &a);
}

static void
imap_room(struct conn *c, bool yes)
{
	c->imap->has_room = yes;
	c->imap->full = !yes;
	if (c->imap->session.ask == IMAP_ASK_LETTER)
		(void)ask_letter(c);
	conn_drive(c);
}

static void
take_octets(struct conn *c)
{
	struct append *a = c->imap->append;
	struct str octets = c->imap->session.chunk;
	check(a && a->n);
	if (octets.len == 0)
		return;
	a->octets += octets.len;
	letter_hold(c->front, octets.len, 0);
	if (!a->lost && c->front->store)
		chan_send(c->front->store, IPC_BODY_DATA, a->id[a->n - 1], octets, -1);
}

/* The way to store is full: what comes is read no faster than it goes on. */
static bool
must_wait(const struct conn *c)
{
	return c->imap->append && c->front->store && chan_pending(c->front->store) > IPC_HIGH_WATER;
}

/* --- questions --- */

static bool
ask_tls(struct conn *c)
{
	struct imap_answer a = { .status = secure_ask(c) == SECURE_OK ? ACCESS_OK : ACCESS_FAILED };
	return answer(c, &a);
}

static const enum imap_auth_verdict verdicts[SASL_V_COUNT] = AUTH_VERDICTS(IMAP, TEMPFAIL);

static bool
ask_auth(struct conn *c)
{
	const struct imap_auth *x = c->imap->session.auth;
	struct login_step step = { x->begin, x->mech, x->has_initial, x->octets };
	enum sasl_verdict v;
	if (c->imap->visit.open || !login_ask(c, &step, &v))
		return false;
	struct imap_answer a = { .verdict = verdicts[v] };
	return answer(c, &a);
}

static bool
ask_read(struct conn *c)
{
	return visit_read(c, &c->imap->session.read);
}

/* What was sent to a store that is gone cannot be kept by the next. */
static bool
ask_change(struct conn *c)
{
	struct imap_part *i = c->imap;
	if (i->session.change.kind == ACCESS_APPEND && i->append && i->append->lost) {
		struct imap_answer a = { .status = ACCESS_FAILED };
		append_end(c, true);
		return answer(c, &a);
	}
	return visit_change(c, &i->session.change);
}

/* Looked at once; what waits is not looked at again because something else happens. */
static bool
is_asked(const struct imap_part *i)
{
	return i->session.ask != IMAP_ASK_NONE && i->asked && i->ask_no == i->session.ask_no;
}

/* True: it was answered at once. */
static bool
answer_ask(struct conn *c)
{
	static bool (*const asks[])(struct conn * c) = {
		[IMAP_ASK_TLS] = ask_tls,
		[IMAP_ASK_AUTH] = ask_auth,
		[IMAP_ASK_READ] = ask_read,
		[IMAP_ASK_CHANGE] = ask_change,
		[IMAP_ASK_LETTER] = ask_letter,
	};
	enum imap_ask ask = c->imap->session.ask;
	check(ask > IMAP_ASK_NONE && ask < ARRAY_LEN(asks));
	c->imap->asked = true;
	c->imap->ask_no = c->imap->session.ask_no;
	return asks[ask](c);
}

static void
imap_told(struct conn *c, enum access_status status, struct str octets)
{
	struct imap_answer a = { .status = status, .octets = octets };
	if (c->imap->session.ask == IMAP_ASK_CHANGE &&
	    c->imap->session.change.kind == ACCESS_APPEND)
		append_end(c, status != ACCESS_OK);
	(void)answer(c, &a);
}

static void
imap_entered(struct conn *c, enum sasl_verdict v, struct str challenge, struct str user)
{
	struct imap_answer a = { .verdict = verdicts[v], .challenge = challenge, .user = user };
	if (v == SASL_V_OK)
		a.account = c->visit->account;
	(void)answer(c, &a);
}

static bool
imap_in_auth(const struct conn *c)
{
	return c->imap->session.ask == IMAP_ASK_AUTH && !c->imap->visit.open;
}

/* --- steps --- */

/* LOGOUT ends with its OK; another end is a BYE, and its peer does not expect it. */
static bool
was_polite(const struct conn *c)
{
	struct str last = visit_last_line(c);
	return last.len > 0 && !str_starts(last, STR("* "));
}

static bool
look(struct conn *c)
{
	uint32_t mailbox = 0;
	uint64_t modseq = 0;
	bool watches = imap_session_watch(&c->imap->session, &mailbox, &modseq);
	return watch_set(c, watches, mailbox, modseq);
}

/* RFC 4978 3: no octet between COMPRESS and its OK. */
static bool
deflate(struct conn *c)
{
	struct imap_part *i = c->imap;
	i->deflating = true;
	if (stream_input(&c->stream).len > 0) {
		conn_kill(c, "input behind COMPRESS");
		return false;
	}
	stream_send(&c->stream);
	if (c->stream.failed || stream_unsent(&c->stream) > 0)
		return false;
	i->deflating = false;
	if (!stream_deflate(&c->stream))
		conn_kill(c, "no memory for compression");
	return !c->dead;
}

/* What the session came back with; true: step again. */
static bool
follow(struct conn *c, enum imap_step step)
{
	switch (step) {
	case IMAP_MORE:
		return false;
	case IMAP_ASK:
		return answer_ask(c);
	case IMAP_OCTETS:
		return true; /* were taken before they were eaten */
	case IMAP_DROP:
		append_end(c, true);
		return true;
	case IMAP_FLUSH:
		return visit_flush(c);
	case IMAP_UPGRADE:
		conn_upgrade(c);
		return false;
	case IMAP_DEFLATE:
		return deflate(c);
	case IMAP_END:
		c->ending = true;
		c->polite = was_polite(c);
		return false;
	}
	check_failed("a step of IMAP", __FILE__, __LINE__);
}

static bool
imap_step(struct conn *c)
{
	struct imap_part *i = c->imap;
	struct imap_clock clock = clock_of(c);
	if (i->visit.flushing || i->deflating || is_asked(i))
		return false;
	if (must_wait(c)) {
		c->held = true;
		return false;
	}
	struct str in = stream_input(&c->stream), rest = in;
	enum imap_step step = imap_session_step(&i->session, &rest, &clock, &c->stream.out);
	if (step == IMAP_OCTETS) {
		take_octets(c);
		stream_eat(&c->stream, in.len - rest.len);
	} else {
		conn_eat(c, in, in.len - rest.len);
	}
	bool again = look(c);
	return follow(c, step) || (again && step == IMAP_MORE);
}

static void
imap_settle(struct conn *c)
{
	struct imap_part *i = c->imap;
	if (c->login && !i->session.auth)
		login_drop(c);
	visit_settle(c, i->visit.flushing || i->session.ask != IMAP_ASK_NONE);
}

static bool
imap_waits(const struct conn *c)
{
	const struct imap_part *i = c->imap;
	return i->session.ask != IMAP_ASK_NONE || i->visit.flushing || i->deflating;
}

static bool
imap_owed(const struct conn *c)
{
	return false;
}

static void
imap_drained(struct conn *c)
{
	struct imap_part *i = c->imap;
	if (!i->visit.flushing && !i->deflating)
		return;
	i->visit.flushing = false;
	if (!i->deflating || deflate(c))
		conn_drive(c);
}

static void
imap_secured(struct conn *c, struct str facts)
{
	struct imap_clock clock = clock_of(c);
	if (!c->implicit)
		imap_session_secured(&c->imap->session, &clock);
}

static void
imap_stirred(struct conn *c)
{
	imap_session_stir(&c->imap->session);
}

static void
imap_again(struct conn *c)
{
	if (c->room)
		room_again(c);
	else if (c->imap->visit.open)
		visit_again(c);
	else if (c->imap->session.ask != IMAP_ASK_NONE && answer_ask(c))
		conn_drive(c);
}

static void
imap_give_up(struct conn *c)
{
	struct imap_answer a = { .status = ACCESS_FAILED, .verdict = IMAP_AUTH_TEMPFAIL };
	if (c->imap->visit.open) {
		visit_give_up(c);
		return;
	}
	list_del(&c->parked);
	(void)answer(c, &a);
	conn_drive(c);
}

static int64_t
imap_deadline(const struct conn *c)
{
	return imap_waits(c) ? INT64_MAX : imap_session_deadline(&c->imap->session);
}

static bool
imap_timeout(struct conn *c)
{
	struct imap_clock clock = clock_of(c);
	return imap_session_timeout(&c->imap->session, &clock, &c->stream.out);
}

static void
imap_sweep(struct conn *c)
{
	stream_rest(&c->stream);
	visit_sweep(c);
}

static bool
imap_shutdown(struct conn *c, bool late)
{
	struct imap_clock clock = clock_of(c);
	imap_session_shutdown(&c->imap->session, &clock, &c->stream.out);
	return true;
}

static void
imap_closing(struct conn *c, const char *why)
{
	const struct imap_session *s = &c->imap->session;
	const struct question *q = c->imap->visit.open;
	/* What the writer was asked to append is the writer's. */
	append_end(c, !q || q->kind != QUESTION_CHANGE || !q->asked);
	visit_log_closed(c, why, s->user, s->commands);
	visit_closing(c);
}

static void
imap_done(struct conn *c)
{
	imap_session_done(&c->imap->session);
	visit_done(&c->imap->visit);
}

const struct protocol imap_protocol = {
	.name = "imap",
	.service = "imap",
	.alpn = "imap",
	.part = sizeof(struct imap_part),
	.init = imap_init,
	.greet = imap_greet,
	.step = imap_step,
	.settle = imap_settle,
	.waits = imap_waits,
	.owed = imap_owed,
	.drained = imap_drained,
	.secured = imap_secured,
	.in_auth = imap_in_auth,
	.authed = visit_authed,
	.entered = imap_entered,
	.told = imap_told,
	.stirred = imap_stirred,
	.room = imap_room,
	.again = imap_again,
	.give_up = imap_give_up,
	.deadline = imap_deadline,
	.timeout = imap_timeout,
	.sweep = imap_sweep,
	.store_gone = imap_store_gone,
	.shutdown = imap_shutdown,
	.closing = imap_closing,
	.done = imap_done,
};
