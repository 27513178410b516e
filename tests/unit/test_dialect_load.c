/* The eleven files, and every mistake the loader must see. */
#include "kit/smtp_kit.h"

static const char *const famous[] = { "citadel", "exchange", "iis6", "ironport", "mandrill",
	"postfix", "powermta", "rfc", "seed004", "sendgrid", "sendmail" };

/* Texts of the test's own, in front of the built-in ones. */
struct shelf {
	const char *name[4], *text[4];
};

static bool
find(void *arg, struct str name, struct str *ret_text)
{
	const struct shelf *s = arg;
	for (size_t i = 0; i < ARRAY_LEN(s->name) && s->name[i]; i++) {
		if (str_eq(name, str_of(s->name[i]))) {
			*ret_text = str_of(s->text[i]);
			return true;
		}
	}
	return dialect_find_builtin(NULL, name, ret_text);
}

static void
all_files(void **state)
{
	size_t n = 0;
	while (dialect_builtin[n].name)
		n++;
	assert_int_equal(n, ARRAY_LEN(famous));
	for (size_t i = 0; i < ARRAY_LEN(famous); i++) {
		struct smtp_wording *w = kit_wording(famous[i]);
		assert_true(str_eq(w->name, str_of(famous[i])));
		assert_true(w->label.len > 0);
		for (int s = 0; s < SMTP_SITUATION_COUNT; s++)
			assert_true(w->reply[s].len >= 4);
		dialect_free(w);
	}
}

/* No situation of the table is missing in rfc.dialect; the loader refuses the other way round. */
static void
rfc_is_the_table(void **state)
{
	struct str text;
	assert_true(dialect_find_builtin(NULL, STR("rfc"), &text));
	size_t lines = 0;
	bool replies = false;
	while (text.p) {
		struct str line = str_cut(&text, '\n');
		if (line.len && line.p[0] == '[')
			replies = str_eq(line, STR("[replies]"));
		else if (replies && line.len && line.p[0] != '#')
			lines++;
	}
	assert_int_equal(lines, SMTP_SITUATION_COUNT);
}

static void
hostile_vars(struct smtp_vars *v, const char *big, size_t n)
{
	for (int i = 0; i < SMTP_VAR_COUNT; i++)
		v->v[i] = str_n(big, n);
}

static void
check_lines(const char *name, struct buf *out)
{
	struct str text = buf_str(out);
	int code = 0;
	assert_false(out->failed);
	while (text.len) {
		size_t nl = str_find_str(text, STR("\r\n"));
		struct str line = str_first(text, nl);
		if (nl == text.len || line.len > SMTP_REPLY_LINE_MAX || line.len < 4)
			fail_msg("%s: bad line " STR_FMT, name, STR_ARG(line));
		for (size_t i = 0; i < line.len; i++)
			assert_true(((unsigned char)line.p[i] >= ' ' || line.p[i] == '\t') &&
				    line.p[i] != 0x7f);
		int this = (line.p[0] - '0') * 100 + (line.p[1] - '0') * 10 + (line.p[2] - '0');
		assert_true(code == 0 || code == this);
		code = this;
		text = str_skip(text, nl + 2);
		assert_int_equal(line.p[3], text.len ? '-' : ' ');
	}
	buf_reset(out);
}

static void
hostile(void **state)
{
	static const char *const seeds[] = { "\r\n250 ok\r\n", "\xff\xfe", "\x1b[2J", "\xc3\xa9",
		"${host}", "x" };
	struct buf out = BUF_INIT(1u << 20), big = BUF_INIT(1u << 20);
	for (size_t i = 0; i < ARRAY_LEN(famous); i++) {
		struct smtp_wording *w = kit_wording(famous[i]);
		for (size_t j = 0; j < ARRAY_LEN(seeds); j++) {
			struct smtp_vars vars;
			buf_reset(&big);
			while (big.len < 3000)
				buf_putz(&big, seeds[j]);
			buf_putc(&big, '\0');
			hostile_vars(&vars, big.p, big.len);
			for (int s = 0; s < SMTP_SITUATION_COUNT; s++) {
				smtp_reply_put(&out, w, (enum smtp_situation)s, &vars);
				check_lines(famous[i], &out);
			}
			for (int on = 0; on < 2; on++) {
				bool cond[SMTP_COND_COUNT];
				memset(cond, on, sizeof(cond));
				smtp_ehlo_put(&out, w, &vars, cond);
				check_lines(famous[i], &out);
			}
		}
		dialect_free(w);
	}
	buf_done(&out);
	buf_done(&big);
}

