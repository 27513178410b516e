/* explain: bounces and transcripts of tests/data/bounces, whole and cut at every place. */
#include "base/check.h"
#include "explain/bounce.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct expected {
	const char *file, *recipient, *server, *command, *action, *code, *word;
};

static const struct expected rows[] = {
	{ "postfix.eml", "bob@example.com", "mx1.example.com", "", "failed", "550",
	    "no such mailbox" },
	{ "postfix.eml", "carol@example.net", "", "connect", "failed", "", "No answer" },
	{ "postfix.txt", "bob@example.com", "mx1.example.com", "RCPT", "", "550",
	    "no such mailbox" },
	{ "postfix.txt", "carol@example.net", "mx.example.net", "end of data", "", "552",
	    "larger" },
	{ "postfix.txt", "dave@nowhere.example", "", "", "", "", "does not exist" },
	{ "exim.txt", "bob@example.com", "mx1.example.com", "RCPT", "", "550", "PTR" },
	{ "exim.txt", "carol@example.net", "mx.example.net", "end of data", "", "552",
	    "attachment" },
	{ "exim.txt", "nobody@example.org", NULL, "", "", "", "no router" },
	{ "qmail.txt", "bob@example.com", "192.0.2.25", "RCPT", "", "550", "no such mailbox" },
	{ "qmail.txt", "carol@example.net", "198.51.100.7", "end of data", "", "554", "spam" },
	{ "qmail.txt", "dave@nowhere.example", "", "", "", "", "does not exist" },
	{ "exchange.txt", "bob@example.com", "AM5EUR03FT012.mail.protection.outlook.com", "", "",
	    "550", "directory based" },
	{ "exchange.txt", "carol@example.com", NULL, "", "", "550", "does not exist" },
	{ "exchange2010.txt", "bob@example.com", "", "", "", "550", "does not exist" },
	{ "sendmail.txt", "bob@example.com", "", "", "", "550", "no such mailbox" },
	{ "sendmail.txt", "", "mx1.example.com", "DATA", "", "503", "order" },
	{ "gmail.txt", "bob@example.com", "", "", "", "550", "no such mailbox" },
	{ "gmail.eml", "bob@example.com", "gmail-smtp-in.l.google.com", "", "failed", "550",
	    "SPF nor DKIM" },
	{ "delayed.eml", "carol@example.net", "mx.example.net", "", "delayed", "450",
	    "reylisting" },
	{ "delayed.eml", "erin@example.net", "", "", "relayed", "", "no delivery reports" },
	{ "transcript.txt", "c@example.com", "", "RCPT", "", "452", "more recipients" },
	{ "transcript.txt", "", "", "DATA", "", "554", "content filter" },
	{ "swaks.txt", "b@example.com", "mx1.example.com", "RCPT", "", "554", "not logged in" },
};

static char *
load(const char *name, size_t *len)
{
	char path[1024];
	const char *source = getenv("PENNYPOST_SOURCE");
	snprintf(path, sizeof path, "%s/tests/data/bounces/%s", source ? source : ".", name);
	FILE *f = fopen(path, "rb");
	if (f == NULL)
		fail_msg("cannot read %s", path);
	char *text = malloc(1 << 16);
	*len = fread(text, 1, 1 << 16, f);
	fclose(f);
	return text;
}

static void
same(struct str have, const char *want, const struct expected *row, const char *what)
{
	if (want && !str_eq(have, str_of(want)))
		fail_msg("%s: %s of %s is \"" STR_FMT "\", not \"%s\"", row->file, what,
		    row->recipient, STR_ARG(have), want);
}

static void
compare(const struct bounce_failure *f, const struct expected *row)
{
	struct explain_hit hit;
	same(f->recipient, row->recipient, row, "recipient");
	same(f->server, row->server, row, "server");
	same(f->command, row->command, row, "command");
	same(f->action, row->action, row, "action");
	if (!explain_reply(f->reply, &hit))
		fail_msg("%s: nothing is known of " STR_FMT, row->file, STR_ARG(f->reply));
	if (row->code[0])
		same(hit.code, row->code, row, "code");
	if (str_find_str(hit.meaning, str_of(row->word)) == hit.meaning.len)
		fail_msg("%s: no \"%s\" in \"" STR_FMT "\"", row->file, row->word,
		    STR_ARG(hit.meaning));
}

