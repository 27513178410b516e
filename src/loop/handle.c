#include "base/check.h"
#include "loop/loop.h"
#include "loop/loop_priv.h"

#include <errno.h>
#include <stdlib.h>

/* Each begins with libuv's handle: it is freed through it. A NULL fn: freed. */
struct loop_timer {
	uv_timer_t h;
	struct loop *loop;
	loop_fn *fn;
	void *arg;
};

struct loop_signal {
	uv_signal_t h;
	struct loop *loop;
	loop_fn *fn;
	void *arg;
};

struct loop_wake {
	uv_async_t h;
	struct loop *loop;
	loop_fn *fn;
	void *arg;
};

static void
on_timer(uv_timer_t *h)
{
	struct loop_timer *t = container_of(h, struct loop_timer, h);
	if (t->fn)
		t->fn(t->arg);
}

struct loop_timer *
loop_timer_new(struct loop *l, loop_fn *fn, void *arg)
{
	struct loop_timer *t = xalloc(sizeof(*t));
	check(uv_timer_init(&l->uv, &t->h) == 0);
	t->loop = l;
	t->fn = fn;
	t->arg = arg;
	l->n_handles++;
	return t;
}

void
loop_timer_set(struct loop_timer *t, int64_t in_ms, int64_t repeat_ms)
{
	if (!t->loop->running)
		uv_update_time(&t->loop->uv);
	uint64_t in = (uint64_t)MAX(in_ms, 0), repeat = (uint64_t)MAX(repeat_ms, 0);
	check(uv_timer_start(&t->h, on_timer, in, repeat) == 0);
}

void
loop_timer_stop(struct loop_timer *t)
{
	check(uv_timer_stop(&t->h) == 0);
}

struct loop_timer *
loop_timer_free(struct loop_timer *t)
{
	if (!t)
		return NULL;
	check(t->fn != NULL);
	t->fn = NULL;
	loop_handle_close(t->loop, (uv_handle_t *)&t->h);
	return NULL;
}

static void
on_signal(uv_signal_t *h, int signo)
{
	struct loop_signal *s = container_of(h, struct loop_signal, h);
	if (s->fn)
		s->fn(s->arg);
}

struct loop_signal *
loop_signal_new(struct loop *l, int signo, loop_fn *fn, void *arg)
{
	struct loop_signal *s = xalloc(sizeof(*s));
	check(uv_signal_init(&l->uv, &s->h) == 0);
	check(uv_signal_start(&s->h, on_signal, signo) == 0);
	s->loop = l;
	s->fn = fn;
	s->arg = arg;
	l->n_handles++;
	l->fresh = true;
	return s;
}

struct loop_signal *
loop_signal_free(struct loop_signal *s)
{
	if (!s)
		return NULL;
	check(s->fn != NULL);
	s->fn = NULL;
	loop_handle_close(s->loop, (uv_handle_t *)&s->h);
	return NULL;
}

static void
on_wake(uv_async_t *h)
{
	struct loop_wake *w = container_of(h, struct loop_wake, h);
	if (w->fn)
		w->fn(w->arg);
}

struct loop_wake *
loop_wake_new(struct loop *l, loop_fn *fn, void *arg)
{
	struct loop_wake *w = xalloc(sizeof(*w));
	check(uv_async_init(&l->uv, &w->h, on_wake) == 0);
	w->loop = l;
	w->fn = fn;
	w->arg = arg;
	l->n_handles++;
	l->fresh = true;
	return w;
}

void
loop_wake_send(struct loop_wake *w)
{
	check(uv_async_send(&w->h) == 0);
}

struct loop_wake *
loop_wake_free(struct loop_wake *w)
{
	if (!w)
		return NULL;
	check(w->fn != NULL);
	w->fn = NULL;
	loop_handle_close(w->loop, (uv_handle_t *)&w->h);
	return NULL;
}
