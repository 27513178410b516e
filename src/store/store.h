/*
 * store: where mail is kept. One interface, several engines: "mem:" (the oracle of the tests),
 * "emb:DIR" (segment log as the truth, LMDB as the index).
 *
 * The unit of atomicity, order, version and ownership is a domain. A batch names one domain; a
 * committed batch raises that domain's version by one; a conflict writes nothing. Completions
 * run on the caller's loop: poll store_fd() and call store_run(). rc in a completion: 0, -EAGAIN
 * (an expectation failed: nothing was written), -ESTALE (a lease it was fenced with is not ours
 * any more: nothing was written), -ENOSPC, -E2BIG, -EINVAL (a mistake in the batch), -EROFS (the
 * store was opened to be read), -EIO (the store is poisoned: a sync failed; every later call
 * fails and the process must end).
 *
 * rc 0 means: survives power loss. Level APPLIED means besides: seen by the next snapshot (when
 * the index finds no room on a full disk: by the first that can be opened).
 *
 * Everything here is called from one thread, the caller's. Snapshots, bodies, watches and leases
 * end before the store is closed.
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"
#include "base/wire.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define STORE_KEY_MAX 256          /* octets of a key inside its domain */
#define STORE_VALUE_MAX (256u << 10)
#define STORE_BATCH_OPS_MAX 4096
#define STORE_SLOTS 16
/* A body up to this goes into the log, a larger one into a blob file. */
#define STORE_INLINE_MAX (256u << 10)
/* Of a letter's outline; a longer one is dropped, as are those of a letter to so many recipients
 * that they would take more than STORE_OUTLINES_MAX together. It is derived data: who needs one
 * that is missing makes it anew. */
#define STORE_OUTLINE_MAX (64u << 10)
#define STORE_OUTLINES_MAX (1u << 20)

/* Kind octet ('G' 'A' 'B' 'Q' 'S') and ids, big-endian. */
struct store_dom {
	unsigned char b[16];
};
struct store_dom store_dom_directory(void);
struct store_dom store_dom_account(uint64_t account);
struct store_dom store_dom_mailbox(uint64_t account, uint32_t mailbox);
struct store_dom store_dom_queue(uint32_t node);

struct store;
struct store_batch;
struct store_snap;
struct store_watch;
struct store_body;
struct store_lease;

struct store_options {
	uint64_t segment_bytes;  /* 64 MiB */
	uint32_t group_letters;  /* 256 */
	uint64_t group_bytes;    /* 4 MiB */
	uint64_t map_bytes;      /* LMDB map: 1 TiB; tests and sanitizers take less */
	bool read_only;          /* a reader: only snapshots and reads */
	bool create;             /* make it when it is not there */
	bool gather;             /* letters handed in wait for store_go() */
	int64_t (*clock_ms)(void); /* for leases; NULL: the system's monotonic clock. Any thread */
	bool rebuild_index;        /* make the index anew from the log */
	/* While the log is read at the start, in segments; may be NULL. */
	void (*progress)(void *arg, uint64_t done, uint64_t all);
	void *progress_arg;
	uint64_t shrink_bytes; /* 64 MiB: an index above this that is mostly empty is copied */
	bool followed; /* a recorder will follow the log: no segment is freed before it has */
};
#define STORE_OPTIONS_DEFAULT \
	((struct store_options){ 64u << 20, 256, 4u << 20, 1ull << 40, false, true, false, NULL,   \
	    false, NULL, NULL, 64u << 20, false })

struct store_res {
	int rc;
	uint64_t ver;              /* of the domain, after the batch */
	uint64_t slot[STORE_SLOTS]; /* numbers assigned by store_add */
};
typedef void store_fn(void *arg, const struct store_res *res);

