#include "roles/auth/pool.h"

#include "sys/thread.h"

#include <stdlib.h>

struct pool {
	struct loop_wake *wake;
	struct thread thread[POOL_THREADS_MAX];
	size_t n_threads, queue_max;
	/* under the mutex */
	struct mutex mutex;
	struct cond work;
	struct list queue, finished;
	size_t n_queue;
	bool stop;
};

static struct pool_job *
take(struct pool *p)
{
	while (list_empty(&p->queue) && !p->stop)
		cond_wait(&p->work, &p->mutex);
	if (p->stop)
		return NULL;
	struct pool_job *j = list_entry(p->queue.next, struct pool_job, node);
	list_del(&j->node);
	p->n_queue--;
	return j;
}

static void
worker(void *arg)
{
	struct pool *p = arg;
	struct pool_job *j;
	mutex_lock(&p->mutex);
	while ((j = take(p))) {
		mutex_unlock(&p->mutex);
		j->work(j);
		j->ran = true;
		mutex_lock(&p->mutex);
		list_add_tail(&p->finished, &j->node);
		loop_wake_send(p->wake);
	}
	mutex_unlock(&p->mutex);
}

/* One at a time: done() may submit again. */
static void
end_all(struct pool *p, struct list *from)
{
	for (;;) {
		mutex_lock(&p->mutex);
		struct pool_job *j =
		    list_empty(from) ? NULL : list_entry(from->next, struct pool_job, node);
		if (j)
			list_del(&j->node);
		mutex_unlock(&p->mutex);
		if (!j)
			return;
		j->done(j);
	}
}

static void
on_wake(void *arg)
{
	struct pool *p = arg;
	end_all(p, &p->finished);
}

struct pool *
pool_new(struct loop *l, const char *name, size_t threads, size_t queue_max)
{
	check(threads > 0 && threads <= POOL_THREADS_MAX);
	struct pool *p = xalloc(sizeof(*p));
	mutex_init(&p->mutex);
	cond_init(&p->work);
	list_init(&p->queue);
	list_init(&p->finished);
	p->wake = loop_wake_new(l, on_wake, p);
	p->n_threads = threads;
	p->queue_max = queue_max;
	for (size_t i = 0; i < threads; i++)
		thread_start(&p->thread[i], name, worker, p);
	return p;
}

bool
pool_submit(struct pool *p, struct pool_job *j, bool urgent)
{
	mutex_lock(&p->mutex);
	bool room = urgent || (p->n_queue < p->queue_max && !p->stop);
	if (room) {
		j->ran = false;
		if (urgent)
			list_add_head(&p->queue, &j->node);
		else
			list_add_tail(&p->queue, &j->node);
		p->n_queue++;
		cond_signal(&p->work);
	}
	mutex_unlock(&p->mutex);
	return room;
}

size_t
pool_waiting(struct pool *p)
{
	mutex_lock(&p->mutex);
	size_t n = p->n_queue;
	mutex_unlock(&p->mutex);
	return n;
}

struct pool *
pool_free(struct pool *p)
{
	if (!p)
		return NULL;
	mutex_lock(&p->mutex);
	p->stop = true;
	cond_broadcast(&p->work);
	mutex_unlock(&p->mutex);
	for (size_t i = 0; i < p->n_threads; i++)
		thread_join(&p->thread[i]);
	end_all(p, &p->finished);
	end_all(p, &p->queue);
	loop_wake_free(p->wake);
	cond_done(&p->work);
	mutex_done(&p->mutex);
	free(p);
	return NULL;
}
