/*
 * Inside a reader: it shows what is in mailboxes and changes nothing. Two kinds of askers: fronts
 * (reader_front.c, answered by windows: window.h) and the command line.
 *
 * A job is one question of the command line. It first asks the writer to bring the index up to
 * what is durable, so that every acknowledged letter is seen, opens the store if this writer is
 * new, and then takes steps. A step opens
 * what it needs, puts some rows and closes it again: no snapshot lives from step to step. When
 * the asker does not read fast enough the job pauses until it does.
 */
#pragma once

#include "base/list.h"
#include "conf/conf.h"
#include "ipc/chan.h"
#include "ipc/desk.h"
#include "ipc/pass.h"
#include "ipc/role.h"
#include "loop/loop.h"
#include "store/mailbox.h"
#include "store/store.h"

#define JOB_ARGS_MAX 16
#define SPOOL_SOUND 32

struct reader;

/* One front, as a reader sees it: reader_front.c. */
struct reader_front {
	struct reader *reader;
	struct chan *chan;    /* NULL: not connected */
	uint16_t index;
	unsigned char *slots; /* READ_SLOTS of READ_SLOT_SIZE; NULL: not connected */
	uint32_t busy;        /* bit n: slot n belongs to an open request */
	size_t n_enters;      /* requests of that kind that are open */
	struct list ready;    /* requests that can be answered, in the order in which they came */
	struct list waiting;  /* ... that wait for the writer */
};

/* One relay, as a reader sees it: reader_spool.c. */
struct reader_relay {
	struct reader *reader;
	struct chan *chan; /* NULL: not connected */
	uint16_t index;
	struct list waiting; /* for the writer */
	size_t n_waiting;
};

struct reader {
	struct role role;
	struct conf *conf;
	struct store *store; /* NULL: not open yet, or it cannot be opened */
	bool stale;          /* there was another writer since it was opened: open it again */
	struct chan *writer; /* NULL: away */
	struct list jobs;
	uint64_t last_sync;
	struct pass_key passes;
	struct reader_front front[FRONT_MAX];
	uint64_t turn_sync;           /* the ask that all fresh requests of this turn share, or 0 */
	struct loop_defer turn_end;
	struct loop_defer work;       /* requests are ready */
	struct loop_timer *work_on;   /* ... and were too many for one turn */
	struct loop_timer *tick;      /* runs while requests wait for the writer */
	unsigned next_front;          /* whose turn it is */
	struct reader_relay relay[RELAY_MAX];
	char *spool_octets;           /* SPOOL_CHUNK of them */
	struct store_ref spool_sound[SPOOL_SOUND]; /* bodies that were read whole lately */
	unsigned spool_next;                       /* the one to be overwritten */
	uint64_t spool_sync;          /* as turn_sync, of what relays ask */
	struct loop_defer spool_turn;
	struct loop_timer *spool_tick;
	const char *dir; /* as we may name it inside the sandbox */
};

enum job_step {
	JOB_MORE,
	JOB_OVER, /* the step has called reader_job_end() */
};

struct job;
struct job_kind {
	enum job_step (*begin)(struct job *j); /* once, when the index is up to date */
	enum job_step (*step)(struct job *j);
	void (*done)(struct job *j); /* frees what begin and step made; may be NULL */
};

struct job_names; /* mailboxes of an account */
struct job_batch; /* letters of a mailbox */
struct tracing;   /* a search for histories */

struct job {
	struct list node;
	struct reader *reader;
	struct desk_ask *ask;
	const struct job_kind *kind;
	struct loop_timer *timer; /* patience with the writer; then: the next turn */
	bool waits;               /* for the writer */
	uint64_t sync;            /* id of the ask, 0: not asked yet */
	char *arg[JOB_ARGS_MAX];
	size_t n_args;

	/* of mailbox_ops.c */
	uint64_t account;
	uint32_t mailbox, next_uid;
	struct job_names *names;
	struct job_batch *batch;
	uint64_t off; /* in the letter at hand */
	uint32_t n_damaged, first_damaged;

	struct tracing *tracing; /* of trace_op.c */
};

/* reader.c: the store as the writer of this life has it; false with a line in err. A writer that
 * has answered has recovered, so the index is whole, and it may have made another one. */
bool reader_open_store(struct reader *r, struct buf *err);

/* job.c */
void reader_job_new(
    struct reader *r, struct desk_ask *a, const struct msg_ask *m, const struct job_kind *kind);
void reader_jobs_ask_writer(struct reader *r); /* the writer is (back) here */
void reader_jobs_writer_away(struct reader *r);
void reader_jobs_synced(struct reader *r, uint64_t id);
void reader_jobs_done(struct reader *r); /* ends them unfinished */
enum job_step reader_job_end(struct job *j, enum ctl_code code, const char *fmt, ...) PRINTF(3, 4);

/* reader_front.c */
void reader_fronts_init(struct reader *r);
void reader_fronts_done(struct reader *r);
void reader_front_connect(struct reader *r, uint16_t index, int fd); /* takes fd over */
void reader_fronts_ask_writer(struct reader *r);   /* it is (back) here */
void reader_fronts_writer_away(struct reader *r);
void reader_fronts_synced(struct reader *r, uint64_t id);
bool reader_fronts_connected(const struct reader *r);

/* reader_spool.c */
void reader_spool_init(struct reader *r);
void reader_spool_done(struct reader *r);
void reader_relay_connect(struct reader *r, uint16_t index, int fd); /* takes fd over */
void reader_spool_ask_writer(struct reader *r); /* it is (back) here, or away */
void reader_spool_synced(struct reader *r, uint64_t id);
bool reader_relays_connected(const struct reader *r);

/* mailbox_ops.c, trace_op.c */
extern const struct desk_op reader_ops[];
void reader_op_trace(void *arg, struct desk_ask *a, const struct msg_ask *m);
