/* What IMAP and POP3 say: the sections of a dialect, their mistakes, and the texts put together. */
#include "kit/smtp_kit.h"

#include "dialect/access_words.h"

struct shelf {
	const char *text;
};

static bool
find(void *arg, struct str name, struct str *ret_text)
{
	const struct shelf *s = arg;
	if (!str_eq(name, STR("x")))
		return dialect_find_builtin(NULL, name, ret_text);
	*ret_text = str_of(s->text);
	return true;
}

static void
says(const struct buf *out, const char *want)
{
	if (!str_eq(buf_str(out), str_of(want)))
		fail_msg("\"" STR_FMT "\" is not \"%s\"", STR_ARG(buf_str(out)), want);
}

static const struct {
	const char *cmd, *imap, *pop3;
} oks[] = {
	{ "CAPABILITY", "CAPABILITY completed", "CAPABILITY completed" },
	{ "LOGIN", "LOGIN completed", "LOGIN completed" },
	{ "STARTTLS", "Begin TLS negotiation now", "STARTTLS completed" },
	{ "starttls", "Begin TLS negotiation now", "starttls completed" },
	{ "UID FETCH", "UID FETCH completed", "UID FETCH completed" },
	{ "UID", "UID completed", "UID completed" },
	{ "STLS", "STLS completed", "begin TLS negotiation now" },
	{ "RETR", "RETR completed", "120 octets" },
	{ "a\r\nb OK", "a??b OK completed", "a??b OK completed" },
	{ "\xc3\xa4", "?? completed", "?? completed" },
	{ "", " completed", " completed" },
};

static void
rfc(void **state)
{
	struct smtp_wording *w = kit_wording("rfc");
	struct smtp_vars v = { 0 };
	struct buf out = BUF_INIT(4096);
	v.v[SMTP_VAR_host] = STR("mail.example.net");
	v.v[SMTP_VAR_size] = STR("120");
	v.v[SMTP_VAR_reason] = STR("no such command\r\na2 OK");
	assert_non_null(w->access);
	const struct imap_wording *imap = &w->access->imap;
	const struct pop3_wording *pop3 = &w->access->pop3;
	for (size_t i = 0; i < ARRAY_LEN(oks); i++) {
		buf_reset(&out);
		imap_ok_put(&out, imap, str_of(oks[i].cmd), &v);
		says(&out, oks[i].imap);
		buf_reset(&out);
		pop3_ok_put(&out, pop3, str_of(oks[i].cmd), &v);
		says(&out, oks[i].pop3);
	}
	for (int i = 0; i < IMAP_SHOWN_COUNT; i++)
		assert_int_equal(imap->shown[i].len, 0);
	buf_reset(&out);
	imap_says_put(&out, imap, IMAP_SAYS_GREETING, &v);
	says(&out, "mail.example.net IMAP ready");
	buf_reset(&out);
	imap_says_put(&out, imap, IMAP_SAYS_BAD_SYNTAX, &v);
	says(&out, "no such command??a2 OK");
	buf_reset(&out);
	pop3_says_put(&out, pop3, POP3_SAYS_QUIT, NULL);
	says(&out, " closing connection");
	assert_false(imap_says_code(imap, IMAP_SAYS_NO_LOGIN));
	assert_false(pop3_says_code(pop3, POP3_SAYS_ERR_AUTH));
	buf_done(&out);
	dialect_free(w);
}

/* A peer's words can make a text neither long nor break its line. */
static void
hostile(void **state)
{
	struct smtp_wording *w = kit_wording("rfc");
	struct smtp_vars v;
	char big[5000];
	memset(big, '\n', sizeof(big));
	for (int i = 0; i < SMTP_VAR_COUNT; i++)
		v.v[i] = str_n(big, sizeof(big));
	for (int i = 0; i < IMAP_SAYS_COUNT; i++) {
		struct buf out = BUF_INIT(4096);
		imap_says_put(&out, &w->access->imap, (enum imap_says)i, &v);
		assert_true(out.len > 0 && out.len <= SMTP_REPLY_LINE_MAX);
		assert_int_equal(str_find_any(buf_str(&out), "\r\n"), out.len);
		buf_done(&out);
	}
	struct buf out = BUF_INIT(4096), full = BUF_INIT(4);
	imap_ok_put(&out, &w->access->imap, str_n(big, sizeof(big)), &v);
	assert_true(out.len < 100);
	imap_ok_put(&full, &w->access->imap, STR("NOOP"), &v);
	assert_true(full.failed);
	buf_done(&out);
	buf_done(&full);
	dialect_free(w);
}

