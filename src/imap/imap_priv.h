/*
 * Inside imap: a command's life, the selected mailbox, what commands say.
 *
 * A command is a row of imap_commands[] (commands.c). When its octets are whole, run() parses the
 * arguments with the lexer into the command's arena and begins. Whenever it needs something it
 * fills s->read or s->change, sets cmd->resume and returns RUN_ASK; resume() is called with the
 * answer. RUN_FLUSH: out is full, resume() is called again (answer NULL) when there is room.
 * RUN_DONE: it has said its tagged response (imap_ok, imap_no, imap_bad).
 *
 * Before a tagged OK of a command that allows it (row->sync), the core brings the view up to date
 * when the host has stirred the session, or always for NOOP, CHECK, IDLE; only what is allowed is
 * said: no EXPUNGE during FETCH, STORE, SEARCH, SORT, THREAD by sequence number (RFC 9051 7.5.1).
 */
#pragma once

#include "access/name.h"
#include "access/uidset.h"
#include "imap/session.h"

/* --- lexer.c: the grammar of RFC 9051 9, over one whole command --- */
/* The text behind tag and command name; literals stand in it as {n}CRLF (or {n+}, ~{n}) and
 * octets. */
struct imap_lex {
	struct str rest;
	bool bad;      /* sticky; `why` says what */
	const char *why;
	bool utf8;     /* UTF8=ACCEPT or rev2: quoted strings may hold UTF-8 */
};
bool imap_lex_sp(struct imap_lex *x);                 /* one SP or more, else bad */
bool imap_lex_char(struct imap_lex *x, char c);       /* that octet, else bad */
bool imap_lex_try(struct imap_lex *x, char c);        /* eats it, or all SPs, if next */
bool imap_lex_end(struct imap_lex *x);                /* nothing may follow, else bad */
bool imap_lex_peek(const struct imap_lex *x, char c);
struct str imap_lex_atom(struct imap_lex *x);         /* 1*ATOM-CHAR */
struct str imap_lex_word(struct imap_lex *x);         /* an atom that ends in front of '[' */
bool imap_lex_number(struct imap_lex *x, uint32_t *ret);   /* 0 .. 2^32-1 */
bool imap_lex_number64(struct imap_lex *x, uint64_t *ret); /* 0 .. 2^63-1 */
/* Sets bad and why, if nothing has yet; returns false. */
bool imap_lex_fail(struct imap_lex *x, const char *why);
/* "{n}", "{n+}", "~{n}" at the beginning of s. */
struct imap_literal {
	uint64_t size;    /* one that does not fit: UINT64_MAX */
	size_t head;      /* octets up to and with "}" */
	bool plus, eight; /* not to be invited; literal8 */
};
bool imap_lex_literal_head(struct str s, struct imap_literal *ret);
/* Strings: unquoted views; a quoted one with escapes is copied into the arena. */
struct str imap_lex_string(struct imap_lex *x, struct arena *a);  /* quoted or literal */
struct str imap_lex_astring(struct imap_lex *x, struct arena *a);
bool imap_lex_nstring(struct imap_lex *x, struct arena *a, struct str *ret); /* NIL: p NULL */
struct str imap_lex_list_mailbox(struct imap_lex *x, struct arena *a); /* with wildcards */
bool imap_lex_flag(struct imap_lex *x, struct str *ret);          /* \Seen or a keyword */
bool imap_lex_date(struct imap_lex *x, int64_t *ret_day); /* 1-Feb-2026: days since 1970 */
bool imap_lex_date_time(struct imap_lex *x, int64_t *ret_seconds); /* "1-Feb-2026 10:00:00 +0000" */
/* A sequence set: ranges as written, '*' as 0; at most IMAP_SET_MAX of them. "$": saved. */
#define IMAP_SET_MAX 10000
struct imap_set {
	struct imap_span { uint32_t a, b; } *r; /* arena */
	size_t n;
	bool saved;
};
bool imap_lex_set(struct imap_lex *x, struct arena *a, struct imap_set *ret);

