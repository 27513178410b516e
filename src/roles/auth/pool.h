/*
 * pool: work that takes long, on a few threads, with its end back on the loop.
 *
 * A job is embedded in its owner. work() runs on a thread and touches only the job's owner;
 * done() runs on the loop's thread, exactly once for each job that pool_submit() took. When the
 * pool is freed, jobs that no thread has begun end with `ran` false.
 */
#pragma once

#include "base/list.h"
#include "loop/loop.h"

#include <stdbool.h>
#include <stddef.h>

#define POOL_THREADS_MAX 4

struct pool;

struct pool_job {
	struct list node;
	void (*work)(struct pool_job *j);
	void (*done)(struct pool_job *j);
	bool ran;
};

/* name: of its threads, at most 15 octets. At most queue_max jobs wait. */
struct pool *pool_new(struct loop *l, const char *name, size_t threads, size_t queue_max);
struct pool *pool_free(struct pool *p); /* waits for what threads are at */
/* False: the queue is full (never when urgent, which also goes first); done() is not called. */
bool pool_submit(struct pool *p, struct pool_job *j, bool urgent);
size_t pool_waiting(struct pool *p); /* jobs that no thread has begun */
