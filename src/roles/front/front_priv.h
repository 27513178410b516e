/* Inside front: one process, many conversations. See front.c for the life of it all. */
#pragma once

#include "base/list.h"
#include "base/map.h"
#include "conf/conf.h"
#include "dialect/dialect.h"
#include "io/stream.h"
#include "ipc/chan.h"
#include "ipc/msg.h"
#include "log/log.h"
#include "loop/loop.h"
#include "policy/cidr.h"
#include "policy/rate.h"
#include "policy/tally.h"
#include "route/route.h"
#include "smtp/session.h"
#include "sys/listen.h"

#include <netinet/in.h>

#define HISTORY_MAX (64u << 10)   /* octets of one letter's conversation */
#define PARK_MS 10000             /* how long a question waits for a store that restarts */
#define LINGER_MS 2000            /* how long we read on after the last word, so that it arrives */
#define LAST_WORDS_MS 30000       /* how long the peer may take to read them */
#define TURNED_AWAY_MAX 100       /* connections over a limit that may linger; others just end */
#define STORE_AWAY_MS 30000       /* without a store for so long: parent shall start us anew */
#define ACCEPT_BURST 64           /* connections taken per turn and listener */

/* One generation of the configuration. Connections keep the one they began with. */
struct settings {
	unsigned refs;
	struct conf *conf;
	size_t n;
	struct smtp_conf *smtp;         /* per listener */
	struct smtp_wording **wording;  /* per listener, owned */
	struct cidr_list *relay;        /* per listener, owned */
};

/* Takes conf over, also on failure. */
struct settings *settings_new(struct conf *conf, struct buf *err);
struct settings *settings_ref(struct settings *s);
struct settings *settings_unref(struct settings *s);

struct door { /* a listening socket */
	struct front *front;
	uint16_t index;
	int fd;
	struct loop_io *io;
};

/* A letter between DATA and its answer. It lives in front->letters under its id until it is
 * answered or dropped; the connection may die earlier. */
enum letter_state {
	LETTER_OPEN,   /* octets go to store */
	LETTER_LOST,   /* store went away with what it had: to be refused at its end */
	LETTER_ASKED,  /* ACCEPT (or ACCEPT_ASK) is under way */
};
struct letter {
	uint64_t id;
	struct conn *conn; /* NULL: nobody waits any more */
	enum letter_state state;
	bool opened; /* store knows of it */
	uint32_t ask_no;
	uint64_t size, rcpts;
	int64_t asked_at;
	struct qid_facts facts;
	char qid[128];
};

/* What route said about one accepted recipient; in the transaction's arena. */
struct rcpt_route {
	size_t n;
	uint64_t account[];
};

struct conn {
	struct list node;      /* front->conns */
	struct list parked;    /* front->parked: waits for store */
	struct front *front;
	struct settings *settings;
	uint16_t listener;     /* in settings */
	uint16_t seat;         /* as tally counts it: in the settings of today, or TALLY_NOWHERE */
	bool counted;          /* in tally */
	bool ending;           /* last words are in out; close when they are gone */
	bool polite;           /* the peer said QUIT: no need to linger */
	bool lingering;
	bool turned_away;      /* over a limit from the start */
	bool held;             /* reading stopped: the way to store is full */
	bool driving;          /* conn_drive is on the stack */
	bool dead;             /* freed at the end of the turn */
	bool shut;             /* told about the shutdown */
	bool relay;            /* its address is in relay_ip */
	bool local;            /* by a unix socket: there is no address */
	struct tally_key key;
	struct stream stream;
	struct smtp_session session;
	struct buf history;
	uint64_t reported;     /* session.refused as of the last report ... */
	size_t reported_at;    /* ... and where the history ended then */
	struct letter *letter;
	uint64_t id;
	uint64_t mailboxes;    /* of the letter under way */
	int64_t parked_at, end_by; /* end_by: when ending, or 0 */
	char ip[INET6_ADDRSTRLEN]; /* or "unix:UID" */
};

struct front {
	struct loop *loop;
	struct chan *parent, *store;
	uint16_t index, count;
	uint32_t layers;
	struct settings *settings;
	struct door *door[LISTENER_MAX];
	struct list conns, parked, dead;
	struct map letters;
	struct directory directory;
	struct str directory_map; /* what to unmap */
	struct tally tally;
	void *table_map[FRONT_MAX];
	struct rate_table *rate;              /* our own */
	const struct rate_table *rates[FRONT_MAX];
	struct msg_store_state store_state;
	struct loop_timer *sweep;
	uint64_t id_ms, id_seq; /* the last id that was made */
	uint32_t pid;
	unsigned char random[256]; /* the first random_left are unused */
	size_t random_left;
	uint64_t counter;
	bool draining;
	int64_t drain_until;
	int64_t store_gone_at;
	uint64_t n_conns, n_conns_all, n_letters, n_refused;
	unsigned n_turned_away; /* connections that are open */
	struct smtp_clock clock; /* as of this turn */
};

void front_clock(struct front *f); /* refresh f->clock */
/* Unique in this installation and increasing: ms << 22 | front << 12 | sequence. */
uint64_t front_next_id(struct front *f);

/* door.c */
struct door *door_open(struct front *f, uint16_t index, int fd);
struct door *door_close(struct door *d);

/* tables.c: takes a front's shared counters; false: not what parent makes. */
bool tables_take(struct front *f, uint16_t who, int fd);

/* conn.c */
struct guest { /* who knocked, and what the door thinks of it */
	int fd;
	uint16_t listener;
	char ip[INET6_ADDRSTRLEN];
	struct tally_key key;
	enum smtp_situation refuse; /* SMTP_NONE: counted and welcome */
	bool relay, local;
};
void conn_new(struct front *f, const struct guest *g); /* takes the descriptor over */
void conn_drive(struct conn *c);   /* feed what is there, answer what can be answered */
void conn_answer(struct conn *c, const struct smtp_answer *a); /* then drive on */
void conn_kill(struct conn *c, const char *why);
void conn_release(struct conn *c); /* the way to store is free again: drive on if it was held */
void conn_sweep(struct conn *c);   /* deadlines, once a second */
/* Settings of today have other listeners: those who are counted are counted there. */
void conn_reseat(struct conn *c, const uint16_t seat_of[LISTENER_MAX]);
/* The server stops: 421, but a letter that comes in may come in whole, unless it is late. */
void conn_shutdown(struct conn *c, bool late);
/* A decision for the letter's history. */
void conn_note(struct conn *c, const char *fmt, ...) PRINTF(2, 3);
void conn_reap(struct front *f);   /* at the end of the turn */

/* answer.c: true when the question was answered at once; false: it waits. */
bool answer_question(struct conn *c, struct smtp_answer *a);

/* report.c: logs the refusals since the last call. */
void report_refusals(struct conn *c);

/* letter.c */
bool letter_begin(struct conn *c);                     /* false: store is away */
void letter_body(struct conn *c, struct str octets);
bool letter_must_wait(const struct conn *c);           /* the way to store is full */
void letter_drop(struct conn *c);
bool letter_commit(struct conn *c, struct smtp_answer *a); /* as answer_question */
void letter_answered(struct front *f, uint64_t id, enum accept_status status);
void letter_store_gone(struct front *f);
void letter_store_back(struct front *f); /* asks what became of those that were under way */
void answer_parked(struct front *f);     /* what waited for store may be answered now */
void letter_sweep(struct front *f);
