#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/check.h"
#include "smtp/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Dialogues: what the server sends and what the client must send, line by line. "S" lines are fed
 * as soon as the client reads, in pieces of a given size; "C" lines must be the next octets that it
 * sends. "T" is a handshake; "X" closes the connection. The last word is what came of it.
 */

#define RCPTS_MAX 8

struct setup {
	struct smtp_client_conf conf;
	struct smtp_client_envelope e;
	const char *rcpts; /* parted by blanks */
	const char *letter;
	const char *mech, *user, *secret;
	enum smtp_client_step until;
	size_t piece; /* of the letter; 0: all of it */
};

struct row {
	const char *name;
	struct setup s;
	const char *script;
	enum smtp_client_todo end;
	enum smtp_trouble trouble;
	const char *fates; /* a letter for each recipient: S R U N O */
};

struct play {
	const struct row *row;
	struct smtp_client *c;
	struct str script;
	struct buf sent, want;
	struct smtp_client_rcpt rcpts[RCPTS_MAX];
	size_t n_rcpts, split, letter_at, results;
	const char *at;
};

static struct smtp_client_envelope
envelope(struct play *p)
{
	struct smtp_client_envelope e = p->row->s.e;
	struct str left = str_of(p->row->s.rcpts);
	for (struct str word; (word = str_word(&left)).len > 0;) {
		assert_true(p->n_rcpts < RCPTS_MAX);
		p->rcpts[p->n_rcpts++] = (struct smtp_client_rcpt){ .addr = word };
	}
	if (e.from.len == 0 && !e.from.p)
		e.from = STR("a@example.org");
	e.rcpts = p->rcpts;
	e.n_rcpts = p->n_rcpts;
	return e;
}

/* What it sends must be the C lines that stand at the head of the script. */
static void
sent(struct play *p, struct str octets)
{
	while (octets.len > 0) {
		struct str left = p->script;
		struct str line = str_cut(&left, '\n');
		if (!str_starts(line, STR("C:")))
			fail_msg("%s (split %zu): sends \"" STR_FMT
				 "\" where the script has \"" STR_FMT "\"",
			    p->row->name, p->split, STR_ARG(octets), STR_ARG(line));
		struct buf b = BUF_INIT(1 << 20);
		buf_puts(&b, str_skip(line, 3));
		buf_putz(&b, "\r\n");
		size_t rest = b.len - p->sent.len;
		size_t n = octets.len < rest ? octets.len : rest;
		if (memcmp(b.p + p->sent.len, octets.p, n) != 0)
			fail_msg("%s (split %zu): sends \"" STR_FMT "\", not \"" STR_FMT "\"",
			    p->row->name, p->split, STR_ARG(octets), STR_ARG(line));
		buf_put(&p->sent, octets.p, n);
		if (p->sent.len == b.len) {
			buf_reset(&p->sent);
			p->script = left;
		}
		buf_done(&b);
		octets = str_skip(octets, n);
	}
}

/* The next S lines; false: the script wants something else. */
static bool
feed(struct play *p)
{
	struct str left = p->script;
	struct str line = str_cut(&left, '\n');
	if (str_eq(line, STR("X"))) {
		p->script = left;
		smtp_client_closed(p->c);
		return true;
	}
	if (!str_starts(line, STR("S:")))
		return false;
	p->script = left;
	struct buf b = BUF_INIT(1 << 20);
	buf_puts(&b, str_skip(line, 3));
	buf_putz(&b, "\r\n");
	struct str octets = buf_str(&b);
	struct smtp_client_event ev;
	while (octets.len > 0) {
		size_t n = p->split && p->split < octets.len ? p->split : octets.len;
		smtp_client_feed(p->c, str_first(octets, n));
		octets = str_skip(octets, n);
		(void)ev;
	}
	buf_done(&b);
	return true;
}

static void
auth(struct play *p)
{
	const struct setup *s = &p->row->s;
	struct buf err = BUF_INIT(500);
	struct sasl_client_conf conf = { .service = "smtp",
		.host = "mail.example.org",
		.user = str_of(s->user),
		.secret = str_of(s->secret) };
	if (!s->mech) {
		smtp_client_auth_none(p->c);
		return;
	}
	struct sasl_client *sc = sasl_client_make(str_of(s->mech), &conf, &err);
	assert_non_null(sc);
	smtp_client_auth(p->c, str_of(s->mech), sc);
	buf_done(&err);
}

static void
data(struct play *p)
{
	struct str letter = str_of(p->row->s.letter ? p->row->s.letter : "x\r\n");
	size_t piece = p->row->s.piece ? p->row->s.piece : letter.len;
	struct str now = str_first(str_skip(letter, p->letter_at), piece);
	p->letter_at += now.len;
	smtp_client_data(p->c, now, p->letter_at == letter.len);
}

