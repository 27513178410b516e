/* Mail merge, pure: what XDFN takes, what XPRT takes, and the letters that come of it. */
#include "kit/merge_kit.h"

#include <stdio.h>

static const struct define_row {
	const char *arg;
	enum smtp_situation say;
	const char *defs; /* "id=value|" in order, ids counted from the first name of the row */
	bool brackets;
} define_rows[] = {
	{ "a=b", SMTP_NONE, "0=b|" },
	{ "A=b a=c B_-9=d", SMTP_NONE, "0=b|0=c|1=d|" },
	{ "  a=b \t c=d  ", SMTP_NONE, "0=b|1=d|" },
	{ "a=\"b c\" d=\"\"", SMTP_NONE, "0=b c|1=|" },
	{ "a=\"Joe /\"J/\" User\" u=http:////x//?a=1", SMTP_NONE,
	    "0=Joe \"J\" User|1=http://x/?a=1|" },
	{ "a=b/ c d=/&/;", SMTP_NONE, "0=b c|1=&;|" },
	{ "<a=b> [c=d]", SMTP_NONE, "0=b|1=d|" },
	{ "<a=\"b> c\"> [c=d]e]", SMTP_NONE, "0=b> c|1=d]e|" },
	{ "a=b> c=<d", SMTP_NONE, "0=b>|1=<d|" },
	{ "a=\"x=y\" b=x=y", SMTP_NONE, "0=x=y|1=x=y|" },
	{ "*PARTS=1,2 *part=3-5 *DK=key", SMTP_NONE, "1027=1,2|1027=3-5|1028=key|" },
	{ "*parts=\"1,3,2\"", SMTP_NONE, "1027=1,3,2|" },
	{ "*PARTS=100", SMTP_NONE, "1027=100|" },
	{ "a=\xc3\xa4", SMTP_NONE, "0=\xc3\xa4|" },
	{ "*jobid=7 *envid=e *vmta=v *priority=1", SMTP_NONE, "1030=7|1029=e|1031=v|1032=1|",
	    true },
	{ "", SMTP_IPMM_XDFN_SYNTAX, "" },
	{ "  ", SMTP_IPMM_XDFN_SYNTAX, "" },
	{ "=x", SMTP_IPMM_XDFN_SYNTAX, "" },
	{ "<=x>", SMTP_IPMM_XDFN_SYNTAX, "" },
	{ "*=x", SMTP_IPMM_XDFN_SYNTAX, "" },
	{ "1a=x", SMTP_IPMM_XDFN_SYNTAX, "" },
	{ "a.b=x", SMTP_IPMM_XDFN_SYNTAX, "" },
	{ "a=\"unbalanced", SMTP_IPMM_XDFN_SYNTAX, "" },
	{ "a=\"b\"c", SMTP_IPMM_XDFN_SYNTAX, "" },
	{ "a=b\"c\"", SMTP_IPMM_XDFN_SYNTAX, "" },
	{ "a=b/", SMTP_IPMM_XDFN_SYNTAX, "" },
	{ "a=\"b/", SMTP_IPMM_XDFN_SYNTAX, "" },
	{ "a=\"b/\"", SMTP_IPMM_XDFN_SYNTAX, "" },
	{ "<a=b", SMTP_IPMM_XDFN_SYNTAX, "" },
	{ "<a=b]", SMTP_IPMM_XDFN_SYNTAX, "" },
	{ "<a=\"b\"", SMTP_IPMM_XDFN_SYNTAX, "" },
	{ "<a=\"b\">c", SMTP_IPMM_XDFN_SYNTAX, "" },
	{ "a=b\r", SMTP_IPMM_XDFN_SYNTAX, "" },
	{ "a=\"b\nX: y\"", SMTP_IPMM_XDFN_SYNTAX, "" },
	{ "a", SMTP_IPMM_NOVALUE, "" },
	{ "a=", SMTP_IPMM_NOVALUE, "" },
	{ "a= b", SMTP_IPMM_NOVALUE, "" },
	{ "<a>", SMTP_IPMM_NOVALUE, "" },
	{ "<a=>", SMTP_IPMM_NOVALUE, "" },
	{ "a=b c", SMTP_IPMM_NOVALUE, "" },
	{ "*TO=x@y.com", SMTP_IPMM_RESERVED, "" },
	{ "*from=x *parts=1", SMTP_IPMM_RESERVED, "" },
	{ "*FOO=1", SMTP_IPMM_RESERVED, "" },
	{ "*jobid=1", SMTP_IPMM_RESERVED, "" },
	{ "*from=x", SMTP_IPMM_RESERVED, "", true },
	{ "*schedule=x", SMTP_IPMM_RESERVED, "", true },
	{ "*PARTS=1,,2", SMTP_IPMM_PARTS_SYNTAX, "" },
	{ "*PARTS=1,", SMTP_IPMM_PARTS_SYNTAX, "" },
	{ "*PARTS=a", SMTP_IPMM_PARTS_SYNTAX, "" },
	{ "*PARTS=0", SMTP_IPMM_PARTS_SYNTAX, "" },
	{ "*PARTS=101", SMTP_IPMM_PARTS_SYNTAX, "" },
	{ "*PARTS=3-2", SMTP_IPMM_PARTS_SYNTAX, "" },
	{ "*PARTS=1-", SMTP_IPMM_PARTS_SYNTAX, "" },
	{ "*PARTS=-1", SMTP_IPMM_PARTS_SYNTAX, "" },
	{ "*PARTS=1-2-3", SMTP_IPMM_PARTS_SYNTAX, "" },
	{ "*PARTS=\"\"", SMTP_IPMM_PARTS_SYNTAX, "" },
	{ "*PARTS=\"1, 2\"", SMTP_IPMM_PARTS_SYNTAX, "" },
	{ "*PARTS=1-100,1-100,1-100,1-100,1-100,1-100,1-100,1-100,1-100,1-100", SMTP_NONE,
	    "1027=1-100,1-100,1-100,1-100,1-100,1-100,1-100,1-100,1-100,1-100|" },
	{ "*PARTS=1-100,1-100,1-100,1-100,1-100,1-100,1-100,1-100,1-100,1-100,1",
	    SMTP_IPMM_PARTS_SYNTAX, "" },
	{ "a2345678901234567890123456789012345678901234567890123456789012345=x", SMTP_NONE,
	    "0=x|" },
	{ "a23456789012345678901234567890123456789012345678901234567890123456=x",
	    SMTP_IPMM_XDFN_SYNTAX, "" },
};

