/*
 * route: recipient -> where it goes. Pure, over a directory.
 *
 * Order for a local domain: exact user, exact alias, the address without its +detail, the
 * domain's catch-all; postmaster (with or without a local domain, any case; R-POST) always has
 * a place. Aliases expand depth first; a loop (an alias that leads back to itself) is cut there
 * and only a loop with nothing else in it is an error; one copy per mailbox however many ways
 * lead to it. Addresses compare as addr_fold() says.
 */
#pragma once

#include "base/buf.h"
#include "route/directory.h"

enum route_verdict {
	ROUTE_LOCAL,    /* at least one mailbox here (remote members besides are listed too) */
	ROUTE_REMOTE,   /* not ours: relaying, or an alias with remote members only */
	ROUTE_UNKNOWN,  /* our domain, nobody there */
	ROUTE_LOOP,     /* aliases in a circle and no mailbox at the end */
	ROUTE_TOO_MANY, /* more than the caps allow */
	ROUTE_COUNT
};

#define ROUTE_TARGETS_MAX ALIAS_MEMBERS_MAX

struct route_target {
	bool remote;
	bool limited;       /* has a quota of its own */
	uint64_t account;   /* when not remote */
	struct str address; /* what led here last (a view into the directory or the input) */
};

struct route_result {
	enum route_verdict verdict;
	struct route_target *target; /* owned; route_result_done() */
	size_t n_target;
	struct str fullname;         /* canonical address, for VRFY */
	bool is_alias;
};

void route_resolve(const struct directory *d, const struct addr *rcpt, struct route_result *ret);
void route_result_done(struct route_result *r);