static enum smtp_client_todo
run(struct play *p)
{
	struct smtp_client_event ev;
	for (unsigned turns = 0; turns < 100000; turns++) {
		enum smtp_client_todo todo = smtp_client_next(p->c, &ev);
		switch (todo) {
		case SMTP_CLIENT_SEND:
			sent(p, ev.octets);
			break;
		case SMTP_CLIENT_READ:
			if (!feed(p))
				fail_msg("%s (split %zu): waits where the script has \"" STR_FMT
					 "\"",
				    p->row->name, p->split,
				    STR_ARG(str_first(p->script, str_find(p->script, '\n'))));
			break;
		case SMTP_CLIENT_TLS:
			assert_true(str_starts(p->script, STR("T\n")));
			p->script = str_skip(p->script, 2);
			smtp_client_secured(p->c);
			break;
		case SMTP_CLIENT_AUTH:
			auth(p);
			break;
		case SMTP_CLIENT_DATA:
			if (ev.begin)
				p->letter_at = 0;
			data(p);
			break;
		case SMTP_CLIENT_RESULT:
			assert_true(ev.rcpt < p->n_rcpts);
			p->results++;
			break;
		case SMTP_CLIENT_REPLY:
			assert_non_null(ev.answer);
			break;
		case SMTP_CLIENT_NOTE:
			assert_true(ev.text.len > 0);
			break;
		case SMTP_CLIENT_READY:
		case SMTP_CLIENT_FAILED:
		case SMTP_CLIENT_CLOSED:
			return todo;
		}
	}
	fail_msg("%s (split %zu): goes round in circles", p->row->name, p->split);
	return SMTP_CLIENT_CLOSED;
}

static void
play(const struct row *row, size_t split)
{
	static const char letters[] = "OASRUN";
	struct play p = {
		.row = row, .split = split, .script = str_of(row->script), .sent = BUF_INIT(1 << 20)
	};
	struct smtp_client_conf conf = row->s.conf;
	if (!conf.name.p)
		conf.name = STR("client.example");
	p.c = smtp_client_new(&conf);
	assert_non_null(p.c);
	if (row->s.rcpts) {
		struct smtp_client_envelope e = envelope(&p);
		smtp_client_letter(p.c, &e, row->s.until ? row->s.until : SMTP_STEP_DOT);
	} else {
		smtp_client_go(p.c, row->s.until);
	}
	enum smtp_client_todo end = run(&p);
	if (end != row->end || smtp_client_trouble(p.c) != row->trouble)
		fail_msg("%s (split %zu): ends with %d and trouble %d (%s)", row->name, split, end,
		    smtp_client_trouble(p.c), smtp_client_why(p.c));
	for (size_t i = 0; row->fates && i < p.n_rcpts; i++)
		if (letters[p.rcpts[i].fate] != row->fates[i])
			fail_msg("%s (split %zu): recipient %zu: %c, not %c", row->name, split, i,
			    letters[p.rcpts[i].fate], row->fates[i]);
	if (row->fates && !strpbrk(row->fates, "OA"))
		assert_int_equal(p.results, p.n_rcpts);
	if (end != SMTP_CLIENT_CLOSED) {
		struct str left = p.script;
		if (left.len == 0)
			p.script = STR("C: QUIT\nS: 221 bye\n");
		smtp_client_quit(p.c);
		assert_int_equal(run(&p), SMTP_CLIENT_READY);
	}
	assert_int_equal(p.script.len, 0);
	smtp_client_free(p.c);
	buf_done(&p.sent);
}

#define HI "S: 220 mail.example.org ESMTP\nC: EHLO client.example\n"
#define PLAIN_HI HI "S: 250 mail.example.org\n"
#define PIPE_HI HI "S: 250-mail.example.org\nS: 250-PIPELINING\nS: 250 8BITMIME\n"
#define MAIL "C: MAIL FROM:<a@example.org>\n"
#define MAIL_OK MAIL "S: 250 2.1.0 Ok\n"
#define READY_OK SMTP_CLIENT_READY, SMTP_TROUBLE_NONE
#define FAILS SMTP_CLIENT_FAILED
#define PIPELINES                                                                                  \
	{                                                                                          \
		.conf = {.pipeline = true }                                                        \
	}

