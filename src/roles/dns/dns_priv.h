/*
 * Inside dns: questions of fronts (which name has this address?), of fetch (which addresses has this
 * name?) and of relays (where does the mail of this domain go? see route.h).
 *
 * A name is worth nothing until it leads back: whoever has a network writes into its reverse
 * zone what he likes. So the name of an address is asked for (PTR), then the addresses of that
 * name, and only one that has ours among them is told.
 *
 * Questions live in one list, oldest first; all have the same patience. Where there is no room
 * for one more, the answer is "no name" at once: names adorn, nobody waits for them.
 */
#pragma once

#include "base/list.h"
#include "base/map.h"
#include "conf/conf.h"
#include "ipc/chan.h"
#include "ipc/role.h"
#include "roles/dns/resolver.h"
#include "roles/dns/route.h"

#define JOBS_MAX 1024         /* open questions */
#define JOB_MS 5000           /* patience with one */
#define CANDIDATES_MAX 4      /* names of an address that are tried */
#define NAME_MAX_LEN 253      /* of a host name as text (RFC 1035 2.3.4) */
#define CACHE_MAX 10000       /* addresses whose names are remembered */
#define CACHE_OCTETS (4u << 20)
#define CACHE_SECONDS_MAX 3600
#define CACHE_SECONDS_MIN 10
#define ADDRESS_LEN 16

struct peer { /* who asks */
	struct dns *dns;
	struct chan *chan; /* NULL: not there */
};

struct job {
	struct list node; /* dns->jobs */
	struct dns *dns;
	struct peer *peer; /* NULL: the asker is gone */
	uint64_t id;
	int64_t until;
	struct lookup lookup;
	uint32_t ttl; /* of all that was learned */
	/* the name of an address */
	unsigned char address[ADDRESS_LEN];
	char name[CANDIDATES_MAX][NAME_MAX_LEN + 1];
	size_t n_names, next;
	/* the addresses of a name: name[0] */
	struct buf found;
};

struct cache {
	struct map map;
	struct list used; /* the least recently used first */
	size_t n, max, octets, max_octets;
};

struct dns {
	struct role role;
	struct conf *conf;
	struct resolver *resolver;
	struct peer front[FRONT_MAX], fetch, relay[RELAY_MAX];
	struct list jobs;
	size_t n_jobs;
	struct loop_timer *timer;
	struct cache cache;
	struct routes *routes;
	uint64_t n_asked;
};

/* job.c. Each ends in an answer, now or later. */
void job_name(struct peer *p, uint64_t id, const unsigned char address[ADDRESS_LEN]);
void job_addresses(struct peer *p, uint64_t id, struct str name);
void jobs_late(void *dns);                             /* the timer's */
void jobs_orphan(struct dns *d, const struct peer *p); /* nobody waits for these */
void jobs_drop(struct dns *d);                         /* all, unanswered */

/* name.c: pure. */
/* "4.3.2.1.in-addr.arpa." of 16 octets (IPv4 mapped into IPv6). */
#define REVERSE_MAX 80
void name_reverse(const unsigned char address[ADDRESS_LEN], char out[REVERSE_MAX]);
/* A name as on the wire, uncompressed, as lower-case text without a dot at its end; false when it
 * is no host name. */
bool name_text(struct str wire, char out[NAME_MAX_LEN + 1]);
bool name_is_mapped(const unsigned char address[ADDRESS_LEN]);
/* Is this record's data the address? */
bool name_same_address(struct str data, const unsigned char address[ADDRESS_LEN]);

/* cache.c: octets by octets, the least recently used forgotten first. */
void cache_init(struct cache *c, size_t max, size_t max_octets);
/* ret_value: valid until the next call; ret_left: seconds that it is good for. */
bool cache_get(struct cache *c, struct str key, int64_t now, struct str *ret_value,
    uint32_t *ret_left);
void cache_put(struct cache *c, struct str key, struct str value, int64_t now, uint32_t seconds);
void cache_done(struct cache *c);
