/* auth: logins at other servers, as a relay asks for them. Its own server side answers SCRAM. */
#include "auth_kit.h"

#include "sasl/client.h"
#include "sasl/sasl.h"

static char secret_path[96];

static struct conf *
conf_of(void)
{
	static const char *const sets[] = { "hostname=mx.example.com",
		"route.smart.example=smtp:smart.example:2525", "route.smart.example.login=ann",
		"route.clear.example=smtp:smart.example:2525", "route.clear.example.login=ann",
		"route.clear.example.auth_cleartext=allow",
		"route.moved.example=smtp:other.example:2525", "route.moved.example.login=ann",
		"route.lost.example=smtp:smart.example:2525", "route.lost.example.login=ann",
		"route.lost.example.secret_file=/nowhere/secret",
		"route.named.example=smtp:smart.example.:2525", "route.named.example.login=ann",
		"route.named.example.mechs=digest-md5, cram-md5 ntlm",
		"route.shown.example=smtp:smart.example:2525", "route.shown.example.login=ann",
		"route.shown.example.certificate=us.example", NULL };
	static const char *const with_secret[] = { "smart", "clear", "named", "moved" };
	struct conf *c = kit_conf(sets);
	for (size_t i = 0; i < ARRAY_LEN(with_secret); i++) {
		struct buf b = BUF_INIT(1024), err = BUF_INIT(4096);
		buf_putf(&b, "route.%s.example.secret_file=%s", with_secret[i], secret_path);
		if (!conf_set(c, buf_str(&b), &err))
			fail_msg("%s", buf_cstr(&err));
		buf_done(&b);
		buf_done(&err);
	}
	return c;
}

struct relay {
	int fd;
	uint64_t id;
	struct buf store;
	struct msg_login last;
	bool certified; /* the server has seen our certificate */
};

static void
wait_login(struct relay *r)
{
	struct ipc_frame f;
	assert_int_equal(kit_recv(r->fd, &f, &r->store), 0);
	assert_int_equal(f.type, IPC_LOGIN);
	assert_int_equal(f.id, r->id);
	assert_true(msg_login_get(f.body, &r->last));
}

static void
begin(struct relay *r, const char *route, const char *mechs, bool tls, bool verified)
{
	struct buf b = BUF_INIT(4096);
	struct msg_login_start m = { .route = str_of(route),
		.host = STR("smart.example"),
		.mechs = str_of(mechs),
		.tls = tls,
		.verified = verified,
		.certified = r->certified };
	if (tls)
		m.exporter = STR("0123456789abcdef0123456789abcdef");
	r->id++;
	msg_login_start_put(&b, &m);
	assert_false(b.failed);
	assert_int_equal(chan_sync_send(r->fd, IPC_LOGIN_START, r->id, buf_str(&b), -1), 0);
	buf_done(&b);
	wait_login(r);
}

static void
step(struct relay *r, struct str challenge)
{
	assert_int_equal(chan_sync_send(r->fd, IPC_LOGIN_STEP, r->id, challenge, -1), 0);
	wait_login(r);
}

