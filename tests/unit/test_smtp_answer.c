#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/check.h"
#include "smtp/answer.h"

#include <string.h>

struct row {
	const char *lines;         /* parted by \n */
	enum answer_status status; /* of the last line */
	int code;
	const char *enhanced, *text;
	bool mixed;
};

static const struct row rows[] = {
	{ "250 ok", ANSWER_DONE, 250, "", "ok" },
	{ "250 ok\r", ANSWER_DONE, 250, "", "ok" },
	{ "250", ANSWER_DONE, 250, "", "" },
	{ "250 ", ANSWER_DONE, 250, "", "" },
	{ "250-", ANSWER_MORE, 250, "", "" },
	{ "250OK", ANSWER_DONE, 250, "", "OK" },
	{ "250-a\n250-b\n250 c", ANSWER_DONE, 250, "", "a\nb\nc" },
	{ "250-a\n550 c", ANSWER_DONE, 550, "", "a\nc", true },
	{ "250-a\n250", ANSWER_DONE, 250, "", "a\n" },
	{ "550 5.7.1 no", ANSWER_DONE, 550, "5.7.1", "5.7.1 no" },
	{ "550-5.7.1 no\n550 5.1.1 x", ANSWER_DONE, 550, "5.7.1", "5.7.1 no\n5.1.1 x" },
	{ "550-no\n550 5.1.1", ANSWER_DONE, 550, "5.1.1", "no\n5.1.1" },
	{ "452 #4.3.1 queue full", ANSWER_DONE, 452, "4.3.1", "#4.3.1 queue full" },
	{ "550 5.7.1000 no", ANSWER_DONE, 550, "", "5.7.1000 no" },
	{ "550 5.7. no", ANSWER_DONE, 550, "", "5.7. no" },
	{ "550 3.7.1 no", ANSWER_DONE, 550, "", "3.7.1 no" },
	{ "550 5.7.1: no", ANSWER_DONE, 550, "", "5.7.1: no" },
	{ "550 1.2.3.4 no", ANSWER_DONE, 550, "", "1.2.3.4 no" },
	{ "550 55.1.1 no", ANSWER_DONE, 550, "", "55.1.1 no" },
	{ "HTTP/1.1 400 Bad Request", ANSWER_STRANGE, 0, "", "" },
	{ "+OK", ANSWER_STRANGE, 0, "", "" },
	{ "150 x", ANSWER_STRANGE, 0, "", "" },
	{ "650 x", ANSWER_STRANGE, 0, "", "" },
	{ "2500 x", ANSWER_STRANGE, 0, "", "" },
	{ "25", ANSWER_STRANGE, 0, "", "" },
	{ "", ANSWER_STRANGE, 0, "", "" },
	{ "hello\n220 hi", ANSWER_DONE, 220, "", "hi" },
	{ "\xff\xfb\x01\xff\xfb\x03"
	  "220 hi",
	    ANSWER_DONE, 220, "", "hi" },
	{ "\xff\xfb\x01", ANSWER_STRANGE, 0, "", "" },
	{ "\xff\xfb", ANSWER_STRANGE, 0, "", "" },
	{ "\xff"
	  "220 hi",
	    ANSWER_STRANGE, 0, "", "" },
	{ "250-a\nrubbish\n250 b", ANSWER_DONE, 250, "", "a\nb" },
};

static void
test_rows(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct answer a;
		answer_init(&a);
		enum answer_status s = ANSWER_STRANGE;
		struct str left = str_of(rows[i].lines);
		do
			s = answer_line(&a, str_cut(&left, '\n'));
		while (left.p);
		if (s != rows[i].status || a.code != rows[i].code ||
		    strcmp(a.enhanced, rows[i].enhanced) != 0 ||
		    !str_eq(buf_str(&a.text), str_of(rows[i].text)) || a.mixed != rows[i].mixed)
			fail_msg("row %zu \"%s\": %d, code %d, \"%s\", \"" STR_FMT "\"", i,
			    rows[i].lines, s, a.code, a.enhanced, STR_ARG(buf_str(&a.text)));
		answer_reset(&a);
		assert_int_equal(a.code, 0);
		answer_done(&a);
	}
}