static const struct row rows[] = {
	{ "one letter", { .rcpts = "b@x", .letter = "Subject: x\r\n\r\nhello\r\n" },
	    PLAIN_HI MAIL_OK
	    "C: RCPT TO:<b@x>\nS: 250 ok\nC: DATA\nS: 354 go\nC: Subject: x\nC: \nC: hello\n"
	    "C: .\nS: 250 taken\n",
	    READY_OK, "S" },
	{ "one octet of the letter at a time",
	    { .rcpts = "b@x", .letter = ".a\r\n..\nb\rc\r\n.\r\n\r", .piece = 1 },
	    PLAIN_HI MAIL_OK
	    "C: RCPT TO:<b@x>\nS: 250 ok\nC: DATA\nS: 354 go\nC: ..a\nC: ...\nC: b\nC: c\nC: ..\n"
	    "C: \nC: .\nS: 250 taken\n",
	    READY_OK, "S" },
	{ "no line end at the end", { .rcpts = "b@x", .letter = "abc" },
	    PLAIN_HI MAIL_OK
	    "C: RCPT TO:<b@x>\nS: 250 ok\nC: DATA\nS: 354 go\nC: abc\nC: .\nS: 250 taken\n",
	    READY_OK, "S" },
	{ "an empty letter", { .rcpts = "b@x", .letter = "" },
	    PLAIN_HI MAIL_OK
	    "C: RCPT TO:<b@x>\nS: 250 ok\nC: DATA\nS: 354 go\nC: .\nS: 250 taken\n",
	    READY_OK, "S" },
	{ "HELO when EHLO is refused (K1-13)", { .until = SMTP_STEP_HELLO },
	    HI "S: 502 what?\nC: HELO client.example\nS: 250 hello\n", READY_OK },
	{ "HELO is refused as well", { .until = SMTP_STEP_HELLO },
	    HI "S: 550 what?\nC: HELO client.example\nS: 550 no\n", FAILS, SMTP_TROUBLE_HELLO },
	{ "EHLO is refused for now", { .until = SMTP_STEP_HELLO }, HI "S: 451 later\n", FAILS,
	    SMTP_TROUBLE_HELLO },
	{ "EHLO only", { .conf = { .hello = SMTP_HELLO_EHLO }, .until = SMTP_STEP_HELLO },
	    HI "S: 500 what?\n", FAILS, SMTP_TROUBLE_HELLO },
	{ "no greeting wanted", { .conf = { .hello = SMTP_HELLO_NONE }, .rcpts = "b@x" },
	    "S: 220 hi\n" MAIL_OK
	    "C: RCPT TO:<b@x>\nS: 250 ok\nC: DATA\nS: 354 go\nC: x\nC: .\nS: 250 taken\n",
	    READY_OK, "S" },
	{ "the greeting is a refusal", { .until = SMTP_STEP_HELLO }, "S: 554 no\n", FAILS,
	    SMTP_TROUBLE_GREETING },
	{ "the greeting is 421", { .rcpts = "b@x" }, "S: 421 busy\n", SMTP_CLIENT_CLOSED,
	    SMTP_TROUBLE_SHUTDOWN, "N" },
	{ "a web server", { .until = SMTP_STEP_HELLO }, "S: HTTP/1.1 400 Bad Request\n",
	    SMTP_CLIENT_CLOSED, SMTP_TROUBLE_NOT_SMTP },
	{ "closed before the greeting", { .until = SMTP_STEP_HELLO }, "X\n", SMTP_CLIENT_CLOSED,
	    SMTP_TROUBLE_CLOSED },
	{ "closed in the middle of a reply", { .until = SMTP_STEP_HELLO }, HI "S: 250-a\nX\n",
	    SMTP_CLIENT_CLOSED, SMTP_TROUBLE_CLOSED },
	/* TLS */
	{ "STARTTLS", { .conf = { .tls = SMTP_TLS_MUST }, .until = SMTP_STEP_AUTH },
	    HI "S: 250-a\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 go\nT\nC: EHLO client.example\nS: "
	       "250 a\n",
	    READY_OK },
	{ "advertised and refused (K2-09), must",
	    { .conf = { .tls = SMTP_TLS_MUST }, .until = SMTP_STEP_AUTH },
	    HI "S: 250-a\nS: 250 STARTTLS\nC: STARTTLS\nS: 554 TLS not supported here\n", FAILS,
	    SMTP_TROUBLE_TLS_REFUSED },
	{ "advertised and refused, may", { .rcpts = "b@x" },
	    HI "S: 250-a\nS: 250 STARTTLS\nC: STARTTLS\nS: 554 TLS not supported here\n" MAIL_OK
	       "C: RCPT TO:<b@x>\nS: 250 ok\nC: DATA\nS: 354 go\nC: x\nC: .\nS: 250 taken\n",
	    READY_OK, "S" },
	{ "not offered, must", { .conf = { .tls = SMTP_TLS_MUST }, .until = SMTP_STEP_AUTH },
	    PLAIN_HI, FAILS, SMTP_TROUBLE_TLS_MISSING },
	{ "never", { .conf = { .tls = SMTP_TLS_NEVER }, .until = SMTP_STEP_AUTH },
	    HI "S: 250-a\nS: 250 STARTTLS\n", READY_OK },
	/* AUTH */
	{ "PLAIN",
	    { .conf = { .auth = true },
		.until = SMTP_STEP_AUTH,
		.mech = "PLAIN",
		.user = "username",
		.secret = "password" },
	    HI "S: 250-a\nS: 250-AUTH PLAIN LOGIN\nS: 250 AUTH=PLAIN LOGIN\n"
	       "C: AUTH PLAIN AHVzZXJuYW1lAHBhc3N3b3Jk\nS: 235 Authentication successful\n",
	    READY_OK },
	{ "PLAIN, no initial response",
	    { .conf = { .auth = true, .no_initial = true },
		.until = SMTP_STEP_AUTH,
		.mech = "PLAIN",
		.user = "username",
		.secret = "password" },
	    HI "S: 250-a\nS: 250 AUTH PLAIN\nC: AUTH PLAIN\nS: 334 go on\nC: "
	       "AHVzZXJuYW1lAHBhc3N3b3Jk\nS: 235 ok\n",
	    READY_OK },
	{ "LOGIN, prompts that are none (K3-18)",
	    { .conf = { .auth = true },
		.until = SMTP_STEP_AUTH,
		.mech = "LOGIN",
		.user = "username",
		.secret = "password" },
	    HI "S: 250-a\nS: 250 AUTH LOGIN\nC: AUTH LOGIN\nS: 334 VXNlcm57uWU6\nC: dXNlcm5hbWU=\n"
	       "S: 334 UFFzc3dzcmQ7!\nC: cGFzc3dvcmQ=\nS: 235 ok\n",
	    READY_OK },
	{ "LOGIN, refused",
	    { .conf = { .auth = true },
		.until = SMTP_STEP_AUTH,
		.mech = "LOGIN",
		.user = "username",
		.secret = "password" },
	    HI "S: 250-a\nS: 250 AUTH LOGIN\nC: AUTH LOGIN\nS: 334 VXNlcm5hbWU6\nC: dXNlcm5hbWU=\n"
	       "S: 334 UGFzc3dvcmQ6\nC: cGFzc3dvcmQ=\nS: 535 5.7.8 no\n",
	    FAILS, SMTP_TROUBLE_AUTH },
	{ "LOGIN, a third prompt",
	    { .conf = { .auth = true },
		.until = SMTP_STEP_AUTH,
		.mech = "LOGIN",
		.user = "username",
		.secret = "password" },
	    HI "S: 250-a\nS: 250 AUTH LOGIN\nC: AUTH LOGIN\nS: 334 VXNlcm5hbWU6\nC: dXNlcm5hbWU=\n"
	       "S: 334 UGFzc3dvcmQ6\nC: cGFzc3dvcmQ=\nS: 334 more\nC: *\nS: 501 cancelled\n",
	    FAILS, SMTP_TROUBLE_AUTH_PROOF },
	{ "SCRAM, a server that says yes at once",
	    { .conf = { .auth = true, .no_initial = true },
		.until = SMTP_STEP_AUTH,
		.mech = "SCRAM-SHA-256",
		.user = "u",
		.secret = "p" },
	    HI "S: 250-a\nS: 250 AUTH SCRAM-SHA-256\nC: AUTH SCRAM-SHA-256\nS: 235 welcome\n",
	    FAILS, SMTP_TROUBLE_AUTH_PROOF },
	{ "AUTH is not offered",
	    { .conf = { .auth = true }, .until = SMTP_STEP_AUTH, .mech = "LOGIN" }, PLAIN_HI, FAILS,
	    SMTP_TROUBLE_AUTH_MISSING },
	{ "AUTH is not offered, and forced (K0-26)",
	    { .conf = { .auth = true, .auth_force = true },
		.until = SMTP_STEP_AUTH,
		.mech = "LOGIN",
		.user = "username",
		.secret = "password" },
	    PLAIN_HI "C: AUTH LOGIN\nS: 334 VXNlcm5hbWU6\nC: dXNlcm5hbWU=\nS: 334 UGFzc3dvcmQ6\n"
		     "C: cGFzc3dvcmQ=\nS: 235 ok\n",
	    READY_OK },
	{ "the host has no login", { .conf = { .auth = true }, .until = SMTP_STEP_AUTH },
	    HI "S: 250-a\nS: 250 AUTH LOGIN\n", FAILS, SMTP_TROUBLE_AUTH_NONE },
	/* XCLIENT */
	{ "XCLIENT",
	    { .conf = { .xclient = { "NAME=a ADDR=192.0.2.1", 21 } }, .until = SMTP_STEP_AUTH },
	    HI
	    "S: 250-a\nS: 250 XCLIENT NAME ADDR\nC: XCLIENT NAME=a ADDR=192.0.2.1\nS: 220 again\n"
	    "C: EHLO client.example\nS: 250 a\n",
	    READY_OK },
	{ "XCLIENT is not offered",
	    { .conf = { .xclient = { "NAME=a", 6 } }, .until = SMTP_STEP_AUTH }, PLAIN_HI, FAILS,
	    SMTP_TROUBLE_XCLIENT },
	/* envelopes */
	{ "some recipients are refused", { .rcpts = "b@x c@x d@x" },
	    PLAIN_HI MAIL_OK
	    "C: RCPT TO:<b@x>\nS: 250 ok\nC: RCPT TO:<c@x>\nS: 550 5.1.1 no\nC: RCPT TO:<d@x>\n"
	    "S: 251 there\nC: DATA\nS: 354 go\nC: x\nC: .\nS: 250 taken\n",
	    READY_OK, "SRS" },
	{ "all recipients are refused", { .rcpts = "b@x c@x" },
	    PLAIN_HI MAIL_OK "C: RCPT TO:<b@x>\nS: 450 later\nC: RCPT TO:<c@x>\nS: 550 no\n", FAILS,
	    SMTP_TROUBLE_RCPT, "RR" },
	{ "the sender is refused", { .rcpts = "b@x c@x" }, PLAIN_HI MAIL "S: 550 no\n", FAILS,
	    SMTP_TROUBLE_MAIL, "RR" },
	{ "DATA is refused", { .rcpts = "b@x" },
	    PLAIN_HI MAIL_OK "C: RCPT TO:<b@x>\nS: 250 ok\nC: DATA\nS: 451 no\n", FAILS,
	    SMTP_TROUBLE_DATA, "R" },
	{ "the letter is refused", { .rcpts = "b@x" },
	    PLAIN_HI MAIL_OK
	    "C: RCPT TO:<b@x>\nS: 250 ok\nC: DATA\nS: 354 go\nC: x\nC: .\nS: 554 spam\n",
	    FAILS, SMTP_TROUBLE_LETTER, "R" },
	{ "lost behind the dot (RFC 1047)", { .rcpts = "b@x" },
	    PLAIN_HI MAIL_OK "C: RCPT TO:<b@x>\nS: 250 ok\nC: DATA\nS: 354 go\nC: x\nC: .\nX\n",
	    SMTP_CLIENT_CLOSED, SMTP_TROUBLE_LOST, "U" },
	{ "taken, and closed at once", { .rcpts = "b@x" },
	    PLAIN_HI MAIL_OK "C: RCPT TO:<b@x>\nS: 250 ok\nC: DATA\nS: 354 go\nC: x\nC: .\nS: 250 "
			     "taken\nC: QUIT\nX\n",
	    SMTP_CLIENT_READY, SMTP_TROUBLE_NONE, "S" },
	{ "lost at RCPT", { .rcpts = "b@x c@x" },
	    PLAIN_HI MAIL_OK "C: RCPT TO:<b@x>\nS: 250 ok\nC: RCPT TO:<c@x>\nX\n",
	    SMTP_CLIENT_CLOSED, SMTP_TROUBLE_CLOSED, "NN" },
	{ "421 at RCPT", { .rcpts = "b@x c@x d@x" },
	    PLAIN_HI MAIL_OK "C: RCPT TO:<b@x>\nS: 250 ok\nC: RCPT TO:<c@x>\nS: 421 bye\n",
	    SMTP_CLIENT_CLOSED, SMTP_TROUBLE_SHUTDOWN, "NRN" },
	{ "too many recipients for one transaction", { .rcpts = "b@x c@x d@x" },
	    PLAIN_HI MAIL_OK
	    "C: RCPT TO:<b@x>\nS: 250 ok\nC: RCPT TO:<c@x>\nS: 452 4.5.3 too many\n"
	    "C: RCPT TO:<d@x>\nS: 452 too many\nC: DATA\nS: 354 go\nC: x\nC: .\nS: 250 "
	    "taken\n" MAIL_OK
	    "C: RCPT TO:<c@x>\nS: 250 ok\nC: RCPT TO:<d@x>\nS: 250 ok\nC: DATA\nS: 354 go\nC: x\n"
	    "C: .\nS: 250 taken\n",
	    READY_OK, "SSS" },
	{ "452 that says something else", { .rcpts = "b@x c@x" },
	    PLAIN_HI MAIL_OK "C: RCPT TO:<b@x>\nS: 250 ok\nC: RCPT TO:<c@x>\nS: 452 4.2.2 full\n"
			     "C: DATA\nS: 354 go\nC: x\nC: .\nS: 250 taken\n",
	    READY_OK, "SR" },
	{ "max_rcpt", { .conf = { .max_rcpt = 2 }, .rcpts = "b@x c@x d@x" },
	    PLAIN_HI MAIL_OK
	    "C: RCPT TO:<b@x>\nS: 250 ok\nC: RCPT TO:<c@x>\nS: 250 ok\nC: DATA\nS: 354 go\nC: x\n"
	    "C: .\nS: 250 taken\n" MAIL_OK "C: RCPT TO:<d@x>\nS: 250 ok\nC: DATA\nS: 354 go\nC: x\n"
	    "C: .\nS: 250 taken\n",
	    READY_OK, "SSS" },
	{ "MAILMAX", { .conf = { .max_rcpt = 1, .mailmax = true }, .rcpts = "b@x c@x d@x" },
	    HI "S: 250-a\nS: 250 LIMITS MAILMAX=2 RCPTMAX=9\n" MAIL_OK
	       "C: RCPT TO:<b@x>\nS: 250 ok\nC: DATA\nS: 354 go\nC: x\nC: .\nS: 250 taken\n" MAIL_OK
	       "C: RCPT TO:<c@x>\nS: 550 no\n",
	    FAILS, SMTP_TROUBLE_SPENT, "SRN" },
	{ "MAILMAX, and nobody minds", { .conf = { .max_rcpt = 1 }, .rcpts = "b@x c@x" },
	    HI "S: 250-a\nS: 250 LIMITS MAILMAX=1\n" MAIL_OK
	       "C: RCPT TO:<b@x>\nS: 250 ok\nC: DATA\nS: 354 go\nC: x\nC: .\nS: 250 taken\n" MAIL_OK
	       "C: RCPT TO:<c@x>\nS: 250 ok\nC: DATA\nS: 354 go\nC: x\nC: .\nS: 250 taken\n",
	    READY_OK, "SS" },
	{ "max_rcpt, and the first two are refused: RSET",
	    { .conf = { .max_rcpt = 2 }, .rcpts = "b@x c@x d@x" },
	    PLAIN_HI MAIL_OK
	    "C: RCPT TO:<b@x>\nS: 550 ok\nC: RCPT TO:<c@x>\nS: 550 ok\nC: RSET\nS: 250 ok\n" MAIL_OK
	    "C: RCPT TO:<d@x>\nS: 250 ok\nC: DATA\nS: 354 go\nC: x\nC: .\nS: 250 taken\n",
	    READY_OK, "RRS" },
	{ "until mail", { .rcpts = "b@x", .until = SMTP_STEP_MAIL }, PLAIN_HI MAIL_OK, READY_OK,
	    "O" },
	{ "until rcpt", { .rcpts = "b@x c@x", .until = SMTP_STEP_RCPT },
	    PLAIN_HI MAIL_OK "C: RCPT TO:<b@x>\nS: 250 ok\nC: RCPT TO:<c@x>\nS: 550 ok\n", READY_OK,
	    "AR" },
	/* parameters */
	{ "parameters",
	    { .rcpts = "b@x",
		.e = { .size = 3,
		    .body = SMTP_BODY_8BIT,
		    .ret = { "HDRS", 4 },
		    .envid = { "a+b", 3 },
		    .by = { "120;R", 5 },
		    .auth = { "<>", 2 } } },
	    HI "S: 250-a\nS: 250-8bitmime\nS: 250-SIZE 100\nS: 250-DSN\nS: 250 AUTH PLAIN\n"
	       "C: MAIL FROM:<a@example.org> SIZE=3 BODY=8BITMIME RET=HDRS ENVID=a+2Bb AUTH=<>\nS: "
	       "250 ok\n"
	       "C: RCPT TO:<b@x>\nS: 250 ok\nC: DATA\nS: 354 go\nC: x\nC: .\nS: 250 taken\n",
	    READY_OK, "S" },
	{ "8BITMIME is not offered", { .rcpts = "b@x", .e = { .body = SMTP_BODY_8BIT } }, PLAIN_HI,
	    FAILS, SMTP_TROUBLE_LACKS, "N" },
	{ "too large", { .rcpts = "b@x", .e = { .size = 101 } }, HI "S: 250-a\nS: 250 SIZE 100\n",
	    FAILS, SMTP_TROUBLE_LACKS, "N" },
	{ "an address that ends the command", { .rcpts = "b@x>\rRSET" }, PLAIN_HI, FAILS,
	    SMTP_TROUBLE_ADDRESS, "N" },
	/* BDAT */
	{ "BDAT", { .rcpts = "b@x", .e = { .chunking = true }, .letter = ".a\r\nb\n", .piece = 4 },
	    HI "S: 250-a\nS: 250 CHUNKING\n" MAIL_OK
	       "C: RCPT TO:<b@x>\nS: 250 ok\nC: BDAT 4\nC: .a\nS: 250 ok\n"
	       "C: BDAT 3 LAST\nC: b\nS: 250 taken\n",
	    READY_OK, "S" },
	{ "a chunk is refused",
	    { .rcpts = "b@x", .e = { .chunking = true }, .letter = ".a\r\nb\n", .piece = 4 },
	    HI "S: 250-a\nS: 250 CHUNKING\n" MAIL_OK
	       "C: RCPT TO:<b@x>\nS: 250 ok\nC: BDAT 4\nC: .a\nS: 552 no\n",
	    FAILS, SMTP_TROUBLE_DATA, "R" },
	/* pipelining */
	{ "pipelining", { .conf = { .pipeline = true }, .rcpts = "b@x c@x" },
	    PIPE_HI MAIL "C: RCPT TO:<b@x>\nC: RCPT TO:<c@x>\nC: DATA\nS: 250 ok\nS: 250 ok\nS: "
			 "550 no\nS: 354 go\n"
			 "C: x\nC: .\nS: 250 taken\n",
	    READY_OK, "SR" },
	{ "pipelining is not offered", { .conf = { .pipeline = true }, .rcpts = "b@x" },
	    PLAIN_HI MAIL_OK
	    "C: RCPT TO:<b@x>\nS: 250 ok\nC: DATA\nS: 354 go\nC: x\nC: .\nS: 250 taken\n",
	    READY_OK, "S" },
	{ "pipelining, nobody is left and 354", { .conf = { .pipeline = true }, .rcpts = "b@x" },
	    PIPE_HI MAIL
	    "C: RCPT TO:<b@x>\nC: DATA\nS: 250 ok\nS: 550 no\nS: 354 go\nC: .\nS: 554 no\n",
	    FAILS, SMTP_TROUBLE_RCPT, "R" },
	{ "pipelining, nobody is left", { .conf = { .pipeline = true }, .rcpts = "b@x" },
	    PIPE_HI MAIL "C: RCPT TO:<b@x>\nC: DATA\nS: 250 ok\nS: 550 no\nS: 503 no\n", FAILS,
	    SMTP_TROUBLE_RCPT, "R" },
	{ "pipelining, the sender is refused", { .conf = { .pipeline = true }, .rcpts = "b@x c@x" },
	    PIPE_HI MAIL "C: RCPT TO:<b@x>\nC: RCPT TO:<c@x>\nC: DATA\nS: 550 who\nS: 503 no\nS: "
			 "250 oh\nS: 503 no\n",
	    FAILS, SMTP_TROUBLE_MAIL, "RR" },
	{ "pipelining until rcpt",
	    { .conf = { .pipeline = true }, .rcpts = "b@x", .until = SMTP_STEP_RCPT },
	    PIPE_HI MAIL "C: RCPT TO:<b@x>\nS: 250 ok\nS: 250 ok\n", READY_OK, "A" },
	/* LMTP */
	{ "LMTP", { .conf = { .lmtp = true }, .rcpts = "b@x c@x d@x" },
	    "S: 220 hi\nC: LHLO client.example\nS: 250 a\n" MAIL_OK
	    "C: RCPT TO:<b@x>\nS: 250 ok\nC: RCPT TO:<c@x>\n"
	    "S: 550 no\nC: RCPT TO:<d@x>\nS: 250 ok\nC: DATA\nS: 354 go\nC: x\nC: .\nS: 250 ok\nS: "
	    "452 full\n",
	    FAILS, SMTP_TROUBLE_LETTER, "SRR" },
	{ "LMTP, lost between the answers", { .conf = { .lmtp = true }, .rcpts = "b@x c@x" },
	    "S: 220 hi\nC: LHLO client.example\nS: 250 a\n" MAIL_OK
	    "C: RCPT TO:<b@x>\nS: 250 ok\nC: RCPT TO:<c@x>\n"
	    "S: 250 ok\nC: DATA\nS: 354 go\nC: x\nC: .\nS: 250 ok\nX\n",
	    SMTP_CLIENT_CLOSED, SMTP_TROUBLE_LOST, "SU" },
	/* odd servers */
	{ "rubbish between replies", { .until = SMTP_STEP_HELLO },
	    HI "S: 250-a\nS: hello?\nS: 250 b\n", READY_OK },
	{ "no 221 (K3-22)", { .until = SMTP_STEP_HELLO }, PLAIN_HI "C: QUIT\nX\n", READY_OK },
};

