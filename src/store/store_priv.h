/*
 * store_priv: what the engines share.
 *
 * The caller's thread makes requests and runs completions; everything public in store.h is
 * called from that one thread. An engine takes requests in order (submit) and gives each back
 * once with store_post(), from any thread. A request has one owner at any time: the engine
 * between submit and post, the queue of completions after that.
 */
#pragma once

#include "base/list.h"
#include "base/map.h"
#include "store/lease.h"
#include "store/record.h"
#include "store/store.h"
#include "sys/thread.h"

#define BATCH_BYTES_MAX (8u << 20)
#define HEAD_KEY STR("H")

/* --- batches, as the caller built them --- */
enum op_kind { OP_EXPECT, OP_ABSENT, OP_PRESENT, OP_PUT, OP_DEL, OP_ADD, OP_EXPUNGE };
struct op {
	enum op_kind kind;
	int slot;
	uint32_t slots;
	size_t key, key_len, value, value_len; /* places in the batch's octets */
	int64_t delta;
};
struct store_batch {
	struct store *store;
	struct store_dom dom;
	struct op *ops;
	size_t n, cap;
	struct buf octets;
	struct buf notes; /* u64 letter, string TRACE payload */
	struct fence fences[STORE_FENCES];
	size_t n_fences;
	int rc; /* sticky: -E2BIG, -EINVAL or -ESTALE */
};
struct str batch_key(const struct store_batch *b, const struct op *o);
void batch_expect_version(struct store_batch *b, uint64_t ver); /* of its domain */
void batch_expect_there(struct store_batch *b, struct str key); /* with any value */
void batch_refuse(struct store_batch *b, int rc);
struct str batch_value(const struct store_batch *b, const struct op *o);
bool note_next(struct wire *notes, uint64_t *ret_letter, struct str *ret_payload);
/* Notes and nothing else: no version is raised. */
bool batch_only_notes(const struct store_batch *b);

/* --- bodies --- */
struct store_body {
	struct store *store;
	uint64_t letter, size;
	struct buf mem;  /* while there is no blob file */
	uint64_t blob;   /* its number, or 0 */
	int fd;
	uint32_t crc;    /* of the octets so far, once there is a blob */
	int rc;          /* sticky */
};

/* A letter on its way: what store_accept() copied. */
struct letter {
	uint64_t letter, time_ms;
	struct store_body *body;    /* NULL: the intent has its reference (recovery) */
	struct buf buf; /* trace header, TRACE payload, INTENT payload, one after another */
	size_t head_len, trace_len, intent_len;
	struct append *append; /* NULL: it goes where the intent says */
	uint64_t trace_lsn;    /* where the engine has put its history, 0: nowhere */
	uint32_t keep;         /* octets that body and history take there */
	/* of a merge */
	struct store_body *views; /* when it is accepted */
	uint32_t first_view;      /* afterwards: number of the first view of these */
	size_t views_len;         /* they stand behind the intent in buf */
	size_t outline_len;       /* it stands behind the intent in buf; there are no views */
	struct letter *next;      /* of several that are appended together */
	struct store_ref ref;     /* append: where the engine has put it */
};

/* What mailbox_append() copied. */
struct append {
	uint64_t account;
	uint32_t mailbox;
	uint64_t time_ms, now_ms;
	uint64_t flags;
	uint64_t header_len;
	bool absent; /* the mark must be */
	size_t mark_len, was_len, value_len, outline_len, keywords_len;
	struct buf marks; /* mark, was, value, outline, keywords, one after another */
};
struct str letter_head(const struct letter *l);
struct str letter_trace(const struct letter *l);
struct str letter_intent(const struct letter *l);
struct str letter_views(const struct letter *l);
struct str letter_outline(const struct letter *l);
bool letter_fits(const struct store_letter *l);
struct letter *letter_free(struct letter *l);

/* --- mail merge --- */
struct store_views {
	struct store_body *body; /* the views, encoded (store_view_put) */
	struct buf one;
	uint32_t n;
	uint64_t end;           /* the body must have so many octets */
	size_t longest, prefix; /* octets of the longest view, and of the longest prefix */
};
struct store_body *views_take(struct store_views *v); /* frees the rest */
/* Carries out an intent that recovery found open. fn: as that of store_merge(). */
void merge_redo(struct store *s, struct str intent, store_fn *fn, void *arg);
void merges_done(struct store *s); /* forgets those that wait; the next start redoes them */

