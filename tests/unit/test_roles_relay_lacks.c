/* relay: what fails here, and not at the other server, is not held against that. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "roles_relay_kit.h"

#include <sys/resource.h>

#define PLAIN "S 220 mx ESMTP\nC EHLO mail.test\nS 250 mx\n"
#define LETTER "C MAIL\nS 250 ok\nC RCPT\nS 250 ok\nC DATA\nS 354 go\nD\nS 250 taken\n"
#define FILES 48
#define MANY 60

static const char *const sets[] = { "hostname=mail.test", "dns=", "relay.reply_seconds=3",
	"relay.connect_seconds=3", NULL };

static int
few_files(void)
{
	const struct rlimit few = { FILES, FILES };
	if (setrlimit(RLIMIT_NOFILE, &few) < 0)
		return 98;
	return relay_main();
}

static void
expect_not_tried(const struct msg_result *m)
{
	struct msg_fate f = relay_kit_fate(m, 0);
	if (f.fate != JOB_NOT_TRIED || m->dead || m->trouble != JOB_TROUBLE_NONE)
		fail_msg("fate %d dead %d trouble %d: " STR_FMT "\n" STR_FMT, f.fate, m->dead,
		    m->trouble, STR_ARG(f.text), STR_ARG(m->history));
}

/* At 127.0.0.1; connections are taken by the kernel, and nobody says anything. */
static int
silent_server(char target[64])
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 2 * MANY), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	snprintf(target, 64, "smtp:127.0.0.1:%u", ntohs(a.sin_port));
	return fd;
}

/* More letters than there are descriptors: those without one are not tried, and no server is to
 * blame. */
static void
test_no_descriptors(void **state)
{
	struct relay_kit r;
	char target[64];
	int server = silent_server(target), not_tried = 0;
	struct relay_job job = { .target = target, .rcpts = { "b@example.net" }, .window = MANY };
	relay_kit_start_as(&r, few_files, sets);
	relay_kit_hello(&r, 0);
	for (uint64_t i = 1; i <= MANY; i++)
		relay_kit_job(&r, i, &job);
	for (uint64_t i = 1; i <= MANY; i++) {
		struct ipc_frame f;
		struct msg_result m;
		assert_int_equal(relay_kit_next(&r, &f), IPC_JOB_RESULT);
		assert_true(msg_result_get(f.body, &m));
		if (m.trouble == JOB_TROUBLE_CLOSED)
			continue; /* it had one, and waited in vain for a word */
		expect_not_tried(&m);
		not_tried++;
	}
	assert_in_range(not_tried, MANY - FILES, MANY - FILES / 2);
	relay_kit_stop(&r);
	close(server);
}

/* Connections that rest give way to those that are needed. */
static void
test_idle_gives_way(void **state)
{
	struct puppet p[FILES];
	struct relay_kit r;
	relay_kit_start_as(&r, few_files, sets);
	relay_kit_hello(&r, 0);
	for (size_t i = 0; i < FILES; i++) {
		char target[64];
		struct relay_job job = { .target = target, .rcpts = { "b@example.net" } };
		struct msg_result m;
		p[i] = puppet_start(PLAIN LETTER);
		snprintf(target, sizeof(target), "smtp:127.0.0.1:%u", p[i].port);
		relay_kit_job(&r, i + 1, &job);
		relay_kit_result(&r, i + 1, &m);
		assert_int_equal(relay_kit_fate(&m, 0).fate, JOB_SENT);
	}
	relay_kit_stop(&r);
	for (size_t i = 0; i < FILES; i++)
		assert_int_equal(puppet_end(&p[i], NULL), 0);
}

/* --- a race without descriptors --- */