static void
test_dialogues(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		for (size_t split = 0; split < 12; split++)
			play(&rows[i], split);
}

/* Whatever comes, it ends: no loop, no overrun. */
static void
test_any_octets(void **state)
{
	static const char *const words[] = { "250 ok\r\n", "250-", "334 \r\n", "421 x\r\n", "\r\n",
		"550 5.1.1 n\r\n", "220 hi\r\n", "354 go\r\n", "\n", "2", "rubbish\n", "235 y\r\n",
		"250-AUTH LOGIN\r\n", "452 4.5.3\n", "250-PIPELINING\r\n", "250-STARTTLS\r\n" };
	unsigned seed = 1;
	for (int round = 0; round < 20000; round++) {
		struct smtp_client_rcpt rcpts[3] = { { .addr = STR("b@x") }, { .addr = STR("c@x") },
			{ .addr = STR("d@x") } };
		struct smtp_client_envelope e = {
			.from = STR("a@x"), .rcpts = rcpts, .n_rcpts = 3
		};
		struct smtp_client_conf conf = { .name = STR("me"),
			.pipeline = round % 2,
			.lmtp = round % 3 == 0,
			.max_rcpt = (uint64_t)(round % 5) };
		struct smtp_client *c = smtp_client_new(&conf);
		struct smtp_client_event ev;
		smtp_client_letter(c, &e, SMTP_STEP_DOT);
		int turns = 0, fed = 0;
		for (bool over = false; !over; turns++) {
			assert_true(turns < 2000);
			switch (smtp_client_next(c, &ev)) {
			case SMTP_CLIENT_READ:
				if (fed++ > 200) {
					smtp_client_closed(c);
				} else {
					seed = seed * 1103515245u + 12345u;
					smtp_client_feed(c,
					    str_of(words[(seed >> 16) % ARRAY_LEN(words)]));
				}
				break;
			case SMTP_CLIENT_TLS:
				smtp_client_secured(c);
				break;
			case SMTP_CLIENT_AUTH:
				smtp_client_auth_none(c);
				break;
			case SMTP_CLIENT_DATA:
				smtp_client_data(c, STR("x\r\n"), true);
				break;
			case SMTP_CLIENT_READY:
			case SMTP_CLIENT_FAILED:
			case SMTP_CLIENT_CLOSED:
				over = true;
				break;
			case SMTP_CLIENT_SEND:
			case SMTP_CLIENT_REPLY:
			case SMTP_CLIENT_NOTE:
			case SMTP_CLIENT_RESULT:
				break;
			}
		}
		for (size_t i = 0; i < 3; i++)
			assert_true(rcpts[i].fate > SMTP_FATE_ACCEPTED);
		smtp_client_free(c);
	}
}

