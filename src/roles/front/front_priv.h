/* Inside front: one process, many conversations. See front.c for the life of it all. */
#pragma once

#include "access/access.h"
#include "access/uidset.h"
#include "base/list.h"
#include "base/map.h"
#include "conf/conf.h"
#include "conf/self.h"
#include "dialect/dialect.h"
#include "io/stream.h"
#include "ipc/chan.h"
#include "ipc/msg.h"
#include "log/log.h"
#include "loop/loop.h"
#include "metrics/metrics.h"
#include "imap/session.h"
#include "policy/cidr.h"
#include "policy/rate.h"
#include "policy/tally.h"
#include "pop3/session.h"
#include "route/route.h"
#include "smtp/session.h"
#include "sys/listen.h"
#include "tls/tls.h"

#include <netinet/in.h>
#include <sys/socket.h>

#define PARK_MS 10000             /* how long a question waits for a store that restarts */
#define LINGER_MS 2000            /* how long we read on after the last word, so that it arrives */
#define LAST_WORDS_MS 30000       /* how long the peer may take to read them */
#define TURNED_AWAY_MAX 100       /* connections over a limit that may linger; others just end */
#define STORE_AWAY_MS 30000       /* without a store for so long: parent shall start us anew */
#define HANDSHAKE_MS 30000        /* TLS has to stand by then */
#define PROXY_MS 5000             /* and a PROXY header has to be there */
#define KNOCKS_MAX 1000           /* connections that wait for theirs */
#define LOGIN_MS 120000           /* auth's answer: a guesser may be made to wait long */
#define NAMES_MAX 4096            /* reverse names that are being looked up */
#define ACCEPT_BURST 64           /* connections taken per turn and listener */

/* One generation of the configuration. Connections keep the one they began with. */
enum peers { PEERS_RELAY, PEERS_PROXY, PEERS_XCLIENT, PEERS_XFORWARD, PEERS_COUNT };
struct settings {
	struct list node; /* front->generations */
	unsigned refs;
	struct conf *conf;
	size_t n;
	struct smtp_conf *smtp;         /* per listener; changes only as a whole listener's does */
	struct imap_conf *imap;
	struct pop3_conf *pop3;
	struct smtp_wording **wording;  /* per listener, owned */
	struct buf *classes;            /* per listener: smtp_conf.no_soliciting */
	struct buf *mechs;              /* per listener, two texts: without and with TLS */
	struct cidr_list (*peers)[PEERS_COUNT]; /* per listener, owned */
	struct tls_server **tls;        /* per listener; NULL: no TLS there, or no certificate */
};

/* Takes conf over, also on failure. */
struct settings *settings_new(
    struct conf *conf, const struct charsets *charsets, struct buf *err);
struct settings *settings_ref(struct settings *s);
struct settings *settings_unref(struct settings *s);

struct door { /* a listening socket */
	struct front *front;
	uint16_t index;
	int fd;
	struct loop_io *io;
};

/* An AUTH exchange under way, in front->logins under its id. */
struct login {
	uint64_t id;
	struct conn *conn;
	bool gssapi;      /* whose it is */
	char mech[32];
	bool asked;       /* auth's turn */
	int64_t asked_at;
};

enum stage {
	STAGE_TALK,
	STAGE_UPGRADE,   /* STARTTLS was agreed to; the 220 is on its way out */
	STAGE_HANDSHAKE,
	STAGE_TURNED,    /* ATRN: the octets belong to a relay */
};

struct guest;
struct turn;
struct question;
struct visit;
struct smtp_part;
struct imap_part;
struct pop3_part;
struct metrics_part;

/* What a protocol is to the connection that carries it: conn.c and its like call these. The
 * session and all else that only this protocol needs is its part, which is allocated with the
 * connection, behind it. */
