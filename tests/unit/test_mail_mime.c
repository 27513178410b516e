#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/arena.h"
#include "base/base64.h"
#include "base/check.h"
#include "mail/mime.h"

/* --- transfer encodings --- */

static const struct {
	enum mime_encoding encoding;
	const char *in, *out;
	bool bad;
} codes[] = {
	{ MIME_7BIT, "as it is=20\r\n", "as it is=20\r\n", false },
	{ MIME_BASE64, "aGVsbG8gd29ybGQ=", "hello world", false },
	{ MIME_BASE64, "aGVs\r\nbG8g\r\n d29ybGQ=\r\n", "hello world", false },
	{ MIME_BASE64, "aGVsbG8", "hello", false },
	{ MIME_BASE64, "aGVsbA==", "hell", false },
	{ MIME_BASE64, "aGVsb", "hel", true },
	{ MIME_BASE64, "aG!Vs", "hel", true },
	{ MIME_BASE64, "aGVsbA==aGVsbA==", "hellhell", true },
	{ MIME_BASE64, "", "", false },
	{ MIME_BASE64, "=", "", true },
	{ MIME_QP, "J=F6rg=20\r\n", "J\xf6rg \r\n", false },
	{ MIME_QP, "a=\r\nb=\nc=  \r\nd", "abcd", false },
	{ MIME_QP, "blanks  \t \r\nat the end  ", "blanks\r\nat the end", false },
	{ MIME_QP, "a \nb", "a\nb", false },
	{ MIME_QP, "a \r b", "a \r b", false },
	{ MIME_QP, "=3d=3D", "==", false },
	{ MIME_QP, "a==", "a=", true },
	{ MIME_QP, "=zz =4", "=zz =4", true },
	{ MIME_QP, "a= b", "a= b", true },
	{ MIME_QP, "=\rx", "=\rx", true },
	{ MIME_UNKNOWN, "x", "x", true },
};

static void
decode(size_t i, size_t first, size_t step, struct buf *out, bool *ret_bad)
{
	struct mime_decoder d;
	struct str in = str_of(codes[i].in);
	mime_decode_init(&d, codes[i].encoding);
	buf_reset(out);
	mime_decode(&d, str_first(in, first), out);
	for (in = str_skip(in, first); in.len; in = str_skip(in, step))
		mime_decode(&d, str_first(in, step), out);
	mime_decode_end(&d, out);
	*ret_bad = d.bad;
}

static void
test_decoding(void **state)
{
	struct buf out = BUF_INIT(1 << 16);
	for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
		bool bad;
		for (size_t at = 0; at <= strlen(codes[i].in); at++) {
			decode(i, at, SIZE_MAX, &out, &bad);
			assert_true(str_eq(buf_str(&out), str_of(codes[i].out)));
			assert_int_equal(bad, codes[i].bad);
		}
		decode(i, 0, 1, &out, &bad);
		assert_true(str_eq(buf_str(&out), str_of(codes[i].out)));
		assert_int_equal(bad, codes[i].bad);
	}
	buf_done(&out);
}

static void
test_every_octet(void **state)
{
	struct buf in = BUF_INIT(1 << 16), text = BUF_INIT(1 << 16), out = BUF_INIT(1 << 16);
	struct mime_decoder d;
	for (int i = 0; i < 4096; i++)
		buf_putc(&in, (char)(i * 7 >> (i & 3)));
	base64_enc(&text, buf_str(&in));
	mime_decode_init(&d, MIME_BASE64);
	mime_decode(&d, buf_str(&text), &out);
	mime_decode_end(&d, &out);
	assert_false(d.bad);
	assert_true(str_eq(buf_str(&in), buf_str(&out)));
	for (unsigned c = 0; c < 256; c++) {
		const char *digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				     "0123456789+/= \t\r\n";
		char o = (char)c;
		mime_decode_init(&d, MIME_BASE64);
		buf_reset(&out);
		mime_decode(&d, STR("AA"), &out);
		mime_decode(&d, str_n(&o, 1), &out);
		assert_int_equal(d.bad, c == 0 || !strchr(digits, o));
	}
	buf_done(&in);
	buf_done(&text);
	buf_done(&out);
}

