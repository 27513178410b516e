/*
 * msg: every message between our processes: its number, its struct, put and get side by side.
 *
 * Receivers re-validate everything: a get that returns false is a breach of the channel.
 * Strings are views into the frame. Caps stand next to the fields they bound.
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"
#include "base/wire.h"

#include <stdbool.h>
#include <stdint.h>

enum ipc_role { ROLE_PARENT, ROLE_FRONT, ROLE_AUTH, ROLE_STORE, ROLE_READER, ROLE_COUNT };
extern const char *const ipc_role_name[ROLE_COUNT]; /* "parent" "front" "auth" "store" "reader" */

#define FRONT_MAX 64     /* front processes */
#define LISTENER_MAX 64
#define RCPT_MAX 10000   /* mailboxes one letter may be delivered to */

enum ipc_type {
	/* parent to role */
	IPC_SETUP = 1,  /* fd: sealed memfd with the configuration (conf_dump); body: msg_setup.
	                 * Again later: a reload. */
	IPC_LISTENER,   /* fd: listening socket; body: u16 index into conf's listeners */
	IPC_UNLISTEN,   /* body: u16 index: the listener is gone after a reload */
	IPC_PEER,       /* fd: channel to another role; body: msg_peer */
	IPC_CTL,        /* fd: channel to an authorised command (front never gets one) */
	IPC_TALLY,      /* fd: memfd of one front's counters, writable for it; body: u16 front */
	IPC_STATUS_ASK, /* id: echoed */
	IPC_DRAIN,      /* body: u32 ms: finish what is open, then exit */
	IPC_LOG,        /* fd: where log lines go from now on (the file was rotated) */
	/* role to parent */
	IPC_READY = 32, /* body: msg_ready */
	IPC_STATUS,     /* id of the ask; body: msg_status */
	/* front to store; id is the letter's id throughout */
	IPC_BODY_OPEN = 64, /* a body begins */
	IPC_BODY_DATA,      /* body: octets of the letter as received (dot-unstuffed, CRLF) */
	IPC_BODY_DROP,      /* the letter will not come */
	IPC_ACCEPT,         /* body: msg_accept: all octets were sent: make it durable */
	IPC_ACCEPT_ASK,     /* after a restart of store: what became of this letter? */
	/* store to front */
	IPC_ACCEPTED = 96,  /* id: letter; body: u8 enum accept_status */
	IPC_DIRECTORY,      /* fd: sealed memfd (route/directory.h); id: its version */
	IPC_STORE_STATE,    /* body: msg_store_state */
	/* reader to store and back */
	IPC_SYNC = 112,     /* id; body: 16 octets of domain, or empty for all */
	IPC_SYNCED,         /* id: everything durable at the time of the ask is applied */
	/* command line to parent, then to the role that parent hands it to */
	IPC_CTL_TO = 128,   /* body: u8 enum ipc_role: connect me; ROLE_PARENT answers itself */
	IPC_CTL_OK,         /* connected */
	IPC_ASK,            /* id; body: msg_ask */
	IPC_ROW,            /* id; body: msg_row: one answer row, more may follow */
	IPC_DONE,           /* id; body: msg_done: end of the answer */
	IPC_ASK_FD,         /* IPC_ASK with a descriptor, for the questions that take one */
};

struct msg_setup {
	uint8_t role;
	uint16_t index; /* which of its kind */
	uint16_t count; /* how many of its kind */
	uint32_t uid, gid; /* to drop to; 0: stay */
};

struct msg_peer {
	uint8_t role;
	uint16_t index;
};

/* Layers that are active in a role, as `status` prints them. */
enum sandbox_layer {
	LAYER_UID = 1u << 0,        /* own uid */
	LAYER_CHROOT = 1u << 1,
	LAYER_NO_NEW_PRIVS = 1u << 2,
	LAYER_SECCOMP = 1u << 3,    /* allow-list, kill */
	LAYER_SECCOMP_RELAXED = 1u << 4, /* sanitizer build: errno instead of kill */
	LAYER_LANDLOCK = 1u << 5,
	LAYER_NO_DUMP = 1u << 6,
};

struct msg_ready {
	uint32_t layers;
	uint32_t uid;
};

/* Counters a role reports; names in msg.c, one row each. */
enum status_key {
	STATUS_CONNECTIONS,      /* open now */
	STATUS_CONNECTIONS_ALL,  /* since the start */
	STATUS_LETTERS,          /* accepted since the start */
	STATUS_REFUSED,          /* letters and commands refused with 4xx or 5xx */
	STATUS_DIRECTORY,        /* version in use */
	STATUS_GROUPS,           /* syncs of the log */
	STATUS_GROUP_LETTERS,    /* letters in them */
	STATUS_DURABLE_LSN,
	STATUS_APPLIED_LSN,
	STATUS_SEGMENTS,
	STATUS_SPACE_FREE,       /* octets free on the file system of the store */
	STATUS_ACCOUNTS,
	STATUS_BODY_MEMORY,      /* octets of uncommitted bodies held */
	STATUS_INDEX_COMMITS,
	STATUS_LOGINS,           /* passwords checked */
	STATUS_LOGINS_FAILED,
	STATUS_LOG_DROPPED,
	STATUS_CONNECTIONS_MAX,  /* that the limits of configuration and system allow at once */
	STATUS_LOG_SIZE,         /* octets of the log, up to where it is written */
	STATUS_LOG_LIVE,         /* of that, octets that are needed; a moment old */
	STATUS_COMPACTIONS,      /* segments that were freed */
	STATUS_CHECKPOINTS,
	STATUS_RESERVE,          /* 1; 0: the index has used up its reserve, no mail is accepted */
	STATUS_KEY_COUNT
};
extern const char *const status_key_name[STATUS_KEY_COUNT];