static void
put_defs(struct buf *out, struct str vars)
{
	struct merge_def d;
	while (smtp_merge_def_next(&vars, &d))
		buf_putf(out, "%u=" STR_FMT "|", d.var, STR_ARG(d.value));
}

static void
defines(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(define_rows); i++) {
		const struct define_row *row = &define_rows[i];
		struct merging g;
		struct buf got = BUF_INIT(1u << 20);
		merging_open(&g, row->brackets);
		char *block = xmemdup(row->arg, strlen(row->arg) + !*row->arg);
		assert_int_equal(smtp_merge_define(g.m, str_n(block, strlen(row->arg))), row->say);
		free(block);
		put_defs(&got, buf_str(&g.m->pending));
		if (!str_eq(buf_str(&got), str_of(row->defs)))
			fail_msg("%s: got " STR_FMT, row->arg, STR_ARG(buf_str(&got)));
		buf_done(&got);
		merging_close(&g);
	}
}

static void
nul(void **state)
{
	struct merging g;
	merging_open(&g, false);
	assert_int_equal(smtp_merge_define(g.m, str_n("a=b\0c", 5)), SMTP_IPMM_NUL);
	merging_close(&g);
}

/* A refused line changes nothing, not even by its good pairs. */
static void
refused_changes_nothing(void **state)
{
	struct merging g;
	merging_open(&g, false);
	assert_int_equal(smtp_merge_define(g.m, STR("a=1")), SMTP_NONE);
	size_t before = g.m->pending.len;
	assert_int_equal(smtp_merge_define(g.m, STR("a=2 *TO=3")), SMTP_IPMM_RESERVED);
	assert_int_equal(g.m->pending.len, before);
	assert_int_equal(smtp_merge_define(g.m, STR("a=2 b")), SMTP_IPMM_NOVALUE);
	assert_int_equal(g.m->pending.len, before);
	merging_close(&g);
}

