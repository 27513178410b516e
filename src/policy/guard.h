/*
 * guard: how long the answer to a login is held back, by the failures before it.
 *
 * Failures count per address prefix (IPv4 /32, IPv6 /64: the 16 octets of a tally key; empty:
 * from this machine, not counted) and per account name, known or not. Each count halves every
 * GUARD_HALF_LIFE_MS. The first GUARD_FREE failures cost nothing, then 1, 2, 4, 8 s and from
 * there on GUARD_DELAY_MAX_MS.
 *
 * A wrong password waits by the worse of the two counts. A right one waits by the count of its
 * address alone: who comes from an address without failures is never held up, even while others
 * attack the account; and from an address that guesses a quick answer tells nothing. The same
 * wrong password again for the same account (tag) is a program that was not told of a change, not
 * a guess: it waits, but does not count.
 *
 * Pure: the time comes in. Two tables of GUARD_SLOTS places, keyed; when the places for a key are
 * taken the count that matters least goes. So nobody can make it grow, and to push a count out
 * takes as many addresses as to start anew.
 */
#pragma once

#include "base/str.h"

#include <stdint.h>

#define GUARD_SLOTS 32768u /* of addresses, and as many of accounts; power of two */
#define GUARD_FREE 3u
#define GUARD_DELAY_MAX_MS 15000
#define GUARD_HALF_LIFE_MS (10 * 60 * 1000)

struct guard;
struct guard *guard_new(const unsigned char key[16]); /* key: random octets */
struct guard *guard_free(struct guard *g);

/* Counts a failure; how long its answer waits, in milliseconds. tag: of what was tried, 0: none
 * that could be compared. */
int64_t guard_failed(
    struct guard *g, struct str prefix, struct str account, uint64_t tag, int64_t now_ms);
/* How long the answer to a right password waits. Counts stay: an attacker has an account too. */
int64_t guard_passed(const struct guard *g, struct str prefix, int64_t now_ms);
