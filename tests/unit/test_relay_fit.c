/* What a server lacks to take a letter, and the letter as it can take it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "roles/relay/fit.h"

static struct letter_scan
scan(struct str letter)
{
	struct letter_scan s = { 0 };
	letter_scan_feed(&s, letter);
	letter_scan_end(&s);
	return s;
}

static const struct {
	const char *name;
	struct letter_scan letter;
	struct fit_server server;
	unsigned need;
} needs[] = {
	{ "plain", { 0 }, { .long_lines = "encode" }, 0 },
	{ "8-bit", { .eight_body = true }, { .long_lines = "encode" }, FIT_EIGHT },
	{ "8-bit, offered", { .eight_body = true }, { .eight = true, .long_lines = "wrap" }, 0 },
	{ "8-bit, by BINARYMIME", { .eight_body = true }, { .binary = true, .long_lines = "wrap" },
	    0 },
	{ "NUL", { .nul = true }, { .eight = true, .long_lines = "send" }, FIT_EIGHT },
	{ "NUL, offered", { .nul = true }, { .binary = true, .long_lines = "send" }, 0 },
	{ "8-bit header", { .eight_header = true }, { .long_lines = "send" }, FIT_EIGHT },
	{ "SMTPUTF8", { .eight_header = true }, { .utf8 = true, .long_lines = "send" }, 0 },
	{ "long, encode", { .long_line = true }, { .long_lines = "encode" }, FIT_LINES },
	{ "long, wrap", { .long_line = true }, { .long_lines = "wrap" }, FIT_WRAP },
	{ "long, send", { .long_line = true }, { .long_lines = "send" }, 0 },
	{ "long, refuse", { .long_line = true }, { .long_lines = "refuse" }, FIT_REFUSE },
	{ "long and 8-bit", { .long_line = true, .eight_body = true }, { .long_lines = "wrap" },
	    FIT_EIGHT | FIT_LINES },
};

static void
test_need(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(needs); i++) {
		unsigned need = fit_need(&needs[i].letter, &needs[i].server);
		if (need != needs[i].need)
			fail_msg("%s: %u", needs[i].name, need);
	}
}

/* N letters, N blanks, and what ends the line. */
static const struct {
	size_t letters, blanks;
	const char *end;
	size_t size; /* of what comes out; a line more has CR LF and a blank */
} lines[] = {
	{ 998, 0, "\r\n", 1000 },
	{ 999, 0, "\r\n", 1004 },
	{ 1996, 0, "\r\n", 2004 },
	{ 990, 20, "\r\n", 1015 }, /* blanks count */
	{ 998, 0, "\rz\n", 1001 }, /* CR alone ends a line */
	{ 999, 0, "\rz\n", 1005 },
	{ 999, 0, "\n", 1003 },
	{ 999, 0, "", 1002 },
};

static void
test_wrap(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		struct buf in = BUF_INIT(8192), out = BUF_INIT(8192);
		buf_putz(&in, "Subject: x\r\n\r\n");
		size_t before = in.len;
		for (size_t k = 0; k < lines[i].letters + lines[i].blanks; k++)
			buf_putc(&in, k < lines[i].letters ? 'y' : ' ');
		buf_putz(&in, lines[i].end);
		assert_int_equal(fit_make(buf_str(&in), FIT_WRAP, &out), DOWNGRADE_OK);
		struct letter_scan s = scan(buf_str(&out));
		if (s.long_line || out.len - before != lines[i].size)
			fail_msg("row %zu: %zu octets%s", i, out.len - before,
			    s.long_line ? ", and a long line" : "");
		buf_done(&in);
		buf_done(&out);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_need),
		cmocka_unit_test(test_wrap),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
