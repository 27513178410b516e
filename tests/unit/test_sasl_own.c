#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/check.h"
#include "sasl/sasl.h"

#include <stdlib.h>
#include <string.h>

/* PLAIN, LOGIN, EXTERNAL, OAUTHBEARER and XOAUTH2: what the client says, and what becomes of it.
 * Each message is put into memory of just its size. */

#define NONE ((struct str){ NULL, 1 }) /* no initial response */
#define MSGS 4

static void
no_lookup(void *arg, struct str name, struct sasl_account *ret)
{
	fail_msg("none of these asks for facts");
}

static const struct row {
	const char *name, *mech;
	struct str msg[MSGS];                     /* ends with p NULL, len 0 */
	enum sasl_status status;                  /* after the last one */
	const char *authcid, *authzid, *password; /* then; NULL: not looked at */
	const char *external;
} rows[] = {
	/* RFC 4616 4 */
	{ "the RFC's first", "PLAIN", { STR("\0tim\0tanstaaftanstaaf") }, SASL_PASSWORD, "tim", "",
	    "tanstaaftanstaaf" },
	{ "the RFC's second", "PLAIN", { STR("Ursel\0Kurt\0xipj3plmq") }, SASL_PASSWORD, "Kurt",
	    "Ursel", "xipj3plmq" },
	{ "in two steps", "PLAIN", { NONE, STR("\0a\0b") }, SASL_PASSWORD, "a", "", "b" },
	{ "only begun", "PLAIN", { NONE }, SASL_CHALLENGE },
	{ "octets that are not UTF-8", "PLAIN", { STR("\0user-\xff\0\xfe\x80") }, SASL_PASSWORD,
	    "user-\xff", "", "\xfe\x80" },
	{ "blanks are octets", "PLAIN", { STR("\0 a \0 b ") }, SASL_PASSWORD, " a ", "", " b " },
	{ "nothing", "PLAIN", { STR("") }, SASL_MALFORMED },
	{ "no NUL", "PLAIN", { STR("user") }, SASL_MALFORMED },
	{ "one NUL", "PLAIN", { STR("user\0password") }, SASL_MALFORMED },
	{ "three NULs", "PLAIN", { STR("\0user\0pass\0word") }, SASL_MALFORMED },
	{ "no name", "PLAIN", { STR("\0\0password") }, SASL_MALFORMED },
	{ "no password", "PLAIN", { STR("\0user\0") }, SASL_MALFORMED },
	{ "NUL behind", "PLAIN", { STR("\0user\0password\0") }, SASL_MALFORMED },
	{ "only an authorization", "PLAIN", { STR("admin\0\0") }, SASL_MALFORMED },

	{ "both prompts", "LOGIN", { NONE, STR("alice"), STR("secret") }, SASL_PASSWORD, "alice",
	    "", "secret" },
	{ "name at once", "LOGIN", { STR("alice"), STR("secret") }, SASL_PASSWORD, "alice", "",
	    "secret" },
	{ "empty name", "LOGIN", { NONE, STR("") }, SASL_MALFORMED },
	{ "empty name at once", "LOGIN", { STR("") }, SASL_MALFORMED },
	{ "empty password", "LOGIN", { NONE, STR("alice"), STR("") }, SASL_MALFORMED },
	{ "NUL in the name", "LOGIN", { NONE, STR("al\0ice") }, SASL_MALFORMED },
	{ "NUL in the password", "LOGIN", { STR("alice"), STR("a\0b") }, SASL_MALFORMED },

	{ "empty at once", "EXTERNAL", { STR("") }, SASL_DONE, "carol@example.com", "", NULL,
	    "carol@example.com" },
	{ "empty later", "EXTERNAL", { NONE, STR("") }, SASL_DONE, "carol@example.com", "", NULL,
	    "carol@example.com" },
	{ "as somebody", "EXTERNAL", { STR("staff@example.com") }, SASL_DONE, "carol@example.com",
	    "staff@example.com", NULL, "carol@example.com" },
	{ "no certificate", "EXTERNAL", { STR("") }, SASL_FAILED },
	{ "no certificate, as somebody", "EXTERNAL", { STR("a@b") }, SASL_FAILED },
	{ "NUL in it", "EXTERNAL", { STR("a\0b") }, SASL_MALFORMED, NULL, NULL, NULL, "c@d" },

	/* RFC 7628 4.1 */
	{ "the RFC's", "OAUTHBEARER",
	    { STR("n,a=user@example.com,\1host=server.example.com\1port=143\1"
		  "auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\1\1") },
	    SASL_TOKEN, "user@example.com", NULL, "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==" },
	{ "without a name", "OAUTHBEARER", { STR("n,,\1auth=Bearer a.b.c\1\1") }, SASL_TOKEN, "",
	    NULL, "a.b.c" },
	{ "a client with bindings", "OAUTHBEARER", { STR("y,,\1auth=Bearer a\1\1") }, SASL_TOKEN },
	{ "scheme in another case", "OAUTHBEARER", { STR("n,,\1auth=bearer  a\1\1") }, SASL_TOKEN,
	    "", NULL, "a" },
	{ "later", "OAUTHBEARER", { NONE, STR("n,,\1auth=Bearer a\1\1") }, SASL_TOKEN },
	{ "name with a comma", "OAUTHBEARER", { STR("n,a=x=2Cy=3D,\1auth=Bearer a\1\1") },
	    SASL_TOKEN, "x,y=" },
	{ "what is wanted?", "OAUTHBEARER", { STR("n,,\1\1") }, SASL_CHALLENGE },
	{ "and the end of it", "OAUTHBEARER", { STR("n,,\1\1"), STR("\1") }, SASL_FAILED },
	{ "another scheme", "OAUTHBEARER", { STR("n,,\1auth=Basic YTpi\1\1") }, SASL_CHALLENGE },
	{ "a token of odd characters", "OAUTHBEARER", { STR("n,,\1auth=Bearer a b\1\1") },
	    SASL_CHALLENGE },
	{ "bound", "OAUTHBEARER", { STR("p=tls-exporter,,\1auth=Bearer a\1\1") }, SASL_MALFORMED },
	{ "no header", "OAUTHBEARER", { STR("\1auth=Bearer a\1\1") }, SASL_MALFORMED },
	{ "bad name", "OAUTHBEARER", { STR("n,a==41,\1auth=Bearer a\1\1") }, SASL_MALFORMED },
	{ "empty name", "OAUTHBEARER", { STR("n,a=,\1auth=Bearer a\1\1") }, SASL_MALFORMED },
	{ "one ^A at the end", "OAUTHBEARER", { STR("n,,\1auth=Bearer a\1") }, SASL_MALFORMED },
	{ "none at the end", "OAUTHBEARER", { STR("n,,\1auth=Bearer a") }, SASL_MALFORMED },
	{ "more behind the end", "OAUTHBEARER", { STR("n,,\1auth=Bearer a\1\1x") },
	    SASL_MALFORMED },
	{ "two credentials", "OAUTHBEARER", { STR("n,,\1auth=Bearer a\1auth=Bearer b\1\1") },
	    SASL_MALFORMED },
	{ "key without value", "OAUTHBEARER", { STR("n,,\1auth\1\1") }, SASL_MALFORMED },
	{ "no key", "OAUTHBEARER", { STR("n,,\1=x\1\1") }, SASL_MALFORMED },
	{ "NUL in a value", "OAUTHBEARER", { STR("n,,\1host=a\0b\1\1") }, SASL_MALFORMED },
	{ "nothing at all", "OAUTHBEARER", { STR("") }, SASL_MALFORMED },

	{ "as Google has it", "XOAUTH2",
	    { STR("user=someuser@example.com\1auth=Bearer ya29.vF9dft4qmTc2\1\1") }, SASL_TOKEN,
	    "someuser@example.com", NULL, "ya29.vF9dft4qmTc2" },
	{ "later", "XOAUTH2", { NONE, STR("user=a\1auth=Bearer x\1\1") }, SASL_TOKEN, "a" },
	{ "another scheme", "XOAUTH2", { STR("user=a\1auth=Basic x\1\1") }, SASL_CHALLENGE },
	{ "refused, the end", "XOAUTH2", { STR("user=a\1auth=Basic x\1\1"), STR("") },
	    SASL_FAILED },
	{ "no user", "XOAUTH2", { STR("user=\1auth=Bearer x\1\1") }, SASL_MALFORMED },
	{ "no auth", "XOAUTH2", { STR("user=a\1\1") }, SASL_MALFORMED },
	{ "one ^A", "XOAUTH2", { STR("user=a\1auth=Bearer x\1") }, SASL_MALFORMED },
	{ "the other way round", "XOAUTH2", { STR("auth=Bearer x\1user=a\1\1") }, SASL_MALFORMED },
	{ "nothing", "XOAUTH2", { STR("") }, SASL_MALFORMED },
};

