/* Domains of any kind: a name that comes out is one that a DNS query may hold, and it stays as it
 * is. */
#include "base/check.h"
#include "base/utf8.h"
#include "route/host.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
look(struct str domain)
{
	char name[HOST_MAX], again[HOST_MAX];
	unsigned char ip[16];
	if (host_ascii(domain, name)) {
		check(utf8_is_ascii(str_of(name)) && strlen(name) <= 253);
		check(host_ascii(str_of(name), again) && strcmp(name, again) == 0);
	} else {
		check(name[0] == '\0');
	}
	(void)host_literal(domain, ip);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	char name[HOST_MAX];
	struct addr a;
	char *own = n ? xmemdup(data, n) : NULL;
	struct str in = { own, n };
	look(in);
	if (addr_mailbox(in, ADDR_SMTPUTF8, &a) == ADDR_OK) {
		enum host_verdict v = host_of(&a, name);
		check(v < HOST_VERDICTS && (v != HOST_OK || name[0]));
	}
	free(own);
	return 0;
}
