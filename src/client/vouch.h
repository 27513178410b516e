/*
 * vouch: what says which server is the right one, beside the authorities that certificates have:
 * DANE (RFC 7672: the owner of the host puts its key into the DNS, and DNSSEC proves it) and
 * MTA-STS (RFC 8461: a web page of the domain names its hosts, which must have good certificates).
 *
 * A command fills in what was asked for and points link_conf.vouch to it. link_open() asks then,
 * before it connects, and refuses by CLIENT_TLS (or why it could not be asked); link_tls() obeys
 * what was found. What stands in struct vouched belongs to one link, from link_open() to
 * link_close().
 */
#pragma once

#include "cli/cli.h"
#include "client/dns.h"
#include "client/sts.h"
#include "tls/tls.h"

#define VOUCH_TLSA_MAX 32

struct vouch {
	bool dane, mta_sts;   /* --dane, --mta-sts */
	bool lenient;         /* what is wrong is said, and nothing is refused for it */
	uint64_t sts_port;    /* --sts-port; 0: 443 */
	char domain[DNS_NAME_MAX]; /* whose mail it is; "": of the host's name */
	bool by_mx;           /* the host is one that the domain's MX records name, */
	bool route_proven;    /* and DNSSEC has proven that, or the user said so */
	struct sts_found sts;
};

struct vouched {
	bool must_tls;       /* TLS is mandatory */
	bool must_verify;    /* and so is a good certificate, whatever link_conf.insecure says */
	bool testing;        /* MTA-STS in mode testing: what would be refused is said */
	size_t n_tlsa;
	struct tls_tlsa tlsa[VOUCH_TLSA_MAX]; /* that can be used; DANE decides with any of them */
	struct buf data;     /* theirs */
	struct buf objection; /* lenient: what would have refused the server, or "" */
	char matched[40];    /* behind link_tls(): "DANE-EE matched (3 1 1)", or "" */
};

void vouch_init(struct vouch *v);
void vouch_done(struct vouch *v);
/* From here on hosts are those of this domain. */
void vouch_route(struct vouch *v, const char *domain, const struct dns_route *r);
/* The domain is that of the recipients ("a@b, c@d"; "@FILE" says nothing). False with a sentence in
 * err: there are several. */
bool vouch_recipients(struct vouch *v, const struct cli_words *to, struct buf *err);

static inline bool
link_must_tls(const struct link *l)
{
	return l->vouched && l->vouched->must_tls;
}
