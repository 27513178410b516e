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
#include "mail/fields.h"
#include "policy/cidr.h"
#include "policy/rate.h"
#include "policy/tally.h"
#include "route/route.h"
#include "smtp/session.h"
#include "sys/listen.h"
#include "tls/tls.h"

#include <netinet/in.h>
#include <sys/socket.h>

#define HISTORY_MAX (64u << 10)   /* octets of one letter's conversation */
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
	struct smtp_wording **wording;  /* per listener, owned */
	struct buf *mechs;              /* per listener, two texts: without and with TLS */
	struct cidr_list (*peers)[PEERS_COUNT]; /* per listener, owned */
	struct tls_server **tls;        /* per listener; NULL: no TLS there, or no certificate */
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
	struct handin *handin; /* or NULL: taken as it comes */
	struct merge_job *merge; /* of a mail merge: while its views are sent */
	struct qid_facts facts;
	char qid[128];
};

/* What route said about one accepted recipient; in the transaction's arena. */
struct rcpt_route {
	size_t n;
	uint64_t account[];
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
	bool implicit;         /* TLS before the greeting */
	bool tls_counted;      /* in tally */
	bool named;            /* its reverse name is being looked up: in front->names */
	enum stage stage;
	enum smtp_situation refuse; /* to be said instead of the greeting */
	struct tally_key key;
	struct stream stream;
	struct smtp_session session;
	struct buf history;
	uint64_t reported;     /* session.refused as of the last report ... */
	size_t reported_at;    /* ... and where the history ended then */
	struct letter *letter;
	struct login *login;
	const char *tls;       /* "version=TLSv1.3 cipher=... bits=256", or NULL: plain; front's */
	uint64_t id;
	uint64_t mailboxes;    /* of the letter under way */
	uint64_t merge_octets; /* that a mail merge holds: counted in front->octets */
	int64_t parked_at, end_by; /* end_by: when ending, or 0; in a handshake: its end */
	char ip[INET6_ADDRSTRLEN]; /* or "unix:UID" */
};

struct front {
	struct loop *loop;
	struct chan *parent, *store, *auth, *gssapi, *dns; /* but for parent: NULL when away */
	uint16_t index, count;
	uint32_t layers;
	struct settings *settings;
	struct list generations; /* every struct settings that somebody still holds */
	struct door *door[LISTENER_MAX];
	struct list knocks;      /* who has still to say for whom they come */
	unsigned n_knocks;
	struct tls_certs *certs; /* NULL: none yet */
	struct tls_ticket_key tickets[TLS_TICKET_KEYS];
	bool have_tickets;
	struct map tls_words;    /* text -> the same text, kept: what conn->tls points to */
	struct map logins;       /* id -> struct login */
	struct map names;        /* connection's id -> struct conn */
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
};
void guest_introduce(struct front *f, struct guest *g); /* from fd, listener and from */
void guest_judge(struct front *f, struct guest *g);     /* counts it, or says why not */
bool answer_xclient(struct conn *c, struct smtp_answer *a);

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
bool secure_signed(struct front *f, const struct ipc_frame *m);
void secure_signer_gone(void);
bool answer_tls(struct conn *c, struct smtp_answer *a);
/* May it begin at once? Else the guest is refused, or (false) sent away without a word. */
bool secure_admit(struct conn *c);
void secure_begin(struct conn *c); /* the handshake; nothing may wait to be sent or eaten */
void secure_done(struct conn *c);
void secure_leave(struct conn *c);
const char *secure_error(const struct conn *c);
void secure_close(struct front *f); /* the process ends */

/* login.c: AUTH */
bool answer_auth(struct conn *c, struct smtp_answer *a);
bool login_answered(struct front *f, const struct ipc_frame *m);
void login_drop(struct conn *c);  /* the exchange is over, or its connection */
void login_sweep(struct conn *c);
void login_auth_gone(struct front *f, bool gssapi);

/* submit.c: letters that our own users hand in */
struct handin; /* what is done with one while it arrives */
bool submit_may_relay(const struct conn *c);
enum smtp_situation submit_sender(struct conn *c); /* MAIL: NONE or a refusal */
bool submit_over_rate(struct conn *c);
void submit_count(struct conn *c);
struct handin *handin_new(const struct conn *c);   /* or NULL */
struct handin *handin_free(struct handin *h);
struct str handin_feed(struct handin *h, struct str octets); /* what stays; good until the next */
struct str handin_end(struct handin *h);
/* Behind the end. ret_reason: of a refusal. */
enum smtp_situation handin_verdict(struct handin *h, struct conn *c, struct str *ret_reason);
const struct scan *handin_scan(const struct handin *h); /* of what stays */

/* names.c: reverse names, which nobody waits for */
void names_ask(struct conn *c, const struct guest *g);
bool names_answered(struct front *f, const struct ipc_frame *m);
void names_drop(struct conn *c);
void names_dns_gone(struct front *f);

/* peers.c: the channels to auth, gssapi and dns */
bool peers_take(struct front *f, enum ipc_role role, int fd); /* a copy of fd; false: a breach */
void peers_close(struct front *f);

/* fault.c: a lab's orders to fail */
bool fault_take(struct front *f, const struct ipc_frame *m);
bool fault_strikes(struct conn *c, struct smtp_answer *a); /* the open question */
bool fault_shuts(struct conn *c);                          /* the next command */

/* pressure.c */
void pressure_sweep(struct front *f);
bool pressure_memory(const struct front *f); /* too many octets are under way */

/* conn.c */
void conn_new(struct front *f, const struct guest *g); /* takes the descriptor over */
void conn_greet(struct conn *c);
void conn_leave(struct conn *c);   /* no longer counted at its seat */
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
bool answer_park(struct conn *c); /* false: until whoever it needs is back */

/* report.c: logs the refusals since the last call. */
void report_refusals(struct conn *c);

/* merge.c: as letter_commit, for a mail merge; it is asked again until all its views are sent. */
struct merge_job;
bool merge_commit(struct conn *c, struct smtp_answer *a);
struct merge_job *merge_job_free(struct merge_job *job);
void merge_weigh(struct conn *c); /* counts what its merge holds now */

/* letter.c */
bool letter_begin(struct conn *c);                     /* false: store is away */
void letter_body(struct conn *c, struct str octets);
bool letter_must_wait(const struct conn *c);           /* the way to store is full */
void letter_drop(struct conn *c);
bool letter_commit(struct conn *c, struct smtp_answer *a); /* as answer_question */
void letter_answered(struct front *f, uint64_t id, enum accept_status status);
/* Octets under way: those of all fronts together have a limit. */
void letter_hold(struct front *f, uint64_t more, uint64_t less);
void letter_name(struct conn *c, struct letter *l);
void letter_open(struct front *f, struct letter *l);
void letter_put_missing(const struct conn *c, const struct scan *scan, struct str id,
    struct buf *b);
void letter_ask(struct conn *c, struct letter *l, struct msg_accept *m, struct str extra);
void letter_store_gone(struct front *f);
void letter_store_back(struct front *f); /* asks what became of those that were under way */
void answer_parked(struct front *f);     /* what waited for store may be answered now */
void letter_sweep(struct front *f);
