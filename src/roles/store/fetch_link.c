/*
 * The channel to fetch: the MTA-STS policies that it wants to have kept, under "p|DOMAIN" in the
 * queue's domain, and the reports about TLS that it posts.
 */
#include "log/log.h"
#include "roles/store/store_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* More than fetch remembers (policy.c), so that it is told all that is kept, and removes what it
 * has no room for. */
#define KEPT_MAX 20000
#define KEPT_OCTETS_MAX (40u << 20)

struct fetch_link {
	struct store_role *role;
	struct chan *chan; /* NULL: not there */
	struct map kept;   /* the domains that have one; the values mean nothing */
	bool full;         /* and the log says so */
};

static void
link_close(struct fetch_link *l, const char *why)
{
	if (why)
		LOG(LOG_WARN, 0, "fetch-away", LOGZ("why", why));
	l->chan = chan_free(l->chan);
	writer_tlsrpt_fetch_gone(l->role);
}

/* --- policies --- */

static void
put_key(struct buf *b, struct str domain)
{
	buf_putz(b, "p|");
	buf_puts(b, domain);
}

static void
on_kept(void *arg, const struct store_res *res)
{
	writer_check(res->rc);
	if (res->rc < 0)
		LOG(LOG_WARN, 0, "policy-not-kept", LOGZ("why", strerror(-res->rc)));
}

static bool
on_keep(struct fetch_link *l, const struct ipc_frame *f)
{
	const struct store_dom dom = store_dom_queue(0);
	struct buf key = BUF_INIT(STORE_KEY_MAX);
	struct msg_keep m;
	if (!msg_keep_get(f->body, &m) || m.key.len == 0)
		return false;
	put_key(&key, m.key);
	/* Whoever has taken fetch over fills no disk with it. */
	bool more = m.value.len && l->kept.used >= KEPT_MAX && !map_get(&l->kept, m.key);
	if (more && !l->full)
		LOG(LOG_WARN, 0, "policies-not-kept", LOGZ("why", "there are too many"));
	l->full = l->full || more;
	if (!key.failed && !l->role->settling && !more) {
		struct store_batch *b = store_batch_new(l->role->store, &dom);
		if (m.value.len) {
			store_put(b, buf_str(&key), m.value, 0);
			map_put(&l->kept, m.key, l);
		} else {
			store_del(b, buf_str(&key));
			map_del(&l->kept, m.key);
		}
		store_commit(b, STORE_DURABLE, on_kept, l->role);
	}
	buf_done(&key);
	return true;
}

struct teller {
	struct fetch_link *link;
	size_t octets;
};

static void
tell(struct chan *c, struct str key, struct str value)
{
	struct buf b = BUF_INIT(KEEP_VALUE_MAX + 1024);
	struct msg_keep m = { .key = key, .value = value };
	msg_keep_put(&b, &m);
	if (!b.failed)
		chan_send(c, IPC_KEPT, 0, buf_str(&b), -1);
	buf_done(&b);
}

static bool
tell_one(void *arg, struct str key, struct str value)
{
	struct teller *t = arg;
	t->octets += value.len;
	map_put(&t->link->kept, str_skip(key, 2), t->link);
	tell(t->link->chan, str_skip(key, 2), value);
	return t->octets <= KEPT_OCTETS_MAX;
}

static void
tell_all(struct fetch_link *l)
{
	const struct store_dom dom = store_dom_queue(0);
	struct teller t = { .link = l };
	struct store_snap *sn;
	map_done(&l->kept);
	l->full = false;
	int rc = store_snap_open(l->role->store, &dom, &sn, NULL);
	if (rc == 0) {
		rc = store_scan(sn, STR("p|"), STR("p}"), KEPT_MAX, false, tell_one, &t);
		store_snap_close(sn);
	}
	writer_check(rc);
	if (rc < 0)
		LOG(LOG_WARN, 0, "policies-not-read", LOGZ("why", strerror(-rc)));
	tell(l->chan, STR(""), STR(""));
}

/* --- the channel --- */

static void
link_frame(void *arg, struct chan *c, const struct ipc_frame *m)
{
	struct fetch_link *l = arg;
	struct msg_fetched posted;
	bool ok = m->fd < 0;
	if (m->fd >= 0)
		close(m->fd);
	else if (m->type == IPC_KEEP)
		ok = on_keep(l, m);
	else if (m->type == IPC_POSTED && (ok = msg_fetched_get(m->body, &posted)))
		writer_tlsrpt_posted(l->role, m->id, &posted);
	else
		ok = false;
	if (!ok)
		link_close(l, "malformed message");
}

static void
link_gone(void *arg, struct chan *c, const char *why)
{
	link_close(arg, why);
}

static const struct chan_handler handler = { link_frame, link_gone, NULL };

void
writer_fetch_connect(struct store_role *r, int fd)
{
	if (!r->fetch) {
		r->fetch = xalloc(sizeof(*r->fetch));
		r->fetch->role = r;
	}
	link_close(r->fetch, NULL);
	r->fetch->chan = chan_new(r->loop, fd, &handler, r->fetch);
	if (r->fetch->chan)
		tell_all(r->fetch);
	else
		LOG(LOG_ERROR, 0, "fetch-refused", LOGZ("error", strerror(errno)));
}

bool
writer_fetch_post(struct store_role *r, uint64_t id, const struct msg_post *m)
{
	struct buf b = BUF_INIT(POST_MAX + 4096);
	if (!r->fetch || !r->fetch->chan || chan_pending(r->fetch->chan) > IPC_HIGH_WATER)
		return false;
	msg_post_put(&b, m);
	bool ok = !b.failed;
	if (ok)
		chan_send(r->fetch->chan, IPC_POST, id, buf_str(&b), -1);
	buf_done(&b);
	return ok;
}

void
writer_fetch_done(struct store_role *r)
{
	if (r->fetch) {
		chan_free(r->fetch->chan);
		map_done(&r->fetch->kept);
	}
	free(r->fetch);
	r->fetch = NULL;
}
