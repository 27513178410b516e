/* Any octets as a path: views stay inside, and the folded form folds to itself. */
#include "base/check.h"
#include "mail/address.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
inside(struct str part, struct str whole)
{
	check(part.len == 0 || (part.p >= whole.p && part.p + part.len <= whole.p + whole.len));
}

static void
look(const struct addr *a, struct str in)
{
	char once[512], twice[512];
	struct addr again;
	inside(a->whole, in);
	inside(a->local, a->whole);
	inside(a->domain, a->whole);
	check(a->whole.len <= ADDR_PATH_MAX && a->local.len <= ADDR_LOCAL_MAX &&
	      a->null == (a->whole.len == 0));
	check(addr_fold(a, once, sizeof(once)));
	/* A quoted '%' or '!' loses its quotes in the folded form, which is for comparing only. */
	if (addr_mailbox(str_of(once), ADDR_SMTPUTF8 | ADDR_NULL | ADDR_BARE_POSTMASTER, &again) !=
	    ADDR_OK)
		return;
	check(addr_fold(&again, twice, sizeof(twice)) && strcmp(once, twice) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct addr a;
	if (n == 0)
		return 0;
	unsigned flags = data[0] & 15;
	struct str all = str_n(data + 1, n - 1), in = all;
	enum addr_verdict v = addr_path(&in, flags, &a);
	check(v < ADDR_COUNT && (v == ADDR_OK || in.p == all.p));
	if (v == ADDR_OK) {
		check(in.len == 0 || in.p[0] == ' ' || in.p[0] == '\t');
		look(&a, all);
	}
	if (addr_mailbox(all, flags, &a) == ADDR_OK)
		look(&a, all);
	check(addr_domain(all, flags) < ADDR_COUNT);
	return 0;
}
