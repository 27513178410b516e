/*
 * session: the server's side of one IMAP conversation (RFC 3501, RFC 9051), without I/O.
 *
 * Like smtp/session.h: a plain struct, fed with octets, that appends responses to `out` and
 * returns why it stopped:
 *
 *   IMAP_MORE    all input is eaten; feed more when it comes
 *   IMAP_ASK     one question is open (session->ask, session->ask_no): no input is eaten until
 *                imap_session_answer() brings the answer with that number
 *   IMAP_OCTETS  session->chunk holds octets of a letter of APPEND, for the id that the host gave
 *                in answer to IMAP_ASK_LETTER: take them, then step again
 *   IMAP_DROP    the letters of an APPEND under way (ids of session->dropped) will not be kept
 *   IMAP_FLUSH   much is in out: step again when the peer has read most of it
 *   IMAP_UPGRADE start TLS when out is flushed, then imap_session_secured(); input behind it: close
 *   IMAP_DEFLATE COMPRESS: when out is flushed, both directions are deflated (RFC 4978); step again
 *   IMAP_END     flush out and close
 *
 * One command at a time: what is pipelined waits in the input, so RFC 9051 5.5 is met by shape.
 * A command is collected with its literals in one buffer (cap IMAP_COMMAND_MAX, before login
 * IMAP_COMMAND_EARLY) and parsed as a whole; only letters of APPEND stream past.
 *
 * Idle memory: the struct, and of a selected mailbox its view; buffers attach with input.
 *
 * `out` needs a ceiling of IMAP_OUT_HIGH + IMAP_OUT_ROOM at least: a session whose out has failed
 * is over. A command writes no more than IMAP_OUT_ROOM between two looks at IMAP_OUT_HIGH.
 */
#pragma once

#include "access/access.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

#define IMAP_COMMAND_MAX (1u << 20)    /* octets of a command with its literals, without letters */
#define IMAP_COMMAND_EARLY (16u << 10) /* before login; a literal then: 4096 (RFC 7888) */
#define IMAP_LINE_MAX (64u << 10)      /* between two literals */
#define IMAP_OUT_HIGH (256u << 10)     /* IMAP_FLUSH above this */
#define IMAP_OUT_ROOM (2u << 20)
#define IMAP_USER_MAX 512

struct imap_wording; /* dialect: what is said; see dialect/ */
struct charsets;     /* mail/charset.h */

struct imap_conf {
	const struct imap_wording *wording;
	struct str host;
	struct str capability_pre, capability_tls; /* imap_capability_pre/_tls, or empty */
	char separator;              /* '/' or '.' */
	bool starttls, starttls_refuse;
	bool tls_required;           /* nothing but STARTTLS, CAPABILITY, NOOP, LOGOUT, ID before it */
	bool auth_cleartext;         /* LOGIN and AUTHENTICATE without TLS */
	struct str mechs, mechs_tls; /* blank-separated, as smtp_conf's */
	bool bare_lf;                /* sessions may end their lines in a bare LF (R-EOL) */
	uint64_t max_size;           /* APPENDLIMIT */
	uint64_t bad_commands;       /* before login; UINT64_MAX: no limit */
	uint64_t idle_seconds, login_seconds, conn_seconds; /* UINT64_MAX: off */
	struct str version;          /* for ID */
	const struct charsets *charsets; /* for SEARCH, SORT, PREVIEW; NULL: UTF-8, ASCII, Latin-1 */
};

struct imap_clock {
	int64_t now;  /* monotonic ms */
	int64_t wall; /* Unix seconds */
	int zone;     /* minutes */
};

enum imap_ask {
	IMAP_ASK_NONE,
	IMAP_ASK_TLS,    /* answer.status: ACCESS_OK, or refused */
	IMAP_ASK_AUTH,   /* session->auth: a step of SASL; answer.verdict */
	IMAP_ASK_READ,   /* session->read: answer.status and octets (access_head first). A copy of
	                  * the ask with another `from` may be asked ahead by the host */
	IMAP_ASK_CHANGE, /* session->change: answer.status and octets (access_changed) */
	IMAP_ASK_LETTER, /* an APPEND's next letter begins (session->letter_size octets; into
	                  * session->letter_name): answer.status, answer.letter its id */
};

