/* ATRN as provider (RFC 2645): what a relay makes of the frames of fronts and of the store. */
#include "roles_relay_kit.h"

static const char *const sets[] = { "hostname=mail.test", "dns=", NULL };

struct world {
	struct relay_kit r;
	int front;
	struct ipc_frame f;
	struct buf in;
};

static void
begin(struct world *w)
{
	relay_kit_start(&w->r, sets);
	relay_kit_hello(&w->r, 0);
	w->front = kit_peer(&w->r.k, ROLE_FRONT, 0);
	w->in = BUF_INIT(IPC_BODY_MAX + 64);
}

static void
end(struct world *w)
{
	close(w->front);
	relay_kit_stop(&w->r);
	buf_done(&w->in);
}

static struct str
a_question(struct buf *b)
{
	struct buf list = BUF_INIT(1024);
	put_str(&list, STR("one.example"));
	put_str(&list, STR("two.example"));
	const struct msg_turn m = { 2, buf_str(&list), STR("ann@example.com 192.0.2.1"), true };
	buf_reset(b);
	msg_turn_put(b, &m);
	buf_done(&list);
	return buf_str(b);
}

/* What the store is asked; the turn's number. */
static uint64_t
ask(struct world *w, uint64_t id)
{
	struct buf b = BUF_INIT(4096);
	struct str body = a_question(&b);
	assert_int_equal(chan_sync_send(w->front, IPC_TURN_ASK, id, body, -1), 0);
	assert_int_equal(relay_kit_next(&w->r, &w->f), IPC_TURN_JOBS);
	assert_true(str_eq(w->f.body, body));
	buf_done(&b);
	return w->f.id;
}

static void
count(struct world *w, uint64_t turn, uint32_t n)
{
	struct buf b = BUF_INIT(8);
	msg_u32_put(&b, n);
	assert_int_equal(chan_sync_send(w->r.store, IPC_TURN_COUNT, turn, buf_str(&b), -1), 0);
	buf_done(&b);
}

/* What the front hears; the connection's other end, or -1. */
static int
told(struct world *w, uint64_t id, enum turn_verdict want)
{
	uint8_t verdict;
	assert_int_equal(kit_recv(w->front, &w->f, &w->in), 0);
	assert_int_equal(w->f.type, want == TURN_YES ? IPC_TURN : IPC_TURN_NO);
	assert_true(w->f.id == id && msg_u8_get(w->f.body, TURN_VERDICT_COUNT, &verdict));
	assert_int_equal(verdict, want);
	assert_true((w->f.fd >= 0) == (want == TURN_YES));
	return w->f.fd;
}

static void
ends(struct world *w, uint64_t turn)
{
	assert_int_equal(relay_kit_next(&w->r, &w->f), IPC_TURN_END);
	assert_true(w->f.id == turn && w->f.body.len == 0);
}

static void
test_answers(void **state)
{
	struct world w;
	begin(&w);
	uint64_t empty = ask(&w, 5);
	count(&w, empty + 1000, 3); /* of a turn that nobody knows: no breach */
	count(&w, empty, 0);
	told(&w, 5, TURN_EMPTY);
	ends(&w, empty);
	uint64_t full = ask(&w, 6), other = ask(&w, 7);
	count(&w, full, UINT32_MAX);
	int fd = told(&w, 6, TURN_YES);
	count(&w, full, 0); /* it was said already */
	count(&w, other, 0);
	told(&w, 7, TURN_EMPTY);
	ends(&w, other);
	close(fd);
	end(&w);
}

/* Whoever asks while there is no store, or loses it, is told so; a store that breaks the form is
 * one that is lost. */
static void
test_no_store(void **state)
{
	struct world w;
	struct buf b = BUF_INIT(4096);
	begin(&w);
	ask(&w, 5);
	assert_int_equal(chan_sync_send(w.r.store, IPC_TURN_COUNT, 1, STR("abc"), -1), 0);
	assert_true(kit_closed(w.r.store));
	told(&w, 5, TURN_NO);
	assert_int_equal(chan_sync_send(w.front, IPC_TURN_ASK, 6, a_question(&b), -1), 0);
	told(&w, 6, TURN_NO);
	close(w.r.store);
	relay_kit_store(&w.r);
	relay_kit_hello(&w.r, 0);
	count(&w, ask(&w, 7), 0);
	told(&w, 7, TURN_EMPTY);
	buf_done(&b);
	end(&w);
}

/* The client, or its front, has gone before the first letter. */
static void
test_nobody_there(void **state)
{
	struct world w;
	struct msg_result m;
	struct relay_job job = { .target = "turn:", .rcpts = { "b@one.example" } };
	begin(&w);
	job.turn = ask(&w, 5);
	count(&w, job.turn, 1);
	close(told(&w, 5, TURN_YES));
	relay_kit_job(&w.r, 1, &job);
	relay_kit_result(&w.r, 1, &m);
	assert_int_equal(relay_kit_fate(&m, 0).fate, JOB_LATER);
	ends(&w, job.turn);
	job.turn = ask(&w, 6);
	close(w.front);
	w.front = kit_peer(&w.r.k, ROLE_FRONT, 0);
	uint64_t other = ask(&w, 7);
	count(&w, other, 0); /* by then the first front is known to be gone */
	told(&w, 7, TURN_EMPTY);
	ends(&w, other);
	count(&w, job.turn, 1);
	ends(&w, job.turn);
	end(&w);
}

/* Each front that breaks the form loses its channel; another one is answered. */
static void
test_breach(void **state)
{
	struct world w;
	struct buf b = BUF_INIT(4096), many = BUF_INIT(65536);
	begin(&w);
	struct str whole = a_question(&b);
	msg_turn_put(&many, &(struct msg_turn){ .n = 0, .who = STR("ann@example.com") });
	const struct {
		uint16_t type;
		struct str body;
	} rows[] = {
		{ IPC_TURN_ASK, buf_str(&many) }, /* no domain */
		{ IPC_TURN_ASK, STR("\1\1\0\0\0\0\0") },
		{ IPC_TURN_ASK, STR("\0\1\2\0\0\0\0\0\0\0\0") },
		{ IPC_TURN_ASK, STR("\377\377\1\377\377\377\377") },
		{ IPC_TURN_END, STR_NULL },
		{ IPC_JOB, whole },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows) + whole.len; i++) {
		size_t cut = i - MIN(i, ARRAY_LEN(rows));
		uint16_t type = i < ARRAY_LEN(rows) ? rows[i].type : IPC_TURN_ASK;
		struct str body = i < ARRAY_LEN(rows) ? rows[i].body : str_first(whole, cut);
		int front = kit_peer(&w.r.k, ROLE_FRONT, 1);
		assert_int_equal(chan_sync_send(front, type, 1, body, -1), 0);
		if (!kit_closed(front))
			fail_msg("row %zu was taken", i);
		close(front);
	}
	count(&w, ask(&w, 5), 0);
	told(&w, 5, TURN_EMPTY);
	buf_done(&many);
	buf_done(&b);
	end(&w);
}

static int
setup(void **state)
{
	kit_make_dir();
	return 0;
}

static int
teardown(void **state)
{
	kit_drop_dir();
	return 0;
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_no_store),
		cmocka_unit_test(test_nobody_there),
		cmocka_unit_test(test_breach),
	};
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, setup, teardown);
}
