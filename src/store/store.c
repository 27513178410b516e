#include "store/store_priv.h"

#include "base/check.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

static const struct engine *const engines[] = { &engine_emb, &engine_mem };

/* --- requests and their queues --- */

struct request *
request_new(enum req_kind kind, store_fn *fn, void *arg)
{
	struct request *r = xalloc(sizeof(*r));
	r->kind = kind;
	r->fn = fn;
	r->arg = arg;
	return r;
}

struct request *
request_free(struct request *r)
{
	if (!r)
		return NULL;
	store_batch_free(r->batch);
	letter_free(r->letter);
	free(r);
	return NULL;
}

struct request *
event_new(const struct store_dom *d, uint64_t ver)
{
	struct request *r = request_new(REQ_EVENT, NULL, NULL);
	r->dom = *d;
	r->res.ver = ver;
	return r;
}

void
queue_init(struct queue *q)
{
	q->head = NULL;
	q->tail = &q->head;
}

void
queue_add(struct queue *q, struct request *r)
{
	r->next = NULL;
	*q->tail = r;
	q->tail = &r->next;
}

struct request *
queue_take(struct queue *q)
{
	struct request *r = q->head;
	if (!r)
		return NULL;
	q->head = r->next;
	if (!q->head)
		q->tail = &q->head;
	r->next = NULL;
	return r;
}

void
queue_move(struct queue *to, struct queue *from)
{
	if (!from->head)
		return;
	*to->tail = from->head;
	to->tail = from->tail;
	queue_init(from);
}

/* --- opening and closing --- */

int
store_open(struct store **ret, const char *uri, const struct store_options *o, struct buf *err)
{
	const struct engine *engine = NULL;
	struct str u = str_of(uri);
	for (size_t i = 0; i < ARRAY_LEN(engines); i++)
		if (str_starts(u, str_of(engines[i]->prefix)))
			engine = engines[i];
	if (!engine) {
		buf_putf(err, "%s: no such kind of store; write emb:DIRECTORY or mem:", uri);
		return -EINVAL;
	}
	int efd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (efd < 0) {
		int r = -errno;
		buf_putf(err, "cannot make an eventfd: %s; raise the limit of open files",
		    strerror(-r));
		return r;
	}
	struct store *s = xalloc(sizeof(*s));
	s->engine = engine;
	s->o = *o;
	s->efd = efd;
	mutex_init(&s->m);
	cond_init(&s->c);
	queue_init(&s->done);
	watch_init(s);
	leases_init(&s->leases);
	list_init(&s->merges);
	int r = engine->open(s, str_skip(u, strlen(engine->prefix)), err);
	if (r < 0) {
		s->engine = NULL;
		store_close(s);
		return r;
	}
	*ret = s;
	return 0;
}

struct store *
store_close(struct store *s)
{
	if (!s)
		return NULL;
	if (s->engine) {
		store_wait(s);
		merges_done(s);
		leases_stop(s);
		s->engine->close(s);
	}
	for (struct request *r; (r = queue_take(&s->done)) != NULL;)
		request_free(r);
	watch_done(s);
	leases_done(&s->leases);
	cond_done(&s->c);
	mutex_done(&s->m);
	close(s->efd);
	free(s);
	return NULL;
}

/* --- completions --- */

int
store_fd(struct store *s)
{
	return s->efd;
}

void
store_post(struct store *s, struct queue *q)
{
	if (!q->head)
		return;
	mutex_lock(&s->m);
	bool tell = !s->done.head && !s->collects;
	queue_move(&s->done, q);
	mutex_unlock(&s->m);
	/* Outside: whoever wakes up wants the mutex next. */
	if (tell) {
		uint64_t one = 1;
		check(write(s->efd, &one, sizeof(one)) == sizeof(one));
		cond_signal(&s->c);
	}
}

static void
complete(struct store *s, struct request *r)
{
	if (r->kind == REQ_EVENT || r->kind == REQ_LOOK)
		watch_event(s, &r->dom, r->res.ver);
	if (r->fn)
		r->fn(r->arg, &r->res);
	if (r->kind != REQ_EVENT)
		s->under_way--;
	/* The log may name the blob now, even if the sync failed. */
	for (struct letter *l = r->written ? r->letter : NULL; l; l = l->next)
		if (l->body)
			l->body->blob = 0;
	if (r->written && r->letter && r->letter->views)
		r->letter->views->blob = 0;
	request_free(r);
}

static void
run_done(struct store *s)
{
	struct queue q;
	queue_init(&q);
	mutex_lock(&s->m);
	s->collects = false;
	queue_move(&q, &s->done);
	mutex_unlock(&s->m);
	bool outer = !s->running;
	s->running = true;
	leases_run(s);
	for (struct request *r; (r = queue_take(&q)) != NULL;)
		complete(s, r);
	if (outer) {
		s->running = false;
		watch_reap(s);
	}
}

void
store_run(struct store *s)
{
	uint64_t n;
	if (read(s->efd, &n, sizeof(n)) < 0)
		check(errno == EAGAIN || errno == EINTR);
	run_done(s);
}

