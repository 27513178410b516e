#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/check.h"
#include "client/imap.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* --- what comes out, as text --- */

static void
show_nodes(struct buf *b, const struct imap_node *n)
{
	for (const char *sep = ""; n; n = n->next, sep = " ") {
		buf_putz(b, sep);
		if (n->kind == IMAP_NODE_LIST) {
			buf_putc(b, '(');
			show_nodes(b, n->child);
			buf_putc(b, ')');
		} else if (n->kind == IMAP_NODE_NIL) {
			buf_putz(b, "nil");
		} else {
			static const char *const marks[] = { "", "", "'", "=", "" };
			buf_putz(b, marks[n->kind]);
			buf_putz(b, n->binary ? "~" : "");
			buf_puts(b, n->text);
			if (n->size != n->text.len)
				buf_putf(b, "<%" PRIu64 ">", n->size);
		}
	}
}

static void
show(struct buf *b, const struct imap_response *r)
{
	static const char *const kinds[] = { "*", "", "+", "?" };
	buf_putz(b, kinds[r->kind]);
	buf_puts(b, r->tag.len && r->kind == IMAP_TAGGED ? r->tag : STR_NULL);
	if (r->status)
		buf_putf(b, " %s", imap_status_name[r->status]);
	if (r->has_number)
		buf_putf(b, " #%" PRIu64, r->number);
	if (r->name.len)
		buf_putf(b, " " STR_FMT, STR_ARG(r->name));
	if (r->code.len)
		buf_putf(b, " [" STR_FMT "|" STR_FMT "]", STR_ARG(r->code), STR_ARG(r->code_args));
	if (r->data) {
		buf_putc(b, ' ');
		show_nodes(b, r->data);
	}
	if (r->text.len)
		buf_putf(b, " \"" STR_FMT "\"", STR_ARG(r->text));
	buf_putz(b, r->cut ? " cut" : "");
	buf_putz(b, r->broken ? " broken" : "");
	buf_putc(b, '\n');
}

static const struct {
	const char *in, *out;
} rows[] = {
	{ "* OK [CAPABILITY IDLE] hi there\r\n", "* OK [CAPABILITY|IDLE] \"hi there\"\n" },
	{ "* OK IMAP4rev1 ready {5}\r\n* BYE\r\n", "* OK \"IMAP4rev1 ready {5}\"\n* BYE\n" },
	{ "* PREAUTH x\n", "* PREAUTH \"x\"\n" },
	{ "a001 OK done\r\n", "a001 OK \"done\"\n" },
	{ "a001 no [BADCH (\"a]b\" UTF-8)] x]y\r\n", "a001 NO [BADCH|(\"a]b\" UTF-8)] \"x]y\"\n" },
	{ "a2 BAD\r\n", "a2 BAD\n" },
	{ "+ idling\r\n+\r\n+ \r\n", "+ \"idling\"\n+\n+\n" },
	{ "* 12 EXISTS\r\n* 0 recent\r\n", "* #12 EXISTS\n* #0 recent\n" },
	{ "* FLAGS (\\Seen $x)\r\n", "* FLAGS (\\Seen $x)\n" },
	{ "* LIST (\\Noselect) \"/\" \"a \\\"b\\\\\"\r\n", "* LIST (\\Noselect) '/ 'a \"b\\\n" },
	{ "* LIST () NIL foo[bar\r\n* LIST () nil foo]{x}\r\n",
	    "* LIST () nil foo[bar\n* LIST () nil foo]{x}\n" },
	{ "* LIST () \"/\" {3}\r\na\nb\r\n", "* LIST () '/ =a\nb\n" },
	{ "* LIST () \"/\" {0}\r\n\r\n", "* LIST () '/ =\n" },
	{ "* 1 FETCH (BODY[HEADER (\"x]\")]<0> {2}\r\nhi UID 4)\r\n",
	    "* #1 FETCH (BODY[HEADER (\"x]\")]<0> =hi UID 4)\n" },
	{ "* 1 FETCH (BODY[HEADER.FIELDS ({4}\r\nFROM)] {1}\r\nx)\r\n",
	    "* #1 FETCH (BODY[HEADER.FIELDS (FROM)] =x)\n" },
	{ "* 1 FETCH (BINARY[1] ~{3}\r\na\"(FLAGS ())\r\n",
	    "* #1 FETCH (BINARY[1] =~a\"( FLAGS ())\n" },
	{ "* 1 FETCH (ENVELOPE (NIL \"s\" ((NIL NIL a b))NIL))\r\n",
	    "* #1 FETCH (ENVELOPE (nil 's ((nil nil a b)) nil))\n" },
	{ "* SEARCH\r\n* SEARCH 1 2\r\n", "* SEARCH\n* SEARCH 1 2\n" },
	{ "* STATUS {5}\r\nINBOX (MESSAGES 3)\r\n", "* STATUS =INBOX (MESSAGES 3)\n" },
	{ "* THREAD (1 2)(3)\r\n", "* THREAD (1 2) (3)\n" },
	/* what is wrong */
	{ "220 mail.example.com ESMTP\r\n", "? \"220 mail.example.com ESMTP\"\n" },
	{ "+OK POP3\r\n", "? \"+OK POP3\"\n" },
	{ "hello\r\n", "? \"hello\"\n" },
	{ "* 1 FETCH (FLAGS (\r\na OK x\r\n", "* #1 FETCH (FLAGS ()) broken\na OK \"x\"\n" },
	{ "* 1 FETCH (UID 1))\r\n", "* #1 FETCH (UID 1) broken\n" },
	{ "* LIST () \"/\" \"open\r\na OK\r\n", "* LIST () '/ 'open broken\na OK\n" },
	{ "* 1 FETCH (BODY[ {1}\r\nx\r\n", "* #1 FETCH (BODY[ x) broken\n" },
	{ "* 5\r\n", "* #5 broken\n" },
	{ "* X {99999999999999999999999}\r\n* OK\r\n", "* X {99999999999999999999999}\n* OK\n" },
	{ "* X {}\r\n* X {1-}\r\n", "* X {}\n* X {1-}\n" },
	{ "* X \"0123456789abcdef0123456789ab\" 0\r\n", "* X '0123456789abcdef0123456789ab 0\n" },
	{ "* X \"0123456789abcdef0123456789abc\" {30}\r\n0123456789abcdef0123456789abcd z\r\n",
	    "* X '0123456789abcdef0123456789ab<29> =0123456789abcdef0123456789ab<30> z cut\n" },
	{ "* X (((((deep)x)y)z)w) end\r\n", "* X ((((x) y) z) w) end cut\n" },
};

