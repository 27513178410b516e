/*
 * Inside the queue's host, which lives in the writer: what sched.h decides, it does.
 *
 *   queue.c         life: the clock; what sched says next
 *   queue_load.c    entries that are there: read at the start; where their mail goes
 *   queue_letter.c  octets of letters that came just now
 *   queue_accept.c  recipients elsewhere of a letter that comes become entries
 *   queue_jobs.c    relays: jobs and leases
 *   queue_result.c  what they say of them
 *   queue_end.c     what an event makes of an entry, and its commits
 *   queue_report.c  the reports, which are letters of their own
 *   queue_here.c    entries whose domain is ours
 *   queue_way.c     how letters of our own are handed in
 *   queue_turn.c    ETRN and ATRN
 *   queue_op.c      what the command line asks; queue_filter.c, queue_row.c: its words
 *   queue_change.c  what it wants of an entry
 *
 * What becomes of an entry is made durable before anybody acts on it: first its new state (who has
 * the letter, who refused it, and the id of the report that is due), then that report, as a letter
 * accepted under that id, then the entry's end. After a crash in between, the report is made again
 * under the same id and accepted once.
 */
#pragma once

#include "metrics/metrics.h"
#include "queue/entry.h"
#include "queue/notify.h"
#include "queue/sched.h"
#include "roles/store/deliveries.h"
#include "roles/store/store_priv.h"

#define LEASES_MAX 40000

struct relay_peer {
	struct queue *queue;
	struct chan *chan; /* NULL: not connected */
	int fd;            /* of a channel that is not read yet: not all entries are known; or -1 */
	uint16_t index;
	bool hello;
	uint32_t n_jobs;
};

/* Octets of an entry, kept together. */
struct held {
	uint64_t size; /* of the letter */
	struct str value, state; /* state.p NULL: none */
	char octets[];
};

/* An entry that a relay has. */
struct lease {
	struct list node; /* queue->lease_list, in the order in which they were heard of */
	uint64_t id, letter;
	uint32_t part;
	struct relay_peer *relay; /* NULL: gone; perhaps it comes back */
	uint16_t relay_index;
	int64_t heard_ms;  /* monotonic */
	uint64_t given_ms; /* Unix time */
	uint64_t turn;
	uint8_t stage;
	bool cancelled;
	bool wishing;      /* what is wished of it is being written */
	char *where;       /* of the stage, or NULL */
	struct held *held; /* NULL: to be read again */
	struct buf result; /* the body of one that could not be taken yet, or empty */
};

struct queue {
	struct store_role *role;
	struct sched *sched;
	struct relay_peer relay[RELAY_MAX];
	uint16_t next_relay;
	struct map leases;  /* id -> struct lease */
	struct list lease_list;
	uint64_t last_lease;
	struct map fresh;   /* letter, part -> struct held, of entries not yet given to anybody */
	uint64_t fresh_octets;
	struct map letters; /* letter -> struct short_letter (queue_letter.c) */
	struct list letter_list;
	uint64_t letters_octets;
	struct store_snap *snap; /* of this turn, or NULL */
	struct loop_defer turn;
	struct loop_timer *timer;
	struct queue_batch *batch; /* ends that are committed at the end of this turn, or NULL */
	struct list stuck;  /* ends that the disk had no room for */
	size_t n_ending;    /* under way */
	size_t n_unwritten; /* of those: the disk had no room; nothing new is begun meanwhile */
	struct list ops;    /* of the command line */
	uint64_t last_op;
	struct list turns;
	int64_t ticked_ms;                    /* when leases were looked at last (monotonic) */
	bool loaded, closing, turning;
	int64_t calm_ms;  /* monotonic: no job is given before: relays may still report in; 0: all
	                     have */
	int64_t wishes_at; /* (monotonic) those of a former life, or that could not be read, are looked for */
	uint64_t load_letter;
	uint32_t load_part;
	int load_rc;                          /* why that does not go on, or 0 */
	uint64_t sent, later, refused, doubt; /* recipients, since the start */
	struct deliveries deliveries;         /* the same by destination */
	struct histogram delivery_time;       /* of those sent, since their letter came */
	uint64_t begun_ms;
	uint64_t id_ms;     /* of the last report's id */
	uint32_t id_seq;
	struct str directory; /* mapped, or empty */
	uint64_t directory_version;
};

