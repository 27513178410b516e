#include "sys/thread.h"

#include "base/check.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#define NAME_MAX_KERNEL 16

struct start {
	void (*fn)(void *);
	void *arg;
	char name[NAME_MAX_KERNEL];
};

static void *
run(void *p)
{
	struct start s = *(struct start *)p;
	free(p);
	/* The thread names itself: naming another one opens a file below /proc. */
	prctl(PR_SET_NAME, s.name);
	s.fn(s.arg);
	return NULL;
}

void
thread_start(struct thread *t, const char *name, void (*fn)(void *), void *arg)
{
	struct start *s = xalloc(sizeof(*s));
	s->fn = fn;
	s->arg = arg;
	strncpy(s->name, name, sizeof(s->name) - 1);

	sigset_t all, before;
	sigfillset(&all);
	check(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
	check(pthread_create(&t->id, NULL, run, s) == 0);
	check(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
	t->running = true;
}

void
thread_join(struct thread *t)
{
	if (!t->running)
		return;
	check(pthread_join(t->id, NULL) == 0);
	t->running = false;
}

void
mutex_init(struct mutex *m)
{
	check(pthread_mutex_init(&m->m, NULL) == 0);
}

void
mutex_done(struct mutex *m)
{
	check(pthread_mutex_destroy(&m->m) == 0);
}

void
mutex_lock(struct mutex *m)
{
	check(pthread_mutex_lock(&m->m) == 0);
}

void
mutex_unlock(struct mutex *m)
{
	check(pthread_mutex_unlock(&m->m) == 0);
}

void
cond_init(struct cond *c)
{
	pthread_condattr_t attr;
	check(pthread_condattr_init(&attr) == 0);
	check(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0);
	check(pthread_cond_init(&c->c, &attr) == 0);
	check(pthread_condattr_destroy(&attr) == 0);
}

void
cond_done(struct cond *c)
{
	check(pthread_cond_destroy(&c->c) == 0);
}

void
cond_wait(struct cond *c, struct mutex *m)
{
	check(pthread_cond_wait(&c->c, &m->m) == 0);
}

bool
cond_wait_ms(struct cond *c, struct mutex *m, int64_t ms)
{
	struct timespec until;
	check(clock_gettime(CLOCK_MONOTONIC, &until) == 0);
	int64_t nsec = until.tv_nsec + (ms > 0 ? ms % 1000 : 0) * 1000000;
	until.tv_sec += (time_t)((ms > 0 ? ms / 1000 : 0) + nsec / 1000000000);
	until.tv_nsec = (long)(nsec % 1000000000);
	int r = pthread_cond_timedwait(&c->c, &m->m, &until);
	check(r == 0 || r == ETIMEDOUT);
	return r == 0;
}

void
cond_signal(struct cond *c)
{
	check(pthread_cond_signal(&c->c) == 0);
}

void
cond_broadcast(struct cond *c)
{
	check(pthread_cond_broadcast(&c->c) == 0);
}