/* At 127.0.0.1: its queue is full, and nobody takes anything out of it. */
static void
full_server(uint16_t port, int fds[5])
{
	struct sockaddr_in a = { .sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	for (size_t i = 0; i < 5; i++) {
		fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		if (i > 0) {
			(void)connect(fds[i], (struct sockaddr *)&a, sizeof(a));
			continue;
		}
		assert_int_equal(bind(fds[0], (struct sockaddr *)&a, sizeof(a)), 0);
		assert_int_equal(listen(fds[0], 0), 0);
	}
}

static void
answer_two(struct relay_kit *r)
{
	static const unsigned char two[32] = { [10] = 0xff,
		[11] = 0xff,
		[12] = 127,
		[15] = 1,
		[26] = 0xff,
		[27] = 0xff,
		[28] = 127,
		[31] = 2 };
	struct ipc_frame f;
	struct buf hosts = BUF_INIT(4096), body = BUF_INIT(8192);
	struct msg_mx_host host = { .name = STR("a.example.net"),
		.n_addrs = 2,
		.addrs = str_n((const char *)two, sizeof(two)) };
	assert_int_equal(kit_recv(r->dns, &f, &r->store_in), 0);
	assert_int_equal(f.type, IPC_MX_ASK);
	msg_mx_host_put(&hosts, &host);
	struct msg_mx m = { .verdict = MX_OK, .ttl = 60, .n = 1, .hosts = buf_str(&hosts) };
	msg_mx_put(&body, &m);
	assert_int_equal(chan_sync_send(r->dns, IPC_MX, f.id, buf_str(&body), -1), 0);
	buf_done(&hosts);
	buf_done(&body);
}

/* The first address does not answer, and for the second there is no descriptor: it gets that of the
 * first when patience with it is over. */
static void
test_race_gives_way(void **state)
{
	char target[64], port[32];
	const char *const with[] = { "hostname=mail.test", "dns=127.0.0.1", port, "relay.tls=may",
		"relay.reply_seconds=8", "relay.connect_seconds=2", NULL };
	struct relay_kit r;
	struct ipc_frame f = { 0 };
	struct msg_result m;
	struct relay_job job = { .target = "mx:example.net", .rcpts = { "b@example.net" } };
	struct relay_job other = { .target = target, .rcpts = { "b@example.net" }, .window = MANY };
	struct puppet p = puppet_start_at(2, 0, PLAIN LETTER);
	int full[5], server = silent_server(target);
	full_server(p.port, full);
	snprintf(port, sizeof(port), "relay.port=%u", p.port);
	relay_kit_start_as(&r, few_files, with);
	r.dns = kit_peer(&r.k, ROLE_DNS, 0);
	relay_kit_hello(&r, 0);
	relay_kit_job(&r, 1000, &job);
	answer_two(&r);
	usleep(100000);
	int64_t begun = sys_mono_ms();
	for (uint64_t i = 1; i <= MANY; i++)
		relay_kit_job(&r, i, &other);
	while (f.id != 1000)
		assert_int_equal(relay_kit_next(&r, &f), IPC_JOB_RESULT);
	assert_true(msg_result_get(f.body, &m));
	if (relay_kit_fate(&m, 0).fate != JOB_SENT || sys_mono_ms() - begun > 6000)
		fail_msg("after %d ms:\n" STR_FMT, (int)(sys_mono_ms() - begun),
		    STR_ARG(m.history));
	relay_kit_stop(&r);
	close(r.dns);
	close(server);
	for (size_t i = 0; i < 5; i++)
		close(full[i]);
	assert_int_equal(puppet_end(&p, NULL), 0);
}

/* --- auth --- */

static void
start_with_route(struct relay_kit *r, const char *target, const char *key)
{
	char via[96], what[96];
	const char *const with[] = { "hostname=mail.test", "dns=", via, what,
		"route.example.net.tls=may", "route.example.net.auth_cleartext=allow", NULL };
	snprintf(via, sizeof(via), "route.example.net=%s", target);
	snprintf(what, sizeof(what), "route.example.net.%s=us.example", key);
	relay_kit_start(r, with);
	relay_kit_hello(r, 0);
}

/* auth is away: without it no server is troubled, neither for a login nor for a certificate. */
static void
test_no_auth(void **state)
{
	static const char *const keys[] = { "login", "certificate" };
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		struct relay_kit r;
		struct msg_result m;
		char target[64];
		int server = silent_server(target);
		struct relay_job job = { .target = target, .rcpts = { "b@example.net" } };
		start_with_route(&r, target, keys[i]);
		relay_kit_job(&r, 1, &job);
		relay_kit_result(&r, 1, &m);
		expect_not_tried(&m);
		assert_int_equal(accept(server, NULL, NULL), -1);
		relay_kit_stop(&r);
		close(server);
	}
}

static void
say_login(int auth, uint64_t id, const struct msg_login *m)
{
	struct buf b = BUF_INIT(1024);
	msg_login_put(&b, m);
	assert_int_equal(chan_sync_send(auth, IPC_LOGIN, id, buf_str(&b), -1), 0);
	buf_done(&b);
}

