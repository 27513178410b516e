#include "loop/loop.h"

#include "base/check.h"
#include "loop/loop_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

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
on_keep(uv_prepare_t *p)
{
}

struct loop *
loop_new(void)
{
	struct loop *l = xalloc(sizeof(*l));
	struct epoll_event e = { .events = EPOLLIN };
	list_init(&l->deferred);
	list_init(&l->unarmed);
	list_init(&l->dead);
	check(uv_loop_init(&l->uv) == 0);
	check(uv_prepare_init(&l->uv, &l->keep) == 0);
	check(uv_prepare_start(&l->keep, on_keep) == 0);
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	check(l->epoll >= 0);
	check(epoll_ctl(l->epoll, EPOLL_CTL_ADD, uv_backend_fd(&l->uv), &e) == 0);
	return l;
}

struct loop *
loop_free(struct loop *l)
{
	if (!l)
		return NULL;
	check(l->n_handles == 0 && !l->running);
	loop_io_reap(l);
	close(l->epoll);
	uv_close((uv_handle_t *)&l->keep, NULL);
	check(uv_run(&l->uv, UV_RUN_DEFAULT) == 0);
	check(uv_loop_close(&l->uv) == 0);
	free(l);
	return NULL;
}

/* Sleeps until something is ready or a timer is due, and runs what it is for. */
static void
take_events(struct loop *l)
{
	bool uv_ready = l->fresh;
	uv_update_time(&l->uv);
	int timeout = l->stop || l->fresh ? 0 : uv_backend_timeout(&l->uv);
	int n = epoll_wait(l->epoll, l->events, EVENTS_MAX, timeout);
	check(n >= 0 || errno == EINTR);
	uv_update_time(&l->uv);
	for (int i = 0; i < n; i++) {
		if (l->events[i].data.ptr)
			loop_io_event(l->events[i].data.ptr, l->events[i].events);
		else
			uv_ready = true;
	}
	/* What libuv has due or must close makes the timeout 0, if not in this turn then next. */
	if (uv_ready || timeout == 0 || n <= 0) {
		l->fresh = false;
		uv_run(&l->uv, UV_RUN_NOWAIT);
	}
	loop_io_reap(l);
}

void
loop_run(struct loop *l)
{
	check(!l->running);
	l->running = true;
	while (!l->stop) {
		end_turn(l);
		loop_io_arm_all(l);
		take_events(l);
	}
	l->stop = false;
	end_turn(l); /* the turn that stopped it ended without one */
	l->running = false;
}

void
loop_stop(struct loop *l)
{
	l->stop = true;
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
