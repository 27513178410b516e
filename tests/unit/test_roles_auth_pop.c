/* auth: APOP (RFC 1939 7), and how soon after a login over POP3 the next may come. */
#include "auth_kit.h"

#include "crypt/crypt.h"
#include "roles/auth/recent.h"
#include "sasl/sasl.h"

/* Listeners: 0 POP3 with APOP; 1 without; 2 with a delay; 3 with APOP in clear. */
static struct conf *
conf_of(void)
{
	static const struct str sets[] = { STR("10001:pop3_apop=yes"),
		STR("10003:pop3_login_delay=600"), STR("10004:pop3_apop=yes"),
		STR("10004:auth_cleartext=allow") };
	struct buf err = BUF_INIT(4096);
	struct conf *c = kit_conf(NULL);
	free(c->hostname);
	c->hostname = xstrdup("mx.example.com");
	for (unsigned i = 0; i < 4; i++)
		conf_listener_add(c, "127.0.0.1", 10001 + i, "pop3");
	for (size_t i = 0; i < ARRAY_LEN(sets); i++)
		if (!conf_set(c, sets[i], &err))
			fail_msg("%s", buf_cstr(&err));
	buf_done(&err);
	return c;
}

struct login {
	const char *service, *mech;
	struct str initial;
	uint16_t listener;
	bool clear;
};

static enum sasl_verdict
ask(int fd, const struct login *l)
{
	static uint64_t id;
	struct buf b = BUF_INIT(64u << 10), store = BUF_INIT(IPC_BODY_MAX + 64);
	struct ipc_frame f;
	struct msg_sasl got;
	const struct msg_sasl_start m = { .service = str_of(l->service),
		.mech = str_of(l->mech),
		.peer = STR("192.0.2.1"),
		.listener = l->listener,
		.tls = !l->clear,
		.has_initial = l->initial.p != NULL,
		.initial = l->initial };
	msg_sasl_start_put(&b, &m);
	assert_int_equal(chan_sync_send(fd, IPC_SASL_START, ++id, buf_str(&b), -1), 0);
	assert_int_equal(kit_recv(fd, &f, &store), 0);
	assert_int_equal(f.type, IPC_SASL);
	assert_int_equal(f.id, id);
	assert_true(msg_sasl_get(f.body, &got));
	enum sasl_verdict v = (enum sasl_verdict)got.verdict;
	if (v == SASL_V_OK)
		assert_true(str_eq(got.account, STR("ann@example.com")));
	buf_done(&store);
	buf_done(&b);
	return v;
}

static int
begin(struct kit *k, const struct conf *c)
{
	struct buf out = BUF_INIT(4096), store = BUF_INIT(IPC_BODY_MAX + 64);
	crypt_init();
	start(k, c);
	assert_int_equal(KIT_ASK(k, &out, "auth.set", "ann@example.com", "tanstaaf", "plain"),
	    CTL_OK);
	assert_int_equal(KIT_ASK(k, &out, "auth.set", "bob@example.com", "tanstaaf"), CTL_OK);
	int fd = kit_peer(k, ROLE_FRONT, 0);
	kit_expect(fd, IPC_CERTS, &store);
	kit_expect(fd, IPC_TICKETS, &store);
	buf_done(&store);
	buf_done(&out);
	return fd;
}

/* RFC 1939 7 */
#define STAMP "<1896.697170952@dbc.mtview.ca.us>"
#define DIGEST "c4c9334bac560ecc979e58001b3e22fb"
#define WRONG "c4c9334bac560ecc979e58001b3e22fa"