static struct sasl *
begin(const char *mech, const char *external)
{
	struct sasl_conf conf = { .service = "smtp",
		.host = "mail.example.org",
		.external = str_of(external),
		.lookup = no_lookup };
	struct sasl *s = sasl_new(sasl_mech_find(str_of(mech)), &conf);
	assert_non_null(s);
	return s;
}

static enum sasl_status
say(struct sasl *s, struct str msg)
{
	if (!msg.p)
		return sasl_step(s, NULL);
	char *copy = xmemdup(msg.len ? msg.p : "", msg.len ? msg.len : 1);
	struct str in = { copy, msg.len };
	enum sasl_status r = sasl_step(s, &in);
	free(copy);
	return r;
}

static bool
is(struct str got, const char *want)
{
	return !want || str_eq(got, str_of(want));
}

static void
test_rows(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct row *r = &rows[i];
		struct sasl *s = begin(r->mech, r->external);
		enum sasl_status status = SASL_CHALLENGE;
		for (size_t k = 0; k < MSGS && (r->msg[k].p || r->msg[k].len); k++) {
			if (status != SASL_CHALLENGE)
				fail_msg("%s %s: ends before message %zu", r->mech, r->name, k);
			status = say(s, r->msg[k]);
		}
		if (status != r->status)
			fail_msg("%s %s: status %d", r->mech, r->name, status);
		if (!is(sasl_authcid(s), r->authcid) || !is(sasl_authzid(s), r->authzid) ||
		    !is(sasl_password(s), r->password))
			fail_msg("%s %s: not who it is", r->mech, r->name);
		/* Behind the end nothing is heard any more. */
		if (status != SASL_CHALLENGE)
			assert_int_equal(say(s, STR("x")), SASL_MALFORMED);
		s = sasl_free(s);
	}
}

