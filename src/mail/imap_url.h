/*
 * imap_url: URLs of a letter or a part of it in a mailbox (RFC 5092), with what authorizes their
 * use (RFC 4467): ";EXPIRE=", ";URLAUTH=" access, and a token.
 *
 *   imap://alice%40example.com@mail.example.com/Sent;UIDVALIDITY=1/;UID=20/;SECTION=1.2/
 *     ;PARTIAL=0.100;EXPIRE=2026-12-01T00:00:00Z;URLAUTH=submit+alice%40example.com:internal:01...
 *
 * URLs of servers, mailboxes and searches name no letter and are refused, relative ones too.
 *
 * A token is two digits for how it was made, here "01", and in hexadecimal digits the HMAC-SHA-256
 * of the rump (the URL up to and with the access), under the key of the mailbox. Nothing of the
 * rump is decoded or folded for that (RFC 4467 6).
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

#define IMAP_URL_MAX 12000 /* octets: a section may name many header fields */
#define IMAP_URL_KEY_LEN 32
#define IMAP_URL_TOKEN_LEN 66

enum imap_url_access {
	IMAP_URL_NO_ACCESS, /* there is no URLAUTH */
	IMAP_URL_SUBMIT,    /* a submission server, for the user `may` */
	IMAP_URL_USER,      /* the user `may` */
	IMAP_URL_AUTHUSER,  /* whoever has logged in */
	IMAP_URL_ANONYMOUS, /* anybody */
};

/* Names are decoded, and have no control characters. */
struct imap_url {
	struct str user;      /* whose mailbox it is; empty: not said */
	struct str host;      /* as it stands, without its port */
	struct str mailbox;   /* UTF-8, as IMAP4rev2 writes it */
	uint32_t uidvalidity; /* 0: not said */
	uint32_t uid;
	struct str section; /* as in BODY[...]; empty: the whole letter */
	uint64_t off, len;  /* PARTIAL; else 0 and UINT64_MAX */
	bool expires;
	int64_t expire; /* Unix seconds: good up to and with them */
	enum imap_url_access access;
	struct str may;
	struct str rump;        /* views of the text that was parsed */
	struct str mech, token; /* empty: not there */
	/* private */
	char octets[IMAP_URL_MAX]; /* what the names are views of: the struct must not be copied */
};

/* NULL, or what is wrong with it. */
const char *imap_url_parse(struct str text, struct imap_url *ret);

void imap_url_token(struct str key, struct str rump, char ret[IMAP_URL_TOKEN_LEN]);
/* Is its token, made by the mechanism INTERNAL, the one that this key makes? The time it takes says
 * nothing of how much is right. */
bool imap_url_authentic(const struct imap_url *u, struct str key);