static inline struct str
part_key(unsigned char out[12], uint64_t letter, uint32_t part)
{
	be64_put(out, letter);
	be32_put(out + 8, part);
	return str_n(out, 12);
}

/* queue.c */
void queue_pump(struct queue *q); /* at the end of this turn */
/* The octets of an entry: 0, -ENOENT or -errno. */
int queue_held_get(struct queue *q, uint64_t letter, uint32_t part, struct held **ret);
/* A busy entry that could not be read (rc): spared for a while; or forgotten here, as it is gone or
 * damaged. */
void queue_unread(struct queue *q, struct sched_entry *e, int rc);
/* The end of a busy entry, of whatever kind; NULL: queue_unread() has it. */
struct ending *queue_begin(struct queue *q, struct sched_entry *e);
struct held *queue_held_new(uint64_t size, struct str value, struct str state);
int queue_snap(struct queue *q, struct store_snap **ret); /* it lives until the end of this turn */
#define QUEUE_UNDECODED "its record in the index does not decode"
void queue_say_damaged(uint64_t letter, uint32_t part, const char *damage);
struct sched_entry *queue_learn(struct queue *q, uint64_t letter, uint32_t part, uint64_t size,
    struct str value, struct str state);
uint64_t queue_next_id(struct queue *q);
/* A busy entry goes back to its place; what was wished meanwhile happens. */
void queue_put_back(struct queue *q, struct sched_entry *e);
struct directory;
const struct directory *queue_directory(struct queue *q, struct directory *d); /* NULL: none now */

/* queue_load.c */
void queue_load(struct queue *q); /* the next slice */
sched_way_fn queue_way_of;        /* of a domain; arg: the queue */

/* queue_accept.c */
struct parcels {
	struct buf octets;
	struct store_entry *entry; /* views into octets */
	size_t n;
};
/* False: they do not fit. */
bool parcels_make(struct parcels *p, const struct msg_accept *m);
void parcels_done(struct parcels *p);
/* The letter is durable. */
void queue_accepted(struct queue *q, uint64_t letter, const struct parcels *p, uint64_t size);
void queue_merged(struct queue *q, uint64_t letter); /* entries of a mail merge */

/* queue_letter.c */
#define QUEUE_LETTER_MAX (32u << 10)
/* Takes the octets of a letter over that is durable and has so many entries. */
void queue_letter_keep(struct queue *q, uint64_t letter, struct buf *octets, size_t entries);
void queue_letter_send(struct queue *q, struct relay_peer *p, const struct lease *l);
void queue_letters_tick(struct queue *q);
void queue_letters_done(struct queue *q);

/* queue_result.c */
bool queue_result(struct relay_peer *p, const struct ipc_frame *frame); /* false: a breach */
void queue_results_again(struct queue *q);

/* queue_jobs.c */
void queue_lease_free(struct queue *q, struct lease *l);
void queue_lease_heard(struct queue *q, struct lease *l);
void queue_lease_over(struct queue *q, struct lease *l); /* its entry comes back untouched */
void queue_places(struct queue *q); /* how many jobs the relays that are here take */
void queue_cancel(struct queue *q, const struct sched_entry *e);
/* False: it cannot be given now, and is back in its place or gone. */
bool queue_give(struct queue *q, struct sched_entry *e, uint64_t turn, struct relay_peer *to);
void queue_relays_begin(struct queue *q); /* all entries are known */
void queue_relays_tick(struct queue *q);
struct lease *queue_lease_of(struct queue *q, uint64_t letter, uint32_t part);
void queue_jobs_done(struct queue *q);
bool queue_relay_here(const struct queue *q);
void queue_relay_send(struct relay_peer *p, uint16_t type, uint64_t id, struct str body);

