/*
 * work: one life of a store under the plan's load, and the judgement of what a crash left.
 */
#pragma once

#include "facts.h"

#include "store/store.h"

#define WORK_SAYS 400

struct work {
	struct plan plan;
	struct facts facts; /* what is known when the life begins; kept up while it goes on */
	const char *dir;    /* the store's */
	/* Called at every question and answer, in the order in which they happen. */
	void (*note)(uint32_t what, uint32_t a, uint64_t b);
	struct store *s;
	uint32_t under_way;
	char says[WORK_SAYS]; /* what was wrong first */
	bool may_fail;        /* calls fail on purpose: an error that says so is right */
	bool dead;            /* the store is poisoned: this life ends */
	bool post_under_way, post_stuck;
};

/* Returns false, for `return work_say(...)`. The first one counts. */
bool work_say(struct work *w, const char *fmt, ...) PRINTF(2, 3);
void work_tell(struct work *w, enum note what, uint32_t a, uint64_t b);
bool work_right_failure(const struct work *w, int rc);

/* Opens the store, asks for the letters whose answer was not heard, goes on with the plan where
 * the last life stood, up to operation `until`, and closes. False: w->says what was wrong. */
bool work_live(struct work *w, uint32_t until);
/* Opens what a crash left and compares it with w->facts; then the letters that were not answered
 * come again, and a new one; all of it must be there after another start. */
bool work_check(struct work *w);
