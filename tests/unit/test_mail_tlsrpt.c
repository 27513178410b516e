/* Reports about TLS: records, places, facts, days, and the report and letter made of them. */
#include "mail/tlsrpt.h"

#include "base/base64.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define BEGIN INT64_C(1767225600) /* 2026-01-01 */

static void
test_record(void **state)
{
	static const struct {
		const char *text, *rua; /* NULL: none */
	} rows[] = {
		{ "v=TLSRPTv1; rua=mailto:a@example.com", "mailto:a@example.com" },
		{ "v=TLSRPTv1;rua=https://example.com/x;", "https://example.com/x" },
		{ "v=TLSRPTv1; rua=mailto:a@b , https://c/ ; x=y", "mailto:a@b , https://c/" },
		{ "v=TLSRPTv1; x=1; rua=mailto:a@b", "mailto:a@b" },
		{ "v=TLSRPTv1; rua=mailto:a@b; rua=mailto:c@d", "mailto:a@b" },
		{ "v=TLSRPTv1", NULL },
		{ "v=TLSRPTv1;", NULL },
		{ "v=TLSRPTv1; rua=", NULL },
		{ "v=TLSRPTv1; rua=a,,b", NULL },
		{ "v=TLSRPTv1; rua=mail to:a@b", NULL },
		{ "v=TLSRPTv1; rua", NULL },
		{ "v=TLSRPTv1; =x; rua=a", NULL },
		{ "v=TLSRPTv2; rua=mailto:a@b", NULL },
		{ "rua=mailto:a@b", NULL },
		{ "v=TLSRPTv1; rua=mailto:\x01@b", NULL },
		{ "v=TLSRPTv1; rua=mailto:a@b,\r\nmailto:c@d", NULL },
		{ "v=TLSRPTv1; rua=mailto:a@b,\tmailto:c@d", NULL },
		{ "v=TLSRPTv1; rua=mailto:\xc3\xbc@b", NULL },
		{ "", NULL },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct str rua = STR_NULL;
		bool ok = tlsrpt_record(str_of(rows[i].text), &rua);
		if (ok != (rows[i].rua != NULL))
			fail_msg("\"%s\"", rows[i].text);
		if (ok)
			assert_true(str_eq(rua, str_of(rows[i].rua)));
	}
}

static void
test_places(void **state)
{
	static const struct {
		const char *rua;
		struct {
			enum tlsrpt_place_kind kind;
			const char *text;
		} place[3];
	} rows[] = {
		{ "mailto:a@b", { { TLSRPT_MAILTO, "a@b" } } },
		{ "MAILTO:a%2Bx@b?subject=c,https://d/e%2C",
		    { { TLSRPT_MAILTO, "a+x@b" }, { TLSRPT_HTTPS, "https://d/e%2C" } } },
		{ "http://x/, ftp://y , mailto:a@b", { { TLSRPT_MAILTO, "a@b" } } },
		{ "mailto:,mailto:a,mailto:@b,mailto:a@,mailto:a%0d%0a@b,mailto:a%3e@b,mailto:a%@b",
		    { { 0, NULL } } },
		{ "", { { 0, NULL } } },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct str rua = str_of(rows[i].rua);
		struct tlsrpt_place p;
		size_t n = 0;
		for (; tlsrpt_place_next(&rua, &p); n++) {
			assert_true(n < 3 && rows[i].place[n].text);
			assert_int_equal(p.kind, rows[i].place[n].kind);
			assert_string_equal(p.text, rows[i].place[n].text);
		}
		assert_true(n == 3 || !rows[i].place[n].text);
	}
}

static struct tlsrpt_facts
facts(enum tlsrpt_policy policy, size_t n)
{
	struct tlsrpt_facts f = { .domain = STR("example.com"),
		.rua = STR("mailto:tls@example.com"),
		.policy = policy,
		.text = policy == TLSRPT_STS    ? STR("version: STSv1\r\nmode: enforce\n")
		        : policy == TLSRPT_TLSA ? STR("3 1 1 0123\n2 0 1 4567")
		                                : STR(""),
		.mx = policy == TLSRPT_STS ? STR("*.example.com\nmx.example.net") : STR(""),
		.n = n };
	for (size_t i = 0; i < n && i < TLSRPT_SESSIONS_MAX; i++)
		f.session[i] = (struct tlsrpt_session){
			.result = (enum tlsrpt_result)(i % TLSRPT_RESULTS),
			.mx = STR("mx.example.com"),
			.helo = STR("mx"),
			.ip = STR("192.0.2.1"),
			.why = STR("say \"no\" \\"),
		};
	return f;
}

