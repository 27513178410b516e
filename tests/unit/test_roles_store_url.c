/* URLs that authorize, as a reader sees them: whose they are, and what they open to whom. */
#include "roles_mail_kit.h"

#include "mail/imap_url.h"

#define BOX "imap://alice%40example.com@example.com/INBOX"
#define TEXT "Subject: x\r\n\r\ntext\r\n"

static void
begin(struct mail *m)
{
	struct to to[] = { { 0, "alice@example.com" } };
	mail_open(m, NULL);
	to[0].account = m->t.alice;
	assert_int_equal(deliver(m->t.front, 1, STR(TEXT), to, 1), ACCEPT_OK);
}

static enum access_status
ask_token(struct mail *m, const char *rump, struct access_token *ret)
{
	struct access_ask a = { .kind = ACCESS_TOKEN, .fresh = true, .url = str_of(rump) };
	struct access_head head;
	enum access_status status = ask(m, &a);
	struct wire w = wire_of(buf_str(&m->octets));
	if (status == ACCESS_OK)
		assert_true(access_head_get(&w, &head) && access_token_get(&w, ret) &&
			    wire_done(&w));
	return status;
}

static enum access_status
key(struct mail *m, uint8_t mode, const char *name)
{
	struct access_changed done;
	return change(m,
	    &(struct access_change){ .kind = ACCESS_KEY,
		.mode = mode,
		.name = str_of(name),
		.unchanged_since = UINT64_MAX },
	    &done);
}

static struct buf
authorized(struct mail *m, const char *rump)
{
	struct buf url = BUF_INIT(IMAP_URL_MAX);
	struct access_token t;
	assert_int_equal(key(m, ACCESS_ADD, "INBOX"), ACCESS_OK);
	assert_int_equal(ask_token(m, rump, &t), ACCESS_OK);
	assert_int_equal(t.token.len, IMAP_URL_TOKEN_LEN);
	buf_putf(&url, "%s:internal:" STR_FMT, rump, STR_ARG(t.token));
	return url;
}

/* Without a pass, as from a session of SMTP. */
static enum access_status
read_url(struct mail *m, struct str url, const char *who, bool submit, bool *ret_there)
{
	static const char none[PASS_MAC_LEN];
	struct access_ask a = { .kind = ACCESS_URL,
		.fresh = true,
		.submit = submit,
		.name = str_of(who),
		.what = ACCESS_META | ACCESS_OCTETS,
		.part = ACCESS_PART_ALL,
		.len = UINT64_MAX,
		.url = url };
	struct access_head head;
	struct access_letter row;
	enum access_status status = ask_as(m, 0, str_n(none, sizeof(none)), &a);
	struct wire w = wire_of(buf_str(&m->octets));
	*ret_there = status == ACCESS_OK && access_head_get(&w, &head) && w.left > 0;
	if (*ret_there)
		assert_true(access_letter_get(&w, &row) && row.uid == 1 &&
			    str_ends(row.octets, STR(TEXT)));
	return status;
}

static void
test_tokens(void **state)
{
	static const struct {
		const char *rump;
		enum access_status want;
	} rows[] = {
		{ BOX "/;UID=1;URLAUTH=anonymous", ACCESS_OK },
		{ "imap://alice@example.com/INBOX/;UID=1;URLAUTH=anonymous", ACCESS_OK },
		{ "imap://Alice@mail.example.com/inbox/;UID=1;URLAUTH=anonymous", ACCESS_OK },
		{ BOX "/;UID=99;URLAUTH=submit+nobody", ACCESS_OK },
		{ "imap://bob@example.com/INBOX/;UID=1;URLAUTH=anonymous", ACCESS_DENIED },
		{ "imap://nobody@example.com/INBOX/;UID=1;URLAUTH=anonymous", ACCESS_DENIED },
		{ "imap://example.com/INBOX/;UID=1;URLAUTH=anonymous", ACCESS_DENIED },
		{ "imap://alice@example.org/INBOX/;UID=1;URLAUTH=anonymous", ACCESS_CANNOT },
		{ "imap://alice@notexample.com/INBOX/;UID=1;URLAUTH=anonymous", ACCESS_CANNOT },
		{ "imap://alice@[::1]/INBOX/;UID=1;URLAUTH=anonymous", ACCESS_CANNOT },
		{ "imap://alice@example.com/gone/;UID=1;URLAUTH=anonymous", ACCESS_NOT_FOUND },
		{ "imap://alice@example.com/a//b/;UID=1;URLAUTH=anonymous", ACCESS_NOT_FOUND },
		{ BOX "/;UID=1", ACCESS_BAD },
		{ "x", ACCESS_BAD },
	};
	struct mail m;
	struct access_token t;
	begin(&m);
	for (unsigned round = 0; round < 2; round++) {
		for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
			enum access_status is = ask_token(&m, rows[i].rump, &t);
			if (is != rows[i].want)
				fail_msg("%s: %d", rows[i].rump, is);
			if (is == ACCESS_OK)
				assert_int_equal(t.token.len, round ? IMAP_URL_TOKEN_LEN : 0);
		}
		assert_int_equal(key(&m, ACCESS_ADD, "INBOX"), ACCESS_OK);
	}
	assert_int_equal(key(&m, ACCESS_REPLACE, "gone"), ACCESS_NOT_FOUND);
	mail_close(&m);
}

