/* Any octets as the answer of a name server: what is read of it is plain, ends, and stays inside.
 */
#include "base/check.h"
#include "base/utf8.h"
#include "client/dns.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
plain(const char *name)
{
	size_t len = strlen(name);
	check(len < DNS_NAME_MAX);
	for (size_t i = 0; i < len; i++)
		check(name[i] > ' ' && name[i] < 127);
}

static void
look(const struct dns_answer *a, uint16_t type)
{
	check(a->status < DNS_STATUS_COUNT && a->n <= DNS_RR_MAX);
	check(a->status == DNS_FOUND || a->n == 0);
	plain(a->owner);
	for (size_t i = 0; i < a->n; i++) {
		plain(a->rr[i].target);
		plain(a->rr[i].addr);
		if (type != DNS_TXT && type != DNS_TLSA)
			continue;
		struct str text = dns_rr_text(a, i);
		check(utf8_valid(text));
		for (size_t j = 0; j < text.len; j++)
			check((unsigned char)text.p[j] >= ' ' && text.p[j] != 127);
	}
}

static void
as_name(struct str text)
{
	char name[DNS_NAME_MAX], again[DNS_NAME_MAX];
	unsigned char query[DNS_QUERY_MAX];
	struct buf err = BUF_INIT(1024);
	if (dns_name(text, name, &err)) {
		plain(name);
		check(dns_query(query, 1, name, DNS_MX) > 0);
		check(dns_name(str_of(name), again, &err) && strcmp(name, again) == 0);
	} else {
		check(err.len > 0);
	}
	buf_done(&err);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const uint16_t types[] = { DNS_A, DNS_AAAA, DNS_MX, DNS_TXT, DNS_SRV, DNS_TLSA,
		DNS_PTR, DNS_CNAME };
	static struct dns_answer a;
	if (n < 3)
		return 0;
	uint16_t type = types[data[0] % ARRAY_LEN(types)], id = (uint16_t)(data[1] << 8 | data[2]);
	dns_answer_init(&a);
	if (dns_read(str_n(data + 1, n - 1), id, "example.com", type, &a))
		look(&a, type);
	dns_answer_done(&a);
	as_name(str_n(data + 1, n - 1));
	return 0;
}