/* 0 or -errno with one line in err that says what and what to do. */
int store_open(struct store **ret, const char *uri, const struct store_options *o, struct buf *err);
struct store *store_close(struct store *s); /* waits for what is under way; returns NULL */
int store_fd(struct store *s);              /* readable: completions or events wait */
void store_run(struct store *s);            /* runs them here */
int store_wait(struct store *s);            /* blocks until nothing is under way (tests, tools) */
/* With option gather: letters handed in since the last call are begun, at the end of a turn of the
 * caller's loop, so that those of one turn share a sync (while the log is written anyway they may
 * begin before). A lone letter while nothing else is under
 * way is written and synced here where the disk is fast, and its completion runs: that saves two
 * wake-ups of a thread, which cost more than such a sync. */
void store_go(struct store *s);

/* --- batches --- */
/* Inside a batch expectations come first, then sums, then puts and deletes, each in the order
 * given. A mistake (a key too long, too many operations) is told by the completion. */
enum store_level { STORE_DURABLE, STORE_APPLIED };
struct store_batch *store_batch_new(struct store *s, const struct store_dom *d);
struct store_batch *store_batch_free(struct store_batch *b); /* only if not committed */
/* value p NULL: the key must be absent; else its value must be equal. */
void store_expect(struct store_batch *b, struct str key, struct str value);
/* Slots: bit n of slots set: the first "\xff\xff\xff\xff\xff\xff\xff" "\x0n" marker (8 octets)
 * in key, and the first in value, become slot n's number, 8 octets big-endian. */
void store_put(struct store_batch *b, struct str key, struct str value, uint32_t slots);
void store_del(struct store_batch *b, struct str key);
/* Adds delta to the big-endian u64 in the first 8 octets of key's value (absent: from 0, value
 * of 8 octets); slot >= 0 receives the sum. */
void store_add(struct store_batch *b, struct str key, int64_t delta, int slot);
void store_slot_marker(unsigned char out[8], unsigned slot);
/* -ESTALE, and nothing is written, unless the lease is ours when the batch gets its place among
 * the commits. At most STORE_FENCES of them; the lease may be put before the completion. */
#define STORE_FENCES 4
void store_fence(struct store_batch *b, const struct store_lease *l);
/* Takes b over. fn may be NULL. */
void store_commit(struct store_batch *b, enum store_level level, store_fn *fn, void *arg);

/* --- letters --- */
/* Where a body lies. On disk in records; see docs/format.md. */
struct store_ref {
	uint64_t lsn;     /* of its frame in the log, or 0 */
	uint64_t blob;    /* number of its blob file, or 0 */
	uint64_t len;     /* octets of trace header + body */
	uint32_t crc;     /* CRC-32C of them */
};
/* A body under way: kept in memory up to STORE_INLINE_MAX, then streamed to a blob file. */
struct store_body *store_body_new(struct store *s, uint64_t letter);
int store_body_write(struct store_body *b, struct str octets); /* 0 or -errno */
uint64_t store_body_size(const struct store_body *b);
uint64_t store_body_memory(const struct store_body *b);
struct str store_body_octets(const struct store_body *b); /* empty unless all of it is in memory */
int store_body_spill(struct store_body *b); /* move to a blob file now, to free memory */
struct store_body *store_body_free(struct store_body *b); /* not accepted: forget it */

struct store_rcpt {
	uint64_t account;
	uint32_t mailbox;
	struct str prefix; /* Return-Path and Delivered-To lines, CRLF */
	struct str rcpt;   /* dedup key with the letter id */
};
/* Recipients elsewhere, which wait in the queue: see "the queue" below. */
#define STORE_ENTRY_MAX (128u << 10)
#define STORE_ENTRIES_MAX 20000 /* of one letter */
struct store_entry {
	uint32_t part;     /* of the letter; they ascend */
	struct str value;  /* opaque; 1..STORE_ENTRY_MAX */
};
struct store_letter {
	uint64_t letter;          /* id chosen by front; accepting an id again is idempotent */
	uint64_t session;
	uint64_t time_ms;
	struct str qid;
	struct str from, envid, ret; /* envelope, for the queue to come and for trace */
	struct str trace;         /* Received and added fields; stored in front of the body */
	uint64_t header_len;      /* octets of the body that are header */
	bool insert_blank;
	struct str history;       /* conversation, for `trace` */
	const struct store_rcpt *rcpt;
	size_t n_rcpt;
	const struct store_entry *entry; /* n_rcpt + n_entry > 0 */
	size_t n_entry;
	struct str message_id, peer; /* for `trace` */
	struct str onward; /* the same: recipients of the entries, lines "0 0 address" */
	struct str prefix; /* store_merge(): stands in front of each view's own */
	struct str outline; /* opaque; kept with each mailbox's copy. Empty: none. Not of a merge */
};
/* Takes body over. Everything is copied before the call returns. Order in the log: body, intent
 * in Q naming all recipients, one batch per mailbox, done in Q. res->rc 0: in every mailbox. */
