/*
 * passwd: the file of password hashes, one line "address:hash" for each account that may log
 * in; addresses folded, hashes as crypt(3) writes them. A hash that begins with '!' or '*' is
 * locked: no password fits it. The file is small enough to be held in memory and is replaced as
 * a whole, so a reader of it never sees half a change.
 */
#pragma once

#include "base/buf.h"
#include "base/map.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

#define PASSWD_FILE_MAX (64u << 20)
#define PASSWD_NAME_MAX 512 /* with NUL: of a folded address */
#define PASSWD_MODE 0600

struct passwd {
	struct map map; /* address -> char * hash */
};

/* Folds an address as the file has it; false when it is none. */
bool passwd_name(struct str s, char dst[PASSWD_NAME_MAX]);

/* Adds the lines of text. False, with "shown:line: what; remedy" in err. */
bool passwd_parse(struct passwd *p, struct str text, const char *shown, struct buf *err);
/* A file that is not there is an empty one; in err the file is called `shown`. */
bool passwd_load(struct passwd *p, const char *path, const char *shown, struct buf *err);
void passwd_done(struct passwd *p); /* wipes the hashes */

const char *passwd_find(const struct passwd *p, const char *name); /* NULL: not there */
uint64_t passwd_count(const struct passwd *p);
/* hash NULL: take it away. */
void passwd_set(struct passwd *p, const char *name, const char *hash);
/* The file as it would be with that change, sorted. out fails when it would be too large. */
void passwd_text(const struct passwd *p, const char *name, const char *hash, struct buf *out);
/* All names, sorted; xalloc'ed, views into p. */
struct str *passwd_names(const struct passwd *p, size_t *ret_n);
