/*
 * The inside of parent.
 *
 * One table of children, in the order in which they start (kinds[] in child.c). A row lives as
 * long as parent, of roles that the configuration does not want too; what it holds of a process
 * (pid, channel) comes and goes. A pid stays
 * in its row until the process is reaped, so a signal never meets a stranger, and parent leaves
 * its loop only when no row has a pid.
 *
 * Nothing here blocks once the loop runs.
 */
#pragma once

#include "base/list.h"
#include "conf/conf.h"
#include "ipc/chan.h"
#include "ipc/desk.h"
#include "ipc/msg.h"
#include "loop/loop.h"
#include "roles/parent/parent.h"
#include "sys/listen.h"

#include <sys/types.h>

enum {
	EXIT_CLEAN = 0,
	EXIT_BROKEN = 1, /* could not start, or gave up */
	EXIT_LOCKED = 3, /* another server has the directory */
};

/* uids.c: who the roles are when parent is root. */
#define UID_FIRST 61000 /* roles without an account take unused uids from here on */
#define UID_LAST 61999

struct identity {
	uid_t uid; /* 0: stay as parent is */
	gid_t gid;
};

struct uids {
	struct identity store, auth, front, dns, fetch, gssapi, gssapi_out, relay;
};

struct uids_facts {
	bool has_account;       /* conf `user` exists */
	struct identity account;
	struct identity store_owner, auth_owner; /* of the directories; uid 0: none or root's */
	bool keep; /* maintenance: change no owner, whoever it is */
	bool (*taken)(void *arg, uid_t id); /* an account or group has this number */
	void *arg;
};

/* False when no uid is left between UID_FIRST and UID_LAST. */
bool uids_choose(const struct uids_facts *f, struct uids *ret);
/* Asks the system for the facts and chooses; 0s without root. False with a line in err. */
bool uids_find(const struct conf *c, bool keep, struct uids *ret, struct buf *err);

/* place.c: the data directory, the lock, the log file. False with a line in err. */
bool place_make(const struct conf *c, bool keep, struct buf *err); /* keep: as uids_facts */
bool place_own(const struct conf *c, const struct uids *u, struct buf *err);
bool place_gssapi(const struct conf *c, const struct uids *u, struct buf *err);
bool place_log(const struct conf *c, struct buf *err); /* log_file becomes fd 2 */

/* bind.c: listeners; one socket per front. */
struct listener {
	char *address; /* as configured */
	uint16_t port;
	char *path;    /* of a unix socket; NULL: TCP */
	struct unix_file file;
	struct unix_access access; /* as it was given */
	int *sock; /* n_sock of them, by front */
	unsigned n_sock;
};

struct listeners {
	struct listener *row;
	size_t n;
};

#define BIND_PATIENCE_MS 2000 /* fronts that outlived a killed parent still have the ports */

/* Opens one socket per front for every listener of c. Sockets of `old` with the same address and
 * port are moved over (old keeps what is not wanted any more). All or nothing: on false, err
 * has one line per mistake and old is as it was. */
bool listeners_open(struct listeners *ret, const struct conf *c, unsigned n_fronts,
    struct listeners *old, int64_t patience_ms, struct buf *err);
void listeners_close(struct listeners *ls); /* idempotent */
/* ret[i]: the row of old that want[i] goes on with, or -1. No row is given twice. */
void listeners_match(const struct listeners *old, const struct conf_listener *want, size_t n,
    int *ret);

/* unix.c: listeners at a unix socket. 0 or -errno; a name that nobody has is an error in err. */
char *unix_place(const struct conf *c, const struct conf_listener *l); /* absolute; NULL: TCP */
bool unix_rights(const struct conf_listener *l, struct unix_access *ret, struct buf *err);
/* The first socket, and the directory it lies in if that is missing. */
int unix_open(struct listener *l, const struct unix_access *a);
void unix_close(struct listener *l); /* removes the file if it is still ours */
void unix_explain(const struct listener *l, int code, struct buf *err);

/* child.c */
enum child_state {
	CHILD_IDLE,     /* the configuration does not want it */
	CHILD_DOWN,     /* not started yet, or waiting to be started again */
	CHILD_STARTING, /* runs; has not said IPC_READY */
	CHILD_READY,
	CHILD_ENDING,   /* told to drain, or killed; not reaped yet */
};

#define CHILD_LIFE_MS 30000    /* a life this long makes the next back-off start anew */
#define CHILD_GRACE_MS 5000    /* from a closed channel to SIGKILL */
#define CHILD_EARLY_DEATHS 10  /* that many before it was ever ready ... */
#define CHILD_EARLY_MS 60000   /* ... within this time: give up */

struct child {
	struct parent *parent;
	enum ipc_role role;
	unsigned index;
	char name[16]; /* "front.1", "store" */
	enum child_state state;
	pid_t pid;                /* 0: no process */
	struct chan *chan;        /* NULL: no process, or it closed the channel */
	struct loop_timer *timer; /* DOWN: start again; else: kill it */
	int64_t started;
	uint64_t restarts;
	unsigned fails;        /* short lives in a row */
	unsigned early_deaths; /* before it was ever ready */
	int64_t early_since;
	bool ever_ready;
	bool has_listeners;
	bool renew;            /* told to end, to begin anew */
	int tally;      /* front: its counters, writable; -1 */
	char last[64];  /* how its last life ended */
	uint32_t layers; /* from IPC_READY */
	uint32_t uid;
};