static void
run(const char *in, size_t len, const size_t *cuts, size_t n_cuts, struct buf *out)
{
	struct imap_reader x;
	size_t from = 0;
	imap_reader_init(&x, IMAP_READER_ARENA);
	x.text_max = 28;
	x.depth_max = 4;
	for (size_t i = 0; i <= n_cuts; i++) {
		size_t to = i < n_cuts ? cuts[i] : len;
		char *piece = to > from ? xmemdup(in + from, to - from) : NULL;
		struct str s = str_n(piece, to - from);
		const struct imap_response *r;
		while ((r = imap_reader_feed(&x, &s)))
			show(out, r);
		assert_int_equal(s.len, 0);
		free(piece);
		from = to;
	}
	imap_reader_done(&x);
}

static void
test_responses(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf whole = BUF_INIT(65536), other = BUF_INIT(65536);
		size_t len = strlen(rows[i].in), each[512];
		assert_true(len < ARRAY_LEN(each));
		run(rows[i].in, len, NULL, 0, &whole);
		assert_string_equal(buf_cstr(&whole), rows[i].out);
		for (size_t k = 0; k < len; k++)
			each[k] = k;
		run(rows[i].in, len, each, len, &other);
		assert_string_equal(buf_cstr(&other), rows[i].out);
		for (size_t cut = 1; cut < len; cut++) {
			buf_reset(&other);
			run(rows[i].in, len, &cut, 1, &other);
			assert_string_equal(buf_cstr(&other), rows[i].out);
		}
		buf_done(&whole);
		buf_done(&other);
	}
}

/* --- ManageSieve --- */

static const struct {
	const char *in, *out;
} sieve_rows[] = {
	{ "\"SASL\" \"PLAIN LOGIN\"\r\n\"STARTTLS\"\r\nOK\r\n",
	    "* 'SASL 'PLAIN LOGIN\n* 'STARTTLS\n OK OK\n" },
	{ "NO (QUOTA/MAXSCRIPTS) \"too many\"\r\n",
	    " NO [QUOTA/MAXSCRIPTS|] NO (QUOTA/MAXSCRIPTS) 'too many \"too many\"\n" },
	{ "OK (SASL \"cnNw\")\r\n", " OK [SASL|cnNw] OK (SASL 'cnNw)\n" },
	{ "NO {9}\r\nline\r\nerr\r\n", " NO NO =line\r\nerr \"line\r\nerr\"\n" },
	{ "{4}\r\nYWJj\r\n", "* =YWJj\n" },
	{ "\"a\" ACTIVE\r\n", "* 'a ACTIVE\n" },
};

static void
test_sieve(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(sieve_rows); i++) {
		struct buf out = BUF_INIT(65536);
		struct imap_reader x;
		struct str s = str_of(sieve_rows[i].in);
		const struct imap_response *r;
		imap_reader_init(&x, IMAP_READER_ARENA);
		x.sieve = true;
		while ((r = imap_reader_feed(&x, &s)))
			show(&out, r);
		assert_string_equal(buf_cstr(&out), sieve_rows[i].out);
		imap_reader_done(&x);
		buf_done(&out);
	}
}

/* --- too much --- */

struct counted {
	uint64_t octets, announced;
	unsigned pieces;
	char item[32];
};

static void
count(void *arg, struct str item, uint64_t size, uint64_t off, struct str piece)
{
	struct counted *c = arg;
	c->announced = size;
	assert_true(off == c->octets);
	c->octets += piece.len;
	c->pieces++;
	assert_true(str_copy(c->item, sizeof(c->item), item));
}