/* RUN_LINE: cmd->line is called with the next line of the client (AUTHENTICATE, IDLE, APPEND).
 * RUN_LETTER: the next cmd->literal_left octets are a letter's (cmd_append.c). */
enum imap_run { RUN_DONE, RUN_ASK, RUN_FLUSH, RUN_LINE, RUN_LETTER };

/* Bits of session.flags. */
enum {
	F_FIRST_LINE = 1u << 0,  /* there was one: no HTTP any more */
	F_EOL_KNOWN = 1u << 1,   /* R-EOL: the first line has decided */
	F_EOL_LF = 1u << 2,
	F_DROP = 1u << 3,        /* IMAP_DROP is due */
	F_UPGRADE = 1u << 4,     /* STARTTLS was answered */
	F_DEFLATE = 1u << 5,     /* COMPRESS was answered */
	F_DEFLATED = 1u << 6,
	F_SHUTDOWN = 1u << 7,    /* BYE when the command is done */
	F_FLUSHED = 1u << 8,     /* between two commands: the host was told that out is full */
};

/* --- input.c, session.c --- */
enum imap_phase {
	PHASE_LINE,     /* a command's line */
	PHASE_LITERAL,  /* a literal of it */
	PHASE_SKIP,     /* a literal of a command that is refused */
	PHASE_DISCARD,  /* the rest of a line over its limit */
	PHASE_RUN,      /* a question is open */
	PHASE_FLUSH,
	PHASE_MORE,     /* a line for cmd->line */
	PHASE_LETTER,
};
void imap_input(struct imap_session *s, struct str *in);
void imap_command_begin(struct imap_session *s, const struct imap_clock *clock, struct buf *out);
/* What a run(), resume() or line() has returned is carried out. */
void imap_command_ran(struct imap_session *s, enum imap_run run);
void imap_auth_free(struct imap_session *s);
const struct imap_row *imap_row_find(struct str name);
/* What imap_no() and imap_bad() say between the two waits in cmd->refusal. */
struct buf *imap_refusal_begin(struct imap_session *s);
void imap_refusal_end(struct imap_session *s, struct buf *out);
bool imap_is_refused(const struct imap_session *s);
bool imap_line_literal(struct str line, struct imap_literal *ret); /* one that ends the line */
/* cmd_append.c */
void imap_append_octets(struct imap_session *s, struct str octets, struct str *ret_chunk);
enum imap_run imap_append_whole(struct imap_session *s);
void imap_append_free(struct imap_session *s);
enum imap_run imap_idle_stirred(struct imap_session *s);
void imap_put_capabilities(const struct imap_session *s, struct buf *out);

/* --- the command under way --- */
struct imap_row {
	const char *name;       /* "UID FETCH" is a row of its own */
	unsigned states;        /* bit per enum imap_state in which it may be said */
	enum imap_run (*run)(struct imap_session *s);
	unsigned flags;
};
enum {
	ROW_TLS_FREE = 1u << 0,   /* also where TLS is required and not there */
	ROW_SYNC = 1u << 1,       /* changes are told before its OK */
	ROW_SYNC_ALWAYS = 1u << 2, /* ... and asked for even if nobody stirred */
	ROW_NO_EXPUNGE = 1u << 3, /* but no EXPUNGE (by sequence number) */
	ROW_APPEND = 1u << 4,     /* its letters stream: the collector stops in front of them */
	ROW_SECRET = 1u << 5,     /* holds a password: wiped */
};
extern const struct imap_row imap_commands[];

