/* sts: the policy of MTA-STS of a domain, found as senders find it (RFC 8461 3): a TXT record says
 * that there is one, a web page says what it is. */
#pragma once

#include "client/dns.h"
#include "smtp/sts.h"

enum sts_state {
	STS_UNASKED,
	STS_ABSENT, /* the domain has no record: nothing is asked for */
	STS_FAILED, /* there is one, or nobody knows, and the policy cannot be had: why */
	STS_FOUND,
};

struct sts_found {
	enum sts_state state;
	int status;              /* STS_FAILED: enum client_exit */
	char domain[DNS_NAME_MAX];
	char id[STS_ID_MAX + 1];
	struct buf text;         /* the page */
	struct sts_policy policy; /* views of it */
	struct buf why;
};

void sts_found_init(struct sts_found *f);
void sts_found_done(struct sts_found *f);
/* Asks, unless it is known already. port: of the web page; 0: 443. conf: as https_get() has it. */
void sts_find(struct sts_found *f, const struct link_conf *conf, struct dns *d, const char *domain,
    uint16_t port);
/* "mode enforce, max_age 604800, mx mx1.example.com, *.example.net": plain text. */
void sts_text(const struct sts_found *f, struct buf *out);
