/*
 * The inside of relay.
 *
 *   job    a letter and its recipients at one destination, under a lease (ipc/msg.h). It waits at
 * its dest, runs on a conn, and then keeps its result until store has made it durable. dest   a
 * destination: the target of its jobs, the way there (plan), the jobs that wait, the connections.
 * Jobs of one route and target share it. It ends when it has none of these. conn   a connection,
 * from the first SYN to the end: the race of addresses, TLS, the session, one job at a time. It
 * belongs to its dest. spool  the octets of a job's letter, in pieces as readers give them.
 *
 * Who may free what: a job is freed by job_free() only, a conn by relay_conn_close(); both take themselves
 * out of every list. Callbacks of loop, stream and channels end in one of drive(), dest_serve() or
 * relay_job_done(); those may be called again while they run only by way of loop_defer.
 *
 * No end mark without the lease: relay_job_is_ours() is asked with the clock of that moment, in the same
 * turn in which the end mark is handed to the kernel.
 */
#pragma once

#include "base/buf.h"
#include "base/list.h"
#include "base/map.h"
#include "conf/conf.h"
#include "io/stream.h"
#include "ipc/chan.h"
#include "ipc/desk.h"
#include "ipc/msg.h"
#include "ipc/role.h"
#include "loop/loop.h"
#include "queue/entry.h"
#include "queue/target.h"
#include "roles/relay/fit.h"
#include "roles/relay/patience.h"
#include "roles/relay/plan.h"
#include "roles/relay/scan.h"
#include "smtp/client.h"

#include <stdbool.h>
#include <stdint.h>

#define JOBS_MAX 20000             /* of one relay */
#define READERS_MAX 64
#define SPOOL_TRIES 3           /* readers that may lose an ask, one after the other */
#define SPOOL_PATIENCE_MS 60000 /* for octets from a reader */
#define LOOK_PATIENCE_MS 60000  /* for dns and fetch */
#define LOOK_AGE_MIN_MS 5000    /* answers are kept at least, and at most */
#define LOOK_AGE_MAX_MS 600000
#define BEAT_MS 20000           /* how often a job that runs is told of */
#define RACE_MS 250             /* RFC 8305 8: connection attempt delay */
#define RACE_MAX 6              /* addresses of one host that are tried */
#define HOSTS_TRIED_MAX 5       /* hosts that one attempt gets a session with */
#define END_INLINE_MAX 12000    /* octets that may go in one send with the end mark */
#define END_CHUNK_MAX 1000      /* ... of a longer letter, with the last BDAT */
#define STORE_PATIENCE_MS 15000 /* without a store: parent gives one to a relay that begins */
#define IDLE_MAX 1000           /* connections of one relay that rest */
#define DEST_KEEP_MS 60000      /* what is known of a destination without jobs */
#define LACK_QUIET_MS 60000     /* between two words of what this server lacks */
#define UNSIGNED_MS 60000       /* auth may make no signature for a destination */
#define WHOLE_MAX (64u << 20)   /* octets of a letter that is converted */
#define ROOM_MAX (256u << 20)   /* of memory for all of them, in one relay */

struct relay;
struct dest;
struct conn;
struct fetching;

/* --- jobs.c --- */

