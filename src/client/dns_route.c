/* Addresses of a host, and the hosts of a domain (RFC 5321 5.1). */
#include "client/dns.h"

#include "client/link_priv.h"
#include "sys/clock.h"
#include "sys/random.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define HOSTS_SILENT_MS 500

static bool
wanted(const struct dns *d, int family)
{
	return d->conf->family == AF_UNSPEC || d->conf->family == family;
}

static void
add(struct dns_addrs *a, const char *addr)
{
	for (size_t i = 0; i < a->n; i++)
		if (strcmp(a->addr[i], addr) == 0)
			return;
	if (a->n < DNS_ADDRS_MAX)
		str_copy(a->addr[a->n++], sizeof(a->addr[0]), str_of(addr));
}

/* --resolve NAME:ADDR */
static bool
take_fixed(const struct dns *d, const char *host, struct dns_addrs *ret)
{
	char addr[46];
	bool found = false;
	for (size_t i = 0; i < d->conf->n_resolve; i++) {
		if (!str_ieq(str_of(d->conf->resolve[i].name), str_of(host)))
			continue;
		found = true;
		int family = dns_is_address(str_of(d->conf->resolve[i].addr), addr);
		if (family && wanted(d, family))
			add(ret, addr);
	}
	return found;
}

static void
take_records(struct dns_addrs *ret, const struct dns_answer *a)
{
	for (size_t i = 0; i < a->n; i++)
		add(ret, a->rr[i].addr);
	ret->alias |= a->aliases > 0;
	ret->ad &= a->ad;
}

static void
take_list(const struct addrinfo *list, struct dns_addrs *ret)
{
	char addr[46];
	for (const struct addrinfo *i = list; i; i = i->ai_next) {
		const void *octets = NULL;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
		if (i->ai_family == AF_INET && i->ai_addrlen >= sizeof(in)) {
			memcpy(&in, i->ai_addr, sizeof(in));
			octets = &in.sin_addr;
		} else if (i->ai_family == AF_INET6 && i->ai_addrlen >= sizeof(in6)) {
			memcpy(&in6, i->ai_addr, sizeof(in6));
			octets = &in6.sin6_addr;
		}
		if (octets && inet_ntop(i->ai_family, octets, addr, sizeof(addr)))
			add(ret, addr);
	}
}

/* What only this machine knows; a name service that is silent is not waited for once more. */
static void
take_hosts(const struct dns *d, const char *host, struct dns_addrs *ret)
{
	const struct link l = { .conf = d->conf, .fd = -1 };
	bool silent = ret->status == DNS_TIMEOUT || ret->status == DNS_UNREACHABLE;
	int64_t until = sys_mono_ms() + (silent ? HOSTS_SILENT_MS : d->timeout_ms);
	struct resolve *r = resolve_addrs(host, 25, d->conf->family);
	if (r && resolve_wait(&l, r, until) == LINK_WAIT_OK && resolve_error(r) == 0)
		take_list(resolve_list(r), ret);
	resolve_done(r);
	ret->hosts = ret->n > 0;
}

/* IPv6 first, as RFC 6724 has it for a host with both. */
static enum dns_status
take_both(struct dns *d, const char *host, struct dns_addrs *ret)
{
	static const struct {
		int family;
		uint16_t type;
	} kinds[] = { { AF_INET6, DNS_AAAA }, { AF_INET, DNS_A } };
	struct dns_answer *a = xalloc(sizeof(*a));
	enum dns_status status = DNS_NODATA;
	dns_answer_init(a);
	ret->ad = true;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (!wanted(d, kinds[i].family))
			continue;
		enum dns_status s = dns_ask(d, host, kinds[i].type, a);
		if (s == DNS_FOUND)
			take_records(ret, a);
		if (s != DNS_FOUND && s != DNS_NODATA)
			status = s;
		if (s == DNS_NXDOMAIN || s == DNS_STOPPED || s == DNS_TIMEOUT ||
		    s == DNS_UNREACHABLE)
			break; /* the other type will fare no better */
	}
	dns_answer_done(a);
	free(a);
	ret->ad &= ret->n > 0;
	return ret->n && status != DNS_STOPPED ? DNS_FOUND : status;
}

enum dns_status
dns_addrs(struct dns *d, const char *host, struct dns_addrs *ret)
{
	char addr[46];
	memset(ret, 0, sizeof(*ret));
	int family = dns_is_address(str_of(host), addr);
	if (take_fixed(d, host, ret) || family) {
		ret->fixed = true;
		if (family && wanted(d, family))
			add(ret, addr);
		return ret->status = ret->n ? DNS_FOUND : DNS_NODATA;
	}
	ret->status = take_both(d, host, ret);
	if (ret->status != DNS_FOUND && ret->status != DNS_STOPPED && ret->status != DNS_BADNAME &&
	    !d->own) {
		take_hosts(d, host, ret);
		if (ret->n)
			ret->status = DNS_FOUND;
	}
	return ret->status;
}

/* --- MX --- */

void
dns_route_init(struct dns_route *r)
{
	memset(r, 0, sizeof(*r));
	buf_init(&r->warnings, 8192);
}

void
dns_route_done(struct dns_route *r)
{
	buf_done(&r->warnings);
}

static void warn(struct dns_route *r, const char *fmt, ...) PRINTF(2, 3);
static void
warn(struct dns_route *r, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	if (r->warnings.len)
		buf_putc(&r->warnings, '\n');
	buf_vputf(&r->warnings, fmt, ap);
	va_end(ap);
}