/* A token that a process elsewhere made is shown nowhere. */
static void
test_a_remote_login_is_masked(void **state)
{
	struct smtp_client_conf conf = { .name = STR("me"), .auth = true };
	struct smtp_client *c = smtp_client_new(&conf);
	struct smtp_client_event ev;
	static const char *const said[] = { "220 hi\r\n", "250-x\r\n250 AUTH GSSAPI\r\n" };
	enum smtp_client_todo todo;
	smtp_client_go(c, SMTP_STEP_AUTH);
	for (size_t i = 0; (todo = smtp_client_next(c, &ev)) != SMTP_CLIENT_AUTH;) {
		assert_true(todo != SMTP_CLIENT_READ || i < ARRAY_LEN(said));
		if (todo == SMTP_CLIENT_READ)
			smtp_client_feed(c, str_of(said[i++]));
	}
	smtp_client_auth_remote(c, STR("GSSAPI"), &STR("ticket"), false);
	assert_int_equal(smtp_client_next(c, &ev), SMTP_CLIENT_SEND);
	assert_true(str_eq(ev.octets, STR("AUTH GSSAPI dGlja2V0\r\n")));
	assert_true(str_eq(ev.masked, STR("AUTH GSSAPI <token hidden>")));
	smtp_client_free(c);
}

