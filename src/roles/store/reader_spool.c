/*
 * Relays that bring letters to other servers, and want their octets.
 *
 * An entry that is so new that this index does not show it waits until the writer has said that it
 * does; all that come in one turn of the loop share one ask. The rest is answered as it comes.
 *
 * A damaged letter must not leave. What is read in pieces has no checksum of its own: in front of
 * the first piece the body is read whole.
 */
#include "access/access.h"
#include "log/log.h"
#include "roles/store/reader_priv.h"
#include "sys/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define ASKS_MAX 20000 /* of one relay, open */
#define WAIT_MS 30000
#define TICK_MS 1000

struct spool_ask {
	struct list node; /* relay->waiting */
	struct reader_relay *relay;
	uint64_t id, sync; /* sync 0: there is no writer to ask */
	int64_t until;
	struct msg_spool_ask m;
};

static void
relay_close(struct reader_relay *p, const char *why)
{
	if (!p->chan)
		return;
	LOG(why ? LOG_WARN : LOG_DEBUG, 0, "relay-away", LOGN("relay", p->index),
	    LOGZ("why", why ? why : "closed"));
	p->chan = chan_free(p->chan);
	list_each(n, &p->waiting)
	{
		struct spool_ask *a = list_entry(n, struct spool_ask, node);
		list_del(&a->node);
		free(a);
	}
	p->n_waiting = 0;
}

static void
answer(struct reader_relay *p, uint64_t id, enum access_status status, struct str octets)
{
	unsigned char v = (unsigned char)status;
	if (!p->chan)
		return;
	if (chan_pending(p->chan) > IPC_HIGH_WATER * 4)
		relay_close(p, "it does not read its answers");
	else
		chan_send2(p->chan, IPC_SPOOL, id, str_n(&v, 1), octets);
}

/* --- reading --- */

/* 0 or -errno. A letter for many domains is looked at once. */
static int
check_body(struct reader *r, const struct store_ref *ref)
{
	for (size_t i = 0; i < SPOOL_SOUND; i++) {
		const struct store_ref *s = &r->spool_sound[i];
		if (s->lsn == ref->lsn && s->blob == ref->blob && s->crc == ref->crc)
			return 0;
	}
	int rc = store_ref_check(r->store, ref);
	if (rc == 0)
		r->spool_sound[r->spool_next++ % SPOOL_SOUND] = *ref;
	return rc;
}

static int
read_piece(struct reader *r, struct store_snap *sn, const struct msg_spool_ask *m, struct str *ret)
{
	struct store_queued q;
	int rc = store_queue_get(sn, m->letter, m->part, &q);
	if (rc < 0)
		return rc;
	if (m->off >= q.size)
		return -EINVAL;
	uint64_t n = MIN((uint64_t)m->len, q.size - m->off);
	if (m->off == 0 && (rc = check_body(r, &q.ref)) < 0)
		return rc;
	ssize_t got = store_queue_read(r->store, &q, m->off, r->spool_octets, n);
	if (got < 0)
		return (int)got;
	*ret = str_n(r->spool_octets, (size_t)got);
	return (uint64_t)got == n ? 0 : -EBADMSG;
}

/* -ENOENT: this index does not know the entry, or has the body where it was before. */
static int
try(struct reader_relay *p, uint64_t id, const struct msg_spool_ask *m, bool last)
{
	struct reader *r = p->reader;
	const struct store_dom dom = store_dom_queue(0);
	struct store_snap *sn;
	struct str octets = STR_NULL;
	if (!r->store)
		return -ENOENT;
	int rc = store_snap_open(r->store, &dom, &sn, NULL);
	if (rc == 0) {
		rc = read_piece(r, sn, m, &octets);
		store_snap_close(sn);
	}
	if ((rc == -ENOENT || rc == -ESTALE) && !last)
		return -ENOENT;
	if (rc < 0)
		LOG(LOG_WARN, 0, "spool-failed", LOGN("letter", m->letter), LOGN("part", m->part),
		    LOGZ("error", strerror(-rc)));
	answer(p, id,
	    rc == 0          ? ACCESS_OK
	    : rc == -ENOENT  ? ACCESS_NOT_FOUND
	    : rc == -EBADMSG ? ACCESS_CANNOT
			     : ACCESS_FAILED,
	    octets);
	return 0;
}

/* --- the writer --- */

static void
on_turn_end(void *arg)
{
	struct reader *r = arg;
	r->spool_sync = 0;
}

static void
ask_writer(struct spool_ask *a)
{
	struct reader *r = a->relay->reader;
	if (r->writer && !r->spool_sync) {
		r->spool_sync = ++r->last_sync;
		chan_send(r->writer, IPC_SYNC, r->spool_sync, STR_NULL, -1);
		loop_defer_add(r->role.loop, &r->spool_turn);
	}
	a->sync = r->writer ? r->spool_sync : 0;
}