/* auth begins anew between two steps of a login: the job goes back at once. */
static void
test_auth_anew(void **state)
{
	struct relay_kit r;
	struct msg_result m;
	struct buf in = BUF_INIT(IPC_BODY_MAX + 64);
	char target[64];
	struct puppet p = puppet_start("S 220 mx\nC EHLO\nS 250-mx\\n250 AUTH LOGIN\n"
				       "C AUTH LOGIN\nP 1500\nS 334 VXNlcm5hbWU6\n");
	struct relay_job job = { .target = target, .rcpts = { "b@example.net" } };
	snprintf(target, sizeof(target), "smtp:127.0.0.1:%u", p.port);
	start_with_route(&r, target, "login");
	int auth = kit_peer(&r.k, ROLE_AUTH, 0);
	/* Answered behind the peer: from here on it is there. */
	assert_int_equal(chan_sync_send(r.k.sock, IPC_STATUS_ASK, 1, STR_NULL, -1), 0);
	kit_expect(r.k.sock, IPC_STATUS, &in);
	relay_kit_job(&r, 1, &job);
	relay_kit_spool(&r);
	uint64_t id = kit_expect(auth, IPC_LOGIN_START, &in);
	say_login(auth, id, &(struct msg_login){ .verdict = LOGIN_SAY, .mech = STR("LOGIN") });
	usleep(500000);
	close(auth);
	auth = kit_peer(&r.k, ROLE_AUTH, 0);
	relay_kit_result(&r, 1, &m);
	expect_not_tried(&m);
	relay_kit_stop(&r);
	close(auth);
	assert_int_equal(puppet_end(&p, NULL), 0);
	buf_done(&in);
}

static void
reload(struct relay_kit *r, const char *const *with)
{
	struct buf in = BUF_INIT(IPC_BODY_MAX + 64);
	struct conf *c = kit_conf(with);
	kit_send_conf(r->k.sock, c, ROLE_RELAY, 0);
	conf_free(c);
	assert_int_equal(chan_sync_send(r->k.sock, IPC_STATUS_ASK, 1, STR_NULL, -1), 0);
	kit_expect(r->k.sock, IPC_STATUS, &in);
	buf_done(&in);
}

/* A reload gives the route another server and another login: the one at hand is not told it, and
 * what waits for it goes back, too. */
static void
test_route_moves(void **state)
{
	static const char *const others[] = { "route.*=smtp:127.0.0.9:25", "route.*=mx" };
	for (size_t i = 0; i < 2 * ARRAY_LEN(others); i++) {
		struct relay_kit r;
		struct msg_result m;
		char target[64], via[96];
		bool fresh = i >= ARRAY_LEN(others); /* no word of it has been said */
		struct puppet p = puppet_start(fresh ? "P 1500\nS 220 mx\nC EHLO\nS 250-mx\\n250 "
						       "AUTH PLAIN\n"
						     : "S 220 mx\nC EHLO\nP 1500\nS 250-mx\\n250 "
						       "AUTH PLAIN\n");
		struct relay_job job = { .target = target, .rcpts = { "b@example.net" } };
		const char *with[] = { "hostname=mail.test", "dns=", via,
			"route.*.login=us.example", "route.*.tls=may",
			"route.*.auth_cleartext=allow", NULL };
		snprintf(target, sizeof(target), "smtp:127.0.0.1:%u", p.port);
		snprintf(via, sizeof(via), "route.*=%s", target);
		relay_kit_start(&r, with);
		relay_kit_hello(&r, 0);
		int auth = kit_peer(&r.k, ROLE_AUTH, 0);
		reload(&r, with);
		relay_kit_job(&r, 1, &job);
		relay_kit_job(&r, 2, &job); /* waits behind it */
		usleep(500000);
		with[2] = others[i % ARRAY_LEN(others)];
		reload(&r, with);
		for (uint64_t lease = 2; lease >= 1; lease--) {
			relay_kit_result(&r, lease, &m);
			expect_not_tried(&m);
			struct str why = lease == 2
			                     ? STR("# the route * has changed meanwhile\n")
			                     : STR("# the configuration has changed meanwhile\n");
			if (str_find_str(m.history, why) == m.history.len)
				fail_msg(STR_FMT, STR_ARG(m.history));
		}
		assert_false(kit_readable(auth, 0));
		relay_kit_stop(&r);
		close(auth);
		assert_int_equal(puppet_end(&p, NULL), 0);
	}
}

