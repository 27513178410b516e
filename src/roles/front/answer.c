/* answer: what the session cannot know and front does: may a letter come, who has a mailbox. */
#include "roles/front/smtp_priv.h"

#include "route/host.h"

/* Octets of the recipients elsewhere that one recipient leads to. */
#define ELSEWHERE_MAX (4u << 20)

/* A long session without a letter: what led to this one is what matters. */
static void
shorten_history(struct conn *c)
{
	struct buf *h = &c->smtp->history;
	h->failed = false; /* one long line may not silence it for good */
	if (h->len < HISTORY_MAX / 2)
		return;
	size_t keep_from = h->len - HISTORY_MAX / 4;
	keep_from += str_find(str_skip(buf_str(h), keep_from), '\n');
	buf_drop(h, MIN(keep_from + 1, h->len));
	letter_note(c, "the conversation before this was left out");
	c->smtp->reported_at = h->len;
}

static bool
answer_mail(struct conn *c, struct smtp_answer *a)
{
	const struct front *f = c->front;
	const struct conf *conf = c->settings->conf;
	const struct msg_store_state *s = &f->store_state;
	if (!f->store || f->directory.block.len == 0)
		return conn_park(c);
	c->smtp->mailboxes = 0;
	srs_forget(c);
	shorten_history(c);
	a->situation = submit_sender(c);
	if (a->situation != SMTP_NONE)
		return true;
	if (s->queue_messages >= conf->limit_queue_messages ||
	    s->queue_bytes >= conf->limit_queue_bytes)
		a->situation = SMTP_MAIL_QUEUEFULL;
	else if (s->low || pressure_memory(f))
		a->situation = SMTP_MAIL_LOWRES;
	return true;
}

static const enum smtp_situation refusal_for[ROUTE_COUNT] = {
	[ROUTE_LOCAL] = SMTP_NONE,
	[ROUTE_REMOTE] = SMTP_NONE,
	[ROUTE_UNKNOWN] = SMTP_RCPT_UNKNOWN,
	[ROUTE_LOOP] = SMTP_RCPT_LOOP,
	[ROUTE_TOO_MANY] = SMTP_RCPT_TOOMANY,
};

/* What is to be released later (RFC 4865) waits in the queue, for a mailbox here as well. */
static bool
goes_onward(const struct conn *c, const struct route_target *t)
{
	bool later = (int64_t)c->smtp->session.txn->hold_until > c->front->clock.wall;
	return t->remote || (later && str_find(t->address, '@') < t->address.len);
}

/* The recipients elsewhere, encoded. A letter that reaches only some of a list is worse than a
 * refusal; who stands in the list is not for the sender to know. */
static enum smtp_situation
put_elsewhere(struct conn *c, const struct smtp_rcpt *rcpt, const struct route_result *r,
    const struct onward_way *way, struct buf *out, uint32_t *ret_n, struct str *ret_reason)
{
	for (size_t i = 0; i < r->n_target; i++) {
		struct str why;
		if (!goes_onward(c, &r->target[i]))
			continue;
		enum smtp_situation no = onward_put(c, rcpt, way, r->target[i].address, out, &why);
		if (no != SMTP_NONE) {
			LOG(way->via.len ? LOG_WARN : LOG_INFO, c->id, "unroutable",
			    LOGF("rcpt", rcpt->addr.whole), LOGF("address", r->target[i].address),
			    LOGF("why", why));
			*ret_reason =
			    way->via.len ? STR("one that this alias should not lead to") : why;
			return way->via.len ? SMTP_RCPT_UNROUTABLE : no;
		}
		++*ret_n;
	}
	return out->failed ? SMTP_RCPT_TOOMANY : SMTP_NONE;
}

static void
note_route(struct conn *c, const struct smtp_rcpt *rcpt, const struct route_result *r,
    const struct rcpt_route *keep)
{
	if (keep->n == 1)
		for (size_t i = 0; i < r->n_target; i++)
			if (!goes_onward(c, &r->target[i]))
				letter_note(c, STR_FMT ": mailbox of " STR_FMT,
				    STR_ARG(rcpt->addr.whole), STR_ARG(r->target[i].address));
	if (keep->n > 1)
		letter_note(c, STR_FMT ": %zu mailboxes", STR_ARG(rcpt->addr.whole), keep->n);
}

