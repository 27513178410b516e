/* cert_priv: what the files of `pennypost cert` share. */
#pragma once

#include "client/link.h"
#include "client/options.h"

#include <jansson.h>

#define CERT_CHAIN_MAX 16
#define CERT_SUITES_MAX 128
#define CERT_TLSA_MAX 32

struct cert_one {
	struct tls_peer_cert c;
	struct buf names; /* one a line */
};
struct cert_tlsa {
	unsigned usage, selector, type;
	char data[140];   /* the beginning, in hexadecimal */
	bool usable;      /* a form that mail knows (RFC 7672 3.1) */
	int match;        /* number of the certificate, or -1 */
};
struct cert_report {
	struct client_options *o;
	bool starttls;
	char peer[64];
	struct tls_facts facts;
	enum tls_trust trust;
	bool verified;
	char matched[40]; /* --dane: "DANE-EE matched (3 1 1)" */
	struct buf verdict;
	size_t n;
	struct cert_one chain[CERT_CHAIN_MAX];
	struct tls_ocsp ocsp;
	struct buf pem;
	int64_t now, left_days; /* of the certificate that ends first */
	/* --all-versions, --all-ciphers */
	struct {
		int version; /* 0x0301 .. */
		bool taken;
		char why[160]; /* when it is not */
		size_t n_suites;
		char suites[CERT_SUITES_MAX][64]; /* in the order in which the server chose them */
	} versions[4];
	size_t n_versions;
	/* The name service */
	bool dane_asked, dane_ad;
	char dane_why[200]; /* when there are no records */
	size_t n_tlsa;
	struct cert_tlsa tlsa[CERT_TLSA_MAX];
	bool sts_asked;
	char sts[256], sts_why[200];
};

/* Connects, and says what the protocol wants to hear before TLS. An enum client_exit; why in
 * l->why. */
int cert_open(struct cert_report *r, struct link *l, const struct link_conf *conf,
    struct events *ev);
const char *cert_alpn(enum client_proto proto);
/* cert_scan.c: which versions and suites the server takes. */
int cert_scan(struct cert_report *r);
/* cert_dns.c: TLSA and _mta-sts records; l: still open. */
void cert_dns(struct cert_report *r, const struct link *l);
/* cert_show.c */
void cert_show(const struct cert_report *r, FILE *to);
json_t *cert_json(const struct cert_report *r);
const char *cert_version_name(int version);
