/*
 * conv: a conversation file (.conv) as a list of steps. Pure: text comes in, values go out.
 *
 * One directive per line; blank lines and lines that begin with # are ignored.
 *
 *   @id @title @seed @proto @listen @tls @dialect @input @reqs   what the case is
 *   @set K=V  @user LOGIN PASSWORD [ADDR]  @user-plain B64  @mailbox ADDR  @domain D
 *                                                what the server must be like
 *   S: S?: S*: S=name:   the next server line      C: R:   what the client sends
 *   N: W: E: X: A: T: D:   silence, wait, close, connections, TLS, faults
 *   V:                   what the store must hold afterwards
 *
 * A parsed conversation owns its text; every struct str in it is a view of that text.
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONV_TEXT_MAX (4u << 20)
#define CONV_MS_MAX 600000u /* the longest N: or W: */

enum conv_proto { CONV_SMTP, CONV_IMAP, CONV_POP3, CONV_LMTP };
enum conv_tls { CONV_TLS_NONE, CONV_TLS_STARTTLS, CONV_TLS_IMPLICIT };
enum conv_input { CONV_CRLF, CONV_LF, CONV_KEYSTROKE };

enum conv_op {
	CONV_EXPECT, /* S:  the next line matches */
	CONV_MAYBE,  /* S?: an optional line */
	CONV_MANY,   /* S*: any number of lines */
	CONV_SEND,   /* C:  text and a line end */
	CONV_RAW,    /* R:  octets */
	CONV_SILENT, /* N:  nothing may arrive */
	CONV_WAIT,   /* W:  wait */
	CONV_TLS,    /* T:  TLS handshake */
	CONV_CLOSED, /* E:  the server closes */
	CONV_CLOSE,  /* X:  we close */
	CONV_CONN,   /* A:  use another connection */
	CONV_FAULT,  /* D:  make the server fail */
	CONV_VERIFY, /* V:  look into the store */
};

enum conv_verify {
	CONV_MAILBOX,   /* mailbox A count=N */
	CONV_MAXCOUNT,  /* maxcount A N */
	CONV_HEADER,    /* header A Name: ERE */
	CONV_NOHEADER,  /* noheader A Name */
	CONV_BODY,      /* body A ERE */
	CONV_NOBODY,    /* nobody A ERE */
	CONV_QUEUED,    /* queued A */
	CONV_NOTQUEUED, /* notqueued A */
};

struct conv_step {
	enum conv_op op;
	int line;
	struct str raw;   /* the whole directive, for messages */
	struct str text;  /* what stands behind the mark */
	struct str name;  /* S=name:, A: name, V: Name of a field */
	struct str addr;  /* V: the address */
	struct str ere;   /* S: and V: the pattern */
	uint64_t number;  /* N: W: milliseconds; V: count */
	enum conv_verify verify;
};

struct conv_set {
	struct str assignment; /* "key=value" */
	int line;
};

struct conv_user {
	struct str login, password;
	struct str address; /* may be empty: no mailbox */
};

struct conv {
	char *path;
	char *text;
	struct str id, title, seed, dialect, reqs;
	enum conv_proto proto;
	enum conv_tls tls;
	enum conv_input input;
	uint64_t listen;
	struct conv_set *sets;
	size_t n_sets;
	struct conv_user *users;
	size_t n_users;
	struct str *logins; /* @user-plain, in base64 */
	size_t n_logins;
	struct str *mailboxes;
	size_t n_mailboxes;
	struct str *domains;
	size_t n_domains;
	struct conv_step *steps;
	size_t n_steps;
};

/* Appends "path:line: what is wrong; what to write" to err for every mistake; false when there
 * was one. conv_done() is due in either case. */
bool conv_parse(struct conv *c, const char *path, struct str text, struct buf *err);
void conv_done(struct conv *c);
bool conv_is_name(struct str s); /* of a variable or connection: small letters and digits */
