/*
 * msg: every message between our processes: its number, its struct, put and get side by side.
 *
 * Receivers re-validate everything: a get that returns false is a breach of the channel.
 * Strings are views into the frame. Caps stand next to the fields they bound. What is said of one
 * matter has a part of its own: msg_access.h, msg_auth.h, msg_onward.h.
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"
#include "base/wire.h"
#include "ipc/msg_access.h"
#include "ipc/msg_auth.h"
#include "ipc/msg_onward.h"

#include <stdbool.h>
#include <stdint.h>

enum ipc_role {
	ROLE_PARENT,
	ROLE_FRONT,
	ROLE_AUTH,
	ROLE_STORE,
	ROLE_READER,
	ROLE_DNS,        /* looks names up */
	ROLE_FETCH,      /* asks by HTTPS for tokens and policies, and hands reports in */
	ROLE_GSSAPI,     /* an auth of its own for Kerberos, whose library opens files late */
	ROLE_GSSAPI_OUT, /* the same for logins at other servers; it has a network, for tickets */
	ROLE_RELAY,      /* brings letters to other servers */
	ROLE_COUNT
};
extern const char *const ipc_role_name[ROLE_COUNT]; /* "parent" "front" "auth" "store" ... */

#define FRONT_MAX 64     /* front processes */
#define RELAY_MAX 16     /* relay processes */
#define LISTENER_MAX 64
#define RCPT_MAX 10000   /* mailboxes one letter may be delivered to */
#define ACCEPT_EXPANDED_MAX (1u << 20) /* a thousand of the longest */
#define ADDR_LIST_MAX 16 /* addresses of a name that dns tells */
#define MSG_COUNT_NOT_YET (UINT32_MAX - 1) /* in place of a number of letters */

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
	IPC_SECRET,     /* to auth, gssapi, fetch, store and readers; fd: a file of keys or certificates,
	                 * open for reading, or, behind the last one, /dev/null; body: msg_secret */
	IPC_FAULT,      /* lab, to front; body: u16 enum smtp_situation to answer once */
	/* role to parent */
	IPC_READY = 32, /* body: msg_ready */
	IPC_STATUS,     /* id of the ask; body: msg_status */
	IPC_FAULT_TAKEN, /* lab, front: body u16: it was answered; others shall forget it */
	/* front to store; id is the letter's id throughout */
	IPC_BODY_OPEN = 64, /* a body begins */
	IPC_BODY_DATA,      /* body: octets of the letter as received (dot-unstuffed, CRLF) */
	IPC_BODY_DROP,      /* the letter will not come */
	IPC_ACCEPT,         /* body: msg_accept: all octets were sent: make it durable */
	IPC_ACCEPT_ASK,     /* after a restart of store: what became of this letter? */
	IPC_VIEWS,          /* mail merge; body: whole msg_view, one behind the other, in the order of
	                     * the recipients; any number of frames, all before the ACCEPT */
	/* front to store, of an account; id is front's and comes back */
	IPC_CHANGE = 80,    /* body: msg_access_change; the letters of an APPEND came as bodies */
	IPC_WATCH,          /* id: the watch; body: msg_watch. An id that is in use is a breach */
	IPC_UNWATCH,        /* id: the watch; one that is not there is no mistake */
	IPC_ROOM_ASK,       /* body: msg_room: has the account room for so much more? */
	/* store to front */
	IPC_ACCEPTED = 96,  /* id: letter; body: u8 enum accept_status */
	IPC_DIRECTORY,      /* fd: sealed memfd (route/directory.h); id: its version */
	IPC_STORE_STATE,    /* body: msg_store_state */
	IPC_CHANGE_DONE = 104, /* id; body: msg_access_done */
	IPC_STIRRED,        /* id: the watch: its mailbox changed (or is gone); a read with `fresh`
	                     * shows it */
	IPC_ROOM,           /* id; body: u8: 1: yes; 0: no */
	/* reader to store and back */
	IPC_SYNC = 112,     /* id; body: 16 octets of domain, or empty for all */
	IPC_SYNCED,         /* id: everything durable at the time of the ask is applied */
	/* command line to parent, then to the role that parent hands it to */
	IPC_CTL_TO = 128, /* body: u8 enum ipc_role: connect me; ROLE_PARENT answers itself */
	IPC_CTL_OK,       /* connected */
	IPC_ASK,          /* id; body: msg_ask */
	IPC_ROW,          /* id; body: msg_row: one answer row, more may follow */
	IPC_DONE,         /* id; body: msg_done: end of the answer */
	IPC_ASK_FD,       /* IPC_ASK with a descriptor, for the questions that take one */
	/* front to auth (and to gssapi the SASL ones); IPC_SIGN from relay, too, as client */
	IPC_SIGN = 160, /* id: front's; body: msg_sign */
	IPC_SASL_START, /* id: the exchange, chosen by front; body: msg_sasl_start */
	IPC_SASL_STEP,  /* id; body: octets of the client, base64 taken off */
	IPC_SASL_DROP,  /* id: the client gave up or is gone; no answer */
	/* auth to front; the first and IPC_CERTS to relay, too */
	IPC_SIGNED = 176, /* id; body: the signature; empty: refused */
	IPC_SASL,         /* id; body: msg_sasl. With CHALLENGE the exchange goes on */
	IPC_CERTS,        /* fd: sealed memfd: PEM texts of certificates with chains (public), each
	                   * behind a u32 of its length; the first is the default */
	IPC_TICKETS,      /* body: TLS_TICKET_KEYS keys of 80 octets: name, aes, hmac */
	/* front to dns and back */
	IPC_NAME_ASK = 192, /* id: echoed; body: 16 octets of address (IPv4 mapped into IPv6) */
	IPC_NAME,           /* id; body: the verified name (its own addresses lead back), or empty */
	/* fetch to dns and back */
	IPC_ADDR_ASK = 200, /* id: echoed; body: a host name */
	IPC_ADDR,           /* id; body: its addresses, 16 octets each as above; empty: none */
	/* auth to fetch and back */
	IPC_FETCH = 208,    /* id: echoed; body: msg_fetch */
	IPC_FETCHED,        /* id; body: msg_fetched */
	/* gssapi to auth and back */
	IPC_ACCOUNT_ASK = 216, /* id: echoed; body: msg_account */
	IPC_ACCOUNT,        /* id; body: u8: enum account_verdict */
	/* front to reader; id is front's and comes back */
	IPC_ENTER = 224,    /* body: msg_enter: a login becomes a pass */
	IPC_READ,           /* body: msg_read; the slot is the reader's until the answer */
	/* reader to front */
	IPC_SLOTS = 232, /* fd: memfd of READ_SLOTS_SIZE octets (sys/file.h), to be mapped for
	                  * reading; the first message of the channel */
	IPC_ENTERED,     /* id; body: msg_entered */
	IPC_READ_DONE,   /* id; body: msg_read_done: the slot is front's again */
	/* store to relay; id is the lease's number, which is never used twice */
	IPC_JOB = 240,      /* body: msg_job: bring this letter there */
	IPC_JOB_CANCEL,     /* give it up unless its end mark is on its way; a RESULT follows */
	IPC_JOB_TAKEN,      /* its result is durable: forget it */
	/* relay to store */
	IPC_RELAY_HELLO = 248, /* first on each channel; body: msg_hello: leases of an earlier store,
	                     * whose results follow */
	IPC_JOB_STAGE,      /* id; body: msg_stage; the lease is good for JOB_LEASE_MS from here on */
	IPC_JOB_RESULT,     /* id; body: msg_result */
	/* relay to reader and back */
	IPC_SPOOL_ASK = 256, /* id: relay's; body: msg_spool_ask */
	IPC_SPOOL, /* id; body: u8 enum access_status (ACCESS_CANNOT: the letter is damaged),
	            * then octets of the letter. From store too, of a whole letter: id: the
	            * lease of the job that follows */
	/* relay to dns and back */
	IPC_MX_ASK = 264,   /* id; body: msg_mx_ask */
	IPC_MX,             /* id; body: msg_mx */
	/* relay to fetch and back */
	IPC_STS_ASK = 272,  /* id; body: msg_sts_ask */
	IPC_STS,            /* id; body: msg_sts */
	/* relay to auth and back: a login at another server */
	IPC_LOGIN_START = 280, /* id: the exchange; body: msg_login_start */
	IPC_LOGIN_STEP, /* id; body: the server's challenge, base64 taken off; of an id that auth
	                 * does not know: LOGIN_NONE */
	IPC_LOGIN_DROP, /* id: over; no answer */
	IPC_LOGIN,      /* id; body: msg_login */
	/* front to auth and back: addresses that lead back (SRS) */
	IPC_SRS_ASK = 288, /* id; body: msg_srs_ask */
	IPC_SRS, /* id; body: u8 enum srs_verdict of mail/srs.h; with SRS_OK the other address */
	/* front to store and back: a queue run that a client asks for (RFC 1985) */
	IPC_ETRN = 296,     /* id; body: its argument */
	IPC_ETRN_DONE,      /* id; body: u32: letters that wait there; UINT32_MAX: not allowed;
	                     * MSG_COUNT_NOT_YET: the queue is not read yet */
	/* relay and front: a connection that changes its direction (RFC 2645) */
	IPC_TURN_ASK = 304, /* front to relay; id; body: msg_turn */
	IPC_TURN,       /* relay to front; id; TURN_YES; fd: one end of a socket pair, whose octets
	                 * belong to the peer from here on */
	IPC_TURN_JOBS,  /* relay to store; id: the turn; body: msg_turn */
	IPC_TURN_COUNT, /* store to relay; id; body: u32: letters that will come as jobs;
	                 * MSG_COUNT_NOT_YET as above */
	IPC_TURN_END,   /* relay to store; id: no more of them */
	IPC_TURN_GUEST, /* relay to front; fd: one end of a socket pair, whose octets are a
	                 * client's; body: msg_guest */
	IPC_TURN_NO,    /* relay to front, in place of IPC_TURN; id; body: u8 enum turn_verdict */
	/* front to parent: those of all; parent to front, store and relay: their own; and back */
	IPC_FIGURES_ASK = 312, /* id */
	IPC_FIGURES,        /* id; body: rows of text, see metrics/metrics.h */
	/* store to fetch and back */
	IPC_POST = 320,     /* id: store's; body: msg_post: a report about TLS (RFC 8460 5.4) */
	IPC_POSTED,         /* fetch to store; id; body: msg_fetched, without a body of its own */
	IPC_KEEP,           /* fetch to store; body: msg_keep: to be remembered beyond our lives */
	IPC_KEPT,           /* store to fetch, first on each channel: all that was kept; body: msg_keep;
	                     * the end is one with an empty key */
	/* relay to parent and back: a unix socket that a route leads to (relay opens no files) */
	IPC_UNIX_ASK = 328, /* id; body: its path, as in the route */
	IPC_UNIX,           /* id; fd: connected to it */
	IPC_UNIX_NO,        /* id; body: u32 errno */
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
	STATUS_TLS,              /* TLS sessions that are open */
	STATUS_TLS_HANDSHAKES,   /* that succeeded since the start */
	STATUS_SIGNATURES,       /* made since the start */
	STATUS_LOOKUPS,          /* names asked for since the start */
	STATUS_CONNECTIONS_SMTP, /* of connections: SMTP and LMTP */
	STATUS_CONNECTIONS_IMAP,
	STATUS_CONNECTIONS_POP3,
	STATUS_CONNECTIONS_OUT, /* open to other servers */
	STATUS_SENT,            /* letters that another server has taken, since the start */
	STATUS_QUEUE,           /* entries of the queue: letters that wait for other servers */
	STATUS_KEY_COUNT
};
extern const char *const status_key_name[STATUS_KEY_COUNT];

