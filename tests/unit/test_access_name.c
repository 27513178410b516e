/* Mailbox names: what is refused and why, both encodings both ways, and patterns. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "access/access.h"
#include "access/name.h"
#include "base/check.h"

#include <stdio.h>
#include <string.h>

enum { U7, U8 };

#define LEVEL_50 "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeee"
#define LEVEL_250 LEVEL_50 LEVEL_50 LEVEL_50 LEVEL_50 LEVEL_50
#define LEVELS_8 "a/a/a/a/a/a/a/a/"

static const struct {
	const char *wire;
	char separator;
	int utf8;
	const char *inside; /* or what the reason holds, behind '!' */
	const char *back;   /* NULL: as it came */
} rows[] = {
	{ "INBOX", '/', U7, "INBOX", NULL },
	{ "inbox", '/', U7, "INBOX", "INBOX" },
	{ "InBox/x", '/', U7, "INBOX/x", "INBOX/x" },
	{ "inboxes", '/', U7, "inboxes", NULL },
	{ "inbox.x", '.', U7, "INBOX/x", "INBOX.x" },
	{ "a/b", '/', U8, "a/b", NULL },
	{ "a.b", '/', U7, "a.b", NULL },
	{ "a.b.c", '.', U7, "a/b/c", NULL },
	{ "a/b", '.', U7, "!another separator", NULL },
	{ "&AOk-t&AOk-", '/', U7, "\xc3\xa9t\xc3\xa9", NULL },
	{ "\xc3\xa9", '/', U7, "\xc3\xa9", "&AOk-" },
	{ "\xc3\xa9&x", '/', U8, "\xc3\xa9&x", NULL },
	{ "Tom &- Jerry", '/', U7, "Tom & Jerry", NULL },
	{ "&-&AOk-&-", '/', U7, "&\xc3\xa9&", NULL },
	/* RFC 3501 5.1.3 */
	{ "~peter/mail/&U,BTFw-/&ZeVnLIqe-", '/', U7, "!begin with ~", NULL },
	{ "peter/mail/&U,BTFw-/&ZeVnLIqe-", '/', U7,
	    "peter/mail/\xe5\x8f\xb0\xe5\x8c\x97/\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e", NULL },
	{ "&U,BTFw-&ZeVnLIqe-", '/', U7, "!encodes what", NULL },
	{ "&Jjo-!", '/', U7, "\xe2\x98\xba!", NULL },
	{ "&Jjo!", '/', U7, "!not modified UTF-7", NULL },
	{ "&2D3eAA-", '/', U7, "\xf0\x9f\x98\x80", NULL },
	{ "&2D0-", '/', U7, "!not modified", NULL },
	{ "&3gDYPQ-", '/', U7, "!not modified", NULL },
	{ "&2D0AQQ-", '/', U7, "!not modified", NULL },
	{ "&AEE-", '/', U7, "!encodes what", NULL },
	{ "&AC8-x", '/', U7, "!encodes what", NULL },
	{ "&AC4-x", '.', U7, "!encodes what", NULL },
	{ "&ACY-", '/', U7, "!encodes what", NULL },
	{ "&", '/', U7, "!not modified", NULL },
	{ "a&AOk", '/', U7, "!not modified", NULL },
	{ "&AO-", '/', U7, "!not modified", NULL },
	{ "&AOl-", '/', U7, "!not modified", NULL },  /* stray bits */
	{ "&AOkA-", '/', U7, "!not modified", NULL }, /* a digit too many */
	{ "&AOk=-", '/', U7, "!not modified", NULL },
	{ "&AO/k-", '/', U7, "!not modified", NULL },
	{ "&AAA-", '/', U7, "!control", NULL },
	{ "&AIU-", '/', U7, "!control", NULL },
	{ "&ICg-", '/', U7, "!control", NULL },
	{ "\xe2\x80\xa9", '/', U8, "!control", NULL },
	{ "a\tb", '/', U8, "!control", NULL },
	{ "a\x7f", '/', U7, "!control", NULL },
	{ "\xff", '/', U7, "!not UTF-8", NULL },
	{ "\xc3", '/', U8, "!not UTF-8", NULL },
	{ "\xed\xa0\x80", '/', U8, "!not UTF-8", NULL },
	{ "\xc0\xaf", '/', U8, "!not UTF-8", NULL },
	/* NFC */
	{ "e\xcc\x81", '/', U8, "\xc3\xa9", "\xc3\xa9" },
	{ "e&AwE-", '/', U7, "\xc3\xa9", "&AOk-" },
	{ "\xe2\x84\xab", '/', U8, "\xc3\x85", "\xc3\x85" }, /* ANGSTROM SIGN */
	/* levels */
	{ "", '/', U7, "!empty", NULL },
	{ "/", '/', U7, "!begin with the separator", NULL },
	{ "/a", '/', U7, "!begin with the separator", NULL },
	{ ".a", '.', U7, "!begin with the separator", NULL },
	{ "a//b", '/', U7, "!level of the mailbox name is empty", NULL },
	{ "a/", '/', U7, "!level of the mailbox name is empty", NULL },
	{ "a..b", '.', U7, "!level of the mailbox name is empty", NULL },
	{ ".", '/', U7, "!no level", NULL },
	{ "a/..", '/', U7, "!no level", NULL },
	{ "a/./b", '/', U7, "!no level", NULL },
	{ "a/.../b", '/', U7, "a/.../b", NULL },
	{ "~", '/', U7, "!begin with ~", NULL },
	{ "a/~", '/', U7, "a/~", NULL },
	{ LEVEL_250 "abcd", '/', U7, LEVEL_250 "abcd", NULL },
	{ LEVEL_250 "abcde", '/', U7, "!too long", NULL },
	{ LEVEL_250 "abcdef", '/', U7, "!longer than 255", NULL },
	{ LEVELS_8 LEVELS_8 LEVELS_8 "a/a/a/a/a/a/a/a", '/', U7,
	    LEVELS_8 LEVELS_8 LEVELS_8 "a/a/a/a/a/a/a/a", NULL },
	{ LEVELS_8 LEVELS_8 LEVELS_8 LEVELS_8 "a", '/', U7, "!more than 32", NULL },
	{ LEVEL_250 "/" LEVEL_250 "/" LEVEL_250 "/" LEVEL_250 "/" LEVEL_50, '/', U7, "!too long",
	    NULL },
	{ "%*\"\\ {}", '/', U7, "%*\"\\ {}", NULL },
};

