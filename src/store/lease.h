/*
 * lease: who may write a domain, for how long; the private part. One table for every engine.
 *
 * A handle is the caller's thread's. The table says who holds what and until when; it is under
 * a mutex, because the engine asks it at the moment it puts a batch into order. A fence keeps
 * domain and epoch, so it stays true when the handle is gone.
 *
 * A thread of its own, started with the first lease, makes store_fd() readable when a holder
 * has something to do; store_run() does it.
 *
 * Epochs: the key "n|epoch" in G holds the highest number that may have been given out. Numbers
 * are reserved EPOCH_STEP at a time by a batch that stands in the log before anything written
 * under them, so no epoch that has left a trace comes again after a restart.
 */
#pragma once

#include "base/list.h"
#include "base/map.h"
#include "store/store.h"
#include "sys/thread.h"

#define LEASE_EPOCH_KEY STR("n|epoch")
#define LEASE_EPOCH_STEP 1000

struct leases {
	/* caller's thread */
	struct list handles;
	size_t n;
	uint64_t epoch, reserved; /* the last given out; up to here they are ours */
	bool epoch_known;
	struct thread thread;
	/* under m */
	struct mutex m;
	struct cond c;
	struct map held; /* domain to struct lease_entry */
	bool rung;       /* the fd was made readable, and nobody has come yet */
	bool stop;
};

/* What a batch carries of a lease. */
struct fence {
	struct store_dom dom;
	uint64_t epoch;
};

struct fence lease_fence(const struct store *s, const struct store_lease *l);
void leases_init(struct leases *ls);
void leases_stop(struct store *s); /* with the store still there; every lease has been put */
void leases_done(struct leases *ls);
void leases_run(struct store *s); /* store_run()'s part: renews, and tells what is lost */
/* At submit, on the caller's thread: may the holder still send writes? */
bool leases_allow(struct store *s, const struct fence *f, size_t n);
/* When the batch gets its place in the order, on the engine's thread: is it still ours? */
bool leases_hold(struct store *s, const struct fence *f, size_t n);