void
reader_spool_ask_writer(struct reader *r)
{
	r->spool_sync = 0;
	for (size_t i = 0; i < RELAY_MAX; i++)
		list_each(n, &r->relay[i].waiting)
		    ask_writer(list_entry(n, struct spool_ask, node));
}

void
reader_spool_synced(struct reader *r, uint64_t id)
{
	bool any = false;
	for (size_t i = 0; i < RELAY_MAX; i++)
		any |= !list_empty(&r->relay[i].waiting);
	if (!any)
		return;
	struct buf err = BUF_INIT(4096);
	if (!reader_open_store(r, &err))
		LOG(LOG_ERROR, 0, "store-not-opened", LOGF("error", str_trim(buf_str(&err))));
	buf_done(&err);
	for (size_t i = 0; i < RELAY_MAX; i++)
		list_each(n, &r->relay[i].waiting)
		{
			struct spool_ask *a = list_entry(n, struct spool_ask, node);
			if (a->sync == 0 || a->sync > id)
				continue;
			struct reader_relay *p = a->relay;
			struct spool_ask now = *a;
			list_del(&a->node);
			free(a);
			p->n_waiting--;
			if (try(p, now.id, &now.m, true) < 0)
				answer(p, now.id, ACCESS_FAILED, STR_NULL);
			if (!p->chan)
				break;
		}
}

static void
on_tick(void *arg)
{
	struct reader *r = arg;
	int64_t now = loop_now(r->role.loop);
	for (size_t i = 0; i < RELAY_MAX; i++)
		list_each(n, &r->relay[i].waiting)
		{
			struct spool_ask *a = list_entry(n, struct spool_ask, node);
			if (a->until > now)
				continue;
			answer(&r->relay[i], a->id, ACCESS_FAILED, STR_NULL);
			if (!r->relay[i].chan)
				break;
			list_del(&a->node);
			free(a);
			r->relay[i].n_waiting--;
		}
}

/* --- a relay's channel --- */

static bool
on_ask(struct reader_relay *p, const struct ipc_frame *f)
{
	struct reader *r = p->reader;
	struct msg_spool_ask m;
	if (f->type != IPC_SPOOL_ASK || !msg_spool_ask_get(f->body, &m) || p->n_waiting >= ASKS_MAX)
		return false;
	if (r->store && !r->stale && try(p, f->id, &m, false) == 0)
		return true;
	struct spool_ask *a = xalloc(sizeof(*a));
	*a = (struct spool_ask){
		.relay = p, .id = f->id, .m = m, .until = loop_now(r->role.loop) + WAIT_MS
	};
	list_add_tail(&p->waiting, &a->node);
	p->n_waiting++;
	ask_writer(a);
	return true;
}

static void
relay_frame(void *arg, struct chan *c, const struct ipc_frame *m)
{
	struct reader_relay *p = arg;
	if (m->fd >= 0)
		close(m->fd);
	if (m->fd >= 0 || !on_ask(p, m))
		relay_close(p, "malformed message");
}

static void
relay_gone(void *arg, struct chan *c, const char *why)
{
	relay_close(arg, why);
}

static const struct chan_handler relay_handler = { relay_frame, relay_gone, NULL };

void
reader_relay_connect(struct reader *r, uint16_t index, int fd)
{
	struct reader_relay *p = &r->relay[index];
	relay_close(p, NULL);
	p->chan = chan_new(r->role.loop, fd, &relay_handler, p);
	if (!p->chan)
		LOG(LOG_ERROR, 0, "relay-refused", LOGN("relay", index),
		    LOGZ("error", strerror(errno)));
}

bool
reader_relays_connected(const struct reader *r)
{
	for (size_t i = 0; i < RELAY_MAX; i++)
		if (r->relay[i].chan)
			return true;
	return false;
}

void
reader_spool_init(struct reader *r)
{
	for (uint16_t i = 0; i < RELAY_MAX; i++) {
		r->relay[i] = (struct reader_relay){ .reader = r, .index = i };
		list_init(&r->relay[i].waiting);
	}
	r->spool_octets = xalloc(SPOOL_CHUNK);
	loop_defer_init(&r->spool_turn, on_turn_end, r);
	r->spool_tick = loop_timer_new(r->role.loop, on_tick, r);
	loop_timer_set(r->spool_tick, TICK_MS, TICK_MS);
}

void
reader_spool_done(struct reader *r)
{
	for (size_t i = 0; i < RELAY_MAX; i++)
		relay_close(&r->relay[i], NULL);
	loop_defer_del(&r->spool_turn);
	r->spool_tick = loop_timer_free(r->spool_tick);
	free(r->spool_octets);
	r->spool_octets = NULL;
}
