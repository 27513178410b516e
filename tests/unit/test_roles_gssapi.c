/* gssapi: principals and accounts, what it takes from fronts, and what auth tells it. That tickets
 * work is shown with a key distribution centre, in tests/e2e/test_smtptest.py. */
#include "auth_kit.h"

#include "roles/auth/exchange.h"

#include <sys/stat.h>

static const struct {
	const char *principal, *account; /* NULL: nobody's */
} names[] = {
	{ "alice@EXAMPLE.COM", "alice@example.com" },
	{ "a.b+c@MAIL.EXAMPLE.COM", "a.b+c@mail.example.com" },
	{ "alice@EXAMPLE.com", NULL }, /* another realm may be spelt so */
	{ "alice@example.com", NULL },
	{ "Alice@EXAMPLE.COM", NULL },
	{ "ALICE@EXAMPLE.COM", NULL },
	{ "alice/admin@EXAMPLE.COM", NULL },
	{ "smtp/mail.example.com@EXAMPLE.COM", NULL },
	{ "alice\\@example.org@EXAMPLE.COM", NULL },
	{ "alice@example.org@EXAMPLE.COM", NULL },
	{ "\"alice\"@EXAMPLE.COM", NULL },
	{ "WELLKNOWN/ANONYMOUS@WELLKNOWN:ANONYMOUS", NULL },
	{ "alice", NULL },
	{ "alice@", NULL },
	{ "@EXAMPLE.COM", NULL },
	{ "@", NULL },
	{ "", NULL },
	{ "a b@EXAMPLE.COM", NULL },
	{ "alice@EXAMPLE..COM", NULL },
	{ "alice@[127.0.0.1]\n", NULL },
};

static void
test_names(void **state)
{
	char long_name[2 * PASSWD_NAME_MAX];
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct str in = str_of(names[i].principal);
		char *copy = str_dup(in), got[PASSWD_NAME_MAX];
		bool good = ticket_account(str_n(copy, in.len), got);
		if (good != (names[i].account != NULL) ||
		    strcmp(got, good ? names[i].account : names[i].principal) != 0)
			fail_msg("row %zu: %d %s", i, good, got);
		free(copy);
	}
	memset(long_name, 'a', sizeof(long_name));
	char got[PASSWD_NAME_MAX];
	assert_false(ticket_account(str_n(long_name, sizeof(long_name)), got));
	assert_int_equal(strlen(got), PASSWD_NAME_MAX - 1);
	memcpy(long_name + sizeof(long_name) - 12, "@EXAMPLE.COM", 12);
	assert_false(ticket_account(str_n(long_name, sizeof(long_name)), got));
	assert_false(ticket_account(STR("al\0ice@EXAMPLE.COM"), got));
	assert_string_equal(got, "al");
}

/* --- a front that asks --- */

static struct conf *
conf_of(void)
{
	struct buf err = BUF_INIT(4096);
	struct conf *c = kit_conf(NULL);
	free(c->hostname);
	c->hostname = xstrdup("localhost");
	conf_listener_add(c, "127.0.0.1", 10001, "smtp");
	conf_listener_add(c, "127.0.0.1", 10002, "smtp");
	if (!conf_set(c, STR("10001:mechs=PLAIN GSSAPI"), &err))
		fail_msg("%s", buf_cstr(&err));
	buf_done(&err);
	return c;
}

static enum sasl_verdict
ask(int fd, const char *mech, uint16_t listener, bool tls, struct str initial)
{
	static uint64_t id;
	struct buf b = BUF_INIT(64u << 10), store = BUF_INIT(IPC_BODY_MAX + 64);
	struct ipc_frame f;
	struct msg_sasl got;
	const struct msg_sasl_start m = { .service = STR("smtp"),
		.mech = str_of(mech),
		.peer = STR("192.0.2.1"),
		.listener = listener,
		.tls = tls,
		.has_initial = true,
		.initial = initial };
	msg_sasl_start_put(&b, &m);
	assert_int_equal(chan_sync_send(fd, IPC_SASL_START, ++id, buf_str(&b), -1), 0);
	assert_int_equal(kit_recv(fd, &f, &store), 0);
	assert_int_equal(f.type, IPC_SASL); /* no certificates and tickets before it */
	assert_int_equal(f.id, id);
	assert_true(msg_sasl_get(f.body, &got));
	enum sasl_verdict v = (enum sasl_verdict)got.verdict;
	buf_done(&store);
	buf_done(&b);
	return v;
}

static void
path_in(char path[128], const char *name)
{
	snprintf(path, 128, "%s/%s", kit_dir, name);
}

static void
write_text(char path[128], const char *name, const char *text)
{
	path_in(path, name);
	assert_int_equal(file_replace(path, str_of(text), 0600), 0);
}

static void
give_files(struct kit *k, const char *keytab)
{
	char path[128];
	write_text(path, "krb5.conf",
	    "includedir /etc/krb5.conf.d/\n[libdefaults]\n  clockskew = 300\n");
	give_secret(k, SECRET_KRB5_CONF, path);
	if (keytab) {
		write_text(path, "keytab", keytab);
		give_secret(k, SECRET_KEYTAB, path);
	}
	give_secret(k, SECRET_END, "/dev/null");
}

static bool
is_there(const char *name, struct buf *text)
{
	char path[128];
	path_in(path, name);
	return file_read_all(path, 1u << 20, text) == 0;
}

