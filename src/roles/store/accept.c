/*
 * Letters that are made durable. An accept is under way from IPC_ACCEPT until the engine
 * answers; whoever asks for the letter meanwhile is told then. It outlives its front: what was
 * asked for happens, and a front that asks again hears the truth.
 *
 * A status other than ACCEPT_OK is only ever said of a letter that is not stored and will not
 * be. While that cannot be known (the index is behind and the disk full) nothing is said.
 */
#include "roles/store/queue_priv.h"

#include "log/log.h"
#include "mail/received.h"
#include "store/mailbox.h"

#include <errno.h>
#include <stdlib.h>

#define PREFIX_MAX (64u << 20) /* of all recipients of one letter */
#define LINES_MAX (16u << 20)  /* of those elsewhere, for the history */

struct accept {
	struct store_role *role;
	uint64_t id;
	uint64_t fronts;        /* bit n: front n waits for the answer */
	uint64_t memory;        /* octets that the engine holds for it */
	uint64_t size;          /* octets of the letter put together */
	struct parcels parcels; /* what of it is for elsewhere */
	struct buf octets;      /* the letter put together, when it is short and goes elsewhere */
	bool merge;             /* ... is among its views */
	bool looking;           /* not with the engine: somebody asked what became of it */
	enum accept_status absent; /* looking: what to say when it is not there */
};
_Static_assert(FRONT_MAX <= 64, "a bit per front");

/* A mailbox that the letter goes to. */
struct place {
	uint64_t account;
	uint32_t order;  /* among the recipients as they came */
	size_t off, len; /* of its prefix in the buffer */
	struct str rcpt;
};

static void
answer(struct front_peer *f, uint64_t id, enum accept_status status)
{
	unsigned char v = (unsigned char)status;
	writer_front_send(f, IPC_ACCEPTED, id, str_n(&v, 1), -1);
}

static enum accept_status
status_of(int rc)
{
	if (rc == 0)
		return ACCEPT_OK;
	return rc == -ENOSPC || rc == -EDQUOT ? ACCEPT_FULL : ACCEPT_FAILED;
}

static struct accept *
accept_new(struct front_peer *f, uint64_t id)
{
	struct store_role *r = f->role;
	struct accept *a = xalloc(sizeof(*a));
	*a = (struct accept){ .role = r, .id = id, .fronts = (uint64_t)1 << f->index };
	map_put(&r->accepts, id_key(&id), a);
	r->n_accepts++;
	return a;
}

static void
accept_end(struct accept *a, enum accept_status status)
{
	struct store_role *r = a->role;
	map_del(&r->accepts, id_key(&a->id));
	r->n_accepts--;
	r->body_memory -= a->memory;
	parcels_done(&a->parcels);
	buf_done(&a->octets);
	for (size_t i = 0; i < FRONT_MAX; i++)
		if (a->fronts & (uint64_t)1 << i)
			answer(&r->front[i], a->id, status);
	free(a);
}

static void
on_accepted(void *arg, const struct store_res *res)
{
	struct accept *a = arg;
	writer_check(res->rc);
	if (res->rc == -EBADMSG || res->rc == -ESTALE) {
		/* Of a mail merge that is damaged some recipients may have their letter. */
		a->looking = true;
		a->absent = ACCEPT_FAILED;
		return;
	}
	if (res->rc == 0) {
		a->role->n_letters++;
		queue_letter_keep(a->role->queue, a->id, &a->octets, a->parcels.n);
		queue_accepted(a->role->queue, a->id, &a->parcels, a->size);
		if (a->merge)
			queue_merged(a->role->queue, a->id);
		a->role->state.last_letter = MAX(a->role->state.last_letter, a->id);
	} else {
		char id[14];
		id_format(id, a->id);
		LOG_OFTEN(LOG_ERROR, 0, "accept-failed", LOGZ("letter", id),
		    LOGZ("error", strerror(-res->rc)));
	}
	accept_end(a, status_of(res->rc));
}

/* Answers from what is durable; false when that cannot be read now. */
static bool
look(struct accept *a)
{
	int rc = store_accepted(a->role->store, a->id);
	writer_check(rc);
	if (rc >= 0)
		accept_end(a, rc > 0 ? ACCEPT_OK : a->absent);
	return rc >= 0;
}

static void
look_for(struct front_peer *f, uint64_t id, enum accept_status absent)
{
	struct accept *a = accept_new(f, id);
	a->absent = absent;
	a->looking = true;
	look(a);
}

void
writer_accept_retry(struct store_role *r)
{
	size_t pos = 0;
	struct str key;
	void *v;
	while (map_next(&r->accepts, &pos, &key, &v)) {
		struct accept *a = v;
		if (a->looking && !look(a))
			return; /* nor can the others be known */
	}
}