/* A run of blanks longer than what is held is kept as it is. */
static void
test_many_blanks(void **state)
{
	struct buf in = BUF_INIT(1 << 16), out = BUF_INIT(1 << 16);
	struct mime_decoder d;
	for (int i = 0; i < 1000; i++)
		buf_putc(&in, ' ');
	buf_putc(&in, 'x');
	mime_decode_init(&d, MIME_QP);
	for (size_t i = 0; i < in.len; i++)
		mime_decode(&d, str_n(in.p + i, 1), &out);
	mime_decode_end(&d, &out);
	assert_true(str_eq(buf_str(&in), buf_str(&out)));
	buf_done(&in);
	buf_done(&out);
}

/* --- types --- */

static const struct {
	const char *value, *word, *sub, *params; /* name=value| */
	bool broken;
} types[] = {
	{ "text/plain", "text", "plain", "", false },
	{ " Text / Plain (c) ; Charset = UTF-8 ;x=\"a b\"", "Text", "Plain", "Charset=UTF-8|x=a b|",
	    false },
	{ "text", "text", "", "", false },
	{ "", "", "", "", true },
	{ "text/", "", "", "", true },
	{ "text/plain charset=x", "", "", "", true },
	{ "multipart", "application", "octet-stream", "", false },
	{ "a/b; x; ; y=z", "a", "b", "y=z|", false },
	{ "a/b; x=\"unclosed", "a", "b", "", false },
	{ "a/b; x==?utf-8?q?y?=", "a", "b", "x==?utf-8?q?y?=|", false },
	{ "a/b; x*1=d; x*0=c; x*2*=%41", "a", "b", "x*=''cd%41|", false },
	{ "a/b; x*1=d; x*3=c", "a", "b", "x*1=d|x*3=c|", false },
	{ "a/b; x*y=1; *=2", "a", "b", "x*y=1|*=2|", false },
	{ "a/b; x=\"\\\"q\\\\\"", "a", "b", "x=\"q\\|", false },
	{ "a/b; x=\"fol\r\n ded\"", "a", "b", "x=fol ded|", false },
};

static void
test_types(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		struct mime_value v;
		struct arena a;
		struct buf params = BUF_INIT(4096);
		arena_init(&a, 1 << 16);
		assert_true(mime_type_parse(str_of(types[i].value), &a, &v));
		assert_int_equal(v.broken, types[i].broken);
		assert_true(str_eq(v.word, str_of(types[i].word)));
		assert_true(str_eq(v.sub, str_of(types[i].sub)));
		for (size_t k = 0; k < v.n_params; k++)
			buf_putf(&params, STR_FMT "=" STR_FMT "|", STR_ARG(v.params[k].name),
			    STR_ARG(v.params[k].value));
		assert_string_equal(buf_cstr(&params), types[i].params);
		buf_done(&params);
		arena_done(&a);
	}
}

static void
test_many_params(void **state)
{
	struct mime_value v;
	struct arena a;
	struct buf value = BUF_INIT(1 << 16);
	buf_putz(&value, "a/b");
	for (int i = 0; i < 1000; i++)
		buf_putf(&value, ";x*%d=y;z%d=1", i, i);
	arena_init(&a, 1 << 20);
	assert_true(mime_type_parse(buf_str(&value), &a, &v));
	assert_int_equal(v.n_params, MIME_PARAMS_MAX);
	arena_done(&a);
	buf_done(&value);
}

static void
test_encodings(void **state)
{
	assert_int_equal(mime_encoding_of(STR("")), MIME_7BIT);
	assert_int_equal(mime_encoding_of(STR("BASE64")), MIME_BASE64);
	assert_int_equal(mime_encoding_of(STR("Quoted-Printable")), MIME_QP);
	assert_int_equal(mime_encoding_of(STR("x-uuencode")), MIME_UNKNOWN);
}

/* --- the walk --- */

static void
on_begin(void *arg, struct mime_part *p)
{
	buf_putf(arg, "(%u.%u ", p->depth, p->number);
}

static void
on_field(void *arg, struct mime_part *p, const struct mime_field *f)
{
	buf_putf(arg, "[" STR_FMT "|" STR_FMT "]", STR_ARG(f->name), STR_ARG(f->value));
}

static void
on_header_end(void *arg, struct mime_part *p)
{
	buf_putf(arg, "%c:", "LTMR"[p->kind]);
}

static void
on_body(void *arg, struct mime_part *p, struct str octets)
{
	buf_puts(arg, octets);
}

static void
on_end(void *arg, struct mime_part *p)
{
	buf_putc(arg, ')');
	check(p->header_off <= p->body_off && p->body_off <= p->end);
}