enum job_state {
	JOB_WAITS,  /* at its dest */
	JOB_RUNS,   /* on a conn */
	JOB_IS_DONE /* its result waits for TAKEN */
};
struct fate {         /* of one recipient */
	uint8_t fate; /* enum job_fate; JOB_NOT_TRIED: nothing is known */
	bool wanted;  /* it waits, as the state of the job says */
	bool settled;
	uint16_t code;
	char status[16];
	char *text;    /* owned, or NULL */
};
struct spool {
	struct buf have;      /* the octets from `at` on */
	uint64_t at;
	uint64_t ask_id;      /* open, or 0 */
	uint64_t ask_off;
	unsigned tries, reader;
	bool failed, damaged; /* it cannot be had now; and for no other try either */
	struct buf raw;       /* the letter in one piece, to be converted */
	struct buf whole;     /* what is sent instead of it, when `converted` */
	bool converted;
	unsigned need; /* what was looked at, for the server at hand (convert.c) */
	size_t room;   /* of relay->room */
};
struct job {
	struct list node;     /* dest->waiting, or nowhere */
	struct relay *relay;
	struct dest *dest;
	struct conn *conn;
	enum job_state state;
	uint64_t lease;
	struct buf octets;    /* the message: msg and entry are views of it */
	struct msg_job msg;
	struct queue_entry entry;
	struct smtp_client_rcpt *rcpts; /* of the round under way */
	size_t *index;        /* of each of them in fates */
	size_t n_rcpts;
	size_t rcpts_most;    /* of one round; 0: all */
	struct fate *fates;   /* entry.n_rcpts */
	struct str *addrs;    /* entry.n_rcpts */
	struct queue_rcpt *rcpt;
	int64_t vouched_ms; /* sys_mono_ms() of the last STAGE, or of the job itself */
	bool ending;        /* the end mark was handed to the kernel */
	bool cancelled;
	bool orphan;          /* its store is gone: what is under way ends, and nothing new begins */
	int64_t begun_ms, begun_wall_ms;
	struct spool spool;
	struct list cramped; /* relay->cramped, while there is no room to convert it */
	struct letter_scan scan;
	bool scanned;
	uint64_t scan_at;
	char by[32], priority[8]; /* of the envelope */
	struct buf history;
	bool history_full;
	/* of the result */
	struct fetching *fetch; /* not of the store's: fetch_mail.c; or NULL */
	uint8_t trouble;
	bool dead;
	char mta[256], ip[64], tls[256];
	bool stale;           /* it was lost with a connection that had rested: one more try */
	struct buf tlsrpt;
	struct buf result;    /* encoded, when done */
};
bool relay_job_take(struct relay *r, const struct ipc_frame *m);   /* IPC_JOB */
bool relay_job_cancel(struct relay *r, const struct ipc_frame *m);
bool relay_job_taken(struct relay *r, const struct ipc_frame *m);
void relay_jobs_store_gone(struct relay *r);
void relay_jobs_store_here(struct relay *r);                       /* HELLO and the kept results */
void relay_jobs_beat(struct relay *r);                             /* STAGE of all that run */
void relay_jobs_drop(struct relay *r);                             /* without a word */
size_t relay_jobs_running(const struct relay *r);
/* The lease is good now, by the clock and not by the turn. */
bool relay_job_is_ours(const struct job *j);
/* Its letter must not go to this host of a plan; it is passed over. */
bool relay_job_is_barred(const struct job *j, const struct plan_host *h);
void relay_job_stage(struct job *j, enum job_stage s, const char *where);
/* Is there a recipient without a fate? */
bool relay_job_is_open(const struct job *j);
/* What became of recipient i (of the entry). text: kept to JOB_TEXT_MAX. */
void relay_job_fate(struct job *j, size_t i, enum job_fate f, unsigned code, const char *status,
    struct str text);
/* The same for all that have no fate yet. */
void relay_job_fate_rest(struct job *j, enum job_fate f, unsigned code, const char *status,
    struct str text);
/* The attempt is over: the result goes out. Everybody without a fate was not tried. */
void relay_job_done(struct job *j);
/* History, as front writes it: "c: ", "s: ", "# ". */
void relay_job_note(struct job *j, const char *mark, struct str text);
void relay_job_notef(struct job *j, const char *fmt, ...) PRINTF(2, 3);
/* Which way it takes, and why. */
void relay_job_note_route(struct job *j, const struct dest *d);
/* Of what a session says and hears; j NULL: nobody's. */
void relay_job_note_sent(struct job *j, const struct smtp_client_event *ev);
void relay_job_note_reply(struct job *j, const struct answer *a);

