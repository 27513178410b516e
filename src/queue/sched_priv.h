/* Inside sched: tables of entries, domains and destinations, linked by numbers. Number 0 is none. */
#pragma once

#include "base/map.h"
#include "queue/sched.h"

#define SLAB_BITS 10
#define SLAB_N (1u << SLAB_BITS)

/* Records of one kind, which never move. */
struct slab {
	unsigned char **chunk;
	size_t size; /* of a record */
	uint32_t n_chunks, n; /* records made, number 0 among them */
	uint32_t free;        /* first of those given back, linked by their first 4 octets */
	uint32_t used;
};

/* Numbers by hash, open addressing. */
struct table {
	uint32_t *slot;
	uint32_t cap, used;
};

#define TOOK_OF 64 /* jobs that an average is made of */
#define BUSY_MOST                                                                                  \
	10000 /* entries in the host's hands: each takes memory, and waits for the disk            \
	       */

struct heap {
	uint32_t *at;
	uint32_t n, cap;
};

struct sched_domain {
	uint32_t dest;
	uint32_t n; /* entries */
	uint32_t len;
	char *name; /* owned; NULL: there is none */
};

static inline struct str
domain_name(const struct sched_domain *m)
{
	return str_n(m->name, m->len);
}

struct sched_dest {
	uint32_t self;
	uint32_t domain; /* it is this one's own; 0: shared, by `target` */
	char *target;    /* owned; NULL: "mx:" and the domain. Of a shared one: TARGET LF ROUTE */
	char *text;      /* owned: of the last trouble, or NULL */
	uint64_t backoff_ms; /* until then; 0: none */
	uint64_t quiet_ms;   /* since then no job has ended although some are active */
	uint64_t oldest_ms;
	uint32_t root;       /* of its ready entries */
	uint32_t n, n_ready, n_active, n_held, n_waiting;
	uint32_t aimed; /* domains with entries whose mail goes here, or will */
	uint32_t ring_next, ring_prev;
	uint32_t heap_at;    /* in the heap of back-offs */
	uint32_t took_ms;    /* a job takes, lately */
	uint32_t window;     /* in 1/256 */
	uint32_t most;
	uint32_t sent, later, refused;
	uint16_t fails;      /* in a row */
	uint16_t target_len; /* of `target`, without the route */
	uint8_t kind, ring, trouble;
	bool proven; /* the last letter was taken, or refused for good, and quickly */
};

enum { RING_NONE, RING_OWN, RING_PROVEN, RING_UNPROVEN, RING_IDLE, RING_COUNT };

struct sched {
	struct sched_rules rules;
	sched_way_fn *way;
	void *way_arg;
	uint64_t seed, chance;
	unsigned char key[16];
	struct slab entries, domains, dests;
	struct table by_letter, by_name;
	struct map shared; /* by their `target` */
	struct heap due;   /* entries that are not active, busy or held */
	struct heap backoff;
	uint32_t ring[RING_COUNT]; /* whose turn it is */
	uint32_t n_idle;
	uint32_t places, n_active, n_unproven;
	uint32_t turn;     /* which ring is looked at first */
	uint64_t took;     /* ms of a job, lately, times TOOK_OF */
	uint64_t now_ms;   /* of the last turn; 0: there was none */
	uint64_t since_ms; /* nobody could try anything right before */
	uint64_t octets;
	uint64_t text_memory;
	uint64_t in_state[SCHED_STATES];
};

/* sched_table.c */
void slab_init(struct slab *l, size_t size);
void slab_done(struct slab *l);
uint32_t slab_new(struct slab *l); /* zeroed */
void slab_put(struct slab *l, uint32_t i);
static inline void *
slab_at(const struct slab *l, uint32_t i)
{
	return l->chunk[i >> SLAB_BITS] + (size_t)(i & (SLAB_N - 1)) * l->size;
}
static inline struct sched_entry *
entry_at(struct sched *s, uint32_t i)
{
	return slab_at(&s->entries, i);
}
static inline struct sched_domain *
domain_at(struct sched *s, uint32_t i)
{
	return slab_at(&s->domains, i);
}
static inline struct sched_dest *
dest_at(struct sched *s, uint32_t i)
{
	return slab_at(&s->dests, i);
}
/* The host gets nothing but jobs until some are done. */
static inline bool
host_is_full(const struct sched *s)
{
	return s->in_state[SCHED_BUSY] >= BUSY_MOST;
}
uint32_t letter_find(struct sched *s, uint64_t letter, uint32_t part);
void sched_letter_put(struct sched *s, uint32_t entry);
void sched_letter_del(struct sched *s, uint32_t entry);
uint32_t sched_name_find(struct sched *s, struct str name);
void sched_name_put(struct sched *s, uint32_t domain);
void sched_name_del(struct sched *s, uint32_t domain);
uint64_t slab_memory(const struct slab *l);

/* sched_heap.c: the heaps of times, and the ready entries of a destination. */
uint64_t due_key(struct sched *s, const struct sched_entry *e);
uint64_t due_age(struct sched *s, const struct sched_entry *e, uint64_t age); /* when that counts */
void due_put(struct sched *s, struct sched_entry *e);
void due_del(struct sched *s, struct sched_entry *e);
void due_again(struct sched *s); /* all keys may have changed */
void backoff_put(struct sched *s, struct sched_dest *d);
void backoff_del(struct sched *s, struct sched_dest *d);
void ready_put(struct sched *s, struct sched_dest *d, struct sched_entry *e);
void ready_del(struct sched *s, struct sched_dest *d, struct sched_entry *e);

/* sched_dest.c */
uint32_t domain_get(struct sched *s, struct str name);
void domain_aim(struct sched *s, uint32_t domain); /* where its mail goes now */
void domain_free(struct sched *s, uint32_t domain);
void domain_entered(struct sched *s, uint32_t domain); /* one entry more */
void domain_left(struct sched *s, uint32_t domain);    /* one entry fewer */
void dest_link(struct sched *s, struct sched_dest *d); /* into the ring where it belongs */
uint32_t dest_window(const struct sched *s, const struct sched_dest *d); /* connections */
struct sched_dest *dest_turn(struct sched *s, uint64_t now); /* NULL: nobody may send now */
void dest_began(struct sched *s, struct sched_dest *d, struct sched_entry *e, uint64_t now);
void dest_ended(struct sched *s, struct sched_dest *d, const struct sched_end *end, uint64_t now);
void dest_awake(struct sched *s, uint64_t now); /* those whose back-off is over */
void dest_wake(struct sched *s, struct sched_dest *d);
void dest_pull_back(struct sched *s, uint64_t now, uint64_t most); /* no time beyond these */
void dest_free_all(struct sched *s);
uint64_t sched_jitter(struct sched *s, uint64_t ms);