struct imap_command {
	struct arena arena;
	struct buf text;          /* as collected: the whole command */
	char tag[64 + 1];
	const struct imap_row *row;
	struct imap_lex lex;      /* behind the name */
	enum imap_run (*resume)(struct imap_session *s, const struct imap_answer *a);
	void *data;               /* the command's, in the arena */
	/* The command ends, however: frees what is not in the arena; or NULL. */
	void (*drop)(struct imap_session *s);
	struct buf *out;          /* while it runs */
	const struct imap_clock *clock;
	/* what the core keeps (input.c, session.c, sync.c): */
	int phase;                /* enum imap_phase */
	size_t line_at;           /* where in text the line at hand begins */
	size_t args_at;           /* ... and what stands behind the name; 0: no line yet */
	bool skip_to_discard;
	size_t discarded;         /* octets of a line over its limit, already refused */
	uint64_t literal_left;
	struct buf refusal;       /* the command is refused, but octets of it are still to come */
	enum imap_run (*line)(struct imap_session *s, struct str line, const char *wrong);
	struct imap_append *append;
	struct imap_syncing *sync;
	struct uidset uids;       /* imap_view_map: what has come of it */
	enum imap_run (*mapped)(struct imap_session *s, const struct imap_answer *a);
	struct buf last;          /* the tagged OK, while the view is brought up to date before it */
	bool synced;              /* that was done: not again before the OK */
	bool flushing;            /* RUN_FLUSH: the host was told */
};
#define IMAP_ARENA_MAX (8u << 20)
/* An answer to s->read: false when its status is not OK or its head cannot be read; then return
 * imap_refuse(s, imap_answer_status(a), false). */
bool imap_answer_get(const struct imap_answer *a, struct wire *ret, struct access_head *head);
enum access_status imap_answer_status(const struct imap_answer *a); /* OK -> FAILED */
/* Is so much in out that RUN_FLUSH is due? */
bool imap_is_full(const struct imap_session *s);
/* Tagged responses; fmt is behind the code; code such as "CANNOT" or NULL. imap_ok: fmt NULL is
 * the rule: the dialect's words ("FETCH completed"); a fmt is said instead of them. imap_bad: fmt is
 * the reason. All of them end the command: nothing of it may be touched after they return. */
enum imap_run imap_ok(struct imap_session *s, const char *code, const char *fmt, ...) PRINTF(3, 4);
enum imap_run imap_no(struct imap_session *s, const char *code, const char *fmt, ...) PRINTF(3, 4);
enum imap_run imap_bad(struct imap_session *s, const char *fmt, ...) PRINTF(2, 3);
/* The same in the dialect's words; what: enum imap_says of dialect/access_words.h. */
enum imap_run imap_no_says(struct imap_session *s, const char *code, int what);
enum imap_run imap_bad_says(struct imap_session *s, int what);
/* Untagged "* BYE [code] ..."; the session is over. */
enum imap_run imap_bye(struct imap_session *s, struct buf *out, const char *code, const char *fmt, ...)
    PRINTF(4, 5);
/* The NO that an access_status other than OK means ([NONEXISTENT], [ALREADYEXISTS], [OVERQUOTA],
 * [CANNOT], [LIMIT], [SERVERBUG]/[UNAVAILABLE], ...); TRYCREATE where `into`. */
enum imap_run imap_refuse(struct imap_session *s, enum access_status status, bool into);
/* Asks: s->read or s->change is filled; returns RUN_ASK. */
enum imap_run imap_read(struct imap_session *s,
    enum imap_run (*resume)(struct imap_session *, const struct imap_answer *));
enum imap_run imap_change(struct imap_session *s,
    enum imap_run (*resume)(struct imap_session *, const struct imap_answer *));
enum imap_run imap_ask(struct imap_session *s, enum imap_ask what,
    enum imap_run (*resume)(struct imap_session *, const struct imap_answer *));
struct smtp_vars;
void imap_vars(const struct imap_session *s, struct str reason, struct smtp_vars *ret);
bool imap_is_utf8(const struct imap_session *s); /* names and strings may be UTF-8 on the wire */
/* An argument that is a mailbox name: inside form in the arena; false after imap_no/imap_bad. */
bool imap_name(struct imap_session *s, struct str wire, struct str *ret, enum imap_run *ret_run);
void imap_put_name(struct imap_session *s, struct str name); /* to out, quoted as needed */
void imap_put_string(struct buf *out, struct str s, bool utf8); /* quoted or literal */