static void
test_large(void **state)
{
	struct imap_reader x;
	struct counted c = { 0 };
	char piece[4096];
	struct str s = STR("* 1 FETCH (UID 3 BODY[] {100000000000000}\r\n");
	imap_reader_init(&x, IMAP_READER_ARENA);
	x.literal = count;
	x.arg = &c;
	assert_null(imap_reader_feed(&x, &s));
	assert_true(c.announced == 100000000000000u && c.pieces == 1);
	assert_string_equal(c.item, "BODY[]");
	memset(piece, '\n', sizeof(piece));
	for (int i = 0; i < 2000; i++) {
		s = str_n(piece, sizeof(piece));
		assert_null(imap_reader_feed(&x, &s));
	}
	assert_true(c.octets == 2000u * sizeof(piece));
	assert_true(imap_reader_literal_left(&x) == 100000000000000u - c.octets);
	assert_true(x.token.cap <= 2 * IMAP_READER_TEXT && x.arena.used <= IMAP_READER_ARENA);
	imap_reader_done(&x);
}

/* A million parentheses, and more values than the arena has room for. */
static void
test_deep(void **state)
{
	struct imap_reader x;
	const struct imap_response *r = NULL;
	struct str s = STR("* X ");
	imap_reader_init(&x, 4096);
	assert_null(imap_reader_feed(&x, &s));
	for (int i = 0; i < 1000000; i++) {
		s = STR("(");
		assert_null(imap_reader_feed(&x, &s));
	}
	for (int i = 0; i < 1000000; i++) {
		s = STR("z)");
		assert_null(imap_reader_feed(&x, &s));
	}
	for (int i = 0; i < 100000; i++) {
		s = STR("atom ");
		assert_null(imap_reader_feed(&x, &s));
	}
	s = STR("\r\n* OK still here\r\n");
	r = imap_reader_feed(&x, &s);
	assert_non_null(r);
	assert_true(r->cut && !r->broken && str_eq(r->name, STR("X")));
	r = imap_reader_feed(&x, &s);
	assert_true(r && r->status == IMAP_OK && str_eq(r->text, STR("still here")) && !r->cut);
	imap_reader_done(&x);
}

/* --- strings and names --- */

static void
test_astring(void **state)
{
	static const struct {
		const char *in;
		bool utf8;
		const char *out; /* NULL: a literal */
	} s[] = {
		{ "joe", false, "joe" },
		{ "", false, "\"\"" },
		{ "a b", false, "\"a b\"" },
		{ "nil", false, "\"nil\"" },
		{ "a\"\\b", false, "\"a\\\"\\\\b\"" },
		{ "a\r\nb", true, NULL },
		{ "caf\xc3\xa9", false, NULL },
		{ "caf\xc3\xa9", true, "\"caf\xc3\xa9\"" },
		{ "{3}", false, "\"{3}\"" },
		{ "a*", false, "\"a*\"" },
	};
	for (size_t i = 0; i < ARRAY_LEN(s); i++) {
		struct buf b = BUF_INIT(100);
		assert_int_equal(imap_put_astring(&b, str_of(s[i].in), s[i].utf8),
		    s[i].out != NULL);
		if (s[i].out)
			assert_string_equal(buf_cstr(&b), s[i].out);
		buf_done(&b);
	}
}

static void
test_names(void **state)
{
	static const struct {
		const char *wire, *utf8;
		bool one_way;
	} s[] = {
		{ "INBOX", "INBOX", false },
		{ "Entw&APw-rfe", "Entw\xc3\xbcrfe", false },
		{ "a&-b", "a&b", false },
		{ "&ZeVnLIqe-", "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e", false },
		{ "&2D3eAA-", "\xf0\x9f\x98\x80", false },
		{ "a&b", "a&b", true },
		{ "&!!-", "&!!-", true },
		{ "&2D0-", "&2D0-", true },
	};
	for (size_t i = 0; i < ARRAY_LEN(s); i++) {
		struct buf b = BUF_INIT(100);
		imap_name_decode(str_of(s[i].wire), &b);
		assert_string_equal(buf_cstr(&b), s[i].utf8);
		buf_reset(&b);
		imap_name_encode(str_of(s[i].utf8), &b);
		if (!s[i].one_way)
			assert_string_equal(buf_cstr(&b), s[i].wire);
		buf_done(&b);
	}
}

static void
test_values(void **state)
{
	struct imap_reader x;
	struct str s = STR("* 1 FETCH (UID 7 FLAGS (\\Seen) X)\r\n");
	imap_reader_init(&x, IMAP_READER_ARENA);
	const struct imap_response *r = imap_reader_feed(&x, &s);
	assert_non_null(r);
	const struct imap_node *first = r->data->child;
	assert_true(str_eq(imap_node_text(imap_node_value(first, "uid")), STR("7")));
	assert_null(imap_node_value(first, "X"));
	assert_true(imap_node_is(imap_node_value(first, "FLAGS")->child, "\\seen"));
	imap_reader_done(&x);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_responses),
		cmocka_unit_test(test_sieve),
		cmocka_unit_test(test_large),
		cmocka_unit_test(test_deep),
		cmocka_unit_test(test_astring),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_values),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
