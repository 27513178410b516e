/* A search does little at a time. What it asks the disk for passes through here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "store_kit.h"

#include "store/recorder.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>

#define LETTERS 3000u

static int asked[64]; /* files, in this step */
static size_t n_asked;

int
posix_fadvise(int fd, off_t at, off_t len, int advice)
{
	size_t i = 0;
	while (i < n_asked && asked[i] != fd)
		i++;
	if (i == n_asked && i < ARRAY_LEN(asked))
		asked[n_asked++] = fd;
	return syscall(SYS_fadvise64, fd, at, len, advice) == 0 ? 0 : errno;
}

static void
accept_some(struct store *s)
{
	static char history[512];
	struct store_rcpt rcpt = { 1, MAILBOX_INBOX, STR("Return-Path: <>\r\n"),
		STR("user@example.org") };
	memset(history, '.', sizeof(history));
	for (uint64_t i = 0; i < LETTERS; i++) {
		const struct store_letter l = { .letter = (KIT_TIME + i) << 22,
			.time_ms = KIT_TIME + i,
			.qid = STR("Q"),
			.from = i == 0 ? STR("first@example.net") : STR("later@example.net"),
			.history = str_n(history, sizeof(history)),
			.rcpt = &rcpt,
			.n_rcpt = 1 };
		struct store_body *b = store_body_new(s, l.letter);
		assert_int_equal(store_body_write(b, STR("Subject: x\r\n\r\nx\r\n")), 0);
		store_accept(s, b, &l, NULL, NULL);
		if (i % 100 == 99)
			store_wait(s);
	}
	store_wait(s);
}

static bool
on_found(void *arg, const struct trace_found *f)
{
	++*(size_t *)arg;
	return true;
}

/* Whoever looks for the oldest of all does other things between one file and the next. */
static void
one_file_a_step(void **state)
{
	char *dir = kit_dir(), *uri = NULL;
	struct store_options o = kit_options();
	const struct recorder_options ro = { 64u << 10, 1u << 30, 36500 * RECORDER_DAY_MS };
	struct recorder *r;
	struct buf err = BUF_INIT(4096);
	size_t n = 0, files = 0;
	o.followed = true;
	assert_true(asprintf(&uri, "emb:%s", dir) > 0);
	struct store *s = kit_open_with(uri, o);
	assert_non_null(s);
	assert_int_equal(recorder_open(&r, s, &ro, &err), 0);
	accept_some(s);
	r = recorder_close(r);
	store_close(s);

	const struct trace_query q = { .from = STR("first@example.net") };
	struct trace_search *t;
	assert_int_equal(trace_search_new(&t, dir, &q), 0);
	for (int rc = 1; rc == 1; files += n_asked) {
		n_asked = 0;
		rc = trace_search_step(t, on_found, &n);
		assert_true(rc >= 0 && n_asked <= 2);
	}
	assert_true(n == 1 && files > 8); /* how many there are depends on the thread */
	trace_search_free(t);
	free(uri);
	buf_done(&err);
	kit_dir_done(dir);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = { cmocka_unit_test(one_file_a_step) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