static void
inheritance(void **state)
{
	struct smtp_wording *w = kit_wording("mandrill");
	assert_true(str_eq(w->reply[SMTP_GREETING], STR("220 ${host} ESMTP")));
	assert_true(str_eq(w->reply[SMTP_QUIT_OK], STR("221 2.0.0 Bye"))); /* postfix */
	assert_true(str_eq(w->reply[SMTP_BDAT_SYNTAX],
	    STR("501 5.5.4 syntax: BDAT size [LAST]"))); /* rfc */
	assert_int_equal(w->quirks.qid_style, QID_POSTFIX);
	assert_int_equal(w->quirks.tls_advert, 1);
	assert_int_equal(w->quirks.require_helo, 0);
	assert_int_equal(w->n_cap, 6);
	dialect_free(w);
	w = kit_wording("seed004");
	assert_int_equal(w->n_cap, 0);
	assert_true(str_eq(w->ehlo_first, STR("${helo}")));
	dialect_free(w);
	w = kit_wording("sendmail");
	assert_true(str_eq(w->quirks.mechs, STR("DIGEST-MD5 CRAM-MD5")));
	assert_int_equal(w->quirks.quit_silent, 0);
	dialect_free(w);
	w = kit_wording("iis6");
	assert_int_equal(w->quirks.quit_silent, 1);
	assert_int_equal(w->quirks.bad_cmd_limit, -1);
	assert_true(str_starts(w->reply[SMTP_HELP_OK],
	    STR("214 This server supports the following commands:\nHELO")));
	dialect_free(w);
	w = kit_wording("powermta");
	assert_int_equal(w->quirks.ipmm_brackets, 1);
	dialect_free(w);
}

static const struct mistake {
	const char *text, *want;
} mistakes[] = {
	{ "dialect = y\nbase = rfc\n", "x.dialect:1: dialect is y" },
	{ "base = nowhere\n", "x.dialect:1: there is no dialect called nowhere" },
	{ "base = x\n", "base goes deeper" },
	{ "dialect = x\n", "x.dialect: no text for greeting" },
	{ "base = rfc\ncolour = red\n", "x.dialect:2: unknown key colour" },
	{ "base = rfc\n[colours]\n", "x.dialect:2: unknown section [colours]" },
	{ "base = rfc\n[replies]\nmail.good = 250 ok\n",
	    "x.dialect:3: unknown situation mail.good" },
	{ "base = rfc\n[replies]\nnonsense\n", "x.dialect:3: neither" },
	{ "base = rfc\n[replies]\n= 250 x\n", "x.dialect:3: neither" },
	{ "base = rfc\n[replies]\nmail.ok = 25 ok\n", "three digits" },
	{ "base = rfc\n[replies]\nmail.ok = 250\n", "three digits" },
	{ "base = rfc\n[replies]\nmail.ok = 250-ok\n", "three digits" },
	{ "base = rfc\n[replies]\nmail.ok = 150 ok\n", "three digits" },
	{ "base = rfc\n[replies]\n\nmail.ok = 250 ${colour}\n",
	    "x.dialect:4: mail.ok: no such variable" },
	{ "base = rfc\n[replies]\nmail.ok = 250 ${from\n", "${ without }" },
	{ "base = rfc\n[replies]\nmail.ok = 250 \x01\n", "control character" },
	{ "base = rfc\n[replies]\nmail.ok = 250 \xff\n", "not UTF-8" },
	{ "base = rfc\n[replies]\nmail.ok = 550 no\n", "success must keep" },
	{ "base = rfc\n[replies]\ndata.go = 250 ok\n", "success must keep" },
	{ "base = rfc\n[replies]\nquit.ok = 421 bye\n", "success must keep" },
	{ "base = rfc\n[replies]\nrcpt.relay = 250 ok\n", "refusal must stay" },
	{ "base = rfc\n[replies]\nauth.fail = 235 ok\n", "refusal must stay" },
	{ "base = rfc\n[replies]\nauth.fail = 334 go on\n", "refusal must stay" },
	{ "base = rfc\n[replies]\nvrfy.unknown = 250 ok\n", "refusal must stay" },
	{ "base = rfc\n[replies]\nshutdown = 554 bye\n", "closing reply must keep" },
	{ "base = rfc\n[replies]\ngreeting.reject = 220 come in\n", "closing reply must keep" },
	{ "base = rfc\n[ehlo]\nlast = x\n", "unknown key last" },
	{ "base = rfc\n[ehlo]\ncap = ?weather SUNNY\n", "unknown condition weather" },
	{ "base = rfc\n[ehlo]\ncap = ?auth\n", "no text" },
	{ "base = rfc\n[ehlo]\ncap =\n", "no text" },
	{ "base = rfc\n[ehlo]\nfirst = ${colour}\n", "no such variable" },
	{ "base = rfc\n[quirks]\nrequire_helo = maybe\n",
	    "require_helo cannot be \"maybe\"; it can be: no yes" },
	{ "base = rfc\n[quirks]\nqid_style = roman ; numerals\n", "qid_style cannot be \"roman\"" },
	{ "base = rfc\n[quirks]\nbad_cmd_limit = -1\n", "cannot be" },
	{ "base = rfc\n[quirks]\nmechs = ${host}\n", "cannot be" },
	{ "base = rfc\n[quirks]\nopen_relay = yes\n",
	    "unknown quirk open_relay; there are: require_helo" },
	{ "base = rfc\n[quirks]\n!open_relay = yes\n", "unknown quirk open_relay" },
	{ "base = rfc\n[quirks]\nbare_lf = session\n", "x.dialect:3: bare_lf = session weakens" },
	{ "base = rfc\n[quirks]\n!bare_lf = perhaps\n", "bare_lf cannot be" },
};