static const struct {
	const char *route, *mechs;
	bool tls, verified;
	enum login_verdict verdict;
	const char *mech, *octets; /* octets: "-": none; NUL written as ! */
	const char *why;           /* a part of it */
	bool certified;
} firsts[] = {
	{ "smart.example", "LOGIN PLAIN", true, true, LOGIN_DONE, "PLAIN", "!ann!se cret", "" },
	{ "smart.example", "LOGIN", true, true, LOGIN_SAY, "LOGIN", "-", "" },
	{ "smart.example", "LOGIN PLAIN", true, false, LOGIN_NONE, "", "-", "nobody has verified" },
	{ "smart.example", "LOGIN PLAIN", false, false, LOGIN_NONE, "", "-", "without TLS" },
	{ "smart.example", "PLAIN GSSAPI", false, true, LOGIN_NONE, "", "-", "without TLS" },
	{ "clear.example", "LOGIN PLAIN", false, false, LOGIN_DONE, "PLAIN", "!ann!se cret", "" },
	{ "clear.example", "plain", true, false, LOGIN_DONE, "PLAIN", "!ann!se cret", "" },
	{ "smart.example", "GSSAPI", true, true, LOGIN_NONE, "", "-", "no mechanism" },
	{ "smart.example", "CRAM-MD5 DIGEST-MD5", true, true, LOGIN_NONE, "", "-", "weak" },
	{ "smart.example", "", true, true, LOGIN_NONE, "", "-", "nothing" },
	{ "smart.example", "OAUTHBEARER XOAUTH2", true, true, LOGIN_NONE, "", "-", "no mechanism" },
	{ "lost.example", "PLAIN", true, true, LOGIN_NONE, "", "-", "could not be read" },
	{ "moved.example", "PLAIN", true, true, LOGIN_NONE, "", "-", "leads to another server" },
	{ "none.example", "PLAIN", true, true, LOGIN_NONE, "", "-", "has no login" },
	{ "named.example", "PLAIN CRAM-MD5", true, true, LOGIN_SAY, "CRAM-MD5", "-", "" },
	{ "named.example", "PLAIN CRAM-MD5 DIGEST-MD5", true, true, LOGIN_SAY, "DIGEST-MD5", "-",
	    "" },
	{ "named.example", "NTLM", false, false, LOGIN_SAY, "NTLM", NULL, "" },
	{ "named.example", "PLAIN", true, true, LOGIN_NONE, "", "-", "none can be used" },
	{ "shown.example", "PLAIN EXTERNAL", true, false, LOGIN_DONE, "EXTERNAL", "", "", true },
	{ "shown.example", "PLAIN EXTERNAL", true, true, LOGIN_NONE, "", "-",
	    "has not asked for the certificate us.example" },
	{ "smart.example", "PLAIN EXTERNAL", true, true, LOGIN_DONE, "PLAIN", "!ann!se cret", "" },
};

static void
open_relay(struct kit *k, struct relay *r)
{
	struct ipc_frame f;
	*r = (struct relay){ .fd = kit_peer(k, ROLE_RELAY, 0),
		.store = BUF_INIT(IPC_BODY_MAX + 64) };
	assert_int_equal(kit_recv(r->fd, &f, &r->store), 0);
	assert_int_equal(f.type, IPC_CERTS);
	close(f.fd);
}

static void
start_auth(struct kit *k)
{
	struct buf store = BUF_INIT(IPC_BODY_MAX + 64);
	struct conf *c = conf_of();
	kit_spawn(k, auth_main, c, ROLE_AUTH, 0);
	give_secret(k, SECRET_ROUTE, secret_path);
	give_secret(k, SECRET_END, "/dev/null");
	kit_expect(k->sock, IPC_READY, &store);
	buf_done(&store);
	conf_free(c);
}

static void
test_first(void **state)
{
	struct kit k;
	struct relay r;
	start_auth(&k);
	open_relay(&k, &r);
	for (size_t i = 0; i < ARRAY_LEN(firsts); i++) {
		char octets[64] = "-";
		r.certified = firsts[i].certified;
		begin(&r, firsts[i].route, firsts[i].mechs, firsts[i].tls, firsts[i].verified);
		for (size_t j = 0; r.last.has_octets && j < sizeof(octets); j++)
			octets[j] = j >= r.last.octets.len ? '\0'
			            : r.last.octets.p[j]   ? r.last.octets.p[j]
			                                   : '!';
		octets[sizeof(octets) - 1] = '\0';
		if (r.last.verdict != firsts[i].verdict ||
		    !str_eq(r.last.mech, str_of(firsts[i].mech)) ||
		    (firsts[i].octets && strcmp(octets, firsts[i].octets) != 0) ||
		    str_find_str(r.last.why, str_of(firsts[i].why)) ==
			(*firsts[i].why ? r.last.why.len : SIZE_MAX))
			fail_msg("row %zu: %d \"" STR_FMT "\" \"%s\" \"" STR_FMT "\"", i,
			    r.last.verdict, STR_ARG(r.last.mech), octets, STR_ARG(r.last.why));
		assert_int_equal(chan_sync_send(r.fd, IPC_LOGIN_DROP, r.id, STR_NULL, -1), 0);
	}
	close(r.fd);
	buf_done(&r.store);
	assert_int_equal(kit_stop(&k), 0);
}