struct msg_status {
	uint32_t layers;
	uint32_t uid;
	uint64_t value[STATUS_KEY_COUNT];
	uint64_t have; /* bit per key */
};

/* One mailbox a letter goes to. */
struct msg_rcpt {
	uint64_t account;  /* id from the directory */
	struct str rcpt;   /* the envelope recipient that led here, for Delivered-To; <= 1024 */
	struct str notify; /* NOTIFY as given, or empty; <= 64 */
	struct str orcpt;  /* ORCPT as given (still xtext), or empty; <= 1024 */
};

/* A recipient elsewhere. */
struct msg_onward {
	struct str rcpt;   /* address as it is to be sent; <= 1024 */
	struct str domain; /* where to: lower-case A-labels, or "[192.0.2.1]"; <= 255 */
	struct str from;   /* reverse-path for it, when another than the letter's (SRS); <= 1024 */
	struct str notify; /* as in msg_rcpt */
	struct str orcpt;
	struct str via;    /* the address of ours that leads there, or empty; <= 1024 */
};

/* What a letter for elsewhere takes with it. */
enum onward_flag {
	ONWARD_8BIT = 1u << 0, ONWARD_BINARY = 1u << 1, ONWARD_UTF8 = 1u << 2, ONWARD_REQUIRETLS = 1u << 3,
	/* 1u << 4 is free: entries have their own reverse-path where XVERP asks for one */
	ONWARD_BY_RETURN = 1u << 5, /* DELIVERBY: R, else N */
	ONWARD_BY_TRACE = 1u << 6,
	ONWARD_OURS = 1u << 7,  /* from a user of ours or a host in relay_ip: reports may tell more */
	ONWARD_SUBMITTED = 1u << 8,
	ONWARD_TLS_OPTIONAL = 1u << 9, /* TLS-Required: No (RFC 8689) */
	ONWARD_FLAGS_ALL = (1u << 10) - 1,
};
struct msg_onward_facts {
	uint32_t flags;
	int8_t priority;        /* MT-PRIORITY, -9..9 */
	uint64_t hold_until_ms; /* FUTURERELEASE, or 0 */
	uint64_t by_ms;         /* DELIVERBY: when it must be there, or 0 */
	struct str auth;        /* AUTH= that is believed, as given, or empty; <= 512 */
	struct str account;     /* that handed it in, or empty; <= 512 */
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
	struct str outline;     /* mail/outline.h; <= 64 KiB; empty: none. Never of a merge */
	struct str message_id;  /* of its header, with brackets, or empty; <= 998 */
	struct str peer;        /* text of the address it came from; <= 64 */
	struct msg_onward_facts facts; /* with n_onward > 0 */
	uint32_t n_onward;      /* recipients elsewhere */
	struct str onward;      /* so many encoded msg_onward; walk with msg_onward_get */
	struct str expanded;    /* pairs of strings, an alias and its ORCPT or nothing: a report says that
	                         * it was expanded (RFC 3461 5.2.7.3); <= ACCEPT_EXPANDED_MAX */
	uint32_t n_rcpt;        /* n_rcpt + n_onward: 1..RCPT_MAX */
	struct str rcpts;       /* n_rcpt encoded msg_rcpt; walk with msg_rcpt_get */
	uint32_t n_views;       /* mail merge: so many came before this, one for each recipient; then
	                         * n_rcpt is 0, rcpts empty, header_len and insert_blank unused */
};

