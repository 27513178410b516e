/* Values that lead out of the server: name servers, web addresses, files. */
#include "conf/conf_priv.h"

#include "base/check.h"
#include "base/num.h"

#include <arpa/inet.h>
#include <string.h>

#define DNS_PORT 53
#define URL_MAX 2000

static bool
is_literal(struct str v, int family)
{
	char text[INET6_ADDRSTRLEN];
	unsigned char bin[16];
	return str_copy(text, sizeof text, v) && strlen(text) == v.len &&
	       inet_pton(family, text, bin) == 1;
}

/* "192.0.2.1", "192.0.2.1:53", "2001:db8::1", "[2001:db8::1]:53" into address and port. */
static bool
split_place(struct str v, struct str *ret_ip, struct str *ret_port)
{
	struct str rest = STR_NULL;
	if (v.len && v.p[0] == '[') {
		size_t end = str_find(v, ']');
		rest = str_skip(v, end + 1);
		v = str_first(str_skip(v, 1), end - 1);
		if (!is_literal(v, AF_INET6) || (rest.len && rest.p[0] != ':'))
			return false;
	} else if (!is_literal(v, AF_INET6)) {
		size_t colon = str_find(v, ':');
		rest = str_skip(v, colon);
		v = str_first(v, colon);
		if (!is_literal(v, AF_INET))
			return false;
	}
	*ret_ip = v;
	*ret_port = str_skip(rest, 1);
	return rest.len == 0 || ret_port->len > 0;
}

bool
conf_dns_server(const char *dns, char ret_ip[CONF_IP_MAX], uint16_t *ret_port)
{
	struct str ip, digits;
	uint64_t port = DNS_PORT;
	if (!split_place(str_of(dns), &ip, &digits) ||
	    (digits.len && (!num_u64(digits, 65535, &port) || port == 0)) ||
	    !str_copy(ret_ip, CONF_IP_MAX, ip))
		return false;
	*ret_port = (uint16_t)port;
	return true;
}

bool
conf_good_dns(struct str v, const char **ret_want)
{
	char text[128], ip[CONF_IP_MAX];
	uint16_t port;
	*ret_want = "system, or the address of a name server such as 127.0.0.1:53, or nothing";
	return v.len == 0 || str_eq(v, STR("system")) ||
	       (str_copy(text, sizeof text, v) && strlen(text) == v.len &&
		   conf_dns_server(text, ip, &port));
}

bool
conf_good_path_or_empty(struct str v, const char **ret_want)
{
	*ret_want = "the name of a file, with / in front";
	return v.len == 0 || (v.p[0] == '/' && v.p[v.len - 1] != '/');
}

/* The host of http://HOST:PORT/... without brackets; false where there is none. */
static bool
url_host(struct str v, struct str *ret)
{
	struct str place = str_first(v, str_find_any(v, "/?#"));
	if (place.len && place.p[0] == '[') {
		size_t end = str_find(place, ']');
		*ret = str_first(str_skip(place, 1), end - 1);
		place = str_skip(place, end + 1);
		if (!is_literal(*ret, AF_INET6))
			return false;
	} else {
		*ret = str_first(place, str_find(place, ':'));
		place = str_skip(place, ret->len);
	}
	uint64_t port;
	return ret->len > 0 && str_find(*ret, '@') == ret->len &&
	       (place.len == 0 || (place.p[0] == ':' && num_u64(str_skip(place, 1), 65535, &port)));
}

/* In clear only to this machine, named by number: a name could lead anywhere. */
bool
conf_good_url_or_empty(struct str v, const char **ret_want)
{
	static const struct str https = { "https://", 8 }, http = { "http://", 7 };
	struct str host;
	*ret_want = "a web address that begins with https:// (http:// only to 127.0.0.1 or [::1])";
	for (size_t i = 0; i < v.len; i++)
		if ((unsigned char)v.p[i] <= 0x20 || (unsigned char)v.p[i] >= 0x7f ||
		    strchr("\"<>\\^`{|}", v.p[i]))
			return false;
	if (v.len == 0)
		return true;
	if (v.len > URL_MAX || str_find(v, '#') < v.len)
		return false;
	if (str_starts(v, https))
		return url_host(str_skip(v, https.len), &host);
	return str_starts(v, http) && url_host(str_skip(v, http.len), &host) &&
	       (str_eq(host, STR("::1")) ||
		   (is_literal(host, AF_INET) && str_starts(host, STR("127."))));
}

bool
conf_url_is_literal(const char *url)
{
	struct str rest = str_of(url), host;
	rest = str_skip(rest, str_find_str(rest, STR("://")) + 3);
	return url_host(rest, &host) && (is_literal(host, AF_INET) || is_literal(host, AF_INET6));
}
