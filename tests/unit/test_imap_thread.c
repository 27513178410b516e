/* THREAD: forests out of references and subjects (RFC 5256 3). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "imap_mail_kit.h"
#include "imap/thread_priv.h"

#include <time.h>

struct one {
	uint64_t id;
	uint64_t refs[5];
	int64_t date;
	uint64_t subject;
	bool reply;
};

static void
expect(const struct one *l, size_t n, bool (*algorithm)(struct thread *), const char *want)
{
	struct thread t = { 0 };
	struct buf out = BUF_INIT(SIZE_MAX / 2);
	for (size_t i = 0; i < n; i++) {
		struct thread_letter letter = {
			.number = (uint32_t)i + 1,
			.date = l[i].date,
			.msgid = l[i].id,
			.subject = l[i].subject,
			.reply = l[i].reply,
		};
		while (letter.n_refs < ARRAY_LEN(l[i].refs) && l[i].refs[letter.n_refs])
			letter.n_refs++;
		thread_add(&t, &letter, l[i].refs);
	}
	assert_true(algorithm(&t));
	thread_put(&t, &out);
	assert_string_equal(out.len ? buf_cstr(&out) : "", want);
	buf_done(&out);
	thread_done(&t);
}
#define EXPECT(l, algorithm, want) expect(l, ARRAY_LEN(l), algorithm, want)

static void
test_references(void **state)
{
	(void)state;
	static const struct one chain[] = {
		{ 1, { 0 }, 1 },
		{ 2, { 1 }, 2 },
		{ 3, { 1, 2 }, 3 },
		{ 4, { 1, 2 }, 4 },
	};
	EXPECT(chain, thread_references, "(1 2 (3)(4))");
	static const struct one late[] = { { 2, { 1 }, 2 }, { 1, { 0 }, 1 } };
	EXPECT(late, thread_references, "(2 1)");
	/* The parent is missing: two letters need a dummy, one does not. */
	static const struct one missing[] = {
		{ 2, { 1 }, 1 },
		{ 3, { 1 }, 2 },
		{ 5, { 4 }, 3 },
	};
	EXPECT(missing, thread_references, "((1)(2))(3)");
	/* Dummies within a thread go, their children move up. */
	static const struct one hole[] = {
		{ 1, { 0 }, 1 },
		{ 4, { 1, 2, 3 }, 2 },
		{ 5, { 1, 2 }, 3 },
	};
	EXPECT(hole, thread_references, "(1 (2)(3))");
	/* Two dummies above one another, the upper one with one child. */
	static const struct one nested[] = { { 4, { 1, 2 }, 1 }, { 5, { 1, 2 }, 2 } };
	EXPECT(nested, thread_references, "((1)(2))");
}

static void
test_odd_references(void **state)
{
	(void)state;
	static const struct one self[] = { { 1, { 1 }, 1 }, { 2, { 2, 1 }, 2 } };
	EXPECT(self, thread_references, "(1 2)");
	static const struct one loop[] = { { 1, { 2 }, 1 }, { 2, { 1 }, 2 } };
	EXPECT(loop, thread_references, "(2 1)");
	static const struct one ring[] = { { 1, { 3 }, 1 }, { 2, { 1 }, 2 }, { 3, { 2 }, 3 } };
	EXPECT(ring, thread_references, "(3 1 2)");
	/* An id that is taken, and none at all. */
	static const struct one twins[] = { { 1, { 0 }, 1 }, { 1, { 0 }, 2 }, { 0, { 1 }, 3 } };
	EXPECT(twins, thread_references, "(1 3)(2)");
	/* A letter without references has no parent but what letters behind it say. */
	static const struct one before[] = { { 9, { 1, 2 }, 1 }, { 2, { 0 }, 2 }, { 1, { 0 }, 3 } };
	EXPECT(before, thread_references, "(2 1)(3)");
	static const struct one behind[] = { { 2, { 0 }, 2 }, { 1, { 0 }, 3 }, { 9, { 1, 2 }, 4 } };
	EXPECT(behind, thread_references, "(2 1 3)");
	expect(NULL, 0, thread_references, "");
}

static void
test_order(void **state)
{
	(void)state;
	static const struct one dates[] = {
		{ 1, { 0 }, 9 },
		{ 2, { 1 }, 8 },
		{ 3, { 1 }, 7 },
		{ 4, { 0 }, 8 },
	};
	EXPECT(dates, thread_references, "(4)(1 (3)(2))");
	static const struct one same[] = { { 1, { 0 }, 5 }, { 2, { 0 }, 5 }, { 3, { 0 }, 5 } };
	EXPECT(same, thread_references, "(1)(2)(3)");
	/* A dummy stands where its first child does. */
	static const struct one dummy[] = {
		{ 1, { 0 }, 5 },
		{ 2, { 8 }, 9 },
		{ 3, { 8 }, 4 },
	};
	EXPECT(dummy, thread_references, "((3)(2))(1)");
}

