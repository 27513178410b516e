/* notify: who is told what. */
#include "base/check.h"
#include "ipc/msg.h"
#include "queue/notify.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

static const struct notify_conf conf = { .host = { "mx.example.com", 14 },
	.postmaster = { "postmaster@example.com", 22 },
	.copies = true,
	.full_max = 1000 };

/* --- one recipient --- */

#define S NOTIFY_SENDER
#define N NOTIFY_NOBODY
#define P NOTIFY_POSTMASTER

static const struct {
	const char *notify;
	enum notify_event event;
	bool ours;
	enum notify_verdict want;
} wanted[] = {
	{ "", NOTIFY_NOTHING, true, N },
	{ "", NOTIFY_DELIVERED, true, N },
	{ "", NOTIFY_RELAYED, true, N },
	{ "", NOTIFY_FAILED, true, S },
	{ "", NOTIFY_EXPIRED, true, S },
	{ "", NOTIFY_OVERDUE, true, S },
	{ "", NOTIFY_DELAYED, true, S },
	{ "", NOTIFY_LATE, true, S },
	{ "", NOTIFY_FAILED, false, S },
	{ "", NOTIFY_DELAYED, false, N },
	{ "", NOTIFY_LATE, false, N },
	{ "DELAY", NOTIFY_DELAYED, false, S },
	{ "DELAY", NOTIFY_FAILED, true, N },
	{ "SUCCESS", NOTIFY_DELIVERED, true, S },
	{ "SUCCESS", NOTIFY_DELIVERED, false, S },
	{ "success,failure", NOTIFY_RELAYED, true, S },
	{ "SUCCESS", NOTIFY_EXPANDED, true, S },
	{ "SUCCESS", NOTIFY_PASSED, true, N },
	{ "SUCCESS", NOTIFY_FAILED, true, N },
	{ "SUCCESS", NOTIFY_DELAYED, true, N },
	{ "FAILURE", NOTIFY_FAILED, true, S },
	{ "FAILURE", NOTIFY_DELIVERED, true, N },
	{ "NEVER", NOTIFY_FAILED, true, N },
	{ "never", NOTIFY_EXPIRED, true, N },
	{ "NEVER", NOTIFY_DELAYED, true, N },
	{ "NEVER", NOTIFY_DELIVERED, true, N },
	{ "", NOTIFY_UNTIMED, true, S },
	{ "", NOTIFY_UNTIMED, false, N },
	{ "FAILURE", NOTIFY_UNTIMED, true, S },
	{ "NEVER", NOTIFY_UNTIMED, true, N },
};

static struct notify_rcpt
rcpt_of(enum notify_event event, const char *notify)
{
	return (struct notify_rcpt){
		.event = event, .addr = STR("ann@example.net"), .notify = str_of(notify)
	};
}

static void
test_wanted(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
		struct notify_letter l = { .sender = STR("joe@example.com"),
			.ours = wanted[i].ours };
		struct notify_rcpt q = rcpt_of(wanted[i].event, wanted[i].notify);
		struct report_rcpt row;
		struct report r;
		if (notify_plan(&conf, &l, &q, 1, &row, &r) != wanted[i].want)
			fail_msg("row %zu", i);
		if (wanted[i].want == S)
			assert_true(str_eq(r.to, STR("joe@example.com")) && !r.copy);
	}
}

/* RFC 2852: with T each relay tells. */
static void
test_trace(void **state)
{
	struct notify_letter l = {
		.sender = STR("joe@example.com"), .by_trace = true, .ours = true
	};
	assert_true(notify_wanted(STR(""), NOTIFY_PASSED, &l));
	assert_true(notify_wanted(STR("FAILURE"), NOTIFY_RELAYED, &l));
	assert_false(notify_wanted(STR("NEVER"), NOTIFY_RELAYED, &l));
	assert_false(notify_wanted(STR("FAILURE"), NOTIFY_DELIVERED, &l));
	l.ours = false; /* the sender may be forged */
	assert_false(notify_wanted(STR(""), NOTIFY_PASSED, &l));
	assert_false(notify_wanted(STR(""), NOTIFY_UNTIMED, &l));
	assert_true(notify_wanted(STR("SUCCESS"), NOTIFY_RELAYED, &l));
	assert_true(notify_wanted(STR("SUCCESS"), NOTIFY_UNTIMED, &l));
}

