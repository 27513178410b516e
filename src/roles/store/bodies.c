/*
 * Bodies that arrive. Together, and with the letters that wait for the disk, they may hold
 * conf.store_body_memory octets; above it the largest go to files of their own. "Largest" is kept
 * cheap: bodies stand in lists by the power of two that their size falls into, and one of the top
 * list goes.
 */
#include "roles/store/store_priv.h"

#include "base/check.h"
#include "log/log.h"
#include "mail/received.h"
#include "store/mailbox.h"
#include "sys/clock.h"

#include <errno.h>
#include <stdlib.h>

#define PREFIX_MAX (8u << 10) /* of one recipient of a mail merge */

static struct list *
size_list(struct store_role *r, uint64_t memory)
{
	unsigned class = memory ? 64u - (unsigned)__builtin_clzll(memory) : 0;
	return &r->by_size[MIN(class, SIZE_CLASSES - 1u)];
}

static void
set_memory(struct body *b, uint64_t memory)
{
	struct store_role *r = b->front->role;
	struct list *to = size_list(r, memory);
	r->body_memory += memory - b->memory;
	if (memory == 0)
		list_del(&b->node);
	else if (list_empty(&b->node) || to != size_list(r, b->memory)) {
		list_del(&b->node);
		list_add_tail(to, &b->node);
	}
	b->memory = memory;
}

static void
fail_body(struct body *b, int rc)
{
	char id[14];
	id_format(id, b->id);
	LOG_OFTEN(LOG_ERROR, 0, "body-failed", LOGZ("letter", id), LOGN("front", b->front->index),
	    LOGZ("error", strerror(-rc)));
	b->why = rc == -ENOSPC || rc == -EDQUOT ? ACCEPT_FULL : ACCEPT_FAILED;
	b->store = store_body_free(b->store);
	b->views = store_views_free(b->views);
	set_memory(b, 0);
}

static uint64_t
held(const struct body *b)
{
	return store_body_memory(b->store) + (b->views ? store_views_memory(b->views) : 0);
}

static struct body *
largest(struct store_role *r)
{
	for (size_t i = SIZE_CLASSES; i-- > 0;)
		if (!list_empty(&r->by_size[i]))
			return list_entry(r->by_size[i].next, struct body, node);
	return NULL;
}

static void
make_room(struct store_role *r, struct body *newest)
{
	while (r->body_memory > r->conf->store_body_memory) {
		struct body *b = largest(r);
		if (!b || b->memory < BODY_SPILL_LEAST) {
			/* Many small ones, or many that wait: the one that came too much is
			 * refused, unless it is in its file. */
			if (newest->store && newest->memory)
				fail_body(newest, -ENOMEM);
			return;
		}
		int rc = store_body_spill(b->store);
		if (rc == 0 && b->views)
			rc = store_views_spill(b->views);
		if (rc < 0)
			fail_body(b, rc);
		else
			set_memory(b, MIN(held(b), b->memory / 2));
	}
}

bool
writer_body_open(struct front_peer *f, uint64_t id)
{
	/* Ids are times: one from far ahead would be the floor of every id to come. And each front
	 * has its own: a letter under another's id would be taken for that one's, and stored for
	 * it.
	 */
	if (map_get(&f->bodies, id_key(&id)) || ID_FRONT(id) != f->index ||
	    (id >> 22) > (uint64_t)sys_wall_ms() + ID_AHEAD_MS)
		return false;
	if (f->n_bodies >= BODIES_PER_FRONT_MAX) {
		if (!f->crowded)
			LOG(LOG_WARN, 0, "front-crowded", LOGN("front", f->index),
			    LOGN("bodies", f->n_bodies));
		f->crowded = true;
		return true; /* its accept will find nothing and be refused */
	}
	struct body *b = xalloc(sizeof(*b));
	*b = (struct body){ .front = f, .id = id, .why = ACCEPT_FAILED };
	list_init(&b->node);
	b->store = store_body_new(f->role->store, id);
	map_put(&f->bodies, id_key(&id), b);
	f->n_bodies++;
	return true;
}

/* Has it been moved to a file, all or a part of it? */
static bool
in_file(const struct body *b)
{
	return (store_body_size(b->store) && store_body_memory(b->store) == 0) ||
	       (b->views && store_views_count(b->views) && store_views_memory(b->views) == 0);
}

/* After octets have been added. */
static void
has_grown(struct body *b, size_t octets)
{
	struct store_role *r = b->front->role;
	set_memory(b, held(b));
	writer_space_took(r, octets);
	/* What is left of the disk belongs to letters that are complete. */
	if (r->state.low && in_file(b))
		fail_body(b, -ENOSPC);
	else
		make_room(r, b);
}