void store_accept(struct store *s, struct store_body *body, const struct store_letter *l,
    store_fn *fn, void *arg);
/* After a restart: 1 accepted, 0 unknown, or -errno (-EAGAIN: it is durable and will be in every
 * mailbox, but is not yet). Answered from everything durable. */
int store_accepted(struct store *s, uint64_t letter);
/* The highest letter id that was ever accepted (0: none), so that no clock makes one twice. */
int store_last_letter(struct store *s, uint64_t *ret);

/* --- mail merge: one body, and for each recipient a view of it --- */
/* What a recipient gets: pieces of the body that was sent (without our trace header) and octets of
 * its own between them. */
#define STORE_VIEW_MAX (256u << 10) /* octets of a view's encoded pieces */
#define STORE_VIEW_PIECES_MAX 4096
#define STORE_VIEWS_MAX 1000000u /* of one merge */
struct store_piece {
	bool literal;
	struct str text;   /* literal */
	uint64_t off, len; /* else: so much of the body from there */
};
struct store_view {
	uint64_t account;
	uint32_t mailbox;
	struct str prefix;   /* in front of the letter, behind that of all */
	uint64_t size;       /* of the pieces together */
	uint32_t header_len; /* octets of them that are header */
	bool insert_blank;
	uint16_t n_pieces;
	struct str pieces; /* encoded */
	struct str entry; /* not empty: this recipient is elsewhere; account and mailbox are 0,
	                   * prefix is empty, and the entry's part is the view's number */
};
void store_piece_put(struct buf *b, const struct store_piece *p);
bool store_piece_get(struct wire *w, struct store_piece *ret); /* advances w */
/* Views under way: kept as a body is, in memory and then in a blob file. */
struct store_views *store_views_new(struct store *s, uint64_t letter);
/* 0, -EINVAL (the pieces are not what size and n_pieces say) or -errno. After a failure that is
 * not -EINVAL every later call fails. */
int store_views_add(struct store_views *v, const struct store_view *view);
uint32_t store_views_count(const struct store_views *v);
uint64_t store_views_end(const struct store_views *v); /* the body must have so many octets */
uint64_t store_views_memory(const struct store_views *v);
int store_views_spill(struct store_views *v);
struct store_views *store_views_free(struct store_views *v); /* not accepted: forget them */
/*
 * Takes body and views over. Of l, rcpt and n_rcpt, header_len and insert_blank are not used.
 * Body, views and an intent are made durable together: from then on it happens for all of them
 * or, after damage alone, is told by fsck. The mailboxes follow in many groups, so that other
 * letters are not held up; a recipient's account that is removed meanwhile is passed over. A
 * crash in between is made good when the store is opened. rc 0: in every mailbox. -EAGAIN: the
 * same letter is under way. A full disk delays the completion, see store_retry().
 */
void store_merge(struct store *s, struct store_body *body, struct store_views *views,
    const struct store_letter *l, store_fn *fn, void *arg);
/* Goes on with merges for which the disk was too full; call it now and then. */
void store_retry(struct store *s);

/* --- reading --- */
/* A snapshot shows one version of one domain, and every batch that was durable when it was
 * asked for. In the writer's process it waits for the index itself (it blocks for a commit's
 * time; -ENOSPC when the index has no room); a read-only store shows
 * what is applied (its role asks the writer to sync first). Close within a second. */
