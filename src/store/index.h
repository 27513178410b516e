/*
 * index: the log's outcome in LMDB, DIR/index. Keys are the 16 octets of the domain and the
 * key; a domain's version stands under its 16 octets alone. The key "meta" (shorter than any
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
#include "store/store.h"

#include <lmdb.h>

#define INDEX_FORMAT 1
#define INDEX_READERS 126
#define INDEX_DOM_BLOBS 'S' /* domain of "b|number8": blobs that the log names */

struct index {
	MDB_env *env;
	MDB_dbi dbi;
	uint64_t max_letter; /* the newest id seen, for ageing markers */
};

struct index_meta {
	uint32_t format;
	unsigned char id[STORE_ID_LEN];
	uint64_t applied;
};

int index_errno(int lmdb_rc); /* LMDB's codes as -errno: MAP_FULL -ENOSPC, damage -EBADMSG */
/* dir: DIR/index. 0, -ENOENT, -EBADMSG (damaged: rebuild), -EPROTONOSUPPORT (newer: rebuild). */
int index_open(struct index *ix, const char *dir, uint64_t map_bytes, bool read_only,
    struct index_meta *ret);
/* Makes an empty one, durable under its name only when it is whole. at: fd of DIR. */
int index_create(int at, const char *dir, uint64_t map_bytes, const struct index_meta *m);
int index_remove(int at);
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
};
int index_begin(struct index *ix, struct index_write *w);
/* Applies one frame. -EBADMSG: its payload does not decode. */
int index_apply(struct index_write *w, const struct frame *f, struct str payload);
/* Durable when it returns 0. After any failure the write is gone. */
int index_commit(struct index_write *w, const struct index_meta *m);
void index_abort(struct index_write *w);

/* --- reading --- */
int index_get(
    struct index *ix, MDB_txn *txn, const struct store_dom *d, struct str key, struct str *ret);
int index_meta_get(struct index *ix, MDB_txn *txn, struct index_meta *ret);
/* As store_scan(). */
int index_scan(struct index *ix, MDB_txn *txn, const struct store_dom *d, struct str from,
    struct str to, uint32_t limit, bool reverse, store_scan_fn *fn, void *arg);
