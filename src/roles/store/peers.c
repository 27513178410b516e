/* The channels to fronts and readers: what comes over them, and their end. */
#include "log/log.h"
#include "roles/store/store_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- fronts --- */

static void
front_close(struct front_peer *f, const char *why)
{
	if (!f->chan)
		return;
	LOG(why ? LOG_WARN : LOG_DEBUG, 0, "front-away", LOGN("front", f->index),
	    LOGZ("why", why ? why : "closed"), LOGN("bodies", f->n_bodies));
	f->chan = chan_free(f->chan);
	f->life++;
	f->n_changes = 0;
	writer_watches_drop_all(f);
	writer_bodies_drop_all(f);
	writer_accept_front_gone(f);
}

void
writer_front_send(struct front_peer *f, uint16_t type, uint64_t id, struct str body, int fd)
{
	if (!f->chan)
		return;
	if (chan_pending(f->chan) > IPC_HIGH_WATER)
		front_close(f, "it does not read its answers");
	else
		chan_send(f->chan, type, id, body, fd);
}

static bool
on_body_open(struct front_peer *f, const struct ipc_frame *m)
{
	return m->body.len == 0 && writer_body_open(f, m->id);
}

static bool
on_body_data(struct front_peer *f, const struct ipc_frame *m)
{
	writer_body_data(f, m->id, m->body);
	return true;
}

static bool
on_body_drop(struct front_peer *f, const struct ipc_frame *m)
{
	writer_body_drop(f, m->id);
	return m->body.len == 0;
}

static bool
on_views(struct front_peer *f, const struct ipc_frame *m)
{
	return writer_body_views(f, m->id, m->body);
}

static bool
on_accept(struct front_peer *f, const struct ipc_frame *m)
{
	return writer_accept_begin(f, m->id, m->body);
}

static bool
on_accept_ask(struct front_peer *f, const struct ipc_frame *m)
{
	writer_accept_ask(f, m->id);
	return m->body.len == 0;
}

static bool
on_change(struct front_peer *f, const struct ipc_frame *m)
{
	return writer_mail_change(f, m->id, m->body);
}

static bool
on_watch(struct front_peer *f, const struct ipc_frame *m)
{
	return writer_watch(f, m->id, m->body);
}

static bool
on_unwatch(struct front_peer *f, const struct ipc_frame *m)
{
	writer_unwatch(f, m->id);
	return m->body.len == 0;
}

static bool
on_room_ask(struct front_peer *f, const struct ipc_frame *m)
{
	return writer_room_ask(f, m->id, m->body);
}

static bool
on_etrn(struct front_peer *f, const struct ipc_frame *m)
{
	return writer_etrn(f, m->id, m->body);
}

static const struct {
	enum ipc_type type;
	bool (*handle)(struct front_peer *f, const struct ipc_frame *m); /* false: a breach */
} from_front[] = {
	{ IPC_BODY_DATA, on_body_data },
	{ IPC_BODY_OPEN, on_body_open },
	{ IPC_ACCEPT, on_accept },
	{ IPC_BODY_DROP, on_body_drop },
	{ IPC_ACCEPT_ASK, on_accept_ask },
	{ IPC_VIEWS, on_views },
	{ IPC_CHANGE, on_change },
	{ IPC_WATCH, on_watch },
	{ IPC_UNWATCH, on_unwatch },
	{ IPC_ROOM_ASK, on_room_ask },
	{ IPC_ETRN, on_etrn },
};

static void
front_frame(void *arg, struct chan *c, const struct ipc_frame *m)
{
	struct front_peer *f = arg;
	bool ok = false;
	if (m->fd >= 0)
		close(m->fd);
	else
		for (size_t i = 0; i < ARRAY_LEN(from_front); i++)
			if (from_front[i].type == m->type)
				ok = from_front[i].handle(f, m);
	if (!ok)
		front_close(f, "malformed message");
}

static void
front_gone(void *arg, struct chan *c, const char *why)
{
	front_close(arg, why);
}

static const struct chan_handler front_handler = { front_frame, front_gone, NULL };