/* Keeps with the recipient where it leads. */
static enum smtp_situation
keep_targets(struct conn *c, struct smtp_rcpt *rcpt, const struct route_result *r,
    struct str elsewhere, uint32_t n_elsewhere)
{
	struct rcpt_route *keep = arena_alloc(&c->smtp->session.txn->arena,
	    sizeof(*keep) + (r->n_target - n_elsewhere) * sizeof(uint64_t) + elsewhere.len);
	if (!keep)
		return SMTP_RCPT_TOOMANY;
	for (size_t i = 0; i < r->n_target; i++) {
		if (goes_onward(c, &r->target[i]))
			continue;
		keep->account[keep->n++] = r->target[i].account;
		keep->limited |= r->target[i].limited;
	}
	keep->alias = r->is_alias;
	keep->expanded = r->n_target > 1;
	keep->n_onward = n_elsewhere;
	keep->onward_len = (uint32_t)elsewhere.len;
	if (elsewhere.len)
		memcpy(keep->account + keep->n, elsewhere.p, elsewhere.len);
	c->smtp->mailboxes += r->n_target;
	rcpt->host_data = keep;
	rcpt->host_size = (uint32_t)(sizeof(*keep) + keep->n * sizeof(uint64_t) + elsewhere.len);
	note_route(c, rcpt, r, keep);
	return SMTP_NONE;
}

/* SPF would refuse what an alias sends on in the name of somebody else's domain. SRS_WORD: it goes,
 * by way->from if that is not empty. SRS_NO_WORD: the transaction has too many such names. */
static enum srs_word
name_sender(struct conn *c, const struct addr *to, const struct route_result *r,
    struct onward_way *way)
{
	const struct addr *from = &c->smtp->session.txn->from;
	bool leaves = false;
	char domain[HOST_MAX];
	struct str told;
	for (size_t i = 0; i < r->n_target; i++)
		leaves |= r->target[i].remote;
	if (!leaves || !way->via.len || !c->settings->conf->srs || from->null ||
	    directory_is_local(&c->front->directory, from->domain) ||
	    !host_ascii(to->domain, domain))
		return SRS_WORD;
	enum srs_word word = srs_make_for(c, str_of(domain), &told);
	if (word == SRS_WORD)
		way->from = told;
	bool cannot = word == SRS_NO_WORD && told.len > 0; /* it goes as it came */
	if (cannot)
		letter_note(c, STR_FMT ": no sender address of ours has room for " STR_FMT,
		    STR_ARG(to->whole), STR_ARG(from->whole));
	return cannot ? SRS_WORD : word;
}

/* False: it waits. */
static bool
keep_route(struct conn *c, struct smtp_rcpt *rcpt, const struct addr *to,
    const struct route_result *r, struct smtp_answer *a)
{
	uint64_t most = c->smtp->session.txn->merge ? MERGE_RCPT_MAX : RCPT_MAX;
	struct onward_way way = { .via = r->is_alias ? rcpt->addr.whole : STR_NULL,
		.expanded = r->n_target > 1 };
	struct buf elsewhere = BUF_INIT(ELSEWHERE_MAX);
	uint32_t n = 0;
	a->situation = SMTP_RCPT_TOOMANY;
	if (r->n_target > most - c->smtp->mailboxes)
		return true;
	enum srs_word word = name_sender(c, to, r, &way);
	if (word != SRS_WORD)
		return word == SRS_NO_WORD;
	a->situation = put_elsewhere(c, rcpt, r, &way, &elsewhere, &n, &a->reason);
	if (a->situation == SMTP_NONE)
		a->situation = keep_targets(c, rcpt, r, buf_str(&elsewhere), n);
	buf_done(&elsewhere);
	return true;
}

