#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "client/transcript.h"
#include "play/conv.h"
#include "sys/file.h"

#include <jansson.h>
#include <stdlib.h>
#include <unistd.h>

#define T(lit)                                                                                     \
	{                                                                                          \
		"" lit, sizeof(lit) - 1                                                            \
	}

static const struct event session[] = {
	{ .kind = EVENT_TRYING, .text = T("192.0.2.1") },
	{ .kind = EVENT_CONNECT, .text = T("mail.example.com") },
	{ .kind = EVENT_LINE, .octets = T("220 a (b) [c] {d} *+?|^$.\\ <\x1b[2J>\r\n") },
	{ .kind = EVENT_SEND, .octets = T("EHLO me\r\n") },
	{ .kind = EVENT_LINE, .octets = T("250 \r\n") },
	{ .kind = EVENT_REPLY,
	    .code = 250,
	    .enhanced = T(""),
	    .text = T("one\ntwo"),
	    .took_us = 12345 },
	{ .kind = EVENT_SEND, .octets = T("STARTTLS\r\n") },
	{ .kind = EVENT_LINE, .octets = T("220 go\r\n") },
	{ .kind = EVENT_TLS, .text = T("TLSv1.3") },
	{ .kind = EVENT_SEND,
	    .octets = T("AUTH PLAIN AGEAYg==\r\n"),
	    .masked = T("AUTH PLAIN <hidden>") },
	{ .kind = EVENT_LINE, .octets = T("\xff\xfe odd") },
	{ .kind = EVENT_LINE, .octets = T(" end\r\n") },
	{ .kind = EVENT_SEND, .octets = T(" {sp} two \r\n"), .content = true },
	{ .kind = EVENT_SEND, .octets = T("bare\n"), .content = true },
	{ .kind = EVENT_SEND, .octets = T("\r\n"), .content = true },
	{ .kind = EVENT_LINE, .octets = T("\r\n") },
	{ .kind = EVENT_CLOSE, .text = T("Connection closed by foreign host."), .status = 1 },
};

static char *
written(enum transcript_format format, unsigned times)
{
	char path[] = "/tmp/test_transcript_XXXXXX";
	struct buf text = BUF_INIT(1 << 20);
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	close(fd);
	for (unsigned i = 0; i < times; i++) {
		struct transcript t = { .proto = "smtp", .port = 25, .us = "c: ", .them = "s: " };
		assert_int_equal(transcript_open(&t, path, format), 0);
		for (size_t k = 0; k < sizeof(session) / sizeof(session[0]); k++)
			transcript_event(&t, &session[k]);
		assert_int_equal(transcript_close(&t), 0);
		assert_int_equal(transcript_close(&t), 0);
	}
	assert_int_equal(file_read_all(path, 1 << 20, &text), 0);
	unlink(path);
	assert_non_null(buf_cstr(&text));
	assert_null(strstr(text.p, "AGEAYg==")); /* the secret is in none of them */
	assert_null(strchr(text.p, '\x1b'));
	return text.p;
}

static void
test_telnet(void **state)
{
	char *text = written(TRANSCRIPT_TELNET, 1);

	assert_string_equal(text, "Trying 192.0.2.1...\n"
				  "Connected to mail.example.com.\n"
				  "Escape character is '^]'.\n"
				  "s: 220 a (b) [c] {d} *+?|^$.\\ <\\x1b[2J>\n"
				  "c: EHLO me\n"
				  "s: 250 \n"
				  "c: STARTTLS\n"
				  "s: 220 go\n"
				  "#  TLSv1.3\n"
				  "c: AUTH PLAIN <hidden>\n"
				  "s: \\xff\\xfe odd end\n"
				  "c:  {sp} two \n"
				  "c: bare\n"
				  "c: \n"
				  "s: \n"
				  "Connection closed by foreign host.\n");
	free(text);
}

static void
test_conv(void **state)
{
	char *text = written(TRANSCRIPT_CONV, 1);
	const char *steps = strstr(text, "S: ");

	assert_non_null(steps);
	assert_string_equal(steps,
	    "S: 220 a \\(b\\) \\[c\\] \\{d\\} \\*\\+\\?\\|\\^\\$\\.\\\\ <.\\[2J>\n"
	    "C: EHLO me\n"
	    "S: 250[ ]\n"
	    "C: STARTTLS\n"
	    "S: 220 go\n"
	    "T: starttls\n"
	    "# A secret was sent here: AUTH PLAIN <hidden>\n"
	    "C: {secret}\n"
	    "S: .. odd end\n"
	    "R: \\x20{sp} two \\r\\n\n"
	    "R: bare\\n\n"
	    "R: \\r\\n\n"
	    "S: ()\n"
	    "E: close\n");
	free(text);
}

/* Twice into one file: still a conversation that can be read. */
static void
test_conv_is_valid(void **state)
{
	for (unsigned times = 1; times <= 2; times++) {
		char *text = written(TRANSCRIPT_CONV, times);
		struct buf err = BUF_INIT(4096);
		struct conv c;
		bool ok = conv_parse(&c, "recorded.conv", str_of(text), &err);
		if (!ok)
			print_message(STR_FMT, STR_ARG(buf_str(&err)));
		assert_true(ok);
		conv_done(&c);
		buf_done(&err);
		free(text);
	}
}

static void
test_json(void **state)
{
	char *text = written(TRANSCRIPT_JSON, 1);
	struct str rest = str_of(text);
	size_t n = 0;

	while (rest.p && rest.len) {
		struct str line = str_cut(&rest, '\n');
		json_t *o = json_loadb(line.p, line.len, JSON_ALLOW_NUL, NULL);
		assert_non_null(o);
		assert_non_null(json_object_get(o, "t"));
		assert_string_equal(json_string_value(json_object_get(o, "ev")),
		    event_kind_name[session[n].kind]);
		if (session[n].kind == EVENT_REPLY) {
			assert_int_equal(json_integer_value(json_object_get(o, "code")), 250);
			assert_int_equal(json_array_size(json_object_get(o, "lines")), 2);
			assert_true(json_real_value(json_object_get(o, "ms")) > 12.3);
		}
		if (session[n].masked.p)
			assert_true(json_is_true(json_object_get(o, "masked")));
		json_decref(o);
		n++;
	}
	assert_int_equal(n, sizeof(session) / sizeof(session[0]));
	free(text);
}

static void
test_html(void **state)
{
	char *text = written(TRANSCRIPT_HTML, 2);

	assert_memory_equal(text, "<!DOCTYPE html>", 15);
	assert_null(strstr(text + 15, "<!DOCTYPE"));
	assert_non_null(strstr(text, "&lt;\\x1b[2J&gt;"));
	assert_non_null(strstr(text, "<div class=\"c\">c: EHLO me</div>\n"));
	assert_non_null(strstr(text, "<div class=\"s\">s: \\xff\\xfe odd end</div>\n"));
	free(text);
}

static void
test_full_disk(void **state)
{
	struct transcript t = { 0 };

	if (access("/dev/full", W_OK) != 0)
		skip();
	assert_int_equal(transcript_open(&t, "/dev/full", TRANSCRIPT_TELNET), 0);
	for (size_t k = 0; k < sizeof(session) / sizeof(session[0]); k++)
		transcript_event(&t, &session[k]);
	assert_true(transcript_close(&t) < 0);
	assert_true(transcript_open(&t, "/nonexistent/x", TRANSCRIPT_TELNET) < 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_telnet),
		cmocka_unit_test(test_conv),
		cmocka_unit_test(test_conv_is_valid),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_html),
		cmocka_unit_test(test_full_disk),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
