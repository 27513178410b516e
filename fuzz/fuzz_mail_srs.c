/*
 * Addresses that claim to lead back, and others: what is made is read back to what it was made of,
 * in small letters and in capitals, and nothing else is believed.
 */
#include "base/check.h"
#include "crypt/crypt.h"
#include "mail/srs.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
there_and_back(const struct srs_keys *keys, const struct addr *a, int64_t day)
{
	struct buf there = BUF_INIT(2048), back = BUF_INIT(2048);
	struct addr made;
	if (srs_make(keys, a, STR("ours.example"), day, &there) == SRS_OK) {
		check(addr_mailbox(buf_str(&there), ADDR_SMTPUTF8, &made) == ADDR_OK);
		check(made.local.len <= ADDR_LOCAL_MAX && srs_is(made.local));
		enum srs_verdict v = srs_read(keys, &made, day, &back);
		/* What an SRS1 leads to need not be readable itself. */
		check(v == SRS_OK || (v == SRS_NONE && srs_is(a->local)));
		check(srs_is(a->local) || str_eq(buf_str(&back), a->whole));
	} else {
		check(there.len == 0);
	}
	buf_done(&there);
	buf_done(&back);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct srs_keys keys;
	struct srs_keys other;
	struct addr a;
	if (!keys.n) {
		crypt_init();
		keys.n = 2;
	}
	char *own = n ? xmemdup(data, n) : NULL;
	struct str in = { own, n };
	if (addr_mailbox(in, ADDR_SMTPUTF8, &a) == ADDR_OK) {
		struct buf out = BUF_INIT(2048);
		for (int64_t day = 20000; day < 20003; day++) {
			there_and_back(&keys, &a, day);
			enum srs_verdict v = srs_read(&keys, &a, day, &out);
			check((v == SRS_OK) == (out.len > 0));
			buf_reset(&out);
		}
		buf_done(&out);
	}
	(void)srs_keys_read(&other, in);
	free(own);
	return 0;
}
