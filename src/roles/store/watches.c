/*
 * Fronts that want to know when a mailbox changes, for somebody who idles in it. All watches of a
 * mailbox share one of the engine's. A commit in it is looked at a few milliseconds later, when
 * the index has it: then a front is told only what its modseq does not cover, everything that one
 * burst brought at once, and a read that follows sees it.
 */
#include "roles/store/store_priv.h"

#include "log/log.h"
#include "store/mailbox.h"

#include <errno.h>
#include <stdlib.h>

#define LOOK_MS 8         /* how long a burst may take */
#define LOOK_AGAIN_MS 500 /* when the index finds no room */

/* A domain that is watched. */
struct watched {
	struct list node; /* role->stirred; unlinked: nothing new */
	struct store_role *role;
	struct store_dom dom;
	struct store_watch *watch;
	struct list watchers;
	bool looked_at; /* by the sync under way */
	bool again;     /* something came since that began */
};

/* A front's watch. */
struct watcher {
	struct list node; /* watched->watchers */
	struct front_peer *front;
	struct watched *watched;
	uint64_t id;
	uint64_t since; /* of what is above it the front is told; for an account a version */
};

static struct str
dom_key(const struct store_dom *d)
{
	return str_n(d->b, sizeof(d->b));
}

static bool
is_mailbox(const struct watched *w)
{
	return w->dom.b[0] == 'B';
}

/* --- looking --- */

/* The modseq of a mailbox, or the version of an account; 0: it is gone, or cannot be read. */
static uint64_t
state_of(struct watched *w, bool *ret_gone)
{
	struct mailbox_head h = { 0 };
	struct store_snap *sn;
	uint64_t ver = 0;
	/* Not to wait for what others have committed since the sync. */
	int rc = store_snap_open_applied(w->role->store, &w->dom, &sn, &ver);
	writer_check(rc);
	*ret_gone = false;
	if (rc < 0)
		return 0;
	if (is_mailbox(w)) {
		rc = mailbox_head_read(sn, &h);
		*ret_gone = rc == -ENOENT && ver > 0;
		ver = rc == 0 ? h.modseq : 0;
	}
	store_snap_close(sn);
	return ver;
}

static void
tell(struct watched *w)
{
	bool gone;
	uint64_t state = state_of(w, &gone);
	list_each(n, &w->watchers)
	{
		struct watcher *x = list_entry(n, struct watcher, node);
		if (!gone && state <= x->since)
			continue;
		if (chan_pending(x->front->chan) > IPC_HIGH_WATER) {
			w->again = true; /* it does not read; its next answer ends that */
			continue;
		}
		x->since = gone ? UINT64_MAX : state; /* what is gone is said once */
		chan_send(x->front->chan, IPC_STIRRED, x->id, STR_NULL, -1);
	}
}

static void
set_look(struct store_role *r)
{
	if (r->looking || list_empty(&r->stirred))
		return;
	r->looking = true;
	loop_timer_set(r->look, LOOK_MS, 0);
}

static void
on_applied(void *arg, const struct store_res *res)
{
	struct store_role *r = arg;
	writer_check(res->rc);
	if (res->rc < 0) { /* it does not show yet what there is to tell */
		loop_timer_set(r->look, LOOK_AGAIN_MS, 0);
		return;
	}
	r->looking = false;
	list_each(n, &r->stirred)
	{
		struct watched *w = list_entry(n, struct watched, node);
		if (!w->looked_at || r->settling)
			continue;
		bool again = w->again;
		w->looked_at = w->again = false;
		tell(w);
		if (!again && !w->again)
			list_del(&w->node);
		w->again = false;
	}
	set_look(r);
}

static void
on_look(void *arg)
{
	struct store_role *r = arg;
	list_each(n, &r->stirred) list_entry(n, struct watched, node)->looked_at = true;
	store_sync(r->store, on_applied, r);
}

static void
stir(struct watched *w)
{
	struct store_role *r = w->role;
	if (list_empty(&w->node))
		list_add_tail(&r->stirred, &w->node);
	w->again = w->looked_at;
	set_look(r);
}

static void
on_commit(void *arg, const struct store_dom *d, uint64_t ver)
{
	stir(arg);
}

/* --- watches --- */

static struct watched *
watched_get(struct store_role *r, const struct store_dom *d)
{
	struct watched *w = map_get(&r->watched, dom_key(d));
	if (w)
		return w;
	w = xalloc(sizeof(*w));
	*w = (struct watched){ .role = r, .dom = *d };
	list_init(&w->node);
	list_init(&w->watchers);
	w->watch = store_watch_new(r->store, d, 0, on_commit, w);
	map_put(&r->watched, dom_key(d), w);
	return w;
}

static void
watcher_free(struct watcher *x)
{
	struct watched *w = x->watched;
	map_del(&x->front->watches, id_key(&x->id));
	x->front->n_watches--;
	list_del(&x->node);
	free(x);
	if (!list_empty(&w->watchers))
		return;
	map_del(&w->role->watched, dom_key(&w->dom));
	store_watch_free(w->watch);
	list_del(&w->node);
	free(w);
}

bool
writer_watch(struct front_peer *f, uint64_t id, struct str body)
{
	struct store_role *r = f->role;
	struct msg_watch m;
	if (!msg_watch_get(body, &m) || map_get(&f->watches, id_key(&id)) ||
	    f->n_watches >= MSG_WATCHES_MAX)
		return false;
	/* Of what it may not see it is never told. */
	if (!pass_good(&r->passes, f->index, m.pass.account, m.pass.mac)) {
		LOG(LOG_WARN, 0, "pass-refused", LOGN("front", f->index),
		    LOGN("account", m.pass.account));
		return true;
	}
	struct store_dom d = m.mailbox ? store_dom_mailbox(m.pass.account, m.mailbox)
	                               : store_dom_account(m.pass.account);
	struct watcher *x = xalloc(sizeof(*x));
	*x = (struct watcher){
		.front = f, .watched = watched_get(r, &d), .id = id, .since = m.since
	};
	list_add_tail(&x->watched->watchers, &x->node);
	map_put(&f->watches, id_key(&id), x);
	f->n_watches++;
	stir(x->watched);
	return true;
}

void
writer_unwatch(struct front_peer *f, uint64_t id)
{
	struct watcher *x = map_get(&f->watches, id_key(&id));
	if (x)
		watcher_free(x);
}

void
writer_watches_drop_all(struct front_peer *f)
{
	size_t pos = 0;
	struct str key;
	void *v;
	while (map_next(&f->watches, &pos, &key, &v))
		watcher_free(v);
	map_done(&f->watches);
	f->watches = MAP_NULL;
	check(f->n_watches == 0);
}

void
writer_watches_init(struct store_role *r)
{
	r->look = loop_timer_new(r->loop, on_look, r);
}

/* Every front is gone by then. */
void
writer_watches_done(struct store_role *r)
{
	check(r->watched.used == 0);
	map_done(&r->watched);
	r->look = loop_timer_free(r->look);
}