static void
test_access(void **state)
{
	static const struct {
		const char *access, *who;
		bool submit, may;
	} rows[] = {
		{ "anonymous", "", false, true },
		{ "anonymous", "bob@example.com", true, true },
		{ "authuser", "bob@example.com", false, true },
		{ "authuser", "", false, false },
		{ "authuser", "nobody@example.com", false, false },
		{ "user+bob", "bob@example.com", false, true },
		{ "user+bob%40example.com", "Bob@Example.com", true, true },
		{ "user+bob", "alice@example.com", false, false },
		{ "user+nobody", "nobody@example.com", false, false },
		{ "submit+bob", "bob@example.com", true, true },
		{ "submit+bob", "bob@example.com", false, false },
		{ "submit+bob", "alice@example.com", true, false },
	};
	struct mail m;
	begin(&m);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char rump[200];
		bool there;
		snprintf(rump, sizeof(rump), "%s%s", BOX "/;UID=1;URLAUTH=", rows[i].access);
		struct buf url = authorized(&m, rump);
		enum access_status is =
		    read_url(&m, buf_str(&url), rows[i].who, rows[i].submit, &there);
		if (is != (rows[i].may ? ACCESS_OK : ACCESS_DENIED) || there != rows[i].may)
			fail_msg("%s for %s: %d", rows[i].access, rows[i].who, is);
		url.p[url.len - 1] = url.p[url.len - 1] == '0' ? '1' : '0';
		assert_int_equal(read_url(&m, buf_str(&url), rows[i].who, rows[i].submit, &there),
		    ACCESS_DENIED);
		buf_done(&url);
	}
	mail_close(&m);
}

static void
test_ends(void **state)
{
	static const struct {
		const char *rump;
		enum access_status want;
		bool there;
	} rows[] = {
		{ BOX "/;UID=1;EXPIRE=2999-01-01T00:00:00Z;URLAUTH=anonymous", ACCESS_OK, true },
		{ BOX "/;UID=1;EXPIRE=2020-01-01T00:00:00Z;URLAUTH=anonymous", ACCESS_DENIED,
		    false },
		{ BOX "/;UID=2;URLAUTH=anonymous", ACCESS_OK, false },
		{ BOX ";UIDVALIDITY=1/;UID=1;URLAUTH=anonymous", ACCESS_NOT_FOUND, false },
	};
	struct mail m;
	bool there;
	begin(&m);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf url = authorized(&m, rows[i].rump);
		assert_int_equal(read_url(&m, buf_str(&url), "", false, &there), rows[i].want);
		assert_int_equal(there, rows[i].there);
		assert_int_equal(key(&m, i & 1 ? ACCESS_REPLACE : ACCESS_REMOVE,
				     i & 1 ? "INBOX" : ""),
		    ACCESS_OK);
		assert_int_equal(read_url(&m, buf_str(&url), "", false, &there), ACCESS_DENIED);
		buf_done(&url);
	}
	mail_close(&m);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_tokens, town_setup, town_teardown),
		cmocka_unit_test_setup_teardown(test_access, town_setup, town_teardown),
		cmocka_unit_test_setup_teardown(test_ends, town_setup, town_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