int store_snap_open(struct store *s, const struct store_dom *d, struct store_snap **ret,
    uint64_t *ret_ver);
/* The same, of what is applied by now: it waits for nothing. */
int store_snap_open_applied(struct store *s, const struct store_dom *d, struct store_snap **ret,
    uint64_t *ret_ver);
struct store_snap *store_snap_close(struct store_snap *sn);
/* 0, -ENOENT or -errno; the view lives until the snapshot closes. */
int store_get(struct store_snap *sn, struct str key, struct str *ret);
/* Calls fn for each key in [from, to) in order (to p NULL: to the end; limit 0: no limit;
 * reverse: downwards); fn returns false to stop. */
typedef bool store_scan_fn(void *arg, struct str key, struct str value);
int store_scan(struct store_snap *sn, struct str from, struct str to, uint32_t limit, bool reverse,
    store_scan_fn *fn, void *arg);
/* Reads up to n octets of a body at off; the checksum is verified when the whole is read in
 * one call, and by store_ref_check(). Octets read, or -errno (-EBADMSG: damaged; -ESTALE: the
 * body has been moved or removed since the record was read: read the record again, and if it
 * still says the same, the body is lost). Never another letter's octets. */
ssize_t store_read(struct store *s, const struct store_ref *ref, uint64_t off, void *dst, size_t n);
int store_ref_check(struct store *s, const struct store_ref *ref);
/* Makes the index catch up with the log; fn runs when all that is durable now is applied. */
void store_sync(struct store *s, store_fn *fn, void *arg);

/* --- the queue --- */
/* An entry is a letter and some of its recipients elsewhere. It stands in Q under
 * "t|letter8|part4": what says where the body lies, and a value that the store does not look into
 * and that never changes. What changes is its state, under the same key and an octet "s". The body
 * stays as long as an entry (or a mailbox) refers to it. Entries come with store_accept() and
 * store_merge() only. Whoever puts other keys into that domain begins them with "p|" or "y|". */
struct store_queued {
	uint64_t letter;
	uint32_t part;
	struct store_ref ref;
	uint32_t trace_len, header_len;
	bool insert_blank;
	uint16_t n_pieces; /* of a mail merge */
	struct str pieces;
	uint64_t size;     /* octets of the letter: trace header, header, inserted line, rest */
	struct str value;
	struct str state;  /* p NULL: none yet */
	bool damaged;      /* its record does not decode: nothing else but letter and part is known */
};
typedef bool store_queued_fn(void *arg, const struct store_queued *q); /* false: stop */
/* sn: of store_dom_queue(). Entries in order from (letter, part) on, damaged ones among them;
 * store_queue_get() of such a one is -EBADMSG, and store_queue_del() takes it away. */
int store_queue_scan(struct store_snap *sn, uint64_t letter, uint32_t part, uint32_t limit,
    store_queued_fn *fn, void *arg);
int store_queue_get(
    struct store_snap *sn, uint64_t letter, uint32_t part, struct store_queued *ret);
/* As store_read(), of the letter put together; q as it was got, or a copy of it without value and
 * state (pieces must live). */
ssize_t store_queue_read(
    struct store *s, const struct store_queued *q, uint64_t off, void *dst, size_t n);
/* In a batch of store_dom_queue(). Both expect the entry to be there (-EAGAIN). */
void store_queue_state(struct store_batch *b, uint64_t letter, uint32_t part, struct str state);
void store_queue_del(struct store_batch *b, uint64_t letter, uint32_t part);

/* --- histories --- */
/* A history that is written with a batch (of any domain), in the same group and in front of it. A
 * batch with notes and nothing else raises no version. At most 8 MiB of them in a batch. */
