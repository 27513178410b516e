/* fsck: what its two passes share. The log is read first, then the index against it. */
#pragma once

#include "base/map.h"
#include "store/fsck.h"
#include "store/index.h"
#include "store/logread.h"
#include "store/mailbox.h"
#include "store/record.h"

#define FSCK_TEXT_MAX (4u << 20) /* of problems; more are only counted */
#define FSCK_MOMENT_MS 100       /* what looks wrong beside a running server is looked at again */

struct fsck_ver {
	uint64_t last;    /* the domain's version in the log */
	uint64_t applied; /* the same, of what the index must have */
};

struct fsck {
	struct fsck_report *report;
	fsck_queued_fn *queued; /* or NULL */
	void (*progress)(void *arg, uint64_t done, uint64_t all);
	void *arg;
	uint64_t done, all;
	int dir, log, blob, readers;
	unsigned char id[STORE_ID_LEN];
	bool has_id;
	struct index ix;
	bool has_index;
	uint64_t applied;  /* of the index, before the log was read */
	struct map vers;   /* domain to struct fsck_ver * */
	struct map users;  /* account8 to itself: known or removed accounts */
	struct checkpoint cp; /* the last one seen in the log */
	bool at_end;       /* the log's end was found: what follows is not written yet */
	struct logread at; /* the segment that a reference was last looked up in */
};

void fsck_problem(struct fsck *f, const char *fmt, ...) PRINTF(2, 3);
void fsck_step(struct fsck *f, uint64_t octets);
void fsck_moment(void);
void fsck_forget_versions(struct fsck *f);
/* fsck_log.c */
int fsck_log(struct fsck *f);
/* fsck_body.c */
void fsck_blob(struct fsck *f, uint64_t lsn, const struct blob_record *b);
/* Does ref lead to a frame that is this letter's body? NULL, or what is wrong. */
const char *fsck_ref(struct fsck *f, const struct store_ref *ref, uint64_t letter);
/* fsck_trace.c */
int fsck_trace(struct fsck *f);
int fsck_tables(const char *dir); /* removes those of histories: the next start makes them */
/* fsck_index.c */
int fsck_index(struct fsck *f);
/* fsck_refs.c: in the index, what is derived against what it is derived from */
int fsck_derived(struct fsck *f, MDB_txn *txn);
void fsck_user_derived(struct fsck *f, MDB_txn *txn, const struct store_dom *d, struct str key,
    struct str value);
int fsck_checkpoint(struct fsck *f);
int fsck_checkpoint_noted(struct fsck *f, struct checkpoint *ret);

/* --- fsck_queue.c: the queue, as its records say --- */
struct seen_entry {
	struct store_ref ref;
	uint64_t letter;
	uint32_t part;
};
struct fsck_queue {
	struct fsck *f; /* NULL: nothing was read */
	MDB_txn *txn;   /* while it is read */
	struct seen_entry *entries;
	size_t n, cap;
	struct seen_entry last; /* the one that was read last, damaged or not */
	struct str value;       /* its own, or p NULL: damaged */
};
int fsck_queue_read(struct fsck *f, MDB_txn *txn, const struct store_dom *d, struct fsck_queue *q);
void fsck_queue_judge(struct fsck_queue *q);
void fsck_queue_done(struct fsck_queue *q);

/* --- fsck_box.c: one mailbox, as its records say --- */
struct seen_letter {
	struct store_ref ref;
	uint64_t letter, modseq, size;
	uint64_t flags;
	uint32_t uid;
	bool gone; /* since it was seen */
};
struct seen_change {
	uint64_t modseq;
	uint32_t uid;
};
struct seen_dedup {
	uint64_t letter;
	uint32_t uid;
};

struct fsck_box {
	struct fsck *f;
	MDB_txn *txn; /* while its records are read */
	uint64_t account;
	uint32_t mailbox;
	struct seen_letter *letters;
	size_t n_letters, cap_letters;
	struct seen_change *changes;
	size_t n_changes, cap_changes;
	struct seen_dedup *dedups;
	size_t n_dedups, cap_dedups;
	uint32_t *outlines; /* UIDs */
	size_t n_outlines, cap_outlines;
	uint64_t vanished, last_vanished; /* ranges, and the highest modseq of them */
	unsigned keywords;
	struct mailbox_head head;
	bool has_head, bad;
};

/* Reads all of its records; nothing when it was deleted. */
int fsck_box_read(struct fsck *f, MDB_txn *txn, const struct store_dom *d, struct fsck_box *b);
void fsck_box_judge(struct fsck_box *b);
void fsck_box_done(struct fsck_box *b);
