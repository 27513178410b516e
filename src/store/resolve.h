/*
 * resolve: what a request comes to, given what the store holds now: expectations are checked,
 * sums and numbers assigned, and the outcome written as a BATCH payload (record.h). The same for
 * every engine; an engine only lends its view of the present.
 */
#pragma once

#include "store/mailbox.h"
#include "store/record.h"
#include "store/store_priv.h"

struct view {
	/* 1 and the value, 0 when there is none, or -errno. The empty key is the domain's version.
	 * The value lives until the engine writes again. */
	int (*get)(void *arg, const struct store_dom *d, struct str key, struct str *ret);
	/* The first key of [from, to), as an earlier moment had it: what has come since is missing,
	 * what has gone since is there; get() tells. 1, 0 when there is none, or -errno; key and
	 * value live until the engine writes again. */
	int (*next)(void *arg, const struct store_dom *d, struct str from, struct str to,
	    struct str *ret_key, struct str *ret_value);
	void *arg;
};

/* The header as a change begins with it, with all counts; none is made up: -ENOENT. */
int resolve_head(const struct view *v, const struct store_dom *d, struct mailbox_head *ret);
struct mailbox_head head_new(uint32_t mailbox, uint64_t time_ms);
/* The same, made if the mailbox may be there without one: it is INBOX, or named in A. */
int resolve_head_of(const struct view *v, uint64_t account, uint32_t mailbox, uint64_t time_ms,
    struct mailbox_head *ret);
/* 1: the account was removed, and what comes now would stay for ever. 0, or -errno. */
int resolve_gone(const struct view *v, uint64_t account);
/* A letter is counted (or no longer). */
void head_count(struct mailbox_head *h, const struct mailbox_letter *l, bool there);
void head_put(struct buf *out, const struct mailbox_head *h);
/* Puts V and drops the oldest ones over VANISHED_MAX; h->modseq is that of the change. */
#define VANISHED_MAX 8192u /* ranges in the V records of a mailbox */
struct mail_range;
int resolve_vanished(const struct view *v, const struct store_dom *d, struct mailbox_head *h,
    const struct mail_range *gone, size_t n, struct buf *out, uint32_t *n_ops);

/* UIDs that may be there, ascending. */
struct uid_walk {
	const struct view *v;
	const struct store_dom *d;
	uint32_t applied; /* letters from here on need not be in what next() shows */
	uint32_t uidnext;
};
int uid_walk_begin(struct uid_walk *w, const struct view *v, const struct store_dom *d,
    uint32_t uidnext);
/* The first from `from` to `to`: 1, 0 or -errno. */
int uid_walk_next(struct uid_walk *w, uint32_t from, uint32_t to, uint32_t *ret);

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

/* A letter's entries, those that are not in the queue yet; nothing when all are. */
int resolve_entries(
    const struct intent *in, const struct view *v, struct buf *out, bool *ret_written);

/* The same for those of a merge's views, of which the first has this number; how far they are is
 * kept beside them. At the end of the merge that goes. */
int resolve_view_entries(const struct intent *in, struct str views, uint32_t first,
    const struct view *v, struct buf *out, bool *ret_written);
int resolve_view_end(
    const struct intent *in, const struct view *v, struct buf *out, bool *ret_written);

/* Letters into one mailbox (l and those behind it), with the mark of the first: -EAGAIN when the
 * mark is not as expected, -ENOENT when there is no such mailbox; then out is as it was. The bodies
 * are where ref of each says. slot[2] of the result: modseq. */
int resolve_append(
    const struct letter *l, const struct view *v, struct buf *out, struct store_res *res);

/* 1: the letter was accepted before; 0 or -errno. */
int resolve_accepted(const struct view *v, uint64_t letter);
/* 1: it is a merge that is durable and not done; 0 or -errno. */
int resolve_open(const struct view *v, uint64_t letter);

/* Keys of a mailbox's records. */
#define DEDUP_KEY_MAX STORE_KEY_MAX
size_t dedup_key(char out[DEDUP_KEY_MAX], uint64_t letter, struct str rcpt);
size_t letter_key(char out[6], uint32_t uid);
size_t change_key(char out[15], uint64_t modseq, uint32_t uid);
size_t outline_key(char out[6], uint32_t uid);
bool outline_is(const struct store_dom *d, struct str key);
size_t vanished_key(char out[10], uint64_t modseq);
/* In A: "M|mailbox4" and its like. */
size_t number_key(char out[6], char kind, uint32_t mailbox);
