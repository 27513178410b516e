/*
 * walk: goes through letters of the selected mailbox in the order of their UIDs, window by window,
 * for FETCH, SEARCH, SORT and THREAD.
 *
 * A command that walks keeps a struct that begins with a struct imap_walk in cmd->data and sets
 * cmd->drop to something that calls imap_walk_done(). It says what it wants of each letter,
 * begins, and is called with one letter after the other; between two of them the walk asks for
 * windows and lets the peer read (RUN_FLUSH). The map of the view must be there: letters that are
 * not in it are passed over.
 *
 * A row that needs an outline and has none stored gets one made: the letters concerned are read in
 * batches, what was made is handed to the store when the batch is used up.
 */
#pragma once

#include "imap/imap_priv.h"
#include "mail/outline.h"

#define WALK_OUT_HARD (2 * IMAP_OUT_HIGH) /* a window is left in the middle above this */
#define WALK_WHOLE_MAX (IMAP_OUT_ROOM - (512u << 10)) /* octets kept together where `whole` */
#define WALK_BATCH 64              /* letters whose outlines are made at once */
#define WALK_MADE_HIGH (512u << 10) /* a batch ends above this */

struct walk_letter {
	const struct access_letter *row;  /* octets: the next ones of the part, at row->at */
	const struct outline *outline;    /* NULL: there is none */
	struct str record;                /* what it was read from */
	uint32_t seq;
	bool last;                        /* the part ends with these octets */
};

enum walk_say {
	WALK_ON,
	WALK_SKIP,  /* the rest of this letter is not wanted */
	WALK_HOLD,  /* held() is called now; imap_walk_go() goes on behind this letter */
	WALK_STOP,  /* end() is called now */
};

struct imap_walk {
	/* said before imap_walk_begin() */
	unsigned what;
	uint8_t part;
	uint64_t off, len, since;
	bool outlines; /* what & ACCESS_OUTLINE, and those missing are made */
	bool whole;    /* `letter` is called once, with all octets (len <= WALK_WHOLE_MAX) */
	enum walk_say (*letter)(struct imap_session *s, const struct walk_letter *l);
	enum imap_run (*held)(struct imap_session *s);
	/* A letter of which octets were given went away: the rest does not come. NULL: never mind */
	enum imap_run (*lost)(struct imap_session *s);
	enum imap_run (*end)(struct imap_session *s, enum access_status status);

	/* private */
	struct uidset uids;
	size_t range, n_range;  /* of uids: those asked for now */
	struct buf ask;         /* their octets */
	struct access_from from;
	bool more, begun;       /* windows of these ranges; asked at least once */
	size_t map_i;           /* where in the map the last row was */
	uint32_t open_uid;      /* a letter whose part is not complete, or 0 */
	uint64_t open_at;
	struct buf hand;        /* its octets, where `whole` */
	struct access_letter open_row;
	struct outline outline; /* of the letter at hand */
	bool has_outline;
	struct str record;
	struct buf open_outline;
	struct walk_made {
		uint32_t uid, len;
		size_t off;
	} made[WALK_BATCH];
	unsigned n_made, made_i;
	struct buf made_octets;
	struct uidset batch;
	struct outline_builder *builder;
	uint32_t build_uid;
	uint64_t build_at;
	struct buf change;
	enum imap_run (*handed)(struct imap_session *s);
};

/* All zeroes but what is said; takes uids over, which must be in the map. */
enum imap_run imap_walk_begin(struct imap_session *s, struct uidset *uids);
enum imap_run imap_walk_go(struct imap_session *s);
void imap_walk_done(struct imap_walk *w);
static inline struct imap_walk *
imap_walk_of(struct imap_session *s)
{
	return s->cmd->data;
}

/* walk_outline.c: makes outlines for w->batch, then goes on. */
enum imap_run imap_walk_make(struct imap_session *s);
/* What was made is handed to the store; then next. */
enum imap_run imap_walk_hand_back(
    struct imap_session *s, enum imap_run (*next)(struct imap_session *s));
/* The outline made for this letter: true, ret empty if none could be made. */
bool imap_walk_made(struct imap_walk *w, uint32_t uid, struct str *ret);

/* A set of sequence numbers or UIDs as the UIDs of letters that are in the map, which must be
 * there. False: a sequence number that does not exist; ret is then what does. */
bool imap_walk_set(
    struct imap_session *s, const struct imap_set *set, bool uid, struct uidset *ret);
/* The numbers that stand in a set, with '*' as the last letter's; without those of "$". */
bool imap_walk_numbers(
    struct imap_session *s, const struct imap_set *set, bool uid, struct uidset *ret);
/* Ranges with nothing of the view between them become one: asks and changes stay short. */
void imap_walk_coarsen(const struct uidmap *m, struct uidset *s);
/* The sequence numbers of UIDs as a set. */
void imap_walk_seqs(const struct uidmap *m, const struct uidset *uids, struct uidset *ret);
/* A command that needs mod-sequences switches CONDSTORE on (RFC 7162 3.1). */
void imap_walk_condstore(struct imap_session *s);
void imap_walk_number(struct buf *out, uint64_t n); /* decimal, without printf */
