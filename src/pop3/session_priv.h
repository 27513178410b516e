/*
 * session_priv: what the files of the session share.
 *
 * session.c        life, the step loop, deadlines   session_drop.c    login ends: the drop; QUIT
 * session_input.c  octets to command lines          session_list.c    STAT LIST UIDL DELE RSET
 * session_reply.c  words out                        session_letter.c  RETR and TOP
 * session_verbs.c  the command table, small ones    session_capa.c    CAPA, STLS
 * session_auth.c   USER PASS APOP AUTH
 *
 * Every function that acts gets a turn: the session with what the host passed to this call. The
 * private part attaches when it is needed and stays from login on.
 */
#pragma once

#include "dialect/access_words.h"
#include "pop3/session.h"
#include "pop3/stuff.h"

#define LINE_DISCARD_MAX (64u << 10) /* R-LINE: behind that nobody believes in a line end */

enum { /* session->flags */
	F_FIRST_LINE = 1u << 0, /* a line was taken */
	F_EOL_CRLF = 1u << 1,   /* R-EOL, when it is decided */
	F_EOL_LF = 1u << 2,
	F_EXCHANGE = 1u << 3,   /* the next line is a response of AUTH */
	F_UPGRADE = 1u << 4,    /* STLS was answered: waits for pop3_session_secured() */
	F_STAMPED = 1u << 5,    /* the greeting had a stamp for APOP */
};

/* A letter of the drop; its number is its place, from 1 on. */
struct pop3_letter {
	uint64_t size;
	uint32_t uid;
	uint32_t deleted;
};
_Static_assert(sizeof(struct pop3_letter) == 16, "16 octets a letter");

/* Rows of the last ACCESS_LETTERS, as far as they were not used. */
struct pop3_window {
	struct buf octets;
	struct wire rows;          /* behind the row at hand */
	struct access_letter row;  /* the row at hand; uid 0: none */
	size_t used;               /* of its octets */
	struct access_head head;
	uint8_t part;              /* what was asked for */
	uint64_t len;
};

enum pop3_run { RUN_NONE, RUN_LIST, RUN_UIDL, RUN_LETTER };

struct pop3_private {
	struct buf line;          /* a command line whose end has not come */
	bool after_cr;            /* the last octet of the line was CR */
	bool discarding;          /* the line is too long: only its end is looked for */
	size_t discarded;
	char *name;               /* what USER said */
	const char *login;        /* the command that logs in: "PASS", "APOP", "AUTH" */
	/* the drop */
	struct pop3_letter *letters;
	uint32_t n, cap;
	uint32_t mailbox, uidvalidity;
	uint32_t n_left;          /* not deleted, and their octets */
	uint64_t size_left;
	/* an answer of many lines */
	enum pop3_run run;
	uint32_t at;              /* LIST, UIDL, RETR, TOP, QUIT: place in letters */
	bool top, begun;          /* begun: +OK is out */
	uint64_t lines;           /* TOP: still to come of the body */
	uint64_t sent;            /* octets of the letter that are out */
	uint64_t want;            /* octets of it to ask for */
	uint32_t next;            /* the place behind the last letter that was fetched */
	unsigned tries;           /* windows that came without a row */
	struct stuff stuff;
	struct pop3_window window;
	unsigned char range[8];   /* read.uids */
	struct buf uids;          /* change.uids */
	bool failed;              /* QUIT: not all that was to go has gone */
};

struct pop3_turn {
	struct pop3_session *s;
	const struct pop3_clock *clock;
	struct str *in;
	struct buf *out;
};

/* session.c */
struct pop3_private *pop3_priv(struct pop3_session *s);
void pop3_ask(struct pop3_turn *t, enum pop3_ask what);
void pop3_close(struct pop3_turn *t);

/* session_input.c: eats input, one command at most. */
void pop3_input(struct pop3_turn *t);

/* session_verbs.c */
void pop3_command(struct pop3_turn *t, struct str line);
bool pop3_no_args(struct pop3_turn *t, struct str args); /* or -ERR is said */

/* session_reply.c: lines. reason: text, not words of the peer. */
void pop3_ok(struct pop3_turn *t, const char *cmd, const struct smtp_vars *vars);
/* The same with a word between status and text. */
void pop3_ok_behind(
    struct pop3_turn *t, const char *word, const char *cmd, const struct smtp_vars *vars);
void pop3_says(struct pop3_turn *t, bool good, enum pop3_says what, const char *code);
void pop3_err(struct pop3_turn *t, const char *code, const char *fmt, ...) PRINTF(3, 4);
/* -ERR for what is no command, or not here; closes when there were too many. */
void pop3_bad(struct pop3_turn *t, const char *reason);
struct str pop3_number(char dst[24], uint64_t v);

/* session_auth.c */
bool pop3_auth_works(const struct pop3_session *s, struct str mech);
bool pop3_may_login(const struct pop3_session *s); /* TLS is there, or not needed */
struct str pop3_stamp(const struct pop3_session *s, struct buf *b);
void pop3_user(struct pop3_turn *t, struct str args);
void pop3_pass(struct pop3_turn *t, struct str args);
void pop3_apop(struct pop3_turn *t, struct str args);
void pop3_auth_cmd(struct pop3_turn *t, struct str args);
void pop3_auth_line(struct pop3_turn *t, struct str line);
void pop3_auth_break(struct pop3_turn *t, const char *reason);
void pop3_answer_auth(struct pop3_turn *t, const struct pop3_answer *a);
void pop3_auth_free(struct pop3_session *s);

/* session_capa.c */
void pop3_capa(struct pop3_turn *t, struct str args);
void pop3_stls(struct pop3_turn *t, struct str args);
void pop3_answer_tls(struct pop3_turn *t, const struct pop3_answer *a);

/* session_drop.c */
void pop3_drop_load(struct pop3_turn *t);
void pop3_drop_free(struct pop3_private *p);
void pop3_quit(struct pop3_turn *t, struct str args);
void pop3_answer_change(struct pop3_turn *t, const struct pop3_answer *a);
void pop3_answer_read(struct pop3_turn *t, const struct pop3_answer *a);

/* session_list.c */
/* A message number, the first word of *args: its place; false after -ERR. */
bool pop3_number_arg(struct pop3_turn *t, struct str *args, uint32_t *ret);
void pop3_stat(struct pop3_turn *t, struct str args);
void pop3_list(struct pop3_turn *t, struct str args);
void pop3_uidl(struct pop3_turn *t, struct str args);
void pop3_dele(struct pop3_turn *t, struct str args);
void pop3_rset(struct pop3_turn *t, struct str args);
void pop3_list_run(struct pop3_turn *t);

/* session_letter.c */
void pop3_retr(struct pop3_turn *t, struct str args);
void pop3_top(struct pop3_turn *t, struct str args);
void pop3_letter_run(struct pop3_turn *t); /* until done, or a question, or out is high */
void pop3_letter_answer(struct pop3_turn *t, const struct pop3_answer *a);
void pop3_window_free(struct pop3_window *w);
