/* Where a letter of our own goes: to mailboxes here, or into the queue; and how it is handed in. */
#include "roles/store/queue_priv.h"

#include "base/check.h"
#include "log/log.h"
#include "mail/address.h"
#include "mail/received.h"
#include "route/host.h"
#include "route/route.h"
#include "store/mailbox.h"
#include "sys/clock.h"

#include <stdlib.h>

#define PREFIX_MAX (8u << 20) /* an alias may have ALIAS_MEMBERS_MAX members */
#define ONWARD_MAX (8u << 20)
#define LINES_MAX (1u << 20)

void
way_begin(struct way *w)
{
	*w = (struct way){ .prefix = BUF_INIT(PREFIX_MAX), .onward = BUF_INIT(ONWARD_MAX) };
}

void
way_done(struct way *w)
{
	free(w->rcpt);
	parcels_done(&w->parcels);
	buf_done(&w->prefix);
	buf_done(&w->onward);
	*w = (struct way){ 0 };
}

static bool
put_onward(struct way *w, struct str address, struct str notify, struct str via)
{
	struct addr a;
	char host[HOST_MAX];
	if (addr_mailbox(address, ADDR_SMTPUTF8, &a) != ADDR_OK)
		return false;
	enum host_verdict v = host_of(&a, host);
	if (host[0] == '\0' || v == HOST_STRANGE)
		return false;
	const struct msg_onward o = {
		.rcpt = address, .domain = str_of(host), .notify = notify, .via = via
	};
	msg_onward_put(&w->onward, &o);
	w->n_onward++;
	return true;
}

static bool
put_local(struct queue *q, struct way *w, const struct route_target *t)
{
	size_t at = w->prefix.len;
	if (!map_get(&q->role->accounts, id_key(&t->account)))
		return false;
	for (size_t i = 0; i < w->n; i++)
		if (w->rcpt[i].account == t->account)
			return true; /* one copy, whatever leads there */
	return_path_put(&w->prefix, w->from);
	delivered_to_put(&w->prefix, t->address);
	w->rcpt = xrealloc(w->rcpt, (w->n + 1) * sizeof(*w->rcpt));
	w->rcpt[w->n++] = (struct store_rcpt){ .account = t->account,
		.mailbox = MAILBOX_INBOX,
		.prefix.len = w->prefix.len - at,
		.rcpt = t->address };
	return true;
}

bool
way_add(struct queue *q, struct way *w, struct str to, struct str notify)
{
	struct directory d;
	struct route_result found;
	struct addr a;
	bool any = false;
	if (!queue_directory(q, &d) ||
	    addr_mailbox(to, ADDR_SMTPUTF8 | ADDR_BARE_POSTMASTER, &a) != ADDR_OK)
		return false;
	if (a.domain.len && !directory_is_local(&d, a.domain))
		return put_onward(w, to, notify, STR_NULL);
	route_resolve(&d, &a, &found);
	for (size_t i = 0; i < found.n_target; i++) {
		const struct route_target *t = &found.target[i];
		any |= t->remote ? put_onward(w, t->address, notify, to) : put_local(q, w, t);
	}
	route_result_done(&found);
	return any;
}

bool
way_end(struct way *w, uint64_t id, struct msg_accept *m)
{
	size_t at = 0;
	char qid[14];
	id_format(qid, id);
	if (m->qid.len == 0)
		m->qid = str_of(qid);
	m->time_ms = (uint64_t)sys_wall_ms();
	m->n_onward = w->n_onward;
	m->onward = buf_str(&w->onward);
	for (size_t i = 0; i < w->n; i++) {
		w->rcpt[i].prefix.p = w->prefix.p + at;
		at += w->rcpt[i].prefix.len;
	}
	return !w->onward.failed && !w->prefix.failed && parcels_make(&w->parcels, m) &&
	       w->n + w->parcels.n > 0;
}

struct handed {
	struct ending *ending;
	uint64_t id, size;
	struct parcels parcels;
	void (*then)(struct ending *x);
};

static void
handed_in(void *arg, const struct store_res *res)
{
	struct handed *h = arg;
	struct ending *x = h->ending;
	struct queue *q = x->queue;
	writer_check(res->rc);
	if (res->rc == 0) {
		queue_accepted(q, h->id, &h->parcels, h->size);
		h->then(x);
	} else {
		char id[14];
		id_format(id, h->id);
		LOG_OFTEN(LOG_ERROR, 0, "own-letter-not-stored", LOGZ("letter", id),
		    LOGZ("error", strerror(-res->rc)), LOGZ("then", "tried again every second"));
		ending_wait(x);
	}
	parcels_done(&h->parcels);
	free(h);
}

void
parcels_put_lines(struct buf *b, const struct parcels *p)
{
	for (size_t i = 0; i < p->n; i++) {
		struct queue_entry e;
		struct queue_rcpt r;
		if (!queue_entry_get(p->entry[i].value, &e))
			continue;
		struct wire rcpts = wire_of(e.rcpts);
		if (e.flags & (ENTRY_DELIVERED | ENTRY_EXPANDED))
			continue;
		while (rcpts.left && queue_rcpt_get(&rcpts, &r))
			buf_putf(b, "0 0 " STR_FMT "\n", STR_ARG(r.addr));
	}
}

void
way_hand_in(struct ending *x, struct way *w, struct store_body *body, uint64_t header_len,
    bool insert_blank, struct str history, void (*then)(struct ending *x))
{
	struct queue *q = x->queue;
	struct buf lines = BUF_INIT(LINES_MAX);
	char qid[14];
	uint64_t id = x->state.report;
	id_format(qid, id);
	parcels_put_lines(&lines, &w->parcels);
	struct handed *h = xalloc(sizeof(*h));
	*h = (struct handed){ x, id, store_body_size(body) + (insert_blank ? 2 : 0), w->parcels,
		then };
	w->parcels = (struct parcels){ 0 };
	const struct store_letter l = { .letter = id,
		.session = x->entry.session,
		.time_ms = (uint64_t)sys_wall_ms(),
		.qid = str_of(qid),
		.from = w->from,
		.header_len = header_len,
		.insert_blank = insert_blank,
		.history = history,
		.rcpt = w->rcpt,
		.n_rcpt = w->n,
		.entry = h->parcels.entry,
		.n_entry = h->parcels.n,
		.onward = buf_str(&lines) };
	for (size_t i = 0; i < w->n; i++)
		writer_usage_add(q->role, w->rcpt[i].account, h->size + w->rcpt[i].prefix.len);
	store_accept(q->role->store, body, &l, handed_in, h);
	loop_defer_add(q->role->loop, &q->role->go);
	buf_done(&lines);
}