struct msg_status {
	uint32_t layers;
	uint32_t uid;
	uint64_t value[STATUS_KEY_COUNT];
	uint32_t have; /* bit per key */
};

/* One mailbox a letter goes to. */
struct msg_rcpt {
	uint64_t account;  /* id from the directory */
	struct str rcpt;   /* the envelope recipient that led here, for Delivered-To; <= 1024 */
	struct str notify; /* NOTIFY as given, or empty; <= 64 */
	struct str orcpt;  /* ORCPT as given (still xtext), or empty; <= 1024 */
};

/* The envelope and everything else that is committed with a body. */
struct msg_accept {
	uint64_t session;
	uint64_t time_ms;       /* Unix time of acceptance */
	uint64_t size;          /* octets of body sent; must match what arrived */
	uint32_t header_len;    /* octets of it that are header (as far as R-MSG-3 says) */
	bool insert_blank;      /* a CRLF belongs between header and body */
	struct str qid;         /* the queue id as the client was shown it; <= 128 */
	struct str from;        /* reverse-path without <>; <= 1024 */
	struct str envid;       /* <= 256 */
	struct str ret;         /* "FULL", "HDRS" or empty */
	struct str trace;       /* Received and added fields, CRLF lines; <= 64 KiB */
	struct str history;     /* the conversation so far, for `trace`; <= 256 KiB */
	uint32_t n_rcpt;        /* 1..RCPT_MAX */
	struct str rcpts;       /* n_rcpt encoded msg_rcpt; walk with msg_rcpt_get */
};

enum accept_status {
	ACCEPT_OK,       /* durable and in every mailbox */
	ACCEPT_FAILED,   /* not stored: temporary error */
	ACCEPT_FULL,     /* not stored: no space */
	ACCEPT_UNKNOWN,  /* ACCEPT_ASK: never heard of it, so not stored */
	ACCEPT_COUNT
};

struct msg_store_state {
	bool low;               /* disk below limit.disk_low: refuse MAIL with 452 */
	uint64_t queue_messages;
	uint64_t queue_bytes;
	uint64_t last_letter;   /* highest letter id ever accepted: a front never uses one below */
};

/* A question of the command line. op is a name from the asked role's table ("mailbox.list"). */
#define ASK_ARGS_MAX 64
struct msg_ask {
	struct str op; /* <= 32 */
	uint16_t n;
	struct str arg[ASK_ARGS_MAX]; /* each <= 1 MiB */
};
#define ROW_FIELDS_MAX 32
struct msg_row {
	uint16_t n;
	struct str field[ROW_FIELDS_MAX];
};
/* code 0: done; else an errno-like code of enum ctl_code and one sentence that says what and
 * what to do. */
enum ctl_code {
	CTL_OK, CTL_NOT_FOUND, CTL_EXISTS, CTL_INVALID, CTL_FAILED, CTL_REFUSED, CTL_CODE_COUNT
};
struct msg_done {
	uint8_t code;
	struct str text; /* <= 4096 */
};

void msg_setup_put(struct buf *b, const struct msg_setup *m);
bool msg_setup_get(struct str body, struct msg_setup *ret);
void msg_peer_put(struct buf *b, const struct msg_peer *m);
bool msg_peer_get(struct str body, struct msg_peer *ret);
void msg_ready_put(struct buf *b, const struct msg_ready *m);
bool msg_ready_get(struct str body, struct msg_ready *ret);
void msg_status_put(struct buf *b, const struct msg_status *m);
bool msg_status_get(struct str body, struct msg_status *ret);
void msg_rcpt_put(struct buf *b, const struct msg_rcpt *m);
bool msg_rcpt_get(struct wire *w, struct msg_rcpt *ret); /* advances w */
void msg_accept_put(struct buf *b, const struct msg_accept *m);
bool msg_accept_get(struct str body, struct msg_accept *ret); /* checks every rcpt too */
void msg_store_state_put(struct buf *b, const struct msg_store_state *m);
bool msg_store_state_get(struct str body, struct msg_store_state *ret);
void msg_ask_put(struct buf *b, const struct msg_ask *m);
bool msg_ask_get(struct str body, struct msg_ask *ret);
void msg_row_put(struct buf *b, const struct msg_row *m);
bool msg_row_get(struct str body, struct msg_row *ret);
void msg_done_put(struct buf *b, const struct msg_done *m);
bool msg_done_get(struct str body, struct msg_done *ret);
void msg_u8_put(struct buf *b, uint8_t v);
bool msg_u8_get(struct str body, uint8_t limit, uint8_t *ret); /* v < limit */
void msg_u16_put(struct buf *b, uint16_t v);
bool msg_u16_get(struct str body, uint16_t limit, uint16_t *ret);
void msg_u32_put(struct buf *b, uint32_t v);
bool msg_u32_get(struct str body, uint32_t *ret);