/* queue_end.c: what an event makes of a busy entry. */
struct told {
	uint8_t state, event;
	bool tried; /* in the attempt that is told of */
	uint16_t code;
	struct str status, text;
};
enum ending_phase {
	PHASE_STATE,  /* its new state is written */
	PHASE_REPORT, /* the letter that the state names is accepted */
	PHASE_END,    /* the state behind that, or its removal, is written */
	PHASE_WISH,   /* a relay has it, and what is to happen then is written */
};
struct ending {
	struct list node;
	struct queue *queue;
	uint64_t letter;
	uint32_t part;
	uint64_t lease; /* to be confirmed, or that of a wish; 0: none */
	uint16_t relay;
	struct held *held;
	struct queue_entry entry; /* views into held */
	struct queue_state state; /* new; rcpts is made of rows */
	struct told *row;         /* one for each recipient */
	struct buf octets;        /* the new state */
	struct buf note;          /* its history */
	uint8_t note_kind;
	uint8_t phase;
	bool del;
	bool unwritten; /* counted in queue->n_unwritten */
	uint64_t op;    /* of the command line, that waits for it, or 0 */
	int rc;         /* what that is told: 0 or -errno */
};
/* Takes held over. NULL: what is stored cannot be read, and said so in the log. */
struct ending *ending_begin(struct queue *q, const struct sched_entry *e, struct held *held);
void ending_drop(struct ending *x);
void ending_alone(struct ending *x); /* in a batch of its own */
void ending_wait(struct ending *x);  /* its report cannot be brought now: again in a second */
/* Commits it; when that is durable the entry goes back to its place or is gone. */
void ending_submit(struct ending *x);
void ending_fail_waiting(struct ending *x, enum notify_event event, const char *status,
    struct str text);
bool ending_has_events(const struct ending *x);
void ending_claim(struct ending *x, uint64_t id);
void ending_commit(struct ending *x); /* the entry's end, behind its report */
/* Its letter cannot be read: it waits until somebody has looked after it. */
void ending_hold_damaged(struct ending *x);
/* x->state.wish of an active entry: its lease goes on from that state. */
void ending_wish(struct ending *x, struct lease *l);
void queue_batch_flush(struct queue *q);
void queue_endings_retry(struct queue *q);
void queue_endings_done(struct queue *q);

/* queue_way.c: letters of our own. */
struct way {
	struct str from;
	struct store_rcpt *rcpt;
	size_t n;
	struct buf prefix; /* of all of them, one behind the other */
	struct buf onward;
	uint32_t n_onward;
	struct parcels parcels;
};
void way_begin(struct way *w);
void way_done(struct way *w);
/* False: nobody is there. */
bool way_add(struct queue *q, struct way *w, struct str to, struct str notify);
bool way_end(struct way *w, uint64_t id, struct msg_accept *m);
/* Takes body over; accepts it under x->state.report, and goes on with `then` when it is durable. A
 * failure is tried again. */
void way_hand_in(struct ending *x, struct way *w, struct store_body *body, uint64_t header_len,
    bool insert_blank, struct str history, void (*then)(struct ending *x));
void parcels_put_lines(struct buf *b, const struct parcels *p); /* "0 0 address" each */

/* queue_report.c */
/* Is a report due for the events of this state? */
bool report_is_due(struct ending *x);
void report_begin(struct ending *x);
/* An entry whose domain is ours by now, or whose release was waited for: into mailboxes here. */
void queue_deliver_here(struct queue *q, struct sched_entry *e);
void queue_here_begin(struct ending *x, bool known);
/* An entry that is a report and nothing else. */
void queue_report_only(struct queue *q, struct sched_entry *e);

/* queue_op.c, queue_change.c, queue_turn.c */
void queue_ops_done(struct queue *q);
void queue_op_changed(struct queue *q, uint64_t op,
    int rc); /* one of its changes is durable, or failed */
/* What is wished of an entry that is in nobody's hands. It may be gone behind this. */
void queue_wish(struct queue *q, struct sched_entry *e);
/* Those that a former life of ours did not come to, or that could not be read. */
void queue_wishes(struct queue *q);
void queue_turn_over(struct queue *q, const struct relay_peer *p);
bool queue_turn_begin(struct relay_peer *p, uint64_t id, struct str body);
void queue_turn_job_over(struct queue *q, const struct relay_peer *p, uint64_t id);
void queue_turns_go_on(struct queue *q);
bool queue_turn_end(struct relay_peer *p, uint64_t id);
