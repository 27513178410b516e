/* What fetch wants to have kept: what comes back on its next channel, however often it was written.
 */
#include "roles_kit.h"

#include "roles/store/store_role.h"

#define MOST 20000 /* domains that are kept (fetch_link.c) */

static void
keep(int fd, const char *domain, const char *value)
{
	struct msg_keep m = { .key = str_of(domain), .value = str_of(value) };
	struct buf b = BUF_INIT(1024);
	msg_keep_put(&b, &m);
	assert_int_equal(chan_sync_send(fd, IPC_KEEP, 0, buf_str(&b), -1), 0);
	buf_done(&b);
}

/* How many are told on fd; "domain=value " of the first few in *first. */
static size_t
told(int fd, struct buf *first)
{
	struct buf store = BUF_INIT(IPC_BODY_MAX + 64);
	struct ipc_frame f;
	struct msg_keep m;
	size_t n = 0;
	buf_reset(first);
	for (;; n++) {
		assert_int_equal(kit_recv(fd, &f, &store), 0);
		assert_int_equal(f.type, IPC_KEPT);
		assert_true(msg_keep_get(f.body, &m));
		if (m.key.len == 0)
			break;
		if (n < 3)
			buf_putf(first, STR_FMT "=" STR_FMT " ", STR_ARG(m.key), STR_ARG(m.value));
	}
	buf_done(&store);
	return n;
}

/* All that was sent on fd is done, and durable; another channel takes its place. */
static int
again(struct kit *k, int fd, int ctl)
{
	struct buf out = BUF_INIT(1u << 16);
	static char name[] = "a0.example";
	assert_int_equal(chan_sync_send(fd, IPC_KEEP, 0, STR("nonsense"), -1), 0);
	assert_true(kit_closed(fd));
	close(fd);
	name[1]++;
	kit_send_ask(ctl, (const char *const[]){ "domain.add", name, NULL });
	assert_int_equal(kit_answer(ctl, &out), CTL_OK);
	buf_done(&out);
	return kit_peer(k, ROLE_FETCH, 0);
}

static void
test_kept(void **state)
{
	struct conf *c = kit_conf(NULL);
	struct buf first = BUF_INIT(1u << 16);
	struct kit store;
	char name[32], value[32];
	kit_start(&store, store_main, c, ROLE_STORE, 0);
	conf_free(c);
	int ctl = kit_ctl(&store), fd = kit_peer(&store, ROLE_FETCH, 0);
	assert_int_equal(told(fd, &first), 0);
	/* one, that is fetched again and again */
	for (int i = 0; i <= MOST; i++) {
		snprintf(value, sizeof(value), "%d", i);
		keep(fd, "often.example", value);
	}
	keep(fd, "late.example", "x");
	fd = again(&store, fd, ctl);
	assert_int_equal(told(fd, &first), 2);
	assert_string_equal(buf_cstr(&first), "late.example=x often.example=20000 ");
	/* as many as there may be; what goes makes room */
	for (int i = 0; i < MOST; i++) {
		snprintf(name, sizeof(name), "d%05d.example", i);
		keep(fd, name, "x");
	}
	keep(fd, "late.example", "y");
	keep(fd, "d00001.example", "");
	keep(fd, "d00002.example", "");
	keep(fd, "last.example", "x");
	fd = again(&store, fd, ctl);
	assert_int_equal(told(fd, &first), MOST - 1);
	assert_string_equal(buf_cstr(&first),
	    "d00000.example=x d00003.example=x d00004.example=x ");
	close(fd);
	close(ctl);
	assert_int_equal(kit_stop(&store), 0);
	buf_done(&first);
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
		cmocka_unit_test_setup_teardown(test_kept, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
