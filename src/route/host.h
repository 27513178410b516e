/*
 * host: the domain of an address as DNS and the queue know it, and whether mail can go there at all.
 * Pure: nothing is looked up.
 */
#pragma once

#include "base/str.h"
#include "mail/address.h"

#include <stdbool.h>

#define HOST_MAX (ADDR_DOMAIN_MAX + 1) /* octets of a name with its NUL */

enum host_verdict {
	HOST_OK,
	HOST_NO_NAME, /* what IDNA forbids, or too long as A-labels */
	HOST_SINGLE,  /* one label: a name that means something inside one house only */
	HOST_NUMBER,  /* 192.0.2.1 without its brackets */
	HOST_STRANGE, /* a literal, but of no IP address */
	HOST_NOWHERE, /* an address at which no other server can be: loopback, multicast, 0.0.0.0 */
	HOST_VERDICTS
};
extern const char *const host_verdict_text[HOST_VERDICTS]; /* for replies: "... is ..." */

/* The name in lower-case A-labels; false: it has none. */
bool host_ascii(struct str domain, char ret[HOST_MAX]);
/* The domain of an address (RFC 5321 2.3.5, 4.1.3): A-labels, "[192.0.2.1]" or "[IPv6:2001:db8::1]".
 * ret holds it whenever there is one, also where the verdict is SINGLE, NUMBER or NOWHERE, which a
 * route may overrule; else it is empty. */
enum host_verdict host_of(const struct addr *a, char ret[HOST_MAX]);
/* The address of a literal that host_of() wrote, IPv4 mapped into IPv6. */
bool host_literal(struct str name, unsigned char ret[16]);
