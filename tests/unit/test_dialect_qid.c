/* Queue ids: the form of each style, and that no two letters share one. */
#include "kit/smtp_kit.h"

#include "base/map.h"

#include <regex.h>

#define LETTER(ms, front, seq) ((uint64_t)(ms) << 22 | (uint64_t)(front) << 12 | (uint64_t)(seq))

static struct qid_facts
facts(uint64_t letter)
{
	struct qid_facts f = { .letter = letter,
		.counter = 1 + letter % 1000003,
		.pid = 4711,
		.host = STR("c34495-51701") };
	for (size_t i = 0; i < sizeof(f.random); i++)
		f.random[i] =
		    (unsigned char)(letter * 2654435761u >> (i % 4 * 8)) ^ (unsigned char)(i * 37);
	return f;
}

static void
forms(void **state)
{
	static const char *const ere[QID_STYLE_COUNT] = {
		[QID_HEX] = "^[0-9a-f]{16}$",
		[QID_POSTFIX] = "^[0-9A-F]{11,15}$",
		[QID_SENDMAIL] = "^[0-9A-Za-x]{8}[0-9]{6}$",
		[QID_EXCHANGE] = "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$",
		[QID_IIS] = "^C34495-51701[0-9A-Za-z]{7}[0-9a-f]{8}@c34495-51701$",
		[QID_IRONPORT] = "^[0-9]+$",
		[QID_B64URL22] = "^[0-9A-Za-z_-]{22}$",
	};
	for (int style = 0; style < QID_STYLE_COUNT; style++) {
		regex_t re;
		assert_int_equal(regcomp(&re, ere[style], REG_EXTENDED | REG_NOSUB), 0);
		for (uint64_t i = 0; i < 2000; i++) {
			struct qid_facts f =
			    facts(LETTER(1428199359000 + i * 7919, i % 64, i * 31 % 4096));
			struct buf out = BUF_INIT(200);
			qid_format(&out, (enum smtp_qid_style)style, &f);
			if (regexec(&re, buf_cstr(&out), 0, NULL, 0) != 0)
				fail_msg("%s: %s", smtp_qid_style_name[style], buf_cstr(&out));
			buf_done(&out);
		}
		regfree(&re);
	}
}

/* RFC 9562 5.4: version 4, variant 10. */
static void
uuid(void **state)
{
	for (uint64_t i = 0; i < 256; i++) {
		struct qid_facts f = facts(LETTER(1780000000000 + i, 0, 0));
		memset(f.random, (int)i, sizeof(f.random));
		struct buf out = BUF_INIT(200);
		qid_format(&out, QID_EXCHANGE, &f);
		assert_int_equal(out.p[14], '4');
		assert_non_null(memchr("89ab", out.p[19], 4));
		buf_done(&out);
	}
}

/* t352HG is 5 Apr 2015, 02:17:16 UTC. */
static void
sendmail_date(void **state)
{
	struct qid_facts f = facts(LETTER(1428200236000, 0, 0));
	struct buf out = BUF_INIT(200);
	qid_format(&out, QID_SENDMAIL, &f);
	assert_string_equal(buf_cstr(&out), "t352HG00000000");
	buf_done(&out);
}

static void
unique(void **state)
{
	static const enum smtp_qid_style styles[] = { QID_HEX, QID_POSTFIX, QID_SENDMAIL };
	for (size_t s = 0; s < ARRAY_LEN(styles); s++) {
		struct map seen = MAP_NULL;
		for (uint64_t i = 0; i < 60000; i++) {
			/* Every bit of the moment, the front and the sequence counts. */
			struct qid_facts f =
			    facts(LETTER(1780000000000 + i % 40 * (i % 3 ? 1 : 997), i / 40 % 50,
				i / 2000 * 141));
			struct buf out = BUF_INIT(200), id = BUF_INIT(40);
			qid_format(&out, styles[s], &f);
			buf_putf(&id, "%llx", (unsigned long long)f.letter);
			char *was = map_put(&seen, buf_str(&out), strdup(buf_cstr(&id)));
			if (was && strcmp(was, buf_cstr(&id)) != 0)
				fail_msg("%s twice: %s and %s", buf_cstr(&out), was, buf_cstr(&id));
			free(was);
			buf_done(&out);
			buf_done(&id);
		}
		size_t pos = 0;
		struct str key;
		void *value;
		while (map_next(&seen, &pos, &key, &value))
			free(value);
		map_done(&seen);
	}
}

static void
rand7(void **state)
{
	struct qid_facts f = facts(12345);
	char a[8], b[8];
	qid_rand7(a, &f);
	qid_rand7(b, &f);
	assert_string_equal(a, b);
	assert_int_equal(strlen(a), 7);
	memset(f.random, 0xff, sizeof(f.random));
	qid_rand7(b, &f);
	assert_int_equal(strlen(b), 7);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(forms),
		cmocka_unit_test(uuid),
		cmocka_unit_test(sendmail_date),
		cmocka_unit_test(unique),
		cmocka_unit_test(rand7),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