static void
mistakes_are_named(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(mistakes); i++) {
		struct shelf shelf = { { "x" }, { mistakes[i].text } };
		struct buf err = BUF_INIT(1u << 16);
		assert_null(dialect_load(STR("x"), find, &shelf, &err));
		if (!strstr(buf_cstr(&err), mistakes[i].want))
			fail_msg("want \"%s\" in:\n%s", mistakes[i].want, buf_cstr(&err));
		buf_done(&err);
	}
	struct buf err = BUF_INIT(100);
	assert_null(dialect_load(STR("nowhere"), find, &(struct shelf){ 0 }, &err));
	assert_non_null(strstr(buf_cstr(&err), "nowhere.dialect: there is no dialect"));
	buf_done(&err);
}

static void
all_mistakes_at_once(void **state)
{
	struct shelf shelf = { { "x", "y" }, { "base = y\n[replies]\nmail.ok = 550 x\nzzz = 1\n",
						 "base = rfc\n[replies]\nrcpt.ok = 550 x\n" } };
	struct buf err = BUF_INIT(1u << 16);
	assert_null(dialect_load(STR("x"), find, &shelf, &err));
	assert_string_equal(buf_cstr(&err),
	    "y.dialect:3: rcpt.ok: a success must keep the first digit of its code, 2 or 3\n"
	    "x.dialect:3: mail.ok: a success must keep the first digit of its code, 2 or 3\n"
	    "x.dialect:4: unknown situation zzz; `pennypost dialect show rfc` lists them\n");
	buf_done(&err);
}

