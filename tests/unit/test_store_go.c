/* Letters that are gathered until store_go(): written by the caller's thread or by the store's,
 * they are all answered once and lie in one log. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "store_kit.h"

#include <poll.h>

static int
set_up(void **state)
{
	*state = kit_dir();
	return 0;
}

static int
tear_down(void **state)
{
	kit_dir_done(*state);
	return 0;
}

static struct store *
open_gathering(const char *dir)
{
	char *uri = NULL;
	struct store_options o = kit_options();
	o.gather = true;
	check(asprintf(&uri, dir ? "emb:%s" : "mem:", dir) > 0);
	struct store *s = kit_open_with(uri, o);
	assert_non_null(s);
	free(uri);
	return s;
}

static bool
readable(struct store *s, int ms)
{
	struct pollfd p = { .fd = store_fd(s), .events = POLLIN };
	return poll(&p, 1, ms) == 1;
}

static uint64_t
groups(struct store *s)
{
	struct store_stats st;
	store_stats(s, &st);
	return st.groups;
}

static void
hand_in(struct store *s, uint64_t id, size_t n, struct store_res *res)
{
	*res = (struct store_res){ .rc = 1 };
	kit_accept_async(s, (struct kit_letter){ .id = id, .first = 1, .count = 1, .n = n },
	    kit_take, res);
}

/* Whether the caller or the thread writes depends on how fast a sync was: either way the letter
 * is done after store_go(), or store_fd() tells. */
static void
finish(struct store *s, const struct store_res *res)
{
	for (int i = 0; res->rc == 1 && i < 600; i++)
		if (readable(s, 100))
			store_run(s);
	assert_int_equal(res->rc, 0);
}

static void
go_begins_them(void **state)
{
	struct store *s = open_gathering(*state);
	struct store_res res[5];
	uint64_t was = groups(s);
	for (uint64_t i = 0; i < ARRAY_LEN(res); i++)
		hand_in(s, i + 1, 700, &res[i]);
	store_go(s);
	for (size_t i = 0; i < ARRAY_LEN(res); i++)
		finish(s, &res[i]);
	assert_in_range(groups(s), was + 1, was + ARRAY_LEN(res));
	assert_int_equal(kit_letters(s, 1, 700, NULL), ARRAY_LEN(res));
	store_close(s);
}

/* One after another, the small ones from the caller's thread, larger ones and other requests
 * between them from the other: the log is one and whole. */
static void
the_two_take_turns(void **state)
{
	struct store *s = open_gathering(*state);
	struct store_res res;
	uint64_t id = 0;
	for (int round = 0; round < 60; round++) {
		hand_in(s, ++id, 700, &res);
		store_go(s);
		finish(s, &res);
		if (round % 7 == 0) {
			assert_int_equal(kit_put(s, store_dom_account(1), "k", "v").rc, 0);
			hand_in(s, ++id, 700, &res);
			assert_in_range(store_accepted(s, id), 0, 1);
			assert_int_equal(kit_put(s, store_dom_account(1), "k", "w").rc, 0);
			finish(s, &res);
		}
		store_go(s); /* nothing to begin */
	}
	assert_int_equal(kit_letters(s, 1, 700, NULL), id);
	store_close(s);
	s = open_gathering(*state);
	assert_int_equal(kit_letters(s, 1, 700, NULL), id);
	store_close(s);
}

static void
other_requests_take_them_along(void **state)
{
	struct store *s = open_gathering(*state);
	struct store_res letter;
	hand_in(s, 1, 700, &letter);
	assert_int_equal(kit_put(s, store_dom_account(1), "k", "v").rc, 0);
	assert_int_equal(letter.rc, 0);
	store_go(s);
	store_close(s);
}

static void
closing_begins_them(void **state)
{
	struct store_res res;
	struct store *s = open_gathering(*state);
	hand_in(s, 1, 700, &res);
	store_close(s);
	assert_int_equal(res.rc, 0);
	s = open_gathering(*state);
	hand_in(s, 2, 300000, &res); /* in a file of its own */
	store_wait(s);
	assert_int_equal(res.rc, 0);
	assert_int_equal(store_accepted(s, 1), 1);
	assert_int_equal(store_accepted(s, 2), 1);
	store_close(s);
}

static void
memory_does_not_gather(void **state)
{
	struct store *s = open_gathering(NULL);
	struct store_res res;
	hand_in(s, 1, 700, &res);
	store_go(s);
	finish(s, &res);
	store_close(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(go_begins_them, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_two_take_turns, set_up, tear_down),
		cmocka_unit_test_setup_teardown(other_requests_take_them_along, set_up, tear_down),
		cmocka_unit_test_setup_teardown(closing_begins_them, set_up, tear_down),
		cmocka_unit_test(memory_does_not_gather),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
