/*
 * emb: the embedded engine, private parts.
 *
 * Threads. The caller's builds batches, writes bodies and reads. The log thread takes all that
 * waits when the last sync returned, resolves it against overlay and index, writes one group,
 * syncs it once, acknowledges, and hands the group to the index thread, which applies groups
 * to LMDB in commits of its own. The preparation thread keeps zero-filled segments ready. The
 * compaction thread gets space back; it writes nothing itself, but asks the log thread with
 * requests that carry a task, one at a time.
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
#define INDEX_INTERVAL_MS 20
#define INDEX_BATCHES 512             /* so many are committed at once */
#define INDEX_OPS 20000               /* a longer commit is split */
#define INDEX_RETRY_MS 1000
#define SPARE_RETRY_MS 1000
#define SPARES 3     /* the last one is for what frees space */
#define SPARES_MAX 8 /* a crash may leave more than we would make */
#define POOL 2       /* freed segments that are kept to be used again */
#define READ_FILES 8
#define COMPACT_TICK_MS 1000

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

/* A segment that has frames in it, and one that is no longer part of the log. */
struct seg_entry {
	uint64_t seq, size;
};

/* --- tasks: what the compaction thread asks of the log thread --- */
/* A record that refers to a body: a letter's, or an entry's. */
struct move_ref {
	struct store_dom dom;
	char key[USER_RECORD_KEY_MAX];
	uint8_t key_len;
	uint32_t body; /* place in the task's bodies */
	bool live;     /* log thread: it still does */
};
/* A body to be copied, with what was read and checked. */
struct move_body {
	uint64_t lsn, letter;
	enum frame_type type;
	struct str payload, trace; /* trace p NULL: none */
	uint64_t to, to_trace;     /* out: where it is now; set before: copied already */
	uint32_t keep;             /* out */
	bool live;
};
struct task {
	bool over; /* under m */
	/* REQ_MOVE; refs sorted by domain */
	struct move_body *bodies;
	struct move_ref *refs;
	size_t n_bodies, n_refs;
	/* REQ_SNAP: where to begin, then where to go on */
	struct store_dom dom;
	bool first;         /* with the first domain there is */
	struct buf from;    /* key inside dom */
	uint64_t forget_ms; /* deliveries before this need not be remembered */
	uint64_t octets;    /* out, added: of the frames */
	bool end;           /* out: that was all */
	/* REQ_CHECKPOINT */
	struct checkpoint_record point;
	/* REQ_RETIRE: from now on nobody may refer to them; 0 or none: nothing is retired */
	uint64_t seq;
	const uint64_t *blobs; /* ascending; the waiter's until the next REQ_RETIRE */
	size_t n_blobs;
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
	bool log_lent; /* the caller does the log thread's work, see emb_go() */
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
	uint64_t spares[SPARES_MAX]; /* numbers of those that are ready, ascending */
	size_t n_spares;
	uint64_t spare_next;      /* number of the next one to make */
	int spare_failed;         /* -ENOSPC */
	struct seg_entry pool[POOL]; /* retired, to be used again */
	size_t n_pool;
	bool prep_stop;
	struct seg_entry *segs;   /* all with frames, ascending; the last is written to */
	size_t n_segs, cap_segs;
	/* space */
	struct cond compact_cond; /* a task is over, a segment is full, or stop */
	bool compact_stop, compact_now, compact_rests;
	struct cond pin_cond;     /* nothing is being removed any more */
	uint64_t pins;            /* how many hold what is on the disk as it is */
	uint64_t followed;        /* segments below it are followed; UINT64_MAX: nobody follows */
	struct cond follow_cond;  /* more is durable, and somebody follows */
	bool follow_waits;
	bool removing;            /* a name is being taken away */
	bool reserve;             /* DIR/reserve is there */
	bool index_full;          /* the index has had to take its room */
	struct checkpoint checkpoint; /* as the index has it, durably */
	struct queue_sums sums;       /* the same */
	uint64_t max_blob;            /* the same */
	uint64_t *gone;           /* blobs without a reference; on the heap */
	size_t n_gone, cap_gone;
	uint64_t bytes_live, bytes_log, compactions, checkpoints;
	int poisoned;             /* atomic */