struct imap_auth { /* as smtp_auth */
	bool begin, login; /* login: the LOGIN command; octets: "\0name\0password" for PLAIN */
	char mech[32];
	bool has_initial;
	struct str octets;
	unsigned steps;
};
#define IMAP_AUTH_STEPS_MAX 16
#define IMAP_AUTH_RESPONSE_MAX 12288
enum imap_auth_verdict {
	IMAP_AUTH_CHALLENGE, IMAP_AUTH_OK, IMAP_AUTH_FAIL, IMAP_AUTH_MALFORMED, IMAP_AUTH_BADMECH,
	IMAP_AUTH_WEAK, IMAP_AUTH_TEMPFAIL,
};

struct imap_answer {
	enum access_status status;
	struct str octets;           /* view, used up inside imap_session_answer() */
	enum imap_auth_verdict verdict;
	struct str challenge;        /* octets; with OK: a last word of the mechanism, sent first */
	struct str user;             /* with IMAP_AUTH_OK: the login address */
	uint64_t account;            /* with IMAP_AUTH_OK: its number, to tell maps apart */
	uint64_t letter;
};

enum imap_state { IMAP_GREETING, IMAP_STRANGER, IMAP_KNOWN, IMAP_SELECTED, IMAP_CLOSED };

struct imap_view;
struct imap_command;

struct imap_session {
	const struct imap_conf *conf;
	struct uidmaps *maps;        /* the host's; shared by its sessions */
	enum imap_state state;
	enum imap_ask ask;
	uint32_t ask_no;
	struct access_ask read;      /* with IMAP_ASK_READ; strings live until the answer */
	struct access_change change; /* with IMAP_ASK_CHANGE */
	struct str chunk;            /* with IMAP_OCTETS */
	uint64_t letter_size;        /* with IMAP_ASK_LETTER */
	struct str letter_name;      /* NFC, inside form */
	uint64_t *dropped;           /* with IMAP_DROP: n_dropped ids, until the next step */
	unsigned n_dropped;          /* at most ACCESS_LETTERS_MAX */
	struct imap_auth *auth;      /* while AUTHENTICATE or LOGIN is under way */
	bool tls;
	bool idling;                 /* inside IDLE */
	uint64_t account;
	char *user;                  /* login address, or NULL */
	uint32_t commands, bad;      /* given; not understood */
	int64_t opened, last_input;
	/* private: imap_priv.h */
	struct imap_view *view;      /* of the selected mailbox */
	struct imap_command *cmd;    /* under way, or being collected; NULL when idle */
	unsigned flags, enabled;
};

enum imap_step {
	IMAP_MORE, IMAP_ASK, IMAP_OCTETS, IMAP_DROP, IMAP_FLUSH, IMAP_UPGRADE, IMAP_DEFLATE, IMAP_END
};

void imap_session_init(struct imap_session *s, const struct imap_conf *conf, struct uidmaps *maps,
    bool tls, const struct imap_clock *clock);
void imap_session_done(struct imap_session *s);
/* The greeting; refuse: said as BYE instead, and it ends. Empty: welcome. */
void imap_session_greet(struct imap_session *s, struct str refuse, const struct imap_clock *clock,
    struct buf *out);
enum imap_step imap_session_step(
    struct imap_session *s, struct str *in, const struct imap_clock *clock, struct buf *out);
/* False: stale, dropped. Then step again, also without input. */
bool imap_session_answer(struct imap_session *s, uint32_t ask_no, const struct imap_answer *a,
    const struct imap_clock *clock, struct buf *out);
void imap_session_secured(struct imap_session *s, const struct imap_clock *clock);
/* What the host shall watch for this session: the selected mailbox; false: nothing. */
bool imap_session_watch(const struct imap_session *s, uint32_t *ret_mailbox, uint64_t *ret_modseq);
/* The mailbox watched has changed. Step again: in IDLE it asks at once what did. */
void imap_session_stir(struct imap_session *s);
int64_t imap_session_deadline(const struct imap_session *s);
/* BYE if a deadline has passed; true: the session has ended. */
bool imap_session_timeout(struct imap_session *s, const struct imap_clock *clock, struct buf *out);
/* The server stops: BYE as soon as no command is between its octets and its answer. */
void imap_session_shutdown(struct imap_session *s, const struct imap_clock *clock, struct buf *out);
/* Every capability that there is, but STARTTLS and AUTH=, parted by blanks; for `dialect check`. */
const char *imap_capabilities(void);
