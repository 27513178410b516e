/*
 * entry: the one door to the mailboxes of an account. Whatever a front asks to read or to change
 * names a mailbox, by name or by number, and passes through here, in the reader and in the writer:
 * the name must be one that a mailbox may have, the mailbox must be there, and whoever asks must
 * have the right that the request needs. An owner has all rights in his own account; nobody has
 * any in another's.
 *
 * The writer keeps what it found (struct entries): its snapshots wait for the index, and only it
 * changes names. It forgets an account's names whenever one of them may have changed.
 */
#pragma once

#include "access/access.h"
#include "base/map.h"
#include "store/store.h"

#include <stdbool.h>
#include <stdint.h>

enum entry_right { /* RFC 4314 2.1 */
	ENTRY_LOOKUP = 1u << 0,
	ENTRY_READ = 1u << 1,
	ENTRY_FLAGS = 1u << 2,  /* of its letters */
	ENTRY_INSERT = 1u << 3,
	ENTRY_EXPUNGE = 1u << 4,
	ENTRY_CREATE = 1u << 5, /* names below it */
	ENTRY_DELETE = 1u << 6, /* itself */
};

struct entry {
	uint64_t account; /* whose it is */
	uint32_t mailbox;
};

/* What the writer remembers. All zeroes: nothing. */
struct entries {
	struct map accounts; /* account -> struct entry_names */
	size_t n;
};
void entries_forget(struct entries *all, uint64_t account);
void entries_done(struct entries *all);

/* 0: the account is there; -ENOENT: it was removed; or -errno. */
int entry_account(struct store *s, uint64_t account);
/* who: the account of the pass. all may be NULL. ACCESS_NOT_FOUND, ACCESS_CANNOT (no name of a
 * mailbox, or it cannot be selected), ACCESS_DENIED or ACCESS_FAILED. */
enum access_status entry_by_name(struct store *s, struct entries *all, uint64_t who,
    struct str name, unsigned rights, struct entry *ret);
enum access_status entry_by_number(struct store *s, struct entries *all, uint64_t who,
    uint32_t mailbox, unsigned rights, struct entry *ret);
/* Of a name that need not be there: may `who` make, remove or subscribe to it? */
enum access_status entry_may(uint64_t who, struct str name, unsigned rights, uint64_t *ret_account);
