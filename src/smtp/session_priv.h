/*
 * session_priv: what the files of the session share.
 *
 * session.c         life, the step loop, deadlines     session_verbs.c  the verb table
 * session_input.c   octets to command lines            session_mail.c   MAIL and RCPT
 * session_reply.c   words out, and the history         session_data.c   DATA, BDAT, the verdict
 *
 * Every function that acts gets a turn: the session with what the host passed to this call.
 * The private part and the transaction attach when they are needed. The transaction ends in
 * smtp_txn_end() only; when the host must hear of it (SMTP_DROP) it stays until the next step.
 *
 * session->owed (LMTP): recipients of a letter of which a chunk was refused; the BDAT LAST that
 * may be on its way has a reply for each of them.
 */
#pragma once

#include "smtp/bdat.h"
#include "smtp/dot.h"
#include "smtp/session.h"

#define LINE_HARD_MAX (64u << 10)   /* whatever the configuration says */
#define LINE_DISCARD_MAX (64u << 10) /* R-LINE: behind that nobody believes in a line end */
#define LINE_AUTH_MAX 12288u         /* RFC 4954 4 */

enum { EOL_UNDECIDED, EOL_CRLF, EOL_LF };

enum { /* session->flags */
	F_FIRST_LINE = 1u << 0, /* a line was taken */
	F_DROP = 1u << 1,       /* say SMTP_DROP at the next step */
	F_TXN_OVER = 1u << 2,   /* and then the transaction goes */
	F_BODY_OPEN = 1u << 3,  /* the host has agreed to a body and has not got it back */
	F_SWALLOW = 1u << 4,    /* the body is refused already: eat it, pass nothing on */
	F_REFUSED = 1u << 5,    /* a DATA was refused: input behind it is fatal (R-PIPE) */
	F_SHUTDOWN = 1u << 6,   /* 421 behind the answer under way */
	F_AFTER_AUTH = 1u << 7, /* the line behind AUTH may be a secret typed too early */
};

enum telnet { TELNET_NONE, TELNET_IAC, TELNET_OPTION, TELNET_SB, TELNET_SB_IAC };

struct smtp_private {
	struct buf line;       /* a command line whose end has not come */
	bool after_cr;         /* the last octet of the line was CR */
	bool discarding;       /* the line is too long: only its end is looked for */
	size_t discarded;
	enum telnet telnet;
	struct dot dot;
	struct bdat bdat;
	int64_t body_started;
	uint64_t body_octets;  /* as they came */
	enum smtp_situation param_error; /* of MAIL: said after the host's limits (rules.md 2) */
	struct str param_bad;  /* in the transaction's arena, as is: */
	struct str qid;        /* what the host said when it allowed the body */
	struct arena_mark before_rcpt; /* a recipient that is refused goes back to it */
};

struct smtp_turn {
	struct smtp_session *s;
	const struct smtp_clock *clock;
	struct str *in;
	struct buf *out;
};

/* session.c */
struct smtp_private *smtp_priv(struct smtp_session *s);
void smtp_phase_set(struct smtp_turn *t, enum smtp_phase phase);
void smtp_ask(struct smtp_turn *t, enum smtp_ask what);
void smtp_txn_begin(struct smtp_turn *t);
void smtp_txn_end(struct smtp_turn *t);
void smtp_close(struct smtp_turn *t);

/* session_input.c: takes commands from the input until it is empty or something else is due. */
void smtp_input(struct smtp_turn *t);

/* session_verbs.c */
void smtp_command(struct smtp_turn *t, struct str line);
void smtp_note_line(struct smtp_turn *t, struct str line);
void smtp_unknown(struct smtp_turn *t, enum smtp_situation say, struct str verb, struct str arg,
    struct str line);
void smtp_answer_words(struct smtp_turn *t, const struct smtp_answer *a); /* VRFY, EXPN */

/* session_mail.c */
void smtp_mail(struct smtp_turn *t, struct str arg);
void smtp_rcpt(struct smtp_turn *t, struct str arg);
void smtp_answer_mail(struct smtp_turn *t, const struct smtp_answer *a);
void smtp_answer_rcpt(struct smtp_turn *t, const struct smtp_answer *a);

/* session_data.c */
void smtp_data(struct smtp_turn *t, struct str arg);
void smtp_data_refuse(struct smtp_turn *t, enum smtp_situation say);
void smtp_bdat(struct smtp_turn *t, struct str arg);
void smtp_answer_data(struct smtp_turn *t, const struct smtp_answer *a);
void smtp_answer_commit(struct smtp_turn *t, const struct smtp_answer *a);
/* One phase each; SMTP_MORE also means: go round again, the phase may have changed. */
enum smtp_step smtp_body_dot(struct smtp_turn *t);
enum smtp_step smtp_body_bdat(struct smtp_turn *t);
enum smtp_step smtp_body_skip(struct smtp_turn *t);

/* session_reply.c */
void smtp_reply(struct smtp_turn *t, enum smtp_situation s, const struct smtp_vars *extra);
void smtp_reply_arg(struct smtp_turn *t, enum smtp_situation s, struct str arg);
void smtp_reply_hello(struct smtp_turn *t);
/* A reply whose text is filled by an answer of the host. */
void smtp_reply_answer(struct smtp_turn *t, enum smtp_situation s, const struct smtp_answer *a);
/* The last word on the letter under way: one reply; in LMTP one for each accepted recipient (with
 * SMTP_DATA_OK: what was said of that one). vars: what the texts may name, or NULL. */
void smtp_reply_letter(struct smtp_turn *t, enum smtp_situation s, const struct smtp_vars *vars);
struct smtp_vars smtp_answer_vars(const struct smtp_answer *a);
/* A line of the history: "c: ", "# " and so on; peer data comes out escaped. */
void smtp_note(struct smtp_turn *t, const char *mark, struct str text);
void smtp_note_replies(struct smtp_turn *t, size_t from); /* what stands in out behind from */
void smtp_notef(struct smtp_turn *t, const char *fmt, ...) PRINTF(2, 3);
