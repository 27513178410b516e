#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/check.h"
#include "log/log.h"
#include "sys/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int pipe_fd[2];
static char line[3 * LOG_LINE_MAX];

static int
setup(void **state)
{
	unsetenv("JOURNAL_STREAM");
	if (pipe2(pipe_fd, O_CLOEXEC) < 0)
		return -1;
	log_init("front.1", pipe_fd[1], LOG_INFO);
	return 0;
}

static int
teardown(void **state)
{
	log_init("test", 2, LOG_INFO);
	close(pipe_fd[0]);
	close(pipe_fd[1]);
	return 0;
}

/* What is in the pipe, after the time. */
static const char *
lines(void)
{
	fcntl(pipe_fd[0], F_SETFL, O_NONBLOCK);
	ssize_t n = read(pipe_fd[0], line, sizeof(line) - 1);
	line[n > 0 ? n : 0] = '\0';
	return line[0] == '2' && strlen(line) > 25 ? line + 25 : line;
}

static void
test_form(void **state)
{
	LOG(LOG_INFO, 0, "start", LOGZ("version", "1"));
	assert_string_equal(lines(), "info front.1 event=start version=1\n");
	assert_int_equal(line[10], 'T');
	assert_int_equal(line[23], 'Z');
	LOG(LOG_WARN, 0x123456789abcdef0, "connect", LOGZ("peer", "[127.0.0.1]"), LOGN("port", -25),
	    LOGF("none", STR_NULL));
	assert_string_equal(lines(), "warn front.1 session=14d2mf2dbpnng event=connect "
				     "peer=[127.0.0.1] port=-25 none=\"\"\n");
	log_event(LOG_ERROR, 0, "bare", NULL);
	assert_string_equal(lines(), "error front.1 event=bare\n");
}

static void
test_levels(void **state)
{
	enum log_level l;
	LOG(LOG_DEBUG, 0, "quiet");
	assert_string_equal(lines(), "");
	log_set_level(LOG_DEBUG);
	LOG(LOG_DEBUG, 0, "heard");
	assert_string_equal(lines(), "debug front.1 event=heard\n");
	log_set_level(LOG_ERROR);
	LOG(LOG_WARN, 0, "quiet");
	assert_string_equal(lines(), "");
	assert_true(log_level_parse(STR("warn"), &l));
	assert_int_equal(l, LOG_WARN);
	assert_false(log_level_parse(STR("warning"), &l));
	assert_false(log_level_parse(STR_NULL, &l));
}

static const struct {
	struct str value;
	const char *shown;
} values[] = {
	{ STR("plain"), "plain" },
	{ STR("a=b,<c>"), "a=b,<c>" },
	{ STR("two words"), "\"two words\"" },
	{ STR(""), "\"\"" },
	{ STR("say \"hi\""), "\"say \\\"hi\\\"\"" },
	{ STR("back\\slash"), "\"back\\\\slash\"" },
	{ STR("a\r\nevent=fake"), "\"a\\x0d\\x0aevent=fake\"" },
	{ STR("nul\0inside"), "\"nul\\x00inside\"" },
	{ STR("\x1b[2J"), "\"\\x1b[2J\"" },
	{ STR("\x7f"), "\"\\x7f\"" },
	{ STR("gr\xc3\xbc\xc3\x9f"), "\"gr\xc3\xbc\xc3\x9f\"" },
	{ STR("\xe2\x82\xac"), "\"\xe2\x82\xac\"" },
	{ STR("\xf0\x9f\x93\xae"), "\"\xf0\x9f\x93\xae\"" },
	{ STR("\xff\xc3"), "\"\\xff\\xc3\"" },
	{ STR("\xc0\xaf"), "\"\\xc0\\xaf\"" },
	{ STR("\xed\xa0\x80"), "\"\\xed\\xa0\\x80\"" },
	{ STR("\xc2\x85"), "\"\\xc2\\x85\"" },              /* NEL */
	{ STR("a\xe2\x80\xa8z"), "\"a\\xe2\\x80\\xa8z\"" }, /* line separator */
	{ STR("a\xe2\x80\xaez"), "\"a\\xe2\\x80\\xaez\"" }, /* right-to-left override */
	{ STR("a\xe2\x81\xa6z"), "\"a\\xe2\\x81\\xa6z\"" },
};