/* Octets for a letter we do not know belong to one that a former life of ours lost. */
void
writer_body_data(struct front_peer *f, uint64_t id, struct str octets)
{
	struct body *b = writer_body_find(f, id);
	if (!b || !b->store)
		return;
	int rc = store_body_write(b->store, octets);
	if (rc < 0)
		fail_body(b, rc);
	else
		has_grown(b, octets.len);
}

/* --- mail merge --- */

static bool
put_pieces(struct buf *out, const struct msg_view *m)
{
	struct wire w = wire_of(m->pieces);
	struct msg_piece p;
	buf_reset(out);
	for (uint16_t i = 0; i < m->n_pieces && msg_piece_get(&w, &p); i++)
		store_piece_put(out, &(struct store_piece){ p.literal, p.text, p.off, p.len });
	return !out->failed;
}

/* A recipient elsewhere: an entry of its own. */
static int
add_onward(struct body *b, const struct msg_view *m, struct buf *pieces)
{
	struct buf entry = BUF_INIT(STORE_ENTRY_MAX);
	if (!b->store)
		return 0;
	if (!b->views)
		b->views = store_views_new(b->front->role->store, b->id);
	int rc = -ENOMEM;
	if (put_pieces(pieces, m) && queue_view_entry(&entry, m))
		rc = store_views_add(b->views, &(struct store_view){ .size = m->size,
						   .header_len = m->header_len,
						   .insert_blank = m->insert_blank,
						   .n_pieces = m->n_pieces,
						   .pieces = buf_str(pieces),
						   .entry = buf_str(&entry) });
	buf_done(&entry);
	return rc;
}

/* A recipient whose account was removed between RCPT and now gets none; its mail went with it. */
static int
add_view(struct body *b, const struct msg_view *m, struct buf *pieces, struct buf *prefix)
{
	struct store_role *r = b->front->role;
	if (m->rcpt.account == 0)
		return add_onward(b, m, pieces);
	if (!b->store || !map_get(&r->accounts, id_key(&m->rcpt.account)))
		return 0;
	if (!b->views)
		b->views = store_views_new(r->store, b->id);
	buf_reset(prefix);
	delivered_to_put(prefix, m->rcpt.rcpt);
	if (!put_pieces(pieces, m) || prefix->failed)
		return -ENOMEM;
	writer_usage_add(r, m->rcpt.account, m->size + prefix->len);
	return store_views_add(b->views, &(struct store_view){ .account = m->rcpt.account,
					     .mailbox = MAILBOX_INBOX,
					     .prefix = buf_str(prefix),
					     .size = m->size,
					     .header_len = m->header_len,
					     .insert_blank = m->insert_blank,
					     .n_pieces = m->n_pieces,
					     .pieces = buf_str(pieces) });
}

bool
writer_body_views(struct front_peer *f, uint64_t id, struct str octets)
{
	struct body *b = writer_body_find(f, id);
	struct wire w = wire_of(octets);
	struct buf pieces = BUF_INIT(2 * VIEW_MAX), prefix = BUF_INIT(PREFIX_MAX);
	struct msg_view m;
	int rc = 0;
	bool good = true;
	while (good && w.left > 0) {
		good = msg_view_get(&w, &m) && (!b || b->n_views < MERGE_RCPT_MAX);
		if (!good || !b)
			continue;
		b->n_views++;
		rc = rc < 0 ? rc : add_view(b, &m, &pieces, &prefix);
	}
	if (good && b && b->store && rc < 0)
		fail_body(b, rc);
	else if (good && b && b->store)
		has_grown(b, octets.len);
	buf_done(&pieces);
	buf_done(&prefix);
	return good;
}

struct body *
writer_body_find(struct front_peer *f, uint64_t id)
{
	return map_get(&f->bodies, id_key(&id));
}

struct store_body *
writer_body_take(struct body *b, struct store_views **ret_views)
{
	struct front_peer *f = b->front;
	struct store_body *store = b->store;
	*ret_views = b->views;
	set_memory(b, 0);
	map_del(&f->bodies, id_key(&b->id));
	f->n_bodies--;
	f->crowded = f->crowded && f->n_bodies > BODIES_PER_FRONT_MAX / 2;
	free(b);
	return store;
}

static void
forget(struct body *b)
{
	struct store_views *views;
	store_body_free(writer_body_take(b, &views));
	store_views_free(views);
}

void
writer_body_drop(struct front_peer *f, uint64_t id)
{
	struct body *b = writer_body_find(f, id);
	if (b)
		forget(b);
}

void
writer_bodies_drop_all(struct front_peer *f)
{
	size_t pos = 0;
	struct str key;
	void *v;
	while (map_next(&f->bodies, &pos, &key, &v))
		forget(v);
	map_done(&f->bodies);
	f->bodies = MAP_NULL;
	check(f->n_bodies == 0);
}