static void
xprt(void **state)
{
	static const struct {
		const char *arg;
		enum smtp_situation say;
		const char *bad;
	} table[] = {
		{ "", SMTP_IPMM_PART, "" },
		{ "0", SMTP_IPMM_PART_N, "0" },
		{ "one", SMTP_IPMM_PART_N, "one" },
		{ "-1", SMTP_IPMM_PART_N, "-1" },
		{ "101", SMTP_IPMM_PART_N, "101" },
		{ "99999999999999999999999", SMTP_IPMM_PART_N, "99999999999999999999999" },
		{ "LAST", SMTP_IPMM_PART_N, "LAST" },
		{ "1", SMTP_IPMM_PART_N, "1" }, /* has come */
		{ "2 FIRST", SMTP_IPMM_PARAM, "FIRST" },
		{ "2 LAST x", SMTP_IPMM_PARAM, "x" },
		{ "2 LAST", SMTP_IPMM_MISSING, NULL },
		{ "2", SMTP_NONE, NULL },
		{ "100", SMTP_NONE, NULL },
		{ "3 last", SMTP_NONE, NULL },
	};
	struct merging g;
	merging_open(&g, false);
	assert_int_equal(smtp_merge_define(g.m, STR("*PARTS=1,3")), SMTP_NONE);
	assert_true(merging_rcpt(&g, STR("a@example.org")));
	merging_part(&g, STR("1"), STR("x\r\n"), 9);
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct str bad;
		assert_int_equal(smtp_merge_xprt(g.m, str_of(table[i].arg), &bad), table[i].say);
		if (table[i].bad)
			assert_true(str_eq(bad, str_of(table[i].bad)));
	}
	assert_true(g.m->now_last);
	assert_int_equal(g.m->now_no, 3);
	merging_close(&g);
}

