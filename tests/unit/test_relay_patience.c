#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "roles/relay/patience.h"

#define MINUTES(n) ((n)*INT64_C(60000))

/* One after the other, of one session. */
static const struct {
	int64_t at; /* ms */
	enum smtp_client_step step;
	bool octets;
	unsigned silence;
	int64_t wait;
} honest[] = {
	{ 0, SMTP_STEP_GREETING, false, 300, MINUTES(5) },
	{ MINUTES(5), SMTP_STEP_HELLO, false, 300, MINUTES(5) },
	{ MINUTES(10), SMTP_STEP_STARTTLS, false, 300, MINUTES(5) },
	{ MINUTES(15), SMTP_STEP_HELLO, false, 300, MINUTES(5) },
	{ MINUTES(20), SMTP_STEP_AUTH, false, 300, MINUTES(5) },
	{ MINUTES(25), SMTP_STEP_AUTH, false, 300, MINUTES(5) },
	{ MINUTES(29), SMTP_STEP_AUTH, false, 300, MINUTES(1) }, /* it asks on and on */
	{ MINUTES(30), SMTP_STEP_MAIL, false, 300, MINUTES(5) },
	{ MINUTES(35), SMTP_STEP_RCPT, false, 300, MINUTES(5) },
	{ MINUTES(40), SMTP_STEP_DATA, false, 120, MINUTES(2) },
	{ MINUTES(42), SMTP_STEP_DATA, true, 180, MINUTES(3) },
	{ MINUTES(44), SMTP_STEP_DATA, true, 180, MINUTES(3) },  /* ten minutes for its size */
	{ MINUTES(54), SMTP_STEP_DATA, false, 300, MINUTES(1) }, /* the answer to a chunk */
	{ MINUTES(56), SMTP_STEP_DATA, true, 180, 1 },
	{ MINUTES(57), SMTP_STEP_DOT, false, 600, MINUTES(10) },
};

static void
test_session(void **state)
{
	const struct patience_facts f = { .n_rcpts = 1, .size = 600 * 1024 };
	struct patience p = { 0 };
	for (size_t i = 0; i < ARRAY_LEN(honest); i++) {
		int64_t got = patience_wait(&p, &f, honest[i].step, honest[i].octets,
		    honest[i].silence, honest[i].at);
		if (got != honest[i].wait)
			fail_msg("row %zu: %lld", i, (long long)got);
	}
}

static void
test_recipients(void **state)
{
	const struct patience_facts f = { .n_rcpts = 101 };
	const struct patience_facts lmtp = { .n_rcpts = 101, .lmtp = true };
	struct patience p = { 0 };
	(void)patience_wait(&p, &f, SMTP_STEP_MAIL, false, 300, 0);
	assert_int_equal(p.until, MINUTES(12 + 50));
	(void)patience_wait(&p, &f, SMTP_STEP_DOT, false, 600, 0);
	assert_int_equal(p.until, MINUTES(10));
	p.begun = false;
	(void)patience_wait(&p, &lmtp, SMTP_STEP_DOT, false, 600, 0);
	assert_int_equal(p.until, MINUTES(10 + 50));
}

/* relay.reply_seconds is in place of all the times of the RFC. */
static void
test_as_configured(void **state)
{
	const struct patience_facts f = { .reply_seconds = 3, .n_rcpts = 11 };
	struct patience p = { 0 };
	assert_int_equal(patience_wait(&p, &f, SMTP_STEP_RCPT, false, 300, 0), 3000);
	assert_int_equal(patience_wait(&p, &f, SMTP_STEP_RCPT, false, 300, 11000), 1000);
	assert_int_equal(patience_wait(&p, &f, SMTP_STEP_DOT, false, 600, 12000), 3000);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_session),
		cmocka_unit_test(test_recipients),
		cmocka_unit_test(test_as_configured),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