static const struct mime_sink sink = { on_begin, on_field, on_header_end, on_body, on_end };

static const struct {
	const char *letter, *events;
} walks[] = {
	{ "", "(0.0 T:)" },
	{ "\r\nx", "(0.0 T:x)" },
	{ "A: b\r\n c\r\nD :e\r\nnone\r\n\r\nx\r\n", "(0.0 [A|b\r\n c][D|e][none|]T:x\r\n)" },
	{ "A: b", "(0.0 [A|b]T:)" },
	{ "A: b\n\nx\ny", "(0.0 [A|b]T:x\ny)" },
	{ "a\r", "(0.0 [a|]T:)" },
	{ "Content-Type: multipart/x; boundary=b\n\npro\n--b\n\n1\n--b\n\n2\r\n--b--\nepi",
	    "(0.0 [Content-Type|multipart/x; boundary=b]M:(1.1 T:1)(1.2 T:2))" },
	/* Lines that look like boundaries, and their blanks and line ends. */
	{ "Content-Type: multipart/x; boundary=b\n\n--b\n\n-\n--\n--c\n --b\r\r\n\r--b\r\n--b",
	    "(0.0 [Content-Type|multipart/x; boundary=b]M:(1.1 T:-\n--\n--c\n --b\r\r\n\r--b))" },
	{ "Content-Type: multipart/x; boundary=b\n\n--b \n\n1\n--bogus\n\n2\n--b-- x\n",
	    "(0.0 [Content-Type|multipart/x; boundary=b]M:(1.1 T:1)(1.2 T:2))" },
	/* A line that might have been one, and whose end may come in two pieces. */
	{ "Content-Type: multipart/x; boundary=b\r\n\r\n--b\r\n\r\n--c\r\n--b\r\n\r\n--\r\r\n--b--",
	    "(0.0 [Content-Type|multipart/x; boundary=b]M:(1.1 T:--c)(1.2 T:--\r))" },
	/* A header that a boundary ends. */
	{ "Content-Type: multipart/x; boundary=b\n\n--b\nA: b\n--b\n--b--",
	    "(0.0 [Content-Type|multipart/x; boundary=b]M:(1.1 [A|b]T:)(1.2 T:))" },
	{ "Content-Type: message/rfc822\n\nA: b\n\nx", "(0.0 [Content-Type|message/rfc822]R:"
						       "(1.1 [A|b]T:x))" },
};

static void
walk(struct str letter, size_t first, size_t step, struct buf *out)
{
	struct mime_walk *w = mime_walk_new(&sink, out, MIME_FIELD_MAX);
	buf_reset(out);
	buf_putc(out, '(');
	buf_putz(out, "0.0 ");
	mime_walk_feed(w, str_first(letter, first));
	for (letter = str_skip(letter, first); letter.len; letter = str_skip(letter, step))
		mime_walk_feed(w, str_first(letter, step));
	mime_walk_end(w);
	mime_walk_free(w);
}

static void
test_walks(void **state)
{
	struct buf out = BUF_INIT(1 << 16);
	for (size_t i = 0; i < ARRAY_LEN(walks); i++) {
		struct str letter = str_of(walks[i].letter);
		for (size_t at = 0; at <= letter.len; at++) {
			walk(letter, at, SIZE_MAX, &out);
			assert_string_equal(buf_cstr(&out), walks[i].events);
		}
		walk(letter, 0, 1, &out);
		assert_string_equal(buf_cstr(&out), walks[i].events);
	}
	buf_done(&out);
}

/* A field larger than is kept is cut, and the next one is whole. */
static void
test_large_field(void **state)
{
	struct buf out = BUF_INIT(1 << 20);
	struct mime_walk *w = mime_walk_new(&sink, &out, 16);
	mime_walk_feed(w, STR("A: 0123456789abcdefghijkl\r\n mnopq\r\nB: c\r\n\r\n"));
	mime_walk_end(w);
	mime_walk_free(w);
	assert_non_null(strstr(buf_cstr(&out), "[A|0123456789abc][B|c]"));
	buf_done(&out);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_decoding),
		cmocka_unit_test(test_every_octet),
		cmocka_unit_test(test_many_blanks),
		cmocka_unit_test(test_types),
		cmocka_unit_test(test_many_params),
		cmocka_unit_test(test_encodings),
		cmocka_unit_test(test_walks),
		cmocka_unit_test(test_large_field),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
