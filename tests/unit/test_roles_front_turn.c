/* Connections that a relay has turned (RFC 2645), and its answers to ATRN: what a front makes of
 * the frames. */
#include "roles_kit.h"

#include "policy/shared.h"
#include "roles/front/front.h"

#include <fcntl.h>
#include <sys/mman.h>

struct world {
	struct kit front;
	int relay, tally;
};

static void
begin(struct world *w)
{
	static const char *const sets[] = { "lab=yes", "hostname=mail.example.com", NULL };
	struct conf *c = kit_conf(sets);
	struct buf body = BUF_INIT(16);
	conf_listener_add(c, "127.0.0.1", 10025, "smtp");
	kit_start(&w->front, front_main, c, ROLE_FRONT, 0);
	w->tally = memfd_create("tally", MFD_CLOEXEC);
	assert_int_equal(ftruncate(w->tally, (off_t)policy_shared_size()), 0);
	msg_u16_put(&body, 0);
	assert_int_equal(chan_sync_send(w->front.sock, IPC_TALLY, 0, buf_str(&body), w->tally), 0);
	w->relay = kit_peer(&w->front, ROLE_RELAY, 0);
	conf_free(c);
	buf_done(&body);
}

static void
end(struct world *w)
{
	assert_int_equal(kit_stop(&w->front), 0);
	close(w->relay);
	close(w->tally);
}

static struct str
a_guest(struct buf *b, uint16_t listener, const char *ip)
{
	const struct msg_guest m = {
		.listener = listener, .ip = str_of(ip), .domains = STR("customer.example")
	};
	buf_reset(b);
	msg_guest_put(b, &m);
	return buf_str(b);
}

/* A new connection, handed in: our end of it. */
static int
hand_in(struct world *w, struct str body)
{
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(chan_sync_send(w->relay, IPC_TURN_GUEST, 1, body, pair[1]), 0);
	close(pair[1]);
	return pair[0];
}

/* The first octets that it says; "" when it closes. */
static const char *
hears(int fd)
{
	static char text[512];
	assert_true(kit_readable(fd, KIT_PATIENCE_MS));
	ssize_t n = recv(fd, text, sizeof(text) - 1, 0);
	text[n > 0 ? n : 0] = '\0';
	return text;
}

static void
test_guests(void **state)
{
	struct world w;
	struct buf b = BUF_INIT(4096);
	begin(&w);
	int gone = hand_in(&w, a_guest(&b, 1, "192.0.2.1")); /* a reload has taken its listener */
	int fd = hand_in(&w, a_guest(&b, 0, "2001:db8::1"));
	assert_string_equal(hears(gone), "");
	assert_true(str_starts(str_of(hears(fd)), STR("220 mail.example.com")));
	assert_int_equal(send(fd, "QUIT\r\n", 6, 0), 6);
	assert_true(str_starts(str_of(hears(fd)), STR("221 ")));
	assert_string_equal(hears(fd), "");
	close(fd);
	close(gone);
	buf_done(&b);
	end(&w);
}

/* Answers to nobody's question are late; what breaks the form costs the relay its channel. */
static void
test_breach(void **state)
{
	struct world w;
	struct buf b = BUF_INIT(4096);
	begin(&w);
	struct str whole = a_guest(&b, 0, "192.0.2.1");
	const struct {
		uint16_t type;
		bool fd, taken;
		struct str body;
	} rows[] = {
		{ IPC_TURN, true, true, STR("\0") },
		{ IPC_TURN_NO, false, true, STR("\1") },
		{ IPC_TURN, true, false, STR("\3") },
		{ IPC_TURN, true, false, STR_NULL },
		{ IPC_TURN_NO, false, false, STR("\3") },
		{ IPC_TURN_GUEST, true, false, STR("\0\0\0\0\0\3abc\0\0\0\0\0\0\0\0") },
		{ IPC_TURN_GUEST, true, false, STR("\377\377\0\0\0\0\0\0\0\0\0\0\0\0") },
		{ IPC_TURN_ASK, false, false, whole },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows) + whole.len; i++) {
		bool listed = i < ARRAY_LEN(rows), taken = listed && rows[i].taken;
		bool with_fd = !listed || rows[i].fd;
		struct str body = listed ? rows[i].body : str_first(whole, i - ARRAY_LEN(rows));
		int fd = with_fd ? open("/dev/null", O_RDWR | O_CLOEXEC) : -1;
		int relay = kit_peer(&w.front, ROLE_RELAY, 1);
		assert_int_equal(chan_sync_send(relay, listed ? rows[i].type : IPC_TURN_GUEST, 7,
				     body, fd),
		    0);
		if (taken)
			assert_false(kit_readable(relay, 200));
		else if (!kit_closed(relay))
			fail_msg("row %zu was taken", i);
		close(relay);
		if (fd >= 0)
			close(fd);
	}
	int fd = hand_in(&w, whole); /* by the relay beside */
	assert_true(str_starts(str_of(hears(fd)), STR("220 ")));
	close(fd);
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
		cmocka_unit_test(test_guests),
		cmocka_unit_test(test_breach),
	};
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, setup, teardown);
}
