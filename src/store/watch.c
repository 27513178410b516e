/* Watches: all of it on the caller's thread; engines only post events. */
#include "store/store_priv.h"

#include "base/check.h"

#include <errno.h>
#include <stdlib.h>

struct watch_set {
	struct list watches;
};

struct store_watch {
	struct list node;
	struct store *store;
	struct store_dom dom;
	uint64_t since;
	store_watch_fn *fn; /* NULL: freed while events ran */
	void *arg;
};

void
watch_init(struct store *s)
{
	s->watches = MAP_NULL;
}

void
watch_done(struct store *s)
{
	watch_reap(s);
	size_t pos = 0;
	struct str key;
	void *set;
	while (map_next(&s->watches, &pos, &key, &set))
		free(set);
	map_done(&s->watches);
}

bool
store_has_watches(struct store *s)
{
	return __atomic_load_n(&s->n_watches, __ATOMIC_SEQ_CST) > 0;
}

struct store_watch *
store_watch_new(struct store *s, const struct store_dom *d, uint64_t since, store_watch_fn *fn,
    void *arg)
{
	if (s->o.read_only) {
		errno = ENOTSUP;
		return NULL;
	}
	struct str key = str_n(d->b, sizeof(d->b));
	struct watch_set *set = map_get(&s->watches, key);
	if (!set) {
		set = xalloc(sizeof(*set));
		list_init(&set->watches);
		map_put(&s->watches, key, set);
	}
	struct store_watch *w = xalloc(sizeof(*w));
	*w = (struct store_watch){ .store = s, .dom = *d, .since = since, .fn = fn, .arg = arg };
	list_add_tail(&set->watches, &w->node);
	/* Counted before the look: a commit that the look does not see posts its own event. */
	__atomic_add_fetch(&s->n_watches, 1, __ATOMIC_SEQ_CST);
	struct request *r = request_new(REQ_LOOK, NULL, NULL);
	r->dom = *d;
	store_submit(s, r);
	return w;
}

static void
drop_if_empty(struct store *s, const struct store_dom *d)
{
	struct str key = str_n(d->b, sizeof(d->b));
	struct watch_set *set = map_get(&s->watches, key);
	if (set && list_empty(&set->watches)) {
		map_del(&s->watches, key);
		free(set);
	}
}

struct store_watch *
store_watch_free(struct store_watch *w)
{
	if (!w)
		return NULL;
	struct store *s = w->store;
	__atomic_sub_fetch(&s->n_watches, 1, __ATOMIC_SEQ_CST);
	if (s->running) {
		/* watch_event() may be walking the list it is in. */
		w->fn = NULL;
		s->watches_died = true;
		return NULL;
	}
	list_del(&w->node);
	drop_if_empty(s, &w->dom);
	free(w);
	return NULL;
}

void
watch_event(struct store *s, const struct store_dom *d, uint64_t ver)
{
	struct watch_set *set = map_get(&s->watches, str_n(d->b, sizeof(d->b)));
	if (!set)
		return;
	list_each(node, &set->watches)
	{
		struct store_watch *w = list_entry(node, struct store_watch, node);
		if (!w->fn || ver <= w->since)
			continue;
		w->since = ver;
		w->fn(w->arg, d, ver);
	}
}

void
watch_reap(struct store *s)
{
	size_t pos = 0;
	struct str key;
	void *value;
	if (!s->watches_died)
		return;
	s->watches_died = false;
	while (map_next(&s->watches, &pos, &key, &value)) {
		struct watch_set *set = value;
		list_each(node, &set->watches)
		{
			struct store_watch *w = list_entry(node, struct store_watch, node);
			if (w->fn)
				continue;
			list_del(&w->node);
			free(w);
		}
		if (list_empty(&set->watches)) {
			map_del(&s->watches, key);
			free(set);
		}
	}
}