static void
what_is_allowed(void **state)
{
	struct shelf shelf = { { "x" },
		{ "# a comment\r\n dialect = x \r\nbase=rfc\r\n"
		  "label = X and Y\r\n[ehlo]\r\nfirst = hi\r\n"
		  "cap = A${sp}\r\ncap = ?!auth B\r\n[replies]\r\nmail.ok=250 a = b\\nc\r\n"
		  "vrfy.unknown = 252 maybe\r\n"
		  "mail.needtls = 451 later\r\nrcpt.full = 552 no\r\n[quirks]\r\n"
		  "quit_silent = yes ; as they do\r\nbad_cmd_limit = 9\r\n"
		  "[imap]\r\ngreeting = hello\r\n[pop3]\r\ngreeting = +OK\r\n" } };
	struct buf err = BUF_INIT(1u << 16);
	struct smtp_wording *w = dialect_load(STR("x"), find, &shelf, &err);
	if (!w)
		fail_msg("%s", buf_cstr(&err));
	assert_int_equal(err.len, 0);
	assert_true(str_eq(w->label, STR("X and Y")));
	assert_true(str_eq(w->reply[SMTP_MAIL_OK], STR("250 a = b\nc")));
	assert_int_equal(w->n_cap, 2);
	assert_true(w->cap[1].negate && w->cap[1].cond == SMTP_COND_auth &&
		    str_eq(w->cap[1].text, STR("B")));
	assert_int_equal(w->quirks.quit_silent, 1);
	assert_int_equal(w->quirks.bad_cmd_limit, 9);
	dialect_free(w);
	buf_done(&err);
}

static void
long_lines(void **state)
{
	struct buf text = BUF_INIT(2000), err = BUF_INIT(2000);
	buf_putz(&text, "base = rfc\n[replies]\nmail.ok = 250 ");
	for (int i = 0; i < SMTP_REPLY_LINE_MAX - 4; i++)
		buf_putc(&text, 'x');
	struct shelf shelf = { { "x" }, { buf_cstr(&text) } };
	struct smtp_wording *w = dialect_load(STR("x"), find, &shelf, &err);
	assert_non_null(w);
	dialect_free(w);
	buf_putc(&text, 'x');
	shelf.text[0] = buf_cstr(&text);
	assert_null(dialect_load(STR("x"), find, &shelf, &err));
	assert_non_null(strstr(buf_cstr(&err), "longer than 510 octets"));
	buf_done(&text);
	buf_done(&err);
}

static void
too_much(void **state)
{
	struct buf text = BUF_INIT(1u << 20), err = BUF_INIT(1u << 20);
	buf_putz(&text, "base = rfc\n[ehlo]\nfirst = x\n");
	for (int i = 0; i < SMTP_CAP_MAX + 1; i++)
		buf_putz(&text, "cap = X\n");
	struct shelf shelf = { { "x" }, { buf_cstr(&text) } };
	assert_null(dialect_load(STR("x"), find, &shelf, &err));
	assert_non_null(strstr(buf_cstr(&err), "too many cap lines"));
	while (text.len <= DIALECT_FILE_MAX)
		buf_putz(&text, "# a comment\n");
	shelf.text[0] = buf_cstr(&text);
	assert_null(dialect_load(STR("x"), find, &shelf, &err));
	assert_non_null(strstr(buf_cstr(&err), "the file is longer than"));
	buf_done(&text);
	buf_done(&err);
}

static void
override(void **state)
{
	struct smtp_wording *w = kit_wording("rfc");
	struct buf err = BUF_INIT(1000);
	char text[] = "250 fine\\nthanks";
	assert_true(dialect_override(w, STR("mail.ok"), str_of(text), &err));
	memset(text, 'x', sizeof(text));
	assert_true(str_eq(w->reply[SMTP_MAIL_OK], STR("250 fine\nthanks")));
	assert_false(dialect_override(w, STR("mail.ok"), STR("550 no"), &err));
	assert_false(dialect_override(w, STR("mail.fine"), STR("250 ok"), &err));
	assert_string_equal(buf_cstr(&err),
	    "reply.mail.ok: a success must keep the first digit of its code, 2 or 3\n"
	    "reply.mail.fine: there is no such situation; `pennypost dialect show rfc` lists "
	    "them\n");
	assert_true(str_eq(w->reply[SMTP_MAIL_OK], STR("250 fine\nthanks")));
	dialect_free(w);
	assert_null(dialect_free(NULL));
	buf_done(&err);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_files),
		cmocka_unit_test(rfc_is_the_table),
		cmocka_unit_test(hostile),
		cmocka_unit_test(inheritance),
		cmocka_unit_test(mistakes_are_named),
		cmocka_unit_test(all_mistakes_at_once),
		cmocka_unit_test(what_is_allowed),
		cmocka_unit_test(long_lines),
		cmocka_unit_test(too_much),
		cmocka_unit_test(override),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
