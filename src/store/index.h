/*
 * index: the log's outcome in LMDB, DIR/index. Keys are the 16 octets of the domain and the
 * key; a domain's version stands under its 16 octets alone. The key "META" (shorter than any
 * domain) holds format, the store's id and the position up to which the log is applied, always
 * committed together with what was applied. So the index is a function of the log: it may be
 * thrown away at any time.
 *
 * One index_write at a time. A mailbox's header and a domain's version are written once per
 * commit, however often they changed.
 */
#pragma once

#include "base/map.h"
#include "store/frame.h"
#include "store/record.h"
#include "store/store.h"

#include <lmdb.h>

#define INDEX_FORMAT 3
#define INDEX_META "META"
#define INDEX_META_OLD "meta"
#define INDEX_READERS 126
/* How long an accepted letter's id is remembered at least, in the queue and in mailboxes. A front
 * asks again within the 30 s for which it lives without a store. */
#define STORE_MARKER_AGE_MS 180000u
/* Domains stand in the order of their letters, and the queue's marks, which only grow, behind all
 * others: LMDB fills pages whose last key is the last of all, and splits the rest in the middle. */
#define INDEX_DOM_DERIVED 'D'

/* The last checkpoint in the log; all zero: there is none. */
struct checkpoint {
	uint64_t begin;  /* the log from here on gives the whole index */
	uint64_t lsn;    /* of its own frame */
	uint64_t octets; /* of the frames with the snapshots */
};

/* What is in the queue: a letter counts once, however many entries it has. */
struct queue_sums {
	uint64_t entries, letters, octets;
};

struct index {
	MDB_env *env;
	MDB_dbi dbi;
	uint64_t max_letter; /* the newest id seen, for ageing markers */
	struct checkpoint checkpoint; /* as committed */
	uint64_t max_blob;   /* the highest number the log has named; none is used twice */
	uint64_t rebuild;    /* made from a checkpoint: SNAPs below this lsn are applied */
	uint64_t *gone;      /* blobs that have lost their last reference; on the heap */
	size_t n_gone, cap_gone;
	struct queue_sums sums; /* as committed */
};

struct index_meta {
	uint32_t format;
	unsigned char id[STORE_ID_LEN];
	uint64_t applied;
	struct checkpoint checkpoint;
	uint64_t max_blob, rebuild;
};

int index_errno(int lmdb_rc); /* LMDB's codes as -errno: MAP_FULL -ENOSPC, damage -EBADMSG */
/* dir: DIR/index. 0, -ENOENT, -EBADMSG (damaged: rebuild), -EPROTONOSUPPORT (newer: rebuild). */
int index_open(struct index *ix, const char *dir, uint64_t map_bytes, bool read_only,
    struct index_meta *ret);
/* Makes an empty one, durable under its name only when it is whole. at: fd of DIR. */
int index_create(int at, const char *dir, uint64_t map_bytes, const struct index_meta *m);
int index_remove(int at);
int index_sweep(int at); /* what an interrupted copy has left behind */
void index_close(struct index *ix); /* may be called twice */

/* --- writing --- */
struct index_write {
	struct index *ix;
	MDB_txn *txn;
	struct map doms;    /* domain to struct dom_change */
	struct buf intent;  /* the letter at hand: named, not yet done */
	uint64_t intent_letter;
	bool intent_open;
	size_t ops;         /* so far; a long replay commits in between */
	struct buf marks;   /* ids of letters remembered in this write, key and value of each */
	struct checkpoint checkpoint;
	uint64_t max_blob;
	struct live_change *live; /* octets that became live or dead, by segment */
	size_t n_live, cap_live;
	uint64_t *gone; /* blobs, perhaps */
	size_t n_gone, cap_gone;
	struct queue_sums sums; /* what is added to them, modulo 2^64; then what they are */
	bool sums_changed;
};
int index_begin(struct index *ix, struct index_write *w);
/* Applies one frame. -EBADMSG: its payload does not decode. */
int index_apply(struct index_write *w, const struct frame *f, struct str payload);
/* Durable when it returns 0. After any failure the write is gone. Of m, format, id and applied
 * are used; the rest is the index's own. */
int index_commit(struct index_write *w, const struct index_meta *m);
void index_abort(struct index_write *w);