/* limit.rcpts_per_hour counts per peer prefix, over all fronts. */
static bool
over_rate(struct conn *c)
{
	struct front *f = c->front;
	uint64_t limit = c->settings->conf->listeners[c->listener].limit_rcpts_per_hour;
	if (limit == CONF_OFF || c->local)
		return false;
	return rate_count(f->rates, FRONT_MAX, &c->key, f->clock.wall) >= limit;
}

/* Where a recipient leads. An address that leads back (SRS) is an alias that nobody has written.
 * SRS_WAIT: auth is asked. SRS_NO_WORD: it does not; why. */
static enum srs_word
resolve(struct conn *c, const struct addr *to, struct route_result *r, struct str *ret_why)
{
	const struct directory *d = &c->front->directory;
	struct str there;
	struct addr back;
	if (!c->settings->conf->srs || !srs_is(to->local) || !directory_is_local(d, to->domain)) {
		route_resolve(d, to, r);
		return SRS_WORD;
	}
	enum srs_word word = srs_leads_to(c, to->whole, &there);
	if (word != SRS_WORD) {
		*ret_why = there;
		return word;
	}
	check(addr_mailbox(there, ADDR_SMTPUTF8, &back) == ADDR_OK);
	route_resolve(d, &back, r);
	r->is_alias = true;
	return word;
}

/* False: it waits. */
static bool
find_route(struct conn *c, struct smtp_rcpt *rcpt, struct smtp_answer *a)
{
	struct route_result r = { 0 };
	char here[ADDR_PATH_MAX];
	struct addr to = rcpt->addr;
	(void)onward_is_here(c, &rcpt->addr, here, &to);
	a->situation = SMTP_RCPT_RATE;
	if (over_rate(c) || submit_over_rate(c))
		return true;
	a->situation = SMTP_RCPT_RELAY;
	if (turn_refuses(c, &rcpt->addr))
		return true;
	enum srs_word word = resolve(c, &to, &r, &a->reason);
	if (word == SRS_WAIT)
		return false;
	if (word == SRS_WORD)
		a->situation = refusal_for[r.verdict];
	else
		a->situation = a->reason.len ? SMTP_RCPT_REJECTED : SMTP_RCPT_TOOMANY;
	if (a->situation == SMTP_NONE && r.verdict == ROUTE_REMOTE && !r.is_alias)
		a->situation = onward_allows(c, &to, &a->reason);
	bool known = a->situation != SMTP_NONE || keep_route(c, rcpt, &to, &r, a);
	route_result_done(&r);
	return known;
}

/* Quotas are asked for where a recipient is one mailbox: a list must not fail for one of its
 * members. False: there is nothing to ask. */
static bool
ask_room(struct conn *c, const struct smtp_rcpt *rcpt)
{
	const struct rcpt_route *route = rcpt->host_data;
	if (route->n != 1 || route->n_onward || (!room_counts(c) && !route->limited))
		return false;
	room_ask(c, route->account[0], c->smtp->session.txn->declared_size);
	return true;
}

static bool
answer_rcpt(struct conn *c, struct smtp_answer *a)
{
	struct smtp_part *p = c->smtp;
	struct smtp_rcpt *rcpt = p->session.rcpt_asked;
	enum room room = p->room;
	if (c->room || p->srs_id)
		return false;
	p->room = ROOM_UNKNOWN;
	if (room == ROOM_UNKNOWN && !find_route(c, rcpt, a))
		return false;
	if (room == ROOM_UNKNOWN && a->situation == SMTP_NONE && ask_room(c, rcpt))
		return false;
	if (room == ROOM_NO) {
		p->mailboxes--;
		letter_note(c, STR_FMT ": over its quota", STR_ARG(rcpt->addr.whole));
		a->situation = SMTP_RCPT_FULL;
	}
	if (a->situation == SMTP_NONE && c->front->rate && !c->local)
		rate_add(c->front->rate, &c->key, c->front->clock.wall);
	if (a->situation == SMTP_NONE)
		submit_count(c);
	return true;
}