static void
test_prompts(void **state)
{
	struct sasl *s = begin("LOGIN", NULL);
	assert_int_equal(say(s, NONE), SASL_CHALLENGE);
	assert_true(is(sasl_out(s), "Username:"));
	assert_int_equal(say(s, STR("a")), SASL_CHALLENGE);
	assert_true(is(sasl_out(s), "Password:"));
	s = sasl_free(s);

	char user[] = "User Name", pass[] = "Passwort bitte";
	struct sasl_conf conf = { .service = "smtp",
		.host = "h",
		.user_prompt = user,
		.pass_prompt = pass,
		.lookup = no_lookup };
	s = sasl_new(sasl_mech_find(STR("login")), &conf);
	memset(user, 'x', sizeof(user)); /* it has a copy */
	memset(pass, 'x', sizeof(pass));
	assert_int_equal(say(s, NONE), SASL_CHALLENGE);
	assert_true(is(sasl_out(s), "User Name"));
	assert_int_equal(say(s, STR("a")), SASL_CHALLENGE);
	assert_true(is(sasl_out(s), "Passwort bitte"));
	s = sasl_free(s);
}

static void
test_password_answers(void **state)
{
	static const char *const mechs[] = { "PLAIN", "LOGIN" };
	for (size_t i = 0; i < 4; i++) {
		struct sasl *s = begin(mechs[i % 2], NULL);
		if (i % 2)
			assert_int_equal(say(s, STR("Alice")), SASL_CHALLENGE);
		assert_int_equal(say(s, i % 2 ? STR("pw") : STR("\0Alice\0pw")), SASL_PASSWORD);
		assert_int_equal(sasl_answer(s, i < 2, STR("alice@example.com")),
		    i < 2 ? SASL_DONE : SASL_FAILED);
		assert_true(is(sasl_authcid(s), i < 2 ? "alice@example.com" : "Alice"));
		assert_int_equal(sasl_password(s).len, 0); /* wiped */
		assert_int_equal(sasl_out(s).len, 0);
		s = sasl_free(s);
	}
}

static const struct token_row {
	const char *mech;
	struct str msg;
	bool good;
	const char *owner;
	enum sasl_status status;
	const char *authcid, *authzid;
} tokens[] = {
	{ "OAUTHBEARER", STR("n,a=al@example.com,\1auth=Bearer t\1\1"), true, "al@example.com",
	    SASL_DONE, "al@example.com", "" },
	{ "OAUTHBEARER", STR("n,a=AL@example.com,\1auth=Bearer t\1\1"), true, "al@example.com",
	    SASL_DONE, "al@example.com", "" },
	{ "OAUTHBEARER", STR("n,a=bob@example.com,\1auth=Bearer t\1\1"), true, "al@example.com",
	    SASL_DONE, "al@example.com", "bob@example.com" },
	{ "OAUTHBEARER", STR("n,,\1auth=Bearer t\1\1"), true, "al@example.com", SASL_DONE,
	    "al@example.com", "" },
	{ "OAUTHBEARER", STR("n,a=al@example.com,\1auth=Bearer t\1\1"), true, "", SASL_DONE,
	    "al@example.com", "" },
	{ "OAUTHBEARER", STR("n,,\1auth=Bearer t\1\1"), true, "", SASL_FAILED, "", "" },
	{ "OAUTHBEARER", STR("n,,\1auth=Bearer t\1\1"), false, "", SASL_CHALLENGE, "", "" },
	{ "XOAUTH2", STR("user=al@example.com\1auth=Bearer t\1\1"), true, "al@example.com",
	    SASL_DONE, "al@example.com", "" },
	{ "XOAUTH2", STR("user=bob@example.com\1auth=Bearer t\1\1"), true, "al@example.com",
	    SASL_DONE, "al@example.com", "bob@example.com" },
	{ "XOAUTH2", STR("user=al@example.com\1auth=Bearer t\1\1"), false, "", SASL_CHALLENGE,
	    "al@example.com", NULL },
};