static void
from_and_to(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf in = BUF_INIT(8192), out = BUF_INIT(8192);
		const char *want = rows[i].inside;
		buf_putz(&in, "kept");
		const char *why = name_from_wire(str_of(rows[i].wire), rows[i].separator,
		    rows[i].utf8, false, &in);
		if (want[0] == '!') {
			if (!why || !strstr(why, want + 1) || in.len != 4)
				fail_msg("%s: %s", rows[i].wire, why ? why : "is good");
		} else {
			struct str name = str_skip(buf_str(&in), 4);
			if (why || !str_eq(name, str_of(want)) || name_check(name))
				fail_msg("%s: %s " STR_FMT, rows[i].wire, why ? why : "",
				    STR_ARG(name));
			name_to_wire(name, rows[i].separator, rows[i].utf8, &out);
			want = rows[i].back ? rows[i].back : rows[i].wire;
			if (!str_eq(buf_str(&out), str_of(want)))
				fail_msg("%s becomes " STR_FMT, rows[i].wire,
				    STR_ARG(buf_str(&out)));
		}
		buf_done(&in);
		buf_done(&out);
	}
}

static void
trailing(void **state)
{
	static const struct {
		const char *wire, *inside;
		char separator;
	} table[] = {
		{ "a/", "a", '/' },
		{ "a.", "a", '.' },
		{ "inbox/", "INBOX", '/' },
		{ "a//", NULL, '/' },
		{ "/", NULL, '/' },
		{ "a.", "a.", '/' },
		{ "", NULL, '/' },
		{ "&-/", "&", '/' },
	};
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct buf b = BUF_INIT(1000);
		const char *why =
		    name_from_wire(str_of(table[i].wire), table[i].separator, false, true, &b);
		assert_int_equal(why == NULL, table[i].inside != NULL);
		assert_true(str_eq(buf_str(&b), str_of(table[i].inside)));
		buf_done(&b);
	}
}

/* The store believes nobody. */
static void
inside(void **state)
{
	static const char *const bad[] = { "", "/a", "a/", "~a", "a//b", "inbox", "Inbox/a", "a\n",
		"e\xcc\x81", "\xff", ".", "..", "a/..", LEVEL_250 "abcde" };
	static const char *const good[] = { "INBOX", "INBOX/inbox", "inboxes", "a.b", "\xc3\xa9",
		LEVEL_250 "abcd", "&", "a b" };
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (!name_check(str_of(bad[i])))
			fail_msg("%s", bad[i]);
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		if (name_check(str_of(good[i])))
			fail_msg("%s: %s", good[i], name_check(str_of(good[i])));
	assert_non_null(name_check(STR("a\0b")));
	assert_non_null(name_check(STR_NULL));
}