/* A letter from nobody. */
static void
test_null(void **state)
{
	struct notify_letter l = { .ours = true, .size = 10 };
	struct notify_conf quiet = conf;
	quiet.copies = false;
	struct report_rcpt row;
	struct report r;
	struct notify_rcpt q = rcpt_of(NOTIFY_FAILED, "NEVER");
	assert_int_equal(notify_plan(&conf, &l, &q, 1, &row, &r), P);
	assert_true(str_eq(r.to, conf.postmaster));
	assert_true(r.copy);
	assert_false(r.full);
	assert_int_equal(notify_plan(&quiet, &l, &q, 1, &row, &r), N);
	q.event = NOTIFY_DELAYED;
	assert_int_equal(notify_plan(&conf, &l, &q, 1, &row, &r), N);
	q.event = NOTIFY_DELIVERED;
	q.notify = STR("SUCCESS");
	assert_int_equal(notify_plan(&conf, &l, &q, 1, &row, &r), N);
	/* What cannot reach the postmaster goes nowhere. */
	q.event = NOTIFY_FAILED;
	q.addr = STR("Postmaster@example.com");
	assert_int_equal(notify_plan(&conf, &l, &q, 1, &row, &r), N);
	q.addr = STR("admin@example.net");
	q.via = conf.postmaster;
	assert_int_equal(notify_plan(&conf, &l, &q, 1, &row, &r), N);
}

static const struct {
	const char *ret;
	enum notify_event event;
	bool ours;
	uint64_t size;
	bool full;
} fulls[] = {
	{ "", NOTIFY_FAILED, true, 1000, true },
	{ "", NOTIFY_FAILED, true, 1001, false },
	{ "FULL", NOTIFY_FAILED, true, 1001, true },
	{ "full", NOTIFY_EXPIRED, true, 1, true },
	{ "HDRS", NOTIFY_FAILED, true, 1, false },
	{ "FULL", NOTIFY_DELAYED, true, 1, false },
	{ "FULL", NOTIFY_DELIVERED, true, 1, false },
	{ "FULL", NOTIFY_FAILED, false, 1, false },
	{ "", NOTIFY_FAILED, false, 1, false },
};

static void
test_full(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(fulls); i++) {
		struct notify_letter l = { .sender = STR("joe@example.com"),
			.ours = fulls[i].ours,
			.ret = str_of(fulls[i].ret),
			.size = fulls[i].size };
		struct notify_rcpt q = rcpt_of(fulls[i].event, "SUCCESS,FAILURE,DELAY");
		struct report_rcpt row;
		struct report r;
		assert_int_equal(notify_plan(&conf, &l, &q, 1, &row, &r), S);
		if (r.full != fulls[i].full)
			fail_msg("row %zu", i);
		l.requiretls = true;
		assert_int_equal(notify_plan(&conf, &l, &q, 1, &row, &r), S);
		assert_false(r.full);
	}
}

/* --- what is said --- */

static const struct {
	enum notify_event event;
	int code;
	const char *status, *text, *via;
	bool ours;
	enum report_action action;
	const char *want_status, *want_text, *want_final;
} told[] = {
	{ NOTIFY_FAILED, 550, "5.1.1", "no", "", true, REPORT_FAILED, "5.1.1", "no",
	    "a@example.net" },
	{ NOTIFY_FAILED, 550, "", "no", "", true, REPORT_FAILED, "5.0.0", "no", "a@example.net" },
	{ NOTIFY_FAILED, 450, "4.2.2", "full", "", true, REPORT_FAILED, "4.2.2", "full",
	    "a@example.net" },
	{ NOTIFY_FAILED, 550, "2.0.0", "?", "", true, REPORT_FAILED, "5.0.0", "?",
	    "a@example.net" },
	{ NOTIFY_EXPIRED, 450, "4.2.2", "full", "", true, REPORT_FAILED, "4.2.2", "full",
	    "a@example.net" },
	{ NOTIFY_EXPIRED, 0, "", "", "", true, REPORT_FAILED, "4.4.7",
	    "no server that takes mail for this address could be reached in time",
	    "a@example.net" },
	{ NOTIFY_DELAYED, 0, "4.4.1", "no answer", "", true, REPORT_DELAYED, "4.4.1", "no answer",
	    "a@example.net" },
	{ NOTIFY_DELAYED, 0, "5.1.1", "?", "", true, REPORT_DELAYED, "4.4.1", "?",
	    "a@example.net" },
	{ NOTIFY_OVERDUE, 450, "4.2.2", "full", "", true, REPORT_FAILED, "5.4.7",
	    "the time that the sender gave it is over (RFC 2852)", "a@example.net" },
	{ NOTIFY_LATE, 450, "4.2.2", "full", "", true, REPORT_DELAYED, "4.4.7",
	    "the time that the sender gave it is over (RFC 2852)", "a@example.net" },
	{ NOTIFY_DELIVERED, 250, "", "ok", "", true, REPORT_DELIVERED, "2.1.5", "",
	    "a@example.net" },
	{ NOTIFY_RELAYED, 250, "2.0.0", "ok", "", true, REPORT_RELAYED, "2.0.0", "",
	    "a@example.net" },
	{ NOTIFY_FAILED, 550, "5.1.1", "<a@example.net> no", "list@example.com", true,
	    REPORT_FAILED, "5.1.1", "<a@example.net> no", "a@example.net" },
	{ NOTIFY_FAILED, 550, "5.1.1", "<a@example.net> no", "list@example.com", false,
	    REPORT_FAILED, "5.1.1",
	    "the server that this address leads to does not take the letter", "list@example.com" },
	{ NOTIFY_RELAYED, 250, "2.0.0", "ok", "list@example.com", false, REPORT_RELAYED, "2.0.0",
	    "", "list@example.com" },
};

