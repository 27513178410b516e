/*
 * bundle: the outlines of a mailbox as the index has them. They are many and small; alone, each
 * would take up to twice its octets, for LMDB splits a page in which records grow in front of
 * others in the middle. So neighbours share a value: under "E|uid4" stand the outlines from that
 * UID up to the next such key, each as uid4, len4 and its octets, in the order of UIDs. What comes
 * in one write shares up to four pages, and one that is on the disk already is added to within its
 * page.
 *
 * Nobody else knows: index_get() and index_scan() show each outline under its own key.
 */
#pragma once

#include "base/wire.h"
#include "store/index.h"

#define BUNDLE_KEY_LEN 6
#define BUNDLE_MAX (4 * 4096 - 16) /* octets of one: whole pages, LMDB's header with them */
#define BUNDLE_GROWN (4096 - 16)   /* one from an earlier write is not added to beyond that */

/* The bundle of one domain that a write is at; all zero: none yet. */
struct bundle {
	bool open, dirty;
	bool stored; /* it stands in the index */
	bool fresh;  /* since this write */
	uint32_t first;
	int64_t last;  /* UID; -1: it is empty */
	uint64_t next; /* UID of the bundle behind it; UINT64_MAX: there is none */
	struct buf octets;
};
int bundle_put(struct index_write *w, struct bundle *p, const struct store_dom *d, uint32_t uid,
    struct str outline);
int bundle_del(struct index_write *w, struct bundle *p, const struct store_dom *d, uint32_t uid);
int bundle_flush(struct index_write *w, struct bundle *p, const struct store_dom *d);

/* The next outline; false: no more, or (w->bad) malformed. */
bool bundle_next(struct wire *w, uint32_t *ret_uid, struct str *ret);
/* The outline of a UID: 0, -ENOENT or -errno. */
int bundle_get(struct index *ix, MDB_txn *txn, const struct store_dom *d, uint32_t uid,
    struct str *ret);