enum store_note_kind {
	STORE_NOTE_LETTER, /* of store_accept() */
	STORE_NOTE_ATTEMPT,
	STORE_NOTE_REPORT,
	STORE_NOTE_QUEUE,   /* held, released, ... by an administrator */
	STORE_NOTE_MAILBOX, /* flags, copy, expunge */
	STORE_NOTE_KINDS
};
#define STORE_NOTE_MAX (256u << 10)
struct store_note {
	uint8_t kind;
	uint64_t letter, session, time_ms;
	struct str qid, from, rcpts, message_id, peer; /* by what it is found; any may be empty */
	struct str octets;
};
/* A line of the rcpts of a mailbox event: it tells of one letter. */
void store_note_line(struct buf *rcpts, uint64_t account, uint32_t mailbox, uint64_t letter,
    uint32_t uid);
void store_note(struct store_batch *b, const struct store_note *n);

/* fn runs at least once after any commit in d with a version above since. */
typedef void store_watch_fn(void *arg, const struct store_dom *d, uint64_t ver);
struct store_watch *store_watch_new(struct store *s, const struct store_dom *d, uint64_t since,
    store_watch_fn *fn, void *arg);
struct store_watch *store_watch_free(struct store_watch *w);

/* --- leases --- */
/* The right to write a domain, for those who agree to ask for it; a lease alone hinders nobody,
 * store_fence() does. The holder renews every third of ttl_ms, by itself, from store_run(). If
 * it cannot, or store_run() was not called in time, it stops at two thirds: batches fenced with
 * the lease are refused from then on, and lost_fn runs from the next store_run(), before the
 * ttl ends if that is called when store_fd() is readable. At the end of the ttl another may take
 * the lease, whether the holder has noticed or not. A lost lease stays lost: put it.
 *
 * Epochs rise with each lease that is given, over all domains and across restarts: what is done
 * outside the store under an epoch that no fenced batch has made durable may be done again under
 * the same number after a crash. What an earlier holder sent may still become durable until the
 * new one's first fenced batch is: commit that, then read what was left. */
#define STORE_LEASES_MAX 1024
#define STORE_LEASE_MS_MIN 30
#define STORE_LEASE_MS_MAX 3600000
typedef void store_lost_fn(void *arg, struct store_lease *l);
/* 0, -EBUSY (somebody has it), -EINVAL (ttl_ms is out of bounds), -E2BIG (too many leases),
 * -EROFS, -ENOSPC or -EIO. The first one reads the last epoch and blocks as a snapshot does. */
int store_lease_get(struct store *s, const struct store_dom *d, uint32_t ttl_ms, store_lost_fn *fn,
    void *arg, struct store_lease **ret);
struct store_lease *store_lease_put(struct store_lease *l); /* gives it back; returns NULL */
uint64_t store_lease_epoch(const struct store_lease *l);

struct store_stats {
	uint64_t groups, group_letters, group_batches, durable_lsn, applied_lsn, index_commits;
	uint64_t segments, bytes_free, bodies_memory;
	uint64_t bytes_log, bytes_live; /* of the log, and of that what is needed; a moment old */
	uint64_t compactions, checkpoints; /* since the start */
	/* Of the queue; a moment old. A letter counts once, however many entries it has. */
	uint64_t queue_entries, queue_letters, queue_bytes;
	bool reserve; /* false: the index has taken its reserve; nothing is accepted */
	bool poisoned;
};
void store_stats(struct store *s, struct store_stats *ret);

/* --- copies of a running store --- */
/* What is on the disk up to lsn, with the blobs, is a consistent copy: every segment from the
 * first there is up to that of lsn, and of the last one the octets below lsn's offset (what
 * stands behind them belongs to later letters and is to be zeros in the copy). All of it is
 * durable. While a pin is held no segment and no blob that is there is removed, moved or used
 * again; what is written meanwhile stands behind lsn or in files of its own. Pin first, then
 * cut, copy, unpin. An engine without files: -ENOTSUP, and pins do nothing. */
struct store_cut {
	unsigned char id[16]; /* of the store; the same in all its segments */
	uint64_t lsn;         /* segment number << 32 | offset */
	uint64_t begin;       /* of the last checkpoint in the log, 0: none; for information */
};
uint64_t store_pin(struct store *s); /* a number for store_unpin(), never 0 */
void store_unpin(struct store *s, uint64_t pin);
int store_cut(struct store *s, struct store_cut *ret);
