/*
 * sched: which letter goes where next. The queue as it stands in memory, and every decision about
 * when an entry is tried.
 *
 * Pure: the clock (Unix milliseconds) and all chance are passed in; it does no I/O and remembers
 * nothing that the store does not know, but for how destinations behaved lately.
 *
 * An entry belongs to a domain and by it to a destination: domains that one route brings to one
 * server share a destination, every other domain has its own. Two routes to one server are two
 * destinations: what one of them is refused (its login, say) is no business of the other. A
 * destination has
 *
 *   - a window: how many connections it may have at once. It starts small, grows with each letter
 *     that arrives and shrinks when a server says 421, refuses a session or breaks it off;
 *   - a back-off: nobody there could be reached. Until its end nothing is tried; then one entry is,
 *     and the rest waits for what becomes of it. So ten thousand letters for a host that is down
 *     cost one connection for each back-off;
 *   - its entries that are due, by priority (RFC 6710) and then by time.
 *
 * An entry that is due is tried before it is given up or called late, for as long as the longest
 * pause is: so a stop of the server, or a clock that jumps forward, ends nothing that nobody could
 * try. When the clock is set back, no time stays further ahead than a pause may be.
 *
 * Destinations get their turn in a circle, so that a letter to a thousand domains does not hold up
 * the letter behind it. Those that have not shown lately that they take letters, and quickly, share
 * half of all places and one turn in eight; however many of them hang, the others go on.
 *
 * What the host does itself (its own entries, warnings, ends) waits while ten thousand entries are
 * in its hands, and it gets jobs only. It calls again when some are done.
 *
 * An entry costs about 100 octets, and 290 when every entry has a domain of its own.
 */
#pragma once

#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCHED_NEVER UINT64_MAX
#define SCHED_TEXT_MAX 200 /* kept of what a destination said last */

struct sched_rules {
	uint64_t lifetime_ms;    /* an entry that is older has failed, see above */
	uint64_t warn_ms;        /* one that is older: the sender is told; 0: never */
	uint64_t retry_first_ms; /* between the first two attempts; it doubles */
	uint64_t retry_most_ms;
	uint32_t window_first, window_most; /* connections to one destination */
};

enum sched_state {
	SCHED_WAITS,  /* until due_ms */
	SCHED_READY,  /* due; waits for its destination's turn */
	SCHED_ACTIVE, /* a relay has it */
	SCHED_HELD,   /* by an administrator */
	SCHED_TURN,   /* until it is fetched */
	SCHED_BUSY,   /* the host does something with it: sched_back(), or sched_del() */
	SCHED_STATES
};

enum sched_kind {
	SCHED_RELAYED, /* given to a relay */
	SCHED_OWN,     /* the host deals with it itself, when it is due */
	SCHED_HOLDS,   /* waits for an administrator */
	SCHED_FETCHED, /* waits until it is fetched */
};

/* What is to be done with an active entry when it comes back. */
enum sched_wish { SCHED_WISH_NONE, SCHED_WISH_HOLD, SCHED_WISH_BOUNCE, SCHED_WISH_DELETE };

struct sched;
struct sched_entry { /* to be read, not written */
	uint64_t letter, created_ms, due_ms, by_ms, size;
	uint32_t part, domain, dest, heap_at, child, next, prev, self;
	uint16_t attempts, n_rcpts, code;
	int8_t priority;
	uint8_t state, warned, trouble;
	uint8_t untried;   /* times in a row that it came back so */
	bool held : 1;     /* by an administrator, whatever its state is now */
	bool unproven : 1; /* active: counted as such */
	bool later : 1;    /* waits for its release time: FUTURERELEASE */
	bool by_over : 1;  /* its deadline was told */
	bool owed : 1;     /* it is due, and was not tried since */
	bool spared : 1;   /* nothing is done with it before due_ms, whatever else is over */
	uint8_t wish : 2;  /* enum sched_wish */
};

/* What the host knows of an entry. */
struct sched_facts {
	uint64_t letter, by_ms, size;
	uint64_t created_ms; /* its lifetime counts from here: when it came, or is released */
	uint32_t part;
	uint64_t due_ms; /* not before; 0: now */
	uint16_t attempts, n_rcpts, code;
	int8_t priority;
	uint8_t warned, trouble;
	bool held, later;
};

/* Where mail for a domain goes. */
struct sched_way {
	struct str target; /* in the form of target.h. "mx:DOMAIN" is a destination of the domain's
	                    * own, as are the kinds that no relay sees */
	struct str route;  /* match of the route that says so, or empty */
	enum sched_kind kind;
	uint32_t most; /* connections; 0: as the rules say */
};
/* Asked for each domain when it is new, and by sched_retarget(). *ret is all zeroes before; what it
 * views must live until the next question. */
typedef void sched_way_fn(void *arg, struct str domain, struct sched_way *ret);

struct sched *sched_new(const struct sched_rules *rules, sched_way_fn *way, void *arg,
    uint64_t seed);
struct sched *sched_free(struct sched *s);
void sched_rules(struct sched *s, const struct sched_rules *rules);
/* How many jobs the relays that are here take together; 0: none is here. */
void sched_places(struct sched *s, uint32_t n);