struct protocol {
	const char *name;    /* in the log */
	const char *service; /* SASL's word for it */
	const char *alpn;    /* TLS's, or NULL: none */
	size_t part;         /* octets */
	void (*init)(struct conn *c, void *part, const struct guest *g); /* part is all zeroes */
	void (*greet)(struct conn *c);  /* or says c->refuse */
	bool (*step)(struct conn *c);   /* false: there is nothing more to do for now */
	void (*settle)(struct conn *c); /* behind a run of steps, before the replies go out */
	bool (*waits)(const struct conn *c); /* a question is open: input stays in the kernel */
	bool (*owed)(const struct conn *c);  /* an answer is, that even a peer's EOF waits for */
	void (*drained)(struct conn *c); /* what had to wait is sent */
	void (*secured)(struct conn *c, struct str facts);
	bool (*in_auth)(const struct conn *c); /* the open question is a step of SASL */
	void (*authed)(struct conn *c, const struct login *l, const struct msg_sasl *m);
	/* Those that read mail (c->visit): a login became a pass, or (verdict) not; an answer to the
	 * open question; the mailbox it watches changed. */
	void (*entered)(struct conn *c, enum sasl_verdict v, struct str challenge, struct str user);
	void (*told)(struct conn *c, enum access_status status, struct str octets);
	void (*stirred)(struct conn *c);
	void (*room)(struct conn *c, bool yes); /* room_ask()'s answer; then drive on */
	void (*sweep)(struct conn *c);   /* four times a second; or NULL */
	void (*store_gone)(struct conn *c); /* with what it was sent; or NULL */
	void (*again)(struct conn *c);   /* parked: whoever its question needs may be back */
	void (*give_up)(struct conn *c); /* and did not come */
	int64_t (*deadline)(const struct conn *c);
	bool (*timeout)(struct conn *c); /* true: the session has ended */
	bool (*shutdown)(struct conn *c, bool late); /* false: not yet */
	void (*closing)(struct conn *c, const char *why); /* logs it; lets go of what others know */
	void (*done)(struct conn *c);
};

struct conn {
	struct list node;      /* front->conns */
	struct list parked;    /* front->parked: waits for another process */
	struct front *front;
	struct settings *settings;
	const struct protocol *protocol;
	struct smtp_part *smtp; /* one of these four is there */
	struct imap_part *imap;
	struct pop3_part *pop3;
	struct metrics_part *metrics;
	struct visit *visit; /* of imap and pop3, and of an smtp that fetches (burl.c) */
	struct question *room;  /* is there room for a letter? */
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
	bool local;            /* by a unix socket: there is no address */
	bool implicit;         /* TLS before the greeting */
	bool tls_counted;      /* in tally */
	bool named;            /* its reverse name is being looked up: in front->names */
	enum stage stage;
	enum smtp_situation refuse; /* to be said instead of the greeting */
	struct tally_key key;
	struct stream stream;
	struct login *login;
	struct turn *turn;     /* ATRN was said, or NULL */
	const char *tls;       /* "version=TLSv1.3 cipher=... bits=256", or NULL: plain; front's */
	uint64_t id;
	int64_t parked_at, end_by; /* end_by: when ending, or 0; in a handshake: its end */
	char ip[INET6_ADDRSTRLEN]; /* or "unix:UID" */
};