static void
finds_each_failure(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(rows);) {
		size_t len;
		const char *file = rows[i].file;
		char *text = load(file, &len);
		struct bounce b;
		struct bounce_failure f;
		assert_true(bounce_looks_so(str_n(text, len)));
		bounce_begin(&b, str_n(text, len));
		for (; i < ARRAY_LEN(rows) && strcmp(rows[i].file, file) == 0; i++) {
			if (!bounce_next(&b, &f))
				fail_msg("%s: nothing about %s", file, rows[i].recipient);
			compare(&f, &rows[i]);
		}
		if (bounce_next(&b, &f))
			fail_msg("%s: one too many: " STR_FMT, file, STR_ARG(f.reply));
		assert_false(bounce_next(&b, &f));
		free(text);
	}
}

static void
takes_crlf(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		size_t len, n = 0;
		char *text = load(rows[i].file, &len), *crlf = malloc(2 * len);
		size_t nth = 0;
		for (size_t j = i; j > 0 && strcmp(rows[j - 1].file, rows[i].file) == 0; j--)
			nth++;
		for (size_t j = 0; j < len; j++) {
			if (text[j] == '\n')
				crlf[n++] = '\r';
			crlf[n++] = text[j];
		}
		struct bounce b;
		struct bounce_failure f;
		bounce_begin(&b, str_n(crlf, n));
		for (size_t j = 0; j <= nth; j++)
			assert_true(bounce_next(&b, &f));
		compare(&f, &rows[i]);
		free(crlf);
		free(text);
	}
}

/* In memory of exactly the size: nothing beyond is read, and it ends. */
static void
takes_any_part(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		size_t len;
		if (i > 0 && strcmp(rows[i].file, rows[i - 1].file) == 0)
			continue;
		char *text = load(rows[i].file, &len);
		for (size_t n = 0; n <= len; n += 3) {
			char *part = malloc(n ? n : 1);
			memcpy(part, text, n);
			struct bounce b;
			struct bounce_failure f;
			size_t found = 0;
			bounce_begin(&b, str_n(part, n));
			while (bounce_next(&b, &f))
				assert_true(++found <= 1000);
			free(part);
		}
		free(text);
	}
}

static void
tells_bounces_from_replies(void **state)
{
	static const struct {
		const char *text;
		bool bounce;
	} looks[] = { { "", false }, { "550 no", false }, { "\n550 no\n\n", false },
		{ "550-5.1.1 no\r\n550 5.1.1 such user\r\n", false },
		{ "550 5.1.1 no\n    such user\n", false }, { "550 no\n551 no\n", true },
		{ "s: 550-no\ns: 550 no\n", false }, { "c: HELO x\ns: 550 no\n", true },
		{ "a1 NO x\na2 NO y\n", true }, { "one\ntwo\n", true } };
	for (size_t i = 0; i < ARRAY_LEN(looks); i++)
		if (bounce_looks_so(str_of(looks[i].text)) != looks[i].bounce)
			fail_msg("%s", looks[i].text);
}

static void
finds_lines_of_a_log(void **state)
{
	static const char log[] =
	    "x postfix/smtp[1]: A: to=<a@b.example>, relay=mx.b.example[192.0.2.1]:25, dsn=5.1.1, "
	    "status=bounced (host mx.b.example[192.0.2.1] said: 550 5.1.1 no such user (in reply "
	    "to "
	    "RCPT TO command))\n"
	    "x postfix/smtp[1]: B: to=<c@b.example>, relay=mx.b.example[192.0.2.1]:25, dsn=4.7.1, "
	    "status=deferred (host mx.b.example[192.0.2.1] said: 451 4.7.1 Greylisted)\n"
	    "* BYE too many errors\na1 NO [OVERQUOTA] full\n-ERR [IN-USE] busy\n";
	static const char *const codes[] = { "550", "451", "* B", "a1 ", "-ER" };
	struct bounce b;
	struct bounce_failure f;
	bounce_begin(&b, str_of(log));
	for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
		assert_true(bounce_next(&b, &f));
		assert_memory_equal(f.reply.p, codes[i], 3);
		if (i < 2) {
			assert_true(str_eq(f.recipient, str_of(i ? "c@b.example" : "a@b.example")));
			assert_true(str_eq(f.server, STR("mx.b.example")));
		}
	}
	assert_false(bounce_next(&b, &f));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_each_failure),
		cmocka_unit_test(takes_crlf),
		cmocka_unit_test(takes_any_part),
		cmocka_unit_test(tells_bounces_from_replies),
		cmocka_unit_test(finds_lines_of_a_log),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
