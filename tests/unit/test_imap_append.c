#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "imap_talk.h"

#define GO "+ OK\r\n"
#define LETTER "Subject: x\r\n\r\nx\r\n" /* 17 octets */

static void
small(struct talk *t)
{
	t->conf.max_size = 20;
	talk_login(t);
}

static void
full(struct talk *t)
{
	(void)fake_deliver(t->f, STR("INBOX"), STR("Subject: x\r\n\r\nx\r\n"), 0);
	t->f->quota = 40;
	talk_login(t);
}

#define STATUS(n) "* STATUS INBOX (MESSAGES " n ")\r\nz OK STATUS completed\r\n"
#define ASK "z STATUS INBOX (MESSAGES)\r\n"

static const struct talk_row rows[] = {
	{ "one", NULL, "a APPEND INBOX {17}\r\n" LETTER "\r\n" ASK,
	    GO "a OK [APPENDUID 1001 1] APPEND completed\r\n" STATUS("1"), false },
	{ "one unasked, in the inbox as a literal", NULL,
	    "a APPEND {5+}\r\ninbox {17+}\r\n" LETTER "\r\n" ASK,
	    "a OK [APPENDUID 1001 1] APPEND completed\r\n" STATUS("1"), false },
	{ "flags and date", NULL,
	    "a APPEND INBOX (\\Seen \\recent $x) \" 1-Feb-2026 10:00:00 +0000\" {17}\r\n" LETTER
	    "\r\nb APPEND INBOX () {17}\r\n" LETTER "\r\n"
	    "c APPEND INBOX \"01-Feb-2026 10:00:00 +0000\" {17+}\r\n" LETTER "\r\n",
	    GO "a OK [APPENDUID 1001 1] APPEND completed\r\n" GO
	       "b OK [APPENDUID 1001 2] APPEND completed\r\n"
	       "c OK [APPENDUID 1001 3] APPEND completed\r\n",
	    false },
	{ "many", NULL,
	    "a APPEND INBOX {17}\r\n" LETTER " (\\Seen) {17+}\r\n" LETTER " {17}\r\n" LETTER
	    "\r\n" ASK,
	    GO GO "a OK [APPENDUID 1001 1,2,3] APPEND completed\r\n" STATUS("3"), false },
	{ "UTF-8 and binary", NULL,
	    "a APPEND INBOX UTF8 (~{17}\r\n" LETTER ")\r\nb APPEND INBOX ~{17+}\r\n" LETTER
	    "\r\nc APPEND INBOX UTF8 (~{17+}\r\n" LETTER "\r\n" ASK,
	    GO "a OK [APPENDUID 1001 1] APPEND completed\r\n"
	       "b OK [APPENDUID 1001 2] APPEND completed\r\n"
	       "c BAD a closing parenthesis is missing\r\n" STATUS("2"),
	    false },
	{ "nowhere", NULL,
	    "a APPEND nix {17}\r\nb APPEND nix {17+}\r\n" LETTER "\r\nc APPEND nix {17+}\r\n" LETTER
	    " {17+}\r\n" LETTER " {17}\r\n" ASK,
	    "a NO [TRYCREATE] there is no such mailbox\r\n"
	    "b NO [TRYCREATE] there is no such mailbox\r\n"
	    "c NO [TRYCREATE] there is no such mailbox\r\n" STATUS("0"),
	    false },
	{ "too large", small,
	    "a APPEND INBOX {21}\r\nb APPEND INBOX {21+}\r\nSubject: x\r\n\r\nabcde\r\n\r\n"
	    "c APPEND INBOX {17}\r\n" LETTER " {21}\r\nd APPEND INBOX {100000000000000}\r\n" ASK,
	    "a NO [TOOBIG] the letter is too large\r\nb NO [TOOBIG] the letter is too large\r\n" GO
	    "c NO [TOOBIG] the letter is too large\r\n"
	    "d NO [TOOBIG] the letter is too large\r\n" STATUS("0"),
	    false },
	{ "it grows while LF becomes CR LF", small,
	    "a APPEND INBOX {19}\r\nSubject: x\n\n\n\n\n\n\n\n\n\r\n" ASK,
	    GO "a NO [TOOBIG] the letter is too large\r\n" STATUS("0"), false },
	{ "more than is eaten", small, "a APPEND INBOX {100000000000000+}\r\nSubject\r\n",
	    "a NO [TOOBIG] the letter is too large\r\n"
	    "* BYE [TOOBIG] a literal of 100000000000000 octets is too large\r\n",
	    true },
	{ "over quota", full,
	    "a APPEND INBOX {24}\r\nb APPEND INBOX {24+}\r\n" LETTER "abcdefg\r\n"
	    "c APPEND INBOX {17}\r\n" LETTER "\r\nd APPEND INBOX {17}\r\n" ASK,
	    "a NO [OVERQUOTA] the quota is used up; delete some mail\r\n"
	    "b NO [OVERQUOTA] the quota is used up; delete some mail\r\n" GO
	    "c OK [APPENDUID 1001 2] APPEND completed\r\n"
	    "d NO [OVERQUOTA] the quota is used up; delete some mail\r\n" STATUS("2"),
	    false },
	{ "cancelled", NULL, "a APPEND INBOX {0}\r\nb APPEND INBOX {17}\r\n" LETTER " {0}\r\n" ASK,
	    "a NO [CANNOT] an empty letter: nothing is kept\r\n" GO
	    "b NO [CANNOT] an empty letter: nothing is kept\r\n" STATUS("0"),
	    false },
	{ "malformed", NULL,
	    "a APPEND INBOX\r\nb APPEND INBOX (\\Foo) {17}\r\nc APPEND INBOX \"1-Foo-2026\" "
	    "{17}\r\n"
	    "d APPEND INBOX (\\Seen) x {17+}\r\n" LETTER "\r\ne APPEND INBOX {17}\r\n" LETTER
	    "x\r\n"
	    "f APPEND {3}\r\n\xff\xff\xff {17}\r\ng APPEND {17}\r\nh APPEND\r\n",
	    "a BAD a blank is missing\r\nb BAD there is no such system flag\r\n"
	    "c BAD not a month; write as in 1-Feb-2026\r\nd BAD a letter comes as a literal\r\n" GO
	    "e BAD a blank is missing\r\n" GO "f NO [CANNOT] the mailbox name is not UTF-8\r\n" GO,
	    false },
	{ "LF session", NULL, "a APPEND INBOX {12}\r\nSubject: x\n\n\r\nb APPEND INBOX {17}\n",
	    GO "a OK [APPENDUID 1001 1] APPEND completed\r\nb BAD a line ends in CR LF\r\n",
	    false },
};

