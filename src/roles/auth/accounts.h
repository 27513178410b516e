/*
 * accounts: who may log in, for the threads that check. The loop's thread changes them; every
 * call locks for as long as it takes to copy.
 *
 * A name nobody has is given facts that are made up from the server's secret: the same every
 * time, so that it cannot be told from a name that somebody has.
 */
#pragma once

#include "roles/auth/passwd.h"
#include "sys/thread.h"

#include <stdbool.h>
#include <stdint.h>

#define ACCOUNTS_SECRET 32
#define REMEMBER_SLOTS 4096 /* right passwords known by their HMAC; power of two */
#define REMEMBER_MS 60000

struct accounts {
	struct mutex lock;
	struct passwd passwd;
	char hostname[256];
	unsigned char secret[ACCOUNTS_SECRET]; /* in DIR/auth: made-up facts are stable */
	char dummy[HASH_MAX];                  /* checked in place of an unknown account's */
	struct remembered *remembered;
	unsigned char remember_key[32];
};

/* False with a sentence in err. dir: the directory as we may name it; shown: as others do. */
bool accounts_init(struct accounts *a, const char *dir, const char *shown, struct buf *err);
void accounts_done(struct accounts *a); /* wipes */
void accounts_hostname(struct accounts *a, const char *hostname);
void accounts_set(struct accounts *a, const char *name, const char *keys); /* NULL: remove */

struct account {
	char name[PASSWD_NAME_MAX]; /* the account, or the login folded for counting */
	bool known;                 /* there is one, and it is not locked */
	bool locked;
	struct passwd_keys keys;
};
/* Wipe ret. */
void accounts_find(struct accounts *a, struct str login, struct account *ret);
/* What sasl_lookup_fn asks for. */
void accounts_facts(
    struct accounts *a, struct str login, const struct account *who, struct sasl_account *ret);
/* Is it the password of who? Takes as long for nobody's. */
bool accounts_check(struct accounts *a, const struct account *who, struct str password);
