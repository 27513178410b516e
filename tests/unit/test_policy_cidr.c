#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/check.h"
#include "policy/cidr.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

static bool
matches(const struct cidr_list *l, const char *ip)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
	if (inet_pton(AF_INET, ip, &in.sin_addr) == 1)
		return cidr_list_match(l, (struct sockaddr *)&in);
	assert_int_equal(inet_pton(AF_INET6, ip, &in6.sin6_addr), 1);
	return cidr_list_match(l, (struct sockaddr *)&in6);
}

static const struct {
	const char *list, *in[4], *out[5]; /* to the first NULL */
} rows[] = {
	{ "", { 0 }, { "127.0.0.1", "::1", "0.0.0.0", "::" } },
	{ " , ,\t", { 0 }, { "127.0.0.1" } },
	{ "127.0.0.0/8, ::1, 10.1.2.3", { "127.0.0.1", "127.255.255.255", "::1", "10.1.2.3" },
	    { "126.255.255.255", "128.0.0.0", "::2", "10.1.2.4", "::" } },
	{ "192.0.2.128/25", { "192.0.2.128", "192.0.2.255" }, { "192.0.2.127", "192.0.3.128" } },
	{ "192.0.2.1/32", { "192.0.2.1", "::ffff:192.0.2.1" }, { "192.0.2.0", "::192.0.2.1" } },
	{ "0.0.0.0/0", { "1.2.3.4", "255.255.255.255", "::ffff:1.2.3.4" },
	    { "::1", "2001:db8::1" } },
	{ "::/0", { "::1", "2001:db8::1" }, { "1.2.3.4", "::ffff:1.2.3.4" } },
	{ "2001:db8::/33 [2001:db8:8000::]/33", { "2001:db8::1", "2001:db8:ffff::" },
	    { "2001:db9::" } },
	{ "::ffff:10.0.0.0/104", { "10.1.2.3", "::ffff:10.1.2.3" }, { "11.0.0.0" } },
	{ "[::1]/128,[fe80::]/10", { "::1", "fe80::1", "febf::1" }, { "fec0::1" } },
	{ "fe80::/9", { "fe80::1", "feff::" }, { "fe00::", "ff00::" } },
};

static void
lists(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct cidr_list l;
		struct str at;
		assert_int_equal(cidr_list_parse(str_of(rows[i].list), &l, &at), CIDR_OK);
		for (size_t k = 0; k < ARRAY_LEN(rows[i].in) && rows[i].in[k]; k++)
			if (!matches(&l, rows[i].in[k]))
				fail_msg("%s is not in %s", rows[i].in[k], rows[i].list);
		for (size_t k = 0; k < ARRAY_LEN(rows[i].out) && rows[i].out[k]; k++)
			if (matches(&l, rows[i].out[k]))
				fail_msg("%s is in %s", rows[i].out[k], rows[i].list);
		assert_false(cidr_list_match(&l, &(struct sockaddr){ .sa_family = AF_UNIX }));
		cidr_list_done(&l);
		cidr_list_done(&l);
	}
}

static const struct {
	const char *list;
	enum cidr_verdict verdict;
	const char *at;
} mistakes[] = {
	{ "10.0.0.0/8, nonsense", CIDR_ADDRESS, "nonsense" },
	{ "10.0.0.256", CIDR_ADDRESS, "10.0.0.256" },
	{ "10.0.0", CIDR_ADDRESS, "10.0.0" },
	{ "[10.0.0.1]", CIDR_ADDRESS, "[10.0.0.1]" },
	{ "::1::", CIDR_ADDRESS, "::1::" },
	{ "[::1", CIDR_ADDRESS, "[::1" },
	{ "/8", CIDR_ADDRESS, "/8" },
	{ "10.0.0.0/33 x", CIDR_PREFIX, "10.0.0.0/33" },
	{ "::/129", CIDR_PREFIX, "::/129" },
	{ "10.0.0.0/", CIDR_PREFIX, "10.0.0.0/" },
	{ "10.0.0.0/-1", CIDR_PREFIX, "10.0.0.0/-1" },
	{ "10.0.0.0/8/8", CIDR_PREFIX, "10.0.0.0/8/8" },
	{ "10.0.0.0/255.0.0.0", CIDR_PREFIX, "10.0.0.0/255.0.0.0" },
	{ "::1, 10.1.2.3/8", CIDR_HOST_BITS, "10.1.2.3/8" },
	{ "2001:db8::1/64", CIDR_HOST_BITS, "2001:db8::1/64" },
	{ "::ffff:10.0.0.0/90", CIDR_HOST_BITS, "::ffff:10.0.0.0/90" },
};

static void
errors(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(mistakes); i++) {
		struct cidr_list l = { NULL, 7 };
		struct str at, text = str_of(mistakes[i].list);
		if (cidr_list_parse(text, &l, &at) != mistakes[i].verdict ||
		    !str_eq(at, str_of(mistakes[i].at)))
			fail_msg("%s", mistakes[i].list);
		assert_true(at.p >= text.p && at.p + at.len <= text.p + text.len);
		assert_int_equal(l.n, 7);
	}
	for (int v = 0; v < CIDR_COUNT; v++)
		assert_non_null(cidr_verdict_text[v]);
}

static void
cap(void **state)
{
	char text[(CIDR_MAX + 1) * 4];
	struct cidr_list l;
	struct str at;
	for (size_t i = 0; i <= CIDR_MAX; i++)
		memcpy(text + i * 4, "::1,", 4);
	assert_int_equal(cidr_list_parse(str_n(text, CIDR_MAX * 4), &l, &at), CIDR_OK);
	assert_int_equal(l.n, CIDR_MAX);
	cidr_list_done(&l);
	assert_int_equal(cidr_list_parse(str_n(text, sizeof(text)), &l, &at), CIDR_TOO_MANY);
	assert_int_equal(cidr_list_parse(str_n("::1\0", 4), &l, &at), CIDR_ADDRESS);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = { cmocka_unit_test(lists),
		cmocka_unit_test(errors), cmocka_unit_test(cap) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
