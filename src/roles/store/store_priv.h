/*
 * Inside the store role: the writer. One struct holds everything; each file is one idea:
 * bodies.c (letters that arrive), accept.c (letters that are made durable), directory.c (who has
 * a mailbox here, told to every front), change.c and its ops (what the command line changes),
 * lists.c (what it asks), mail_change.c (what users change), usage.c (how much they have),
 * watches.c (who is told of it), store_role.c (the life of the process).
 *
 * Everything runs on the loop's thread. Nothing here waits for a front: what is said to one is
 * queued, and a front that does not read its answers loses its channel.
 */
#pragma once

#include "base/list.h"
#include "base/map.h"
#include "conf/conf.h"
#include "ipc/chan.h"
#include "ipc/desk.h"
#include "ipc/pass.h"
#include "ipc/role.h"
#include "ipc/msg.h"
#include "loop/loop.h"
#include "roles/store/entry.h"
#include "store/recorder.h"
#include "store/store.h"
#include "sys/sandbox.h"

#define BODIES_PER_FRONT_MAX 20000
#define ID_AHEAD_MS 86400000u      /* a letter's id may be ahead of our clock by this */
#define ID_FRONT(id) ((id) >> 12 & 0x3ff) /* the front that made it, see front_next_id() */
#define BODY_SPILL_LEAST (4u << 10) /* smaller ones are not worth a file */
#define SIZE_CLASSES 24
#define SYNCS_PER_READER_MAX 1024
#define STORE_READERS_MAX 64

struct store_role;

/* One front, as store sees it. */
struct front_peer {
	struct store_role *role;
	struct chan *chan; /* NULL: not connected */
	uint16_t index;
	struct map bodies; /* letter id -> struct body */
	size_t n_bodies;
	bool crowded; /* said so in the log */
	uint64_t life; /* counts its channels, so that an answer never reaches the wrong one */
	size_t n_changes; /* of mail, open */
	struct map watches; /* id -> struct watcher */
	size_t n_watches;
};

struct reader_peer {
	struct store_role *role;
	struct chan *chan; /* NULL: not connected */
	uint16_t index;
	uint64_t life; /* counts its channels, so that an answer never reaches the wrong one */
	size_t n_syncs;
};

/* A letter that arrives. */
struct body {
	struct list node; /* role->by_size[size class of memory], while memory is held */
	struct front_peer *front;
	uint64_t id;
	struct store_body *store; /* NULL: failed; `why` says how */
	struct store_views *views; /* of a mail merge, of those whose account is there; or NULL */
	uint32_t n_views;          /* that came */
	uint64_t memory;
	enum accept_status why;
};

struct store_role {
	struct role life;   /* with parent */
	struct loop *loop;
	struct conf *conf;
	struct store *store;
	struct recorder *recorder; /* NULL: off */
	struct loop_io *watch;   /* of store_fd() */
	struct loop_defer go;    /* letters wait for store_go() */
	struct loop_timer *tick; /* once a second */
	struct front_peer front[FRONT_MAX];
	struct reader_peer reader[STORE_READERS_MAX];
	const char *dir; /* as we may name it inside the sandbox */

	struct list by_size[SIZE_CLASSES];
	uint64_t body_memory; /* octets of bodies that arrive or wait for the disk */
	struct map accepts;   /* letter id -> struct accept */
	size_t n_accepts;
	uint64_t n_letters; /* made durable since the start */

	int directory_fd; /* sealed; -1 before the first */
	uint64_t directory_version, directory_reloads;
	uint64_t domains; /* a sum over the names of those in the directory */
	struct map accounts; /* account id -> anything: those in the directory */
	uint64_t n_accounts;

	struct list changes; /* the first is under way when `changing` */
	struct loop_defer change_next;
	bool changing;
	struct list listings;
	struct list imports;
	uint64_t import_ms; /* the last id given to a letter of theirs */
	uint32_t import_seq;
	struct list backups;
	struct list deletions;
	struct pass_key passes;
	struct entries entries;  /* names of mailboxes, as far as asked for */
	struct list mail;        /* changes of mail that are with the engine */
	struct list held;        /* ... that wait for the end of the sweep */
	bool sweeping;
	struct map usages;       /* account -> struct usage, of accounts with a quota */
	struct map watched;      /* domain -> struct watched */
	struct list stirred;     /* those of them that were told of a commit */
	struct loop_timer *look; /* at them */
	bool looking;
	struct msg_store_state state;
	struct queue *queue; /* letters for elsewhere: queue_priv.h */
	struct fetch_link *fetch;   /* or NULL */
	struct tlsrpt_host *tlsrpt; /* or NULL */
	uint64_t space_free;
	uint64_t space_taken; /* octets that came since then */
	bool settling; /* nothing new is asked of the engine */
};

static inline struct str
id_key(const uint64_t *id)
{
	return str_n(id, sizeof(*id));
}

/* store_role.c: checks a return code of the engine; -EIO ends the process. */
void writer_check(int rc);

/* peers.c */
void writer_peers_init(struct store_role *r);
void writer_peers_done(struct store_role *r);
void writer_peers_flush(struct store_role *r);
void writer_front_connect(struct front_peer *f, int fd); /* in place of the one before; takes fd */
void writer_reader_connect(struct reader_peer *p, int fd);
bool writer_fronts_connected(const struct store_role *r);
void writer_front_state(struct front_peer *f); /* tells it IPC_STORE_STATE */
/* Sends, unless the front has stopped reading; then its channel goes. */
void writer_front_send(struct front_peer *f, uint16_t type, uint64_t id, struct str body, int fd);

