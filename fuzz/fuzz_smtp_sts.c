/* Records and pages of MTA-STS, as strangers write them. */
#include "base/check.h"
#include "smtp/sts.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct sts_policy p;
	struct str text = str_n(data, size), id;
	struct buf err = BUF_INIT(1024);
	if (sts_record(text, &id))
		check(id.len > 0 && id.len <= STS_ID_MAX);
	bool ok = sts_parse(text, &p, &err);
	check(ok == (err.len == 0) && !err.failed);
	check(p.n <= STS_MX_MAX && p.max_age <= STS_AGE_MAX && p.mode < STS_MODES);
	check(!ok || p.n > 0 || p.mode == STS_NONE);
	for (size_t i = 0; i < p.n; i++) {
		struct str mx = p.mx[i];
		check(mx.len > 0 && str_find_any(mx, " \t\r\n") == mx.len);
		check(str_starts(mx, STR("*.")) || sts_match(mx, mx));
		check(!sts_match(mx, STR("")));
	}
	sts_match(text, STR("mail.example.com"));
	sts_match(STR("*.example.com"), text);
	buf_done(&err);
	return 0;
}