static void
test_token_answers(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(tokens); i++) {
		const struct token_row *r = &tokens[i];
		struct sasl *s = begin(r->mech, NULL);
		assert_int_equal(say(s, r->msg), SASL_TOKEN);
		assert_true(is(sasl_password(s), "t"));
		if (sasl_answer(s, r->good, str_of(r->owner)) != r->status)
			fail_msg("row %zu", i);
		assert_true(is(sasl_authcid(s), r->authcid) && is(sasl_authzid(s), r->authzid));
		assert_int_equal(sasl_password(s).len, 0);
		if (r->status == SASL_CHALLENGE) {
			bool bearer = r->mech[0] == 'O';
			assert_true(is(sasl_out(s),
			    bearer ? "{\"status\":\"invalid_token\",\"schemes\":\"bearer\"}"
				   : "{\"status\":\"401\",\"schemes\":\"bearer\"}"));
			assert_int_equal(say(s, bearer ? STR("\1") : STR("")), SASL_FAILED);
		}
		s = sasl_free(s);
	}
}

/* As long as may be, and one octet more. */
static void
test_caps(void **state)
{
	for (size_t over = 0; over < 2; over++) {
		static const struct {
			const char *mech;
			size_t cap;
			enum sasl_status good;
		} caps[] = {
			{ "LOGIN", SASL_NAME_MAX - 1, SASL_CHALLENGE },
			{ "EXTERNAL", SASL_NAME_MAX - 1, SASL_DONE },
		};
		for (size_t i = 0; i < ARRAY_LEN(caps); i++) {
			struct buf b = BUF_INIT(1 << 16);
			for (size_t n = 0; n < caps[i].cap + over; n++)
				buf_putc(&b, 'x');
			struct sasl *s = begin(caps[i].mech, "c@d");
			assert_int_equal(say(s, buf_str(&b)), over ? SASL_MALFORMED : caps[i].good);
			s = sasl_free(s);
			buf_done(&b);
		}
		struct buf b = BUF_INIT(1 << 16);
		buf_puts(&b, STR("\0a\0"));
		for (size_t n = 0; n < SASL_PASSWORD_MAX - 1 + over; n++)
			buf_putc(&b, 'x');
		struct sasl *s = begin("PLAIN", NULL);
		assert_int_equal(say(s, buf_str(&b)), over ? SASL_MALFORMED : SASL_PASSWORD);
		s = sasl_free(s);

		buf_reset(&b);
		buf_puts(&b, STR("n,,\1auth=Bearer "));
		while (b.len < SASL_MESSAGE_MAX - 2 + over)
			buf_putc(&b, 'x');
		buf_puts(&b, STR("\1\1"));
		s = begin("OAUTHBEARER", NULL);
		assert_int_equal(say(s, buf_str(&b)), over ? SASL_MALFORMED : SASL_TOKEN);
		s = sasl_free(s);
		buf_done(&b);
	}
}

/* Every message cut short at every octet: no end but a right one, and nothing read behind it. */
static void
test_cut(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct row *r = &rows[i];
		if (!r->msg[0].p)
			continue;
		for (size_t n = 0; n < r->msg[0].len; n++) {
			struct sasl *s = begin(r->mech, "c@d");
			say(s, str_first(r->msg[0], n));
			s = sasl_free(s);
		}
	}
}

static void
test_question_is_open(void **state)
{
	struct sasl *s = begin("PLAIN", NULL);
	assert_int_equal(say(s, STR("\0a\0b")), SASL_PASSWORD);
	assert_int_equal(say(s, STR("\0c\0d")), SASL_MALFORMED);
	assert_true(is(sasl_authcid(s), "a"));
	assert_int_equal(sasl_answer(s, true, STR_NULL), SASL_DONE);
	assert_true(is(sasl_authcid(s), "a"));
	s = sasl_free(s);
	s = sasl_free(s);
	assert_null(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_prompts),
		cmocka_unit_test(test_password_answers),
		cmocka_unit_test(test_token_answers),
		cmocka_unit_test(test_caps),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_question_is_open),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
