/*
 * post: the mail of one account, changed as IMAP does: append, flags, expunge, copy, move, outlines,
 * mailboxes made, renamed and deleted, subscriptions.
 *
 * Operations come one at a time, in the order of the plan, so what the account must hold is what
 * those that were answered make of nothing, and besides, of the one without an answer, all or none;
 * of flags and expunges, which are several batches, also the first letters. After a failing call
 * (POST_TORN) that goes for each kind. Letters are chosen by where they stand, so a model without a
 * disk can follow.
 */
#pragma once

#include "work.h"

/* --- the model --- */

#define POST_BOXES 5 /* INBOX, Sent, and three names that come and go */
#define POST_WORDS 6 /* keywords */
#define POST_LETTERS_MAX 400
#define POST_APPENDS 8 /* of one operation; the last bits of a letter's id say which */

struct post_letter {
	uint64_t id;
	uint32_t flags, words;
};
struct post_box {
	bool there, subscribed;
	uint32_t n;
	struct post_letter l[POST_LETTERS_MAX];
};
struct post {
	struct post_box box[POST_BOXES];
};
enum post_kind {
	POST_APPEND,
	POST_FLAGS,
	POST_EXPUNGE,
	POST_COPY,
	POST_MOVE,
	POST_CREATE,
	POST_DELETE,
	POST_RENAME,
	POST_SUBSCRIBE,
	POST_OUTLINES,
};
struct post_op {
	enum post_kind kind;
	uint32_t from, to; /* boxes */
	uint32_t n;        /* letters: chosen, or to append */
	uint32_t at[POST_LETTERS_MAX];
	uint32_t flags, words, how;
	bool on; /* subscribe; expunge: only those with \Deleted */
	uint64_t r;
	uint32_t number; /* of the plan's operation */
};
extern const char *const post_names[POST_BOXES], *const post_words[POST_WORDS];

struct post *post_new(void);
/* What operation i is, given what is there; false: nothing can be done. */
bool post_op(const struct post *p, const struct plan *plan, uint32_t i, struct post_op *ret);
/* For the first `limit` letters. */
void post_apply(struct post *p, const struct post_op *op, uint32_t limit);
uint64_t post_letter_id(uint32_t number, uint32_t n);
size_t post_letter_size(uint64_t id);
size_t post_outline_size(uint64_t id);

/* --- a store --- */

void post_do(struct work *w, const struct plan_op *op);
/* Finishes what a crash interrupted. */
bool post_sweep(struct work *w);
/* Compares; what had no answer is answered now. */
bool post_judge(struct work *w);