/* --- what is derived from the records of letters, for indexwrite.c --- */
/*
 * In the domain 'D', 0, 0, never in the log:
 *   r|lsn8|account8|mailbox4|uid4 -> keep4 trace8   a letter's record refers to the body at lsn
 *   L|seq8 -> octets8                               what bodies in a segment are referred to take
 *   b|number8|lsn8 -> nothing                       the frame that names a blob is referred to
 *   Q|sums -> entries8 letters8 octets8             what is in the queue; none: nothing
 * An entry of the queue stands as account 2^63 + part, and for mailbox and uid the letter's id.
 */
#define REF_KEY_LEN 26
#define LIVE_KEY_LEN 10
#define BLOB_KEY_LEN 18
#define SUMS_KEY STR("Q|sums")
struct body_user {
	uint64_t lsn, account;
	uint32_t mailbox, uid, keep;
	uint64_t trace;
};
#define USER_QUEUED (1ull << 63) /* in account */
#define USER_RECORD_KEY_MAX 16
/* The record that refers to it: its domain, and its key inside that. */
struct str user_record(
    const struct body_user *u, struct store_dom *ret_dom, char out[USER_RECORD_KEY_MAX]);
bool user_record_is(const struct store_dom *d, struct str key); /* one that may refer to a body */
/* What such a record refers to; false: to nothing, or it does not decode. */
bool user_of(const struct store_dom *d, struct str key, struct str value, struct body_user *ret,
    struct store_ref *ret_ref);
/* The same record with its body at another place. */
bool user_moved(struct buf *b, const struct store_dom *d, struct str value, uint64_t lsn,
    const struct store_place *place);
bool queue_sums_get(struct str value, struct queue_sums *ret);
struct store_dom index_dom_derived(void);
bool index_is_derived(const struct store_dom *d, struct str key);
void ref_key_put(char out[REF_KEY_LEN], const struct body_user *u);
bool ref_key_get(struct str key, struct str value, struct body_user *ret);
void live_key_put(char out[LIVE_KEY_LEN], uint64_t seq);
void blob_key_put(char out[BLOB_KEY_LEN], uint64_t number, uint64_t lsn);
/* A record of a letter or entry changes from was to is; p NULL: there is none. */
int index_letter_changes(struct index_write *w, const struct store_dom *d, struct str key,
    struct str was, struct str is);
/* Perhaps nobody needs it any more; whether it is so is looked at before it is removed. */
void index_blob_gone(struct index_write *w, uint64_t blob);
int index_live_commit(struct index_write *w);
int index_sums_open(struct index *ix, MDB_txn *txn);
int index_sums_commit(struct index_write *w);
/* Keeps what the write has found for when it is durable. */
void index_gone_commit(struct index_write *w);
/* indexwrite.c, for the same */
int index_put(struct index_write *w, const void *dom, struct str key, struct str value);
int index_del(struct index_write *w, const void *dom, struct str key);

/* --- reading --- */
/* The first domain above d (all zero and first: of all), 0, -ENOENT or -errno. */
int index_next_domain(struct index *ix, MDB_txn *txn, struct store_dom *d, bool first);
/* Does a record of any letter refer to a blob? 1, 0 or -errno. */
int index_blob_used(struct index *ix, MDB_txn *txn, uint64_t number);
/* More than half of a file above `least` is free pages: a copy is worth it. */
bool index_is_hollow(struct index *ix, uint64_t least);
/* Replaces the index's file by a copy without free pages. Nobody may have it open but ix, which
 * is closed, also on failure. at: fd of DIR, dir: its name. */
int index_shrink(struct index *ix, int at, const char *dir);
int index_get(
    struct index *ix, MDB_txn *txn, const struct store_dom *d, struct str key, struct str *ret);
/* The first key of [from, to) in d, which is not among outlines; -ENOENT: there is none. */
int index_next(struct index *ix, MDB_txn *txn, const struct store_dom *d, struct str from,
    struct str to, struct str *ret_key, struct str *ret_value);
int index_meta_get(struct index *ix, MDB_txn *txn, struct index_meta *ret);
/* As store_scan(). */
int index_scan(struct index *ix, MDB_txn *txn, const struct store_dom *d, struct str from,
    struct str to, uint32_t limit, bool reverse, store_scan_fn *fn, void *arg);
