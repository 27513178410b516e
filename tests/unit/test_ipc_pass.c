#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "crypt/crypt.h"
#include "ipc/pass.h"
#include "sys/file.h"

#include <string.h>
#include <unistd.h>

#define NOW 1795300000000ull
#define ALICE STR("alice@example.com")

static struct pass_key
a_key(char fill)
{
	struct pass_key k = { .known = true };
	memset(k.octets, fill, sizeof(k.octets));
	return k;
}

static void
test_ticket(void **state)
{
	struct pass_key k = a_key('k'), other = a_key('o'), none = { 0 };
	unsigned char mac[PASS_MAC_LEN];
	struct str m = str_n(mac, sizeof(mac));
	assert_true(ticket_make(&k, 3, ALICE, NOW, mac));
	assert_true(ticket_good(&k, 3, ALICE, NOW, m, NOW));
	assert_false(ticket_good(&k, 2, ALICE, NOW, m, NOW));
	assert_false(ticket_good(&k, 3, STR("bob@example.com"), NOW, m, NOW));
	assert_false(ticket_good(&k, 3, ALICE, NOW + 1, m, NOW));
	assert_false(ticket_good(&other, 3, ALICE, NOW, m, NOW));
	assert_false(ticket_good(&none, 3, ALICE, NOW, m, NOW));
	assert_false(ticket_good(&k, 3, ALICE, NOW, str_first(m, 31), NOW));
	assert_false(ticket_good(&k, 3, ALICE, NOW, STR_NULL, NOW));
	assert_false(ticket_make(&none, 3, ALICE, NOW, mac));
	for (size_t i = 0; i < sizeof(mac); i++) {
		mac[i] ^= 1;
		assert_false(ticket_good(&k, 3, ALICE, NOW, m, NOW));
		mac[i] ^= 1;
	}
}

static void
test_ticket_time(void **state)
{
	static const struct {
		uint64_t now;
		bool good;
	} rows[] = {
		{ NOW, true },
		{ NOW + TICKET_MS, true },
		{ NOW + TICKET_MS + 1, false },
		{ NOW - TICKET_AHEAD_MS, true },
		{ NOW - TICKET_AHEAD_MS - 1, false },
		{ 0, false },
		{ UINT64_MAX, false },
	};
	struct pass_key k = a_key('k');
	unsigned char mac[PASS_MAC_LEN];
	assert_true(ticket_make(&k, 0, ALICE, NOW, mac));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(ticket_good(&k, 0, ALICE, NOW, str_n(mac, sizeof(mac)),
				     rows[i].now),
		    rows[i].good);
}

static void
test_pass(void **state)
{
	struct pass_key k = a_key('k'), none = { 0 };
	unsigned char mac[PASS_MAC_LEN], ticket[PASS_MAC_LEN];
	struct str m = str_n(mac, sizeof(mac));
	assert_true(pass_make(&k, 3, 77, mac));
	assert_true(pass_good(&k, 3, 77, m));
	assert_false(pass_good(&k, 4, 77, m));
	assert_false(pass_good(&k, 3, 78, m));
	assert_false(pass_good(&none, 3, 77, m));
	assert_false(pass_good(&k, 3, 77, str_first(m, 16)));
	/* A ticket is no pass. */
	assert_true(ticket_make(&k, 3, str_n("\0\0\0\0\0\0\0M", 8), 77, ticket));
	assert_false(pass_good(&k, 3, 77, str_n(ticket, sizeof(ticket))));
}

static void
test_key(void **state)
{
	static const struct {
		size_t len;
		bool good;
	} rows[] = { { 0, false }, { 31, false }, { 32, true }, { 33, false } };
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pass_key k = { 0 };
		int fd =
		    memfd_sealed("key", str_n("0123456789abcdef0123456789abcdef!", rows[i].len));
		assert_true(fd >= 0);
		assert_int_equal(pass_key_read(&k, fd), rows[i].good);
		assert_int_equal(k.known, rows[i].good);
		close(fd);
		pass_key_done(&k);
		assert_false(k.known);
	}
}

static int
set_up(void **state)
{
	crypt_init();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ticket),
		cmocka_unit_test(test_ticket_time),
		cmocka_unit_test(test_pass),
		cmocka_unit_test(test_key),
	};
	return cmocka_run_group_tests(tests, set_up, NULL);
}
