/*
 * session_priv: what the files of the session share.
 *
 * session.c         life, the step loop, deadlines     session_verbs.c  the verb table
 * session_input.c   octets to command lines            session_mail.c   MAIL and RCPT
 * session_reply.c   words out, and the history         session_data.c   DATA, BDAT, the verdict
 * session_auth.c    AUTH                               session_secure.c STARTTLS, what needs TLS
 * session_ehlo.c    what EHLO lists                    session_xclient.c XCLIENT, XFORWARD
 * session_merge.c   mail merge (smtp/merge.h)        session_turn.c   ATRN
 * session_burl.c    BURL
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
#include "smtp/merge.h"
#include "smtp/session.h"

#define LINE_HARD_MAX (64u << 10)   /* whatever the configuration says */
#define LINE_DISCARD_MAX (64u << 10) /* R-LINE: behind that nobody believes in a line end */

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
	F_XCLIENT = 1u << 8,    /* trusted: smtp_session_trust() */
	F_XFORWARD = 1u << 9,
	F_RCPT_QUIET = 1u << 10, /* XLSMTP-ACKRCPT OFF: RCPT in a merge has no reply */
	F_XDFN_QUIET = 1u << 11, /* XACK OFF: XDFN neither */
	F_QUIET = 1u << 12,     /* the command at hand is one of those: smtp_merging_quiet() hears it */
	F_IS_CLIENT = 1u << 13, /* XCLIENT was obeyed: the next other command is the client's own */
	F_TURNED = 1u << 14,    /* ATRN was granted: the session is over, the connection is not */
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
	uint64_t burl_left;    /* octets of a URL that are not at hand yet */
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
bool smtp_is_xdfn(const struct smtp_session *s, struct str line);
/* The verbs that HELP names, as far as they fit. */
struct str smtp_verbs(const struct smtp_session *s, char *dst, size_t n);
void smtp_note_line(struct smtp_turn *t, struct str line);
void smtp_unknown(struct smtp_turn *t, enum smtp_situation say, struct str verb, struct str arg,
    struct str line);
void smtp_answer_words(struct smtp_turn *t, const struct smtp_answer *a); /* VRFY, EXPN */

/* session_auth.c */
void smtp_auth(struct smtp_turn *t, struct str arg);
void smtp_auth_line(struct smtp_turn *t, struct str line); /* a response */
void smtp_auth_break(struct smtp_turn *t, enum smtp_situation say); /* one that is none */
void smtp_answer_auth(struct smtp_turn *t, const struct smtp_answer *a);
void smtp_auth_free(struct smtp_session *s);
/* Does this, where a mechanism should stand, look like a response in the wrong place? */
bool smtp_auth_secret(const struct smtp_session *s, struct str mech);

/* session_secure.c */
void smtp_starttls(struct smtp_turn *t, struct str arg);
void smtp_answer_tls(struct smtp_turn *t, const struct smtp_answer *a);
enum smtp_step smtp_upgrade(struct smtp_turn *t);
/* What a letter from this sender lacks here: TLS or a login; else SMTP_NONE. */
enum smtp_situation smtp_mail_lacks(const struct smtp_session *s, const struct addr *from);
void smtp_forget_hello(struct smtp_session *s);

/* session_xclient.c */
void smtp_xclient(struct smtp_turn *t, struct str arg);
void smtp_xforward(struct smtp_turn *t, struct str arg);
void smtp_answer_xclient(struct smtp_turn *t, const struct smtp_answer *a);

/* session_turn.c */
void smtp_atrn(struct smtp_turn *t, struct str arg);
void smtp_answer_turn(struct smtp_turn *t, const struct smtp_answer *a);

/* session_ehlo.c */
void smtp_reply_hello(struct smtp_turn *t);
bool smtp_auth_shown(const struct smtp_session *s);
/* The mechanisms that work now, the first n octets of them in dst. */
struct str smtp_mechs(const struct smtp_session *s, char *dst, size_t n);
struct str smtp_limits_text(char *dst, size_t n, const struct smtp_conf *conf);
struct str smtp_hold_text(char *dst, size_t n, const struct smtp_conf *conf, int64_t wall);

