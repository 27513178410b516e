/* What the files of the client's session share. */
#pragma once

#include "smtp/client.h"

#define CLIENT_IN_MAX (512u << 10)    /* octets fed and not looked at */
#define CLIENT_SKIP_MAX (16u << 20)   /* octets of one line, most of them passed over */
#define CLIENT_OUT_MAX (1u << 20)     /* commands of one flight */
#define CLIENT_WHY_MAX 2000u
#define CLIENT_SHORT_LINE 512u        /* RFC 5321 4.5.3.1.4 */

enum client_order { ORDER_NONE, ORDER_GO, ORDER_LETTER, ORDER_COMMAND, ORDER_RSET, ORDER_QUIT };

/* The transaction that is under way. */
enum client_phase {
	PHASE_NONE,     /* no letter */
	PHASE_START,    /* the next transaction is due, perhaps with RSET in front */
	PHASE_ENVELOPE, /* MAIL, RCPT, DATA go and are answered */
	PHASE_BODY,     /* the host gives the letter */
	PHASE_DOT,      /* its end has gone */
	PHASE_EMPTY,    /* 354 came though nobody is to get it: the end mark has gone, and nothing else */
	PHASE_DONE,     /* of all transactions */
};

struct smtp_client {
	struct smtp_client_conf conf;
	char *name, *xclient;
	enum client_order order;
	enum smtp_client_step until;
	/* the connection */
	bool greeted, helloed, helo, esmtp, secured, want_tls, tls_settled, tls_refused, xclient_done;
	bool auth_settled;
	bool gone; /* the peer has closed */
	bool over; /* nothing can be sent any more */
	struct caps caps;
	/* a login */
	struct sasl_client *sasl;
	char mech[SASL_MECH_MAX];
	bool sasl_begun, sasl_cancelled;
	bool sasl_pending; /* a first message that did not fit into the command */
	bool remote, remote_end, remote_due; /* the exchange is elsewhere; it may end; it is asked */
	struct buf remote_octets; /* the challenge; or the first message, while pending */
	/* what came */
	struct buf in;
	size_t in_at, eat;
	bool skipping;
	uint64_t skipped;
	unsigned strays;
	struct answer answer;
	bool whole; /* it is complete: the next line begins another */
	/* what goes: out and body, in this order unless body_first */
	struct buf out, masked, body;
	bool out_gone, body_gone, body_first;
	struct buf note;
	bool note_due, note_warn;
	/* one command that is no part of a letter, or belongs to a chunk or an end mark */
	bool waiting;
	enum smtp_client_step step;
	uint64_t mails; /* commands MAIL, whatever became of them (RFC 9422 3.1) */
	/* the letter */
	struct smtp_client_envelope envelope;
	enum client_phase phase;
	bool rset_due;             /* the server has a transaction open */
	bool checked;              /* the envelope was found good */
	bool letter_begun;         /* a MAIL of this letter was answered */
	bool letter_met;           /* ... with a yes */
	bool mail_sent, mail_answered, mail_good, all_sent, data_sent, data_go;
	bool chunks;               /* BDAT */
	bool body_begun;
	bool bol, after_cr;        /* of the letter as it is sent */
	size_t rcpt_sent, rcpt_answered; /* cursors: every recipient of this transaction before it is */
	size_t flight;             /* commands without an answer */
	size_t members, accepted;  /* recipients of this transaction: sent, accepted */
	size_t accepted_ever;
	size_t dot_at;             /* LMTP: cursor of the answers behind the letter */
	struct answer refused;     /* of the recipient that was refused last */
	/* RESULT events to come: recipients from tell_at on, up to tell_end */
	size_t tell_at, tell_end;
	const struct answer *tell_answer;
	/* the trouble */
	enum smtp_trouble trouble;
	enum smtp_client_step trouble_step;
	struct answer kept;
	struct buf why;
};

/* --- client.c --- */
/* The first trouble of an order stands. a: what the server said, or NULL; it is copied. */
void client_trouble(struct smtp_client *c, enum smtp_trouble t, enum smtp_client_step step,
    const struct answer *a);
void client_note(struct smtp_client *c, bool warn, const char *fmt, ...) PRINTF(3, 4);
void client_answer_copy(struct answer *dst, const struct answer *src);
/* Adds CRLF to what is in out, which is a command; its answer is waited for. */
void client_send(struct smtp_client *c, enum smtp_client_step step);
bool client_clean(struct str s); /* no control octets */

/* --- client_read.c --- */
/* Which command is the oldest without an answer? ret_rcpt: SIZE_MAX, or whose. */
bool client_expects(struct smtp_client *c, enum smtp_client_step *ret_step, size_t *ret_rcpt);
/* Looks at the lines that came. True: a REPLY. */
bool client_read(struct smtp_client *c, struct smtp_client_event *ret);

/* --- client_open.c: greeting to AUTH --- */
enum smtp_client_step client_due(const struct smtp_client *c); /* SMTP_STEP_COUNT: nothing */
/* Begins it. True: the host is to be asked for a login. */
bool client_begin(struct smtp_client *c, enum smtp_client_step step);
void client_open_answered(struct smtp_client *c, enum smtp_client_step step);

/* --- client_letter.c --- */
void client_letter_start(struct smtp_client *c);
bool client_letter_expects(struct smtp_client *c, enum smtp_client_step *ret_step, size_t *ret_rcpt);
void client_letter_answered(struct smtp_client *c, enum smtp_client_step step, size_t rcpt);
enum client_letter {
	LETTER_CHANGED, /* something was put into out, or the phase changed */
	LETTER_WAITS,   /* for an answer */
	LETTER_BODY,    /* for the host */
	LETTER_STOPS,   /* it is over, or as far as it was to go */
};
enum client_letter client_letter_go(struct smtp_client *c);
/* The connection is over: what becomes of those who have no fate yet. */
void client_letter_lost(struct smtp_client *c);
void client_letter_drop(struct smtp_client *c);

/* --- client_put.c --- */
void client_put_mail(struct smtp_client *c);
void client_put_rcpt(struct smtp_client *c, const struct smtp_client_rcpt *r);
/* A sentence in why, when something in it must not be sent. */
bool client_envelope_check(const struct smtp_client_envelope *e, struct buf *why);