static void
own_words(void **state)
{
	struct shelf shelf = { "base = rfc\n[imap]\ngreeting = [ALERT] hello ${host}\n"
			       "capability.pre = IMAP4rev1 STARTTLS LOGINDISABLED\n"
			       "ok.FETCH = here you are\nok.LOGIN = ${user} is in\nbye = ${empty}\n"
			       "[pop3]\nerr.auth = [SYS/PERM] no\nok = fine\nok.PASS = in\n" };
	struct buf err = BUF_INIT(4096), out = BUF_INIT(1 << 16);
	struct smtp_wording *w = dialect_load(STR("x"), find, &shelf, &err);
	if (!w)
		fail_msg("%s", buf_cstr(&err));
	const struct imap_wording *imap = &w->access->imap;
	const struct pop3_wording *pop3 = &w->access->pop3;
	assert_true(imap_says_code(imap, IMAP_SAYS_GREETING));
	assert_true(pop3_says_code(pop3, POP3_SAYS_ERR_AUTH));
	assert_true(str_eq(imap->shown[IMAP_SHOWN_PRE], STR("IMAP4rev1 STARTTLS LOGINDISABLED")));
	imap_ok_put(&out, imap, STR("UID FETCH"), NULL);
	says(&out, "here you are");
	buf_reset(&out);
	imap_says_put(&out, imap, IMAP_SAYS_BYE, NULL);
	says(&out, "");
	pop3_ok_put(&out, pop3, STR("NOOP"), NULL);
	says(&out, "fine");
	/* What is shown can be read again. */
	struct buf shown = BUF_INIT(1 << 16), twice = BUF_INIT(1 << 16);
	buf_putz(&shown, "base = rfc\n");
	dialect_words_show(w, DIALECT_IMAP, &shown);
	dialect_words_show(w, DIALECT_POP3, &shown);
	struct smtp_wording *again =
	    dialect_load(STR("x"), find, &(struct shelf){ buf_cstr(&shown) }, &err);
	assert_non_null(again);
	buf_putz(&twice, "base = rfc\n");
	dialect_words_show(again, DIALECT_IMAP, &twice);
	dialect_words_show(again, DIALECT_POP3, &twice);
	assert_true(str_eq(buf_str(&shown), buf_str(&twice)));
	dialect_free(again);
	dialect_free(w);
	buf_done(&shown);
	buf_done(&twice);
	buf_done(&err);
	buf_done(&out);
}

static const struct {
	const char *text, *want;
} mistakes[] = {
	{ "[imap]\ngreting = x\n", "x.dialect:3: greting: there is no such key" },
	{ "[imap]\nok.FECTH = x\n", "ok.FECTH: there is no such key" },
	{ "[imap]\nok. = x\n", "ok.: there is no such key" },
	{ "[imap]\nfetch = x\n", "fetch: there is no such key" },
	{ "[imap]\nFETCH = x\n", "FETCH: there is no such key" },
	{ "[imap]\nquit = x\n", "quit: there is no such key" },
	{ "[pop3]\nbye = x\n", "bye: there is no such key" },
	{ "[imap]\nbye =\n", "bye: no text" },
	{ "[imap]\nbye = \xc3\xa4\n", "bye: here a text is ASCII" },
	{ "[imap]\nbye = a\tb\x01\n", "control character" },
	{ "[imap]\nbye = ${colour}\n", "no such variable" },
	{ "[imap]\nbye = [ALERT\n", "[ without ]" },
	{ "[imap]\nok.SELECT = [READ-WRITE] yes\n", "the response code of an OK" },
	{ "[imap]\nok = [X] yes\n", "the response code of an OK" },
	{ "[imap]\ncapability.pre = STARTTLS\n", "names IMAP4rev1" },
	{ "[imap]\ncapability.tls = IMAP4rev1 ${mechs}\n", "words parted by blanks" },
	{ "[imap]\ncapability.auth = IMAP4rev1 (\n", "words parted by blanks" },
};

