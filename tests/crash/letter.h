/*
 * letter: a letter of the plan, as it is handed in and as each mailbox must have it. One of a
 * merge is a body and views; what an account gets of it differs from what the others get.
 */
#pragma once

#include "facts.h"

#include "store/mailbox.h"
#include "store/resolve.h"
#include "store/store.h"

/* What fails is told by the completion. */
void letter_hand_in(struct store *s, const struct plan_op *op, store_fn *fn, void *arg);
/* Octet for octet what the account must have. */
bool letter_is_whole(struct store *s, const struct plan_op *op, uint32_t account,
    const struct mailbox_letter *l);
/* The same of entry k in the queue, which has no prefix. */
bool letter_is_queued(struct store *s, const struct plan_op *op, uint32_t k,
    const struct store_queued *q);
/* The key of the record that it came there. */
struct str letter_mark(char ret[DEDUP_KEY_MAX], const struct plan_op *op, uint32_t account);
