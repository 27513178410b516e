#include "policy/cidr.h"

#include "base/check.h"
#include "base/num.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>

#define MAPPED_BITS 96

static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };

const char *const cidr_verdict_text[CIDR_COUNT] = {
	[CIDR_OK] = "a network",
	[CIDR_ADDRESS] =
	    "is not an IP address; write one like 192.0.2.1, 192.0.2.0/24 or 2001:db8::/32",
	[CIDR_PREFIX] = "has a wrong prefix length; write at most /32 for IPv4 and /128 for IPv6",
	[CIDR_HOST_BITS] = "has bits set behind its prefix; write the network's first address",
	[CIDR_TOO_MANY] = "is one entry too many; join networks",
};

static void
from_v4(struct cidr *c, const void *ip)
{
	memcpy(c->ip, mapped, sizeof(mapped));
	memcpy(c->ip + sizeof(mapped), ip, 4);
	c->v4 = true;
}

static bool
parse_ip(struct str s, struct cidr *ret)
{
	char text[INET6_ADDRSTRLEN];
	unsigned char v4[4];
	bool bracket = s.len >= 2 && s.p[0] == '[' && s.p[s.len - 1] == ']';
	if (bracket)
		s = str_first(str_skip(s, 1), s.len - 2);
	if (!str_copy(text, sizeof(text), s) || strlen(text) != s.len)
		return false;
	*ret = (struct cidr){ .bits = 128 };
	if (!bracket && inet_pton(AF_INET, text, v4) == 1) {
		from_v4(ret, v4);
		return true;
	}
	return inet_pton(AF_INET6, text, ret->ip) == 1;
}

/* Octet i of the mask of a prefix. */
static unsigned char
mask_octet(unsigned bits, unsigned i)
{
	unsigned rest = bits > i * 8 ? bits - i * 8 : 0;
	return rest >= 8 ? 0xff : (unsigned char)(0xff00u >> rest);
}

static bool
has_host_bits(const struct cidr *c)
{
	for (unsigned i = 0; i < 16; i++)
		if (c->ip[i] & ~mask_octet(c->bits, i))
			return true;
	return false;
}

static enum cidr_verdict
parse_entry(struct str s, struct cidr *ret)
{
	uint64_t bits;
	struct str ip = str_cut(&s, '/');
	if (!parse_ip(ip, ret))
		return CIDR_ADDRESS;
	unsigned before = ret->v4 ? MAPPED_BITS : 0;
	if (s.p) {
		if (!num_u64(s, 128 - before, &bits))
			return CIDR_PREFIX;
		ret->bits = before + (unsigned)bits;
	}
	if (has_host_bits(ret))
		return CIDR_HOST_BITS;
	ret->v4 = ret->bits >= MAPPED_BITS && memcmp(ret->ip, mapped, sizeof(mapped)) == 0;
	return CIDR_OK;
}

static bool
is_separator(char c)
{
	return c == ',' || c == ' ' || c == '\t';
}

/* The next entry; empty at the end. */
static struct str
next_entry(struct str *s)
{
	while (s->len && is_separator(s->p[0]))
		*s = str_skip(*s, 1);
	struct str entry = str_first(*s, str_find_any(*s, ", \t"));
	*s = str_skip(*s, entry.len);
	return entry;
}

enum cidr_verdict
cidr_list_parse(struct str text, struct cidr_list *ret, struct str *ret_at)
{
	struct cidr item;
	size_t n = 0;
	struct str entry, rest = text;
	while ((entry = next_entry(&rest)).len) {
		enum cidr_verdict v = n == CIDR_MAX ? CIDR_TOO_MANY : parse_entry(entry, &item);
		if (v != CIDR_OK) {
			*ret_at = entry;
			return v;
		}
		n++;
	}
	struct cidr_list l = { .item = n ? xalloc(n * sizeof(item)) : NULL };
	while (l.n < n)
		parse_entry(next_entry(&text), &l.item[l.n++]);
	*ret = l;
	return CIDR_OK;
}

void
cidr_list_done(struct cidr_list *l)
{
	free(l->item);
	*l = (struct cidr_list){ NULL, 0 };
}

static bool
ip_of(const struct sockaddr *sa, struct cidr *ret)
{
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	*ret = (struct cidr){ .bits = 128 };
	if (sa->sa_family == AF_INET) {
		memcpy(&in, sa, sizeof(in));
		from_v4(ret, &in.sin_addr);
		return true;
	}
	if (sa->sa_family != AF_INET6)
		return false;
	memcpy(&in6, sa, sizeof(in6));
	memcpy(ret->ip, &in6.sin6_addr, 16);
	ret->v4 = memcmp(ret->ip, mapped, sizeof(mapped)) == 0;
	return true;
}

static bool
contains(const struct cidr *net, const struct cidr *ip)
{
	if (net->v4 != ip->v4)
		return false;
	for (unsigned i = 0; i < 16; i++)
		if ((net->ip[i] ^ ip->ip[i]) & mask_octet(net->bits, i))
			return false;
	return true;
}

bool
cidr_list_match(const struct cidr_list *l, const struct sockaddr *sa)
{
	struct cidr ip;
	if (!ip_of(sa, &ip))
		return false;
	for (size_t i = 0; i < l->n; i++)
		if (contains(&l->item[i], &ip))
			return true;
	return false;
}
