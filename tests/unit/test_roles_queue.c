/* Letters for elsewhere in the store role, with a relay that is played here. */
#include "roles_queue_kit.h"

/* One letter for two domains and a mailbox here: two jobs, with the letter's octets from a reader.
 */
static void
test_jobs(void **state)
{
	struct town t;
	struct fake r;
	town_open(&t, NULL);
	town_people(&t);
	uint64_t id = HAND_IN(&t, "alice@example.com", "joe@example.net", "bob@example.com",
	    "ann@example.org", "jim@example.net");
	assert_int_equal(messages_of(&t, "bob@example.com"), 1);
	wait_count(&t, "2|1|3|");
	hello(&r, &t, NULL, 0);
	int reader = kit_peer(&t.reader, ROLE_RELAY, 0);
	uint64_t lease[2];
	uint32_t n_rcpts[2];
	for (int i = 0; i < 2; i++) {
		next_job(&r);
		lease[i] = r.f.id;
		assert_true(r.job.letter == id && r.job.window > 0 && r.job.turn == 0);
		assert_true(str_eq(r.entry.from, STR("alice@example.com")));
		bool net = str_eq(r.entry.domain, STR("example.net"));
		assert_int_equal(r.entry.n_rcpts, net ? 2 : 1);
		assert_true(str_eq(r.job.target,
		    net ? STR("mx:example.net") : STR("mx:example.org")));
		struct buf b = BUF_INIT(64);
		const struct msg_spool_ask ask = { id, r.job.part, 0, SPOOL_CHUNK };
		msg_spool_ask_put(&b, &ask);
		assert_int_equal(chan_sync_send(reader, IPC_SPOOL_ASK, 5, buf_str(&b), -1), 0);
		buf_done(&b);
		struct ipc_frame f;
		struct buf octets = BUF_INIT(IPC_BODY_MAX + 64);
		assert_int_equal(kit_recv(reader, &f, &octets), 0);
		assert_true(f.type == IPC_SPOOL && f.id == 5 && f.body.p[0] == ACCESS_OK);
		assert_true(str_eq(str_skip(f.body, 1), STR("Received: by test\r\n" LETTER)));
		assert_true(f.body.len - 1 == r.job.size);
		buf_done(&octets);
		n_rcpts[i] = r.entry.n_rcpts;
	}
	for (int i = 0; i < 2; i++) {
		say(&r, lease[i], n_rcpts[i], JOB_SENT, 250, false);
		taken(&r, lease[i]);
	}
	wait_count(&t, "0|0|0|0");
	assert_false(kit_readable(r.fd, 100));
	close(reader);
	bye(&r);
	town_close(&t);
}

/* Who says how many does not mean all: nothing is changed. Lists end there. */
static void
test_some_of_them(void **state)
{
	static const char *const ops[] = { "queue.count", "queue.retry", "queue.hold",
		"queue.release", "queue.bounce", "queue.delete" };
	struct town t;
	town_open(&t, NULL);
	town_people(&t);
	HAND_IN(&t, "alice@example.com", "joe@example.net", "ann@example.org");
	wait_count(&t, "2|1|2|");
	for (size_t i = 0; i < ARRAY_LEN(ops); i++) {
		assert_int_equal(KIT_ASK(&t.store, &t.out, ops[i], "all=1", "limit=1"),
		    CTL_INVALID);
		assert_int_equal(KIT_ASK(&t.store, &t.out, ops[i], "domain=*", "limit=2"),
		    CTL_INVALID);
	}
	wait_count(&t, "2|1|2|");
	assert_int_equal(KIT_ASK(&t.store, &t.out, "queue.list", "limit=1"), CTL_OK);
	assert_true(str_find(buf_str(&t.out), '\n') == t.out.len - 1);
	assert_int_equal(KIT_ASK(&t.store, &t.out, "queue.targets", "limit=1"), CTL_OK);
	assert_true(t.out.len > 0);
	assert_int_equal(KIT_ASK(&t.store, &t.out, "queue.delete", "all=1"), CTL_OK);
	wait_count(&t, "0|");
	town_close(&t);
}

