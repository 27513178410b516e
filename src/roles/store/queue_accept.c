/* Recipients elsewhere of one letter become entries: one for each domain and reverse-path, or more
 * where there are very many. */
#include "roles/store/queue_priv.h"

#include "base/check.h"
#include "log/log.h"

#include <stdlib.h>

/* Of recipients of one entry; its value must fit STORE_ENTRY_MAX. */
#define LIST_OCTETS (96u << 10)
#define PARCELS_MAX (40u << 20) /* RCPT_MAX entries with everything that an envelope may have */
#define FRESH_MAX (64u << 20)

struct onward {
	struct msg_onward m;
	uint32_t order;
};

static int
by_place(const void *pa, const void *pb)
{
	const struct onward *a = pa, *b = pb;
	int c = str_cmp(a->m.domain, b->m.domain);
	if (c == 0)
		c = str_cmp(a->m.from, b->m.from);
	return c ? c : a->order < b->order ? -1 : a->order > b->order;
}

static bool
same_place(const struct msg_onward *a, const struct msg_onward *b)
{
	return str_eq(a->domain, b->domain) && str_eq(a->from, b->from);
}

static struct queue_entry
entry_of(const struct msg_accept *m, const struct msg_onward *o)
{
	bool other = o->from.len && !str_eq(o->from, m->from);
	return (struct queue_entry){ .created_ms = m->time_ms,
		.flags = m->facts.flags,
		.priority = m->facts.priority,
		.hold_until_ms = m->facts.hold_until_ms,
		.by_ms = m->facts.by_ms,
		.domain = o->domain,
		.from = other ? o->from : m->from,
		.sender = other ? m->from : STR_NULL,
		.envid = m->envid,
		.ret = m->ret,
		.auth = m->facts.auth,
		.account = m->facts.account,
		.peer = m->peer,
		.qid = m->qid,
		.message_id = m->message_id,
		.session = m->session };
}

/* Of the octets from at on. The view is made when they no longer move. */
static void
add_entry(struct parcels *p, size_t at)
{
	p->entry[p->n] =
	    (struct store_entry){ .part = (uint32_t)p->n, .value.len = p->octets.len - at };
	p->n++;
}

/* One entry, of as many as fit from o on; how many they were. */
static size_t
put_parcel(struct parcels *p, const struct msg_accept *m, const struct onward *o, size_t n)
{
	struct buf list = BUF_INIT(2 * LIST_OCTETS);
	struct queue_entry e = entry_of(m, &o->m);
	size_t taken = 0, at = p->octets.len;
	while (taken < n && taken < ENTRY_RCPTS_MAX && list.len < LIST_OCTETS &&
	       same_place(&o->m, &o[taken].m)) {
		const struct msg_onward *r = &o[taken++].m;
		queue_rcpt_put(&list, &(struct queue_rcpt){ r->rcpt, r->notify, r->orcpt, r->via });
	}
	e.n_rcpts = (uint32_t)taken;
	e.rcpts = buf_str(&list);
	queue_entry_put(&p->octets, &e);
	p->octets.failed |= list.failed;
	add_entry(p, at);
	buf_done(&list);
	return taken;
}

/* --- reports of what happens at once: in mailboxes here, and to lists (RFC 3461 5.2.7.3) --- */

static bool
put_told(struct parcels *p, const struct msg_accept *m, uint32_t flag, const struct buf *list,
    uint32_t n)
{
	const struct msg_onward o = { .domain = STR(ENTRY_REPORT_DOMAIN) };
	struct queue_entry e = entry_of(m, &o);
	size_t at = p->octets.len;
	if (n == 0)
		return !list->failed;
	e.flags |= flag;
	e.hold_until_ms = e.by_ms = 0;
	e.n_rcpts = n;
	e.rcpts = buf_str(list);
	queue_entry_put(&p->octets, &e);
	p->entry = xrealloc(p->entry, (p->n + 1) * sizeof(*p->entry));
	add_entry(p, at);
	return !list->failed;
}

static bool
wants_success(const struct msg_accept *m, struct str notify)
{
	const struct notify_letter l = { .sender = m->from, .ours = m->facts.flags & ONWARD_OURS };
	return notify_wanted(notify, NOTIFY_DELIVERED, &l);
}

/* Another one; what has grown to an entry is put. */
static bool
put_another(struct parcels *p, const struct msg_accept *m, uint32_t flag, struct buf *list,
    uint32_t *n, const struct queue_rcpt *r)
{
	queue_rcpt_put(list, r);
	if (++*n < ENTRY_RCPTS_MAX && list->len < LIST_OCTETS)
		return true;
	bool ok = put_told(p, m, flag, list, *n);
	buf_reset(list);
	*n = 0;
	return ok;
}

/* Who sent nothing but asks for success has none of it: most letters end here. */
static bool
put_delivered(struct parcels *p, const struct msg_accept *m)
{
	struct buf list = BUF_INIT(2 * LIST_OCTETS);
	struct wire w = wire_of(m->rcpts);
	struct msg_rcpt r;
	uint32_t n = 0;
	bool ok = true;
	for (uint32_t i = 0; i < m->n_rcpt && ok && msg_rcpt_get(&w, &r); i++) {
		const struct queue_rcpt told = { r.rcpt, r.notify, r.orcpt, STR_NULL };
		if (r.notify.len > 0 && wants_success(m, r.notify))
			ok = put_another(p, m, ENTRY_DELIVERED, &list, &n, &told);
	}
	ok = ok && put_told(p, m, ENTRY_DELIVERED, &list, n);
	buf_done(&list);
	return ok;
}

