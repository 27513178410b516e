/*
 * overlay: keys that are in the log but not yet in the index, newest first.
 *
 * Entries belong to a group and point into its octets; they come when a request is resolved
 * and go together when the index has applied the group. Only the log thread uses it, so it
 * needs no lock: the thread learns what is applied, drops those groups here, and only then
 * opens the index snapshot it resolves against. What is not in that snapshot is here.
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"
#include "store/store.h"

#include <stddef.h>
#include <stdint.h>

struct overlay_block;

/* A group's octets and its entries; embedded in the engine's group. */
struct overlay_part {
	struct buf buf;
	struct overlay_block *blocks; /* newest first */
	size_t n;
};

struct overlay_entry {
	struct overlay_entry *next;  /* older or other keys of the same bucket */
	struct overlay_entry **link; /* what points here */
	const struct overlay_part *part;
	uint64_t hash;
	uint32_t dom, key, value, value_len; /* places in the part's octets */
	uint16_t key_len;
	bool del;
};

struct overlay {
	struct overlay_entry **buckets;
	size_t n_buckets, n;
	unsigned char hash_key[16];
};

void overlay_init(struct overlay *o);
void overlay_done(struct overlay *o);
/* All places are offsets in part->buf. */
void overlay_add(struct overlay *o, struct overlay_part *part, size_t dom, size_t key,
    size_t key_len, bool del, size_t value, size_t value_len);
/* Every key that the BATCH payload at [begin, end) of part->buf writes, and the version. */
void overlay_add_batch(struct overlay *o, struct overlay_part *part, size_t begin, size_t end);
/* 1 and the value, 0: it is known to be deleted, -1: not here. */
int overlay_get(
    const struct overlay *o, const struct store_dom *d, struct str key, struct str *ret);
/* Every entry, of each key the newest first, otherwise in no order. */
typedef void overlay_each_fn(void *arg, const struct overlay_entry *e);
void overlay_each(const struct overlay *o, overlay_each_fn *fn, void *arg);
/* Takes back the newest entries of part until n are left. */
void overlay_undo(struct overlay *o, struct overlay_part *part, size_t n);
/* Forgets all entries of part and frees its octets. */
void overlay_drop(struct overlay *o, struct overlay_part *part);
