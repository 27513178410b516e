/* What stands in the records that lead mail somewhere, and what is left out of it. */
#include "roles/dns/records.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* Literals with NUL octets inside. */
#define WIRE(lit)                                                                                  \
	{                                                                                          \
		"" lit, sizeof(lit) - 1                                                            \
	}

static void
test_host_name(void **state)
{
	static const struct {
		const char *text, *name; /* NULL: none */
	} rows[] = {
		{ "MX1.Example.ORG.", "mx1.example.org" },
		{ "localhost", "localhost" },
		{ "a_b.example", "a_b.example" },
		{ "xn--bcher-kva.example", "xn--bcher-kva.example" },
		{ "1.2.3.4", NULL },
		{ "a.123", NULL },
		{ "a.12b", "a.12b" },
		{ "", NULL },
		{ ".", NULL },
		{ "a..b", NULL },
		{ ".a", NULL },
		{ "-a.b", NULL },
		{ "a-.b", NULL },
		{ "a b", NULL },
		{ "a\\.b", NULL },
		{ "\xc3\xbc.example", NULL },
	};
	char name[HOST_NAME_MAX + 1], text[400];
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		bool ok = host_name(str_of(rows[i].text), name);
		if (ok != (rows[i].name != NULL))
			fail_msg("\"%s\"", rows[i].text);
		if (ok)
			assert_string_equal(name, rows[i].name);
	}
	/* the longest label, the longest name, and one octet more */
	memset(text, 'a', sizeof(text));
	assert_true(host_name(str_n(text, 63), name));
	assert_false(host_name(str_n(text, 64), name));
	for (size_t i = 50; i < sizeof(text); i += 51)
		text[i] = '.';
	assert_true(host_name(str_n(text, 253), name));
	assert_false(host_name(str_n(text, 254), name));
}

static void
test_mx(void **state)
{
	static const struct {
		struct str data[4];
		size_t n;
		const char *list; /* "10 a 20 b" */
		bool null_mx;
		unsigned broken;
	} rows[] = {
		{ { WIRE("\0\12\1a\0") }, 1, "10 a ", false, 0 },
		{ { WIRE("\0\24\1b\0"), WIRE("\0\12\1A\0") }, 2, "10 a 20 b ", false, 0 },
		{ { WIRE("\0\24\1a\0"), WIRE("\0\12\1A\0") }, 2, "10 a ", false, 0 },
		{ { WIRE("\0\12\1a\0"), WIRE("\0\24\1A\0"), WIRE("\xff\xff\1b\1c\0") }, 3,
		    "10 a 65535 b.c ", false, 0 },
		{ { WIRE("\0\0\0") }, 1, "", true, 0 },
		{ { WIRE("\0\12\0") }, 1, "", true, 0 },
		{ { WIRE("\0\0\0"), WIRE("\0\12\1a\0") }, 2, "10 a ", false, 0 },
		/* short, and shorter */
		{ { WIRE("\0\12\1a"), WIRE("\0\12"), WIRE("\0"), WIRE("") }, 4, "", false, 4 },
		/* octets behind it, a label that lies, a pointer, no host, an address */
		{ { WIRE("\0\12\1a\0x"), WIRE("\0\12\5a\0"), WIRE("\0\12\300\14"),
		      WIRE("\0\12\3a b\0") },
		    4, "", false, 4 },
		{ { WIRE("\0\12\1\61\1\62\1\63\1\64\0") }, 1, "", false, 1 },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct mx_list l;
		struct buf text = BUF_INIT(4096);
		mx_list_read(rows[i].data, rows[i].n, &l);
		for (size_t k = 0; k < l.n; k++)
			buf_putf(&text, "%u %s ", l.row[k].preference, l.row[k].name);
		const char *got = buf_cstr(&text);
		assert_string_equal(got, rows[i].list);
		assert_int_equal(l.null_mx, rows[i].null_mx);
		assert_int_equal(l.broken, rows[i].broken);
		buf_done(&text);
	}
}