static void
test_told(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(told); i++) {
		struct notify_letter l = { .sender = STR("joe@example.com"), .ours = told[i].ours };
		struct notify_rcpt q = {
			.event = told[i].event,
			.addr = STR("a@example.net"),
			.notify = STR("SUCCESS,FAILURE,DELAY"),
			.via = str_of(told[i].via),
			.code = told[i].code,
			.status = str_of(told[i].status),
			.text = str_of(told[i].text),
			.mta = STR("mx.example.net"),
			.until = 77,
		};
		struct report_rcpt row;
		struct report r;
		assert_int_equal(notify_plan(&conf, &l, &q, 1, &row, &r), S);
		bool hidden = !told[i].ours && told[i].via[0];
		if (row.action != told[i].action ||
		    !str_eq(row.status, str_of(told[i].want_status)) ||
		    !str_eq(row.text, str_of(told[i].want_text)) ||
		    !str_eq(row.final, str_of(told[i].want_final)) ||
		    (row.will_retry_until != 0) != (row.action == REPORT_DELAYED) ||
		    (hidden && (row.mta.len > 0 || row.code > 0)))
			fail_msg("row %zu: " STR_FMT " " STR_FMT, i, STR_ARG(row.status),
			    STR_ARG(row.text));
	}
}

/* --- an entry --- */

static void
test_entry(void **state)
{
	struct buf rcpts = BUF_INIT(10000), states = BUF_INIT(10000), out = BUF_INIT(100000);
	struct buf list = BUF_INIT(10000);
	static const char *const notify[] = { "", "NEVER", "SUCCESS,FAILURE" };
	for (size_t i = 0; i < 3; i++) {
		char addr[20];
		snprintf(addr, sizeof addr, "r%zu@example.net", i);
		queue_rcpt_put(&rcpts, &(struct queue_rcpt){ .addr = str_of(addr),
					   .notify = str_of(notify[i]),
					   .via = STR("list@example.com") });
		queue_told_put(&states, &(struct queue_told){ .state = RCPT_FAILED,
					    .code = 550,
					    .status = STR("5.1.1"),
					    .text = STR("no") });
	}
	struct queue_entry e = { .created_ms = 1764000000000,
		.flags = ONWARD_OURS | ONWARD_UTF8,
		.domain = STR("example.net"),
		.from = STR("SRS0=x@example.com"),
		.sender = STR("joe@example.com"),
		.qid = STR("1A"),
		.n_rcpts = 3,
		.rcpts = buf_str(&rcpts) };
	struct queue_state s = { .last_ms = 1764000100000,
		.mta = STR("mx.example.net"),
		.n = 3,
		.rcpts = buf_str(&states) };
	struct notify_letter l;
	struct notify_rcpt q[3];
	struct report_rcpt rows[3];
	struct report r;
	assert_true(notify_entry(&e, &s, &l, q));
	for (size_t i = 0; i < 3; i++)
		q[i].event = i == 2 ? NOTIFY_RELAYED : NOTIFY_FAILED;
	assert_int_equal(notify_plan(&conf, &l, q, 3, rows, &r), S);
	assert_true(str_eq(r.to, STR("joe@example.com")) && r.utf8 && r.full && r.n == 2);
	assert_true(str_eq(rows[0].final, STR("r0@example.net")));
	assert_true(str_eq(rows[1].final, STR("r2@example.net")));
	r.id = STR("x");
	r.now = 1764000200;
	r.letter = STR("Subject: x\r\n\r\nx\r\n");
	assert_true(report_put(&out, &r));
	/* A reverse-path that XVERP made is there to be written to. */
	struct queue_entry verp = e;
	buf_reset(&list);
	queue_rcpt_put(&list, &(struct queue_rcpt){ .addr = STR("r0@example.net") });
	verp.from = STR("joe+r0=example.net@example.com");
	verp.n_rcpts = 1;
	verp.rcpts = buf_str(&list);
	assert_true(notify_entry(&verp, NULL, &l, q));
	assert_true(str_eq(l.sender, verp.from));
	/* What was not tried has no state yet. */
	assert_true(notify_entry(&e, NULL, &l, q));
	s.n = 2;
	assert_false(notify_entry(&e, &s, &l, q));
	s.n = 3;
	s.rcpts = str_first(s.rcpts, s.rcpts.len - 1);
	assert_false(notify_entry(&e, &s, &l, q));
	buf_done(&rcpts);
	buf_done(&states);
	buf_done(&list);
	buf_done(&out);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wanted),
		cmocka_unit_test(test_trace),
		cmocka_unit_test(test_null),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_told),
		cmocka_unit_test(test_entry),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
