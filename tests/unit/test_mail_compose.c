#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/utf8.h"
#include "mail/compose.h"
#include "mail/lint.h"
#include "mail/mime.h"
#include "mail/words.h"

#include <string.h>

/* --- fields --- */

static const struct {
	const char *value;
	const char *field; /* NULL: refused */
} fields[] = {
	{ "hello", "X: hello\r\n" },
	{ "", "X: \r\n" },
	{ "Gr\xc3\xbc\xc3\x9f"
	  "e an alle",
	    "X: =?utf-8?B?R3LDvMOfZQ==?= an alle\r\n" },
	{ "J\xc3\xb6rg M\xc3\xbcller <j@example.com>",
	    "X: =?utf-8?B?SsO2cmcgTcO8bGxlcg==?= <j@example.com>\r\n" },
	{ "\"J\xc3\xb6rg, M.\" <j@example.com>",
	    "X: =?utf-8?B?SsO2cmcsIE0u?= <j@example.com>\r\n" },
	{ "\"Joe, M.\" <j@example.com>", "X: \"Joe, M.\" <j@example.com>\r\n" },
	{ "=?looks like a word", "X: =?utf-8?B?PT9sb29rcw==?= like a word\r\n" },
	{ "a\nBcc: b@example.com", NULL },
	{ "a\rb", NULL },
};

static void
test_fields(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		struct buf b = BUF_INIT(100000);
		bool ok = compose_field(&b, STR("X"), str_of(fields[i].value), false);
		assert_int_equal(ok, fields[i].field != NULL);
		if (ok)
			assert_string_equal(buf_cstr(&b), fields[i].field);
		buf_done(&b);
	}
}

/* Long texts fold, and come back as they were. */
static void
test_folding(void **state)
{
	struct buf text = BUF_INIT(100000), b = BUF_INIT(100000), back = BUF_INIT(100000);
	for (int i = 0; i < 60; i++)
		buf_putf(&text, "%s%s", i ? " " : "", i % 3 ? "w\xc3\xb6rter" : "words");
	assert_true(compose_field(&b, STR("Subject"), buf_str(&text), false));
	assert_true(utf8_is_ascii(buf_str(&b)));
	struct str left = buf_str(&b);
	while (left.len > 0) {
		size_t n = str_find_str(left, STR("\r\n"));
		assert_true(n <= 78);
		left = str_skip(left, n + 2);
	}
	words_decode(NULL, str_skip(buf_str(&b), 8), &back);
	assert_true(str_eq(str_trim(buf_str(&back)), buf_str(&text)));
	buf_done(&text);
	buf_done(&b);
	buf_done(&back);
}

/* --- letters --- */

struct seen {
	char types[1000];
	struct mime_decoder d[20];
	struct buf bodies;
};

static void
on_field(void *arg, struct mime_part *p, const struct mime_field *f)
{
	struct seen *s = arg;
	if (str_ieq(f->name, STR("Content-Type"))) {
		struct str type = str_first(f->value, str_find(f->value, ';'));
		size_t at = strlen(s->types);
		assert_true(at + type.len + 2 < sizeof(s->types));
		memcpy(s->types + at, type.p, type.len);
		s->types[at + type.len] = ' ';
	}
	if (str_ieq(f->name, STR("Content-Transfer-Encoding")))
		mime_decode_init(&s->d[p->index], mime_encoding_of(str_trim(f->value)));
}

static void
on_body(void *arg, struct mime_part *p, struct str octets)
{
	struct seen *s = arg;
	if (p->kind != MIME_MULTIPART)
		mime_decode(&s->d[p->index], octets, &s->bodies);
}

static void
on_end(void *arg, struct mime_part *p)
{
	struct seen *s = arg;
	if (p->kind != MIME_MULTIPART) {
		mime_decode_end(&s->d[p->index], &s->bodies);
		buf_putc(&s->bodies, '|');
	}
}

static void
read_back(struct str letter, struct seen *s)
{
	const struct mime_sink sink = { .field = on_field, .body = on_body, .end = on_end };
	*s = (struct seen){ .bodies = BUF_INIT(1u << 20) };
	struct mime_walk *w = mime_walk_new(&sink, s, MIME_FIELD_MAX);
	mime_walk_feed(w, letter);
	mime_walk_end(w);
	mime_walk_free(w);
}

static void
count(void *arg, const struct lint_finding *f)
{
	print_message("line %zu: %s\n", f->line, f->what);
	++*(size_t *)arg;
}