static void
test_rows(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (!talk_row_ok(&rows[i]))
			fail_msg("%s", rows[i].name);
}

struct kit {
	struct fake f;
	struct talk t;
};

static struct kit *
kit_new(void)
{
	struct kit *k = xalloc(sizeof(*k));
	fake_init(&k->f);
	talk_init(&k->t, &k->f);
	talk_login(&k->t);
	return k;
}

static void
kit_free(struct kit *k)
{
	assert_int_equal(k->f.n_pending, 0);
	talk_done(&k->t);
	fake_done(&k->f);
	free(k);
}

/* What is stored, whatever the pieces it came in. */
static void
test_stored(void **state)
{
	static const struct {
		const char *in, *out;
	} letters[] = {
		{ "Subject: x\n\ny\n", "Subject: x\r\n\r\ny\r\n" },
		{ "Subject: x\r\n\r\ny\r\n", "Subject: x\r\n\r\ny\r\n" },
		{ "\n", "\r\n" },
		{ "\r\n\n\r\r\n", "\r\n\r\n\r\r\n" },
		{ "x", "x" },
	};
	for (size_t i = 0; i < ARRAY_LEN(letters); i++) {
		for (size_t piece = 1; piece < 40; piece++) {
			struct kit *k = kit_new();
			struct buf in = BUF_INIT(4096);
			buf_putf(&in,
			    "a APPEND INBOX (\\Flagged $k) \"1-Feb-2026 10:00:00 +0000\" "
			    "{%zu}\r\n%s\r\n",
			    strlen(letters[i].in), letters[i].in);
			talk_feed(&k->t, buf_str(&in), piece);
			const struct fake_box *b = fake_box(&k->f, STR("INBOX"));
			assert_int_equal(b->n_letters, 1);
			assert_true(str_eq(buf_str(&b->letter[0].octets), str_of(letters[i].out)));
			assert_int_equal(b->letter[0].flags, ACCESS_FLAGGED | 1u << 16);
			assert_int_equal(b->letter[0].time_ms, 1769940000000);
			assert_string_equal(b->keyword[0], "$k");
			buf_done(&in);
			kit_free(k);
		}
	}
}

/* The outline that is made on the way is that of what is stored. */
static void
test_outline(void **state)
{
	struct kit *k = kit_new();
	struct outline o;
	(void)talk_say(&k->t,
	    "a APPEND INBOX {40}\r\nSubject: one two\nFrom: a@b.example\n\nHi\n\n\r\n");
	const struct fake_box *b = fake_box(&k->f, STR("INBOX"));
	assert_int_equal(b->n_letters, 1);
	assert_true(outline_get(buf_str(&b->letter[0].outline), &o));
	assert_int_equal(o.size, b->letter[0].octets.len);
	struct str subject = outline_item(&o, OUTLINE_SUBJECT);
	assert_true(str_eq(subject, STR("\"one two\"")));
	assert_int_equal(b->letter[0].header_len, 39);
	kit_free(k);
}

