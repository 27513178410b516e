#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "crypt/crypt.h"
#include "mail/srs.h"

#include <stdio.h>
#include <string.h>

#define DAY 20415

static struct srs_keys keys;

static const char first_key[] = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
static const char second_key[] = "FFFEFDFCFBFAF9F8F7F6F5F4F3F2F1F0EFEEEDECEBEAE9E8E7E6E5E4E3E2E1E0";

static struct addr
addr_of(const char *text)
{
	struct addr a;
	assert_int_equal(addr_mailbox(str_of(text), ADDR_SMTPUTF8, &a), ADDR_OK);
	return a;
}

/* dst: 1024 octets */
static enum srs_verdict
made(const char *text, const char *domain, int64_t day, char *dst)
{
	struct buf out = BUF_INIT(1024);
	struct addr a = addr_of(text);
	enum srs_verdict v = srs_make(&keys, &a, str_of(domain), day, &out);
	assert_true(str_copy(dst, 1024, buf_str(&out)));
	buf_done(&out);
	return v;
}

static enum srs_verdict
read_back(const struct srs_keys *k, const char *text, int64_t day, char *dst)
{
	struct buf out = BUF_INIT(1024);
	struct addr a = addr_of(text);
	enum srs_verdict v = srs_read(k, &a, day, &out);
	assert_true(str_copy(dst, 1024, buf_str(&out)));
	buf_done(&out);
	return v;
}

static void
there_and_back(void **state)
{
	static const struct {
		const char *given, *back; /* NULL: as given */
	} rows[] = {
		{ "ann@example.net" },
		{ "a=b@example.net" },
		{ "ann+lists=x@sub.example.net" },
		{ "x@xn--bcher-kva.example" },
		{ "SRS0@example.net" },
		{ "SRS0x=y@example.net" },
	};
	char there[1024], back[1024];
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const char *want = rows[i].back ? rows[i].back : rows[i].given;
		assert_int_equal(made(rows[i].given, "example.org", DAY, there), SRS_OK);
		assert_true(srs_is(str_of(there)));
		assert_true(str_ends(str_of(there), STR("@example.org")));
		assert_int_equal(read_back(&keys, there, DAY, back), SRS_OK);
		assert_string_equal(back, want);
		assert_int_equal(read_back(&keys, there, DAY + SRS_DAYS, back), SRS_OK);
		assert_int_equal(read_back(&keys, there, DAY - 1, back), SRS_OK);
		assert_int_equal(read_back(&keys, there, DAY + SRS_DAYS + 1, back), SRS_OLD);
		assert_int_equal(read_back(&keys, there, DAY - 2, back), SRS_OLD);
	}
}

static void
case_does_not_matter(void **state)
{
	char there[1024], back[1024];
	assert_int_equal(made("Ann@Example.NET", "example.org", DAY, there), SRS_OK);
	for (char *p = there; *p; p++)
		*p = *p >= 'a' && *p <= 'z' ? (char)(*p - 0x20) : *p;
	assert_int_equal(read_back(&keys, there, DAY, back), SRS_OK);
	assert_string_equal(back, "ANN@EXAMPLE.NET");
	for (char *p = there; *p; p++)
		*p = *p >= 'A' && *p <= 'Z' ? (char)(*p + 0x20) : *p;
	assert_int_equal(read_back(&keys, there, DAY, back), SRS_OK);
	assert_string_equal(back, "ann@example.net");
}

/* The second forwarder knows the first, and the third no more than that. */
static void
forwarded_again(void **state)
{
	char one[1024], two[1024], three[1024], back[1024];
	assert_int_equal(made("ann@example.net", "one.example", DAY, one), SRS_OK);
	assert_int_equal(made(one, "two.example", DAY, two), SRS_OK);
	assert_true(str_starts(str_of(two), STR("SRS1=")));
	assert_int_equal(made(two, "three.example", DAY, three), SRS_OK);
	assert_int_equal(strlen(three), strlen(two) + 2);
	assert_int_equal(read_back(&keys, three, DAY, back), SRS_OK);
	assert_string_equal(back, one);
	assert_int_equal(read_back(&keys, two, DAY, back), SRS_OK);
	assert_string_equal(back, one);
	assert_int_equal(read_back(&keys, back, DAY, one), SRS_OK);
	assert_string_equal(one, "ann@example.net");
}

