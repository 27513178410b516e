#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/base64.h"
#include "base/buf.h"
#include "base/check.h"
#include "sasl/client.h"

#include <stdlib.h>
#include <string.h>

/* Each mechanism against our own server's side. */

#define HOST "mail.example.org"
#define USER "alice@example.com"
#define PASSWORD "correct h\xc3\xb6rse, =battery"
#define TOKEN "token.of.alice"

static const char exporter[32] = "exporter-binding-of-32-octets-..";
static const char endpoint[32] = "endpoint-binding-of-32-octets-..";

static void
lookup(void *arg, struct str name, struct sasl_account *ret)
{
	struct str salt = STR("salt-of-16-octet");
	*ret = (struct sasl_account){ 0 };
	if (!str_ieq(name, STR(USER))) {
		sasl_scram_made_up(CRYPT_SHA1, STR("secret"), name, &ret->scram1);
		sasl_scram_made_up(CRYPT_SHA256, STR("secret"), name, &ret->scram256);
		ret->has_scram1 = ret->has_scram256 = true;
		return;
	}
	ret->known = true;
	assert_true(str_copy(ret->name, sizeof(ret->name), STR(USER)));
	assert_true(str_copy(ret->secret, sizeof(ret->secret), STR(PASSWORD)));
	sasl_scram_make(CRYPT_SHA1, STR(PASSWORD), salt, 4096, &ret->scram1);
	sasl_scram_make(CRYPT_SHA256, STR(PASSWORD), salt, 5000, &ret->scram256);
	ret->has_scram1 = ret->has_scram256 = true;
}

struct outcome {
	bool taken, proved, failed;
	unsigned messages;
};

static struct sasl_binding
binding(bool v13)
{
	struct sasl_binding b = { .endpoint = str_n(endpoint, sizeof(endpoint)) };
	if (v13)
		b.exporter = str_n(exporter, sizeof(exporter));
	return b;
}

/* Both sides, as SMTP has them talk; initial: with an initial response where there is one. */
static struct outcome
converse(const char *mech, const char *user, const char *secret, struct sasl_binding ours,
    struct sasl_binding theirs, bool initial, bool plus_missing)
{
	struct outcome o = { 0 };
	struct buf err = BUF_INIT(1000);
	const struct sasl_conf sconf = { .service = "smtp",
		.host = HOST,
		.external = STR(USER),
		.binding = theirs,
		.lookup = lookup };
	const struct sasl_client_conf conf = { .service = "smtp",
		.host = HOST,
		.user = str_of(user),
		.secret = str_of(secret),
		.binding = ours,
		.port = 587,
		.plus_missing = plus_missing };
	struct sasl *s = sasl_new(sasl_mech_find(str_of(mech)), &sconf);
	struct sasl_client *c = sasl_client_make(str_of(mech), &conf, &err);
	if (!c)
		fail_msg("%s: " STR_FMT, mech, STR_ARG(buf_str(&err)));
	enum sasl_client_status cs = SASL_CLIENT_SEND;
	struct str out = STR_NULL;
	bool begins = initial && sasl_client_begins(c);
	if (begins) {
		cs = sasl_client_begin(c);
		out = sasl_client_out(c);
		assert_true(sasl_client_masked(c).len > 0);
	}
	if (out.len == 0)
		out = STR("");
	enum sasl_status ss = sasl_step(s, begins ? &out : NULL);
	while (cs == SASL_CLIENT_SEND && o.messages++ < 20) {
		if (ss == SASL_PASSWORD)
			ss = sasl_answer(s, str_eq(sasl_password(s), STR(PASSWORD)), STR_NULL);
		else if (ss == SASL_TOKEN)
			ss = sasl_answer(s, str_eq(sasl_password(s), STR(TOKEN)), STR(USER));
		bool last = ss == SASL_DONE && sasl_out(s).len > 0;
		if (ss != SASL_CHALLENGE && !last)
			break;
		cs = sasl_client_answer(c, sasl_out(s));
		if (last || cs != SASL_CLIENT_SEND)
			break;
		assert_true(sasl_client_masked(c).len > 0);
		assert_int_equal(str_find_str(sasl_client_masked(c), str_of(secret)),
		    sasl_client_masked(c).len);
		out = sasl_client_out(c);
		if (!out.p)
			out = STR("");
		ss = sasl_step(s, &out);
	}
	o.taken = ss == SASL_DONE;
	o.failed = cs == SASL_CLIENT_FAILED;
	o.proved = !o.failed && sasl_client_end(c);
	if (!o.proved || o.failed)
		assert_true(strlen(sasl_client_why(c)) > 0);
	sasl_client_free(c);
	sasl_free(s);
	buf_done(&err);
	return o;
}

static const char *const mechs[] = { "PLAIN", "LOGIN", "EXTERNAL", "OAUTHBEARER", "XOAUTH2",
	"CRAM-MD5", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1",
	"DIGEST-MD5", "NTLM" };

static bool
is_token(const char *mech)
{
	return strstr(mech, "OAUTH") != NULL;
}

