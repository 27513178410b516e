/* Reports about TLS: records, facts and days as octets; what is read is written and read again. */
#include "mail/tlsrpt.h"

#include "base/check.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
places(struct str text)
{
	struct str rua;
	struct tlsrpt_place place;
	if (!tlsrpt_record(text, &rua))
		return;
	check(rua.len > 0 && rua.len <= TLSRPT_RUA_MAX);
	while (tlsrpt_place_next(&rua, &place))
		check(place.text[0] != '\0');
}

static void
report(const struct tlsrpt_day *d)
{
	const struct tlsrpt_sender s = { STR("x"), STR("a@b"), STR("b"), STR("1.2"), 0 };
	struct buf json = BUF_INIT(8u << 20), letter = BUF_INIT(16u << 20);
	tlsrpt_report_put(&json, d, &s);
	tlsrpt_letter_put(&letter, d, &s, STR("c@d"), buf_str(&json));
	check(!json.failed && !letter.failed);
	buf_done(&json);
	buf_done(&letter);
}

static void
days(struct str octets)
{
	struct tlsrpt_day *d = tlsrpt_day_get(octets);
	struct buf b = BUF_INIT(TLSRPT_DAY_MAX);
	if (!d)
		return;
	tlsrpt_day_put(&b, d);
	check(!b.failed);
	struct tlsrpt_day *again = tlsrpt_day_get(buf_str(&b));
	check(again && tlsrpt_day_sessions(again) == tlsrpt_day_sessions(d));
	report(again);
	tlsrpt_day_free(again);
	tlsrpt_day_free(d);
	buf_done(&b);
}

static void
facts(struct str octets)
{
	struct wire w = wire_of(octets);
	struct tlsrpt_facts *f = xalloc(sizeof(*f));
	struct tlsrpt_day *d = NULL;
	while (w.left && tlsrpt_facts_get(&w, f)) {
		if (!d)
			d = tlsrpt_day_new(f->domain, 0, 86400);
		tlsrpt_day_add(d, f);
	}
	if (d) {
		struct buf b = BUF_INIT(TLSRPT_DAY_MAX);
		tlsrpt_day_put(&b, d);
		check(!b.failed);
		days(buf_str(&b));
		buf_done(&b);
	}
	tlsrpt_day_free(d);
	free(f);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct str s = str_n(p, n);
	places(s);
	days(s);
	facts(s);
	return 0;
}