/* What other programs make may have + or - behind the word. */
static void
separators_of_others(void **state)
{
	char there[1024], back[1024];
	assert_int_equal(made("SRS0+abcd=XY=example.net=ann@one.example", "two.example", DAY,
			     there),
	    SRS_OK);
	assert_int_equal(read_back(&keys, there, DAY, back), SRS_OK);
	assert_string_equal(back, "SRS0+abcd=XY=example.net=ann@one.example");
}

static void
any_change_is_noticed(void **state)
{
	char there[1024], back[1024];
	assert_int_equal(made("ann@example.net", "example.org", DAY, there), SRS_OK);
	size_t at = strlen(there) - strlen("@example.org");
	for (size_t i = 5; i < at; i++) {
		char was = there[i];
		there[i] = was == 'q' ? 'r' : 'q';
		assert_int_not_equal(read_back(&keys, there, DAY, back), SRS_OK);
		assert_string_equal(back, "");
		there[i] = was;
	}
	assert_int_equal(read_back(&keys, there, DAY, back), SRS_OK);
}

static void
not_of_this_form(void **state)
{
	static const struct {
		const char *text;
		enum srs_verdict v;
	} rows[] = {
		{ "ann@example.org", SRS_NONE },
		{ "SRS0@example.org", SRS_NONE },
		{ "SRS0x=1=2=3=4@example.org", SRS_NONE },
		{ "SRS0=@example.org", SRS_NONE },
		{ "SRS0=x@example.org", SRS_FORGED },
		{ "SRS0===@example.org", SRS_FORGED },
		{ "SRS1=abcdef=@example.org", SRS_FORGED },
		{ "SRS1=abcdef=example.net==a=b=c=d@example.org", SRS_FORGED },
		{ "\"SRS0=x=y=z=a\"@example.org", SRS_NONE },
	};
	char back[1024];
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(read_back(&keys, rows[i].text, DAY, back), rows[i].v);
}

/* Nobody could answer to a local part of more than 64 octets. */
static void
too_long(void **state)
{
	char there[1024];
	assert_int_equal(made("a-rather-long-local-part-of-a-list@lists.example.net", "example.org",
			     DAY, there),
	    SRS_NONE);
	assert_string_equal(there, "");
	struct addr null = { .null = true };
	struct buf out = BUF_INIT(1024);
	assert_int_equal(srs_make(&keys, &null, STR("example.org"), DAY, &out), SRS_NONE);
	buf_done(&out);
	assert_int_equal(made("\"a b\"@example.net", "example.org", DAY, there), SRS_NONE);
	assert_int_equal(made("a@[192.0.2.1]", "example.org", DAY, there), SRS_NONE);
}

static void
old_keys_check(void **state)
{
	struct srs_keys newer, other;
	char text[512], there[1024], back[1024];
	assert_int_equal(made("ann@example.net", "example.org", DAY, there), SRS_OK);
	snprintf(text, sizeof(text), "# new\n%s\n\n %s \r\n", second_key, first_key);
	assert_null(srs_keys_read(&newer, str_of(text)));
	assert_int_equal(newer.n, 2);
	assert_int_equal(read_back(&newer, there, DAY, back), SRS_OK);
	assert_null(srs_keys_read(&other, str_of(second_key)));
	assert_int_equal(read_back(&other, there, DAY, back), SRS_FORGED);
}

static void
files_of_keys(void **state)
{
	struct srs_keys k;
	struct buf many = BUF_INIT(4096);
	assert_non_null(srs_keys_read(&k, STR("")));
	assert_non_null(srs_keys_read(&k, STR("# nothing\n")));
	assert_non_null(srs_keys_read(&k, STR("0102\n")));
	assert_non_null(srs_keys_read(&k,
	    STR("zz0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f")));
	for (int i = 0; i <= SRS_KEYS_MAX; i++) {
		const char *why = i ? srs_keys_read(&k, buf_str(&many)) : NULL;
		assert_null(why);
		buf_putf(&many, "%s\n", first_key);
	}
	assert_non_null(srs_keys_read(&k, buf_str(&many)));
	buf_done(&many);
}

static int
setup(void **state)
{
	crypt_init();
	return srs_keys_read(&keys, str_of(first_key)) != NULL;
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_and_back),
		cmocka_unit_test(case_does_not_matter),
		cmocka_unit_test(forwarded_again),
		cmocka_unit_test(separators_of_others),
		cmocka_unit_test(any_change_is_noticed),
		cmocka_unit_test(not_of_this_form),
		cmocka_unit_test(too_long),
		cmocka_unit_test(old_keys_check),
		cmocka_unit_test(files_of_keys),
	};
	return cmocka_run_group_tests(tests, setup, NULL);
}