static const struct {
	struct login login;
	enum sasl_verdict verdict;
} apops[] = {
	{ { "pop", "APOP", STR(STAMP "\0ann@example.com\0" DIGEST), 0, false }, SASL_V_OK },
	{ { "pop", "APOP", STR(STAMP "\0ANN@example.com\0" DIGEST), 0, false }, SASL_V_OK },
	{ { "pop", "APOP", STR(STAMP "\0ann\0" DIGEST), 3, true }, SASL_V_OK },
	{ { "pop", "APOP", STR(STAMP "\0ann@example.com\0" WRONG), 0, false }, SASL_V_FAIL },
	{ { "pop", "APOP", STR("<2@x>\0ann@example.com\0" DIGEST), 0, false }, SASL_V_FAIL },
	{ { "pop", "APOP", STR(STAMP "\0nobody@example.com\0" DIGEST), 0, false }, SASL_V_FAIL },
	/* Keeps no password: as CRAM-MD5 says it, right or wrong. */
	{ { "pop", "APOP", STR(STAMP "\0bob@example.com\0" DIGEST), 0, false }, SASL_V_WEAK },
	{ { "pop", "APOP", STR(STAMP "\0bob@example.com\0" WRONG), 0, false }, SASL_V_WEAK },
	{ { "pop", "APOP", STR(STAMP "\0ann@example.com\0" DIGEST), 1, false }, SASL_V_BADMECH },
	{ { "pop", "APOP", STR(STAMP "\0ann@example.com\0" DIGEST), 0, true }, SASL_V_BADMECH },
	{ { "smtp", "APOP", STR(STAMP "\0ann@example.com\0" DIGEST), 0, false }, SASL_V_BADMECH },
	{ { "pop", "CRAM-MD5", STR_NULL, 0, false }, SASL_V_BADMECH },
	{ { "pop", "APOP", STR("\0ann@example.com\0" DIGEST), 0, false }, SASL_V_MALFORMED },
	{ { "pop", "APOP", STR(STAMP "\0\0" DIGEST), 0, false }, SASL_V_MALFORMED },
	{ { "pop", "APOP", STR(STAMP "\0ann@example.com\0"), 0, false }, SASL_V_MALFORMED },
	{ { "pop", "APOP", STR(STAMP "\0ann@example.com\0" DIGEST "0"), 0, false },
	    SASL_V_MALFORMED },
	{ { "pop", "APOP", STR(STAMP "\0ann@example.com\0" DIGEST "\0"), 0, false },
	    SASL_V_MALFORMED },
	{ { "pop", "APOP", STR(STAMP "\0ann@example.com"), 0, false }, SASL_V_MALFORMED },
	{ { "pop", "APOP", STR(STAMP), 0, false }, SASL_V_MALFORMED },
	{ { "pop", "APOP", STR(""), 0, false }, SASL_V_MALFORMED },
};

static void
test_apop(void **state)
{
	struct kit k;
	struct conf *c = conf_of();
	int fd = begin(&k, c);
	for (size_t i = 0; i < ARRAY_LEN(apops); i++) {
		enum sasl_verdict v = ask(fd, &apops[i].login);
		if (v != apops[i].verdict)
			fail_msg("row %zu: %d", i, v);
	}
	close(fd);
	assert_int_equal(kit_stop(&k), 0);
	conf_free(c);
}

#define RIGHT STR("\0ann\0tanstaaf")

static const struct {
	struct login login;
	enum sasl_verdict verdict;
} delays[] = {
	{ { "pop", "PLAIN", STR("\0ann\0wrong"), 2, false }, SASL_V_FAIL },
	{ { "pop", "PLAIN", RIGHT, 2, false }, SASL_V_OK },
	{ { "pop", "PLAIN", RIGHT, 2, false }, SASL_V_TOO_SOON },
	{ { "pop", "PLAIN", STR("\0ANN@Example.Com\0tanstaaf"), 2, false }, SASL_V_TOO_SOON },
	{ { "pop", "PLAIN", STR("\0ann\0wrong"), 2, false },
	    SASL_V_FAIL },                                  /* told to nobody else */
	{ { "pop", "PLAIN", RIGHT, 1, false }, SASL_V_OK }, /* no delay there */
	{ { "imap", "PLAIN", RIGHT, 2, false }, SASL_V_OK },
	{ { "pop", "PLAIN", RIGHT, 2, false }, SASL_V_TOO_SOON },
};

static void
test_delay(void **state)
{
	struct kit k;
	struct conf *c = conf_of();
	int fd = begin(&k, c);
	for (size_t i = 0; i < ARRAY_LEN(delays); i++) {
		enum sasl_verdict v = ask(fd, &delays[i].login);
		if (v != delays[i].verdict)
			fail_msg("row %zu: %d", i, v);
	}
	close(fd);
	assert_int_equal(kit_stop(&k), 0);
	conf_free(c);
}

static void
test_recent(void **state)
{
	static const unsigned char key[16] = "0123456789abcde";
	struct recent *r = recent_new(key);
	char name[32];
	assert_true(recent_login(r, STR("a@x"), 1000, 0));
	assert_false(recent_login(r, STR("a@x"), 1000, 999));
	assert_true(recent_login(r, STR("b@x"), 1000, 999));
	assert_true(recent_login(r, STR("a@x"), 1000, 1000));
	assert_false(recent_login(r, STR("a@x"), 1000, 1999)); /* a refused one did not count */
	assert_true(recent_login(r, STR("a@x"), 0, 1999));
	assert_false(recent_login(r, STR("a@x"), 1000, 2998));
	/* More than there are places for: the oldest are forgotten, the newest are known. */
	for (unsigned i = 0; i < 4 * RECENT_SLOTS; i++) {
		snprintf(name, sizeof(name), "u%u@x", i);
		assert_true(recent_login(r, str_of(name), 1000000, 10000 + i));
		assert_false(recent_login(r, str_of(name), 1000000, 10001 + i));
	}
	assert_true(recent_login(r, STR("u0@x"), 1000000, 80000));
	assert_null(recent_free(r));
	assert_null(recent_free(NULL));
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
		cmocka_unit_test_setup_teardown(test_apop, setup, teardown),
		cmocka_unit_test_setup_teardown(test_delay, setup, teardown),
		cmocka_unit_test(test_recent),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
