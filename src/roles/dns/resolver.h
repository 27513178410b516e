/*
 * resolver: look-ups by libunbound, in a thread of its own, told on the loop's thread.
 *
 * resolver_new() reads every file that will ever be needed, so it comes before the sandbox;
 * resolver_go() comes behind it, because the thread that the library then starts must be bound
 * by the sandbox too.
 */
#pragma once

#include "base/buf.h"
#include "conf/conf.h"
#include "loop/loop.h"

#include <stdbool.h>
#include <stdint.h>

enum {
	DNS_A = 1, DNS_CNAME = 5, DNS_PTR = 12, DNS_MX = 15, DNS_TXT = 16, DNS_AAAA = 28,
	DNS_TLSA = 52,
};

enum lookup_verdict {
	LOOKUP_DATA,
	LOOKUP_NONE,   /* there is no such name, or it has no such record */
	LOOKUP_FAILED, /* nobody answered, or the answer is forged */
};
struct lookup_answer {
	enum lookup_verdict verdict;
	size_t n;
	struct str *data; /* of each record, as on the wire */
	uint32_t ttl;     /* of LOOKUP_NONE too */
	bool secure;      /* DNSSEC vouches for it, and for the aliases that led there */
	bool no_name;     /* LOOKUP_NONE: there is no such name at all */
	bool forged;      /* LOOKUP_FAILED: there was an answer, and DNSSEC says it is not true */
	const char *canonical; /* behind aliases, as text with a dot at its end; NULL: no alias */
	const char *why;  /* LOOKUP_FAILED: a clause, or "" */
};

#define LOOKUP_RECORDS_MAX 64 /* more of one answer are not looked at */

struct resolver;
struct lookup { /* embedded in its owner, who cancels it before he dies */
	struct resolver *resolver; /* NULL: nothing is open */
	int id;
	void (*fn)(void *arg, const struct lookup_answer *a); /* may ask again */
	void *arg;
};

struct resolver *resolver_new(const struct conf *c, struct buf *err);
bool resolver_go(struct resolver *r, struct loop *l, struct buf *err);
struct resolver *resolver_free(struct resolver *r); /* no look-up is open any more */
/* False: it cannot be asked; fn is not called. Else fn is called once, later, unless the look-up
 * is cancelled. There is no time limit but the library's own, which is long. */
bool lookup_ask(struct lookup *k, struct resolver *r, const char *name, int type);
void lookup_cancel(struct lookup *k);