/* --- spool.c --- */
struct reader_link {
	struct relay *relay;
	struct chan *chan;
};
void spool_reader(struct relay *r, unsigned index, int fd);
void spool_begin(struct job *j);
void spool_end(struct job *j);
/* The letter's octets from off on: at least one octet is there, or asked for (false; the job's conn is
 * driven again when they come), or cannot be had (spool.failed). */
bool spool_at(struct job *j, uint64_t off, struct str *ret);
/* IPC_SPOOL from store: all octets of a short letter, in front of its job and under its lease. */
bool spool_early(struct relay *r, const struct ipc_frame *m);

/* --- dest.c --- */
enum dest_look { LOOK_NONE, LOOK_ASKED, LOOK_DONE };
struct dest {
	struct list node;       /* relay->dests */
	struct relay *relay;
	char *key;
	struct target target;   /* views of key */
	struct str match;       /* the same: of its route, or empty */
	/* Of the configuration now, and it leads there; or NULL. With a match and no route nothing begins. */
	const struct conf_route *route;
	struct list waiting;
	size_t n_waiting;
	struct list conns;
	size_t n_conns;
	unsigned window;        /* as store said last */
	enum dest_look look;
	int64_t look_until;     /* what is known is good until then; or the look-up is given up */
	uint64_t look_id;       /* of the question under way */
	struct buf mx_octets;   /* the answer, which mx is a view of */
	struct msg_mx mx;
	struct buf sts_text;
	struct sts_policy sts;
	bool sts_asked, has_sts;
	char sts_why[256];
	struct plan *plan;      /* of LOOK_DONE */
	struct turn *turn;      /* of a turned connection that may have jobs, or NULL */
	int64_t unsigned_since; /* auth makes no signature for it; 0: it did */
	int64_t idle_since;
	struct loop_defer serve;
};
/* match: of the route that leads there, or empty. Letters of two routes share no connection: they may
 * differ in TLS and login. */
struct dest *dest_find(struct relay *r, struct str target, struct str match, uint64_t turn);
/* That of a letter's domain, if it leads to the target. */
struct str dest_match(const struct relay *r, struct str domain, struct str target);
void dest_add(struct dest *d, struct job *j);
void dest_serve(struct dest *d);   /* now */
void dest_stir(struct dest *d);    /* at the end of this turn */
void dest_remove(struct job *j);   /* it waits no more */
void dests_tick(struct relay *r);
void dests_drop(struct relay *r);
void dests_reconf(struct relay *r);

/* --- look.c --- */
void look_begin(struct dest *d);
bool look_mx(struct relay *r, const struct ipc_frame *m);
bool look_sts(struct relay *r, const struct ipc_frame *m);
void look_dns_here(struct relay *r);
void look_fetch_here(struct relay *r);
void look_done(struct dest *d);