static void
test_letters(void **state)
{
	static const struct compose_file files[] = {
		{ .name = { "a.png", 5 }, .octets = { "\0\1\2\xff", 4 } },
		{ .name = { "\xc3\xbc \"x\".txt", 10 }, .octets = { "text\n", 5 } },
	};
	static const struct {
		const char *text, *html;
		size_t n_files;
		bool eicar;
		const char *types, *bodies;
	} rows[] = {
		{ "hello\n.dot\n", "", 0, false, "text/plain ", "hello\r\n.dot\r\n|" },
		{ "hell\xc3\xb6 =3D \nFrom me\n", "", 0, false, "text/plain ",
		    "hell\xc3\xb6 =3D \r\nFrom me\r\n|" },
		{ "a\n", "<p>b\n", 0, false, "multipart/alternative text/plain text/html ",
		    "a\r\n|<p>b\r\n|" },
		{ "", "<p>b\n", 0, false, "text/html ", "<p>b\r\n|" },
		{ "a\n", "", 2, false, "multipart/mixed text/plain image/png text/plain ", NULL },
		{ "a\n", "<b>\n", 2, true,
		    "multipart/mixed multipart/alternative text/plain text/html image/png "
		    "text/plain "
		    "application/octet-stream ",
		    NULL },
		{ "", "", 0, false, "text/plain ", "|" },
	};
	const struct str to[] = { STR("b@example.com"), STR("c@example.com") };
	const struct str given[] = { STR("X-Test: yes"), STR("subject: mine") };
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf b = BUF_INIT(1u << 20), err = BUF_INIT(1000);
		struct seen s;
		size_t found = 0;
		const struct compose c = { .from = STR("a@example.org"),
			.to = to,
			.n_to = 2,
			.subject = STR("theirs"),
			.fields = given,
			.n_fields = 2,
			.text = str_of(rows[i].text),
			.html = str_of(rows[i].html),
			.files = files,
			.n_files = rows[i].n_files,
			.eicar = rows[i].eicar,
			.date = true,
			.sec = 1800000000,
			.zone = 60,
			.message_id = STR("x@example.org"),
			.seed = STR("0123456789") };
		assert_true(compose_letter(&c, &b, &err));
		assert_true(utf8_is_ascii(buf_str(&b)));
		assert_true(str_find_str(buf_str(&b), STR("theirs")) == b.len);
		assert_true(str_find_str(buf_str(&b), STR("To: b@example.com, c@example.com\r\n")) <
			    b.len);
		read_back(buf_str(&b), &s);
		assert_string_equal(s.types, rows[i].types);
		if (rows[i].bodies)
			assert_string_equal(buf_cstr(&s.bodies), rows[i].bodies);
		const struct lint_conf conf = { .sender = STR("a@example.org") };
		assert_int_equal(lint_letter(buf_str(&b), &conf, count, &found, NULL), 0);
		buf_done(&s.bodies);
		buf_done(&b);
		buf_done(&err);
	}
}

/* What the caller says of the whole letter goes before what is made up. */
static void
test_given_type(void **state)
{
	const struct str type[] = { STR("Content-Type: text/x-test; charset=utf-8") };
	const struct str both[] = { STR("Content-Type: text/html"),
		STR("Content-Transfer-Encoding: base64") };
	const struct {
		const struct str *fields;
		size_t n;
		const char *text, *html, *tail; /* NULL: refused */
	} rows[] = {
		{ type, 1, "hi\n", "",
		    "Content-Type: text/x-test; charset=utf-8\r\nMIME-Version: 1.0\r\n"
		    "Content-Transfer-Encoding: 7bit\r\n\r\nhi\r\n" },
		{ both, 2, "aGkK\n", "",
		    "Content-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n"
		    "MIME-Version: 1.0\r\n\r\naGkK\r\n" },
		{ type, 1, "hi\n", "<p>hi", NULL },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf b = BUF_INIT(100000), err = BUF_INIT(1000);
		const struct compose c = { .fields = rows[i].fields,
			.n_fields = rows[i].n,
			.text = str_of(rows[i].text),
			.html = str_of(rows[i].html),
			.seed = STR("0") };
		assert_int_equal(compose_letter(&c, &b, &err), rows[i].tail != NULL);
		if (rows[i].tail)
			assert_string_equal(buf_cstr(&b), rows[i].tail);
		else
			assert_true(err.len > 0);
		buf_done(&b);
		buf_done(&err);
	}
}

/* RFC 2047 2: no encoded word is longer than 75 octets, of whatever charset. */
static void
test_word_length(void **state)
{
	char value[301];
	struct buf b = BUF_INIT(10000);
	memset(value, 0xe4, sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	assert_true(compose_field(&b, STR("Subject"), str_of(value), false));
	struct str left = buf_str(&b);
	str_cut(&left, ' ');
	while (left.p)
		assert_in_range(str_trim(str_cut(&left, '\n')).len, 0, 75);
	buf_done(&b);
}

static void
test_bad_fields(void **state)
{
	static const char *const bad[] = { "no colon", ": x", "a b: x", "A: b\nBcc: c" };
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct buf b = BUF_INIT(1u << 20), err = BUF_INIT(1000);
		const struct str given = str_of(bad[i]);
		const struct compose c = { .from = STR("a@x"), .fields = &given, .n_fields = 1 };
		assert_false(compose_letter(&c, &b, &err));
		assert_true(err.len > 0);
		buf_done(&b);
		buf_done(&err);
	}
}

/* --- lint --- */

#define HEAD "From: a@x\nDate: x\nMessage-ID: <x@x>\n"

