#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/check.h"
#include "route/host.h"

#include <string.h>

static void
domains_and_literals(void **state)
{
	static const struct {
		const char *address, *name;
		enum host_verdict v;
	} rows[] = {
		{ "a@example.net", "example.net", HOST_OK },
		{ "a@EXAMPLE.Net", "example.net", HOST_OK },
		{ "a@b\xc3\xbc"
		  "cher.example",
		    "xn--bcher-kva.example", HOST_OK },
		{ "a@B\xc3\x9c"
		  "CHER.example",
		    "xn--bcher-kva.example", HOST_OK },
		{ "a@\xe4\xbe\x8b\xe3\x81\x88.\xe3\x83\x86\xe3\x82\xb9\xe3\x83\x88",
		    "xn--r8jz45g.xn--zckzah", HOST_OK },
		{ "a@stra\xc3\x9f"
		  "e.example",
		    "xn--strae-oqa.example", HOST_OK },
		{ "a@localhost", "localhost", HOST_SINGLE },
		{ "a@intranet", "intranet", HOST_SINGLE },
		{ "a@192.0.2.1", "192.0.2.1", HOST_NUMBER },
		{ "a@host.123", "host.123", HOST_NUMBER },
		{ "a@[192.0.2.1]", "[192.0.2.1]", HOST_OK },
		{ "a@[IPv6:2001:DB8::1]", "[IPv6:2001:db8::1]", HOST_OK },
		{ "a@[IPv6:::ffff:192.0.2.7]", "[192.0.2.7]", HOST_OK },
		{ "a@[127.0.0.1]", "[127.0.0.1]", HOST_NOWHERE },
		{ "a@[127.8.9.1]", "[127.8.9.1]", HOST_NOWHERE },
		{ "a@[0.0.0.0]", "[0.0.0.0]", HOST_NOWHERE },
		{ "a@[224.0.0.1]", "[224.0.0.1]", HOST_NOWHERE },
		{ "a@[255.255.255.255]", "[255.255.255.255]", HOST_NOWHERE },
		{ "a@[IPv6:::1]", "[IPv6:::1]", HOST_NOWHERE },
		{ "a@[IPv6:::]", "[IPv6:::]", HOST_NOWHERE },
		{ "a@[IPv6:fe80::1]", "[IPv6:fe80::1]", HOST_NOWHERE },
		{ "a@[IPv6:ff02::1]", "[IPv6:ff02::1]", HOST_NOWHERE },
		{ "a@[IPv6:::ffff:127.0.0.1]", "[127.0.0.1]", HOST_NOWHERE },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char name[HOST_MAX];
		struct addr a;
		assert_int_equal(addr_mailbox(str_of(rows[i].address), ADDR_SMTPUTF8, &a), ADDR_OK);
		assert_int_equal(host_of(&a, name), rows[i].v);
		assert_string_equal(name, rows[i].name);
	}
}

static void
no_names(void **state)
{
	static const char *const rows[] = { "", ".", "a..b", "-a.example",
		"a\xcc\x80\xe2\x80\x8d.example", "xn\xc3\xbc--a.\xff", "\xe2\x80\xae.example",
		"a b.example" };
	char name[HOST_MAX];
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_false(host_ascii(str_of(rows[i]), name));
		assert_string_equal(name, "");
	}
	char long_name[400];
	memset(long_name, 'a', sizeof(long_name));
	for (size_t i = 40; i < sizeof(long_name); i += 41)
		long_name[i] = '.';
	assert_false(host_ascii(str_n(long_name, 254), name));
	assert_true(host_ascii(str_n(long_name, 245), name));
}

static void
literals(void **state)
{
	static const struct {
		const char *text;
		bool ok;
	} rows[] = {
		{ "[192.0.2.1]", true },
		{ "[IPv6:2001:db8::1]", true },
		{ "[ipv6:2001:db8::1]", true },
		{ "192.0.2.1", false },
		{ "[]", false },
		{ "[", false },
		{ "", false },
		{ "[2001:db8::1]", false },
		{ "[IPv6:]", false },
		{ "[IPv6:192.0.2.1]", false },
		{ "[192.0.2]", false },
		{ "[192.0.2.1", false },
		{ "[tag:something]", false },
	};
	unsigned char ip[16];
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(host_literal(str_of(rows[i].text), ip), rows[i].ok);
	assert_true(host_literal(STR("[192.0.2.1]"), ip));
	assert_memory_equal(ip, "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\2\1", 16);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(domains_and_literals),
		cmocka_unit_test(no_names),
		cmocka_unit_test(literals),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