/* What is refused is told; what waits is listed, held, released and deleted. */
static void
test_fates(void **state)
{
	static const char *const sets[] = { "queue.retry_first=1", NULL };
	struct town t;
	struct fake r;
	town_open(&t, sets);
	town_people(&t);
	hello(&r, &t, NULL, 0);
	HAND_IN(&t, "alice@example.com", "joe@example.net");
	next_job(&r);
	say(&r, r.f.id, 1, JOB_REFUSED, 550, false);
	taken(&r, r.f.id);
	wait_messages(&t, "alice@example.com", 1); /* the report */
	wait_count(&t, "0|");

	HAND_IN(&t, "alice@example.com", "joe@example.net");
	next_job(&r);
	say(&r, r.f.id, 1, JOB_LATER, 451, false);
	taken(&r, r.f.id);
	assert_int_equal(KIT_ASK(&t.store, &t.out, "queue.list", "error=4xx"), CTL_OK);
	assert_true(str_find_str(buf_str(&t.out), STR("|451|4.7.1|what the server said|")) <
		    t.out.len);
	assert_int_equal(KIT_ASK(&t.store, &t.out, "queue.list", "error=5xx"), CTL_OK);
	assert_int_equal(t.out.len, 0);
	next_job(&r); /* a second later */
	struct queue_state s;
	assert_true(queue_state_get(r.job.state, &s) && s.attempts == 1);
	say(&r, r.f.id, 1, JOB_LATER, 451, false);
	taken(&r, r.f.id);
	assert_int_equal(KIT_ASK(&t.store, &t.out, "queue.hold", "all=1", "reason=one\ntwo"),
	    CTL_INVALID);
	assert_int_equal(KIT_ASK(&t.store, &t.out, "queue.hold", "domain=example.net"), CTL_OK);
	assert_true(str_eq(buf_str(&t.out), STR("1|0|0|0|0|0|0|0|0\n")));
	assert_false(kit_readable(r.fd, 2500));
	assert_int_equal(KIT_ASK(&t.store, &t.out, "queue.release", "all=1"), CTL_OK);
	next_job(&r);
	say(&r, r.f.id, 1, JOB_LATER, 451, false);
	taken(&r, r.f.id);
	assert_int_equal(KIT_ASK(&t.store, &t.out, "queue.delete", "from=alice@*"), CTL_OK);
	assert_true(str_eq(buf_str(&t.out), STR("1|0|0|0|0|0|0|0|0\n")));
	wait_count(&t, "0|");
	assert_int_equal(messages_of(&t, "alice@example.com"), 1);
	bye(&r);
	town_close(&t);
}

/* A relay that dies has what it had given to the next; one that only lost its store keeps it. */
static void
test_leases(void **state)
{
	struct town t;
	struct fake r;
	town_open(&t, NULL);
	town_people(&t);
	hello(&r, &t, NULL, 0);
	uint64_t id = HAND_IN(&t, "alice@example.com", "joe@example.net");
	next_job(&r);
	uint64_t first = r.f.id;
	uint32_t part = r.job.part;
	say_talking(&r, first);
	bye(&r);
	hello(&r, &t, NULL, 0);
	next_job(&r);
	assert_true(r.job.letter == id && r.f.id != first);
	assert_int_equal(KIT_ASK(&t.store, &t.out, "queue.totals"), CTL_OK);
	assert_true(str_starts(buf_str(&t.out), STR("1|0|0|1|0|0|0|0|0|1|"))); /* one is in doubt */
	/* The lease of its former life is nobody's. */
	say(&r, first, 1, JOB_REFUSED, 550, false);
	taken(&r, first);
	const struct msg_lease mine = { r.f.id, id, part };
	bye(&r);

	assert_int_equal(kit_kill(&t.store), -9);
	struct conf *c = kit_conf(NULL);
	kit_start(&t.store, store_main, c, ROLE_STORE, 0);
	kit_join(&t.store, ROLE_STORE, &t.reader, ROLE_READER);
	conf_free(c);
	close(t.front);
	t.front = connect_front(&t, 0);
	hello(&r, &t, &mine, 1);
	assert_false(kit_readable(r.fd, 1000)); /* nobody else gets it */
	say(&r, mine.lease, 1, JOB_SENT, 250, false);
	taken(&r, mine.lease);
	wait_count(&t, "0|");
	bye(&r);
	town_close(&t);
}