/* --- conn.c --- */
enum conn_state {
	CONN_RACES, CONN_SHAKES, CONN_TALKS, CONN_IDLE, CONN_QUITS,
	CONN_TURNED, /* fetch_mail.c */
};
struct racer {
	struct conn *conn;
	struct loop_io *io;     /* NULL: this place is free */
	int fd;
	size_t addr;            /* of the host */
};
struct verdict {                /* what is said when no host will do */
	bool any;
	bool met; /* a host has said yes to its MAIL: what came then may be about this letter alone */
	uint8_t fate, trouble;
	uint16_t code;
	char status[16], mta[256], ip[64];
	char *text;             /* owned */
};
struct conn {
	struct list node; /* dest->conns */
	struct list rest; /* relay->idle, while it is idle */
	struct relay *relay;
	struct dest *dest;
	struct job *job;        /* NULL: idle, or on its way out */
	enum conn_state state;
	bool dead;              /* closed: freed at the end of the turn */
	struct plan *plan;      /* counted */
	size_t host;            /* of the plan */
	enum plan_tls need;     /* TLS that this host must show, for this letter */
	enum plan_tls shown;    /* what its session has shown, whatever a letter on it needs */
	unsigned sessions;      /* hosts that a session was begun with, for this job */
	struct verdict verdict;
	/* the race */
	struct racer race[RACE_MAX];
	size_t next_addr, n_racing;
	int race_error;     /* errno of the last address that failed, or 0 */
	int64_t race_until; /* the end of all patience with those on their way */
	uint64_t unix_ask;  /* parent was asked for a unix socket; or 0 */
	size_t source;      /* which of our addresses is next */
	/* the session */
	struct stream stream;
	bool open;              /* the stream is */
	struct smtp_client *client;
	struct smtp_client_envelope envelope;
	enum drive_order { DRIVE_NONE, DRIVE_HELLO, DRIVE_LETTER, DRIVE_TURN, DRIVE_QUIT } order;
	bool clear;    /* TLS failed: this time without it */
	bool shows;    /* our certificate, to a server that asks */
	uint32_t sign; /* the signature that auth was asked for last */
	bool unsign;   /* it could not be had */
	bool outdated; /* of the configuration before: no further letter */
	bool waits;    /* for a reply, or to send more; the timer runs */
	struct patience patience;
	uint64_t given; /* octets of the letter that the session has */
	struct loop_timer *timer;
	struct loop_defer bury;
	int64_t opened_ms;
	uint64_t letters;
	char where[400], mta[256], ip[64], own_ip[64], tls[256], helo[256];
	struct login *login;
};
/* Both take the job; what becomes of it is told by relay_job_done(), or it goes back to its dest. */
void relay_conn_new(struct dest *d, struct job *j);
void relay_conn_give(struct conn *c, struct job *j);   /* an idle one */
void relay_conn_adopt(struct dest *d, struct job *j, int fd); /* a turned one; takes fd over */
void relay_conn_close(struct conn *c);                 /* at once; its job must be gone */
void relay_conn_cancel(struct conn *c);                /* its job is to be given up */
void relay_conn_more(struct conn *c);                  /* the spool has more */
bool relay_conn_suits(const struct conn *c, const struct job *j);
const struct plan_host *relay_conn_host(const struct conn *c);
bool relay_conn_end_idle(struct relay *r); /* the one that has rested longest */
/* It is given up when so much time has passed; 0: no more. */
void relay_conn_arm(struct conn *c, int64_t ms);
/* Closes the session and tries the next host, or the same one again (`clear`). */
void relay_conn_again(struct conn *c, bool same_host);
/* Has the plan one host for its letter, and no other? */
bool relay_conn_is_only_host(const struct conn *c);
/* The server lacks what the letter needs: the next host, or all of them where none was asked for this
 * letter. */
void relay_conn_elsewhere(struct conn *c, const char *status, const char *why);
/* This host will not do: the next one, or the end of the attempt. */
void relay_conn_next_host(struct conn *c, enum job_fate f, enum job_trouble t, unsigned code,
    const char *status, struct str text);
/* It was not the server that failed, but we: the job goes back as if it had not been tried. */
void relay_conn_put_back(struct conn *c, const char *why);
/* Of the configuration before: the job went back, as nothing may begin with the secrets of now. */
bool relay_conn_outdated(struct conn *c);
/* It is this server: neither it nor a host that is no better leads anywhere (RFC 5321 5.1). */
void relay_conn_loops(struct conn *c);
void relay_conn_end_job(struct conn *c); /* its result goes out */
void relay_conn_rest(struct conn *c);    /* no job: the next one, or idle, or the end */

/* Connected; addr: which of the host's. */
void relay_conn_opened(struct conn *c, int fd, size_t addr);
void relay_conn_name(struct conn *c, int fd, const unsigned char *addr); /* where, ip, mta, own_ip */
/* May its letter go to the host at hand? Then c->need says how. */
bool relay_conn_may(struct conn *c, const char **ret_why);
/* tell.c: who asks for that, and the note of both; why the session failed, in our words. */
void relay_conn_put_ground(const struct conn *c, struct buf *b);
void relay_conn_note_policy(const struct conn *c);
void relay_conn_put_trouble(const struct conn *c, struct buf *b);