static const struct letter_row {
	const char *name, *script;
	bool brackets;
	const char *want; /* every letter, with "--\n" behind; NULL: refused, by */
	enum smtp_situation refused;
} letter_rows[] = {
	{ "the manual's example",
	    "D first=\"Jane\" color=\"red\" *PARTS=1,2\nR user@other.com\n"
	    "D first=\"Joe\" color=\"black\" *PARTS=1\nR two@other.com\n"
	    "P 1 To: &first; &*TO;\\n\\nDear &first;, a &color; one.\\n\nP 2 Offer.\\n",
	    false,
	    "To: Jane user@other.com\r\n\r\nDear Jane, a red one.\r\nOffer.\r\n--\n"
	    "To: Joe two@other.com\r\n\r\nDear Joe, a black one.\r\n--\n" },
	{ "names are compared without case; what nobody knows stays",
	    "D Name=n\nR a@b.c\nP 1 \\n&NAME;&name;& &name &; &x; &trade; &&name;;&amp;\\n", false,
	    "\r\nnn& &name &; &x; &trade; &n;&amp;\r\n--\n" },
	{ "values are not looked at again", "D a=/&b/; b=/&a/;\nR a@b.c\nP 1 \\n&a;&b;\\n", false,
	    "\r\n&b;&a;\r\n--\n" },
	{ "of another recipient: stays", "D a=1\nR a@b.c\nR d@b.c\nP 1 \\n[&a;]\\n", false,
	    "\r\n[1]\r\n--\n\r\n[&a;]\r\n--\n" },
	{ "the last definition wins", "D a=1 a=2\nD a=3\nR a@b.c\nP 1 \\n&a;\\n", false,
	    "\r\n3\r\n--\n" },
	{ "an empty value", "D a=\"\"\nR a@b.c\nP 1 \\n&a;\\n", false, "\r\n\r\n--\n" },
	{ "reserved names",
	    "D *DK=key *PARTS=2,1\nR a@b.c\nR d@b.c\n"
	    "P 1 \\n&*from;|&*To;|&*DATE;|&*parts;|&*PART;|&*dk;|&*x;|&*;\\n\nP 2 A: b\\n",
	    false,
	    "A: b\r\n\r\nfrom@example.org|a@b.c|Fri, 25 Sep 2009 14:27:48 "
	    "+0200|2,1|2,1||&*x;|&*;\r\n"
	    "--\n\r\nfrom@example.org|d@b.c|Fri, 25 Sep 2009 14:27:48 +0200|1,2|1,2||&*x;|&*;\r\n"
	    "A: b\r\n--\n" },
	{ "ranges, in their order, and again",
	    "D *PARTS=2-3,1,3\nR a@b.c\n"
	    "P 3 3\\n\nP 1 1\\n\nP 2 2\\n",
	    false, "2\r\n3\r\n1\r\n3\r\n--\n" },
	{ "no list: all, by number", "R a@b.c\nP 9 9\\n\nP 1 1\\n\nP 5 5\\n", false,
	    "1\r\n5\r\n9\r\n--\n" },
	{ "brackets",
	    "D FName=\"Jim\" *parts=\"1-2\"\nR a@b.c\n"
	    "P 1 S: [fname] [[x] [[fname] [[[fname]\\n\\n\nP 2 a[nothing]b[no "
	    "name][1]&fname;[*to][*jobid][]\\n",
	    true, "S: Jim [x] [fname] [Jim\r\n\r\nab[no name][1]&fname;a@b.c[]\r\n--\n" },
	{ "tags do not reach over lines or parts",
	    "D ab=x\nR a@b.c\nP 1 \\n&a\\n\nP 2 b;&ab\\n;&a b;\\n", false,
	    "\r\n&a\r\nb;&ab\r\n;&a b;\r\n--\n" },
	{ "an empty letter", "R a@b.c\nP 1 ", false, "--\n" },
	{ "a value that makes a header line of the first",
	    "D h=\"X: y\"\nR a@b.c\nD h=\"no field\"\nR d@b.c\nP 1 &h;\\nB: c\\n\\nt\\n", false,
	    "X: y\r\nB: c\r\n\r\nt\r\n--\nno field\r\nB: c\r\n\r\nt\r\n--\n" },
	{ "a value that ends the header", "D e=\"\"\nR a@b.c\nP 1 A: b\\n&e;\\nC: d\\n", false,
	    "A: b\r\n\r\nC: d\r\n--\n" },
	{ "the header goes on in the next part", "R a@b.c\nP 1 A: b\\n\nP 2 C: d\\nx\\n\\nt\\n",
	    false, "A: b\r\nC: d\r\nx\r\n\r\nt\r\n--\n" },
	{ "too many hops",
	    "R a@b.c\nP 1 Received: 1\\nReceived: 2\\nReceived: 3\\n\nP 2 Received: 4\\n", false,
	    NULL, SMTP_DATA_HOPS },
	{ "two From, one by a value", "D f=From\nR a@b.c\nP 1 From: x\\n&f;: y\\n\\n", false, NULL,
	    SMTP_DATA_TWOFROM },
	{ "a header line too many",
	    "R a@b.c\nP 1 a: 1\\na: 1\\na: 1\\na: 1\\na: 1\\na: 1\\na: 1\\na: 1\\na: 1\\na: 1\\na: "
	    "1\\n"
	    "a: 1\\na: 1\\na: 1\\na: 1\\na: 1\\na: 1\\na: 1\\na: 1\\na: 1\\na: 1\\n",
	    false, NULL, SMTP_DATA_HEADERTOOBIG },
};

static void
play_row(const struct letter_row *row, size_t split)
{
	static struct merging g;
	merging_open(&g, row->brackets);
	merging_play(&g, row->script, split);
	if (g.refused != (row->want ? SMTP_NONE : row->refused))
		fail_msg("%s (split %zu): refused %d", row->name, split, g.refused);
	if (row->want && !str_eq(buf_str(&g.letters), str_of(row->want)))
		fail_msg("%s (split %zu): got\n" STR_FMT, row->name, split,
		    STR_ARG(buf_str(&g.letters)));
	merging_close(&g);
}

static void
letters(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(letter_rows); i++)
		for (size_t split = 0; split <= strlen(letter_rows[i].script); split++)
			play_row(&letter_rows[i], split);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(defines),
	cmocka_unit_test(nul),
	cmocka_unit_test(refused_changes_nothing),
	cmocka_unit_test(xprt),
	cmocka_unit_test(letters),
};

int
main(void)
{
	return cmocka_run_group_tests(tests, NULL, NULL);
}
