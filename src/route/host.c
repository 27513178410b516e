#include "route/host.h"

#include "base/check.h"
#include "base/utf8.h"

#include <arpa/inet.h>
#include <idn2.h>
#include <stdio.h>

#define NAME_MAX_OCTETS 253 /* RFC 1035 2.3.4, as text */

const char *const host_verdict_text[HOST_VERDICTS] = {
	[HOST_OK] = "good",
	[HOST_NO_NAME] = "not a domain name that can exist",
	[HOST_SINGLE] = "not a full domain name",
	[HOST_NUMBER] = "not a domain name; an address literal stands in square brackets",
	[HOST_STRANGE] = "not an address literal that can be reached",
	[HOST_NOWHERE] = "not an address of another server",
};

static char
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static bool
keep_name(struct str name, char ret[HOST_MAX])
{
	if (name.len == 0 || name.len > NAME_MAX_OCTETS || addr_domain(name, 0) != ADDR_OK)
		return false;
	for (size_t i = 0; i < name.len; i++)
		ret[i] = lower(name.p[i]);
	ret[name.len] = '\0';
	return true;
}

bool
host_ascii(struct str domain, char ret[HOST_MAX])
{
	char text[HOST_MAX], *ascii = NULL;
	ret[0] = '\0';
	if (utf8_is_ascii(domain))
		return keep_name(domain, ret);
	if (memchr(domain.p, '\0', domain.len) || !str_copy(text, sizeof(text), domain) ||
	    idn2_to_ascii_8z(text, &ascii, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) != IDN2_OK)
		return false;
	bool ok = keep_name(str_of(ascii), ret);
	idn2_free(ascii);
	return ok;
}

static bool
is_nowhere(const unsigned char ip[16])
{
	static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };
	static const unsigned char loopback[16] = { [15] = 1 }, unspecified[16] = { 0 };
	if (memcmp(ip, mapped, sizeof(mapped)) == 0)
		return ip[12] == 0 || ip[12] == 127 || ip[12] >= 224;
	/* RFC 4291 2.5.6: link-local means nothing without its link. */
	return memcmp(ip, loopback, 16) == 0 || memcmp(ip, unspecified, 16) == 0 || ip[0] == 0xff ||
	       (ip[0] == 0xfe && (ip[1] & 0xc0) == 0x80);
}

static bool
read_ip(struct str text, unsigned char ret[16])
{
	char z[INET6_ADDRSTRLEN];
	struct str v6 = STR("IPv6:");
	bool six = str_istarts(text, v6);
	if (!str_copy(z, sizeof(z), six ? str_skip(text, v6.len) : text))
		return false;
	if (six)
		return inet_pton(AF_INET6, z, ret) == 1;
	memset(ret, 0, 10);
	memset(ret + 10, 0xff, 2);
	return inet_pton(AF_INET, z, ret + 12) == 1;
}

bool
host_literal(struct str name, unsigned char ret[16])
{
	unsigned char ip[16];
	if (name.len < 3 || name.p[0] != '[' || name.p[name.len - 1] != ']' ||
	    !read_ip(str_first(str_skip(name, 1), name.len - 2), ip))
		return false;
	memcpy(ret, ip, sizeof(ip));
	return true;
}

static enum host_verdict
literal_of(struct str domain, char ret[HOST_MAX])
{
	static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };
	char text[INET6_ADDRSTRLEN];
	unsigned char ip[16];
	if (!host_literal(domain, ip))
		return HOST_STRANGE;
	bool four = memcmp(ip, mapped, sizeof(mapped)) == 0;
	if (!inet_ntop(four ? AF_INET : AF_INET6, four ? ip + 12 : ip, text, sizeof(text)))
		return HOST_STRANGE;
	snprintf(ret, HOST_MAX, "[%s%s]", four ? "" : "IPv6:", text);
	return is_nowhere(ip) ? HOST_NOWHERE : HOST_OK;
}

static bool
is_number(struct str label)
{
	for (size_t i = 0; i < label.len; i++)
		if (label.p[i] < '0' || label.p[i] > '9')
			return false;
	return label.len > 0;
}

enum host_verdict
host_of(const struct addr *a, char ret[HOST_MAX])
{
	ret[0] = '\0';
	if (a->literal)
		return literal_of(a->domain, ret);
	if (!host_ascii(a->domain, ret))
		return HOST_NO_NAME;
	struct str name = str_of(ret);
	size_t dot = str_rfind(name, '.');
	if (dot == name.len)
		return HOST_SINGLE;
	return is_number(str_skip(name, dot + 1)) ? HOST_NUMBER : HOST_OK;
}
