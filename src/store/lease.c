#include "store/lease.h"

#include "base/check.h"
#include "base/wire.h"
#include "store/store_priv.h"
#include "sys/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define WAIT_MAX_MS 3600000

struct lease_entry {
	uint64_t epoch;
	int64_t wake;    /* the holder has something to do */
	int64_t quiet;   /* the holder sends no more writes: a renewal's time before the end */
	int64_t expires; /* anybody may take it */
};

struct store_lease {
	struct list node;
	struct store *store;
	struct store_dom dom;
	uint64_t epoch;
	uint32_t ttl_ms;
	bool lost, told;
	store_lost_fn *fn;
	void *arg;
};

static int64_t
now_ms(const struct store *s)
{
	return s->o.clock_ms ? s->o.clock_ms() : sys_mono_ms();
}

static struct str
dom_str(const struct store_dom *d)
{
	return str_n(d->b, sizeof(d->b));
}

/* --- the table; all of it under m --- */

static struct lease_entry *
entry_of(const struct leases *ls, const struct store_dom *d, uint64_t epoch)
{
	struct lease_entry *e = map_get(&ls->held, dom_str(d));
	return e && e->epoch == epoch ? e : NULL;
}

static void
entry_extend(struct lease_entry *e, int64_t now, uint32_t ttl_ms)
{
	int64_t third = ttl_ms / 3;
	e->wake = now + third;
	e->quiet = now + ttl_ms - third;
	e->expires = now + ttl_ms;
}

static void
entry_drop(struct leases *ls, const struct store_lease *l)
{
	if (entry_of(ls, &l->dom, l->epoch))
		free(map_del(&ls->held, dom_str(&l->dom)));
}

static int64_t
next_wake(const struct leases *ls)
{
	int64_t least = INT64_MAX;
	size_t pos = 0;
	struct str key;
	void *e;
	while (map_next(&ls->held, &pos, &key, &e))
		least = MIN(least, ((const struct lease_entry *)e)->wake);
	return least;
}

/* --- the thread that wakes the holder --- */

static void
leases_main(void *arg)
{
	struct store *s = arg;
	struct leases *ls = &s->leases;
	mutex_lock(&ls->m);
	while (!ls->stop) {
		int64_t wake = ls->rung ? INT64_MAX : next_wake(ls), now = now_ms(s);
		if (wake == INT64_MAX) {
			cond_wait(&ls->c, &ls->m);
		} else if (wake > now) {
			cond_wait_ms(&ls->c, &ls->m, MIN(wake - now, WAIT_MAX_MS));
		} else {
			uint64_t one = 1;
			ls->rung = true;
			check(write(s->efd, &one, sizeof(one)) == sizeof(one));
		}
	}
	mutex_unlock(&ls->m);
}

void
leases_init(struct leases *ls)
{
	list_init(&ls->handles);
	mutex_init(&ls->m);
	cond_init(&ls->c);
}

void
leases_stop(struct store *s)
{
	struct leases *ls = &s->leases;
	check(ls->n == 0);
	mutex_lock(&ls->m);
	ls->stop = true;
	cond_signal(&ls->c);
	mutex_unlock(&ls->m);
	thread_join(&ls->thread);
}

void
leases_done(struct leases *ls)
{
	map_done(&ls->held);
	cond_done(&ls->c);
	mutex_done(&ls->m);
}

/* --- renewing and losing --- */

static bool
poisoned(struct store *s)
{
	struct store_stats st;
	store_stats(s, &st);
	return st.poisoned;
}

/* Under m. */
static void
look_at(struct store *s, struct store_lease *l, int64_t now)
{
	struct lease_entry *e = entry_of(&s->leases, &l->dom, l->epoch);
	if (e && now < e->wake)
		return;
	if (!e || now >= e->quiet) {
		entry_drop(&s->leases, l);
		l->lost = true;
	} else if (poisoned(s)) {
		e->wake = e->quiet;
	} else {
		entry_extend(e, now, l->ttl_ms);
	}
}

static struct store_lease *
lost_untold(const struct leases *ls)
{
	list_each(node, &ls->handles)
	{
		struct store_lease *l = list_entry(node, struct store_lease, node);
		if (l->lost && !l->told)
			return l;
	}
	return NULL;
}

void
leases_run(struct store *s)
{
	struct leases *ls = &s->leases;
	if (ls->n == 0)
		return;
	int64_t now = now_ms(s);
	mutex_lock(&ls->m);
	ls->rung = false;
	list_each(node, &ls->handles) look_at(s, list_entry(node, struct store_lease, node), now);
	cond_signal(&ls->c);
	mutex_unlock(&ls->m);
	/* From the beginning each time: what is called may put leases. */
	for (struct store_lease *l; (l = lost_untold(ls)) != NULL;) {
		l->told = true;
		if (l->fn)
			l->fn(l->arg, l);
	}
}

/* --- epochs --- */

