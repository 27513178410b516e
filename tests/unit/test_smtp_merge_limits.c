/* Mail merge: everything that a peer can size, at its limit and one beyond. */
#include "kit/merge_kit.h"

#include <stdio.h>

static void
fill(struct buf *b, const char *what, size_t n)
{
	for (size_t i = 0; i < n; i++)
		buf_putz(b, what);
}

static enum smtp_situation
letter_of_text(struct merging *g, const char *defs, struct str text)
{
	if (*defs)
		assert_int_equal(smtp_merge_define(g->m, str_of(defs)), SMTP_NONE);
	assert_true(merging_rcpt(g, STR("a@b.c")));
	merging_part(g, STR("1 LAST"), text, 1000);
	merging_letters(g);
	return g->refused;
}

/* So many tags, each a word and a blank: two pieces for each but the last blank. */
static void
tags(void **state)
{
	static const struct {
		const char *defs;
		size_t n;
		enum smtp_situation want;
		size_t pieces;
	} table[] = {
		{ "a=x", 2047, SMTP_NONE, 4095 },
		{ "a=x", 2048, SMTP_XPRT_TOOBIG, 0 },
		{ "a=\"\"", MERGE_TAGS_MAX, SMTP_NONE, 2049 },
		{ "a=\"\"", MERGE_TAGS_MAX + 1, SMTP_XPRT_TOOBIG, 0 },
		{ "", 100000, SMTP_NONE, 1 },
	};
	static struct merging g;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct buf text = BUF_INIT(1u << 20);
		merging_open(&g, false);
		g.conf.max_size = 1u << 20;
		buf_putz(&text, "\r\n");
		fill(&text, "&a; ", table[i].n);
		assert_int_equal(letter_of_text(&g, table[i].defs, buf_str(&text)), table[i].want);
		if (table[i].want == SMTP_NONE)
			assert_int_equal(g.letter.n, table[i].pieces);
		buf_done(&text);
		merging_close(&g);
	}
}

/* A list that names a part with tags again and again costs no more than a letter may. */
static void
tags_again(void **state)
{
	static struct merging g;
	struct buf text = BUF_INIT(1u << 20), list = BUF_INIT(1u << 20);
	merging_open(&g, false);
	g.conf.max_size = 1u << 24;
	buf_putz(&text, "\r\n");
	fill(&text, "&a;", 1000);
	buf_putz(&list, "a=\"\" *PARTS=1");
	fill(&list, ",1", 8);
	assert_int_equal(letter_of_text(&g, buf_cstr(&list), buf_str(&text)), SMTP_XPRT_TOOBIG);
	assert_true(g.letter.work < 1u << 20);
	buf_done(&text);
	buf_done(&list);
	merging_close(&g);
}

static void
own_words(void **state)
{
	static struct merging g;
	for (int beyond = 0; beyond <= 1; beyond++) {
		struct buf text = BUF_INIT(1u << 20), defs = BUF_INIT(1u << 20);
		merging_open(&g, false);
		g.conf.max_size = 1u << 20;
		buf_putz(&defs, "a=");
		fill(&defs, "0123456789abcdef", 1024 / 16);
		buf_putz(&text, "\r\n");
		fill(&text, "&a;.", MERGE_OWN_MAX / 1024 + (size_t)beyond);
		assert_int_equal(letter_of_text(&g, buf_cstr(&defs), buf_str(&text)),
		    beyond ? SMTP_XPRT_TOOBIG : SMTP_NONE);
		buf_done(&text);
		buf_done(&defs);
		merging_close(&g);
	}
}

/* max_size is judged with the words in it. */
static void
size(void **state)
{
	static const struct {
		const char *defs;
		uint64_t max;
		enum smtp_situation want;
	} table[] = {
		{ "a=123456", 100, SMTP_NONE },
		{ "a=1234567", 100, SMTP_XPRT_TOOBIG },
		{ "a=\"\"", 94, SMTP_NONE },
		{ "", 97, SMTP_NONE },
		{ "", 96, SMTP_XPRT_TOOBIG },
	};
	static struct merging g;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct buf text = BUF_INIT(1u << 20);
		merging_open(&g, false);
		g.conf.max_size = table[i].max;
		buf_putz(&text, "\r\n");
		fill(&text, "0123456789", 9);
		buf_putz(&text, "&a;\r\n");
		buf_trunc(&text, text.len);
		assert_int_equal(letter_of_text(&g, table[i].defs, buf_str(&text)), table[i].want);
		buf_done(&text);
		merging_close(&g);
	}
}

/* A header of exactly header_bytes, and one octet more; with a tag that makes it shorter or not. */
static void
header(void **state)
{
	static const struct {
		size_t raw;       /* octets of header before words are put in */
		const char *defs; /* for the five octets of &aaa; */
		enum smtp_situation want;
	} table[] = {
		{ 400, "aaa=12345", SMTP_NONE },
		{ 401, "aaa=12345", SMTP_DATA_HEADERTOOBIG },
		{ 400, "aaa=123456", SMTP_DATA_HEADERTOOBIG },
		{ 400, "aaa=1234", SMTP_NONE },
		{ 396, "aaa=123456789", SMTP_NONE },
		{ 406, "aaa=\"\"", SMTP_DATA_HEADERTOOBIG },
		{ 405, "aaa=\"\"", SMTP_NONE },
		{ 2000, "aaa=\"\"", SMTP_DATA_HEADERTOOBIG },
	};
	static struct merging g;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct buf text = BUF_INIT(1u << 20);
		merging_open(&g, false);
		buf_putz(&text, "A: &aaa;");
		fill(&text, "x", table[i].raw - text.len - 2);
		buf_putz(&text, "\r\n\r\nbody\r\n");
		assert_int_equal(letter_of_text(&g, table[i].defs, buf_str(&text)), table[i].want);
		buf_done(&text);
		merging_close(&g);
	}
}