void children_init(struct parent *p);
void children_start(struct parent *p);
void children_done(struct parent *p); /* all reaped before */
void children_reap(struct parent *p);
bool children_ready(const struct parent *p);
/* Kills at once and logs why; the reaping does the rest. */
void child_kill(struct child *c, const char *why);
int64_t child_backoff_ms(unsigned fails); /* fails: short lives in a row, this one included */
/* Counts a death before the first IPC_READY; true when it is time to give up. */
bool child_early_death(struct child *c, int64_t now);
/* After a reload: starts and ends those whose being wanted has changed; dns_changed: dns reads
 * its files only before it gives up its rights, so it begins anew. */
void children_adjust(struct parent *p, bool dns_changed);
/* Any child of the role that can be sent to, or NULL; readers take turns. */
struct child *child_of(struct parent *p, enum ipc_role role);

/* handout.c: what a child gets. On a failure the child is killed (and so started again). */
int handout_seal(const struct conf *c); /* the configuration for the roles: fd or -errno */
void handout_new(struct child *c);   /* after the start: setup, secrets, counters, peers */
void handout_setup(struct child *c);
void handout_listeners(struct child *c); /* a front: all of them */
void handout_secrets(struct child *c);   /* secret.c; nothing for a role that knows none */
int handout_passes_new(void);            /* secret.c: a new key (ipc/pass.h): fd or -errno */
void handout_log(struct parent *p); /* everybody writes to our standard error from now on */
void handout_unlisten(struct parent *p, size_t index);

/* stop.c. stop_fail: a clean stop with exit status 1. */
enum stop_phase { PHASE_RUN, PHASE_FRONTS, PHASE_MIDDLE, PHASE_STORE, PHASE_END };
void stop_begin(struct parent *p, const char *why);
void stop_fail(struct parent *p, const char *who, const char *why);
void stop_kill(struct parent *p, const char *why); /* SIGKILL to all that is left */
void stop_step(struct parent *p); /* after every reaping */

/* door.c: DIR/ctl.sock. A connection says with its first frame whom it wants and is passed on. */
#define DOOR_WAITING_MAX 64 /* connections that have not said it yet */
#define DOOR_FRAME_MS 5000

struct doors {
	int fd;
	struct loop_io *io;
	struct loop_timer *pause; /* out of descriptors: wait a little */
	struct list waiting;
	unsigned n_waiting;
};
bool doors_open(struct parent *p, struct buf *err);
void doors_close(struct parent *p); /* idempotent; removes ctl.sock */

/* status.c */
#define STATUS_WAIT_MS 2000
/* rows false: only waits until every role has answered, and so has read what it was told before. */
void status_begin(struct parent *p, struct desk_ask *a, bool rows);
void status_listeners(struct parent *p, struct desk_ask *a);
uint64_t status_connections_max(const struct parent *p);
void status_answer(struct child *c, uint64_t id, const struct msg_status *m);
void status_child_gone(struct child *c); /* no answer will come from it */
void status_end(struct parent *p);       /* closes every open question */

/* figures.c: what all roles count, for a front that asks */
bool figures_ask(struct child *c, const struct ipc_frame *f); /* false: a breach */
bool figures_rows(struct child *c, const struct ipc_frame *f);
void figures_status(struct child *c, uint64_t id, const struct msg_status *m);
void figures_child_gone(struct child *c);
void figures_end(struct parent *p);

/* fault.c */
void fault_begin(struct parent *p, struct desk_ask *a, struct str key);
bool fault_taken(struct child *c, const struct ipc_frame *f); /* false: a breach */

/* onward.c: a relay asks for a socket that a route leads to; false: a breach */
bool onward_socket(struct child *c, const struct ipc_frame *f);

/* reload.c: true when the new configuration is in force; else err says why not. */
bool reload_run(struct parent *p, struct buf *err);

#define PARENT_SIGNALS 4

struct parent {
	const struct parent_options *options;
	struct conf *conf;
	struct loop *loop;
	int lock_fd;
	int conf_fd; /* sealed conf_dump(), as the roles get it */
	int passes_fd; /* the key of tickets and passes, sealed */
	struct uids uids;
	struct listeners listeners;
	unsigned n_fronts, n_readers, n_relays;
	struct child *children;
	unsigned n_children;
	unsigned next_reader;
	struct doors doors;
	struct desk *desk; /* what parent itself answers */
	struct list statuses;
	struct list figures; /* questions for figures that are open */
	uint64_t next_status;
	enum stop_phase phase;
	int64_t stop_asked; /* when the first signal to stop came */
	struct loop_timer *phase_timer, *orphan_timer;
	struct loop_signal *signals[PARENT_SIGNALS];
	pid_t starter; /* maintenance: who started us */
	int exit_status;
	int64_t started;
	uint32_t layers;
	uint64_t files; /* descriptors that a process of ours may have */
	bool said_ready;
};
