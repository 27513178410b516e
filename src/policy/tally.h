/*
 * tally: limits that count across fronts: connections in all, per listener, per address; TLS
 * sessions; octets of letters under way.
 *
 * Each front has a memfd of its own that it alone can write, and maps those of the others
 * read-only. So there is no lock to be left behind by a crash and no way for one front to
 * change another's numbers; when a front dies, parent replaces its memfd. A count is reserved
 * first (own table), then all tables are summed; over the limit, the reservation is taken back.
 * Two fronts that race may both refuse; they never both exceed.
 *
 * Addresses are counted as IPv4 /32 and IPv6 /64. The table holds TALLY_ADDRS addresses per
 * front; when it is full further ones are not counted singly (they are in the total).
 */
#pragma once

#include "ipc/msg.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#define TALLY_ADDRS 32768 /* per front; power of two */

struct tally_table; /* what lies in the memfd */
size_t tally_size(void);

struct tally {
	struct tally_table *own;
	const struct tally_table *other[FRONT_MAX]; /* our own among them, once; NULL: not there */
};

/* 16 octets: the address or its /64 as counted. */
struct tally_key {
	unsigned char b[16];
};
struct tally_key tally_key_of(const struct sockaddr *sa);

enum tally_verdict { TALLY_OK, TALLY_TOTAL, TALLY_LISTENER, TALLY_ADDRESS };

struct tally_limits {
	uint64_t total, listener, address; /* UINT64_MAX: off */
};
/* Counts a new connection; when the verdict is not TALLY_OK nothing is counted. Order of
 * checks: total, listener, address. */
enum tally_verdict tally_enter(struct tally *t, const struct tally_key *k, unsigned listener,
    const struct tally_limits *limits);
#define TALLY_NOWHERE LISTENER_MAX /* counted in all, and at no listener: its own is gone */
/* A connection counts at another listener from now on: a reload gave it another number. */
void tally_move(struct tally *t, unsigned from, unsigned to);
void tally_leave(struct tally *t, const struct tally_key *k, unsigned listener);
uint64_t tally_total(const struct tally *t);

/* One TLS session more; false, and nothing is counted, when there are `limit` already. */
bool tally_tls_enter(struct tally *t, uint64_t limit);
void tally_tls_leave(struct tally *t);
/* What our own front holds of letters that have no answer yet. */
void tally_octets_set(struct tally *t, uint64_t octets);
uint64_t tally_octets(const struct tally *t);
/* 1, 2, 3, ... over all fronts, since the start of their tables; two that ask at once may be told
 * the same. */
uint64_t tally_number(struct tally *t);