/* session_merge.c: the verbs, which exist where conf->ipmm says so */
void smtp_xmrg(struct smtp_turn *t, struct str arg);
void smtp_xdfn(struct smtp_turn *t, struct str arg);
void smtp_xprt(struct smtp_turn *t, struct str arg); /* asks SMTP_ASK_DATA or _PART */
void smtp_ackrcpt(struct smtp_turn *t, struct str arg);
void smtp_xack(struct smtp_turn *t, struct str arg);
/* and what the rest asks of it, with txn->merge set: */
bool smtp_merging_parts(const struct smtp_txn *txn); /* an XPRT was allowed: receiving parts */
void smtp_merging_go(struct smtp_turn *t); /* the host has allowed the part; 354 is next */
/* Octets of the part under way, before the host gets them. False: too many, it is refused. */
bool smtp_merging_feed(struct smtp_turn *t, struct str octets);
struct str smtp_merging_count(const struct smtp_txn *txn, char dst[24]); /* of letters, as text */
void smtp_merging_part(struct smtp_turn *t); /* the part's dot has come; in PHASE_COMMAND again */
/* A reply that is not sent; text: as it would be, with line ends. */
void smtp_merging_quiet(struct smtp_turn *t, enum smtp_situation s, struct str text);

/* session_mail.c */
void smtp_mail(struct smtp_turn *t, struct str arg);
/* MAIL and XMRG: path, parameters, limits, then SMTP_ASK_MAIL; merge: txn->merge is made. */
void smtp_mail_begin(struct smtp_turn *t, struct str arg, bool merge);
void smtp_rcpt(struct smtp_turn *t, struct str arg);
void smtp_answer_mail(struct smtp_turn *t, const struct smtp_answer *a);
void smtp_answer_rcpt(struct smtp_turn *t, const struct smtp_answer *a);

/* session_data.c */
void smtp_data(struct smtp_turn *t, struct str arg);
/* What is wrong with the letter as it lies there, or SMTP_NONE. */
enum smtp_situation smtp_verdict(const struct smtp_session *s);
void smtp_bdat(struct smtp_turn *t, struct str arg);
enum smtp_situation smtp_no_rcpt(const struct smtp_txn *txn); /* or SMTP_NONE */
bool smtp_over_size(const struct smtp_session *s, uint64_t more);
void smtp_answer_data(struct smtp_turn *t, const struct smtp_answer *a);
void smtp_answer_commit(struct smtp_turn *t, const struct smtp_answer *a);
/* One phase each; SMTP_MORE also means: go round again, the phase may have changed. */
enum smtp_step smtp_body_dot(struct smtp_turn *t);
enum smtp_step smtp_body_bdat(struct smtp_turn *t);
enum smtp_step smtp_body_skip(struct smtp_turn *t);

/* session_burl.c: s->arg is set from the command to the last octet */
void smtp_burl(struct smtp_turn *t, struct str arg);
void smtp_burl_break(struct smtp_turn *t, enum smtp_situation say); /* a line that is none */
void smtp_burl_refuse(
    struct smtp_turn *t, enum smtp_situation say, const struct smtp_answer *a);
void smtp_answer_burl(struct smtp_turn *t, const struct smtp_answer *a);
enum smtp_step smtp_body_burl(struct smtp_turn *t);

/* session_reply.c */
void smtp_reply(struct smtp_turn *t, enum smtp_situation s, const struct smtp_vars *extra);
void smtp_reply_arg(struct smtp_turn *t, enum smtp_situation s, struct str arg);
/* 334 and octets, as base64 (RFC 4954 4: such a line may be long). */
void smtp_reply_challenge(struct smtp_turn *t, struct str octets);
/* The variables of the session as they are now; scratch holds what had to be made. */
struct smtp_scratch {
	char max_size[24], max_rcpt[24], nmsgs[24], err_no[24], limits[64], hold[64];
	char mechs[512], host[256], date[64], verbs[256];
};
void smtp_vars_fill(const struct smtp_turn *t, struct str text, struct smtp_vars *vars,
    struct smtp_scratch *x, const struct smtp_vars *extra);
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
