/* Names and addresses, on the wire and as text. */
#include "roles/dns/dns_priv.h"

#include <stdio.h>
#include <string.h>

static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };

bool
name_is_mapped(const unsigned char address[ADDRESS_LEN])
{
	return memcmp(address, mapped, sizeof(mapped)) == 0;
}

void
name_reverse(const unsigned char address[ADDRESS_LEN], char out[REVERSE_MAX])
{
	static const char hex[] = "0123456789abcdef";
	const unsigned char *a = address;
	char *p = out;
	if (name_is_mapped(address)) {
		snprintf(out, REVERSE_MAX, "%u.%u.%u.%u.in-addr.arpa.", a[15], a[14], a[13], a[12]);
		return;
	}
	for (size_t i = ADDRESS_LEN; i-- > 0;) {
		*p++ = hex[a[i] & 15];
		*p++ = '.';
		*p++ = hex[a[i] >> 4];
		*p++ = '.';
	}
	memcpy(p, "ip6.arpa.", sizeof("ip6.arpa."));
}

static bool
label_fits(struct str label)
{
	if (label.p[0] == '-' || label.p[label.len - 1] == '-')
		return false;
	for (size_t i = 0; i < label.len; i++) {
		char c = label.p[i];
		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
			c == '-' || c == '_'))
			return false;
	}
	return true;
}

/* RFC 1035 3.1; what stands in reverse zones is anybody's, so only letters, digits, - and _. */
bool
name_text(struct str wire, char out[NAME_MAX_LEN + 1])
{
	size_t at = 0;
	for (;;) {
		if (wire.len == 0)
			return false;
		size_t n = (unsigned char)wire.p[0];
		wire = str_skip(wire, 1);
		if (n == 0)
			break;
		if (n > 63 || n > wire.len || !label_fits(str_first(wire, n)) ||
		    at + n + 1 > NAME_MAX_LEN)
			return false;
		if (at)
			out[at++] = '.';
		for (size_t i = 0; i < n; i++, at++)
			out[at] = wire.p[i] >= 'A' && wire.p[i] <= 'Z' ? (char)(wire.p[i] + 32)
			                                               : wire.p[i];
		wire = str_skip(wire, n);
	}
	out[at] = '\0';
	return at > 0 && wire.len == 0;
}

bool
name_same_address(struct str data, const unsigned char address[ADDRESS_LEN])
{
	if (name_is_mapped(address))
		return data.len == 4 && memcmp(data.p, address + 12, 4) == 0;
	return data.len == ADDRESS_LEN && memcmp(data.p, address, ADDRESS_LEN) == 0;
}