static void
test_values(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		char want[128];
		LOG(LOG_INFO, 0, "x", LOGF("v", values[i].value), LOGZ("after", "1"));
		snprintf(want, sizeof(want), "info front.1 event=x v=%s after=1\n",
		    values[i].shown);
		assert_string_equal(lines(), want);
	}
}

static void
check_cut_line(size_t value_len, bool plain)
{
	size_t got = strlen(line);
	unsigned quotes = 0;
	assert_in_range(got, 100, LOG_LINE_MAX);
	assert_ptr_equal(strchr(line, '\n'), line + got - 1);
	for (size_t i = 0; i < got; i++) {
		quotes += line[i] == '"';
		i += line[i] == '\\'; /* and what it escapes */
	}
	assert_int_equal(quotes, plain ? 0 : 2);
	struct str s = str_n(line, got);
	if (!str_ends(s, STR(" cut=1\n")))
		assert_true(str_ends(s, STR(" after=1\n")));
	else
		assert_true(got > LOG_LINE_MAX - 40);
	if (value_len > LOG_LINE_MAX)
		assert_true(str_ends(s, STR(" cut=1\n")));
}

/* Whatever its size and kind, a value leaves one line, not too long, quotes closed. */
static void
test_cut(void **state)
{
	static const char *const kinds[] = { "a", "\n", "\"", "\xe2\x82\xac", " " };
	for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
		size_t each = strlen(kinds[k]), shown = k == 1 ? 4 : k == 2 ? 2 : each;
		for (size_t n = (LOG_LINE_MAX - 100) / shown; n < (LOG_LINE_MAX + 10) / shown;
		     n++) {
			char *big = xalloc(n * each);
			for (size_t i = 0; i < n * each; i++)
				big[i] = kinds[k][i % each];
			LOG(LOG_INFO, 0, "x", LOGF("v", str_n(big, n * each)), LOGZ("after", "1"));
			free(big);
			lines();
			check_cut_line(n * shown, k == 0);
		}
	}
}

static void
test_journal(void **state)
{
	struct stat st;
	char name[64];
	assert_int_equal(fstat(pipe_fd[1], &st), 0);
	snprintf(name, sizeof(name), "%llu:%llu", (unsigned long long)st.st_dev,
	    (unsigned long long)st.st_ino);
	setenv("JOURNAL_STREAM", name, 1);
	log_init("store", pipe_fd[1], LOG_DEBUG);
	LOG(LOG_WARN, 0, "x");
	assert_string_equal(lines(), "<4>warn store event=x\n");
	LOG(LOG_INFO, 0, "x");
	assert_string_equal(lines(), "<6>info store event=x\n");
	snprintf(name, sizeof(name), "%llu:%llu", (unsigned long long)st.st_dev,
	    (unsigned long long)st.st_ino + 1);
	setenv("JOURNAL_STREAM", name, 1); /* inherited from somebody else */
	log_init("store", pipe_fd[1], LOG_DEBUG);
	LOG(LOG_INFO, 0, "x");
	assert_int_equal(lines()[0], 'i');
	unsetenv("JOURNAL_STREAM");
}

static void
test_full_pipe_drops(void **state)
{
	char *big = xalloc(3000);
	memset(big, 'b', 3000);
	uint64_t was = log_dropped();
	int n = 0;
	while (log_dropped() == was && n++ < 1000)
		LOG(LOG_INFO, 0, "x", LOGF("v", str_n(big, 3000)));
	LOG(LOG_INFO, 0, "x");
	LOG(LOG_INFO, 0, "x");
	uint64_t lost = log_dropped() - was;
	assert_true(lost >= 3);
	while (lines()[0])
		;
	LOG(LOG_INFO, 0, "again");
	char want[80];
	snprintf(want, sizeof(want), "info front.1 dropped=%llu event=again\n",
	    (unsigned long long)lost);
	assert_string_equal(lines(), want);
	LOG(LOG_INFO, 0, "more");
	assert_string_equal(lines(), "info front.1 event=more\n");
	free(big);
}

static void
test_errno_is_kept(void **state)
{
	log_init("front.1", -1, LOG_INFO);
	errno = EPIPE;
	LOG(LOG_INFO, 0, "lost");
	assert_int_equal(errno, EPIPE);
}

