/*
 * queue: what the plan's letters have in the queue, what is done to it, and whether it is there.
 */
#pragma once

#include "work.h"

#include "store/store.h"

/* The entries of a letter that is not a merge; each value stands in its own text. */
struct queue_entries {
	struct store_entry entry[FACTS_PARTS];
	char text[FACTS_PARTS][48];
};
void queue_entries_of(const struct plan_op *op, struct queue_entries *ret);
/* The part that entry k of a letter has. */
uint32_t queue_part(const struct plan_op *op, uint32_t k);
/* A state is put, or an entry goes. */
void queue_do(struct work *w, const struct plan_op *op);
/* Every entry that is there: seen[letter][k]. False: something is wrong with one. */
bool queue_read(struct work *w, uint8_t (*seen)[FACTS_PARTS]);
/* How many of a letter's entries are there; false: one is wrongly there, or lost. *ret_gone: one
 * was taken out, perhaps. */
bool queue_judge(struct work *w, uint32_t i, const uint8_t seen[FACTS_PARTS], uint32_t *ret_there,
    bool *ret_gone);
