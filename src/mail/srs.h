/*
 * srs: the Sender Rewriting Scheme: a sender address of ours that leads back to another's.
 *
 * A letter that an alias sends on carries a sender of our domain, or SPF would refuse it where it
 * goes. ann@example.net becomes SRS0=HASH=DAY=example.net=ann@ours, and a report that comes there
 * goes on to ann. An address that another forwarder has made so becomes SRS1=HASH=theirs==...@ours,
 * however many there were: the report goes to the first of them.
 *
 * HASH is a keyed digest of all that follows it, in small letters, so that nobody can make such an
 * address and one still leads back when its letters' case was changed on its way. DAY is when it was
 * made; it is good for SRS_DAYS. Pure: keys and day are passed in.
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"
#include "mail/address.h"

#include <stdbool.h>
#include <stdint.h>

#define SRS_KEY_LEN 32
#define SRS_KEYS_MAX 16
#define SRS_DAYS 21

/* The first makes addresses, all of them check. */
struct srs_keys {
	size_t n;
	unsigned char key[SRS_KEYS_MAX][SRS_KEY_LEN];
};

/* A file of keys: 64 hexadecimal digits a line, newest first; empty lines and # lines do not count.
 * NULL, or what is wrong with it. */
const char *srs_keys_read(struct srs_keys *ret, struct str text);

enum srs_verdict {
	SRS_OK,
	SRS_NONE,   /* not of this form; or what would be made has no room (RFC 5321 4.5.3.1.1) */
	SRS_FORGED,
	SRS_OLD,
	SRS_VERDICTS
};
/* Does the local part begin as these do? */
bool srs_is(struct str local);
/* Appends the address at `domain` that leads back to a. day: since 1970. Out as before unless OK. */
enum srs_verdict srs_make(const struct srs_keys *keys, const struct addr *a, struct str domain,
    int64_t day, struct buf *out);
/* Appends the address that a leads back to. */
enum srs_verdict srs_read(const struct srs_keys *keys, const struct addr *a, int64_t day,
    struct buf *out);
