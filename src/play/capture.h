/*
 * capture: a recorded conversation as a list of what was said: telnet's screen as people paste it
 * into pages, with or without the labels c: and s:, with text around it or not, and the transcripts
 * of `pennypost talk` (telnet, json, html). Pure.
 *
 * Without labels, a line that reads as the protocol's reply is the server's; what stands between
 * two replies, is a known command, answers a 334 or is content behind a 354 is the client's; all
 * else is somebody's prose and ends the session or stands outside of it. What telnet itself says
 * (Trying, Connected to, Escape character) and the shell's line are left out.
 *
 * The capture owns its text; every struct str in it is a view of that text.
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CAPTURE_TEXT_MAX (16u << 20)

enum capture_proto { CAPTURE_SMTP, CAPTURE_IMAP, CAPTURE_POP3 };
enum capture_op {
	CAPTURE_SENT,
	CAPTURE_CAME,
	CAPTURE_TLS,    /* the handshake */
	CAPTURE_CLOSED, /* by the server */
};

struct capture_line {
	enum capture_op op;
	struct str text; /* SENT, CAME: without the line end */
	int line;        /* where it stands, from 1 */
	bool content;    /* SENT: of a letter */
	bool masked;     /* SENT: a secret was taken out, "<password hidden>" */
};

struct capture_session {
	struct capture_line *v;
	size_t n;
	struct str host; /* as telnet was told; may be empty */
	uint16_t port;   /* 0: not said */
	enum capture_proto proto;
	bool implicit;   /* TLS from the start */
};

struct capture {
	char *text;
	struct capture_session *v;
	size_t n;
};

/* False with a sentence in err when there is no conversation in it. capture_done() is due in either
 * case. */
bool capture_parse(struct capture *c, struct str text, struct buf *err);
void capture_done(struct capture *c);
/* Is it the last line of its reply? */
bool capture_is_last(enum capture_proto proto, struct str line);