void
writer_front_state(struct front_peer *f)
{
	struct buf b = BUF_INIT(64);
	msg_store_state_put(&b, &f->role->state);
	writer_front_send(f, IPC_STORE_STATE, 0, buf_str(&b), -1);
	buf_done(&b);
}

void
writer_front_connect(struct front_peer *f, int fd)
{
	front_close(f, NULL);
	f->chan = chan_new(f->role->loop, fd, &front_handler, f);
	if (!f->chan)
		LOG(LOG_ERROR, 0, "front-refused", LOGN("front", f->index),
		    LOGZ("error", strerror(errno)));
	writer_directory_send(f);
	writer_front_state(f);
}

/* --- readers --- */

struct sync {
	struct reader_peer *reader;
	uint64_t life, id;
};

static void
reader_close(struct reader_peer *p, const char *why)
{
	if (!p->chan)
		return;
	LOG(why ? LOG_WARN : LOG_DEBUG, 0, "reader-away", LOGN("reader", p->index),
	    LOGZ("why", why ? why : "closed"));
	p->chan = chan_free(p->chan);
	p->life++;
	p->n_syncs = 0;
}

static void
on_synced(void *arg, const struct store_res *res)
{
	struct sync *s = arg;
	struct reader_peer *p = s->reader;
	writer_check(res->rc);
	bool waits = p->chan && p->life == s->life;
	if (waits)
		p->n_syncs--;
	if (res->rc < 0) /* the disk is full: the reader's patience ends, then it says so */
		LOG_OFTEN(LOG_WARN, 0, "sync-failed", LOGN("reader", p->index),
		    LOGZ("error", strerror(-res->rc)));
	else if (waits)
		chan_send(p->chan, IPC_SYNCED, s->id, STR_NULL, -1);
	free(s);
}

static void
reader_frame(void *arg, struct chan *c, const struct ipc_frame *m)
{
	struct reader_peer *p = arg;
	if (m->fd >= 0)
		close(m->fd);
	if (m->fd >= 0 || m->type != IPC_SYNC || p->n_syncs >= SYNCS_PER_READER_MAX ||
	    (m->body.len != 0 && m->body.len != sizeof(struct store_dom))) {
		reader_close(p, "malformed message");
		return;
	}
	struct sync *s = xalloc(sizeof(*s));
	*s = (struct sync){ .reader = p, .life = p->life, .id = m->id };
	p->n_syncs++;
	store_sync(p->role->store, on_synced, s);
}

static void
reader_gone(void *arg, struct chan *c, const char *why)
{
	reader_close(arg, why);
}

static const struct chan_handler reader_handler = { reader_frame, reader_gone, NULL };

void
writer_reader_connect(struct reader_peer *p, int fd)
{
	reader_close(p, NULL);
	p->chan = chan_new(p->role->loop, fd, &reader_handler, p);
	if (!p->chan)
		LOG(LOG_ERROR, 0, "reader-refused", LOGN("reader", p->index),
		    LOGZ("error", strerror(errno)));
}

bool
writer_fronts_connected(const struct store_role *r)
{
	for (size_t i = 0; i < FRONT_MAX; i++)
		if (r->front[i].chan)
			return true;
	return false;
}

void
writer_peers_flush(struct store_role *r)
{
	for (size_t i = 0; i < FRONT_MAX; i++)
		if (r->front[i].chan)
			chan_flush(r->front[i].chan);
	for (size_t i = 0; i < STORE_READERS_MAX; i++)
		if (r->reader[i].chan)
			chan_flush(r->reader[i].chan);
}

void
writer_peers_init(struct store_role *r)
{
	for (uint16_t i = 0; i < FRONT_MAX; i++)
		r->front[i] = (struct front_peer){ .role = r, .index = i };
	for (uint16_t i = 0; i < STORE_READERS_MAX; i++)
		r->reader[i] = (struct reader_peer){ .role = r, .index = i };
}

void
writer_peers_done(struct store_role *r)
{
	for (size_t i = 0; i < FRONT_MAX; i++)
		front_close(&r->front[i], NULL);
	for (size_t i = 0; i < STORE_READERS_MAX; i++)
		reader_close(&r->reader[i], NULL);
}