/* --- race.c --- */
void relay_race_begin(struct conn *c);
void relay_race_next(struct conn *c); /* the next address sets out */
void relay_race_late(struct conn *c); /* its timer */
void relay_race_end(struct conn *c);  /* nobody is on the way any more */
void relay_race_lost(struct conn *c);
void relay_race_lack(struct conn *c, int e); /* this server cannot have another connection */
/* The unix socket that parent was asked for: connected, or (fd -1) why not. */
void relay_conn_connected(struct conn *c, int fd, int e);

/* --- drive.c --- */
void drive_begin(struct conn *c);                /* connected */
void drive_letter(struct conn *c);               /* its job, on a session that is ready */
void drive(struct conn *c);
void drive_more(struct conn *c);                 /* the spool has more */
void drive_late(struct conn *c);                 /* patience is over */
void drive_lost(struct conn *c, const char *why); /* the connection is gone */
void drive_leave(struct conn *c); /* QUIT, without a wait for what is said to it */
void drive_quit(struct conn *c);
/* envelope.c */
enum envelope {
	ENVELOPE_GOOD,     /* c->envelope is for the next round of the job */
	ENVELOPE_REFUSED,  /* nobody is left, or all got a fate */
	ENVELOPE_ELSEWHERE /* this server lacks what another host of the plan may have: *ret_why */
};
enum envelope envelope_make(struct conn *c, const char **ret_why);
void envelope_fate(struct conn *c, size_t i, const struct answer *a);
/* What a server says, in one line and without its enhanced code. */
void envelope_put_reply(struct buf *b, const struct answer *a);

/* --- convert.c --- */
enum convert {
	CONVERT_DONE,  /* what is to be sent is at hand */
	CONVERT_WAITS, /* for the spool, or for room */
	CONVERT_FAILED /* the fates are known; or spool.failed */
};
enum convert convert_letter(struct conn *c);
void convert_forget(struct job *j); /* what was made of its letter, and its wait for room */
void convert_has_room(void *relay); /* for those that wait */
void convert_late(struct conn *c);  /* its letter waited in vain */

/* --- secure.c --- */
/* The route names a certificate that is not there: its letters wait, as without it they would come
 * to a server that does not know us. */
bool relay_secure_lacks(struct conn *c);
void relay_secure_begin(struct conn *c); /* TLS on the stream */
void relay_secure_done(struct conn *c);
void relay_secure_failed(struct conn *c, const char *why);
bool relay_secure_certs(struct relay *r, const struct ipc_frame *m);
bool relay_secure_signed(struct relay *r, const struct ipc_frame *m);

/* --- tls_report.c: what TLS-RPT (RFC 8460) and metrics tell of the session --- */
enum tls_seen_policy {
	SEEN_DANE,
	SEEN_STS,
	SEEN_REQUIRED,
	SEEN_OPPORTUNISTIC,
	SEEN_NONE,
	SEEN_POLICIES
};
enum tls_seen_result {
	SEEN_VERIFIED,
	SEEN_UNVERIFIED,
	SEEN_FAILED,      /* no handshake, or a certificate that will not do */
	SEEN_NOT_OFFERED, /* and it had to be */
	SEEN_CLEAR,       /* the letter goes without it */
	SEEN_RESULTS
};
void relay_tls_figures(const struct relay *r, struct buf *rows);
void relay_tell_plan(const struct conn *c); /* before any connection for its job */
void relay_tell_tls(const struct conn *c, const struct tls *t); /* the handshake is done */
void relay_tell_no_tls(const struct conn *c, const struct tls *t, const char *why);
void relay_tell_no_starttls(const struct conn *c); /* and it is needed */
void relay_tell_clear(const struct conn *c);       /* there is none, and none is needed */

