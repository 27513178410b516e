/* backup.begin, .hold and .end: who may hold the store's files still, and for how long. */
#include "roles_kit.h"

#include "roles/store/store_role.h"

static int
ask(int fd, struct buf *out, const char *op)
{
	buf_reset(out);
	kit_send_ask(fd, (const char *const[]){ op, NULL });
	return kit_answer(fd, out);
}

static void
test_life_of_a_pin(void **state)
{
	enum { MOST = 4 };
	struct conf *c = kit_conf(NULL);
	struct buf out = BUF_INIT(1u << 20);
	struct kit store;
	int fd[MOST], more;
	kit_start(&store, store_main, c, ROLE_STORE, 0);
	conf_free(c);
	more = kit_ctl(&store);
	assert_int_equal(ask(more, &out, "backup.hold"), CTL_NOT_FOUND);
	assert_int_equal(ask(more, &out, "backup.end"), CTL_OK);
	for (size_t i = 0; i < MOST; i++) {
		fd[i] = kit_ctl(&store);
		assert_int_equal(ask(fd[i], &out, "backup.begin"), CTL_OK);
		struct str row = buf_str(&out), id = str_cut(&row, '|');
		assert_int_equal(id.len, 32);
		assert_true(row.len > 1);
	}
	assert_int_equal(ask(more, &out, "backup.begin"), CTL_REFUSED);
	assert_int_equal(ask(more, &out, "backup.hold"), CTL_NOT_FOUND);
	assert_int_equal(ask(fd[0], &out, "backup.begin"), CTL_EXISTS);
	assert_int_equal(ask(fd[0], &out, "backup.hold"), CTL_OK);
	assert_true(str_eq(buf_str(&out), STR("120\n")));
	/* What is ended is free at once; whoever goes without a word is noticed soon. */
	assert_int_equal(ask(fd[0], &out, "backup.end"), CTL_OK);
	assert_int_equal(ask(fd[0], &out, "backup.hold"), CTL_NOT_FOUND);
	assert_int_equal(ask(fd[0], &out, "backup.begin"), CTL_OK);
	close(fd[1]);
	while (ask(more, &out, "backup.begin") != CTL_OK)
		usleep(20000); /* alarm() ends this test when it never comes */
	assert_int_equal(ask(more, &out, "backup.hold"), CTL_OK);
	/* The server does not wait for them when it stops. */
	assert_int_equal(kit_stop(&store), 0);
	close(fd[0]);
	close(fd[2]);
	close(fd[3]);
	close(more);
	buf_done(&out);
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
		cmocka_unit_test_setup_teardown(test_life_of_a_pin, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