void
writer_accept_ask(struct front_peer *f, uint64_t id)
{
	struct accept *a = map_get(&f->role->accepts, id_key(&id));
	if (a)
		a->fronts |= (uint64_t)1 << f->index;
	else
		look_for(f, id, ACCEPT_UNKNOWN);
}

void
writer_accept_front_gone(struct front_peer *f)
{
	size_t pos = 0;
	struct str key;
	void *v;
	while (map_next(&f->role->accepts, &pos, &key, &v))
		((struct accept *)v)->fronts &= ~((uint64_t)1 << f->index);
}

void
writer_accepts_done(struct store_role *r)
{
	size_t pos = 0;
	struct str key;
	void *v;
	while (map_next(&r->accepts, &pos, &key, &v)) {
		parcels_done(&((struct accept *)v)->parcels);
		buf_done(&((struct accept *)v)->octets);
		free(v);
	}
	map_done(&r->accepts);
}

static int
by_account(const void *pa, const void *pb)
{
	const struct place *a = pa, *b = pb;
	if (a->account != b->account)
		return a->account < b->account ? -1 : 1;
	return a->order < b->order ? -1 : a->order > b->order;
}

static int
by_order(const void *pa, const void *pb)
{
	const struct place *a = pa, *b = pb;
	return a->order < b->order ? -1 : a->order > b->order;
}

/* One copy per mailbox however many recipients lead there: the first of them stays. */
static size_t
merge_places(struct place *p, size_t n)
{
	size_t kept = 0;
	qsort(p, n, sizeof(*p), by_account);
	for (size_t i = 0; i < n; i++)
		if (kept == 0 || p[kept - 1].account != p[i].account)
			p[kept++] = p[i];
	qsort(p, kept, sizeof(*p), by_order);
	return kept;
}

/* Recipients whose account is still there. Between RCPT and now it may have been removed; then
 * its copy goes where its mail went. */
static size_t
find_places(struct store_role *r, const struct msg_accept *m, struct place *p)
{
	struct wire w = wire_of(m->rcpts);
	struct msg_rcpt rcpt;
	size_t n = 0;
	for (uint32_t i = 0; i < m->n_rcpt && msg_rcpt_get(&w, &rcpt); i++)
		if (map_get(&r->accounts, id_key(&rcpt.account)))
			p[n++] = (struct place){
				.account = rcpt.account, .order = i, .rcpt = rcpt.rcpt
			};
	return n > 1 ? merge_places(p, n) : n;
}

static bool
put_prefixes(struct buf *b, const struct msg_accept *m, struct place *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		p[i].off = b->len;
		return_path_put(b, m->from);
		delivered_to_put(b, p[i].rcpt);
		p[i].len = b->len - p[i].off;
	}
	return !b->failed;
}

static struct store_letter
letter_of(uint64_t id, const struct msg_accept *m)
{
	return (struct store_letter){
		.letter = id,
		.session = m->session,
		.time_ms = m->time_ms,
		.qid = m->qid,
		.from = m->from,
		.envid = m->envid,
		.ret = m->ret,
		.trace = m->trace,
		.header_len = m->header_len,
		.insert_blank = m->insert_blank,
		.history = m->history,
		.outline = m->outline,
		.message_id = m->message_id,
		.peer = m->peer,
	};
}

/* As a reader would put it together (store_queue_read). */
static void
put_octets(struct buf *b, const struct store_body *body, const struct msg_accept *m, uint64_t size)
{
	struct str text = store_body_octets(body);
	if (text.len == 0 || size > QUEUE_LETTER_MAX || m->header_len > text.len)
		return;
	*b = BUF_INIT(QUEUE_LETTER_MAX);
	buf_reserve(b, size);
	buf_puts(b, m->trace);
	buf_puts(b, str_first(text, m->header_len));
	if (m->insert_blank)
		buf_putz(b, "\r\n");
	buf_puts(b, str_skip(text, m->header_len));
	if (b->failed)
		buf_done(b);
}