/* An entry that is there already stays as it is: NULL. */
struct sched_entry *sched_add(struct sched *s, const struct sched_facts *f, struct str domain,
    uint64_t now);
/* NULL: there is none. */
struct sched_entry *sched_find(struct sched *s, uint64_t letter, uint32_t part);
void sched_del(struct sched *s, struct sched_entry *e); /* not an active one */

enum sched_what {
	SCHED_NOTHING, /* until sched_wake() */
	SCHED_JOB,     /* *ret is SCHED_ACTIVE now */
	SCHED_DO,      /* its destination is SCHED_OWN; *ret is SCHED_BUSY now */
	SCHED_WARN,    /* it waits longer than warn_ms; SCHED_BUSY */
	SCHED_LATE,    /* it waits longer than lifetime_ms; SCHED_BUSY */
	SCHED_BY,      /* its deadline (DELIVERBY) is over; SCHED_BUSY */
};
enum sched_what sched_next(struct sched *s, uint64_t now, struct sched_entry **ret);
/* When sched_next() may have something again, unless something changes before. */
uint64_t sched_wake(struct sched *s);

/* The end of a job. */
struct sched_end {
	bool tried;     /* false: no attempt is counted */
	bool sent;      /* at least one recipient was taken */
	bool retry;     /* some recipients wait on */
	bool dead;      /* nobody there can be reached now */
	bool slow_down; /* 421, or no session to be had: fewer at once */
	uint8_t trouble;
	uint16_t code;
	uint16_t n_rcpts; /* that wait */
	uint32_t took_ms;
	struct str text; /* of a trouble */
};
/* The entry is SCHED_BUSY afterwards, with the time of its next attempt in due_ms. */
void sched_ended(struct sched *s, struct sched_entry *e, const struct sched_end *end, uint64_t now);
/* A busy entry goes back to its place: waits until due_ms, or is held, ... */
void sched_back(struct sched *s, struct sched_entry *e, uint64_t now);
/* An entry that waits becomes active: a relay has had it all the time. */
void sched_given(struct sched *s, struct sched_entry *e, uint64_t now);
/* An entry that is not active becomes busy. */
void sched_busy(struct sched *s, struct sched_entry *e);

/* Changes by hand of a busy entry, before sched_back(). */
void sched_hold(struct sched_entry *e, bool held);
void sched_due(struct sched_entry *e, uint64_t due_ms, bool later);
/* It cannot be read: until then it is left alone, even if it is late. It is back, too. */
void sched_spare(struct sched *s, struct sched_entry *e, uint64_t until_ms, uint64_t now);
void sched_warned(struct sched_entry *e, uint8_t warned);
void sched_by_over(struct sched_entry *e);
void sched_wish(struct sched_entry *e, enum sched_wish wish); /* of an active one, too */
/* An entry that is ready or waits is due now, whatever its destination's back-off says. */
void sched_retry(struct sched *s, struct sched_entry *e, uint64_t now);

/* "example.net", "*.example.net" (what is below it), "@example.net" (and itself), "*" or "" (all). */
bool sched_fits(struct str pattern, struct str domain);
/* All that waits for such domains is due now and no back-off holds: how many, with those that are
 * being tried. Held ones and those to be released later are left alone. */
uint32_t sched_flush(struct sched *s, struct str pattern, uint64_t now);

/* Where mail for any domain goes may have changed. */
void sched_retarget(struct sched *s, uint64_t now);

struct sched_dest_view {
	struct str target, route; /* route: of one that domains may share */
	struct str domain;        /* of one that has its own */
	bool holds;               /* SCHED_HOLDS */
	uint32_t entries, ready, waiting, active, held, window;
	uint64_t backoff_until_ms, sent, later, refused, oldest_ms;
	uint8_t trouble;
	struct str text;
};
void sched_dest_of(struct sched *s, const struct sched_entry *e, struct sched_dest_view *ret);
struct str sched_domain_of(struct sched *s, const struct sched_entry *e);
uint32_t sched_window_of(struct sched *s, const struct sched_entry *e);
/* A walk through the entries of some domains, which ends with the last of them. */
struct sched_some {
	bool *fits;    /* by the domain's number */
	uint64_t left; /* entries */
	uint32_t pos;
};
void sched_some_begin(struct sched *s, struct sched_some *w);
void sched_some_add(struct sched *s, struct sched_some *w, struct str domain);
bool sched_some_next(struct sched *s, struct sched_some *w, struct sched_entry **ret);
void sched_some_end(struct sched_some *w);
/* Walks: start with *pos 0; false at the end. What is added meanwhile may be missed. */
bool sched_each(struct sched *s, uint32_t *pos, struct sched_entry **ret);
bool sched_dest_each(struct sched *s, uint32_t *pos, struct sched_dest_view *ret);
/* Fills oldest_ms and waiting of all destinations: one walk over all entries. */
void sched_survey(struct sched *s);

struct sched_totals {
	uint64_t entries, octets, memory;
	uint64_t in_state[SCHED_STATES];
	uint32_t destinations, domains, places;
};
void sched_totals(struct sched *s, struct sched_totals *ret);