static void
test_long_lines(void **state)
{
	struct smtp_client_conf conf = { .name = STR("me") };
	struct smtp_client *c = smtp_client_new(&conf);
	struct smtp_client_event ev;
	char block[4096];
	memset(block, 'a', sizeof(block));
	smtp_client_go(c, SMTP_STEP_GREETING);
	smtp_client_feed(c, STR("220 "));
	for (int i = 0; i < 1000; i++) {
		/* The line is over its cap with the sixth block: what is kept of it is the answer.
		 */
		enum smtp_client_todo todo = smtp_client_next(c, &ev);
		assert_int_equal(todo, i < 5    ? SMTP_CLIENT_READ
				       : i == 5 ? SMTP_CLIENT_REPLY
						: SMTP_CLIENT_READY);
		smtp_client_feed(c, str_n(block, sizeof(block)));
		assert_true(smtp_client_memory(c) < (200u << 10));
		if (i > 6)
			break;
	}
	smtp_client_free(c);
}

/* Up to an event of this kind; what it sends on the way goes to out. said: replies, each when it is
 * waited for, parted by "|". */
static enum smtp_client_todo
until(struct smtp_client *c, enum smtp_client_todo what, struct buf *out, const char *said)
{
	struct smtp_client_event ev;
	struct str rest = str_of(said);
	for (int turns = 0; turns < 100; turns++) {
		enum smtp_client_todo todo = smtp_client_next(c, &ev);
		if (todo == SMTP_CLIENT_SEND)
			buf_puts(out, ev.octets);
		if (todo == what || todo >= SMTP_CLIENT_READY)
			return todo;
		if (todo == SMTP_CLIENT_READ)
			smtp_client_feed(c, str_cut(&rest, '|'));
	}
	fail_msg("it does not end");
	return SMTP_CLIENT_READ;
}