/* bodies.c: false is a breach. */
bool writer_body_open(struct front_peer *f, uint64_t id);
void writer_body_data(struct front_peer *f, uint64_t id, struct str octets);
/* Octets of a letter came: the disk is looked at when that may have made it full. */
void writer_space_took(struct store_role *r, uint64_t octets);
void writer_body_drop(struct front_peer *f, uint64_t id);
struct body *writer_body_find(struct front_peer *f, uint64_t id);
/* Of a mail merge: whole views. False: a breach. */
bool writer_body_views(struct front_peer *f, uint64_t id, struct str octets);
/* Forgets the entry and hands out its octets: NULL when it had failed; and its views. */
struct store_body *writer_body_take(struct body *b, struct store_views **ret_views);
void writer_bodies_drop_all(struct front_peer *f);

/* accept.c: false is a breach. */
bool writer_accept_begin(struct front_peer *f, uint64_t id, struct str body);
void writer_accept_ask(struct front_peer *f, uint64_t id);
void writer_accept_retry(struct store_role *r); /* once a second */
void writer_accept_front_gone(struct front_peer *f);
void writer_accepts_done(struct store_role *r);

/* mail_change.c: what users change. False: a breach. */
bool writer_mail_change(struct front_peer *f, uint64_t id, struct str body);
void writer_mail_swept(struct store_role *r); /* what was held begins */
void writer_mail_done(struct store_role *r);  /* after the engine has finished all: frees the rest */

/* usage.c: how much an account has, where there is a quota */
bool writer_has_room(struct store_role *r, uint64_t account, uint64_t octets);
uint64_t writer_quota(struct store_role *r, uint64_t account); /* octets; 0: there is none */
/* So many octets come to the account (0: something else has changed). */
void writer_usage_add(struct store_role *r, uint64_t account, uint64_t octets);
void writer_usage_forget(struct store_role *r); /* limits have changed */
bool writer_room_ask(struct front_peer *f, uint64_t id, struct str body); /* false: a breach */

/* watches.c: fronts that want to know when a mailbox changes. False: a breach. */
bool writer_watch(struct front_peer *f, uint64_t id, struct str body);
void writer_unwatch(struct front_peer *f, uint64_t id);
void writer_watches_drop_all(struct front_peer *f);
void writer_watches_init(struct store_role *r);
void writer_watches_done(struct store_role *r);

/* import_op.c */
void writer_imports_done(struct store_role *r); /* ends them unfinished */

/* directory.c */
bool writer_directory_publish(struct store_role *r); /* false: cannot be built; logged */
void writer_directory_send(struct front_peer *f);
void writer_directory_done(struct store_role *r);

/* lists.c */
void writer_listings_done(struct store_role *r); /* ends them unfinished */

/* queue_accept.c: the entry of a recipient elsewhere of a mail merge; false: it does not fit */
bool queue_view_entry(struct buf *out, const struct msg_view *v);

/* queue.c and its parts: letters for elsewhere */
void writer_queue_begin(struct store_role *r); /* reads it, while letters come already */
void writer_queue_conf(struct store_role *r);  /* the configuration is another */
void writer_queue_directory(struct store_role *r); /* domains are */
void writer_queue_tick(struct store_role *r);  /* once a second */
bool writer_queue_idle(const struct store_role *r);
uint64_t writer_queue_entries(const struct store_role *r);
void writer_queue_settle(struct store_role *r);
void writer_queue_ops_done(struct store_role *r); /* ends them unfinished */
void writer_queue_done(struct store_role *r);
void writer_relay_connect(struct store_role *r, uint16_t index, int fd); /* takes fd */
bool writer_etrn(struct front_peer *f, uint64_t id, struct str body); /* false: a breach */

/* figures.c */
void writer_figures(struct store_role *r, struct buf *rows); /* metrics/metrics.h */

/* fetch_link.c */
void writer_fetch_connect(struct store_role *r, int fd); /* takes fd */
/* False: fetch is not there, or has too much to do. */
bool writer_fetch_post(struct store_role *r, uint64_t id, const struct msg_post *m);
void writer_fetch_done(struct store_role *r);

/* tlsrpt.c: reports about TLS (RFC 8460) */
void writer_tlsrpt_take(struct store_role *r, struct str octets); /* msg_result.tlsrpt */
void writer_tlsrpt_posted(struct store_role *r, uint64_t id, const struct msg_fetched *m);
void writer_tlsrpt_fetch_gone(struct store_role *r);
void writer_tlsrpt_tick(struct store_role *r); /* once a second */
void writer_tlsrpt_settle(struct store_role *r); /* writes down what is not yet */
void writer_tlsrpt_done(struct store_role *r);

/* backup_op.c */
void writer_backups_tick(struct store_role *r); /* once a second */
void writer_backups_done(struct store_role *r);

/* delete_op.c */
void writer_deletions_done(struct store_role *r); /* ends them unfinished */

/* change.c */
void writer_changes_init(struct store_role *r);
void writer_changes_done(struct store_role *r); /* ends them unfinished */
extern const struct desk_op writer_ops[];