static bool
put_expanded(struct parcels *p, const struct msg_accept *m)
{
	struct buf list = BUF_INIT(2 * LIST_OCTETS);
	struct wire w = wire_of(m->expanded);
	uint32_t n = 0;
	bool ok = true;
	while (w.left > 0 && !w.bad && ok) {
		struct str address = get_str(&w, 1024), orcpt = get_str(&w, 1024);
		const struct queue_rcpt told = { address, STR("SUCCESS"), orcpt, STR_NULL };
		ok = put_another(p, m, ENTRY_EXPANDED, &list, &n, &told);
	}
	ok = ok && put_told(p, m, ENTRY_EXPANDED, &list, n);
	buf_done(&list);
	return ok;
}

static void
put_onward(struct parcels *p, const struct msg_accept *m)
{
	struct onward *o = xalloc(m->n_onward * sizeof(*o));
	struct wire w = wire_of(m->onward);
	for (uint32_t i = 0; i < m->n_onward; i++) {
		check(msg_onward_get(&w, &o[i].m)); /* looked at when it came */
		o[i].order = i;
	}
	qsort(o, m->n_onward, sizeof(*o), by_place);
	p->entry = xalloc(m->n_onward * sizeof(*p->entry));
	for (size_t i = 0; i < m->n_onward && !p->octets.failed;)
		i += put_parcel(p, m, o + i, m->n_onward - i);
	free(o);
}

bool
parcels_make(struct parcels *p, const struct msg_accept *m)
{
	*p = (struct parcels){ .octets = BUF_INIT(PARCELS_MAX) };
	if (m->n_onward)
		put_onward(p, m);
	bool told = m->from.len == 0 || (put_delivered(p, m) && put_expanded(p, m));
	bool ok = told && !p->octets.failed && p->n <= STORE_ENTRIES_MAX;
	size_t at = 0;
	for (size_t i = 0; i < p->n && ok; i++) {
		p->entry[i].value.p = p->octets.p + at;
		at += p->entry[i].value.len;
	}
	return ok;
}

void
parcels_done(struct parcels *p)
{
	buf_done(&p->octets);
	free(p->entry);
	*p = (struct parcels){ 0 };
}

bool
queue_view_entry(struct buf *out, const struct msg_view *v)
{
	struct buf list = BUF_INIT(LIST_OCTETS);
	const struct msg_accept m = { .session = v->session,
		.time_ms = v->time_ms,
		.qid = v->qid,
		.from = v->from,
		.envid = v->envid,
		.ret = v->ret,
		.peer = v->peer,
		.facts = v->facts };
	const struct msg_onward *o = &v->onward;
	struct queue_entry e = entry_of(&m, o);
	queue_rcpt_put(&list, &(struct queue_rcpt){ o->rcpt, o->notify, o->orcpt, o->via });
	if (str_eq(o->domain, STR(ENTRY_REPORT_DOMAIN))) {
		e.flags |= ENTRY_DELIVERED;
		e.hold_until_ms = e.by_ms = 0;
	}
	e.n_rcpts = 1;
	e.rcpts = buf_str(&list);
	queue_entry_put(out, &e);
	bool ok = !list.failed && !out->failed;
	buf_done(&list);
	return ok;
}

/* Kept until a relay gets it, so that a new letter is not read again from the index. */
static void
keep_fresh(struct queue *q, uint64_t letter, const struct store_entry *s, uint64_t size)
{
	unsigned char key[12];
	size_t octets = sizeof(struct held) + s->value.len;
	/* One that was on its way when we began may have been accepted by a former life of ours,
	 * and its entries may be gone: what the store says of those counts. */
	if (letter >> 22 <= q->begun_ms || q->fresh_octets + octets > FRESH_MAX)
		return;
	free(map_put(&q->fresh, part_key(key, letter, s->part),
	    queue_held_new(size, s->value, STR_NULL)));
	q->fresh_octets += octets;
}

void
queue_accepted(struct queue *q, uint64_t letter, const struct parcels *p, uint64_t size)
{
	/* One that was opened before does not have them. */
	q->snap = store_snap_close(q->snap);
	for (size_t i = 0; i < p->n; i++) {
		const struct store_entry *s = &p->entry[i];
		if (queue_learn(q, letter, s->part, size, s->value, STR_NULL))
			keep_fresh(q, letter, s, size);
	}
	if (p->n)
		queue_pump(q);
}

struct merged {
	struct queue *queue;
	uint64_t letter;
};

static bool
learn_one(void *arg, const struct store_queued *s)
{
	struct merged *m = arg;
	if (s->letter != m->letter)
		return false;
	if (!s->damaged)
		queue_learn(m->queue, s->letter, s->part, s->size, s->value, s->state);
	return true;
}

void
queue_merged(struct queue *q, uint64_t letter)
{
	struct store_snap *sn;
	struct merged m = { q, letter };
	q->snap = store_snap_close(q->snap);
	int rc = queue_snap(q, &sn);
	if (rc == 0)
		rc = store_queue_scan(sn, letter, 0, 0, learn_one, &m);
	if (rc < 0) {
		char id[14];
		id_format(id, letter);
		LOG(LOG_ERROR, 0, "queue-unreadable", LOGZ("letter", id),
		    LOGZ("error", strerror(-rc)),
		    LOGZ("then", "tried when the server starts again"));
	}
	queue_pump(q);
}