/* gssapi-out is away: where the route has other mechanisms, too, what the server offers decides. */
static void
test_no_gssapi(void **state)
{
	static const struct {
		const char *mechs, *script; /* NULL: it is not even connected to */
		bool asks;                  /* auth is asked */
	} rows[] = {
		{ "GSSAPI", NULL, false },
		{ "GSSAPI, PLAIN", "S 220 mx\nC EHLO\nS 250-mx\\n250 AUTH GSSAPI PLAIN\n", false },
		{ "GSSAPI, PLAIN", "S 220 mx\nC EHLO\nS 250-mx\\n250 AUTH PLAIN\n", true },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct relay_kit r;
		struct msg_result m;
		struct buf in = BUF_INIT(IPC_BODY_MAX + 64);
		struct puppet p;
		char target[64], via[96], mechs[96];
		const char *const with[] = { "hostname=mail.test", "dns=", via, mechs,
			"route.example.net.login=us.example", "route.example.net.tls=may",
			"route.example.net.auth_cleartext=allow",
			"gssapi.client_keytab=/etc/krb5.keytab", NULL };
		struct relay_job job = { .target = target, .rcpts = { "b@example.net" } };
		int server = silent_server(target);
		if (rows[i].script) {
			p = puppet_start(rows[i].script);
			snprintf(target, sizeof(target), "smtp:127.0.0.1:%u", p.port);
		}
		snprintf(via, sizeof(via), "route.example.net=%s", target);
		snprintf(mechs, sizeof(mechs), "route.example.net.mechs=%s", rows[i].mechs);
		relay_kit_start(&r, with);
		relay_kit_hello(&r, 0);
		int auth = kit_peer(&r.k, ROLE_AUTH, 0);
		assert_int_equal(chan_sync_send(r.k.sock, IPC_STATUS_ASK, 1, STR_NULL, -1), 0);
		kit_expect(r.k.sock, IPC_STATUS, &in);
		relay_kit_job(&r, 1, &job);
		if (rows[i].asks) {
			uint64_t id = kit_expect(auth, IPC_LOGIN_START, &in);
			say_login(auth, id,
			    &(struct msg_login){ .verdict = LOGIN_NONE, .why = STR("no") });
		}
		relay_kit_result(&r, 1, &m);
		if (rows[i].asks)
			assert_int_equal(m.trouble, JOB_TROUBLE_LOGIN);
		else
			expect_not_tried(&m);
		assert_int_equal(accept(server, NULL, NULL), -1);
		relay_kit_stop(&r);
		close(auth);
		close(server);
		if (rows[i].script)
			assert_int_equal(puppet_end(&p, NULL), 0);
		buf_done(&in);
	}
}

/* --- readers --- */

/* Octets that do not come in the middle of a letter. */
static void
test_no_octets(void **state)
{
	enum { SIZE = 2 * SPOOL_CHUNK };
	static char letter[SIZE];
	struct relay_kit r;
	struct msg_result m;
	struct ipc_frame f;
	char target[64];
	struct puppet p =
	    puppet_start(PLAIN "C MAIL\nS 250 ok\nC RCPT\nS 250 ok\nC DATA\nS 354 go\n");
	struct relay_job job = { .target = target, .rcpts = { "b@example.net" } };
	snprintf(target, sizeof(target), "smtp:127.0.0.1:%u", p.port);
	memset(letter, '\n', sizeof(letter));
	relay_kit_start(&r, sets);
	r.letter = str_n(letter, sizeof(letter));
	relay_kit_hello(&r, 0);
	relay_kit_job(&r, 1, &job);
	for (unsigned i = 0; i < 3; i++) /* twice to be looked at, once to be sent */
		relay_kit_spool(&r);
	while (kit_recv(r.store, &f, &r.store_in) == 0 && f.type == IPC_JOB_STAGE)
		;
	assert_int_equal(f.type, IPC_JOB_RESULT);
	assert_true(msg_result_get(f.body, &m));
	struct msg_fate fate = relay_kit_fate(&m, 0);
	if (fate.fate != JOB_LATER || m.dead || m.trouble != JOB_TROUBLE_NONE)
		fail_msg("fate %d dead %d trouble %d: " STR_FMT, fate.fate, m.dead, m.trouble,
		    STR_ARG(fate.text));
	relay_kit_stop(&r);
	assert_int_equal(puppet_end(&p, NULL), 0);
}

