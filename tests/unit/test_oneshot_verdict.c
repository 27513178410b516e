/* What replies say about an address, and what all verdicts together are as an exit status. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/check.h"
#include "client/exit.h"
#include "oneshot/verdict.h"

static const struct {
	enum probe_at at;
	int code;
	const char *enhanced;
	enum probe_verdict verdict;
} rows[] = {
	{ PROBE_RCPT, 250, "", PROBE_ACCEPTED },
	{ PROBE_RCPT, 250, "2.1.5", PROBE_ACCEPTED },
	{ PROBE_RCPT, 251, "", PROBE_ACCEPTED },
	{ PROBE_RCPT, 252, "", PROBE_UNVERIFIABLE },
	{ PROBE_RCPT, 252, "2.5.2", PROBE_UNVERIFIABLE },
	{ PROBE_RCPT, 354, "", PROBE_UNVERIFIABLE },
	{ PROBE_RCPT, 421, "", PROBE_TEMPORARY },
	{ PROBE_RCPT, 450, "4.2.0", PROBE_TEMPORARY },
	{ PROBE_RCPT, 451, "4.7.1", PROBE_TEMPORARY },
	{ PROBE_RCPT, 452, "", PROBE_TEMPORARY },
	{ PROBE_RCPT, 550, "5.1.1", PROBE_REJECTED },
	{ PROBE_RCPT, 550, "", PROBE_REJECTED },
	{ PROBE_RCPT, 550, "5.7.1", PROBE_POLICY },
	{ PROBE_RCPT, 550, "5.7.23", PROBE_POLICY },
	{ PROBE_RCPT, 551, "", PROBE_REJECTED },
	{ PROBE_RCPT, 552, "5.2.2", PROBE_REJECTED },
	{ PROBE_RCPT, 553, "", PROBE_REJECTED },
	{ PROBE_RCPT, 554, "", PROBE_REJECTED },
	{ PROBE_RCPT, 554, "5.7.1", PROBE_POLICY },
	{ PROBE_RCPT, 501, "5.1.3", PROBE_REJECTED },
	{ PROBE_RCPT, 530, "5.7.0", PROBE_POLICY },
	{ PROBE_RCPT, 530, "", PROBE_POLICY },
	{ PROBE_RCPT, 500, "", PROBE_UNVERIFIABLE },
	{ PROBE_RCPT, 502, "5.5.1", PROBE_UNVERIFIABLE },
	{ PROBE_RCPT, 503, "", PROBE_UNVERIFIABLE },
	{ PROBE_RCPT, 0, "", PROBE_UNVERIFIABLE },
	{ PROBE_RCPT, 999, "", PROBE_UNVERIFIABLE },
	{ PROBE_RCPT, -1, "", PROBE_UNVERIFIABLE },
	{ PROBE_BEFORE, 0, "", PROBE_UNVERIFIABLE },
	{ PROBE_BEFORE, 554, "", PROBE_POLICY },
	{ PROBE_BEFORE, 550, "5.1.8", PROBE_POLICY },
	{ PROBE_BEFORE, 421, "", PROBE_TEMPORARY },
};

static void
verdicts(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		enum probe_verdict v =
		    probe_judge(rows[i].at, rows[i].code, str_of(rows[i].enhanced));
		if (v != rows[i].verdict)
			fail_msg("%d %s: %s", rows[i].code, rows[i].enhanced,
			    probe_verdict_name[v]);
	}
	for (size_t i = 0; i < PROBE_VERDICTS; i++)
		assert_true(*probe_verdict_name[i] && *probe_verdict_text[i]);
}

/* a accepted, c catch-all, r rejected, p policy, t temporary, u unverifiable with trouble 3 */
static const struct {
	const char *in;
	bool temp_exit;
	int status;
} tallies[] = {
	{ "", false, CLIENT_OK },
	{ "a", false, CLIENT_OK },
	{ "ac", false, CLIENT_OK },
	{ "r", false, CLIENT_RCPT_ALL },
	{ "rpt", false, CLIENT_RCPT_ALL },
	{ "ar", false, CLIENT_RCPT_SOME },
	{ "ta", false, CLIENT_RCPT_SOME },
	{ "ta", true, CLIENT_TEMPORARY },
	{ "ra", true, CLIENT_RCPT_SOME },
	{ "u", false, CLIENT_CONNECT },
	{ "au", false, CLIENT_CONNECT },
	{ "ur", false, CLIENT_RCPT_SOME },
	{ "t", true, CLIENT_TEMPORARY },
};

static void
all_together(void **state)
{
	static const char letters[] = "acrptu";
	for (size_t i = 0; i < ARRAY_LEN(tallies); i++) {
		struct probe_tally t = { 0 };
		for (const char *p = tallies[i].in; *p; p++)
			probe_count(&t, (enum probe_verdict)(strchr(letters, *p) - letters),
			    *p == 'u' ? CLIENT_CONNECT : CLIENT_OK);
		assert_int_equal(t.n, strlen(tallies[i].in));
		if (probe_exit(&t, tallies[i].temp_exit) != tallies[i].status)
			fail_msg("%s: %d", tallies[i].in, probe_exit(&t, tallies[i].temp_exit));
	}
	struct probe_tally t = { .n = 2, .refused = 2, .trouble = CLIENT_INTERRUPTED };
	assert_int_equal(probe_exit(&t, false), CLIENT_INTERRUPTED);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(verdicts),
	cmocka_unit_test(all_together),
};

int
main(void)
{
	return cmocka_run_group_tests(tests, NULL, NULL);
}
