/* STORE, COPY, MOVE (RFC 9051 6.4.6 to 6.4.8, RFC 7162, RFC 6851). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "imap_mail_kit.h"

static void
letters(struct kit *k, unsigned n)
{
	kit_init(k);
	for (unsigned i = 0; i < n; i++)
		(void)kit_letter(k, "Subject: x\r\n\r\nhello\r\n");
	kit_select(k);
}

static void
test_store(void **state)
{
	(void)state;
	struct kit k;
	letters(&k, 4);
	kit_says(&k, "STORE 1 FLAGS (\\Seen \\Flagged)", "* 1 FETCH (FLAGS (");
	assert_int_equal(kit_of(&k, 1)->flags, ACCESS_SEEN | ACCESS_FLAGGED);
	kit_says(&k, "STORE 1:2 -FLAGS \\Flagged \\Draft", "* 1 FETCH (FLAGS (\\Seen))\r\nt OK");
	kit_says(&k, "UID STORE 3:* +FLAGS (\\Deleted)",
	    "* 3 FETCH (UID 3 FLAGS (\\Deleted))\r\n* 4 FETCH (UID 4 FLAGS (\\Deleted))\r\nt OK");
	kit_says(&k, "STORE 2 FLAGS ()", "t OK");
	kit_says(&k, "STORE  2  FLAGS  ()", "t OK");
	kit_has(&k, "STORE 2 +FLAGS ($Forwarded)", "* 2 FETCH (FLAGS ($Forwarded))\r\nt OK");
	kit_says(&k, "STORE 2 +FLAGS ($FORWARDED)", "t OK");
	kit_says(&k, "STORE 1 +FLAGS.SILENT (\\Answered)", "t OK");
	assert_int_equal(kit_of(&k, 1)->flags, ACCESS_SEEN | ACCESS_ANSWERED);
	kit_says(&k, "UID STORE 77 +FLAGS (\\Seen)", "t OK");
	kit_done(&k);
}

/* What others have changed is told, also by a STORE that is silent about its own. */
static void
test_silent(void **state)
{
	(void)state;
	struct kit k;
	letters(&k, 3);
	fake_flag(&k.f, STR("INBOX"), 2, ACCESS_FLAGGED);
	kit_says(&k, "STORE 1:3 +FLAGS.SILENT (\\Seen)",
	    "* 2 FETCH (FLAGS (\\Flagged \\Seen))\r\nt OK");
	for (uint32_t uid = 1; uid <= 3; uid++)
		assert_true(kit_of(&k, uid)->flags & ACCESS_SEEN);
	kit_done(&k);
}

static void
test_bad_store(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"STORE",
		"STORE 1",
		"STORE 1 FLAGS",
		"STORE 0 FLAGS ()",
		"STORE 9 FLAGS ()",
		"STORE 1 FLAGZ (\\Seen)",
		"STORE 1 FLAGS (\\Seen",
		"STORE 1 FLAGS (\\Seen))",
		"STORE 1 (UNCHANGEDSINCE) FLAGS ()",
		"STORE 1 (FOO 1) FLAGS ()",
		"STORE a FLAGS ()",
	};
	struct kit k;
	letters(&k, 2);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		kit_says(&k, bad[i], "t BAD");
	kit_has(&k, "EXAMINE INBOX", "t OK [READ-ONLY]");
	kit_says(&k, "STORE 1 +FLAGS (\\Seen)", "t NO [READ-ONLY]");
	kit_says(&k, "MOVE 1 INBOX", "t NO [READ-ONLY]");
	assert_int_equal(kit_of(&k, 1)->flags, 0);
	kit_done(&k);
}

static void
test_conditional(void **state)
{
	(void)state;
	struct kit k;
	letters(&k, 3);
	kit_enable(&k, "CONDSTORE");
	fake_flag(&k.f, STR("INBOX"), 2, ACCESS_FLAGGED);
	const char *said = kit_say(&k, "UID STORE 1:3 (UNCHANGEDSINCE 3) +FLAGS.SILENT (\\Seen)");
	assert_non_null(strstr(said, "t OK [MODIFIED 2]"));
	assert_non_null(strstr(said, "* 1 FETCH (UID 1 MODSEQ (5))"));
	assert_int_equal(kit_of(&k, 2)->flags, ACCESS_FLAGGED);
	kit_has(&k, "STORE 1:3 (UNCHANGEDSINCE 0) +FLAGS (\\Draft)", "t OK [MODIFIED 1:3]");
	kit_done(&k);
}

/* A set of more ranges than one change has. */
static void
test_many_ranges(void **state)
{
	(void)state;
	enum { N = 9000 };
	struct kit k;
	struct buf line = BUF_INIT(SIZE_MAX / 2);
	letters(&k, N);
	buf_putz(&line, "UID STORE 1");
	for (unsigned i = 3; i <= N; i += 2)
		buf_putf(&line, ",%u", i);
	buf_putz(&line, " +FLAGS.SILENT (\\Seen)");
	unsigned changes = k.f.changes;
	kit_has(&k, buf_cstr(&line), "t OK");
	assert_int_equal(k.f.changes - changes, 2);
	for (uint32_t uid = 1; uid <= N; uid++)
		assert_int_equal(kit_of(&k, uid)->flags, uid % 2 ? ACCESS_SEEN : 0);
	buf_done(&line);
	kit_done(&k);
}

static void
test_copy(void **state)
{
	(void)state;
	struct kit k;
	letters(&k, 4);
	(void)fake_create(&k.f, STR("Other"), 0);
	uint32_t valid = fake_box(&k.f, STR("Other"))->uidvalidity;
	char want[100];
	snprintf(want, sizeof(want), "t OK [COPYUID %u 2:3 1,2]", valid);
	kit_has(&k, "COPY 2:3 Other", "t OK [COPYUID ");
	assert_int_equal(fake_box(&k.f, STR("Other"))->n_letters, 2);
	kit_has(&k, "UID COPY 4,1 \"Other\"", " 1,4 3,4] ");
	kit_says(&k, "COPY 1 None", "t NO [TRYCREATE]");
	kit_says(&k, "UID COPY 99 Other", "t OK");
	kit_says(&k, "COPY 5 Other", "t BAD");
	kit_says(&k, "COPY 1", "t BAD");
	kit_done(&k);
}

static void
test_move(void **state)
{
	(void)state;
	struct kit k;
	letters(&k, 4);
	(void)fake_create(&k.f, STR("Other"), 0);
	const char *said = kit_say(&k, "MOVE 2:3 Other");
	assert_int_equal(strncmp(said, "* OK [COPYUID ", 14), 0);
	const char *gone = strstr(said, "EXPUNGE\r\n");
	assert_non_null(gone);
	assert_non_null(strstr(gone, "t OK"));
	assert_int_equal(fake_box(&k.f, STR("INBOX"))->n_letters, 2);
	kit_says(&k, "MOVE 1 None", "t NO [TRYCREATE]");
	kit_says(&k, "UID MOVE 2 Other", "t OK");
	kit_enable(&k, "QRESYNC");
	kit_has(&k, "UID MOVE 4 Other", "* VANISHED 4\r\nt OK [HIGHESTMODSEQ ");
	kit_says(&k, "UID MOVE 1 Other", "* OK [COPYUID ");
	k.f.fail = ACCESS_OVERQUOTA;
	kit_done(&k);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_store),
		cmocka_unit_test(test_silent),
		cmocka_unit_test(test_bad_store),
		cmocka_unit_test(test_conditional),
		cmocka_unit_test(test_many_ranges),
		cmocka_unit_test(test_copy),
		cmocka_unit_test(test_move),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