static void
test_good(void **state)
{
	struct sasl_binding none = { 0 };
	for (size_t i = 0; i < ARRAY_LEN(mechs); i++) {
		bool plus = strstr(mechs[i], "-PLUS") != NULL;
		/* DIGEST-MD5 of the library cannot do without plain ASCII. */
		for (int initial = 0; initial < 2; initial++) {
			const char *secret = is_token(mechs[i]) ? TOKEN : PASSWORD;
			struct sasl_binding b = plus ? binding(initial) : none;
			struct outcome o = converse(mechs[i], USER, secret, b, b, initial, false);
			if (!o.taken || !o.proved)
				fail_msg("%s (initial %d): taken %d, proved %d", mechs[i], initial,
				    o.taken, o.proved);
		}
	}
}

static void
test_wrong(void **state)
{
	struct sasl_binding none = { 0 };
	for (size_t i = 0; i < ARRAY_LEN(mechs); i++) {
		bool plus = strstr(mechs[i], "-PLUS") != NULL;
		struct sasl_binding b = plus ? binding(true) : none;
		if (strcmp(mechs[i], "EXTERNAL") == 0)
			continue;
		struct outcome o = converse(mechs[i], USER, "wrong", b, b, true, false);
		if (o.taken)
			fail_msg("%s takes a wrong password", mechs[i]);
	}
	/* Somebody in the middle: the bindings differ. */
	struct sasl_binding other = { .exporter = STR("another binding of thirty-two oc") };
	assert_false(converse("SCRAM-SHA-256-PLUS", USER, PASSWORD, binding(true), other, true,
	    false)
			 .taken);
	/* "y": we can bind, and think that they cannot; they can. */
	assert_false(converse("SCRAM-SHA-256", USER, PASSWORD, binding(true), binding(true), true,
	    true)
			 .taken);
	assert_true(converse("SCRAM-SHA-256", USER, PASSWORD, binding(true), none, true, true)
			.taken);
}

/* RFC 4616, RFC 2195, RFC 7628, and the page of a seed (K2-20). */
static void
test_messages(void **state)
{
	static const struct {
		const char *mech, *user, *secret, *authzid, *challenge, *out;
	} rows[] = {
		{ "PLAIN", "username", "password", "", NULL, "AHVzZXJuYW1lAHBhc3N3b3Jk" },
		{ "PLAIN", "moonpoint@example.com", "SomePassword", "", NULL,
		    "AG1vb25wb2ludEBleGFtcGxlLmNvbQBTb21lUGFzc3dvcmQ=" },
		{ "PLAIN", "tim", "tanstaaftanstaaf", "x", NULL,
		    "eAB0aW0AdGFuc3RhYWZ0YW5zdGFhZg==" },
		{ "CRAM-MD5", "tim", "tanstaaftanstaaf", "",
		    "<1896.697170952@postoffice.reston.mci.net>",
		    "dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw" },
		{ "EXTERNAL", "", "", "joe", NULL, "am9l" },
		{ "OAUTHBEARER", "user@example.com",
		    "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==", "", NULL,
		    "bixhPXVzZXJAZXhhbXBsZS5jb20sAWhvc3Q9c2VydmVyLmV4YW1wbGUuY29tAXBvcnQ9MTQzAWF1dG"
		    "g9QmVhcmVyI"
		    "HZGOWRmdDRxbVRjMk52YjNSbGNrQmhiSFJoZG1semRHRXVZMjl0Q2c9PQEB" },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf err = BUF_INIT(1000), b64 = BUF_INIT(1000);
		const struct sasl_client_conf conf = { .host = "server.example.com",
			.port = 143,
			.user = str_of(rows[i].user),
			.secret = str_of(rows[i].secret),
			.authzid = str_of(rows[i].authzid) };
		struct sasl_client *c = sasl_client_make(str_of(rows[i].mech), &conf, &err);
		assert_non_null(c);
		assert_int_equal(rows[i].challenge
				     ? sasl_client_answer(c, str_of(rows[i].challenge))
				     : sasl_client_begin(c),
		    SASL_CLIENT_SEND);
		base64_enc(&b64, sasl_client_out(c));
		assert_string_equal(buf_cstr(&b64), rows[i].out);
		sasl_client_free(c);
		buf_done(&err);
		buf_done(&b64);
	}
}