struct front {
	struct loop *loop;
	struct chan *parent;
	struct chan *store, *reader, *auth, *gssapi, *dns; /* each NULL when it is away */
	struct chan *relay[RELAY_MAX]; /* NULL: away */
	struct map turns;        /* id -> struct conn that asked for one */
	uint16_t index, count;
	uint32_t layers;
	struct settings *settings;
	struct self self;
	struct list generations; /* every struct settings that somebody still holds */
	struct door *door[LISTENER_MAX];
	struct list knocks;      /* who has still to say for whom they come */
	unsigned n_knocks;
	struct tls_certs *certs; /* NULL: none yet */
	struct tls_ticket_key tickets[TLS_TICKET_KEYS];
	bool have_tickets;
	struct map tls_words;    /* text -> the same text, kept: what conn->tls points to */
	struct map logins;       /* id -> struct login */
	struct map questions;    /* id -> struct question */
	struct map watches, watch_ids; /* what is watched; id -> struct watch */
	uint64_t question_id;
	const unsigned char *slots; /* memory of the reader; NULL: not there */
	struct question *slot[READ_SLOTS];
	struct list reads;       /* struct question: wait for a slot */
	struct uidmaps uidmaps;
	struct charsets *charsets;
	struct outline_builder *outline; /* for the next letter, or NULL */
	struct glance *glance;           /* the same */
	struct map names;        /* connection's id -> struct conn */
	struct map etrns;        /* id -> struct conn that waits for a queue run */
	uint64_t etrn_id;
	struct map srs;          /* id -> struct conn that waits for an address */
	uint64_t srs_id;
	uint64_t login_id;
	int fault;               /* enum smtp_situation that a lab asked for, or SMTP_NONE */
	bool busy;               /* most connections are taken: time-outs are short */
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
	bool draining;
	int64_t drain_until;
	int64_t store_gone_at;
	uint64_t n_conns, n_conns_all, n_letters, n_refused, n_tls, n_handshakes;
	uint64_t n_tls_failed, n_auth[SASL_V_COUNT];
	struct histogram accept_time; /* of letters: end mark to answer */
	uint64_t figures_id; /* the last question for figures */
	uint64_t octets; /* of letters that have no answer yet */
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

/* guest.c: who knocked, and what the door thinks of it */
struct guest {
	int fd;
	uint16_t listener;
	struct sockaddr_storage from; /* or who came through a proxy */
	char ip[INET6_ADDRSTRLEN];
	struct tally_key key;
	enum smtp_situation refuse; /* SMTP_NONE: counted and welcome */
	bool relay, local, xclient, xforward;
	bool turned;             /* handed in by a relay (turn.c): */
	struct str domains, tls; /* what it may bring; how it is secured */
};
void guest_introduce(struct front *f, struct guest *g); /* from fd, listener and from */
void guest_judge(struct front *f, struct guest *g);     /* counts it, or says why not */

/* proxy.c: connections whose first octets say whom they come for */
bool proxy_expected(const struct front *f, uint16_t listener, const struct sockaddr *from);
void proxy_wait(struct front *f, const struct guest *g); /* takes the descriptor over */
void proxy_reseat(struct front *f, const uint16_t seat_of[LISTENER_MAX]); /* a reload */
void proxy_sweep(struct front *f);
void proxy_close_all(struct front *f);

/* secure.c: TLS */
void secure_equip(struct front *f, struct settings *s);
bool secure_certs(struct front *f, const struct ipc_frame *m);
bool secure_tickets(struct front *f, const struct ipc_frame *m);
enum secure_verdict { SECURE_OK, SECURE_UNAVAILABLE, SECURE_LIMIT };
enum secure_verdict secure_ask(struct conn *c); /* the peer wants to begin; OK: counted */
/* May it begin at once? Else the guest is refused, or (false) sent away without a word. */
bool secure_admit(struct conn *c);
void secure_begin(struct conn *c); /* the handshake; nothing may wait to be sent or eaten */
void secure_done(struct conn *c);
void secure_leave(struct conn *c);
const char *secure_error(const struct conn *c);
void secure_close(struct front *f); /* the process ends */

/* login.c: AUTH */
struct login_step { /* what the client said */
	bool begin;
	const char *mech; /* with begin */
	bool has_initial;
	struct str octets;
};
/* True: *ret is the verdict at once. False: it waits (protocol.authed will be told, or it is parked). */
bool login_ask(struct conn *c, const struct login_step *step, enum sasl_verdict *ret);
bool login_answered(struct front *f, const struct ipc_frame *m);
void login_drop(struct conn *c);  /* the exchange is over, or its connection */
void login_sweep(struct conn *c);
void login_auth_gone(struct front *f, bool gssapi);

/* names.c: reverse names, which nobody waits for */
void names_ask(struct conn *c, const struct guest *g);
bool names_answered(struct front *f, const struct ipc_frame *m);
void names_drop(struct conn *c);
void names_dns_gone(struct front *f);

/* etrn.c: queue runs */
bool etrn_answered(struct front *f, const struct ipc_frame *m);
void etrn_store_gone(struct front *f);

/* srs.c: addresses that lead back */
bool srs_answered(struct front *f, const struct ipc_frame *m);
void srs_auth_gone(struct front *f);

/* room.c: quotas; store answers with protocol.room() */
bool room_counts(const struct conn *c); /* every account has one */
bool room_limited(const struct conn *c, struct str user); /* this one has, or all have */
void room_ask(struct conn *c, uint64_t account, uint64_t octets);
void room_again(struct conn *c); /* while c->room is there */
void room_drop(struct conn *c);
bool room_answered(struct front *f, const struct ipc_frame *m);
void room_store_gone(struct front *f);

/* peers.c: the channels to the reader, auth, gssapi and dns */
bool peers_take(struct front *f, enum ipc_role role, int fd); /* a copy of fd; false: a breach */
void peers_close(struct front *f);

/* turn.c: ATRN */
bool turn_relay(struct front *f, uint16_t index, int fd); /* as peers_take */
void turn_event(struct conn *c, enum stream_event e); /* of the stream, once it is turned */
void turn_sweep(struct conn *c);
void turn_drop(struct conn *c);
void turn_close(struct front *f);

/* metrics_host.c */
bool metrics_answered(struct front *f, const struct ipc_frame *m); /* rows of all roles */
bool metrics_asked(struct front *f, const struct ipc_frame *m);    /* for this front's own */

/* glance.c */
struct glance *glance_free(struct glance *g);

/* fault.c: a lab's orders to fail */
bool fault_take(struct front *f, const struct ipc_frame *m);
bool fault_shuts(struct conn *c); /* more input came */

/* pressure.c */
void pressure_sweep(struct front *f);
bool pressure_memory(const struct front *f); /* too many octets are under way */

/* conn.c */
void conn_new(struct front *f, const struct guest *g); /* takes the descriptor over */
void conn_greet(struct conn *c);
void conn_leave(struct conn *c);   /* no longer counted at its seat */
void conn_drive(struct conn *c);   /* feed what is there, answer what can be answered */
void conn_kill(struct conn *c, const char *why);
void conn_release(struct conn *c); /* the way to store is free again: drive on if it was held */
void conn_sweep(struct conn *c);   /* deadlines, once a second */
/* Settings of today have other listeners: those who are counted are counted there. */
void conn_reseat(struct conn *c, const uint16_t seat_of[LISTENER_MAX]);
/* The server stops: a last word, but what is between its octets and its answer may come in whole,
 * unless it is late. */
void conn_shutdown(struct conn *c, bool late);
void conn_upgrade(struct conn *c); /* TLS begins as soon as what was said is out */
/* Who its question needs is away: it waits, PARK_MS at most. Returns false. */
bool conn_park(struct conn *c);
void conn_unpark(struct front *f); /* asks again whatever waits */
/* Forgets n octets of its input. A command may hold a password: it does not stay in memory that
 * is given back. */
void conn_eat(struct conn *c, struct str in, size_t n);
void conn_reap(struct front *f);   /* at the end of the turn */

extern const struct protocol smtp_protocol, imap_protocol, pop3_protocol, metrics_protocol;
const struct protocol *protocol_of(const struct conf_listener *l);

/* letter.c: octets under way: those of all fronts together have a limit. */
void letter_hold(struct front *f, uint64_t more, uint64_t less);
void letter_answered(struct front *f, uint64_t id, enum accept_status status);
void letter_store_gone(struct front *f);
void letter_store_back(struct front *f); /* asks what became of those that were under way */
void letter_sweep(struct front *f);
