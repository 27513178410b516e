/*
 * user_priv: lines of passwd and shadow files and of Dovecot's passwd-files, taken apart. Pure.
 *
 * "name:secret[:anything]". The secret is a crypt(3) hash, or "{SCHEME}..." as Dovecot writes it.
 * A line whose secret lets nobody in (system accounts have "*", "!" or "!!") is left out.
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"

#include <stdbool.h>

enum user_kind {
	USER_NONE,     /* a comment, an empty line, or an account without a password: left out */
	USER_HASH,     /* of crypt(3) */
	USER_LOCKED,   /* the same with '!' in front */
	USER_SCRAM,    /* a verifier, as RFC 5803 writes it */
	USER_PASSWORD, /* itself */
	USER_BAD       /* what is wrong and what to do about it stands in `why` */
};
extern const char *const user_kind_name[]; /* "hash", "locked", ...; by kind */

struct user_line {
	enum user_kind kind;
	bool no_password; /* with NONE: it is an account, but none that could log in */
	char address[512];
	char secret[512]; /* wipe it */
	char why[256];
};
/* domain: of names without one, or NULL: there must be none. */
void user_line_parse(struct str line, const char *domain, struct user_line *ret);

struct ctl_call;
int user_import(struct ctl_call *call);