/* A name may have the octet that is the separator now: no other name looks like it. */
static void
old_names(void **state)
{
	struct buf a = BUF_INIT(100), b = BUF_INIT(100);
	name_to_wire(STR("x.y/z"), '.', false, &a);
	name_to_wire(STR("x/y/z"), '.', false, &b);
	assert_true(str_eq(buf_str(&a), STR("x/y.z")));
	assert_true(str_eq(buf_str(&b), STR("x.y.z")));
	buf_done(&a);
	buf_done(&b);
	/* What is not UTF-8 does not come out as it is in modified UTF-7. */
	name_to_wire(STR("a\xff"), '/', false, &a);
	assert_true(str_eq(buf_str(&a), STR("a&,,0-")));
	buf_done(&a);
}

static const struct {
	const char *name, *pattern;
	bool want;
} patterns[] = {
	{ "a", "a", true },
	{ "a", "b", false },
	{ "a", "", false },
	{ "a", "*", true },
	{ "a/b", "*", true },
	{ "a/b", "%", false },
	{ "a", "%", true },
	{ "a/b", "%/%", true },
	{ "a/b/c", "%/%", false },
	{ "a/b/c", "a/*", true },
	{ "a/b/c", "a/%", false },
	{ "a", "a/%", false },
	{ "a/", "a/%", true },
	{ "a/b/c", "*c", true },
	{ "a/b/c", "%c", false },
	{ "a/b/c", "*/%", true },
	{ "a/b/c", "%*%", true },
	{ "a/b/c", "a*b%c", false },
	{ "a/bxc", "a*b%c", true },
	{ "abcabc", "*abc", true },
	{ "abcabd", "*abc", false },
	{ "INBOX", "inbox", true },
	{ "INBOX", "iN%x", true },
	{ "INBOX", "inbox*", true },
	{ "INBOX/a", "inbox/%", true },
	{ "INBOX/A", "inbox/a", false },
	{ "INBOXES", "inboxes", false },
	{ "a", "A", false },
	{ "\xc3\xa9t", "%t", true },
	{ "a**", "a*", true },
};

static void
matching(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(patterns); i++)
		if (name_matches(str_of(patterns[i].name), str_of(patterns[i].pattern)) !=
		    patterns[i].want)
			fail_msg("%s %s", patterns[i].name, patterns[i].pattern);
}

/* What needs exponential time of a matcher that goes back. */
static void
matching_is_fast(void **state)
{
	char name[255], pattern[512];
	memset(name, 'a', sizeof(name));
	for (size_t i = 0; i < sizeof(pattern); i++)
		pattern[i] = i % 2 ? 'a' : i % 4 ? '%' : '*';
	pattern[sizeof(pattern) - 1] = 'b';
	for (int i = 0; i < 100; i++)
		assert_false(name_matches(str_n(name, sizeof(name)),
		    str_n(pattern, sizeof(pattern))));
}

static void
patterns_from_wire(void **state)
{
	static const struct {
		const char *wire, *want;
		char separator;
		bool utf8;
	} table[] = {
		{ "a.%", "a/%", '.', false },
		{ "a/%", "a.%", '.', false },
		{ "&AOk-*", "\xc3\xa9*", '/', false },
		{ "\xc3\xa9*&", "\xc3\xa9*&", '/', true },
		{ "&ACo-", NULL, '/', false },
		{ "\xff", NULL, '/', true },
		{ "//..", "//..", '/', false },
		{ "", "", '/', false },
	};
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct buf b = BUF_INIT(100);
		bool good = name_pattern_from_wire(str_of(table[i].wire), table[i].separator,
		    table[i].utf8, &b);
		assert_int_equal(good, table[i].want != NULL);
		assert_true(str_eq(buf_str(&b), str_of(table[i].want)));
		buf_done(&b);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(from_and_to),
		cmocka_unit_test(trailing),
		cmocka_unit_test(inside),
		cmocka_unit_test(old_names),
		cmocka_unit_test(matching),
		cmocka_unit_test(matching_is_fast),
		cmocka_unit_test(patterns_from_wire),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
