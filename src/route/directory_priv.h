/* directory_priv: how route/ looks into a directory. */
#pragma once

#include "base/wire.h"
#include "route/directory.h"

/* What an entry is; the first octet of its key. */
enum directory_kind {
	DIRECTORY_DOMAIN = 'D',   /* key: the domain; nothing else */
	DIRECTORY_USER = 'U',     /* key: folded address; str address as given, u64 account, with
	                           * DIRECTORY_LIMITED where it has a quota of its own */
	DIRECTORY_ALIAS = 'A',    /* key: folded address; str address as given, u32 n, n members */
	DIRECTORY_CATCHALL = 'C', /* key: the domain; as an alias */
	DIRECTORY_ELSEWHERE = 'E', /* key: folded address elsewhere that exists; nothing else */
	DIRECTORY_KNOWN = 'K'     /* key: a domain elsewhere that has one; nothing else */
};

#define DIRECTORY_LIMITED (1ull << 63)

/* Longest key: the kind, a folded local part (every octet might need a backslash), a domain. */
#define DIRECTORY_KEY_MAX (1 + 2 * ADDR_LOCAL_MAX + 2 + 1 + ADDR_DOMAIN_MAX + 1)

struct directory_key {
	char b[DIRECTORY_KEY_MAX];
	size_t len; /* 0: nothing can be found under it */
};

struct directory_key directory_key_domain(enum directory_kind kind, struct str domain);
struct directory_key directory_key_addr(enum directory_kind kind, const struct addr *a);

/* The entry under a key: *ret stands behind the key. */
bool directory_find(const struct directory *d, const struct directory_key *key, struct wire *ret);
char directory_separator(const struct directory *d); /* or 0 */
/* user+detail: the view ends before the separator. A quoted local part has no detail. */
bool directory_without_detail(const struct directory *d, const struct addr *a, struct addr *ret);