static const struct {
	const char *letter;
	enum lint_rule rule;
	size_t line;
	bool error;
} lints[] = {
	{ HEAD "\nbody\n", LINT_COUNT, 0, false },
	{ HEAD "\r\nbody\n", LINT_MIXED_ENDS, 0, false },
	{ "From: a@x\nDate: x\n\nbody\n", LINT_NO_MESSAGE_ID, 0, false },
	{ "Date: x\nMessage-ID: x\n\nbody\n", LINT_NO_FROM, 0, true },
	{ "From: a@x\nMessage-ID: x\n\nbody\n", LINT_NO_DATE, 0, false },
	{ HEAD "FROM: a@x\n\nbody\n", LINT_TWICE, 4, true },
	{ "From: b@x\nDate: x\nMessage-ID: <x@x>\n\nbody\n", LINT_FROM_DIFFERS, 1, false },
	{ HEAD "Bcc: x\n\nbody\n", LINT_BCC, 4, false },
	{ HEAD "\nContent-Type: text/html\n\n<p>\n", LINT_FIELD_IN_BODY, 5, true }, /* K0-50 */
	{ HEAD "Hello,\nthis is the body\n", LINT_NO_BLANK, 4, true },
	{ HEAD
	    "Content-Type: multipart/mixed; \nboundary=x\nMIME-Version: 1.0\n\n--x\n\na\n--x--\n",
	    LINT_NOT_FOLDED, 5, true }, /* K0-48 */
	{ HEAD "Content-Type: multipart/mixed\nMIME-Version: 1.0\n\n", LINT_NO_BOUNDARY, 4, true },
	{ HEAD "Content-Type: multipart/mixed; boundary=\"xy\"\nMIME-Version: 1.0\n\n--xz\n",
	    LINT_BOUNDARY_MISSING, 4, true },
	{ HEAD "Content-Type: multipart/mixed;\n boundary=xy\nMIME-Version: 1.0\n\n--xy\n\na\n",
	    LINT_BOUNDARY_OPEN, 4, false },
	{ HEAD
	    "Content-Type: multipart/mixed; boundary=xy\nMIME-Version: 1.0\n\n--xy\n\na\n--xy--\n",
	    LINT_COUNT, 0, false },
	{ HEAD "Content-Type: text/plain\n\nbody\n", LINT_NO_MIME_VERSION, 4, false },
	{ HEAD "\nbo\rdy\n", LINT_BARE_CR, 5, true },
	{ HEAD "\nb\xc3\xb6\n", LINT_8BIT, 5, false },
	{ HEAD "Subject: b\xc3\xb6\n\nx\n", LINT_8BIT_HEADER, 4, true },
	{ HEAD "Subject : x\n\nx\n", LINT_BLANK_BEFORE_COLON, 4, true },
	{ "From a@x Sat\n" HEAD "\nx\n", LINT_FROM_LINE, 1, true },
	{ "", LINT_EMPTY, 0, true },
};

struct found {
	size_t n;
	struct lint_finding one[100];
};

static void
keep(void *arg, const struct lint_finding *f)
{
	struct found *all = arg;
	assert_true(f->what && f->remedy);
	if (all->n < 100)
		all->one[all->n++] = *f;
}

static void
test_lint(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(lints); i++) {
		struct found all = { 0 };
		size_t errors;
		const struct lint_conf conf = { .sender = STR("a@x") };
		size_t n = lint_letter(str_of(lints[i].letter), &conf, keep, &all, &errors);
		bool there = false;
		for (size_t k = 0; k < all.n; k++)
			there = there || (all.one[k].rule == lints[i].rule &&
					     all.one[k].line == lints[i].line &&
					     all.one[k].error == lints[i].error);
		if (lints[i].rule == LINT_COUNT ? n != 0 : !there)
			fail_msg("row %zu: %zu findings, the first: %s, line %zu", i, n,
			    all.n ? lint_rule_name[all.one[0].rule] : "none",
			    all.n ? all.one[0].line : 0);
	}
	/* An empty letter lacks From, Date and so on; every other row has this one finding. */
}

static void
test_lint_lines(void **state)
{
	struct buf b = BUF_INIT(1u << 20);
	struct found all = { 0 };
	size_t errors;
	const struct lint_conf conf = { 0 };
	buf_putz(&b, HEAD "\n");
	for (int i = 0; i < 999; i++)
		buf_putc(&b, 'x');
	buf_put(&b, "\na\0b\n", 5);
	assert_int_equal(lint_letter(buf_str(&b), &conf, keep, &all, &errors), 2);
	assert_int_equal(all.one[0].rule, LINT_LONG_LINE);
	assert_int_equal(all.one[0].line, 5);
	assert_int_equal(all.one[1].rule, LINT_NUL);
	assert_int_equal(errors, 2);
	for (size_t i = 0; i < LINT_COUNT; i++)
		assert_non_null(lint_rule_name[i]);
	buf_done(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_folding),
		cmocka_unit_test(test_letters),
		cmocka_unit_test(test_given_type),
		cmocka_unit_test(test_word_length),
		cmocka_unit_test(test_bad_fields),
		cmocka_unit_test(test_lint),
		cmocka_unit_test(test_lint_lines),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