static void
test_facts(void **state)
{
	struct buf b = BUF_INIT(TLSRPT_FACTS_MAX);
	struct tlsrpt_facts f = facts(TLSRPT_STS, 3), g = facts(TLSRPT_TLSA, 2), out;
	tlsrpt_facts_put(&b, &f);
	size_t first = b.len;
	tlsrpt_facts_put(&b, &g);
	struct wire w = wire_of(buf_str(&b));
	assert_true(tlsrpt_facts_get(&w, &out));
	assert_int_equal(out.n, 3);
	/* a carriage return has no place there */
	assert_true(str_eq(out.text, STR("version: STSv1?\nmode: enforce\n")));
	assert_true(str_eq(out.mx, f.mx) && str_eq(out.rua, f.rua) && str_eq(out.domain, f.domain));
	assert_int_equal(out.session[2].result, TLSRPT_HOST_MISMATCH);
	assert_true(str_eq(out.session[2].why, f.session[2].why));
	assert_true(tlsrpt_facts_get(&w, &out) && wire_done(&w));
	assert_int_equal(out.policy, TLSRPT_TLSA);
	/* cut anywhere it is none */
	for (size_t n = 0; n < first; n++) {
		w = wire_of(str_first(buf_str(&b), n));
		assert_false(tlsrpt_facts_get(&w, &out));
	}
	buf_done(&b);
}

/* More than fits: sessions are left out. */
static void
test_facts_full(void **state)
{
	static char much[300];
	struct buf b = BUF_INIT(TLSRPT_FACTS_MAX);
	struct tlsrpt_facts f = facts(TLSRPT_NO_POLICY, TLSRPT_SESSIONS_MAX + 5), out;
	memset(much, 'x', sizeof(much));
	for (size_t i = 0; i < TLSRPT_SESSIONS_MAX; i++)
		f.session[i].mx = f.session[i].helo = str_n(much, sizeof(much));
	tlsrpt_facts_put(&b, &f);
	assert_false(b.failed);
	struct wire w = wire_of(buf_str(&b));
	assert_true(tlsrpt_facts_get(&w, &out) && wire_done(&w));
	assert_true(out.n > 3 && out.n < TLSRPT_SESSIONS_MAX && out.session[0].mx.len == 253);
	size_t before = b.len;
	for (int i = 0; i < 10; i++)
		tlsrpt_facts_put(&b, &f);
	assert_true(!b.failed && b.len >= before && b.len <= TLSRPT_FACTS_MAX);
	buf_done(&b);
}

static struct str
put_report(struct buf *out, const struct tlsrpt_day *d)
{
	const struct tlsrpt_sender s = { STR("Example \"Inc\""), STR("postmaster@example.net"),
		STR("mail.example.net"), STR("1767225600.00ff"), BEGIN + 90000 };
	buf_reset(out);
	tlsrpt_report_put(out, d, &s);
	return buf_str(out);
}

static struct tlsrpt_day *
day(void)
{
	struct tlsrpt_day *d = tlsrpt_day_new(STR("example.com"), BEGIN, 86400);
	struct tlsrpt_facts f = facts(TLSRPT_TLSA, 3), g = facts(TLSRPT_NO_POLICY, 1);
	tlsrpt_day_add(d, &f);
	tlsrpt_day_add(d, &f);
	tlsrpt_day_add(d, &g);
	return d;
}

static const char report[] =
    "{\"organization-name\":\"Example \\\"Inc\\\"\",\"date-range\":{\"start-datetime\":"
    "\"2026-01-01T00:00:00Z\",\"end-datetime\":\"2026-01-01T23:59:59Z\"},\"contact-info\":"
    "\"postmaster@example.net\",\"report-id\":\"1767225600.00ff\",\"policies\":[{\"policy\":{"
    "\"policy-type\":\"tlsa\",\"policy-string\":[\"3 1 1 0123\",\"2 0 1 4567\"],\"policy-domain\":"
    "\"example.com\"},\"summary\":{\"total-successful-session-count\":2,"
    "\"total-failure-session-count\":4},\"failure-details\":[{\"result-type\":"
    "\"starttls-not-supported\",\"receiving-mx-hostname\":\"mx.example.com\",\"receiving-mx-helo\":"
    "\"mx\",\"receiving-ip\":\"192.0.2.1\",\"failure-reason-code\":\"say \\\"no\\\" \\\\\","
    "\"failed-session-count\":2},{\"result-type\":\"certificate-host-mismatch\","
    "\"receiving-mx-hostname\":\"mx.example.com\",\"receiving-mx-helo\":\"mx\",\"receiving-ip\":"
    "\"192.0.2.1\",\"failure-reason-code\":\"say \\\"no\\\" \\\\\",\"failed-session-count\":2}]},{"
    "\"policy\":{\"policy-type\":\"no-policy-found\",\"policy-domain\":\"example.com\"},"
    "\"summary\":{\"total-successful-session-count\":1,\"total-failure-session-count\":0}}]}";

