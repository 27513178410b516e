#include "smtp/proxy.h"

#include "base/check.h"
#include "base/num.h"

#include <arpa/inet.h>

static const char signature[12] = "\r\n\r\n\0\r\nQUIT\n";
static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };

enum { V2_LOCAL = 0x20, V2_PROXY = 0x21 };
enum { V2_UNSPEC = 0x00, V2_TCP4 = 0x11, V2_TCP6 = 0x21, V2_UNIX = 0x31 };

static void
end_ip4(struct proxy_end *e, const void *octets)
{
	memcpy(e->ip, mapped, sizeof(mapped));
	memcpy(e->ip + 12, octets, 4);
	check(inet_ntop(AF_INET, octets, e->text, sizeof(e->text)));
}

/* An IPv4 address in IPv6 clothes is that IPv4 address: rights hang on it. */
static void
end_ip6(struct proxy_end *e, const void *octets)
{
	if (memcmp(octets, mapped, sizeof(mapped)) == 0) {
		end_ip4(e, (const char *)octets + 12);
		return;
	}
	memcpy(e->ip, octets, 16);
	check(inet_ntop(AF_INET6, octets, e->text, sizeof(e->text)));
}

static bool
v1_address(struct str s, int family, struct proxy_end *e)
{
	char text[INET6_ADDRSTRLEN];
	unsigned char octets[16];
	if (!str_copy(text, sizeof(text), s) || inet_pton(family, text, octets) != 1)
		return false;
	if (family == AF_INET)
		end_ip4(e, octets);
	else
		end_ip6(e, octets);
	return true;
}

static bool
v1_port(struct str s, uint16_t *ret)
{
	uint64_t port;
	if ((s.len > 1 && s.p[0] == '0') || !num_u64(s, UINT16_MAX, &port))
		return false;
	*ret = (uint16_t)port;
	return true;
}

/* One blank between two words, nothing else. */
static bool
v1_line(struct str line, struct proxy_info *ret)
{
	struct str family = str_cut(&line, ' ');
	if (str_eq(family, STR("UNKNOWN"))) {
		ret->local = ret->unknown = true;
		return true;
	}
	int af = str_eq(family, STR("TCP4")) ? AF_INET : AF_INET6;
	if (af == AF_INET6 && !str_eq(family, STR("TCP6")))
		return false;
	struct str from = str_cut(&line, ' '), to = str_cut(&line, ' ');
	struct str from_port = str_cut(&line, ' '), to_port = line;
	return v1_address(from, af, &ret->from) && v1_address(to, af, &ret->to) &&
	       v1_port(from_port, &ret->from.port) && v1_port(to_port, &ret->to.port);
}

static enum proxy_verdict
v1(struct str in, struct proxy_info *ret, size_t *ret_used)
{
	struct str line = str_first(in, PROXY_V1_MAX);
	size_t nl = str_find(line, '\n');
	if (nl == line.len)
		return in.len >= PROXY_V1_MAX ? PROXY_BAD : PROXY_MORE;
	if (line.p[nl - 1] != '\r') /* PROXY and a blank stand before it */
		return PROXY_BAD;
	line = str_skip(str_first(line, nl - 1), sizeof("PROXY"));
	if (!v1_line(line, ret))
		return PROXY_BAD;
	*ret_used = nl + 1;
	return PROXY_OK;
}

static uint16_t
u16(const char *p)
{
	return (uint16_t)((unsigned char)p[0] << 8 | (unsigned char)p[1]);
}

/* body: addresses, ports, then TLVs, in which nothing is that we need. */
static bool
v2_body(unsigned char family, struct str body, struct proxy_info *ret)
{
	size_t n = family == V2_TCP4 ? 4 : 16;
	if (family == V2_UNSPEC || family == V2_UNIX) {
		ret->local = ret->unknown = true;
		return true;
	}
	if ((family != V2_TCP4 && family != V2_TCP6) || body.len < 2 * n + 4)
		return false;
	void (*const end)(struct proxy_end *, const void *) = n == 4 ? end_ip4 : end_ip6;
	end(&ret->from, body.p);
	end(&ret->to, body.p + n);
	ret->from.port = u16(body.p + 2 * n);
	ret->to.port = u16(body.p + 2 * n + 2);
	return true;
}

static enum proxy_verdict
v2(struct str in, struct proxy_info *ret, size_t *ret_used)
{
	if (in.len < PROXY_V2_HEAD)
		return PROXY_MORE;
	unsigned char command = (unsigned char)in.p[12], family = (unsigned char)in.p[13];
	size_t len = u16(in.p + 14);
	if ((command != V2_LOCAL && command != V2_PROXY) || len > PROXY_V2_MAX)
		return PROXY_BAD;
	if (in.len < PROXY_V2_HEAD + len)
		return PROXY_MORE;
	struct str body = str_first(str_skip(in, PROXY_V2_HEAD), len);
	ret->local = command == V2_LOCAL;
	if (!ret->local && !v2_body(family, body, ret))
		return PROXY_BAD;
	*ret_used = PROXY_V2_HEAD + len;
	return PROXY_OK;
}

enum proxy_verdict
proxy_parse(struct str in, struct proxy_info *ret, size_t *ret_used)
{
	struct str v1_begin = STR("PROXY "), v2_begin = str_n(signature, sizeof(signature));
	struct proxy_info info = { .local = false };
	enum proxy_verdict v;
	if (str_starts(in, v1_begin))
		v = v1(in, &info, ret_used);
	else if (str_starts(in, v2_begin))
		v = v2(in, &info, ret_used);
	else
		return str_starts(v1_begin, in) || str_starts(v2_begin, in) ? PROXY_MORE
		                                                            : PROXY_BAD;
	if (v == PROXY_OK)
		*ret = info;
	return v;
}