/* Where TLS must be, no order goes on without it, not the second one either. */
static void
test_never_in_clear(void **state)
{
	static const char *const heard[] = { "220 hi\r\n|250 a\r\n",
		"220 hi\r\n|250-a\r\n250 STARTTLS\r\n|454 not now\r\n" };
	for (size_t i = 0; i < ARRAY_LEN(heard); i++) {
		struct smtp_client_conf conf = { .name = STR("me"), .tls = SMTP_TLS_MUST };
		struct smtp_client *c = smtp_client_new(&conf);
		struct smtp_client_rcpt rcpt = { .addr = STR("b@x") };
		struct smtp_client_envelope e = {
			.from = STR("a@x"), .rcpts = &rcpt, .n_rcpts = 1
		};
		struct buf out = BUF_INIT(10000);
		smtp_client_go(c, SMTP_STEP_AUTH);
		assert_int_equal(until(c, SMTP_CLIENT_READY, &out, heard[i]), SMTP_CLIENT_FAILED);
		enum smtp_trouble t = smtp_client_trouble(c);
		buf_reset(&out);
		smtp_client_letter(c, &e, SMTP_STEP_DOT);
		assert_int_equal(until(c, SMTP_CLIENT_READY, &out, ""), SMTP_CLIENT_FAILED);
		assert_int_equal(smtp_client_trouble(c), t);
		assert_int_equal(out.len, 0);
		assert_int_equal(rcpt.fate, SMTP_FATE_UNSENT);
		buf_done(&out);
		smtp_client_free(c);
	}
}