/* Lines in doubt up to the limit: the header ended before them, as in every letter. */
static void
doubt(void **state)
{
	static struct merging g;
	struct buf text = BUF_INIT(1u << 20);
	merging_open(&g, false);
	buf_putz(&text, "A: b\r\n");
	fill(&text, "this line is no field and stands in doubt, a word like many\r\n", 15);
	assert_int_equal(letter_of_text(&g, "", buf_str(&text)), SMTP_NONE);
	assert_int_equal(g.letter.scan.header_len, 6);
	assert_true(g.letter.scan.insert_blank);
	buf_done(&text);
	merging_close(&g);
}

static void
names(void **state)
{
	static struct merging g;
	merging_open(&g, false);
	for (int i = 0; i <= MERGE_NAMES_MAX; i++) {
		char arg[32];
		snprintf(arg, sizeof(arg), "n%d=1", i);
		assert_int_equal(smtp_merge_define(g.m, str_of(arg)),
		    i < MERGE_NAMES_MAX ? SMTP_NONE : SMTP_MAIL_LOWRES);
		smtp_merge_forget(g.m);
	}
	assert_int_equal(smtp_merge_define(g.m, STR("N7=2")), SMTP_NONE);
	merging_close(&g);
}

static void
definitions(void **state)
{
	static struct merging g;
	struct buf arg = BUF_INIT(1u << 20);
	merging_open(&g, false);
	buf_putz(&arg, "a=");
	fill(&arg, "x", 4000);
	size_t n = 0;
	while (smtp_merge_define(g.m, buf_str(&arg)) == SMTP_NONE)
		n++;
	assert_int_equal(n, MERGE_VARS_MAX / 4004);
	/* What was there is there, and what is short still fits. */
	assert_int_equal(g.m->pending.len, n * 4004);
	assert_int_equal(smtp_merge_define(g.m, STR("a=1")), SMTP_NONE);
	buf_done(&arg);
	merging_close(&g);
}

/* A hundred thousand recipients with three short variables, and what each costs. */
static void
crowd(void **state)
{
	static struct merging g;
	merging_open(&g, false);
	g.conf.max_size = 1u << 20;
	for (unsigned i = 0; i < 100000; i++) {
		char arg[128], to[64];
		snprintf(arg, sizeof(arg), "first_name=\"Jane %u\" color=red *PARTS=1,2", i);
		snprintf(to, sizeof(to), "recipient%u@example.com", i);
		assert_int_equal(smtp_merge_define(g.m, str_of(arg)), SMTP_NONE);
		assert_true(merging_rcpt(&g, str_of(to)));
	}
	size_t each = (g.m->arena.used + g.m->extra) / 100000;
	printf("# %zu octets for a recipient\n", each);
	assert_true(each <= 160);
	merging_part(&g, STR("1"), STR("To: &*TO;\r\n\r\nDear &first_name;,\r\n"), 10);
	merging_part(&g, STR("2 LAST"), STR("a &color; one\r\n"), 10);
	smtp_merge_seal(g.m, STR("from@example.org"), 0, 0);
	uint64_t n = 0;
	for (const struct merge_rcpt *r = g.m->first; r; r = r->next) {
		assert_int_equal(smtp_merge_letter(g.m, r, &g.letter), SMTP_NONE);
		n += g.letter.n == 7;
	}
	assert_int_equal(n, 100000);
	merging_close(&g);
}

/* The whole merge has one cap. A recipient that finds no room is not there, and the others are. */
static void
memory(void **state)
{
	static struct merging g;
	struct buf arg = BUF_INIT(1u << 20);
	merging_open(&g, false);
	buf_putz(&arg, "a=");
	fill(&arg, "x", 60000);
	uint64_t n = 0;
	do
		assert_int_equal(smtp_merge_define(g.m, buf_str(&arg)), SMTP_NONE);
	while (merging_rcpt(&g, STR("a@b.c")) && ++n < 2000);
	assert_true(n > 1000 && n < SMTP_MERGE_MAX / 60000 + 1);
	assert_int_equal(g.m->n_rcpt, n);
	assert_int_equal(g.m->pending.len, 0);
	assert_true(g.m->arena.used + g.m->extra <= SMTP_MERGE_MAX);
	buf_done(&arg);
	merging_close(&g);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(tags),
	cmocka_unit_test(tags_again),
	cmocka_unit_test(own_words),
	cmocka_unit_test(size),
	cmocka_unit_test(header),
	cmocka_unit_test(doubt),
	cmocka_unit_test(names),
	cmocka_unit_test(definitions),
	cmocka_unit_test(crowd),
	cmocka_unit_test(memory),
};

int
main(void)
{
	return cmocka_run_group_tests(tests, NULL, NULL);
}
