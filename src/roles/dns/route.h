/*
 * route: where the mail of a domain goes, with all that a relay needs to know before it connects:
 * MX, addresses, TLSA, the id of its MTA-STS policy, and where it wants reports about TLS.
 *
 * A question that is asked again while it is open joins it; one whose answer is remembered is
 * answered at once. At most ROUTES_OPEN are looked up at the same time, the others wait their turn,
 * and there is one limit of time for both.
 *
 * TLSA (RFC 7672 2.2): asked for when the addresses of a host are DNSSEC's, at the name behind its
 * aliases first and then at its own; when only the alias itself is, at its own. What cannot be had
 * for certain makes the host one that is down (TLSA_FAILED).
 */
#pragma once

#include "ipc/msg.h"
#include "roles/dns/records.h"

#include <stdint.h>

#define ROUTE_MS 20000         /* patience with one question */
#define ROUTES_OPEN 256        /* looked up at the same time */
#define ROUTES_MAX 4096        /* open and waiting; more are refused */
#define WAITERS_MAX 65536      /* for all of them */
#define ROUTE_CACHE_MAX 20000  /* answers that are remembered */
#define ROUTE_CACHE_OCTETS (32u << 20)
#define ROUTE_SECONDS_MAX 3600
#define ROUTE_SECONDS_MIN 1
#define ROUTE_LATER_SECONDS 10 /* how long "nobody answered" is remembered */

struct dns;
struct peer;
struct routes;

struct routes *routes_new(struct dns *d);
struct routes *routes_free(struct routes *rs); /* all, unanswered */
/* It ends in an answer (IPC_MX), now or later. */
void routes_ask(struct routes *rs, struct peer *p, uint64_t id, const struct msg_mx_ask *ask);
void routes_orphan(struct routes *rs, const struct peer *p); /* it has gone */
size_t routes_open(const struct routes *rs);
