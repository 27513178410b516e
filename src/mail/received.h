/*
 * received: the fields the server writes in front of a letter. Pure text building; every
 * piece of peer data is cleaned (control characters become '?', a comment's parentheses and
 * backslashes are quoted), so no peer can add a field or a line.
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

struct received {
	struct str helo;       /* as the peer said it, or empty */
	struct str peer_name;  /* verified reverse name, or empty */
	struct str peer_ip;    /* text; IPv6 without the IPv6: tag; empty: it came by a unix socket */
	struct str by;         /* our host name */
	struct str with;       /* SMTP, ESMTP, UTF8SMTP, ... RFC 5321 4.4, RFC 3848, RFC 6531 4.3 */
	struct str id;         /* queue id */
	struct str session;    /* session id: goes into the comment */
	struct str solicits;   /* classes that the sender named (RFC 3865 2.6), parted by commas, or empty */
	struct str rcpt;       /* for clause; empty: none (more than one recipient) */
	struct str tls;        /* "TLS1.3 ..." for the comment, or empty */
	int64_t sec;           /* when, and the zone to write it in */
	int zone;
};

/* "Received: from ... by ... with ... id ... for ...; date" CRLF, folded below 78 columns. */
void received_put(struct buf *b, const struct received *r);
/* "Return-Path: <a@b>" CRLF, "Delivered-To: a@b" CRLF. */
void return_path_put(struct buf *b, struct str from);
void delivered_to_put(struct buf *b, struct str rcpt);

/* What R-MSG-2 adds. have_*: the letter has such a field already. */
struct added {
	bool have_from, have_date, have_message_id, have_dest; /* dest: To, Cc or Bcc */
	struct str from;   /* envelope sender; empty: MAILER-DAEMON@host */
	struct str host;
	struct str id;     /* unique part of the Message-ID */
	int64_t sec;
	int zone;
};
void added_put(struct buf *b, const struct added *a);
