/*
 * target: where an entry is to be brought, by its domain and the routes of the configuration.
 *
 *   mx:example.net            by MX records (RFC 5321 5.1)
 *   smtp:mail.example.net:25  this host, no MX (a host name, [192.0.2.1] or [IPv6:2001:db8::1])
 *   lmtp:127.0.0.1:24         LMTP over TCP
 *   lmtp:/run/dovecot/lmtp    LMTP over a unix socket
 *   turn:                     waits for ATRN (RFC 2645)
 *   hold:                     waits for an administrator
 *   error:5.1.2 TEXT          fails at once
 *
 * Pure. The route of a domain is that with the longest match: the domain itself, "*.example.net",
 * "*". A domain that no route matches goes by mx:. What one route brings to one target shares
 * connections, window and back-off.
 */
#pragma once

#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

#define TARGET_MAX 512

enum target_kind {
	TARGET_MX, TARGET_SMTP, TARGET_LMTP, TARGET_TURN, TARGET_HOLD, TARGET_ERROR, TARGET_KINDS
};
struct target {
	enum target_kind kind;
	struct str host;  /* without brackets; domain of an mx: */
	bool literal;     /* host is an IP address */
	uint16_t port;    /* 0: a unix socket, host is its path */
	char status[12];  /* error: "5.1.2" */
	struct str text;  /* error: */
};
bool target_parse(struct str text, struct target *ret); /* views of text */
/* A pattern of a route and how well it fits: 0 not at all, else more is better. */
unsigned target_match(struct str pattern, struct str domain);
