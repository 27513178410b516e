/* The octets of letters, from readers. */
#include "access/access.h"
#include "roles/relay/relay_priv.h"

#include "log/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void
forget(struct job *j)
{
	struct spool *s = &j->spool;
	if (s->ask_id)
		map_del(&j->relay->asks, relay_key(&s->ask_id));
	s->ask_id = 0;
}

static void
more(struct job *j)
{
	if (j->conn)
		relay_conn_more(j->conn);
}

/* A reader that is there, another one than last time if there are two. */
static struct reader_link *
reader_of(struct relay *r, struct spool *s)
{
	for (unsigned i = 0; i < READERS_MAX; i++) {
		unsigned at = (r->next_reader + i) % READERS_MAX;
		if (r->reader[at].chan) {
			r->next_reader = at + 1;
			s->reader = at;
			return &r->reader[at];
		}
	}
	return NULL;
}

/* Without a reader it stays asked for: the next one that comes gets it (spool_reader). */
static void
ask(struct job *j, uint64_t off)
{
	struct relay *r = j->relay;
	struct spool *s = &j->spool;
	struct reader_link *to = reader_of(r, s);
	uint64_t left = j->msg.size - off;
	struct msg_spool_ask m = { .letter = j->msg.letter,
		.part = j->msg.part,
		.off = off,
		.len = (uint32_t)MIN(left, (uint64_t)SPOOL_CHUNK) };
	forget(j);
	if (s->tries++ >= SPOOL_TRIES) {
		s->failed = true;
		more(j);
		return;
	}
	s->ask_id = ++r->next_id;
	s->ask_off = off;
	map_put(&r->asks, relay_key(&s->ask_id), j);
	if (!to)
		return;
	struct buf b = BUF_INIT(64);
	msg_spool_ask_put(&b, &m);
	chan_send(to->chan, IPC_SPOOL_ASK, s->ask_id, buf_str(&b), -1);
	buf_done(&b);
}

void
spool_begin(struct job *j)
{
	j->spool.have = BUF_INIT(SPOOL_CHUNK);
	j->spool.raw = BUF_INIT((size_t)WHOLE_MAX + 1);
	j->spool.whole = BUF_INIT(4 * (size_t)WHOLE_MAX);
	struct relay *r = j->relay;
	if (r->early_lease == j->lease && r->early.len > 0 && r->early.len == j->msg.size) {
		j->spool.have = r->early;
		r->early = BUF_INIT(SPOOL_CHUNK);
	} else if (j->msg.size > 0) {
		ask(j, 0);
	}
	r->early_lease = 0;
}

bool
spool_early(struct relay *r, const struct ipc_frame *m)
{
	if (m->body.len < 2 || m->body.p[0] != ACCESS_OK)
		return false;
	buf_done(&r->early);
	r->early = BUF_INIT(SPOOL_CHUNK);
	r->early_lease = m->id;
	buf_puts(&r->early, str_skip(m->body, 1));
	return true;
}

void
spool_end(struct job *j)
{
	forget(j);
	buf_done(&j->spool.have);
	convert_forget(j);
}

bool
spool_at(struct job *j, uint64_t off, struct str *ret)
{
	struct spool *s = &j->spool;
	if (off >= s->at && off < s->at + s->have.len) {
		*ret = str_skip(buf_str(&s->have), (size_t)(off - s->at));
		return true;
	}
	if (!s->failed && (s->ask_id == 0 || s->ask_off != off)) {
		s->tries = 0;
		ask(j, off);
	}
	return false;
}

/* --- readers --- */

static bool
on_spool(struct relay *r, const struct ipc_frame *m)
{
	if (m->type != IPC_SPOOL || m->body.len < 1 || (uint8_t)m->body.p[0] >= ACCESS_STATUS_COUNT)
		return false;
	struct job *j = map_get(&r->asks, relay_key(&m->id));
	struct str octets = str_skip(m->body, 1);
	if (!j)
		return true; /* nobody waits any more */
	struct spool *s = &j->spool;
	uint64_t off = s->ask_off, left = j->msg.size - off;
	if (m->body.p[0] != ACCESS_OK) {
		LOG(LOG_WARN, 0, "letter-not-read", LOGF("qid", j->msg.qid),
		    LOGN("status", m->body.p[0]));
		s->damaged = m->body.p[0] == ACCESS_CANNOT;
		s->tries = s->damaged ? SPOOL_TRIES : s->tries; /* nobody will read it */
		ask(j, off);
		return true;
	}
	if (octets.len != MIN(left, (uint64_t)SPOOL_CHUNK))
		return false;
	forget(j);
	s->tries = 0;
	s->at = off;
	buf_reset(&s->have);
	buf_puts(&s->have, octets);
	more(j);
	return true;
}

static void
ask_again(struct relay *r, const struct reader_link *gone)
{
	struct job **all = NULL;
	size_t n = 0, pos = 0;
	struct str key;
	void *v;
	while (map_next(&r->asks, &pos, &key, &v)) {
		all = xrealloc(all, (n + 1) * sizeof(struct job *));
		all[n++] = v;
	}
	for (size_t i = 0; i < n; i++)
		if (!gone || &r->reader[all[i]->spool.reader] == gone)
			ask(all[i], all[i]->spool.ask_off);
	free(all);
}

static void
reader_close(struct reader_link *l, const char *why)
{
	if (why)
		LOG(LOG_WARN, 0, "reader-away", LOGZ("why", why));
	l->chan = chan_free(l->chan);
	ask_again(l->relay, l);
}

static void
reader_frame(void *arg, struct chan *c, const struct ipc_frame *m)
{
	struct reader_link *l = arg;
	bool ok = m->fd < 0 && on_spool(l->relay, m);
	if (m->fd >= 0)
		close(m->fd);
	if (!ok)
		reader_close(l, "malformed message");
}

static void
reader_gone(void *arg, struct chan *c, const char *why)
{
	reader_close(arg, why);
}

static const struct chan_handler handler = { reader_frame, reader_gone, NULL };

void
spool_reader(struct relay *r, unsigned index, int fd)
{
	struct reader_link *l = &r->reader[index];
	bool first = true;
	for (unsigned i = 0; i < READERS_MAX; i++)
		first = first && !r->reader[i].chan;
	if (l->chan)
		reader_close(l, NULL);
	l->chan = chan_new(r->role.loop, fd, &handler, l);
	if (!l->chan)
		LOG(LOG_ERROR, 0, "reader-refused", LOGZ("error", strerror(errno)));
	else if (first)
		ask_again(r, NULL);
}
