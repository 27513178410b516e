/*
 * urlread: the octets that a URL of a letter means (RFC 5092 6, RFC 4467): the letter, a section of
 * it, or a range of one of these. Whether somebody may have them, the reader decides.
 *
 * The host asks what stands in ask and brings each answer; between two of them it may take its
 * time. A section needs the letter's outline, which is made from its octets where none is stored.
 */
#pragma once

#include "access/access.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

struct charsets;

enum urlread_step {
	URLREAD_ASK,    /* ask */
	URLREAD_OCTETS, /* octets are the next ones; then, while more are left, ask */
	URLREAD_NO,     /* status says why not */
};

struct urlread {
	struct access_ask ask;     /* its strings live as long as the urlread */
	struct str octets;         /* views of the answer, or of the urlread */
	uint64_t size, left;       /* of all, known with the first octets; that are to come */
	int64_t expire;            /* Unix seconds up to which the URL is good, or INT64_MAX */
	enum access_status status; /* as of ACCESS_URL */
};

/* who: the login of whoever wants them. submit: letters are handed in there. NULL: it is no such
 * URL; *ret_why says what is wrong. */
struct urlread *urlread_new(struct str url, struct str who, bool submit,
    const struct charsets *charsets, const char **ret_why);
struct urlread *urlread_free(struct urlread *u); /* NULL is fine; returns NULL */
enum urlread_step urlread_take(struct urlread *u, enum access_status status, struct str octets);