/* A header ends at its first empty line, whatever else is in it. */
static void
test_header(void **state)
{
	static const struct {
		const char *in;
		uint32_t header_len; /* the empty line with it */
	} letters[] = {
		{ "From x Mon\nA: b\n\nHi\n", 20 },
		{ "A: b\r\nno field\r\nC: d\r\n\r\nHi", 24 },
		{ "\r\nbody\r\n\r\n", 2 },
		{ "A: b\r\n\rc\r\n\r\n", 12 },
		{ "no field, no empty line", 23 },
	};
	for (size_t i = 0; i < ARRAY_LEN(letters); i++) {
		for (size_t piece = 1; piece < 60; piece += 29) {
			struct kit *k = kit_new();
			struct buf in = BUF_INIT(4096);
			buf_putf(&in, "a APPEND INBOX {%zu}\r\n%s\r\n", strlen(letters[i].in),
			    letters[i].in);
			talk_feed(&k->t, buf_str(&in), piece);
			const struct fake_letter *l = &fake_box(&k->f, STR("INBOX"))->letter[0];
			assert_int_equal(l->header_len, letters[i].header_len);
			assert_true(l->outline.len);
			buf_done(&in);
			kit_free(k);
		}
	}
}

static void
test_nul(void **state)
{
	static const char bad[] = "a APPEND INBOX {5}\r\na\0b\r\n {3+}\r\nabc\r\nb NOOP\r\n";
	static const char good[] = "a APPEND INBOX ~{5}\r\na\0b\r\n\r\n";
	struct kit *k = kit_new();
	buf_reset(&k->t.out);
	talk_feed(&k->t, str_n(bad, sizeof(bad) - 1), 2);
	assert_string_equal(buf_cstr(&k->t.out),
	    "+ OK\r\na BAD a NUL in a letter; it needs a literal8 (RFC 3516)\r\nb OK NOOP "
	    "completed\r\n");
	assert_int_equal(k->f.dropped, 1);
	buf_reset(&k->t.out);
	talk_feed(&k->t, str_n(good, sizeof(good) - 1), 2);
	const struct fake_box *b = fake_box(&k->f, STR("INBOX"));
	assert_int_equal(b->n_letters, 1);
	assert_true(str_eq(buf_str(&b->letter[0].octets), str_n("a\0b\r\n", 5)));
	kit_free(k);
}

/* Letters of an APPEND that comes to nothing are given up, whenever that is. */
static void
test_dropped(void **state)
{
	struct kit *k = kit_new();
	(void)talk_say(&k->t, "a APPEND INBOX {3}\r\nabc {3}\r\nabc x\r\n");
	assert_int_equal(k->f.dropped, 2);
	(void)talk_say(&k->t, "b APPEND INBOX {3}\r\nabc {3}\r\nab");
	assert_int_equal(k->f.n_pending, 2);
	k->f.fail = ACCESS_FULL;
	assert_string_equal(talk_say(&k->t, "c\r\n"),
	    "b NO [UNAVAILABLE] no room on the server; try again later\r\n");
	assert_int_equal(k->f.dropped, 4);
	kit_free(k);
}

static void
test_too_many(void **state)
{
	struct kit *k = kit_new();
	struct buf in = BUF_INIT(1u << 16);
	buf_putz(&in, "a APPEND INBOX");
	for (int i = 0; i < ACCESS_LETTERS_MAX; i++)
		buf_putz(&in, " {3+}\r\nabc");
	buf_putz(&in, "\r\nb APPEND INBOX");
	for (int i = 0; i <= ACCESS_LETTERS_MAX; i++)
		buf_putz(&in, " {3+}\r\nabc");
	buf_putz(&in, "\r\n");
	buf_reset(&k->t.out);
	talk_feed(&k->t, buf_str(&in), 100);
	assert_int_equal(fake_box(&k->f, STR("INBOX"))->n_letters, ACCESS_LETTERS_MAX);
	assert_non_null(strstr(buf_cstr(&k->t.out), "b NO [LIMIT] too many letters at once\r\n"));
	buf_done(&in);
	kit_free(k);
}

/* Into the selected mailbox: it is told before the OK. */
static void
test_selected(void **state)
{
	struct kit *k = kit_new();
	(void)talk_say(&k->t, "s SELECT INBOX\r\n");
	assert_string_equal(talk_say(&k->t, "a APPEND INBOX {3+}\r\nabc\r\n"),
	    "* 1 EXISTS\r\na OK [APPENDUID 1001 1] APPEND completed\r\n");
	kit_free(k);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_stored),
		cmocka_unit_test(test_outline),
		cmocka_unit_test(test_header),
		cmocka_unit_test(test_nul),
		cmocka_unit_test(test_dropped),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_selected),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
