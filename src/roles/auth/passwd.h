/*
 * passwd: the file of what lets accounts in, one line for each:
 *
 *   name:hash[TAB field]...
 *
 * name is a folded address, or, for an account without a mailbox, a login name of any octets
 * written as <...>: octets that are not printable ASCII, and '%', '<' and '>', as %XX. hash is one
 * of crypt(3); '*' in its place: no password fits; with '!' in front the account is locked: nothing
 * lets anybody in. Fields: SCRAM verifiers (RFC 5803), and where it was asked for
 *
 *   password-in-clear=...
 *
 * the password itself, written like a name. A line of earlier versions is name and hash alone. The
 * file is small enough to be held in memory and is replaced as a whole, so a reader of it never
 * sees half a change.
 */
#pragma once

#include "base/buf.h"
#include "base/map.h"
#include "base/str.h"
#include "roles/auth/hash.h"
#include "sasl/sasl.h"

#include <stdbool.h>
#include <stdint.h>

#define PASSWD_FILE_MAX (64u << 20)
#define PASSWD_NAME_MAX 512 /* with NUL: of a folded address or a login name */
#define PASSWD_MODE 0600

/* What one line says behind the name. Wipe it. */
struct passwd_keys {
	char hash[HASH_MAX];
	struct sasl_scram scram1, scram256;
	bool has_scram1, has_scram256;
	char secret[HASH_PASSWORD_MAX]; /* "": not kept */
};
/* NULL, or what is wrong with the text and what to do. */
const char *passwd_keys_get(struct str text, struct passwd_keys *ret);
void passwd_keys_put(struct buf *b, const struct passwd_keys *k);
bool passwd_locked(const struct passwd_keys *k);

struct passwd {
	struct map map;   /* name -> char * text of its keys */
	struct map local; /* local part -> struct local *: whose it is */
};

/* Folds an address as the file has it; false when it is none. */
bool passwd_name(struct str s, char dst[PASSWD_NAME_MAX]);
/* A login name of any octets but NUL: folded if it is an address, else as it is. */
bool passwd_octets(struct str s, char dst[PASSWD_NAME_MAX]);
/* How the file and lists write a name, and back. */
void passwd_name_put(struct buf *b, struct str name);
bool passwd_name_read(struct str s, char dst[PASSWD_NAME_MAX]);

/* Adds the lines of text. False, with "shown:line: what; remedy" in err. */
bool passwd_parse(struct passwd *p, struct str text, const char *shown, struct buf *err);
/* A file that is not there is an empty one; in err the file is called `shown`. */
bool passwd_load(struct passwd *p, const char *path, const char *shown, struct buf *err);
void passwd_done(struct passwd *p); /* wipes the keys */

const char *passwd_find(const struct passwd *p, const char *name); /* NULL: not there */
/*
 * Whose login is this? The name itself; or, without a domain, the account of that local part at
 * hostname, else at the domain that hostname is in, else the only one of that local part. True:
 * dst is an account. False: dst is the login, folded where it can be and completed with the domain
 * that hostname is in, for counting and for what is made up.
 */
bool passwd_resolve(
    const struct passwd *p, struct str login, const char *hostname, char dst[PASSWD_NAME_MAX]);
uint64_t passwd_count(const struct passwd *p);
/* keys: the text behind the name; NULL: take it away. */
void passwd_set(struct passwd *p, const char *name, const char *keys);
/* The file as it would be with that change, sorted. out fails when it would be too large. */
void passwd_text(const struct passwd *p, const char *name, const char *keys, struct buf *out);
/* All names, sorted; xalloc'ed, views into p. */
struct str *passwd_names(const struct passwd *p, size_t *ret_n);