static bool
answer_tls(struct conn *c, struct smtp_answer *a)
{
	static const enum smtp_situation say[] = {
		[SECURE_OK] = SMTP_NONE,
		[SECURE_UNAVAILABLE] = SMTP_STARTTLS_UNAVAILABLE,
		[SECURE_LIMIT] = SMTP_CONN_LIMIT_TLS,
	};
	a->situation = say[secure_ask(c)];
	return true;
}

static bool
answer_auth(struct conn *c, struct smtp_answer *a)
{
	const struct smtp_auth *s = c->smtp->session.auth;
	struct login_step step = { s->begin, s->mech, s->has_initial, s->octets };
	enum sasl_verdict v;
	if (!login_ask(c, &step, &v))
		return false;
	a->situation = v == SASL_V_BADMECH ? SMTP_AUTH_BADMECH : SMTP_AUTH_TEMPFAIL;
	return true;
}

static bool
answer_data(struct conn *c, struct smtp_answer *a)
{
	if (!letter_begin(c))
		return conn_park(c);
	return true;
}

/* The letter was begun with the first part; whether it can be kept is said behind the last. */
static bool
answer_part(struct conn *c, struct smtp_answer *a)
{
	return true;
}

/* The address of a VRFY or EXPN argument, loosely: with or without brackets. */
static bool
find_there(struct conn *c, struct route_result *r)
{
	struct str arg = str_trim(c->smtp->session.arg);
	struct addr addr;
	if (addr_path(&arg, ADDR_LOOSE | ADDR_SMTPUTF8 | ADDR_BARE_POSTMASTER, &addr) != ADDR_OK)
		return false;
	route_resolve(&c->front->directory, &addr, r);
	return r->verdict == ROUTE_LOCAL;
}

static bool
answer_vrfy(struct conn *c, struct smtp_answer *a)
{
	struct route_result r = { 0 };
	static char canonical[ADDR_PATH_MAX + 1];
	if (find_there(c, &r)) {
		(void)str_copy(canonical, sizeof(canonical), r.fullname);
		a->situation = SMTP_VRFY_OK;
		a->to = str_of(canonical);
	} else {
		a->situation = SMTP_VRFY_UNKNOWN;
	}
	route_result_done(&r);
	return true;
}

static bool
answer_expn(struct conn *c, struct smtp_answer *a)
{
	struct route_result r = { 0 };
	if (!find_there(c, &r)) {
		a->situation = SMTP_VRFY_UNKNOWN;
	} else {
		/* Members are views into the directory, which stays until the next one comes. */
		a->situation = SMTP_EXPN_OK;
		for (size_t i = 0; i < r.n_target && a->n_lines < ARRAY_LEN(a->lines); i++)
			a->lines[a->n_lines++] = r.target[i].address;
	}
	route_result_done(&r);
	return true;
}

typedef bool answer_fn(struct conn *c, struct smtp_answer *a);
static answer_fn *const answers[] = {
	[SMTP_ASK_MAIL] = answer_mail,
	[SMTP_ASK_RCPT] = answer_rcpt,
	[SMTP_ASK_DATA] = answer_data,
	[SMTP_ASK_COMMIT] = letter_commit,
	[SMTP_ASK_VRFY] = answer_vrfy,
	[SMTP_ASK_EXPN] = answer_expn,
	[SMTP_ASK_ETRN] = etrn_ask,
	[SMTP_ASK_TLS] = answer_tls,
	[SMTP_ASK_AUTH] = answer_auth,
	[SMTP_ASK_TURN] = turn_ask,
	[SMTP_ASK_PART] = answer_part,
	[SMTP_ASK_BURL] = burl_ask,
	[SMTP_ASK_XCLIENT] = answer_xclient,
};

bool
answer_question(struct conn *c, struct smtp_answer *a)
{
	enum smtp_ask ask = c->smtp->session.ask;
	check(ask > SMTP_ASK_NONE && ask < ARRAY_LEN(answers));
	if (fault_strikes(c, a)) {
		if (ask == SMTP_ASK_COMMIT)
			letter_drop(c);
		return true;
	}
	return answers[ask](c, a);
}