static void
test_endless(void **state)
{
	struct answer a;
	char line[2000];
	memset(line, 'x', sizeof(line));
	memcpy(line, "250-", 4);
	answer_init(&a);
	for (unsigned i = 0; i < ANSWER_LINES_MAX; i++)
		assert_int_equal(answer_line(&a, str_n(line, sizeof(line))), ANSWER_MORE);
	assert_true(a.cut && a.text.len <= ANSWER_TEXT_MAX);
	assert_int_equal(answer_line(&a, str_n(line, sizeof(line))), ANSWER_ENDLESS);
	answer_done(&a);
	answer_init(&a);
	for (unsigned i = 0; i < ANSWER_LINES_MAX; i++)
		assert_int_equal(answer_line(&a, STR("rubbish")), ANSWER_STRANGE);
	assert_int_equal(answer_line(&a, STR("250 ok")), ANSWER_ENDLESS);
	answer_done(&a);
}

static void
caps_of(struct caps *c, const char *lines)
{
	struct answer a;
	struct str left = str_of(lines);
	answer_init(&a);
	while (left.p)
		answer_line(&a, str_cut(&left, '\n'));
	caps_read(c, &a);
	answer_done(&a);
}

static void
test_caps(void **state)
{
	struct caps c;
	caps_init(&c);
	/* IIS (003), Exchange's trailing blank (000), both AUTH forms (002) */
	caps_of(&c, "250-mail.example.org Hello [192.0.2.1]\n250-AUTH GSSAPI NTLM "
		    "LOGIN\n250-AUTH=LOGIN plain\n"
		    "250-TURN\n250-SIZE 2097152\n250-PIPELINING "
		    "\n250-8bitmime\n250-BINARYMIME\n250-CHUNKING\n"
		    "250-LIMITS MAILMAX=5 RCPTMAX=100 X=y\n250-X-OURS a b\n250-!odd\n250 OK");
	assert_string_equal(c.greets, "mail.example.org");
	assert_true(caps_have(&c, CAPS_AUTH) && caps_have(&c, CAPS_TURN) &&
		    caps_have(&c, CAPS_PIPELINING));
	assert_true(caps_have(&c, CAPS_8BITMIME) && caps_have(&c, CAPS_CHUNKING));
	assert_false(caps_have(&c, CAPS_STARTTLS));
	assert_string_equal(c.mechs, "GSSAPI NTLM LOGIN PLAIN");
	assert_true(caps_mech(&c, STR("ntlm")) && !caps_mech(&c, STR("NT")));
	assert_int_equal(c.size, 2097152);
	assert_int_equal(c.rcptmax, 100);
	assert_int_equal(c.mailmax, 5);
	assert_true(str_find_str(buf_str(&c.lines), STR("X-OURS a b")) < c.lines.len);
	assert_int_equal(str_find_str(buf_str(&c.lines), STR("OK")), c.lines.len);
	/* one line (004); no value (001) */
	caps_of(&c, "250 test.domain.com");
	assert_string_equal(c.greets, "test.domain.com");
	assert_int_equal(c.has, 0);
	assert_int_equal(c.lines.len, 0);
	caps_of(&c, "250-x\n250-SIZE\n250 HELP");
	assert_true(caps_have(&c, CAPS_SIZE) && c.size == 0);
	caps_of(&c, "250-x\n250 SIZE 99999999999999999999999");
	assert_true(caps_have(&c, CAPS_SIZE) && c.size == 0);
	for (size_t i = 0; i < CAPS_COUNT; i++)
		assert_true(caps_keywords[i].name && caps_keywords[i].meaning);
	caps_done(&c);
}

/* More mechanisms than are kept. */
static void
test_many_mechs(void **state)
{
	struct caps c;
	struct buf b = BUF_INIT(1u << 20);
	caps_init(&c);
	buf_putz(&b, "250-x\n250 AUTH");
	for (int i = 0; i < 1000; i++)
		buf_putf(&b, " MECH-%d", i);
	caps_of(&c, buf_cstr(&b));
	assert_true(strlen(c.mechs) < sizeof(c.mechs));
	assert_true(caps_mech(&c, STR("MECH-0")));
	buf_done(&b);
	caps_done(&c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_endless),
		cmocka_unit_test(test_caps),
		cmocka_unit_test(test_many_mechs),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
