/*
 * https: one page of the web, as MTA-STS fetches its policies (RFC 8461 3.3): GET over TLS with a
 * certificate that is good for the host, no other way of being led elsewhere, no cache. Pages have
 * a ceiling and a minute.
 */
#pragma once

#include "client/dns.h"

#define HTTPS_PORT 443

struct https_page {
	const char *host, *path;
	uint16_t port;
	size_t max;             /* octets of the page */
};
/* CLIENT_OK and the page in body, or what went wrong: CLIENT_RESOLVE, CLIENT_CONNECT, CLIENT_TIMEOUT,
 * CLIENT_INTERRUPTED, CLIENT_TLS (also: an answer other than 200 with text/plain); a sentence in why.
 * like: family, source address, --resolve, authorities, time, stop. */
int https_get(const struct link_conf *like, struct dns *d, const struct https_page *page,
    struct buf *body, struct buf *why);
