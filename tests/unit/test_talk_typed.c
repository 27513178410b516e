/* What is typed: commands, their sending form, what is masked, what the history keeps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/check.h"
#include "talk/talk_priv.h"
#include "talk/typed.h"
#include "talk/unescape.h"
#include "talk/words.h"

#include <string.h>

static void
same(struct buf *b, const char *want)
{
	assert_string_equal(buf_cstr(b), want);
	buf_done(b);
}

static void
makes(void **state)
{
	static const struct {
		const char *typed, *sent;
		bool changed;
	} rows[] = {
		{ "mail from a@b", "MAIL FROM:<a@b>", true },
		{ "mail a@b", "MAIL FROM:<a@b>", true },
		{ "mail from: a@b", "MAIL FROM:<a@b>", true },
		{ "Mail From:a@b SIZE=10 body=8bitmime", "MAIL FROM:<a@b> SIZE=10 body=8bitmime",
		    true },
		{ "mail from:<a@b>", "mail from:<a@b>", false },
		{ "MAIL FROM: <a@b>", "MAIL FROM: <a@b>", false },
		{ "mail from <a@b>", "MAIL FROM:<a@b>", true },
		{ "mail from:<>", "mail from:<>", false },
		{ "mail <>", "MAIL FROM:<>", true },
		{ "mail from:", "mail from:", false },
		{ "mail", "mail", false },
		{ "mail from:<a@b", "mail from:<a@b", false },
		{ "mail \"a b>\"@c SIZE=1", "MAIL FROM:<\"a b>\"@c> SIZE=1", true },
		{ "rcpt to joe@example.com", "RCPT TO:<joe@example.com>", true },
		{ "rcpt tony@example.com", "RCPT TO:<tony@example.com>", true },
		{ "rcpt to:<joe> NOTIFY=NEVER", "rcpt to:<joe> NOTIFY=NEVER", false },
		{ "RCPT TO:joe", "RCPT TO:<joe>", true },
		{ "ehlo", "ehlo me.example.com", true },
		{ "HELO", "HELO me.example.com", true },
		{ "ehlo you", "ehlo you", false },
		{ "quit", "quit", false },
		{ "  data ", "  data ", false },
		{ "", "", false },
		{ "XYZ a b", "XYZ a b", false },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf out = BUF_INIT(1024);
		bool changed = typed_make(str_of(rows[i].typed), STR("me.example.com"), &out);
		same(&out, rows[i].sent);
		assert_int_equal(changed, rows[i].changed);
	}
}

static void
masks(void **state)
{
	static const struct {
		const char *typed, *shown;
	} rows[] = {
		{ "AUTH PLAIN AHVzZXIAcGFzcw==", "AUTH PLAIN <user name and password hidden>" },
		{ "auth login dXNlcg==", "auth login <user name, base64>" },
		{ "AUTH SCRAM-SHA-256 biwsbj1h", "AUTH SCRAM-SHA-256 <response hidden>" },
		{ "AUTH EXTERNAL =", "AUTH EXTERNAL =" },
		{ "AUTH PLAIN", NULL },
		{ "AUTH", NULL },
		{ "MAIL FROM:<a>", NULL },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf out = BUF_INIT(1024);
		assert_int_equal(typed_mask(str_of(rows[i].typed), &out), rows[i].shown != NULL);
		same(&out, rows[i].shown ? rows[i].shown : "");
	}
}

static void
masks_answers(void **state)
{
	static const struct {
		const char *mech;
		unsigned nth;
		const char *typed, *shown;
	} rows[] = {
		{ "LOGIN", 0, "dXNlcg==", "<user name, base64>" },
		{ "login", 1, "cGFzcw==", "<password hidden>" },
		{ "PLAIN", 0, "AHUAcA==", "<user name and password hidden>" },
		{ "CRAM-MD5", 0, "am9lIDE=", "<response hidden>" },
		{ "LOGIN", 1, "*", "*" },
		{ "LOGIN", 1, "", "" },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf out = BUF_INIT(1024);
		typed_mask_answer(str_of(rows[i].mech), rows[i].nth, str_of(rows[i].typed), &out);
		same(&out, rows[i].shown);
	}
}

static void
history_keeps(void **state)
{
	static const struct {
		const char *line;
		bool kept;
	} rows[] = {
		{ "mail from:<a@b>", true },
		{ "/probe a@b", true },
		{ "a1 FETCH 1 BODY[]", true },
		{ "AUTH PLAIN AHVzZXI=", false },
		{ "auth", false },
		{ "a1 LOGIN joe secret", false },
		{ "a1 authenticate plain", false },
		{ "pass secret", false },
		{ "USER joe", false },
		{ "apop joe 0123", false },
		{ "/b64 enc secret", false },
		{ "/auth plain joe", false },
		{ "/set password=x", false },
		{ "My Password is x", false },
		{ "", false },
		{ "   ", false },
		{ "noop \x1b[2J", false },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(talk_history_keeps(str_of(rows[i].line)), rows[i].kept);
}

static void
bdat(void **state)
{
	static const struct {
		const char *line;
		bool ok, last;
		uint64_t size;
	} rows[] = {
		{ "BDAT 86 LAST", true, true, 86 },
		{ "bdat 0 last", true, true, 0 },
		{ "BDAT 12", true, false, 12 },
		{ "BDAT", false, false, 0 },
		{ "BDAT -1", false, false, 0 },
		{ "BDAT 99999999999999999999", false, false, 0 },
		{ "BDAT 1 FIRST", false, false, 0 },
		{ "BDAT 1 LAST x", false, false, 0 },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct typed t;
		uint64_t size = 0;
		bool last = false;
		typed_read(str_of(rows[i].line), &t);
		assert_int_equal(t.verb, TYPED_BDAT);
		assert_int_equal(typed_bdat(&t, &size, &last), rows[i].ok);
		assert_int_equal(size, rows[i].size);
		assert_int_equal(last, rows[i].last);
	}
}

static void
unescapes(void **state)
{
	static const struct {
		const char *text, *octets;
		size_t n;
	} rows[] = {
		{ "0d0a", "\r\n", 2 },
		{ "41 42  43", "ABC", 3 },
		{ "\"QUIT\\r\\n\"", "QUIT\r\n", 6 },
		{ "\"\\x00\\0\\\\\\\"\\t\"", "\0\0\\\"\t", 5 },
		{ "\"open", NULL, 0 },
		{ "\"a\" b", NULL, 0 },
		{ "\"\\q\"", NULL, 0 },
		{ "\"\\x1\"", NULL, 0 },
		{ "4", NULL, 0 },
		{ "zz", NULL, 0 },
		{ "", NULL, 0 },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf out = BUF_INIT(1024);
		const char *why = octets_read(str_of(rows[i].text), &out);
		assert_int_equal(why == NULL, rows[i].octets != NULL);
		if (why == NULL) {
			assert_int_equal(out.len, rows[i].n);
			assert_memory_equal(out.p, rows[i].octets, rows[i].n);
		}
		buf_done(&out);
	}
}

static void
words(void **state)
{
	struct words w;
	words_init(&w, STR("ma"));
	words_offer_list(&w, (const char *const[]){ "MAIL", "MAXIMUM", "RCPT", "MAIL", NULL });
	assert_int_equal(w.n, 2);
	assert_string_equal(w.found[0], "mail");
	assert_int_equal(words_common(&w), 0);
	words_done(&w);
	words_init(&w, STR("/send a")); /* files that others have named */
	words_offer_as_is(&w, STR("a\nquit"));
	words_offer_as_is(&w, STR("a\x1b[2J"));
	assert_int_equal(w.n, 0);
	words_done(&w);
	words_init(&w, STR("rcpt to:<al"));
	words_start(&w, 9);
	words_offer_as_is(&w, STR("Alice@example.com"));
	words_offer_as_is(&w, STR("alice@example.com"));
	words_offer_as_is(&w, STR("bob@example.com"));
	assert_int_equal(w.n, 2);
	words_done(&w);
	words_init(&w, STR(""));
	assert_int_equal(words_common(&w), 0);
	words_offer(&w, STR("EHLO"));
	assert_string_equal(w.found[0], "EHLO");
	assert_int_equal(words_common(&w), 4);
	words_done(&w);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(makes),
		cmocka_unit_test(masks),
		cmocka_unit_test(masks_answers),
		cmocka_unit_test(history_keeps),
		cmocka_unit_test(bdat),
		cmocka_unit_test(unescapes),
		cmocka_unit_test(words),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