/* Nothing is given back before it is known whether a relay has it. */
static void
test_bounce_after_a_start(void **state)
{
	struct town t;
	struct fake r;
	town_open(&t, NULL);
	town_people(&t);
	hello(&r, &t, NULL, 0);
	uint64_t id = HAND_IN(&t, "alice@example.com", "joe@example.net");
	next_job(&r);
	const struct msg_lease mine = { r.f.id, id, r.job.part };
	bye(&r);
	assert_int_equal(kit_kill(&t.store), -9);
	struct conf *c = kit_conf(NULL);
	kit_start(&t.store, store_main, c, ROLE_STORE, 0);
	kit_join(&t.store, ROLE_STORE, &t.reader, ROLE_READER);
	conf_free(c);
	close(t.front);
	t.front = connect_front(&t, 0);
	wait_count(&t, "1|");
	int fd = kit_ctl(&t.store);
	kit_send_ask(fd, (const char *const[]){ "queue.bounce", "all=1", NULL });
	assert_false(kit_readable(fd, 500));
	hello(&r, &t, &mine, 1);
	buf_reset(&t.out);
	assert_int_equal(kit_answer(fd, &t.out), CTL_OK);
	assert_string_equal(buf_cstr(&t.out), "0|1|0|0|0|0|0|0|0\n");
	close(fd);
	say(&r, mine.lease, 1, JOB_SENT, 250, false);
	taken(&r, mine.lease);
	wait_count(&t, "0|");
	assert_int_equal(messages_of(&t, "alice@example.com"), 0);
	bye(&r);
	town_close(&t);
}

/* The queue is there after a crash, and a report that was due is made once. */
static void
test_restart(void **state)
{
	struct town t;
	struct fake r;
	town_open(&t, NULL);
	town_people(&t);
	for (int i = 0; i < 20; i++)
		HAND_IN(&t, "alice@example.com", "joe@example.net", "ann@example.org");
	hello(&r, &t, NULL, 0);
	next_job(&r);
	uint64_t refused = r.f.id;
	say(&r, refused, 1, JOB_REFUSED, 550, false);
	taken(&r, refused);
	bye(&r);
	assert_int_equal(kit_kill(&t.store), -9);
	struct conf *c = kit_conf(NULL);
	kit_start(&t.store, store_main, c, ROLE_STORE, 0);
	kit_join(&t.store, ROLE_STORE, &t.reader, ROLE_READER);
	conf_free(c);
	close(t.front);
	t.front = connect_front(&t, 0);
	hello(&r, &t, NULL, 0);
	uint32_t n = 0;
	while (n < 39) {
		assert_int_equal(kit_recv(r.fd, &r.f, &r.store), 0);
		if (r.f.type != IPC_JOB)
			continue;
		say(&r, r.f.id, 1, JOB_SENT, 250, false);
		n++;
	}
	wait_count(&t, "0|");
	wait_messages(&t, "alice@example.com", 1);
	bye(&r);
	town_close(&t);
}

/* A dead destination costs one job, and the others go on. */
static void
test_dead(void **state)
{
	struct town t;
	struct fake r;
	town_open(&t, NULL);
	town_people(&t);
	for (int i = 0; i < 10; i++)
		HAND_IN(&t, "alice@example.com", "joe@dead.example", "ann@example.org");
	hello(&r, &t, NULL, 0);
	unsigned dead = 0, sent = 0;
	while (sent < 10) {
		assert_int_equal(kit_recv(r.fd, &r.f, &r.store), 0);
		if (r.f.type != IPC_JOB)
			continue;
		assert_true(msg_job_get(r.f.body, &r.job) &&
			    queue_entry_get(r.job.entry, &r.entry));
		if (str_eq(r.entry.domain, STR("dead.example"))) {
			dead++;
			say(&r, r.f.id, 1, JOB_LATER, 0, true);
		} else {
			sent++;
			say(&r, r.f.id, 1, JOB_SENT, 250, false);
		}
	}
	assert_true(dead <= 2);
	wait_count(&t, "10|");
	assert_int_equal(KIT_ASK(&t.store, &t.out, "queue.targets", "domain=dead.example"), CTL_OK);
	assert_true(str_starts(buf_str(&t.out), STR("mx:dead.example|backoff|10|0|")));
	assert_int_equal(KIT_ASK(&t.store, &t.out, "queue.flush", "dead.example"), CTL_OK);
	assert_true(str_eq(buf_str(&t.out), STR("10\n")));
	for (bool job = false; !job; job = r.f.type == IPC_JOB)
		assert_int_equal(kit_recv(r.fd, &r.f, &r.store), 0);
	bye(&r);
	town_close(&t);
}