/* Bits of session.enabled */
enum { IMAP_REV2 = 1u << 0, IMAP_UTF8 = 1u << 1, IMAP_CONDSTORE = 1u << 2, IMAP_QRESYNC = 1u << 3 };

/* --- view.c: the selected mailbox --- */
struct imap_view {
	uint32_t mailbox, uidvalidity;
	uint32_t uidnext, exists;  /* as the client was told */
	uint64_t modseq;           /* who came and went up to this is told */
	uint64_t highest;          /* modseq last told as HIGHESTMODSEQ */
	uint64_t told;             /* flags up to this are told */
	bool read_only, stirred;
	bool missed;               /* what there was to tell in IDLE could not be read */
	struct uidmap *map;        /* NULL: sequence numbers were not needed yet */
	struct uidset saved;       /* SEARCHRES */
	unsigned n_keywords;
	char *keyword[ACCESS_KEYWORDS]; /* owned; bit 16 + i */
};
struct uidmap_state imap_view_state(const struct imap_session *s);
void imap_view_close(struct imap_session *s); /* nothing is selected any more; says nothing */
/* "HIGHESTMODSEQ n", up to which all is told, for the OK of what expunges (RFC 7162 3.2.7 to 3.2.9);
 * NULL: not wanted. */
#define IMAP_MODSEQ_CODE 48
const char *imap_modseq_code(struct imap_session *s, char ret[IMAP_MODSEQ_CODE]);
/* The keyword list of an answer; true: it is not what the client was told (then say it). */
bool imap_view_keywords(struct imap_session *s, const struct access_keywords *k);
void imap_put_known_flags(const struct imap_session *s, struct buf *out, bool any); /* any: with \* */
/* Makes sure there is a map, then calls next with answer NULL; RUN_ASK meanwhile. */
enum imap_run imap_view_map(struct imap_session *s,
    enum imap_run (*next)(struct imap_session *, const struct imap_answer *));
/* The UIDs that a set means. uid: it holds UIDs, else sequence numbers (the map must be there when
 * it is needed: imap_set_needs_map()). False: a sequence number that is not there (BAD). UIDs that
 * are not there are passed over: where there is no map the result may hold UIDs that are gone. */
bool imap_set_needs_map(const struct imap_session *s, const struct imap_set *set, bool uid);
bool imap_set_uids(
    const struct imap_session *s, const struct imap_set *set, bool uid, struct uidset *out);
/* What changed since view.modseq is asked and told: EXISTS, FETCH, and EXPUNGE or VANISHED unless
 * no_expunge; then next is called. `own`: letters whose new flags are not told but for MODSEQ under
 * CONDSTORE (STORE.SILENT), or NULL. */
struct imap_sync {
	bool no_expunge;
	const struct uidset *silent;
	uint64_t silent_modseq;    /* ... when their modseq is this */
};
enum imap_run imap_view_sync(struct imap_session *s, const struct imap_sync *how,
    enum imap_run (*next)(struct imap_session *, const struct imap_answer *));
void imap_sync_free(struct imap_command *c);
void imap_put_vanished(struct buf *out, const struct uidset *set, bool earlier); /* in lines */
void imap_put_flags(const struct imap_session *s, struct buf *out, uint64_t flags); /* "(\Seen $x)" */
/* Flags of a list as written -> system bits and keyword names (access_keyword_put) in the arena. */
bool imap_lex_flags(struct imap_session *s, struct imap_lex *x, bool parens,
    uint64_t *ret_system, struct str *ret_keywords);
/* 0: the mailbox has no such keyword. */
uint64_t imap_keyword_bit(const struct imap_session *s, struct str name);

/* Takes as many ranges off the front of a set as one ask or change may hold, encoded in the arena;
 * false: the arena is full. The set must not be empty: to the store that means all. */