static void
test_to_a_file(void **state)
{
	char path[] = "/tmp/test_log.XXXXXX", got[200] = { 0 };
	int fd = mkstemp(path);
	log_init("front.1", fd, LOG_INFO);
	LOG(LOG_INFO, 0, "one");
	LOG(LOG_INFO, 0, "two");
	assert_true(pread(fd, got, sizeof(got) - 1, 0) > 0);
	assert_non_null(strstr(got, "event=one\n2"));
	assert_non_null(strstr(got, "event=two\n"));
	close(fd);
	unlink(path);
}

static void
test_ids(void **state)
{
	static const uint64_t ids[] = { 0, 1, 31, 32, 0x123456789abcdef0, UINT64_MAX - 1,
		UINT64_MAX };
	char before[14] = "", text[14];
	uint64_t back;
	for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
		id_format(text, ids[i]);
		assert_int_equal(strlen(text), 13);
		assert_true(id_parse(str_of(text), &back));
		assert_int_equal(back, ids[i]);
		assert_true(strcmp(before, text) < 0); /* sorts as the number does */
		memcpy(before, text, sizeof(before));
	}
	assert_string_equal(text, "fvvvvvvvvvvvv");
	static const struct str bad[] = { STR(""), STR("000000000000"), STR("00000000000000"),
		STR("g000000000000"), STR("000000000000w"), STR("000000000000A"),
		STR("000000\0000000"), STR("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
		STR(" 000000000000") };
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(id_parse(bad[i], &back));
}

/* The first line, and then how many more there were in a minute. */
static void
test_often(void **state)
{
	int64_t now = sys_mono_ms();
	for (int i = 0; i < 1000; i++)
		LOG_OFTEN(LOG_ERROR, 0, "full", LOGN("letter", i));
	assert_string_equal(lines(), "error front.1 event=full letter=0\n");
	LOG_OFTEN(LOG_WARN, 0, "other");
	assert_string_equal(lines(), "warn front.1 event=other\n");
	log_often_tick(now + 59000);
	assert_string_equal(lines(), "");
	log_often_tick(now + 70000);
	assert_int_equal(strncmp(lines(), "error front.1 event=full more=999 seconds=", 42), 0);
	assert_null(strstr(line, "other"));
	LOG_OFTEN(LOG_ERROR, 0, "full");
	LOG_OFTEN(LOG_WARN, 0, "other", LOGZ("it", "has been quiet"));
	assert_string_equal(lines(), "warn front.1 event=other it=\"has been quiet\"\n");
	log_often_tick(now + 130000);
	assert_string_equal(lines(), "error front.1 event=full more=1 seconds=60\n");
	log_often_tick(now + 190000);
	assert_string_equal(lines(), "");
	LOG_OFTEN(LOG_ERROR, 0, "full");
	assert_string_equal(lines(), "error front.1 event=full\n");
}

/* With more events than it knows at a time none is lost. */
static void
test_often_crowded(void **state)
{
	char name[40][8];
	log_often_tick(sys_mono_ms() + 1000000);
	log_often_tick(sys_mono_ms() + 2000000);
	for (int i = 0; i < 40; i++) {
		snprintf(name[i], sizeof(name[i]), "e%d", i);
		LOG_OFTEN(LOG_INFO, 0, name[i]);
		assert_non_null(strstr(lines(), name[i]));
	}
	log_often_tick(sys_mono_ms() + 3000000);
	assert_string_equal(lines(), "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_form, setup, teardown),
		cmocka_unit_test_setup_teardown(test_levels, setup, teardown),
		cmocka_unit_test_setup_teardown(test_values, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cut, setup, teardown),
		cmocka_unit_test_setup_teardown(test_journal, setup, teardown),
		cmocka_unit_test_setup_teardown(test_full_pipe_drops, setup, teardown),
		cmocka_unit_test_setup_teardown(test_errno_is_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(test_to_a_file, setup, teardown),
		cmocka_unit_test_setup_teardown(test_often, setup, teardown),
		cmocka_unit_test_setup_teardown(test_often_crowded, setup, teardown),
		cmocka_unit_test(test_ids),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
