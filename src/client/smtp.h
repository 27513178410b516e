/*
 * smtp: an SMTP or LMTP session (smtp/client.h) over a link (client/link.h), blocking, told as
 * events: the commands send, probe, check and roundtrip stand on it.
 *
 * smtp_run_open() connects (and makes TLS at once where it is implicit); then the orders are those of
 * smtp/client.h, each by a function here that gives an enum client_exit and has emitted REPLY, NOTE
 * and WARN events on the way. What went wrong stands in `why` (one sentence: the thing, the step,
 * the remedy) and is not emitted: the command says it, by event_result(). smtp_run_close() is due
 * after smtp_run_open(), however that ended.
 */
#pragma once

#include "client/exit.h"
#include "client/link.h"
#include "client/options.h"
#include "smtp/client.h"

#include <stdbool.h>
#include <stdint.h>

struct smtp_run {
	struct client_options *o;
	struct link link;
	struct smtp_client *c;     /* NULL before the connection is there */
	struct buf name;           /* what we call ourselves */
	struct buf secret;         /* once it was asked for */
	bool have_secret;
	bool stuck;                /* an order was left in the middle (a timeout): none follows */
	char mech[40];             /* of the login that was tried last */
	char refused[512];         /* mechanisms that were offered and not taken, blanks between */
	struct buf why;
	enum smtp_client_step step;       /* at which it went wrong */
	int status;                /* enum client_exit of the last order */
	bool temporary;            /* there was a 4xx: --temp-exit */
	int64_t took_us; /* the reply to the last command */
	/* The letter, for smtp_run_letter() */
	struct str letter;
	size_t letter_at;
	/* Called for each RESULT, so that one can keep the texts; may be NULL. */
	void (*result)(void *arg, size_t rcpt, const struct answer *a);
	void *arg;
	/* Overrides, for commands that are pickier than the options; set before smtp_run_open(). */
	bool no_auth;              /* never log in, whatever the options say (probe) */
	bool stop_at_data;         /* stop behind 354: then `stopped`, and only close is left */
	bool stopped;
};

/* r: zero but for the overrides and result. o: link.host and port by options_server(). CLIENT_OK or
 * the exit status. */
int smtp_run_open(struct smtp_run *r, struct client_options *o);
int smtp_run_go(struct smtp_run *r, enum smtp_client_step until);
/* The letter's octets live until it is over. CLIENT_OK: the server took it for everybody;
 * CLIENT_RCPT_SOME: for some. until as smtp_client_letter(). */
int smtp_run_letter(struct smtp_run *r, const struct smtp_client_envelope *e, struct str letter,
    enum smtp_client_step until);
/* One command; its answer: smtp_client_answer(r->c). CLIENT_OK whatever that says. */
int smtp_run_command(struct smtp_run *r, struct str line);
int smtp_run_rset(struct smtp_run *r);
int smtp_run_quit(struct smtp_run *r); /* also after a failure; nothing when the session is over */
void smtp_run_close(struct smtp_run *r);

/* Fills an envelope from the options (--from, --body, --dsn, --by, ...): all but recipients and size;
 * and what it says of each recipient (NOTIFY, --rcpt-param). False: a value is wrong; a sentence in err.
 * Strings are views of the options. */
bool smtp_run_envelope(struct client_options *o, struct smtp_client_envelope *e,
    struct smtp_client_rcpt *each, struct buf *err);