/* LOGIN, and CRAM-MD5, which the server begins. */
static void
test_steps(void **state)
{
	struct kit k;
	struct relay r;
	start_auth(&k);
	open_relay(&k, &r);
	begin(&r, "smart.example", "LOGIN", true, true);
	step(&r, STR("Username:"));
	assert_true(r.last.has_octets && str_eq(r.last.octets, STR("ann")));
	assert_int_equal(r.last.mech.len, 0);
	step(&r, STR("Password:"));
	assert_int_equal(r.last.verdict, LOGIN_DONE);
	assert_true(str_eq(r.last.octets, STR("se cret")));
	step(&r, STR("More:"));
	assert_int_equal(r.last.verdict, LOGIN_NONE);

	begin(&r, "named.example", "CRAM-MD5", false, false);
	step(&r, STR("<1896.697170952@postoffice.reston.mci.net>"));
	assert_int_equal(r.last.verdict, LOGIN_DONE);
	assert_true(str_starts(r.last.octets, STR("ann ")));
	close(r.fd);
	buf_done(&r.store);
	assert_int_equal(kit_stop(&k), 0);
}

static void
scram_facts(void *arg, struct str name, struct sasl_account *ret)
{
	*ret = (struct sasl_account){ .known = true, .has_scram256 = true };
	check(str_copy(ret->name, sizeof(ret->name), name));
	sasl_scram_make(CRYPT_SHA256, str_of(arg), STR("salt salt"), 4096, &ret->scram256);
}

/* With the server's side of the same room; false: it says no. */
static bool
scram(struct relay *r, const char *mechs, const char *mech, bool tls, char *password)
{
	const struct sasl_conf conf = { .service = "smtp",
		.host = "smart.example",
		.lookup = scram_facts,
		.arg = password,
		.binding = {
		    .exporter = tls ? STR("0123456789abcdef0123456789abcdef") : STR_NULL } };
	struct sasl *s = sasl_new(sasl_mech_find(str_of(mech)), &conf);
	enum sasl_status status = SASL_CHALLENGE;
	begin(r, "smart.example", mechs, tls, false);
	assert_true(str_eq(r->last.mech, str_of(mech)));
	for (int i = 0; i < 4 && status == SASL_CHALLENGE; i++) {
		assert_int_equal(r->last.verdict, i < 2 ? LOGIN_SAY : LOGIN_DONE);
		struct str in = r->last.octets;
		status = sasl_step(s, &in);
		if (status == SASL_CHALLENGE || (status == SASL_DONE && sasl_out(s).len))
			step(r, sasl_out(s));
	}
	bool said_yes = status == SASL_DONE;
	sasl_free(s);
	return said_yes && r->last.verdict == LOGIN_DONE;
}

static void
test_scram(void **state)
{
	static char right[] = "se cret", wrong[] = "other";
	struct kit k;
	struct relay r;
	struct buf err = BUF_INIT(1024);
	start_auth(&k);
	open_relay(&k, &r);
	assert_int_equal(sasl_library_open(NULL, false, &err), 0);
	assert_true(scram(&r, "PLAIN SCRAM-SHA-1 SCRAM-SHA-256", "SCRAM-SHA-256", false, right));
	assert_true(scram(&r, "PLAIN SCRAM-SHA-256 SCRAM-SHA-256-PLUS", "SCRAM-SHA-256-PLUS", true,
	    right));
	assert_false(scram(&r, "SCRAM-SHA-256", "SCRAM-SHA-256", false, wrong));

	/* A server that does not know the password cannot say yes. */
	begin(&r, "smart.example", "SCRAM-SHA-256", true, true);
	assert_int_equal(r.last.verdict, LOGIN_SAY);
	step(&r, STR("r=nonsense,s=c2FsdA==,i=4096"));
	assert_int_equal(r.last.verdict, LOGIN_NONE);
	sasl_library_close();
	buf_done(&err);
	close(r.fd);
	buf_done(&r.store);
	assert_int_equal(kit_stop(&k), 0);
}

