/* thread: the little of POSIX threads that rooms use; every failure is a bug and aborts. */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct thread {
	pthread_t id;
	bool running;
};
/* Signals are blocked in it. */
void thread_start(struct thread *t, const char *name, void (*fn)(void *), void *arg);
void thread_join(struct thread *t);

struct mutex {
	pthread_mutex_t m;
};
void mutex_init(struct mutex *m);
void mutex_done(struct mutex *m);
void mutex_lock(struct mutex *m);
void mutex_unlock(struct mutex *m);

struct cond {
	pthread_cond_t c;
};
void cond_init(struct cond *c);
void cond_done(struct cond *c);
void cond_wait(struct cond *c, struct mutex *m);
bool cond_wait_ms(struct cond *c, struct mutex *m, int64_t ms); /* false: time is up */
void cond_signal(struct cond *c);
void cond_broadcast(struct cond *c);
