/*
 * resolve: what a request comes to, given what the store holds now: expectations are checked,
 * sums and numbers assigned, and the outcome written as a BATCH payload (record.h). The same for
 * every engine; an engine only lends its view of the present.
 */
#pragma once

#include "store/record.h"
#include "store/store_priv.h"

struct view {
	/* 1 and the value, 0 when there is none, or -errno. The empty key is the domain's version.
	 * The value lives until the engine writes again. */
	int (*get)(void *arg, const struct store_dom *d, struct str key, struct str *ret);
	void *arg;
};

/* The version of a domain, 0 when it has none; 0 or -errno. */
int resolve_version(const struct view *v, const struct store_dom *d, uint64_t *ret);

/* Order inside a batch: expectations, then sums, then puts and deletes, each in the order given.
 * 0, or -ESTALE, -EAGAIN, -E2BIG, -EINVAL, -ENOMEM and out as it was. */
int resolve_batch(const struct store_batch *b, const struct view *v, struct buf *out,
    struct store_res *res);

/* The letters that a batch takes out of a mailbox, and its header; see mailbox_expunge(). */
int resolve_expunges(const struct store_batch *b, const struct view *v, struct buf *out,
    uint32_t *n, struct store_res *res);

/* One mailbox's copy of a letter. Writes nothing when the mailbox has it already; then
 * *ret_written is false. */
int resolve_delivery(const struct intent *in, const struct store_rcpt *r, const struct view *v,
    struct buf *out, bool *ret_written);

/* The same for one view of a merge, whose mark is its number. A mailbox whose account was removed
 * meanwhile gets nothing. */
int resolve_view(const struct intent *in, const struct store_view *w, uint32_t number,
    const struct view *v, struct buf *out, bool *ret_written);

/* One letter into one mailbox, with its mark: -EAGAIN when the mark is not as expected, -ENOENT
 * when there is no such mailbox; then out is as it was. The body is where ref says. */
int resolve_append(const struct letter *l, const struct store_ref *ref, const struct view *v,
    struct buf *out, struct store_res *res);

/* 1: the letter was accepted before; 0 or -errno. */
int resolve_accepted(const struct view *v, uint64_t letter);
/* 1: it is a merge that is durable and not done; 0 or -errno. */
int resolve_open(const struct view *v, uint64_t letter);

/* Keys of a mailbox's records. */
#define DEDUP_KEY_MAX STORE_KEY_MAX
size_t dedup_key(char out[DEDUP_KEY_MAX], uint64_t letter, struct str rcpt);
size_t letter_key(char out[6], uint32_t uid);
size_t change_key(char out[15], uint64_t modseq, uint32_t uid);