static int
epoch_read(struct store *s)
{
	struct store_dom d = store_dom_directory();
	struct store_snap *sn = NULL;
	struct str v;
	int r = store_snap_open(s, &d, &sn, NULL);
	if (r < 0)
		return r;
	r = store_get(sn, LEASE_EPOCH_KEY, &v);
	if (r == 0 && v.len != 8)
		r = -EBADMSG;
	if (r == 0)
		s->leases.epoch = MAX(s->leases.epoch, be64_get((const unsigned char *)v.p));
	store_snap_close(sn);
	if (r < 0 && r != -ENOENT)
		return r;
	s->leases.reserved = s->leases.epoch;
	s->leases.epoch_known = true;
	return 0;
}

/* Without its reservation no number counts: all leases are lost, and it is asked for anew. */
static void
epochs_reserved(void *arg, const struct store_res *res)
{
	struct store *s = arg;
	if (res->rc == 0)
		return;
	s->leases.epoch_known = false;
	mutex_lock(&s->leases.m);
	list_each(node, &s->leases.handles)
	    entry_drop(&s->leases, list_entry(node, struct store_lease, node));
	mutex_unlock(&s->leases.m);
	leases_run(s);
}

static int
epoch_next(struct store *s, uint64_t *ret)
{
	struct leases *ls = &s->leases;
	unsigned char value[8];
	int r = ls->epoch_known ? 0 : epoch_read(s);
	if (r < 0)
		return r;
	if (ls->epoch == ls->reserved) {
		struct store_dom d = store_dom_directory();
		struct store_batch *b = store_batch_new(s, &d);
		ls->reserved = ls->epoch + LEASE_EPOCH_STEP;
		be64_put(value, ls->reserved);
		store_put(b, LEASE_EPOCH_KEY, str_n(value, sizeof(value)), 0);
		store_commit(b, STORE_DURABLE, epochs_reserved, s);
	}
	*ret = ++ls->epoch;
	return 0;
}

/* --- what the caller sees --- */

static bool
taken(struct store *s, const struct store_dom *d, int64_t now)
{
	mutex_lock(&s->leases.m);
	const struct lease_entry *e = map_get(&s->leases.held, dom_str(d));
	bool is = e && now < e->expires;
	mutex_unlock(&s->leases.m);
	return is;
}

int
store_lease_get(struct store *s, const struct store_dom *d, uint32_t ttl_ms, store_lost_fn *fn,
    void *arg, struct store_lease **ret)
{
	struct leases *ls = &s->leases;
	uint64_t epoch = 0;
	if (ttl_ms < STORE_LEASE_MS_MIN || ttl_ms > STORE_LEASE_MS_MAX)
		return -EINVAL;
	if (s->o.read_only)
		return -EROFS;
	if (taken(s, d, now_ms(s)))
		return -EBUSY;
	if (ls->n == STORE_LEASES_MAX)
		return -E2BIG;
	if (poisoned(s))
		return -EIO;
	int r = epoch_next(s, &epoch);
	if (r < 0)
		return r;
	struct store_lease *l = xalloc(sizeof(*l));
	*l = (struct store_lease){
		.store = s, .dom = *d, .epoch = epoch, .ttl_ms = ttl_ms, .fn = fn, .arg = arg
	};
	struct lease_entry *e = xalloc(sizeof(*e));
	e->epoch = epoch;
	entry_extend(e, now_ms(s), ttl_ms);
	list_add_tail(&ls->handles, &l->node);
	ls->n++;
	mutex_lock(&ls->m);
	free(map_put(&ls->held, dom_str(d), e));
	ls->rung = false; /* it was perhaps for one that is gone, and nobody came for it */
	cond_signal(&ls->c);
	mutex_unlock(&ls->m);
	if (!ls->thread.running)
		thread_start(&ls->thread, "leases", leases_main, s);
	*ret = l;
	return 0;
}

struct store_lease *
store_lease_put(struct store_lease *l)
{
	if (!l)
		return NULL;
	struct leases *ls = &l->store->leases;
	mutex_lock(&ls->m);
	entry_drop(ls, l);
	mutex_unlock(&ls->m);
	list_del(&l->node);
	ls->n--;
	free(l);
	return NULL;
}

uint64_t
store_lease_epoch(const struct store_lease *l)
{
	return l->epoch;
}

struct fence
lease_fence(const struct store *s, const struct store_lease *l)
{
	check(l->store == s);
	return (struct fence){ l->dom, l->epoch };
}

static bool
all_ours(struct store *s, const struct fence *f, size_t n, bool writing)
{
	struct leases *ls = &s->leases;
	if (n == 0)
		return true;
	bool good = true;
	int64_t now = now_ms(s);
	mutex_lock(&ls->m);
	for (size_t i = 0; i < n && good; i++) {
		const struct lease_entry *e = entry_of(ls, &f[i].dom, f[i].epoch);
		good = e && now < (writing ? e->quiet : e->expires);
	}
	mutex_unlock(&ls->m);
	return good;
}

bool
leases_allow(struct store *s, const struct fence *f, size_t n)
{
	return all_ours(s, f, n, true);
}

bool
leases_hold(struct store *s, const struct fence *f, size_t n)
{
	return all_ours(s, f, n, false);
}