bool imap_take_ranges(struct imap_session *s, struct uidset *left, struct str *ret);
void imap_put_mailbox_id(struct buf *out, uint32_t mailbox, uint32_t uidvalidity); /* RFC 8474 */
bool imap_lex_status_items(struct imap_session *s, struct imap_lex *x, unsigned *ret);
void imap_put_status(struct imap_session *s, const struct access_mailbox *m, unsigned items);
bool imap_auth_allowed(const struct imap_session *s);
bool imap_login_allowed(const struct imap_session *s);
bool imap_mech_works(const struct imap_session *s, struct str mech);
void imap_tell_capabilities(struct imap_session *s);

/* --- commands; one file each: cmd_NAME.c --- */
/* core: capability noop logout id enable starttls authenticate login select examine create delete
 * rename subscribe unsubscribe list lsub status append idle namespace getquota getquotaroot compress
 * resetkey genurlauth urlfetch unselect close expunge check; "UID EXPUNGE" */
enum imap_run imap_cmd_capability(struct imap_session *s);
enum imap_run imap_cmd_noop(struct imap_session *s);
enum imap_run imap_cmd_check(struct imap_session *s);
enum imap_run imap_cmd_logout(struct imap_session *s);
enum imap_run imap_cmd_id(struct imap_session *s);
enum imap_run imap_cmd_starttls(struct imap_session *s);
enum imap_run imap_cmd_authenticate(struct imap_session *s);
enum imap_run imap_cmd_login(struct imap_session *s);
enum imap_run imap_cmd_enable(struct imap_session *s);
enum imap_run imap_cmd_select(struct imap_session *s);
enum imap_run imap_cmd_examine(struct imap_session *s);
enum imap_run imap_cmd_create(struct imap_session *s);
enum imap_run imap_cmd_delete(struct imap_session *s);
enum imap_run imap_cmd_rename(struct imap_session *s);
enum imap_run imap_cmd_subscribe(struct imap_session *s);
enum imap_run imap_cmd_unsubscribe(struct imap_session *s);
enum imap_run imap_cmd_list(struct imap_session *s);
enum imap_run imap_cmd_lsub(struct imap_session *s);
enum imap_run imap_cmd_namespace(struct imap_session *s);
enum imap_run imap_cmd_status(struct imap_session *s);
enum imap_run imap_cmd_append(struct imap_session *s);
enum imap_run imap_cmd_idle(struct imap_session *s);
enum imap_run imap_cmd_getquota(struct imap_session *s);
enum imap_run imap_cmd_getquotaroot(struct imap_session *s);
enum imap_run imap_cmd_setquota(struct imap_session *s);
enum imap_run imap_cmd_compress(struct imap_session *s);
enum imap_run imap_cmd_resetkey(struct imap_session *s);
enum imap_run imap_cmd_genurlauth(struct imap_session *s);
enum imap_run imap_cmd_urlfetch(struct imap_session *s);
enum imap_run imap_cmd_close(struct imap_session *s);
enum imap_run imap_cmd_unselect(struct imap_session *s);
enum imap_run imap_cmd_expunge(struct imap_session *s);
enum imap_run imap_cmd_uid_expunge(struct imap_session *s);
/* mail: fetch "UID FETCH" store "UID STORE" copy "UID COPY" move "UID MOVE" search "UID SEARCH"
 * sort "UID SORT" thread "UID THREAD" */
enum imap_run imap_cmd_fetch(struct imap_session *s);
enum imap_run imap_cmd_uid_fetch(struct imap_session *s);
enum imap_run imap_cmd_store(struct imap_session *s);
enum imap_run imap_cmd_uid_store(struct imap_session *s);
enum imap_run imap_cmd_copy(struct imap_session *s);
enum imap_run imap_cmd_uid_copy(struct imap_session *s);
enum imap_run imap_cmd_move(struct imap_session *s);
enum imap_run imap_cmd_uid_move(struct imap_session *s);
enum imap_run imap_cmd_search(struct imap_session *s);
enum imap_run imap_cmd_uid_search(struct imap_session *s);
enum imap_run imap_cmd_sort(struct imap_session *s);
enum imap_run imap_cmd_uid_sort(struct imap_session *s);
enum imap_run imap_cmd_thread(struct imap_session *s);
enum imap_run imap_cmd_uid_thread(struct imap_session *s);
