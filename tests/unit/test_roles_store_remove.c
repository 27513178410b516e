/* store role: a user is removed while letters come for him. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "roles_store_kit.h"

#include <sys/wait.h>

/* The status of the next answer; those that are refused overtake the others. */
static uint8_t
next_status(int fd)
{
	struct buf store = BUF_INIT(IPC_BODY_MAX + 64);
	struct ipc_frame f;
	uint8_t status = STATUS_NONE;
	do
		check(kit_recv(fd, &f, &store) == 0);
	while (f.type == IPC_STORE_STATE || (f.type == IPC_DIRECTORY && close(f.fd) == 0));
	check(f.type == IPC_ACCEPTED && msg_u8_get(f.body, ACCEPT_COUNT, &status));
	buf_done(&store);
	return status;
}

/* In a process of its own: letters for alice, until they are refused. There are always some under
 * way. */
static void
send_until_refused(int fd, uint64_t account)
{
	enum { FIRST = 1, AHEAD = 16 };
	const struct to to[] = { { account, "alice@example.com" } };
	uint64_t sent = FIRST, heard = FIRST;
	bool refused = false;
	while (!refused || heard < sent) {
		while (!refused && sent < heard + AHEAD) {
			send_body(fd, sent, STR(LETTER));
			send_accept(fd, sent++, sizeof(LETTER) - 1, 0, to, 1);
		}
		heard++;
		refused = next_status(fd) != ACCEPT_OK || refused;
	}
	_exit(heard > FIRST + AHEAD ? 0 : 1);
}

/* Records of his INBOX. */
static bool
count_one(void *arg, struct str key, struct str value)
{
	++*(size_t *)arg;
	return true;
}

static size_t
records_left(uint64_t account)
{
	const struct store_dom dom = store_dom_mailbox(account, 1);
	struct store_options o = STORE_OPTIONS_DEFAULT;
	struct buf err = BUF_INIT(4096);
	struct store_snap *sn;
	struct store *s;
	size_t n = 0;
	char uri[128];
	snprintf(uri, sizeof(uri), "emb:%s/store", kit_dir);
	o.map_bytes = 1u << 30;
	assert_int_equal(store_open(&s, uri, &o, &err), 0);
	assert_int_equal(store_snap_open(s, &dom, &sn, NULL), 0);
	assert_int_equal(store_scan(sn, STR_NULL, STR_NULL, 0, false, count_one, &n), 0);
	store_snap_close(sn);
	store_close(s);
	buf_done(&err);
	return n;
}

/* What was taken goes with the rest, and nothing is taken behind that. */
static void
test_letters_meanwhile(void **state)
{
	struct town t;
	int status = 1;
	town_open(&t, NULL);
	town_people(&t);
	pid_t pid = fork();
	if (pid == 0)
		send_until_refused(t.front, t.alice);
	assert_true(pid > 0);
	while (messages_of(&t, "alice@example.com") < 3)
		usleep(2000);
	assert_int_equal(KIT_ASK(&t.store, &t.out, "user.remove", "alice@example.com"), CTL_OK);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	town_close(&t);
	assert_int_equal(records_left(t.alice), 0);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		ROW(test_letters_meanwhile),
	};
	log_init("test", STDERR_FILENO, LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
