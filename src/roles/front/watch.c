/*
 * watch: which mailboxes connections look at. All that look at one share a watch at the writer.
 *
 * A stir says that there is something new, not how much. So whoever joins a watch that was stirred
 * before, or has seen less than the watch began with, is stirred at once: it looks once too often
 * rather than never.
 */
#include "roles/front/visit_priv.h"

#include <stdlib.h>

struct watch_key {
	uint64_t account;
	uint32_t mailbox, zero;
};

struct watch {
	struct front *front;
	struct watch_key key;
	uint64_t id;
	uint64_t since;
	unsigned char mac[MSG_MAC_LEN]; /* of a pass for the account */
	bool stirred;
	bool telling; /* members are being told: it stays until all are */
	struct list members;
};

static struct str
key_of(const struct watch_key *k)
{
	return str_n(k, sizeof(*k));
}

static struct str
id_of(const uint64_t *id)
{
	return str_n(id, sizeof(*id));
}

static void
send_watch(struct watch *w)
{
	struct buf body = BUF_INIT(256);
	struct msg_watch m = {
		.pass = { w->key.account, str_n(w->mac, sizeof(w->mac)) },
		.mailbox = w->key.mailbox,
		.since = w->since,
	};
	if (!w->front->store)
		return; /* watch_store_back() comes */
	msg_watch_put(&body, &m);
	chan_send(w->front->store, IPC_WATCH, w->id, buf_str(&body), -1);
	buf_done(&body);
}

static struct watch *
watch_new(struct front *f, const struct watch_key *k, const struct visit *m, uint64_t since)
{
	struct watch *w = xalloc(sizeof(*w));
	*w = (struct watch){ .front = f, .key = *k, .id = ++f->question_id, .since = since };
	memcpy(w->mac, m->mac, sizeof(w->mac));
	list_init(&w->members);
	map_put(&f->watches, key_of(&w->key), w);
	map_put(&f->watch_ids, id_of(&w->id), w);
	send_watch(w);
	return w;
}

static void
forget(struct watch *w)
{
	struct front *f = w->front;
	if (w->telling || !list_empty(&w->members))
		return;
	if (f->store)
		chan_send(f->store, IPC_UNWATCH, w->id, STR_NULL, -1);
	map_del(&f->watches, key_of(&w->key));
	map_del(&f->watch_ids, id_of(&w->id));
	explicit_bzero(w->mac, sizeof(w->mac));
	free(w);
}

static void
leave(struct visit *m)
{
	struct watch *w = m->watch;
	if (!w)
		return;
	list_del(&m->watching);
	m->watch = NULL;
	forget(w);
}

bool
watch_set(struct conn *c, bool wanted, uint32_t mailbox, uint64_t modseq)
{
	struct front *f = c->front;
	struct visit *m = c->visit;
	struct watch_key k = { m->account, mailbox, 0 };
	if (wanted ? m->watch && m->watch->key.mailbox == mailbox : !m->watch)
		return false;
	leave(m);
	if (!wanted)
		return false;
	struct watch *w = map_get(&f->watches, key_of(&k));
	bool late = w && (w->stirred || modseq < w->since);
	if (!w)
		w = watch_new(f, &k, m, modseq);
	m->watch = w;
	list_add_tail(&w->members, &m->watching);
	if (late)
		c->protocol->stirred(c);
	return late;
}

/* A member may leave while it is told, and the others stay. */
static void
tell_all(struct watch *w)
{
	w->stirred = true;
	w->telling = true;
	list_each(n, &w->members)
	{
		struct conn *c = list_entry(n, struct visit, watching)->conn;
		c->protocol->stirred(c);
		conn_drive(c);
	}
	w->telling = false;
	forget(w);
}

bool
watch_stirred(struct front *f, const struct ipc_frame *m)
{
	struct watch *w = map_get(&f->watch_ids, id_of(&m->id));
	if (w)
		tell_all(w);
	return true;
}

/* What it missed nobody knows: the new one says at once whether there is something. */
void
watch_store_back(struct front *f)
{
	size_t pos = 0;
	struct str key;
	void *v;
	while (map_next(&f->watches, &pos, &key, &v)) {
		struct watch *w = v;
		list_each(n, &w->members)
		{
			struct conn *c = list_entry(n, struct visit, watching)->conn;
			c->protocol->stirred(c);
		}
		send_watch(w);
	}
}