static void
put_one(struct dns_route *r, uint16_t pref, const char *host)
{
	check(r->n < DNS_MX_MAX);
	r->mx[r->n].pref = pref;
	str_copy(r->mx[r->n++].host, DNS_NAME_MAX, str_of(host));
}

/* A host's address where its name should be: some systems take it, most do not. */
static bool
looks_like_address(const char *host)
{
	char addr[46];
	return dns_is_address(str_of(host), addr) != 0;
}

static void
take_mx(struct dns_route *r, const struct dns_rr *rr)
{
	if (strcmp(rr->target, ".") == 0) {
		warn(r, "there is a null MX (RFC 7505) beside others; it means nothing there");
		return;
	}
	if (looks_like_address(rr->target))
		warn(r,
		    "the MX %s is an address; it must be the name of a host (RFC 5321 5.1), and "
		    "many "
		    "senders will not use it",
		    rr->target);
	else if (!dns_is_host(rr->target)) {
		warn(r, "the MX %s is no name that a host can have; it is passed over", rr->target);
		return;
	}
	if (r->n == DNS_MX_MAX) {
		warn(r, "there are more than %d MX records; the rest is passed over", DNS_MX_MAX);
		return;
	}
	for (size_t i = 0; i < r->n; i++)
		if (strcmp(r->mx[i].host, rr->target) == 0) {
			warn(r, "the MX %s is there twice", rr->target);
			r->mx[i].pref = MIN(r->mx[i].pref, rr->pref);
			return;
		}
	put_one(r, rr->pref, rr->target);
}

static int
by_pref(const void *a, const void *b)
{
	const struct dns_mx *x = a, *y = b;
	return x->pref < y->pref ? -1 : x->pref > y->pref;
}

/* Equal preferences in any order, each as likely (RFC 5321 5.1): shuffled, then sorted stably. */
static void
sort(struct dns_route *r)
{
	for (size_t i = r->n; i > 1; i--) {
		size_t j = (size_t)(random_u64() % i);
		struct dns_mx t = r->mx[i - 1];
		r->mx[i - 1] = r->mx[j];
		r->mx[j] = t;
	}
	for (size_t i = 1; i < r->n; i++)
		for (size_t j = i; j > 0 && by_pref(&r->mx[j - 1], &r->mx[j]) > 0; j--) {
			struct dns_mx t = r->mx[j];
			r->mx[j] = r->mx[j - 1];
			r->mx[j - 1] = t;
		}
}

static void
take_all(struct dns_route *r, const struct dns_answer *a)
{
	r->ad = a->ad;
	if (a->n == 1 && strcmp(a->rr[0].target, ".") == 0) {
		r->null_mx = true;
		return;
	}
	for (size_t i = 0; i < a->n; i++)
		take_mx(r, &a->rr[i]);
	if (a->more)
		warn(r, "there are more MX records than %d; the rest is passed over", DNS_RR_MAX);
	sort(r);
}

/* No MX: the host of that name itself, if it has an address. */
static enum dns_status
take_implicit(struct dns *d, const char *name, struct dns_route *r)
{
	struct dns_addrs *a = xalloc(sizeof(*a));
	enum dns_status status = dns_addrs(d, name, a);
	if (status == DNS_FOUND) {
		r->implicit = true;
		r->ad &= a->ad;
		put_one(r, 0, name);
	}
	free(a);
	return status;
}

static bool
is_fixed(const struct dns *d, const char *name)
{
	for (size_t i = 0; i < d->conf->n_resolve; i++)
		if (str_ieq(str_of(d->conf->resolve[i].name), str_of(name)))
			return true;
	return false;
}

static enum dns_status
route_name(struct dns *d, const char *name, struct dns_route *r)
{
	struct dns_answer *a = xalloc(sizeof(*a));
	dns_answer_init(a);
	enum dns_status status = dns_ask(d, name, DNS_MX, a);
	if (status == DNS_FOUND) {
		take_all(r, a);
		if (r->n == 0 && !r->null_mx)
			status = DNS_BROKEN;
	} else if (status == DNS_NODATA || (status == DNS_NXDOMAIN && !d->own)) {
		enum dns_status host = take_implicit(d, name, r);
		status = host == DNS_FOUND || status == DNS_NODATA ? host : status;
	}
	if (status != DNS_FOUND && *a->why)
		warn(r, "%s", a->why);
	dns_answer_done(a);
	free(a);
	return status;
}

enum dns_status
dns_route(struct dns *d, struct str domain, struct dns_route *r)
{
	char name[DNS_NAME_MAX], addr[46];
	struct buf warnings = r->warnings;
	buf_reset(&warnings);
	memset(r, 0, sizeof(*r));
	r->warnings = warnings;
	if (domain.len && domain.p[0] == '[') {
		r->fixed = true;
		if (!dns_is_address(domain, addr))
			return r->status = DNS_BADNAME;
		put_one(r, 0, addr);
		return r->status = DNS_FOUND;
	}
	struct buf err = BUF_INIT(512);
	bool ok = dns_name(domain, name, &err);
	if (!ok)
		warn(r, STR_FMT, STR_ARG(buf_str(&err)));
	buf_done(&err);
	if (!ok)
		return r->status = DNS_BADNAME;
	if (is_fixed(d, name)) {
		r->fixed = true;
		put_one(r, 0, name);
		return r->status = DNS_FOUND;
	}
	return r->status = route_name(d, name, r);
}