/* Takes over what the parcels hold. */
static void
commit(struct front_peer *f, uint64_t id, struct store_body *body, const struct msg_accept *m,
    const struct store_rcpt *rcpt, size_t n, struct parcels *parcels)
{
	struct store_letter l = letter_of(id, m);
	struct accept *a = accept_new(f, id);
	struct buf lines = BUF_INIT(LINES_MAX);
	l.rcpt = rcpt;
	l.n_rcpt = n;
	a->parcels = *parcels;
	*parcels = (struct parcels){ 0 };
	l.entry = a->parcels.entry;
	l.n_entry = a->parcels.n;
	parcels_put_lines(&lines, &a->parcels);
	l.onward = buf_str(&lines);
	uint64_t size = store_body_size(body) + m->trace.len + (m->insert_blank ? 2 : 0);
	a->size = size;
	if (a->parcels.n)
		put_octets(&a->octets, body, m, size);
	a->memory = store_body_memory(body) + m->trace.len + m->history.len + m->outline.len +
	            2 * a->parcels.octets.len + a->octets.len;
	for (size_t i = 0; i < n; i++) {
		a->memory += rcpt[i].prefix.len + 2 * rcpt[i].rcpt.len;
		writer_usage_add(f->role, rcpt[i].account, size + rcpt[i].prefix.len);
	}
	f->role->body_memory += a->memory;
	store_accept(f->role->store, body, &l, on_accepted, a);
	buf_done(&lines);
	loop_defer_add(f->role->loop, &f->role->go);
}

/* Bodies leave room for those that come while they arrive; but what waits for the disk with a
 * long history must not grow without an end either. */
static bool
has_room(const struct store_role *r)
{
	return r->body_memory / 2 <= r->conf->store_body_memory;
}

/* Takes body over. */
static void
deliver(struct front_peer *f, uint64_t id, struct store_body *body, const struct msg_accept *m)
{
	struct place *place = xalloc((m->n_rcpt + 1) * sizeof(*place));
	struct buf prefix = BUF_INIT(PREFIX_MAX);
	struct parcels parcels;
	size_t n = find_places(f->role, m, place);
	if (parcels_make(&parcels, m) && n + m->n_onward > 0 && has_room(f->role) &&
	    put_prefixes(&prefix, m, place, n)) {
		struct store_rcpt *rcpt = xalloc((n + 1) * sizeof(*rcpt));
		for (size_t i = 0; i < n; i++)
			rcpt[i] = (struct store_rcpt){ .account = place[i].account,
				.mailbox = MAILBOX_INBOX,
				.prefix = str_n(prefix.p + place[i].off, place[i].len),
				.rcpt = place[i].rcpt };
		commit(f, id, body, m, rcpt, n, &parcels);
		free(rcpt);
	} else {
		store_body_free(body);
		answer(f, id, ACCEPT_FAILED);
	}
	parcels_done(&parcels);
	buf_done(&prefix);
	free(place);
}

/* A mail merge. Takes body and views over. */
static void
merge(struct front_peer *f, uint64_t id, struct store_body *body, struct store_views *views,
    const struct msg_accept *m)
{
	struct store_letter l = letter_of(id, m);
	struct buf prefix = BUF_INIT(PREFIX_MAX);
	return_path_put(&prefix, m->from);
	l.prefix = buf_str(&prefix);
	if (views && has_room(f->role) && !prefix.failed) {
		struct accept *a = accept_new(f, id);
		a->merge = true;
		a->memory = store_body_memory(body) + store_views_memory(views) + m->trace.len +
		            m->history.len;
		f->role->body_memory += a->memory;
		store_merge(f->role->store, body, views, &l, on_accepted, a);
	} else {
		store_body_free(body);
		store_views_free(views);
		answer(f, id, ACCEPT_FAILED);
	}
	buf_done(&prefix);
}

/* Do the views that came belong to this letter? */
static bool
views_agree(const struct body *b, const struct msg_accept *m)
{
	return b->n_views == m->n_views && (!b->views || store_views_end(b->views) <= m->size);
}

bool
writer_accept_begin(struct front_peer *f, uint64_t id, struct str octets)
{
	struct msg_accept m;
	if (!msg_accept_get(octets, &m) || (!m.n_views && m.header_len > m.size))
		return false;
	struct body *b = writer_body_find(f, id);
	struct accept *under_way = map_get(&f->role->accepts, id_key(&id));
	if (under_way && b)
		return false; /* two letters under one id */
	if (under_way) {
		under_way->fronts |= (uint64_t)1 << f->index;
		return true;
	}
	if (!b) {
		/* Its octets went to a former life of ours, or it came over the cap. */
		look_for(f, id, ACCEPT_FAILED);
		return true;
	}
	if (b->store && (store_body_size(b->store) != m.size || !views_agree(b, &m)))
		return false;
	enum accept_status why = b->why;
	struct store_views *views;
	struct store_body *body = writer_body_take(b, &views);
	if (!body)
		answer(f, id, why);
	else if (m.n_views)
		merge(f, id, body, views, &m);
	else
		deliver(f, id, body, &m);
	return true;
}