/* What comes in clear between the answer to STARTTLS and the handshake is nobody's word. */
static void
test_said_before_tls(void **state)
{
	struct smtp_client_conf conf = { .name = STR("me") };
	struct smtp_client *c = smtp_client_new(&conf);
	struct buf out = BUF_INIT(10000);
	smtp_client_go(c, SMTP_STEP_AUTH);
	assert_int_equal(until(c, SMTP_CLIENT_TLS, &out,
			     "220 hi\r\n|250-a\r\n250 STARTTLS\r\n|220 go\r\n"),
	    SMTP_CLIENT_TLS);
	smtp_client_feed(c, STR("250 evil\r\n"));
	assert_int_equal(until(c, SMTP_CLIENT_TLS, &out, ""), SMTP_CLIENT_CLOSED);
	assert_int_equal(smtp_client_trouble(c), SMTP_TROUBLE_INJECTED);
	buf_done(&out);
	smtp_client_free(c);
}

/* A letter whose end was not sent is nowhere (RFC 5321 4.1.1.4), and may be sent again. */
static void
test_lost_before_the_end(void **state)
{
	for (int sends = 0; sends < 3; sends++) {
		struct smtp_client_conf conf = { .name = STR("me") };
		struct smtp_client *c = smtp_client_new(&conf);
		struct smtp_client_rcpt rcpt = { .addr = STR("b@x") };
		struct smtp_client_envelope e = {
			.from = STR("a@x"), .rcpts = &rcpt, .n_rcpts = 1
		};
		struct smtp_client_event ev;
		struct buf out = BUF_INIT(10000);
		smtp_client_letter(c, &e, SMTP_STEP_DOT);
		assert_int_equal(until(c, SMTP_CLIENT_DATA, &out,
				     "220 hi\r\n|250 a\r\n|250 ok\r\n|250 ok\r\n|354 go\r\n"),
		    SMTP_CLIENT_DATA);
		smtp_client_data(c, STR("hello\r\n"), true);
		for (int i = 0; i < sends; i++)
			assert_int_equal(smtp_client_next(c, &ev), SMTP_CLIENT_SEND);
		smtp_client_closed(c);
		assert_int_equal(until(c, SMTP_CLIENT_READY, &out, ""), SMTP_CLIENT_CLOSED);
		assert_int_equal(rcpt.fate, sends < 2 ? SMTP_FATE_UNSENT : SMTP_FATE_UNKNOWN);
		assert_int_equal(smtp_client_trouble(c),
		    sends < 2 ? SMTP_TROUBLE_CLOSED : SMTP_TROUBLE_LOST);
		buf_done(&out);
		smtp_client_free(c);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_never_in_clear),
		cmocka_unit_test(test_said_before_tls),
		cmocka_unit_test(test_lost_before_the_end),
		cmocka_unit_test(test_dialogues),
		cmocka_unit_test(test_any_octets),
		cmocka_unit_test(test_a_remote_login_is_masked),
		cmocka_unit_test(test_long_lines),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
