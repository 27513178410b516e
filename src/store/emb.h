/*
 * emb: the embedded engine, private parts.
 *
 * Threads. The caller's builds batches, writes bodies and reads. The log thread takes all that
 * waits when the last sync returned, resolves it against overlay and index, writes one group,
 * syncs it once, acknowledges, and hands the group to the index thread, which applies groups
 * to LMDB in commits of its own. The preparation thread keeps one zero-filled segment ready.
 * Who owns what is said below; everything shared is under `m`.
 *
 * A failed write or sync of the log poisons: nothing is acknowledged any more, by anybody.
 */
#pragma once

#include "store/index.h"
#include "store/overlay.h"
#include "store/resolve.h"
#include "store/segment.h"
#include "store/store_priv.h"

#define QUEUE_BATCHES_MAX 2048        /* what waits for the index at most */
#define QUEUE_BYTES_MAX (64u << 20)
#define KEPT_IDLE_MAX (1u << 20)      /* more than this is not kept while nothing comes */
#define INDEX_INTERVAL_MS 8
#define INDEX_BATCHES 512             /* so many are committed at once */
#define INDEX_OPS 20000               /* a longer commit is split */
#define INDEX_RETRY_MS 1000
#define SPARE_RETRY_MS 1000
#define READ_FILES 8

/* What was written and synced together. */
struct group {
	struct group *next;  /* in the index thread's queue */
	struct group *newer; /* among those in the overlay */
	struct overlay_part part;
	uint64_t start, end; /* positions in the log */
	uint32_t letters, batches;
	struct queue all;     /* requests, until they are acknowledged */
	struct queue applied; /* requests that wait for the index */
};

struct read_file {
	uint64_t seq; /* 0: free */
	uint64_t used;
	int fd;
};

struct emb {
	struct store *store;
	struct store_options o;
	int dir, log, blob; /* directories */
	int lock;           /* DIR/lock, the one writer's */
	int readers;        /* DIR/readers, shared by those who have the index open */
	bool fresh;         /* made by this open */
	unsigned char id[STORE_ID_LEN];
	struct index ix;

	struct mutex m;
	/* caller to log thread */
	struct queue requests;
	struct cond log_cond;
	bool log_sleeps, log_stop;
	/* log thread to index thread */
	struct group *ix_head, **ix_tail;
	uint64_t ix_batches, ix_bytes;
	uint64_t kept_bytes;      /* octets of all groups in the overlay */
	struct cond ix_cond;      /* groups came, or somebody waits */
	struct cond room_cond;    /* the queue has room again */
	struct cond applied_cond;
	bool ix_urgent, ix_stop;
	int ix_failed;            /* the last commit failed: -ENOSPC */
	uint64_t durable, applied;
	struct queue syncs;       /* requests that wait for `applied` to reach their lsn */
	/* segments */
	struct cond spare_cond;   /* a spare is there, or there is no room for one */
	struct cond prep_cond;
	uint64_t spare;           /* number of the segment that is ready, or 0 */
	uint64_t spare_next;      /* number of the one to make, or 0 */
	int spare_failed;         /* -ENOSPC */
	bool prep_stop;
	uint64_t segments;
	int poisoned;             /* atomic */

	/* log thread's own */
	int seg_fd;
	uint64_t seg_seq, seg_off, seg_size;
	struct overlay overlay;
	struct group *oldest, **newest; /* all groups that are in the overlay */
	MDB_txn *log_txn;       /* reset while no group is at hand */
	struct buf idle_buf;    /* a dropped group's memory, to use again */
	uint64_t groups, group_letters, group_batches; /* atomic, for stats */
	uint64_t index_commits;                        /* atomic */

	/* caller's own */
	uint64_t next_blob;
	MDB_txn *idle_txn; /* a reset read transaction to use again */
	struct read_file files[READ_FILES];
	uint64_t file_clock;

	struct thread log_thread, ix_thread, prep_thread;
};

void emb_poison(struct emb *e, const char *what, int rc);
bool emb_poisoned(const struct emb *e);

/* commit.c */
void group_free(struct emb *e, struct group *g);
void log_main(void *arg);
void emb_submit(struct store *s, struct request *r);
/* apply.c */
void index_main(void *arg);
void index_feed(struct emb *e, struct group *g);
int applied_wait(struct emb *e); /* until everything durable now is applied */
/* segments.c */
void prep_main(void *arg);
int segment_roll(struct emb *e); /* log thread: go on in the next segment */
/* recover.c */
int emb_recover(struct emb *e, const char *dir, struct buf *err);
int emb_redo(struct emb *e, struct buf *err); /* with the threads running */
/* read.c */
ssize_t emb_read(struct store *s, const struct store_ref *ref, uint64_t off, void *dst, size_t n);
void files_init(struct emb *e);
void files_done(struct emb *e);
/* blob.c */
#define BLOB_NAME_LEN 20
void blob_name(char out[BLOB_NAME_LEN], uint64_t number);
bool blob_number(const char *name, uint64_t *ret);
int emb_blob_new(struct store *s, uint64_t *ret_number, int *ret_fd);
void emb_blob_drop(struct store *s, uint64_t number);
int blobs_sweep(struct emb *e); /* at open: removes those the log does not name */
uint32_t crc32c_join(
    uint32_t a, uint32_t b, uint64_t b_len); /* crc of A and B, one after another */