static void
mistakes_are_named(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(mistakes); i++) {
		struct buf text = BUF_INIT(4096), err = BUF_INIT(1 << 16);
		buf_putf(&text, "base = rfc\n%s", mistakes[i].text);
		assert_null(dialect_load(STR("x"), find, &(struct shelf){ buf_cstr(&text) }, &err));
		if (!strstr(buf_cstr(&err), mistakes[i].want))
			fail_msg("want \"%s\" in:\n%s", mistakes[i].want, buf_cstr(&err));
		buf_done(&text);
		buf_done(&err);
	}
	struct buf text = BUF_INIT(4096), err = BUF_INIT(1 << 16);
	buf_putz(&text, "base = rfc\n[imap]\ncapability.pre = IMAP4rev1");
	while (text.len < 1000)
		buf_putz(&text, " X-LONG");
	assert_null(dialect_load(STR("x"), find, &(struct shelf){ buf_cstr(&text) }, &err));
	assert_non_null(strstr(buf_cstr(&err), "longer than 900"));
	buf_reset(&text);
	buf_reset(&err);
	buf_putz(&text, "base = rfc\n[imap]\nbye = ");
	while (text.len < 600)
		buf_putz(&text, "bye ");
	assert_null(dialect_load(STR("x"), find, &(struct shelf){ buf_cstr(&text) }, &err));
	assert_non_null(strstr(buf_cstr(&err), "longer than 510"));
	buf_done(&text);
	buf_done(&err);
}

static void
overrides(void **state)
{
	struct smtp_wording *w = kit_wording("sendmail");
	struct buf err = BUF_INIT(4096), out = BUF_INIT(4096);
	assert_true(dialect_override(w, STR("imap.ok.LOGIN"), STR("hello"), &err));
	assert_true(dialect_override(w, STR("pop3.quit"), STR("so long"), &err));
	assert_false(dialect_override(w, STR("imap.nothing"), STR("x"), &err));
	assert_string_equal(buf_cstr(&err),
	    "reply.imap.nothing: there is no such key; `pennypost dialect show rfc` lists them\n");
	assert_false(dialect_override(w, STR("pop3.quit"), STR("a\nb"), &err));
	imap_ok_put(&out, &w->access->imap, STR("LOGIN"), NULL);
	says(&out, "hello");
	buf_reset(&out);
	pop3_says_put(&out, &w->access->pop3, POP3_SAYS_QUIT, NULL);
	says(&out, "so long");
	dialect_free(w);
	buf_done(&err);
	buf_done(&out);
}

static const struct {
	const char *section, *warning; /* NULL: none */
	bool starttls, cleartext;
} lists[] = {
	{ "capability.pre = IMAP4rev1 STARTTLS LOGINDISABLED", NULL, true, false },
	{ "capability.pre = IMAP4rev1 STARTTLS", "LOGINDISABLED is not shown", true, false },
	{ "capability.pre = IMAP4rev1 STARTTLS", NULL, true, true },
	{ "capability.pre = IMAP4rev1 LOGINDISABLED", "STARTTLS works and is not shown", true,
	    false },
	{ "capability.pre = IMAP4rev1 STARTTLS LOGINDISABLED", "STARTTLS is shown and does not",
	    false, false },
	{ "capability.tls = IMAP4rev1 AUTH=PLAIN", NULL, true, false },
	{ "capability.tls = IMAP4rev1 AUTH=NTLM", "AUTH NTLM is shown and does not work", true,
	    false },
	{ "capability.tls = IMAP4rev1 STARTTLS", "inside TLS", true, false },
	{ "capability.auth = IMAP4rev1 idle APPENDLIMIT=500", NULL, true, false },
	{ "capability.auth = IMAP4rev1 METADATA", "METADATA is shown and does not work", true,
	    false },
};

static void
shown_and_working(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		struct buf text = BUF_INIT(4096), err = BUF_INIT(4096), warn = BUF_INIT(1 << 16);
		buf_putf(&text,
		    "base = rfc\n[ehlo]\nfirst = x\ncap = ?starttls STARTTLS\n[imap]\n%s\n",
		    lists[i].section);
		struct smtp_wording *w =
		    dialect_load(STR("x"), find, &(struct shelf){ buf_cstr(&text) }, &err);
		assert_non_null(w);
		struct dialect_works works = { .starttls = lists[i].starttls,
			.auth_cleartext = lists[i].cleartext,
			.mechs = STR("PLAIN LOGIN"),
			.imap = STR("IMAP4rev1 IDLE LOGINDISABLED APPENDLIMIT") };
		dialect_check(w, &works, &warn);
		bool ok = lists[i].warning ? warn.len && strstr(buf_cstr(&warn), lists[i].warning)
		                           : warn.len == 0;
		if (!ok)
			fail_msg("%s -> %s", lists[i].section, warn.len ? buf_cstr(&warn) : "");
		dialect_free(w);
		buf_done(&text);
		buf_done(&err);
		buf_done(&warn);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(rfc),
		cmocka_unit_test(hostile),
		cmocka_unit_test(own_words),
		cmocka_unit_test(mistakes_are_named),
		cmocka_unit_test(overrides),
		cmocka_unit_test(shown_and_working),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