/* Of many the best stay, in whatever order they come. */
static void
test_mx_many(void **state)
{
	enum { MANY = 60 };
	static char wire[MANY][8];
	struct str data[MANY];
	struct mx_list l;
	for (unsigned i = 0; i < MANY; i++) {
		unsigned preference = i * 7 % MANY;
		int n = snprintf(wire[i] + 2, 6, "%c%02u%c", 3, preference, 'x');
		wire[i][0] = 0;
		wire[i][1] = (char)preference;
		data[i] = str_n(wire[i], (size_t)n + 3);
	}
	mx_list_read(data, MANY, &l);
	assert_int_equal(l.n, MX_HOSTS_MAX);
	assert_int_equal(l.more, MANY - MX_HOSTS_MAX);
	for (unsigned i = 0; i < l.n; i++) {
		char name[8];
		snprintf(name, sizeof(name), "%02ux", i);
		assert_int_equal(l.row[i].preference, i);
		assert_string_equal(l.row[i].name, name);
	}
}

static void
test_tlsa(void **state)
{
	static char much[5000];
	struct msg_mx_tlsa t;
	assert_true(tlsa_read(STR("\3\1\1abc"), &t));
	assert_true(t.usage == 3 && t.selector == 1 && t.matching == 1 &&
		    str_eq(t.data, STR("abc")));
	assert_false(tlsa_read(STR("\3\1\1"), &t));
	assert_false(tlsa_read(STR("\3\1"), &t));
	assert_false(tlsa_read(STR(""), &t));
	assert_true(tlsa_read(str_n(much, 4099), &t) && t.data.len == 4096);
	assert_false(tlsa_read(str_n(much, 4100), &t));
}

static void
test_texts(void **state)
{
	static const struct {
		struct str data[2];
		size_t n;
		const char *id, *rua;
	} rows[] = {
		{ { WIRE("\15v=STSv1; id=7") }, 1, "7", "" },
		{ { WIRE("\7v=STSv1\6; id=7") }, 1, "7", "" },
		{ { WIRE("\15v=STSv1; id=7"), WIRE("\5hello") }, 2, "7", "" },
		{ { WIRE("\15v=STSv1; id=7"), WIRE("\15v=STSv1; id=7") }, 2, "", "" },
		{ { WIRE("\15v=STSv1; id=7"), WIRE("\7v=STSv1") }, 2, "7", "" },
		{ { WIRE("\16v=STSv1x; id=8"), WIRE("\15v=STSv1; id=7") }, 2, "7", "" },
		{ { WIRE("\16v=STSv1 ; id=8"), WIRE("\15v=STSv1; id=7") }, 2, "", "" },
		{ { WIRE("\16v=STSv1 ; id=8"), WIRE("") }, 2, "8", "" },
		{ { WIRE("\15v=STSv1; id=!") }, 1, "", "" },
		{ { WIRE("\40v=STSv1; id=7") }, 1, "", "" },
		{ { WIRE("\42"
			 "v=TLSRPTv1; rua=mailto:a@b.example") },
		    1, "", "mailto:a@b.example" },
		{ { WIRE("\15v=TLSRPTv1; x"), WIRE("") }, 2, "", "" },
		{ { WIRE("\35v=TLSRPTv12; rua=mailto:a@b.c"),
		      WIRE("\34v=TLSRPTv1; rua=mailto:a@b.c") },
		    2, "", "mailto:a@b.c" },
		{ { WIRE(""), WIRE("\0") }, 2, "", "" },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf id = BUF_INIT(32), rua = BUF_INIT(1024);
		sts_id_read(rows[i].data, rows[i].n, &id);
		rua_read(rows[i].data, rows[i].n, &rua);
		if (!str_eq(buf_str(&id), str_of(rows[i].id)) ||
		    !str_eq(buf_str(&rua), str_of(rows[i].rua)))
			fail_msg("row %zu: " STR_FMT ", " STR_FMT, i, STR_ARG(buf_str(&id)),
			    STR_ARG(buf_str(&rua)));
		buf_done(&id);
		buf_done(&rua);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_host_name),
		cmocka_unit_test(test_mx),
		cmocka_unit_test(test_mx_many),
		cmocka_unit_test(test_tlsa),
		cmocka_unit_test(test_texts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