static void
test_front(void **state)
{
	struct kit k;
	struct conf *c = conf_of();
	struct buf text = BUF_INIT(1u << 20);
	kit_start(&k, gssapi_main, c, ROLE_GSSAPI, 0);
	give_files(&k, NULL);
	int fd = kit_peer(&k, ROLE_FRONT, 0);
	assert_int_equal(ask(fd, "GSSAPI", 0, true, STR("x")), SASL_V_TEMPFAIL); /* no keytab */
	give_files(&k, "no keytab");
	/* Of parent's channel: that it has read those is known when it answers. */
	struct buf store = BUF_INIT(IPC_BODY_MAX + 64);
	assert_int_equal(chan_sync_send(k.sock, IPC_STATUS_ASK, 7, STR_NULL, -1), 0);
	assert_int_equal(kit_expect(k.sock, IPC_STATUS, &store), 7);
	assert_true(is_there("gssapi/krb5.conf", &text));
	assert_true(str_starts(buf_str(&text), STR("[libdefaults]\n\tdns_")));
	assert_true(str_find_str(buf_str(&text), STR("\n\tdefault_realm = ")) < text.len);
	assert_true(str_ends(buf_str(&text), STR("\n[libdefaults]\n  clockskew = 300\n")));
	assert_int_equal(str_find_str(buf_str(&text), STR("include")), text.len);
	assert_true(is_there("gssapi/keytab", &text));
	assert_int_equal(ask(fd, "GSSAPI", 0, true, STR("x")), SASL_V_FAIL);
	assert_int_equal(ask(fd, "GSSAPI", 0, false, STR("x")), SASL_V_BADMECH);
	assert_int_equal(ask(fd, "GSSAPI", 1, true, STR("x")), SASL_V_BADMECH); /* not named */
	assert_int_equal(ask(fd, "PLAIN", 0, true, STR("\0a\0b")), SASL_V_BADMECH);
	assert_int_equal(ask(fd, "EXTERNAL", 0, true, STR("")), SASL_V_BADMECH);
	struct msg_sign sign = { .key = STR("0123456789abcdef0123456789abcdef"), .tbs = STR("x") };
	buf_reset(&text);
	msg_sign_put(&text, &sign);
	assert_int_equal(chan_sync_send(fd, IPC_SIGN, 1, buf_str(&text), -1), 0);
	assert_true(kit_closed(fd)); /* it signs nothing */
	close(fd);
	assert_int_equal(kit_stop(&k), 0);
	assert_false(is_there("gssapi/keytab", &text));
	buf_done(&store);
	buf_done(&text);
	conf_free(c);
}

/* --- which accounts there are --- */

static const struct {
	struct msg_account ask;
	enum account_verdict verdict;
} accounts[] = {
	{ { false, 0, STR("ann@example.com") }, ACCOUNT_LETS_IN },
	{ { false, 0, STR("nobody@example.com") }, ACCOUNT_NONE },
	{ { false, 0, STR("eve@example.com") }, ACCOUNT_NONE }, /* locked */
	{ { true, 600, STR("ann@example.com") }, ACCOUNT_LETS_IN },
	{ { true, 600, STR("ann@example.com") }, ACCOUNT_TOO_SOON },
	{ { true, 600, STR("eve@example.com") }, ACCOUNT_NONE },
	{ { true, 0, STR("ann@example.com") }, ACCOUNT_LETS_IN },
	{ { false, 600, STR("ann@example.com") }, ACCOUNT_LETS_IN }, /* not over POP3 */
};

static void
send_account(int fd, uint64_t id, const struct msg_account *m)
{
	struct buf b = BUF_INIT(4096);
	msg_account_put(&b, m);
	assert_int_equal(chan_sync_send(fd, IPC_ACCOUNT_ASK, id, buf_str(&b), -1), 0);
	buf_done(&b);
}

static void
set(struct kit *k, const char *name, const char *password, const char *how)
{
	struct buf out = BUF_INIT(4096);
	assert_int_equal(KIT_ASK(k, &out, "auth.set", name, password, how), CTL_OK);
	buf_done(&out);
}

static void
test_accounts(void **state)
{
	static const struct msg_account wrong[] = { { .name = STR("") }, { .name = STR("ann") },
		{ .name = STR("a\0@example.com") } };
	struct kit k;
	struct buf store = BUF_INIT(IPC_BODY_MAX + 64);
	struct conf *c = conf_of();
	start(&k, c);
	set(&k, "ann@example.com", "secret", "plain");
	set(&k, "eve@example.com", "!", "hash");
	int fd = kit_peer(&k, ROLE_GSSAPI, 0);
	for (size_t i = 0; i < ARRAY_LEN(accounts); i++) {
		struct ipc_frame f;
		send_account(fd, 5 + i, &accounts[i].ask);
		assert_int_equal(kit_recv(fd, &f, &store), 0);
		assert_int_equal(f.type, IPC_ACCOUNT);
		assert_int_equal(f.id, 5 + i);
		assert_int_equal(f.body.len, 1);
		assert_int_equal(f.body.p[0], accounts[i].verdict);
	}
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		send_account(fd, 9, &wrong[i]);
		assert_true(kit_closed(fd));
		close(fd);
		fd = kit_peer(&k, ROLE_GSSAPI, 0);
	}
	close(fd);
	assert_int_equal(kit_stop(&k), 0);
	buf_done(&store);
	conf_free(c);
}

static int
begin(void **state)
{
	char path[128];
	kit_make_dir();
	path_in(path, "gssapi");
	return mkdir(path, 0700);
}

static int
end(void **state)
{
	kit_drop_dir();
	return 0;
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test_setup_teardown(test_front, begin, end),
		cmocka_unit_test_setup_teardown(test_accounts, begin, end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
