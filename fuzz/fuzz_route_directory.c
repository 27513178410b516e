/*
 * A damaged directory: answers may be wrong, faults and endless work may not be. The first 32
 * octets are set right, so that what lies behind them is reached.
 */
#include "base/check.h"
#include "base/wire.h"
#include "route/directory.h"
#include "route/route.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const char *const rcpt[] = { "alice@example.com", "bob+x@example.com", "staff@example.com",
	"all@example.com", "nobody@example.com", "nobody@catch.example", "postmaster",
	"postmaster@example.com", "a@elsewhere.example" };

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct directory d;
	if (n < 64)
		return 0;
	unsigned char *own = xmemdup(data, n);
	memcpy(own, "PENNYDIR", 8);
	be32_put(own + 8, 1);
	be64_put(own + 24, n);
	if (directory_open(&d, str_n(own, n))) {
		for (size_t i = 0; i < ARRAY_LEN(rcpt); i++) {
			struct addr a;
			struct route_result r;
			check(addr_mailbox(str_of(rcpt[i]), ADDR_BARE_POSTMASTER, &a) == ADDR_OK);
			directory_is_local(&d, a.domain);
			route_resolve(&d, &a, &r);
			check(r.verdict < ROUTE_COUNT && r.n_target <= ROUTE_TARGETS_MAX);
			check((r.verdict == ROUTE_LOCAL || r.verdict == ROUTE_REMOTE) ==
			      (r.n_target > 0));
			route_result_done(&r);
		}
		directory_users(&d);
	}
	free(own);
	return 0;
}
