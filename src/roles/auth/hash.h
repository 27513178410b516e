/*
 * hash: password hashes by crypt(3): yescrypt for new ones, whatever libxcrypt knows for old
 * ones. Both calls take tens of milliseconds and megabytes: they belong on a thread.
 */
#pragma once

#include <stdbool.h>

#define HASH_MAX 384          /* with NUL */
#define HASH_PASSWORD_MAX 512 /* with NUL: what crypt(3) takes */

/* A hash this crypt(3) can check, or a locked one ('!' or '*' in front); no blanks, colons or
 * control characters. */
bool hash_valid(const char *hash);
/* And it was not cut short, which would lock its user out. */
bool hash_complete(const char *hash);
/* False when crypt(3) refuses; never for a password that is within its length. */
bool hash_make(const char *password, char out[HASH_MAX]);
/* Takes as long for a wrong password as for the right one. */
bool hash_check(const char *password, const char *hash);
