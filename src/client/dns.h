/*
 * dns: what the client asks the name service (RFC 1035): a stub resolver of our own over UDP, and
 * TCP where an answer does not fit, that asks the name servers of /etc/resolv.conf or the one of
 * --dns. It tells apart what the system's functions throw together: a name that does not exist, a
 * name without such records, a server that failed, refused, kept silent or could not be reached,
 * and an answer that is none.
 *
 * --resolve NAME:ADDR comes first and answers every look-up of NAME. Addresses that the name service
 * does not know are looked for in the hosts file (getaddrinfo), unless --dns was given.
 *
 * Answers are hostile until they are read: lengths, counts, compression loops, alias loops and
 * owners are checked, and every text is plain: of names, octets other than letters, digits, "-",
 * "_", "*" come as "?"; of strings, controls come escaped.
 *
 * dns_query(), dns_read() and dns_name() are pure.
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"
#include "client/link.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define DNS_NAME_MAX 256      /* of a name as text, with its NUL */
#define DNS_RR_MAX 64         /* records kept of one answer */
#define DNS_TEXT_MAX (32u << 10) /* octets of the texts of one answer */
#define DNS_CHAIN_MAX 8       /* aliases of aliases */
#define DNS_QUERY_MAX 512
#define DNS_SERVERS_MAX 3
#define DNS_MX_MAX 32
#define DNS_ADDRS_MAX LINK_ADDRS_MAX

enum {
	DNS_A = 1, DNS_CNAME = 5, DNS_PTR = 12, DNS_MX = 15, DNS_TXT = 16, DNS_AAAA = 28, DNS_SRV = 33,
	DNS_OPT = 41, DNS_TLSA = 52,
};

enum dns_status {
	DNS_FOUND,
	DNS_NODATA,      /* the name exists, and has no such records */
	DNS_NXDOMAIN,    /* there is no such name */
	DNS_SERVFAIL,
	DNS_REFUSED,     /* and other codes that say no */
	DNS_TIMEOUT,
	DNS_UNREACHABLE, /* no name server could be asked */
	DNS_BROKEN,      /* what came is no answer: short, counts that lie, loops */
	DNS_BADNAME,     /* not a name that can be asked for */
	DNS_STOPPED,     /* a signal */
	DNS_STATUS_COUNT
};
/* "nxdomain"; a sentence to stand behind "example.com: "; what to do. */
extern const struct dns_status_text {
	const char *name, *text, *remedy;
} dns_status_text[DNS_STATUS_COUNT];
bool dns_is_final(enum dns_status s); /* asking again will not help: FOUND, NODATA, NXDOMAIN, BADNAME */

struct dns_rr {
	uint32_t ttl;
	uint16_t pref;            /* MX; SRV: priority */
	uint16_t weight, port;    /* SRV */
	char target[DNS_NAME_MAX]; /* MX, PTR, SRV, CNAME; "." for the root */
	int family;               /* A, AAAA */
	char addr[46];
	size_t at, len;           /* TXT, its strings put together; TLSA "3 1 1 HEX": in texts */
};

struct dns_answer {
	enum dns_status status;
	bool ad;                  /* the name server says that it has verified this (RFC 4035 3.2.3);
	                           * dns_ask(): and is to be believed (`trusted`) */
	bool truncated;           /* TC: ask by TCP */
	bool more;                /* more records than are kept */
	unsigned aliases;         /* CNAMEs that were followed */
	char owner[DNS_NAME_MAX]; /* where the records stand, behind the aliases */
	size_t n;
	struct dns_rr rr[DNS_RR_MAX];
	struct buf texts;
	char why[160];            /* one clause more for BROKEN and REFUSED, or "" */
};
void dns_answer_init(struct dns_answer *a);
void dns_answer_done(struct dns_answer *a);
struct str dns_rr_text(const struct dns_answer *a, size_t i);

/* The name as it is asked for: in A-labels (RFC 5891; capitals and forms of characters mapped as RFC
 * 5895 says), without a dot at the end. False with a sentence in err. */
bool dns_name(struct str text, char ret[DNS_NAME_MAX], struct buf *err);
/* Letters, digits, hyphens, no empty label: could it be a host's? */
bool dns_is_host(const char *name);
/* An IPv4 or IPv6 address, brackets allowed: AF_INET, AF_INET6, or 0. ret: without the brackets. */
int dns_is_address(struct str text, char ret[46]);
/* "4.3.2.1.in-addr.arpa" */
bool dns_reverse(const char *addr, char ret[DNS_NAME_MAX]);

/* A query, with EDNS and AD (RFC 6891, RFC 6840 5.7). Its length, or 0: not a name. */
size_t dns_query(unsigned char out[DNS_QUERY_MAX], uint16_t id, const char *name, uint16_t type);
/* Reads an answer to it; false: it answers another question (a stray or a forged one). */
bool dns_read(struct str octets, uint16_t id, const char *name, uint16_t type,
    struct dns_answer *ret);

struct dns {
	const struct link_conf *conf; /* resolve, n_resolve, family, stop */
	bool own;                     /* --dns */
	bool trusted;                 /* nobody stands between it and us: it is on this machine, or
	                               * --dns or "options trust-ad" says so */
	struct dns_server {
		struct sockaddr_storage addr;
		socklen_t len;
		char text[64];        /* "192.0.2.53:53" */
	} server[DNS_SERVERS_MAX];
	size_t n;
	int64_t timeout_ms;           /* of one try */
	unsigned tries;
};
/* server: "HOST[:PORT]", an address, or NULL: those of the system. False with a sentence in err. */
bool dns_init(struct dns *d, const struct link_conf *conf, const char *server, struct buf *err);
/* ret: initialised; it is emptied first. */
enum dns_status dns_ask(struct dns *d, const char *name, uint16_t type, struct dns_answer *ret);

struct dns_addrs {
	enum dns_status status;
	bool fixed;                   /* by --resolve */
	bool hosts;                   /* by the hosts file, not the name service */
	bool ad;
	bool alias;                   /* behind a CNAME, which an MX may not name (RFC 5321 5.1) */
	size_t n;
	char addr[DNS_ADDRS_MAX][46];
};
/* The addresses of a host, IPv6 first, of conf->family only when it names one. */
enum dns_status dns_addrs(struct dns *d, const char *host, struct dns_addrs *ret);

/* Where the mail of a domain goes (RFC 5321 5.1). */
struct dns_route {
	enum dns_status status;       /* FOUND; NODATA: no MX and no address; ... */
	bool ad;
	bool null_mx;                 /* RFC 7505: takes no mail; n is 0 */
	bool implicit;                /* no MX: the domain's own address */
	bool fixed;                   /* by --resolve, or an address literal */
	size_t n;
	struct dns_mx {
		uint16_t pref;
		char host[DNS_NAME_MAX];
	} mx[DNS_MX_MAX];             /* by preference, equal ones in any order */
	struct buf warnings;          /* sentences, parted by \n */
};
void dns_route_init(struct dns_route *r);
void dns_route_done(struct dns_route *r);
/* domain: a name, or an address literal in brackets. */
enum dns_status dns_route(struct dns *d, struct str domain, struct dns_route *ret);
/* Appends "example.com: there is no such domain; is it spelled right?" */
void dns_explain(struct buf *out, const char *name, enum dns_status status);