/* A relay that breaks the contract loses its channel; auth goes on. */
static void
test_breach(void **state)
{
	struct kit k;
	struct relay r;
	start_auth(&k);
	open_relay(&k, &r);
	assert_int_equal(chan_sync_send(r.fd, IPC_LOGIN_START, 1, STR("nonsense"), -1), 0);
	assert_true(kit_closed(r.fd));
	close(r.fd);
	buf_done(&r.store);
	open_relay(&k, &r);
	begin(&r, "smart.example", "PLAIN", true, true);
	assert_int_equal(r.last.verdict, LOGIN_DONE);
	/* It was begun with another auth: no breach, and an answer. */
	assert_int_equal(chan_sync_send(r.fd, IPC_LOGIN_STEP, 99, STR("nobody's"), -1), 0);
	r.id = 99;
	wait_login(&r);
	assert_int_equal(r.last.verdict, LOGIN_NONE);
	begin(&r, "smart.example", "PLAIN", true, true);
	assert_int_equal(r.last.verdict, LOGIN_DONE);
	close(r.fd);
	buf_done(&r.store);
	assert_int_equal(kit_stop(&k), 0);
}

/* --- signatures --- */

static const char to_sign[64 + 34 + 32] =
    "                                                                "
    "TLS 1.3, client CertificateVerify\0"
    "0123456789abcdef0123456789abcdef";

static void
send_sign(struct relay *r, const struct pair *p)
{
	struct msg_sign m = { .key = str_n(p->name, sizeof(p->name)),
		.alg = TLS_SIGN_ECDSA_SHA256,
		.tbs = str_n(to_sign, sizeof(to_sign)) };
	struct buf b = BUF_INIT(4096);
	msg_sign_put(&b, &m);
	assert_int_equal(chan_sync_send(r->fd, IPC_SIGN, ++r->id, buf_str(&b), -1), 0);
	buf_done(&b);
}

static bool
is_signed(struct relay *r)
{
	struct ipc_frame f;
	assert_int_equal(kit_recv(r->fd, &f, &r->store), 0);
	assert_int_equal(f.type, IPC_SIGNED);
	return f.body.len > 0;
}

/* A relay may show the certificates that routes name, and no others. */
static void
test_sign(void **state)
{
	static const struct {
		const char *name;
		bool shown;
	} rows[] = { { "mx.example.com", false }, { "us.example", true }, { "*.example", true } };
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct pair p;
		struct kit k;
		struct relay r;
		struct conf *c = conf_of();
		tls_init();
		make_pair(&p, rows[i].name);
		kit_spawn(&k, auth_main, c, ROLE_AUTH, 0);
		give_pair(&k, &p, &p);
		give_secret(&k, SECRET_END, "/dev/null");
		open_relay(&k, &r);
		send_sign(&r, &p);
		if (is_signed(&r) != rows[i].shown)
			fail_msg("%s", rows[i].name);
		pair_done(&p);
		close(r.fd);
		buf_done(&r.store);
		assert_int_equal(kit_stop(&k), 0);
		conf_free(c);
	}
}

/* One that asks for many at once is refused some, and gets what it asks for later. */
static void
test_many_signatures(void **state)
{
	enum { MANY = 600 };
	struct pair p;
	struct kit k;
	struct relay r;
	size_t made = 0;
	struct conf *c = conf_of();
	tls_init();
	make_pair(&p, "us.example");
	kit_spawn(&k, auth_main, c, ROLE_AUTH, 0);
	give_pair(&k, &p, &p);
	give_secret(&k, SECRET_END, "/dev/null");
	open_relay(&k, &r);
	kill(k.pid, SIGSTOP);
	for (size_t i = 0; i < MANY; i++)
		send_sign(&r, &p);
	kill(k.pid, SIGCONT);
	for (size_t i = 0; i < MANY; i++)
		made += is_signed(&r);
	assert_in_range(made, 256, MANY - 1);
	send_sign(&r, &p);
	assert_true(is_signed(&r));
	pair_done(&p);
	close(r.fd);
	buf_done(&r.store);
	assert_int_equal(kit_stop(&k), 0);
	conf_free(c);
}

static int
setup(void **state)
{
	kit_make_dir();
	snprintf(secret_path, sizeof(secret_path), "%s/secret", kit_dir);
	FILE *f = fopen(secret_path, "w");
	assert_non_null(f);
	fputs("se cret\r\nsecond line\n", f);
	assert_int_equal(fclose(f), 0);
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
		cmocka_unit_test(test_first),
		cmocka_unit_test(test_steps),
		cmocka_unit_test(test_scram),
		cmocka_unit_test(test_breach),
		cmocka_unit_test(test_sign),
		cmocka_unit_test(test_many_signatures),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