static void
test_day(void **state)
{
	struct buf b = BUF_INIT(TLSRPT_DAY_MAX), out = BUF_INIT(1u << 20);
	struct tlsrpt_day *d = day();
	assert_int_equal(tlsrpt_day_sessions(d), 7);
	assert_true(str_eq(tlsrpt_day_rua(d), STR("mailto:tls@example.com")));
	assert_true(str_eq(put_report(&out, d), str_of(report)));
	tlsrpt_day_put(&b, d);
	struct tlsrpt_day *again = tlsrpt_day_get(buf_str(&b));
	assert_non_null(again);
	assert_int_equal(tlsrpt_day_begin(again), BEGIN);
	assert_int_equal(tlsrpt_day_end(again), BEGIN + 86400);
	assert_true(str_eq(put_report(&out, again), str_of(report)));
	for (size_t n = 0; n < b.len; n++)
		assert_null(tlsrpt_day_get(str_first(buf_str(&b), n)));
	tlsrpt_day_free(again);
	tlsrpt_day_free(d);
	buf_done(&b);
	buf_done(&out);
}

/* Of more policies and kinds of failures than there is room for the sums are still right. */
static void
test_day_full(void **state)
{
	struct tlsrpt_day *d = tlsrpt_day_new(STR("example.com"), BEGIN, 86400);
	struct buf b = BUF_INIT(TLSRPT_DAY_MAX);
	char text[8][32];
	for (int policy = 0; policy < 8; policy++) {
		snprintf(text[policy], sizeof(text[policy]), "3 1 1 %02d", policy);
		for (int i = 0; i < 100; i++) {
			char ip[32];
			struct tlsrpt_facts f = facts(TLSRPT_TLSA, 1);
			snprintf(ip, sizeof(ip), "192.0.2.%d", i);
			f.text = str_of(text[policy]);
			f.session[0].result = TLSRPT_EXPIRED;
			f.session[0].ip = str_of(ip);
			tlsrpt_day_add(d, &f);
		}
	}
	assert_int_equal(tlsrpt_day_sessions(d), 800);
	tlsrpt_day_put(&b, d);
	assert_false(b.failed);
	struct tlsrpt_day *again = tlsrpt_day_get(buf_str(&b));
	assert_non_null(again);
	assert_int_equal(tlsrpt_day_sessions(again), 800);
	tlsrpt_day_free(again);
	tlsrpt_day_free(d);
	buf_done(&b);
}

static void
test_letter(void **state)
{
	struct buf out = BUF_INIT(1u << 20), name = BUF_INIT(1024);
	struct tlsrpt_day *d = day();
	const struct tlsrpt_sender s = { STR("Example"), STR("postmaster@example.net"),
		STR("mail.example.net"), STR("1767225600.00ff"), BEGIN + 90000 };
	static char gz[200];
	tlsrpt_letter_put(&out, d, &s, STR("tls@example.com"), str_n(gz, sizeof(gz)));
	static const char *const lines[] = {
		"From: postmaster@example.net\r\nDate: Fri, 2 Jan 2026 01:00:00 +0000\r\n"
		"To: tls@example.com\r\n",
		"Subject: Report Domain: example.com\r\n Submitter: mail.example.net\r\n"
		" Report-ID: <1767225600.00ff@mail.example.net>\r\n",
		"\r\nTLS-Report-Domain: example.com\r\nTLS-Report-Submitter: mail.example.net\r\n",
		"\r\nTLS-Required: No\r\n",
		"Content-Type: multipart/report; report-type=\"tlsrpt\";\r\n",
		"\r\n--=_1767225600.00ff\r\nContent-Type: application/tlsrpt+gzip\r\n",
		"\r\n "
		"filename=\"mail.example.net!example.com!1767225600!1767311999!1767225600.00ff."
		"json.gz\"",
		"\r\n--=_1767225600.00ff--\r\n",
	};
	for (size_t i = 0; i < ARRAY_LEN(lines); i++)
		if (str_find_str(buf_str(&out), str_of(lines[i])) == out.len)
			fail_msg("%s not in:\n%s", lines[i], buf_cstr(&out));
	for (struct str rest = buf_str(&out); rest.p && rest.len;)
		assert_true(str_cut(&rest, '\n').len <= 200);
	tlsrpt_file_name(&name, d, &s);
	assert_int_equal(str_find(buf_str(&name), '!'), 16);
	tlsrpt_day_free(d);
	buf_done(&out);
	buf_done(&name);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_record),
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_facts),
		cmocka_unit_test(test_facts_full),
		cmocka_unit_test(test_day),
		cmocka_unit_test(test_day_full),
		cmocka_unit_test(test_letter),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