/* --- requests --- */
enum req_kind {
	REQ_BATCH,
	REQ_ACCEPT,
	REQ_APPEND,
	REQ_MAIL,  /* flags, expunge, copy, outlines; see mail_priv.h */
	REQ_REDO,  /* an intent that recovery found open */
	REQ_MERGE, /* body, views and intent of a merge */
	REQ_VIEWS, /* some of its mailboxes */
	REQ_MERGED, /* it is in all of them */
	REQ_LOOK,  /* the version of a domain, for a new watch */
	REQ_SYNC,
	REQ_EVENT, /* made by the engine: dom has reached res.ver */
	/* an engine's own, from a thread of its own; see emb.h */
	REQ_MOVE,
	REQ_SNAP,
	REQ_CHECKPOINT,
	REQ_RETIRE,
};
struct request {
	struct request *next;
	enum req_kind kind;
	enum store_level level;
	store_fn *fn;
	void *arg;
	struct store_res res;
	struct store_batch *batch;
	struct letter *letter;
	struct mail_op *mail; /* not the request's own */
	struct store_dom dom;
	uint64_t lsn;
	struct task *task; /* of an engine's own request; it goes back to who waits for it */
	bool
	    written; /* there is something of it in the log: nothing of a conflict or a repeat is */
};
struct request *request_new(enum req_kind kind, store_fn *fn, void *arg);
struct request *request_free(struct request *r);

struct queue {
	struct request *head, **tail;
};
void queue_init(struct queue *q);
void queue_add(struct queue *q, struct request *r);
struct request *queue_take(struct queue *q); /* the first, or NULL */
void queue_move(struct queue *to, struct queue *from);

/* --- the store --- */
struct engine {
	const char *prefix;
	int (*open)(struct store *s, struct str place, struct buf *err);
	void (*close)(struct store *s);
	void (*submit)(struct store *s, struct request *r);
	void (*go)(struct store *s); /* begin what was gathered; NULL: it never gathers */
	int (*snap_open)(struct store_snap *sn, uint64_t *ret_ver);
	void (*snap_close)(struct store_snap *sn);
	int (*get)(struct store_snap *sn, struct str key, struct str *ret);
	int (*scan)(struct store_snap *sn, struct str from, struct str to, uint32_t limit,
	    bool reverse, store_scan_fn *fn, void *arg);
	ssize_t (*read)(
	    struct store *s, const struct store_ref *ref, uint64_t off, void *dst, size_t n);
	/* NULL in an engine without files: bodies stay in memory. */
	int (*blob_new)(struct store *s, uint64_t *ret_number, int *ret_fd);
	void (*blob_drop)(struct store *s, uint64_t number);
	void (*stats)(struct store *s, struct store_stats *ret);
	/* NULL in an engine without files. */
	uint64_t (*pin)(struct store *s);
	void (*unpin)(struct store *s, uint64_t pin);
	int (*cut)(struct store *s, struct store_cut *ret);
};
extern const struct engine engine_emb, engine_mem;

struct store {
	const struct engine *engine;
	void *impl;
	struct store_options o;
	int efd;
	uint64_t under_way;     /* caller's thread: submitted, completion not yet run */
	uint64_t bodies_memory; /* caller's thread */
	struct mutex m;
	struct cond c;
	struct queue done;      /* under m */
	bool collects;          /* under m: the caller is in store_go() and looks at done itself */
	bool gathered;          /* caller's thread: store_go() is due */
	struct map watches;     /* caller's thread: domain to struct watch_set */
	uint32_t n_watches;     /* atomic: engines skip events while it is 0 */
	bool running;           /* in store_run() */
	bool watches_died;      /* freed meanwhile */
	struct leases leases;
	struct list merges;     /* caller's thread: under way */
};

struct store_snap {
	struct store *store;
	struct store_dom dom;
	void *impl;
	bool applied; /* waits for nothing */
	uintptr_t near_get, near_scan; /* emb: where reading ahead has begun */
};

void store_submit(struct store *s, struct request *r);
void store_post(struct store *s, struct queue *q); /* takes all of q; any thread */
bool store_has_watches(struct store *s);           /* any thread */
struct request *event_new(const struct store_dom *d, uint64_t ver);

void watch_init(struct store *s);
void watch_done(struct store *s);
void watch_event(struct store *s, const struct store_dom *d, uint64_t ver);
void watch_reap(struct store *s);