/* What one recipient of a mail merge gets: pieces of the one body that was sent, and words of its
 * own between them. */
#define VIEW_MAX (256u << 10)   /* octets of an encoded view */
#define VIEW_PIECES_MAX 4096
#define MERGE_RCPT_MAX 200000   /* recipients of one merge */
struct msg_view {
	struct msg_rcpt rcpt; /* rcpt.account 0: elsewhere, see onward; for ENTRY_REPORT_DOMAIN: a
	                       * report that another view is in a mailbox */
	struct msg_onward onward;
	/* Elsewhere only: what msg_accept will say, as the views come first. */
	struct msg_onward_facts facts;
	uint64_t session, time_ms;
	struct str from, envid, ret, qid, peer;
	uint64_t size;          /* octets of the letter put together, trace not counted */
	uint32_t header_len;    /* of it, as in msg_accept */
	bool insert_blank;
	uint16_t n_pieces;
	struct str pieces;      /* encoded; walk with msg_piece_get */
};
struct msg_piece {
	bool literal;
	struct str text;        /* literal */
	uint64_t off, len;      /* else: so much of the body from there */
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
#define ROW_FIELDS_MAX 48
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
void msg_onward_put(struct buf *b, const struct msg_onward *m);
bool msg_onward_get(struct wire *w, struct msg_onward *ret); /* advances w */
void msg_piece_put(struct buf *b, const struct msg_piece *m);
bool msg_piece_get(struct wire *w, struct msg_piece *ret); /* advances w */
void msg_view_put(struct buf *b, const struct msg_view *m);
/* Advances w; checks the form of the pieces, and that their lengths add up to size. */
bool msg_view_get(struct wire *w, struct msg_view *ret);
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