	/* log thread's own */
	int seg_fd;
	uint64_t seg_seq, seg_off, seg_size;
	struct overlay overlay;
	struct group *oldest, **newest; /* all groups that are in the overlay */
	MDB_txn *log_txn;       /* reset while no group is at hand */
	struct buf idle_buf;    /* a dropped group's memory, to use again */
	uint64_t retired_seq; /* who refers to it comes too late */
	const uint64_t *retired_blobs;
	size_t n_retired_blobs;
	uint32_t sync_us;       /* what a sync takes, a running mean; with log_lent the caller's */
	uint64_t groups, group_letters, group_batches; /* atomic, for stats */
	uint64_t index_commits;                        /* atomic */

	/* caller's own */
	uint64_t next_blob;
	MDB_txn *idle_txn; /* a reset read transaction to use again */
	struct read_file files[READ_FILES];
	uint64_t file_clock;

	/* tests' own: called by the compaction thread between its steps */
	void (*step)(void *arg, const char *what);
	void *step_arg;

	struct thread log_thread, ix_thread, prep_thread, compact_thread;
};

void emb_poison(struct emb *e, const char *what, int rc);
bool emb_poisoned(const struct emb *e);

/* commit.c */
void group_free(struct emb *e, struct group *g);
void log_main(void *arg);
void emb_submit(struct store *s, struct request *r);
void emb_go(struct store *s);
/* group.c; the log thread's */
#define NO_ROOM (-EMSGSIZE) /* it does not fit into what is left of the segment */
/* Adds a request; its rc, or NO_ROOM and nothing was added. full: no letters. */
int group_take(struct emb *e, struct group *g, struct request *r, bool full);
struct mark {
	size_t len, entries;
	uint32_t batches;
};
struct view emb_view(struct emb *e);
struct mark group_mark(const struct group *g);
void group_undo(struct emb *e, struct group *g, struct mark m);
int group_check_room(const struct emb *e, const struct group *g, struct mark m, int rc);
void group_end_batch(struct emb *e, struct group *g, size_t at, uint64_t letter);
uint64_t group_add(struct emb *e, struct group *g, enum frame_type type, uint64_t letter,
    struct str payload); /* its lsn */
/* tasks.c */
void emb_post(struct emb *e, struct queue *q); /* completions, and tasks to who waits for them */
int task_run(struct emb *e, enum req_kind kind, struct task *t); /* waits; 0 or -errno */
int add_task(struct emb *e, struct group *g, struct request *r);
/* -EAGAIN: the batch would refer to a body that is gone or going. */
int batch_refs_stand(struct emb *e, struct str payload);
/* snap.c */
int add_snap(struct emb *e, struct group *g, struct request *r);
/* compact.c */
void compact_main(void *arg);
void emb_tidy(struct store *s); /* blocks until there is nothing to get back (tests) */
void compact_step(struct emb *e, const char *what);
/* compact_move.c */
/* Moves what is live out of a segment. 0: nothing refers to it any more. -EBADMSG: damaged;
 * -EBUSY: somebody refers to it again and again; or another -errno. */
int compact_segment(struct emb *e, uint64_t seq);
/* What moving it would write, roughly. */
int compact_cost(struct emb *e, uint64_t seq, uint64_t *ret);
/* free.c */
int free_segment(struct emb *e, uint64_t seq); /* nothing refers to it; -EBUSY: not now */
int free_blobs(struct emb *e);                 /* those in gone */
bool segment_used(struct emb *e, uint64_t seq, int *ret_rc);
/* reserve.c: a file that is given up when the index needs its room */
/* What a failed write of the index means: LMDB says EIO when the disk was full in the middle of
 * it. */
int reserve_errno(const struct emb *e, int rc);
bool reserve_release(struct emb *e); /* true: there is room now that was not */
void reserve_keep(struct emb *e);    /* makes it when there is plenty of room */
/* rebuild.c */
/* The last checkpoint among the segments; all zero: there is none. */
int checkpoint_find(struct emb *e, const uint64_t *seqs, size_t n, struct checkpoint *ret);
/* apply.c */
void index_main(void *arg);
void index_feed(struct emb *e, struct group *g);
int applied_wait(struct emb *e); /* until everything durable now is applied */
/* segments.c */
void prep_main(void *arg);
/* log thread: go on in the next segment; last: the reserved one may be taken */
int segment_roll(struct emb *e, bool last);
void segs_add(struct emb *e, uint64_t seq, uint64_t size); /* under m */
bool segs_remove(struct emb *e, uint64_t seq, struct seg_entry *ret); /* under m */
bool segs_have(struct emb *e, uint64_t seq);                /* takes m */
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