/* --- room --- */

/* Large letters for servers that know no 8BITMIME: four are converted at once, and the fifth waits
 * until there is room. */
static void
test_room(void **state)
{
	enum { SIZE = 16 << 20, N = 5 };
	static const char *const patient[] = { "hostname=mail.test",
		"dns=", "relay.reply_seconds=30", NULL };
	static char letter[SIZE];
	struct puppet p[N];
	struct relay_kit r;
	size_t waited = 0;
	memset(letter, 'y', sizeof(letter));
	for (size_t i = 0; i < SIZE; i += 72)
		letter[i] = '\n';
	letter[SIZE - 1] = '\xfc';
	relay_kit_start(&r, patient);
	r.letter = str_n(letter, sizeof(letter));
	relay_kit_hello(&r, 0);
	for (size_t i = 0; i < N; i++) {
		char target[64];
		struct relay_job job = { .target = target, .rcpts = { "b@example.net" } };
		p[i] = puppet_start(PLAIN "C MAIL\nP 12000\nX\n");
		snprintf(target, sizeof(target), "smtp:127.0.0.1:%u", p[i].port);
		relay_kit_job(&r, i + 1, &job);
	}
	for (size_t i = 0; i < N; i++) {
		struct ipc_frame f;
		struct msg_result m;
		assert_int_equal(relay_kit_next(&r, &f), IPC_JOB_RESULT);
		assert_true(msg_result_get(f.body, &m));
		assert_true(str_find_str(m.history, STR("converted for")) < m.history.len);
		waited += str_find_str(m.history, STR("it waits")) < m.history.len;
	}
	assert_int_equal(waited, 1);
	relay_kit_stop(&r);
	for (size_t i = 0; i < N; i++)
		assert_int_equal(puppet_end(&p[i], NULL), 0);
}

/* Until nothing has been asked for during half a second. */
static void
spool_all(struct relay_kit *r)
{
	while (kit_readable(r->reader, 500))
		relay_kit_spool(r);
}

/* One that is too large for what is left waits, and a small one behind it passes. */
static void
test_room_passes(void **state)
{
	enum { SMALL = 16 << 20, LARGE = 60 << 20, N = 3 };
	static const char *const patient[] = { "hostname=mail.test",
		"dns=", "relay.reply_seconds=30", NULL };
	static const size_t size[N] = { SMALL, LARGE, SMALL };
	static char letter[LARGE];
	struct puppet p[N];
	struct relay_kit r;
	memset(letter, 'y', sizeof(letter));
	for (size_t i = 0; i < LARGE; i += 72)
		letter[i] = '\n';
	letter[1000] = '\xfc';
	relay_kit_start(&r, patient);
	relay_kit_hello(&r, 0);
	for (size_t i = 0; i < N; i++) {
		char target[64];
		struct relay_job job = { .target = target, .rcpts = { "b@example.net" } };
		r.letter = str_n(letter, size[i]);
		p[i] = puppet_start(i == 1 ? PLAIN "C MAIL\nX\n" : PLAIN "C MAIL\nP 12000\nX\n");
		snprintf(target, sizeof(target), "smtp:127.0.0.1:%u", p[i].port);
		relay_kit_job(&r, i + 1, &job);
		r.letter = str_n(letter, LARGE);
		spool_all(&r);
	}
	for (size_t i = 0; i < N; i++) {
		struct ipc_frame f;
		struct msg_result m;
		assert_int_equal(relay_kit_next(&r, &f), IPC_JOB_RESULT);
		assert_true(msg_result_get(f.body, &m));
		assert_true(str_find_str(m.history, STR("converted for")) < m.history.len);
		bool waited = str_find_str(m.history, STR("it waits")) < m.history.len;
		assert_int_equal(waited, f.id == 2);
	}
	relay_kit_stop(&r);
	for (size_t i = 0; i < N; i++)
		assert_int_equal(puppet_end(&p[i], NULL), 0);
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
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_descriptors),
		cmocka_unit_test(test_idle_gives_way),
		cmocka_unit_test(test_race_gives_way),
		cmocka_unit_test(test_no_auth),
		cmocka_unit_test(test_auth_anew),
		cmocka_unit_test(test_route_moves),
		cmocka_unit_test(test_no_gssapi),
		cmocka_unit_test(test_no_octets),
		cmocka_unit_test(test_room),
		cmocka_unit_test(test_room_passes),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
