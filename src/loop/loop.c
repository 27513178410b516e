#include "loop/loop.h"

#include "base/check.h"
#include "loop/loop_priv.h"

#include <stdlib.h>

static void
end_turn(struct loop *l)
{
	for (unsigned i = 0; i < l->n_turns; i++)
		l->turns[i].fn(l->turns[i].arg);
	while (!list_empty(&l->deferred)) {
		struct loop_defer *d = list_entry(l->deferred.next, struct loop_defer, node);
		list_del(&d->node);
		d->fn(d->arg);
	}
}

static void
on_prepare(uv_prepare_t *p)
{
	end_turn(p->data);
}

struct loop *
loop_new(void)
{
	struct loop *l = xalloc(sizeof(*l));
	check(uv_loop_init(&l->uv) == 0);
	check(uv_prepare_init(&l->uv, &l->prepare) == 0);
	l->prepare.data = l;
	list_init(&l->deferred);
	/* Libuv runs it before each wait; being active it also keeps uv_run() from returning
	 * when nothing else is watched. */
	check(uv_prepare_start(&l->prepare, on_prepare) == 0);
	return l;
}

struct loop *
loop_free(struct loop *l)
{
	if (!l)
		return NULL;
	check(l->n_handles == 0 && !l->running);
	uv_close((uv_handle_t *)&l->prepare, NULL);
	check(uv_run(&l->uv, UV_RUN_DEFAULT) == 0);
	check(uv_loop_close(&l->uv) == 0);
	free(l);
	return NULL;
}

void
loop_run(struct loop *l)
{
	check(!l->running);
	l->running = true;
	uv_run(&l->uv, UV_RUN_DEFAULT);
	end_turn(l); /* the turn that stopped it ended without one */
	l->running = false;
}

void
loop_stop(struct loop *l)
{
	uv_stop(&l->uv);
}

void
loop_on_turn(struct loop *l, loop_fn *fn, void *arg)
{
	check(l->n_turns < ON_TURN_MAX);
	l->turns[l->n_turns++] = (struct loop_turn){ fn, arg };
}

void
loop_defer_init(struct loop_defer *d, loop_fn *fn, void *arg)
{
	*d = (struct loop_defer){ .fn = fn, .arg = arg };
	list_init(&d->node);
}

void
loop_defer_add(struct loop *l, struct loop_defer *d)
{
	if (list_empty(&d->node))
		list_add_tail(&l->deferred, &d->node);
}

void
loop_defer_del(struct loop_defer *d)
{
	list_del(&d->node);
}

int64_t
loop_now(struct loop *l)
{
	if (!l->running)
		uv_update_time(&l->uv);
	return (int64_t)uv_now(&l->uv);
}

static void
on_closed(uv_handle_t *h)
{
	free(h);
}

void
loop_handle_close(struct loop *l, uv_handle_t *h)
{
	l->n_handles--;
	uv_close(h, on_closed);
}