/* NOTIFY=SUCCESS of a mailbox here is told at once. */
static void
test_delivered(void **state)
{
	struct town t;
	town_open(&t, NULL);
	town_people(&t);
	hand_in(&t, "alice@example.com", (const char *const[]){ "bob@example.com", NULL },
	    "SUCCESS");
	wait_messages(&t, "bob@example.com", 1);
	sleep(1);
	struct fake r; /* what the queue does itself waits for no relay, but for its calm */
	hello(&r, &t, NULL, 0);
	wait_messages(&t, "alice@example.com", 1);
	wait_count(&t, "0|");
	bye(&r);
	town_close(&t);
}

/* Mail that is fetched (RFC 2645). */
static void
test_turn(void **state)
{
	static const char *const sets[] = { "route.example.net=turn:", NULL };
	struct town t;
	struct fake r;
	uint32_t n;
	town_open(&t, sets);
	town_people(&t);
	for (int i = 0; i < 7; i++)
		HAND_IN(&t, "alice@example.com", "joe@example.net");
	hello(&r, &t, NULL, 0);
	assert_false(kit_readable(r.fd, 500));
	struct buf b = BUF_INIT(4096), list = BUF_INIT(4096);
	put_str(&list, STR("example.net"));
	const struct msg_turn m = { 1, buf_str(&list), STR("net@example.com") };
	msg_turn_put(&b, &m);
	assert_int_equal(chan_sync_send(r.fd, IPC_TURN_JOBS, 3, buf_str(&b), -1), 0);
	assert_int_equal(kit_recv(r.fd, &r.f, &r.store), 0);
	assert_true(r.f.type == IPC_TURN_COUNT && msg_u32_get(r.f.body, &n) && n == 7);
	for (n = 0; n < 7;) {
		assert_int_equal(kit_recv(r.fd, &r.f, &r.store), 0);
		if (r.f.type != IPC_JOB)
			continue;
		assert_true(msg_job_get(r.f.body, &r.job));
		assert_true(r.job.turn == 3 && str_eq(r.job.target, STR("turn:")));
		say(&r, r.f.id, 1, JOB_SENT, 250, false);
		n++;
	}
	assert_int_equal(chan_sync_send(r.fd, IPC_TURN_END, 3, STR_NULL, -1), 0);
	wait_count(&t, "0|");
	buf_done(&b);
	buf_done(&list);
	bye(&r);
	town_close(&t);
}

/* Whoever breaks the form loses the channel. */
static void
test_breach(void **state)
{
	struct town t;
	struct fake r;
	town_open(&t, NULL);
	town_people(&t);
	int fd = kit_peer(&t.store, ROLE_RELAY, 1);
	assert_int_equal(chan_sync_send(fd, IPC_JOB_RESULT, 1, STR("x"), -1), 0);
	assert_true(kit_closed(fd));
	close(fd);
	HAND_IN(&t, "alice@example.com", "joe@example.net");
	hello(&r, &t, NULL, 0);
	next_job(&r);
	say(&r, r.f.id, 2, JOB_SENT, 250, false); /* two fates for one recipient */
	assert_true(kit_closed(r.fd));
	bye(&r);
	wait_count(&t, "1|");
	town_close(&t);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		ROW(test_jobs),
		ROW(test_some_of_them),
		ROW(test_fates),
		ROW(test_leases),
		ROW(test_bounce_after_a_start),
		ROW(test_restart),
		ROW(test_dead),
		ROW(test_delivered),
		ROW(test_turn),
		ROW(test_breach),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
