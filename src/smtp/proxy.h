/*
 * proxy: the header that a load balancer sends before everything else: for whom it has connected
 * (the PROXY protocol, versions 1 and 2). Not only for SMTP.
 *
 * Pure. Feed it all that has come so far until it is not PROXY_MORE. Whether a peer is believed is
 * the caller's to decide, before: from anybody else such a header is a lie.
 */
#pragma once

#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

#define PROXY_V1_MAX 107  /* octets of a line with its CRLF */
#define PROXY_V2_HEAD 16
#define PROXY_V2_MAX 536  /* octets behind the head that we take: addresses and TLVs */
#define PROXY_MAX (PROXY_V2_HEAD + PROXY_V2_MAX)

enum proxy_verdict {
	PROXY_MORE, /* good so far, not whole */
	PROXY_OK,
	PROXY_BAD   /* not a header, or too long a one: close */
};

struct proxy_end {
	unsigned char ip[16]; /* IPv4 as ::ffff:a.b.c.d */
	char text[46];        /* "192.0.2.1", "2001:db8::1" */
	uint16_t port;
};

struct proxy_info {
	bool local;           /* the proxy speaks for itself, or does not say for whom: the addresses
	                       * are those of the socket */
	bool unknown;         /* local, but somebody else's connection all the same */
	struct proxy_end from, to; /* unless local */
};

/* ret_used: octets of the header, with PROXY_OK; what follows is the client's. */
enum proxy_verdict proxy_parse(struct str in, struct proxy_info *ret, size_t *ret_used);
