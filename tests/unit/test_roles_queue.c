/* Letters for elsewhere in the store role, with a relay that is played here. */
#include "roles_store_kit.h"

#include "access/access.h"
#include "queue/entry.h"
#include "sys/clock.h"

/* --- a relay --- */

struct fake {
	int fd;
	struct buf store;
	struct ipc_frame f;
	struct msg_job job;
	struct queue_entry entry;
};

static void
hello(struct fake *r, struct town *t, const struct msg_lease *lease, uint16_t n)
{
	struct buf b = BUF_INIT(4096), list = BUF_INIT(4096);
	*r = (struct fake){ .fd = kit_peer(&t->store, ROLE_RELAY, 0),
		.store = BUF_INIT(IPC_BODY_MAX + 64) };
	for (uint16_t i = 0; i < n; i++)
		msg_lease_put(&list, &lease[i]);
	const struct msg_hello m = { n, buf_str(&list) };
	msg_hello_put(&b, &m);
	assert_int_equal(chan_sync_send(r->fd, IPC_RELAY_HELLO, 0, buf_str(&b), -1), 0);
	buf_done(&b);
	buf_done(&list);
}

static void
bye(struct fake *r)
{
	close(r->fd);
	buf_done(&r->store);
}

static void
next_job(struct fake *r)
{
	do /* the octets of a short letter stand in front of its job, under the same lease */
		assert_int_equal(kit_recv(r->fd, &r->f, &r->store), 0);
	while (r->f.type == IPC_SPOOL);
	assert_int_equal(r->f.type, IPC_JOB);
	assert_true(msg_job_get(r->f.body, &r->job));
	assert_true(queue_entry_get(r->job.entry, &r->entry));
}

static void
say(struct fake *r, uint64_t lease, uint32_t n, enum job_fate fate, uint16_t code, bool dead)
{
	struct buf b = BUF_INIT(1u << 16), list = BUF_INIT(1u << 16);
	for (uint32_t i = 0; i < n; i++)
		msg_fate_put(&list, &(struct msg_fate){ (uint8_t)fate, code,
					fate == JOB_SENT    ? STR("2.0.0")
					: fate == JOB_LATER ? STR("4.7.1")
							    : STR("5.1.1"),
					STR("what the server said") });
	const struct msg_result m = { .dead = dead,
		.trouble = fate == JOB_SENT ? JOB_TROUBLE_NONE : JOB_TROUBLE_RCPT,
		.mta = STR("mx.example.net"),
		.ip = STR("192.0.2.1"),
		.begun_ms = 5,
		.ended_ms = 9,
		.history = STR("+1ms # mx.example.net [192.0.2.1]:25\n"),
		.n = n,
		.fates = buf_str(&list) };
	msg_result_put(&b, &m);
	assert_int_equal(chan_sync_send(r->fd, IPC_JOB_RESULT, lease, buf_str(&b), -1), 0);
	buf_done(&b);
	buf_done(&list);
}

/* Jobs that come meanwhile are passed over. */
static void
taken(struct fake *r, uint64_t lease)
{
	do
		assert_int_equal(kit_recv(r->fd, &r->f, &r->store), 0);
	while (r->f.type == IPC_JOB || r->f.type == IPC_SPOOL);
	assert_int_equal(r->f.type, IPC_JOB_TAKEN);
	assert_true(r->f.id == lease);
}

/* --- a front --- */

static uint64_t
new_id(void)
{
	static uint64_t seq;
	return (uint64_t)sys_wall_ms() << 22 | (++seq & 0xfff);
}

static uint64_t
hand_in(struct town *t, const char *from, const char *const *to, const char *notify)
{
	struct buf body = BUF_INIT(1u << 20), onward = BUF_INIT(1u << 20), rcpts = BUF_INIT(4096);
	uint64_t id = new_id();
	struct msg_accept m = { .session = 42,
		.time_ms = (uint64_t)sys_wall_ms(),
		.size = sizeof(LETTER) - 1,
		.header_len = sizeof(HEAD) - 1,
		.qid = STR("Q1234"),
		.from = str_of(from),
		.trace = STR("Received: by test\r\n"),
		.message_id = STR("<1@test>"),
		.facts.flags = ONWARD_OURS };
	for (; *to; to++) {
		struct str domain = str_skip(str_of(*to), str_find(str_of(*to), '@') + 1);
		const struct msg_onward o = {
			.rcpt = str_of(*to), .domain = domain, .notify = str_of(notify)
		};
		if (str_eq(domain, STR("example.com"))) {
			const struct msg_rcpt r = {
				.account = t->bob, .rcpt = o.rcpt, .notify = o.notify
			};
			msg_rcpt_put(&rcpts, &r);
			m.n_rcpt++;
		} else {
			msg_onward_put(&onward, &o);
			m.n_onward++;
		}
	}
	m.onward = buf_str(&onward);
	m.rcpts = buf_str(&rcpts);
	msg_accept_put(&body, &m);
	send_body(t->front, id, STR(LETTER));
	assert_int_equal(chan_sync_send(t->front, IPC_ACCEPT, id, buf_str(&body), -1), 0);
	assert_int_equal(accepted(t->front, id), ACCEPT_OK);
	buf_done(&body);
	buf_done(&onward);
	buf_done(&rcpts);
	return id;
}

#define HAND_IN(t, from, ...) hand_in(t, from, (const char *const[]){ __VA_ARGS__, NULL }, "")

static void
wait_count(struct town *t, const char *what)
{
	for (int i = 0; i < 500; i++) {
		if (KIT_ASK(&t->store, &t->out, "queue.count") == CTL_OK &&
		    str_starts(buf_str(&t->out), str_of(what)))
			return;
		usleep(20000);
	}
	fail_msg("the queue has %s instead of %s", buf_cstr(&t->out), what);
}

static void
wait_messages(struct town *t, const char *address, uint64_t n)
{
	for (int i = 0; i < 500 && messages_of(t, address) != n; i++)
		usleep(20000);
	assert_int_equal(messages_of(t, address), n);
}

/* --- tests --- */

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
	assert_int_equal(KIT_ASK(&t.store, &t.out, "queue.hold", "domain=example.net"), CTL_OK);
	assert_true(str_eq(buf_str(&t.out), STR("1\n")));
	assert_false(kit_readable(r.fd, 2500));
	assert_int_equal(KIT_ASK(&t.store, &t.out, "queue.release", "all=1"), CTL_OK);
	next_job(&r);
	say(&r, r.f.id, 1, JOB_LATER, 451, false);
	taken(&r, r.f.id);
	assert_int_equal(KIT_ASK(&t.store, &t.out, "queue.delete", "from=alice@*"), CTL_OK);
	assert_true(str_eq(buf_str(&t.out), STR("1\n")));
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
	bye(&r);
	hello(&r, &t, NULL, 0);
	next_job(&r);
	assert_true(r.job.letter == id && r.f.id != first);
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
		ROW(test_fates),
		ROW(test_leases),
		ROW(test_restart),
		ROW(test_dead),
		ROW(test_delivered),
		ROW(test_turn),
		ROW(test_breach),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