static void
test_subjects(void **state)
{
	(void)state;
	/* A reply goes under the letter it answers. */
	static const struct one reply[] = { { 1, { 0 }, 1, 7 }, { 2, { 0 }, 2, 7, true } };
	EXPECT(reply, thread_references, "(1 2)");
	static const struct one early[] = { { 1, { 0 }, 1, 7, true }, { 2, { 0 }, 2, 7 } };
	EXPECT(early, thread_references, "(2 1)");
	static const struct one equals[] = { { 1, { 0 }, 1, 7 }, { 2, { 0 }, 2, 7 } };
	EXPECT(equals, thread_references, "((1)(2))");
	static const struct one three[] = {
		{ 1, { 0 }, 1, 7 },
		{ 2, { 0 }, 2, 7 },
		{ 3, { 0 }, 3, 7 },
	};
	EXPECT(three, thread_references, "((1)(2)(3))");
	static const struct one dummies[] = {
		{ 1, { 90 }, 1, 7 },
		{ 2, { 90 }, 2, 7 },
		{ 3, { 91 }, 3, 7 },
		{ 4, { 91 }, 4, 7 },
		{ 5, { 0 }, 5, 7 },
	};
	EXPECT(dummies, thread_references, "((1)(2)(3)(4)(5))");
	static const struct one empty[] = { { 1, { 0 }, 1 }, { 2, { 0 }, 2 } };
	EXPECT(empty, thread_references, "(1)(2)");
}

static void
test_ordered_subject(void **state)
{
	(void)state;
	static const struct one l[] = {
		{ 0, { 0 }, 4, 7 },
		{ 0, { 0 }, 2, 8 },
		{ 0, { 0 }, 3, 7 },
		{ 0, { 0 }, 9, 8 },
		{ 0, { 0 }, 8, 8 },
		{ 0, { 0 }, 1, 9 },
	};
	EXPECT(l, thread_subjects, "(6)(2 (5)(4))(3 1)");
	expect(NULL, 0, thread_subjects, "");
}

/* Each letter answers the one before: nothing may recurse or be quadratic. */
static void
deep(bool backwards)
{
	enum { N = 300000 };
	struct thread t = { 0 };
	struct buf out = BUF_INIT(SIZE_MAX / 2);
	for (uint32_t i = 1; i <= N; i++) {
		uint64_t id = backwards ? N + 1 - i : i;
		const uint64_t refs[] = { id > 2 ? id - 2 : 0, id - 1 };
		struct thread_letter l = { .number = i, .date = i, .msgid = id };
		l.n_refs = id == 1 ? 0 : id == 2 ? 1 : 2;
		thread_add(&t, &l, id == 2 ? refs + 1 : refs);
	}
	clock_t begin = clock();
	assert_true(thread_references(&t));
	thread_put(&t, &out);
	assert_true(clock() - begin < 5 * CLOCKS_PER_SEC);
	assert_memory_equal(out.p, backwards ? "(300000 299999 " : "(1 2 3 4 5 6 7 ", 15);
	assert_int_equal(out.p[out.len - 1], ')');
	assert_null(memchr(out.p, ')', out.len - 1));
	buf_done(&out);
	thread_done(&t);
}

static void
test_deep(void **state)
{
	(void)state;
	deep(false);
	deep(true);
}

/* --- the command --- */

static void
test_command(void **state)
{
	(void)state;
	struct kit k;
	kit_init(&k);
	kit_letter(&k, "Subject: one\r\nMessage-ID: <a@x>\r\n\r\n");
	kit_letter(&k, "Subject: Re: one\r\nMessage-ID: <b@x>\r\nIn-Reply-To: <a@x>\r\n\r\n");
	kit_letter(&k, "Subject: two\r\nMessage-ID: <c@x>\r\n\r\n");
	kit_letter(&k, "Subject: Fwd: Two\r\n\r\n");
	kit_letter(&k, "Subject: three\r\nReferences: <a@x> <b@x>\r\nMessage-ID: <d@x>\r\n\r\n");
	kit_select(&k);
	kit_says(&k, "THREAD REFERENCES UTF-8 ALL", "* THREAD (1 2 5)(3 4)\r\nt OK");
	kit_says(&k, "UID THREAD ORDEREDSUBJECT US-ASCII ALL", "* THREAD (1 2)(3 4)(5)\r\nt OK");
	kit_says(&k, "THREAD REFERENCES UTF-8 SUBJECT nothing", "* THREAD\r\nt OK");
	kit_says(&k, "THREAD REFERENCES UTF-8 2:3", "* THREAD (2)(3)\r\nt OK");
	kit_says(&k, "THREAD REFS UTF-8 ALL", "t BAD");
	kit_says(&k, "THREAD REFERENCES UTF-8", "t BAD");
	kit_says(&k, "THREAD REFERENCES X-NONE ALL", "t NO [BADCHARSET (UTF-8 US-ASCII)]");
	kit_done(&k);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_references),
		cmocka_unit_test(test_odd_references),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_subjects),
		cmocka_unit_test(test_ordered_subject),
		cmocka_unit_test(test_deep),
		cmocka_unit_test(test_command),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