/* Servers that lie. */
static void
test_scram_lies(void **state)
{
	static const struct {
		const char *first, *final; /* %r: our nonce */
	} rows[] = {
		{ "r=abc,s=c2FsdA==,i=4096", NULL },
		{ "r=%r,s=c2FsdA==,i=4096", NULL },
		{ "r=%rx,s=c2FsdA==,i=1", NULL },
		{ "r=%rx,s=c2FsdA==,i=99999999", NULL },
		{ "r=%rx,s=,i=4096", NULL },
		{ "r=%rx,s=!!,i=4096", NULL },
		{ "m=x,r=%rx,s=c2FsdA==,i=4096", NULL },
		{ "", NULL },
		{ "r=%rx,s=c2FsdA==,i=4096", "v=AAAA" },
		{ "r=%rx,s=c2FsdA==,i=4096", "v=" },
		{ "r=%rx,s=c2FsdA==,i=4096", "" },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf err = BUF_INIT(1000), first = BUF_INIT(1000);
		const struct sasl_client_conf conf = {
			.host = HOST, .user = STR("u"), .secret = STR("p")
		};
		struct sasl_client *c = sasl_client_make(STR("SCRAM-SHA-256"), &conf, &err);
		assert_int_equal(sasl_client_begin(c), SASL_CLIENT_SEND);
		struct str out = sasl_client_out(c);
		struct str nonce = str_skip(out, str_find_str(out, STR("r=")) + 2);
		for (const char *p = rows[i].first; *p; p++) {
			if (p[0] == '%')
				buf_puts(&first, nonce), p++;
			else
				buf_putc(&first, *p);
		}
		enum sasl_client_status s = sasl_client_answer(c, buf_str(&first));
		if (rows[i].final) {
			assert_int_equal(s, SASL_CLIENT_SEND);
			s = sasl_client_answer(c, str_of(rows[i].final));
		}
		assert_int_equal(s, SASL_CLIENT_FAILED);
		assert_false(sasl_client_end(c));
		sasl_client_free(c);
		buf_done(&err);
		buf_done(&first);
	}
}

static void
test_choose(void **state)
{
	static const struct {
		const char *offered, *wanted;
		bool tls, clear, token, cert;
		const char *chosen;
	} rows[] = {
		{ "PLAIN LOGIN", NULL, true, false, false, false, "PLAIN" },
		{ "LOGIN", NULL, true, false, false, false, "LOGIN" },
		{ "PLAIN LOGIN", NULL, false, false, false, false, NULL },
		{ "PLAIN LOGIN", NULL, false, true, false, false, "PLAIN" },
		{ "PLAIN LOGIN", "login,plain", true, false, false, false, "LOGIN" },
		{ "PLAIN SCRAM-SHA-1 SCRAM-SHA-256", NULL, false, false, false, false,
		    "SCRAM-SHA-256" },
		{ "PLAIN SCRAM-SHA-256-PLUS SCRAM-SHA-256", NULL, true, false, false, false,
		    "SCRAM-SHA-256-PLUS" },
		{ "PLAIN SCRAM-SHA-256-PLUS SCRAM-SHA-256", NULL, false, false, false, false,
		    "SCRAM-SHA-256" },
		{ "DIGEST-MD5 CRAM-MD5", NULL, false, false, false, false, NULL },
		{ "DIGEST-MD5 CRAM-MD5", "CRAM-MD5", false, false, false, false, "CRAM-MD5" },
		{ "PLAIN XOAUTH2", NULL, true, false, true, false, "XOAUTH2" },
		{ "PLAIN EXTERNAL", NULL, true, false, false, true, "EXTERNAL" },
		{ "PLAIN EXTERNAL", NULL, true, false, false, false, "PLAIN" },
		{ "", "PLAIN", true, false, false, false, "PLAIN" },
		{ "", NULL, true, false, false, false, NULL },
		{ "PLAIN", "NOSUCH", true, false, false, false, NULL },
		{ "APOP", NULL, true, false, false, false, NULL },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf why = BUF_INIT(1000);
		const struct sasl_mech *m = sasl_client_choose(str_of(rows[i].offered),
		    rows[i].wanted, rows[i].tls, rows[i].clear, rows[i].token, rows[i].cert, &why);
		if (rows[i].chosen) {
			assert_non_null(m);
			assert_string_equal(m->name, rows[i].chosen);
		} else {
			assert_null(m);
			assert_true(why.len > 0);
		}
		buf_done(&why);
	}
}

static void
test_refused(void **state)
{
	static const struct {
		const char *mech;
		struct str user, secret;
	} rows[] = {
		{ "PLAIN", { "a\0b", 3 }, { "x", 1 } },
		{ "PLAIN", { "ab", 2 }, { "x\0y", 3 } },
		{ "PLAIN", { "", 0 }, { "x", 1 } },
		{ "XOAUTH2", { "a\1b", 3 }, { "x", 1 } },
		{ "SCRAM-SHA-256-PLUS", { "a", 1 }, { "x", 1 } },
		{ "APOP", { "a", 1 }, { "x", 1 } },
		{ "NOSUCH", { "a", 1 }, { "x", 1 } },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf err = BUF_INIT(1000);
		const struct sasl_client_conf conf = {
			.host = HOST, .user = rows[i].user, .secret = rows[i].secret
		};
		assert_null(sasl_client_make(str_of(rows[i].mech), &conf, &err));
		assert_true(err.len > 0);
		buf_done(&err);
	}
}

static int
setup(void **state)
{
	struct buf err = BUF_INIT(1000);
	int r = sasl_library_open(NULL, false, &err);
	buf_done(&err);
	return r;
}

static int
teardown(void **state)
{
	sasl_library_close();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_wrong),
		cmocka_unit_test(test_messages),
		cmocka_unit_test(test_scram_lies),
		cmocka_unit_test(test_choose),
		cmocka_unit_test(test_refused),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
