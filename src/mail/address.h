/*
 * address: RFC 5321 4.1.2 paths, strictly inside the angle brackets; RFC 6531 for UTF-8.
 *
 * Accepted: <>, <local@domain>, <"quoted"@domain>, <local@[1.2.3.4]>, <local@[IPv6:...]>,
 * <postmaster>, and without the brackets where `loose` allows (R of K1-17). Refused, each with
 * its own verdict: source routes, NUL and other controls, percent and bang hacks (a '%' or '!'
 * in an unquoted local part, or a second '@'), shell bait (a local part that begins with '|',
 * '/' or ':', or holds a backquote, '$(' ... ), UTF-8 without leave, parts over their limits
 * (local 64, domain 255, label 63, path 256 octets; RFC 5321 4.5.3.1), labels that begin or
 * end in '-', empty labels.
 */
#pragma once

#include "base/str.h"

#include <stdbool.h>

#define ADDR_LOCAL_MAX 64
#define ADDR_DOMAIN_MAX 255
#define ADDR_PATH_MAX 256

enum addr_verdict {
	ADDR_OK,
	ADDR_SYNTAX,  /* no path here at all, or brackets do not match */
	ADDR_BAD,     /* a path, but local part or domain is malformed */
	ADDR_LONG,    /* a part is over its limit */
	ADDR_ROUTE,   /* source route, percent or bang hack */
	ADDR_BAIT,    /* looks like a program, file or shell text */
	ADDR_UTF8,    /* needs SMTPUTF8 */
	ADDR_COUNT
};

struct addr {
	struct str whole;  /* between the brackets, as given; empty for <> */
	struct str local;  /* as given, quotes included */
	struct str domain; /* as given, without '@'; brackets included for a literal */
	bool null;         /* <> */
	bool quoted;
	bool literal;
	bool utf8;         /* holds octets above 0x7f (valid UTF-8) */
};

enum { ADDR_LOOSE = 1u << 0 /* brackets may be missing */, ADDR_SMTPUTF8 = 1u << 1,
	ADDR_NULL = 1u << 2 /* <> allowed */,
	ADDR_BARE_POSTMASTER = 1u << 3 /* <postmaster> allowed */ };

/* Parses the path at the start of *in and advances *in behind it (only when ADDR_OK); what
 * follows must be the end or a blank. Views point into *in. */
enum addr_verdict addr_path(struct str *in, unsigned flags, struct addr *ret);
/* A mailbox "local@domain" that fills the whole view, for configuration and command line. */
enum addr_verdict addr_mailbox(struct str in, unsigned flags, struct addr *ret);
/* A domain name (not a literal) that fills the whole view. */
enum addr_verdict addr_domain(struct str in, unsigned flags);

/* The form under which local mailboxes are compared: lower-case ASCII, quotes removed where
 * they are not needed. Writes at most n-1 octets and NUL; false if it does not fit. */
bool addr_fold(const struct addr *a, char *dst, size_t n);
