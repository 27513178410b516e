/*
 * uidset: sets of UIDs as ranges, and the map between sequence numbers and UIDs (RFC 9051 2.3.1).
 *
 * A set is owned by who made it. A map never changes once it is made, so that all sessions of a
 * process that see a mailbox in the same state share one (struct uidmaps): a mailbox without gaps
 * costs one range, whatever its size.
 */
#pragma once

#include "base/buf.h"
#include "base/map.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UIDSET_RANGES_MAX (1u << 20) /* a set that would have more of them has failed */

struct uid_range {
	uint32_t first, last; /* 1 <= first <= last */
};

/* Ascending ranges that neither touch nor overlap. All zeroes: empty. */
struct uidset {
	struct uid_range *r;
	size_t n, cap;
	bool failed; /* too many ranges or no memory: what was added or removed last was not */
};
void uidset_done(struct uidset *s);
void uidset_clear(struct uidset *s);                /* keeps nothing */
void uidset_add(struct uidset *s, uint32_t first, uint32_t last); /* in any order; last >= first */
void uidset_add_set(struct uidset *s, const struct uidset *other);
void uidset_remove(struct uidset *s, uint32_t first, uint32_t last);
void uidset_remove_set(struct uidset *s, const struct uidset *other);
bool uidset_has(const struct uidset *s, uint32_t uid);
uint64_t uidset_count(const struct uidset *s);
void uidset_copy(struct uidset *to, const struct uidset *from); /* to is overwritten; was empty */
void uidset_intersect(struct uidset *s, const struct uidset *other);
/* As on the wire: "1:3,7"; nothing for an empty set. */
void uidset_text(const struct uidset *s, struct buf *out);
/* 8 octets a range, as in access_ask.uids. get: ascending, apart, not 0; else false, s empty. */
void uidset_put(struct buf *out, const struct uidset *s);
bool uidset_get(struct str octets, struct uidset *s);
/* Would get take it, and does it have at most max ranges? Takes no memory. */
bool uidset_octets_ok(struct str octets, size_t max);

/* The letters that a session sees, by sequence number. */
struct uidmap {
	unsigned refs;
	uint32_t count; /* letters */
	size_t n;
	struct uidmap_range {
		uint32_t first, last, before; /* before: letters in front of it */
	} r[];
};
/* NULL: more than UINT32_MAX - 1 letters, a set that has failed, or no memory. */
struct uidmap *uidmap_new(const struct uidset *s);
struct uidmap *uidmap_ref(struct uidmap *m);
struct uidmap *uidmap_unref(struct uidmap *m); /* returns NULL */
uint32_t uidmap_uid(const struct uidmap *m, uint32_t seq); /* 0: there is none; seq from 1 */
uint32_t uidmap_seq(const struct uidmap *m, uint32_t uid); /* 0: not in it */
/* Its sequence numbers from first to last as UIDs; beyond count: nothing. */
void uidmap_uids(const struct uidmap *m, uint32_t first, uint32_t last, struct uidset *out);
/* Those of a set of UIDs that are in it. */
void uidmap_within(const struct uidmap *m, const struct uidset *uids, struct uidset *out);
/* Without `gone` and with `more`; either may be NULL. NULL as with uidmap_new(). */
struct uidmap *uidmap_next(
    const struct uidmap *m, const struct uidset *gone, const struct uidset *more);

/* The maps that sessions of one process share. All zeroes: empty. */
struct uidmaps {
	struct map by_state; /* account, mailbox, modseq, uidnext -> struct uidmap */
};
struct uidmap_state {
	uint64_t account, modseq;
	uint32_t mailbox, uidnext;
};
/* A reference, or NULL when nobody has it. */
struct uidmap *uidmaps_find(struct uidmaps *all, const struct uidmap_state *s);
/* Offers one for sharing; when another session was faster its map is returned instead and m is
 * let go. The reference is the caller's. A map that nobody refers to any more is forgotten. */
struct uidmap *uidmaps_share(struct uidmaps *all, const struct uidmap_state *s, struct uidmap *m);
/* unref, and forget; NULL is fine. One that was only uidmap_unref()ed stays in the table. */
void uidmaps_unshare(struct uidmaps *all, const struct uidmap_state *s, struct uidmap *m);
void uidmaps_done(struct uidmaps *all);