/* --- login.c --- */
void relay_login_begin(struct conn *c, const struct smtp_client_event *ev);
bool relay_login_waits(const struct conn *c); /* for auth */
void relay_login_late(struct conn *c);        /* ... in vain */
/* Who has the secrets of its route may be away: NULL, or that in words. Until they are back no
 * server is troubled. */
const char *relay_login_away(const struct conn *c);
bool relay_login_answer(struct relay *r, const struct ipc_frame *m);
void relay_login_drop(struct conn *c);
void relay_logins_gone(struct relay *r, bool gssapi); /* the channel that they were asked over */

/* --- turn.c: ATRN, as provider --- */
struct turn;
struct front_link {
	struct relay *relay;
	struct chan *chan;
};
void turn_front(struct relay *r, unsigned index, int fd);
bool turn_counted(struct relay *r, const struct ipc_frame *m); /* IPC_TURN_COUNT */
int turn_take_fd(struct turn *t);       /* of the connection, once; else -1 */
void turn_rested(struct conn *c);       /* a letter is over: the next one, or the end */
void turn_closed(struct dest *d);       /* its connection is gone, or it is itself */
void turns_tick(struct relay *r);
void turns_store_gone(struct relay *r);
void turns_drop(struct relay *r);

/* --- fetch_mail.c: ATRN, as customer --- */
struct fetching;
void fetch_order(struct conn *c);                 /* its job, on a session that is ready */
void fetch_answered(struct conn *c, bool ready);
void fetch_event(struct conn *c, enum stream_event e); /* of a turned connection */
void fetch_late(struct conn *c);
void fetch_over(struct job *j);                   /* its job ends */
void fetches_conf(struct relay *r);
void fetches_tick(struct relay *r);
void fetches_drop(struct relay *r);
extern const struct desk_op fetch_ops[];

/* --- links.c --- */
#define ROLE_LINKS 5
struct role_link {
	struct relay *relay;
	const struct link_kind *kind;
};
/* A channel to another role, in place of the one before. False: not a role we speak with. */
bool links_take(struct relay *r, enum ipc_role role, struct ipc_frame *m);
void links_close(struct relay *r);

struct relay {
	struct role role;
	struct conf *conf;
	uint16_t index, relays; /* which of how many */
	struct chan *store, *dns, *fetch, *auth, *gssapi;
	struct role_link link[ROLE_LINKS];
	struct reader_link reader[READERS_MAX];
	unsigned next_reader;
	struct front_link front[FRONT_MAX];
	struct list turns, fetches;
	struct map jobs;     /* lease -> struct job */
	struct map dest_map; /* key -> struct dest */
	struct list dests;
	struct map asks;        /* id -> struct job (spool) */
	struct map looks;       /* id -> struct dest */
	struct map logins;      /* id -> struct conn */
	struct map unix_asks;   /* id -> struct conn */
	struct buf early;       /* octets of the job that follows (spool_early) */
	uint64_t early_lease;
	uint64_t next_id;
	struct list idle; /* connections that rest, the longest first */
	size_t n_idle, n_open;
	size_t room;         /* octets that letters which are converted may take */
	struct list cramped; /* jobs that wait for some, in their order */
	struct loop_defer has_room;
	int fds;            /* descriptors from this one on are for channels, not for connections */
	int64_t lack_quiet; /* until then nothing is said of what we lack */
	uint64_t n_sent;
	uint64_t tls_seen[SEEN_POLICIES][SEEN_RESULTS]; /* sessions */
	struct loop_timer *beat;
	int64_t store_left;     /* since when there is none */
	struct tls_client *tls;
	struct tls_certs *certs; /* ours, for servers that ask for one; NULL: none came */
	char *host;
	struct self self;
};
struct str relay_key(const uint64_t *id); /* of a map, by number */
