/* Inside the look-up of where mail goes: route.c (questions), host.c (one host of an answer),
 * route_answer.c (what is said in the end). */
#pragma once

#include "roles/dns/dns_priv.h"

#define ROUTE_WHY_MAX 640
#define TLSA_NAMES 2
#define TLSA_OCTETS_MAX (24u << 10) /* encoded, of one host */
#define TLSA_NAME_MAX 300           /* "_25._tcp." in front of the longest name, and more */

struct route;

struct host {
	struct route *route;
	uint16_t preference;
	char name[HOST_NAME_MAX + 1];
	char canonical[HOST_NAME_MAX + 1]; /* behind its aliases, or "" */
	struct lookup v4, v6, more;        /* more: CNAME, then TLSA, one after the other */
	bool done;
	bool failed, forged, no_name;      /* an address look-up was; all of them said so */
	bool secure;
	bool insecure;                     /* an answer with addresses was not DNSSEC's */
	unsigned answered;                 /* of the two */
	uint16_t n_v4, n_v6;
	unsigned char addrs_v4[MX_ADDRS_MAX][ADDRESS_LEN], addrs_v6[MX_ADDRS_MAX][ADDRESS_LEN];
	enum tlsa_verdict tlsa;
	const char *base[TLSA_NAMES];      /* names at which TLSA records are looked for */
	size_t n_base, at_base;
	uint16_t n_tlsa;
	struct buf tlsas;                  /* encoded */
	char why[ROUTE_WHY_MAX];           /* it has no address */
};

/* Somebody who waits for the answer. */
struct waiter {
	struct list node;
	struct peer *peer; /* NULL: gone */
	uint64_t id;
};

struct route {
	struct list node; /* routes->open or ->waiting */
	struct routes *all;
	struct list waiters;
	struct buf key; /* the question, encoded */
	bool mx, want_tlsa, started;
	uint16_t port;
	char name[HOST_NAME_MAX + 1];
	int64_t until;
	uint32_t ttl;
	struct lookup where, sts, rua; /* MX and the two TXT records */
	unsigned texts_open;
	bool listed;                   /* the hosts are known */
	struct host *hosts;
	uint16_t n, n_done;
	enum mx_verdict verdict;       /* MX_OK until something else is known */
	bool secure, implicit;
	char canonical[HOST_NAME_MAX + 1];
	struct buf sts_id, rua_text;
	char why[ROUTE_WHY_MAX];
};

/* host.c: looks up what there is to know; route_host_done() follows, now or later. */
void host_begin(struct host *h);
void host_stop(struct host *h); /* no look-up is open any more; what is not known stays so */
void host_free(struct host *h);
bool route_ask_record(struct route *r, struct lookup *k, const char *name, int type,
    void (*fn)(void *arg, const struct lookup_answer *a), void *arg);
void route_ttl(struct route *r, const struct lookup_answer *a);
/* A name behind aliases, as libunbound writes it; "" when it is no host's. */
void route_canonical(const struct lookup_answer *a, const char *name, char out[HOST_NAME_MAX + 1]);

/* route.c */
void route_host_done(struct host *h);

/* route_answer.c: what is known, encoded. */
void route_answer_put(struct buf *b, const struct route *r);
/* The same with other seconds to live; false: it is none. */
bool route_answer_age(struct buf *b, struct str octets, uint32_t left);
void route_refuse_put(struct buf *b, enum mx_verdict verdict, const char *why);
