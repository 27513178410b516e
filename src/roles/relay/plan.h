/*
 * plan: in which order hosts are tried, and what TLS each of them must show. Pure.
 *
 * Order: by preference; hosts of one preference in an order drawn by lot (RFC 5321 5.1). If we are
 * among the hosts, they and all that are not better than they are left out; when nothing is left, the
 * mail is looping. Addresses of a host: IPv6 and IPv4 by turns (RFC 8305 4), unless one family is off;
 * addresses of ours are left out in the same way.
 *
 * TLS, the first that fits:
 *   a route that says never, may, must or verify
 *   DANE (RFC 7672): MX records, addresses and TLSA records that DNSSEC vouches for, and a record
 *     that can be used: one of them must be about the certificate. With records that are there and
 *     cannot be used: TLS with any certificate. When the TLSA look-up fails: the host is barred, as
 *     if it were down.
 *   MTA-STS (RFC 8461) in mode enforce: hosts that the policy does not name are barred, the others
 *     need a certificate for their name. In mode testing the same is found out and told, and
 *     nothing is kept from being sent.
 *   else as relay.tls says: TLS where it is offered, and any certificate will do.
 * A letter with REQUIRETLS (RFC 8689) needs DANE, MTA-STS in mode enforce or verify, and the next server
 * must offer it too; one with TLS-Required: No is sent whatever DANE and MTA-STS say, and hosts are barred
 * to all others only.
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"
#include "conf/self.h"
#include "ipc/msg.h"
#include "queue/target.h"
#include "smtp/sts.h"
#include "tls/tls.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum plan_tls {
	PLAN_CLEAR,   /* no TLS */
	PLAN_MAY,     /* where it is offered; a certificate is looked at, and any will do */
	PLAN_ANY,     /* TLS, whatever the certificate */
	PLAN_VERIFY,  /* TLS, and a certificate for the name from an authority */
	PLAN_DANE,    /* TLS, and a certificate that the TLSA records are about */
	PLAN_TLS_COUNT
};
extern const char *const plan_tls_name[PLAN_TLS_COUNT];

/* Why: what the TLS of a host is founded on. */
enum plan_ground { GROUND_CONF, GROUND_ROUTE, GROUND_DANE, GROUND_STS, GROUND_STS_TESTING, GROUND_COUNT };

struct plan_host {
	char name[256];      /* or the address, of an address literal */
	uint16_t preference;
	unsigned char (*addrs)[16]; /* IPv4 mapped */
	size_t n_addrs;
	enum plan_tls tls;
	enum plan_ground ground;
	struct tls_tlsa *tlsa;
	size_t n_tlsa;
	char tlsa_base[256]; /* where they stand: the name in SNI, and one that is good */
	bool sts_would;      /* testing: the policy would not allow this host */
	bool vouched;        /* its name is: by DNSSEC, MTA-STS in mode enforce or a route (RFC 8689 4.2.1) */
	const char *barred;  /* why DANE or MTA-STS (ground) keeps letters from it; NULL: they do not */
};
struct plan {
	unsigned refs;
	struct buf store;    /* TLSA octets */
	enum mx_verdict verdict;
	bool ok;             /* there is a host that is not barred */
	/* when it is not ok */
	bool for_ever;
	uint8_t trouble;     /* enum job_trouble */
	char status[16];
	char why[400];
	struct plan_host *hosts; /* and those that are barred */
	size_t n;
	uint16_t port;
	/* DANE: the domain and what it is an alias of, when MX was secure: a certificate may be theirs */
	char next_hop[256], canonical[256];
	enum sts_mode sts; /* STS_NONE: none applies */
	char tls[8];       /* "auto", "never", ...: of the route, or relay.tls */
	char notes[512];   /* what was left out, and why: for history */
};

struct plan_conf {
	uint16_t port;
	bool ipv6;
	const char *tls; /* of the route, or of relay.tls */
	bool by_route;   /* the former */
	uint64_t lot;    /* for the order of hosts of one preference */
	const struct self *self;
};

/* mx: with verdict MX_OFF and no hosts for a target that needs no look-up. sts: NULL: none. */
struct plan *plan_new(const struct plan_conf *conf, const struct target *t, const struct msg_mx *mx,
    const struct sts_policy *sts);
/* Of a connection that is there (RFC 2645): whoever turned it has logged in, and TLS is the front's. tls:
 * there is some; without, letters with REQUIRETLS do not go over it. */
struct plan *plan_turn(const char *who, bool tls);
/* The host of that name, or NULL. p may be NULL. */
const struct plan_host *plan_host_of(const struct plan *p, struct str name);
struct plan *plan_ref(struct plan *p);
struct plan *plan_unref(struct plan *p); /* returns NULL */

/* Is the host barred to such a letter? */
bool plan_bars(const struct plan_host *h, bool requiretls, bool optional);
/* What a letter makes of a host's TLS. False: it cannot go there; why. */
bool plan_for_letter(const struct plan_host *h, bool requiretls, bool optional, enum plan_tls *ret,
    const char **ret_why);
/* Does a session that has shown so much (PLAN_CLEAR, or PLAN_ANY and more) do for a letter with that need? */
bool plan_suits(enum plan_tls shown, enum plan_tls need);