void
store_go(struct store *s)
{
	if (!s->gathered)
		return;
	s->gathered = false;
	mutex_lock(&s->m);
	s->collects = true;
	mutex_unlock(&s->m);
	s->engine->go(s);
	run_done(s);
}

int
store_wait(struct store *s)
{
	check(!s->running); /* a completion that waits for completions would wait for itself */
	while (s->under_way) {
		store_go(s);
		if (!s->under_way) /* that was all of it */
			break;
		mutex_lock(&s->m);
		while (!s->done.head)
			cond_wait(&s->c, &s->m);
		mutex_unlock(&s->m);
		store_run(s);
	}
	struct store_stats st;
	store_stats(s, &st);
	return st.poisoned ? -EIO : 0;
}

void
store_submit(struct store *s, struct request *r)
{
	s->under_way++;
	s->engine->submit(s, r);
}

void
store_sync(struct store *s, store_fn *fn, void *arg)
{
	store_submit(s, request_new(REQ_SYNC, fn, arg));
}

/* --- reading --- */

static int
snap_open(struct store *s, const struct store_dom *d, bool applied, struct store_snap **ret,
    uint64_t *ret_ver)
{
	struct store_snap *sn = xalloc(sizeof(*sn));
	sn->store = s;
	sn->dom = *d;
	sn->applied = applied;
	uint64_t ver = 0;
	int r = s->engine->snap_open(sn, &ver);
	if (r < 0) {
		free(sn);
		return r;
	}
	*ret = sn;
	if (ret_ver)
		*ret_ver = ver;
	return 0;
}

int
store_snap_open(struct store *s, const struct store_dom *d, struct store_snap **ret,
    uint64_t *ret_ver)
{
	return snap_open(s, d, false, ret, ret_ver);
}

int
store_snap_open_applied(struct store *s, const struct store_dom *d, struct store_snap **ret,
    uint64_t *ret_ver)
{
	return snap_open(s, d, true, ret, ret_ver);
}

struct store_snap *
store_snap_close(struct store_snap *sn)
{
	if (!sn)
		return NULL;
	sn->store->engine->snap_close(sn);
	free(sn);
	return NULL;
}

int
store_get(struct store_snap *sn, struct str key, struct str *ret)
{
	if (key.len == 0 || key.len > STORE_KEY_MAX)
		return -ENOENT;
	return sn->store->engine->get(sn, key, ret);
}

int
store_scan(struct store_snap *sn, struct str from, struct str to, uint32_t limit, bool reverse,
    store_scan_fn *fn, void *arg)
{
	if (from.len > STORE_KEY_MAX || to.len > STORE_KEY_MAX)
		return -EINVAL;
	return sn->store->engine->scan(sn, from, to, limit, reverse, fn, arg);
}

ssize_t
store_read(struct store *s, const struct store_ref *ref, uint64_t off, void *dst, size_t n)
{
	if (off >= ref->len)
		return 0;
	return s->engine->read(s, ref, off, dst, MIN(n, ref->len - off));
}

void
store_stats(struct store *s, struct store_stats *ret)
{
	*ret = (struct store_stats){ 0 };
	s->engine->stats(s, ret);
	ret->bodies_memory = s->bodies_memory;
}

uint64_t
store_pin(struct store *s)
{
	return s->engine->pin ? s->engine->pin(s) : 1;
}

void
store_unpin(struct store *s, uint64_t pin)
{
	if (s->engine->unpin)
		s->engine->unpin(s, pin);
}

int
store_cut(struct store *s, struct store_cut *ret)
{
	return s->engine->cut ? s->engine->cut(s, ret) : -ENOTSUP;
}

int
store_accepted(struct store *s, uint64_t letter)
{
	struct store_dom d = store_dom_queue(0);
	struct store_snap *sn = NULL;
	int r = store_snap_open(s, &d, &sn, NULL);
	if (r < 0)
		return r;
	char key[DONE_KEY_LEN];
	struct str v;
	queue_key(key, 'a', letter);
	r = store_get(sn, str_n(key, sizeof(key)), &v);
	bool unknown = r == -ENOENT;
	queue_key(key, 'q', letter);
	if (unknown && store_get(sn, str_n(key, sizeof(key)), &v) == 0)
		r = -EAGAIN;
	store_snap_close(sn);
	return r == -ENOENT ? 0 : r < 0 ? r : 1;
}

static bool
take_letter(void *arg, struct str key, struct str value)
{
	uint64_t *last = arg;
	if (key.len == DONE_KEY_LEN)
		*last = be64_get((const unsigned char *)key.p + 2);
	return false;
}

int
store_last_letter(struct store *s, uint64_t *ret)
{
	struct store_dom d = store_dom_queue(0);
	struct store_snap *sn = NULL;
	uint64_t last = 0;
	int r = store_snap_open(s, &d, &sn, NULL);
	if (r < 0)
		return r;
	/* Ids grow with time, and the newest marker is never trimmed. */
	r = store_scan(sn, STR("a|"), STR("a}"), 1, true, take_letter, &last);
	store_snap_close(sn);
	if (r == 0)
		*ret = last;
	return r;
}
