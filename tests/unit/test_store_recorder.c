/* The recorder: what is in the log is found in the files, whatever happened to them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "store_kit.h"

#include "log/log.h"
#include "store/recorder.h"
#include "store/recorder_file.h"

#include <time.h>

#define FILE_BYTES (64u << 10)
#define LETTERS 2000u

struct lab {
	char *dir;
	struct store *s;
	struct recorder *r;
};

static void
lab_open(struct lab *l, uint64_t size)
{
	char *uri = NULL;
	struct store_options o = kit_options();
	struct recorder_options ro = { FILE_BYTES, size, 36500 * RECORDER_DAY_MS };
	struct buf err = BUF_INIT(4096);
	o.followed = true;
	check(asprintf(&uri, "emb:%s", l->dir) > 0);
	l->s = kit_open_with(uri, o);
	assert_non_null(l->s);
	assert_int_equal(recorder_open(&l->r, l->s, &ro, &err), 0);
	buf_done(&err);
	free(uri);
}

static void
lab_close(struct lab *l)
{
	l->r = recorder_close(l->r);
	if (l->s)
		l->s = store_close(l->s);
}

static int
set_up(void **state)
{
	struct lab *l = xalloc(sizeof(*l));
	l->dir = kit_dir();
	*state = l;
	return 0;
}

static int
tear_down(void **state)
{
	struct lab *l = *state;
	lab_close(l);
	kit_dir_done(l->dir);
	free(l);
	return 0;
}

/* The time is in a letter's id, as front makes them. */
static uint64_t
id_of(uint64_t i)
{
	return (KIT_TIME + i) << 22 | i;
}

static void
accept_one(struct store *s, uint64_t i)
{
	char qid[32], from[48], mid[64], to[48], history[512];
	struct store_rcpt rcpt = { 1 + i % 7, MAILBOX_INBOX, STR("Return-Path: <>\r\n"), STR_NULL };
	snprintf(qid, sizeof(qid), "Q%llu", (unsigned long long)i);
	snprintf(from, sizeof(from), "Sender%llu@example.net", (unsigned long long)(i % 100));
	snprintf(mid, sizeof(mid), "<M.%llu@example.net>", (unsigned long long)i);
	snprintf(to, sizeof(to), "user%llu@example.org", (unsigned long long)(i % 7));
	memset(history, '.', sizeof(history));
	memcpy(history, "+1ms c: MAIL\n+2ms s: 250\n", 25);
	rcpt.rcpt = str_of(to);
	struct store_letter l = { .letter = id_of(i),
		.session = 5000 + i / 3,
		.time_ms = KIT_TIME + i,
		.qid = str_of(qid),
		.from = str_of(from),
		.trace = STR("Received: x\r\n"),
		.history = str_n(history, sizeof(history)),
		.rcpt = &rcpt,
		.n_rcpt = 1,
		.message_id = str_of(mid),
		.peer = STR("192.0.2.7") };
	struct store_body *b = store_body_new(s, l.letter);
	check(store_body_write(b, STR("Subject: x\r\n\r\nx\r\n")) == 0);
	store_accept(s, b, &l, NULL, NULL);
}

static void
accept_some(struct store *s, uint64_t from, uint64_t to)
{
	for (uint64_t i = from; i < to; i++) {
		accept_one(s, i);
		if (i % 100 == 99)
			store_wait(s);
	}
	store_wait(s);
}

/* --- finding --- */

struct seen {
	uint64_t n, last, kinds;
	uint64_t limit;
	unsigned char is[4096];
};

static bool
on_found(void *arg, const struct trace_found *f)
{
	struct seen *s = arg;
	uint64_t i = f->t.letter & 0xfff;
	s->kinds |= 1u << f->t.kind;
	s->last = f->t.letter;
	if (!s->is[i])
		s->n++;
	s->is[i] = 1;
	return s->n != s->limit;
}

static uint64_t
found(const struct lab *l, struct trace_query q, uint64_t limit)
{
	static struct seen s;
	struct trace_search *t = NULL;
	s = (struct seen){ .limit = limit };
	assert_int_equal(trace_search_new(&t, l->dir, &q), 0);
	int rc;
	while ((rc = trace_search_step(t, on_found, &s)) == 1)
		;
	assert_int_equal(rc, 0);
	trace_search_free(t);
	return s.n;
}

#define KEY(text) ((struct trace_query){ .key = STR(text) })

static void
all_is_found(const struct lab *l)
{
	char id[14], emailid[24];
	id_format(id, id_of(1234));
	snprintf(emailid, sizeof(emailid), "M%016llx", (unsigned long long)id_of(1234));
	assert_int_equal(found(l, KEY("Q1234"), 0), 1);
	assert_int_equal(found(l, (struct trace_query){ .key = str_of(id) }, 0), 1);
	assert_int_equal(found(l, (struct trace_query){ .key = str_of(emailid) }, 0), 1);
	assert_int_equal(found(l, KEY("<m.77@EXAMPLE.net>"), 0), 1);
	assert_int_equal(found(l, KEY("M.77@example.net"), 0), 1);
	assert_int_equal(found(l, KEY("sender42@example.net"), 0), LETTERS / 100);
	assert_int_equal(found(l, KEY("user3@example.org"), 0), (LETTERS - 3 + 6) / 7);
	assert_int_equal(found(l, KEY("192.0.2.7"), 0), LETTERS);
	assert_int_equal(found(l, KEY("192.0.2.8"), 0), 0);
	assert_int_equal(found(l, KEY("192.0.2.7"), 10), 10);
	id_format(id, 5000 + 33);
	assert_int_equal(found(l, (struct trace_query){ .key = str_of(id) }, 0), 3);
	/* The other way round nobody is found. */
	assert_int_equal(found(l, (struct trace_query){ .from = STR("user3@example.org") }, 0), 0);
	assert_int_equal(found(l, (struct trace_query){ .to = STR("user3@example.org") }, 0),
	    (LETTERS - 3 + 6) / 7);
	assert_int_equal(found(l,
			     (struct trace_query){ .from = STR("sender42@example.net"),
				 .since_ms = KIT_TIME + 500,
				 .until_ms = KIT_TIME + 900 },
			     0),
	    4);
	assert_int_equal(found(l, (struct trace_query){ .since_ms = KIT_TIME + 1990 }, 0), 10);
	assert_int_equal(found(l, (struct trace_query){ .until_ms = KIT_TIME + 10 }, 0), 10);
	assert_int_equal(found(l,
			     (struct trace_query){ .peer = STR("192.0.2.7"), .to = STR("x@y") }, 0),
	    0);
}

static void
finds_by_everything(void **state)
{
	struct lab *l = *state;
	struct recorder_stats st;
	lab_open(l, 1u << 30);
	accept_some(l->s, 0, LETTERS);
	all_is_found(l); /* some of it in the log alone, perhaps */
	recorder_sync(l->r);
	recorder_stats(l->r, &st);
	assert_int_equal(st.records, LETTERS);
	assert_true(st.files > 10);
	assert_int_equal(st.lag, 0);
	assert_true(trace_recorded(l->dir));
	all_is_found(l);
	lab_close(l);
	all_is_found(l);
}

static void
goes_on_after_a_start(void **state)
{
	struct lab *l = *state;
	struct recorder_stats st;
	for (uint64_t i = 0; i < 4; i++) {
		lab_open(l, 1u << 30);
		accept_some(l->s, i * LETTERS / 4, (i + 1) * LETTERS / 4);
		recorder_sync(l->r);
		recorder_stats(l->r, &st);
		assert_int_equal(st.records, LETTERS / 4);
		lab_close(l);
	}
	all_is_found(l);
}

/* --- damage --- */

static char *
trace_file(const struct lab *l, uint64_t number, const char *suffix)
{
	char name[TRC_NAME_LEN], rest[40];
	trc_name(name, number, suffix);
	snprintf(rest, sizeof(rest), "trace/%s", name);
	return kit_path(l->dir, rest);
}

static uint64_t
last_file(const struct lab *l)
{
	uint64_t n = 1;
	for (;; n++) {
		char *path = trace_file(l, n + 1, "trc");
		bool there = access(path, F_OK) == 0;
		free(path);
		if (!there)
			return n;
	}
}

static void
mend(struct lab *l)
{
	lab_open(l, 1u << 30);
	recorder_sync(l->r);
	all_is_found(l);
	lab_close(l);
	all_is_found(l);
}

static void
fill(struct lab *l)
{
	lab_open(l, 1u << 30);
	accept_some(l->s, 0, LETTERS);
	lab_close(l);
}

/* As a power loss may leave it: the last file is shorter, or ends in rubbish. */
static void
repairs_a_torn_tail(void **state)
{
	struct lab *l = *state;
	struct stat st;
	fill(l);
	for (int i = 0; i < 12; i++) {
		char *path = trace_file(l, last_file(l), "trc");
		assert_int_equal(stat(path, &st), 0);
		off_t less = st.st_size - 1 - (i * 137) % 1500;
		assert_int_equal(truncate(path, MAX(less, (off_t)0)), 0);
		free(path);
		mend(l);
	}
	char *path = trace_file(l, last_file(l), "trc");
	int fd = open(path, O_WRONLY | O_APPEND);
	assert_int_equal(write(fd, "PPTRPPTR rubbish, and no record\n", 32), 32);
	close(fd);
	mend(l);
	free(path);
}

static void
makes_tables_again(void **state)
{
	struct lab *l = *state;
	fill(l);
	char *idx = trace_file(l, 3, "idx"), *bad = trace_file(l, 4, "idx");
	assert_int_equal(unlink(idx), 0);
	assert_int_equal(truncate(bad, 100), 0);
	all_is_found(l); /* by reading the files through */
	mend(l);
	assert_int_equal(access(idx, F_OK), 0);
	struct table_head h;
	char *dir = kit_path(l->dir, "trace");
	int at = open(dir, O_RDONLY | O_DIRECTORY);
	for (uint64_t n = 3; n < 5; n++) {
		int fd = table_open(at, n, &h);
		assert_true(fd >= 0);
		assert_true(table_whole(fd, &h));
		close(fd);
	}
	close(at);
	free(dir);
	free(idx);
	free(bad);
}

static void
survives_damage(void **state)
{
	struct lab *l = *state;
	fill(l);
	char *path = trace_file(l, 2, "trc"), *idx = trace_file(l, 2, "idx");
	int fd = open(path, O_WRONLY);
	assert_int_equal(pwrite(fd, "xxxxxxxxxxxxxxxx", 16, 5000), 16);
	close(fd);
	uint64_t with = found(l, KEY("192.0.2.7"), 0);
	assert_int_equal(with, LETTERS - 1);
	assert_int_equal(unlink(idx), 0);
	assert_int_equal(found(l, KEY("192.0.2.7"), 0), LETTERS - 1);
	lab_open(l, 1u << 30);
	recorder_sync(l->r);
	assert_int_equal(found(l, KEY("192.0.2.7"), 0), LETTERS - 1);
	lab_close(l);
	/* A head that is none: the file is set aside. */
	fd = open(path, O_WRONLY);
	assert_int_equal(pwrite(fd, "x", 1, 20), 1);
	close(fd);
	assert_int_equal(unlink(idx), 0);
	lab_open(l, 1u << 30);
	recorder_sync(l->r);
	assert_true(found(l, KEY("192.0.2.7"), 0) > LETTERS / 2);
	assert_int_equal(access(path, F_OK), -1);
	free(path);
	free(idx);
}

/* All files are lost: what the log still has is there again. */
static void
begins_anew(void **state)
{
	struct lab *l = *state;
	fill(l);
	char *dir = kit_path(l->dir, "trace");
	kit_remove(dir);
	free(dir);
	all_is_found(l);
	mend(l);
}

/* --- limits --- */

static void
keeps_its_limits(void **state)
{
	struct lab *l = *state;
	struct recorder_stats st;
	lab_open(l, 6 * FILE_BYTES);
	accept_some(l->s, 0, LETTERS);
	recorder_sync(l->r);
	recorder_limits(l->r, 6 * FILE_BYTES, UINT64_MAX);
	recorder_sync(l->r);
	accept_some(l->s, LETTERS, LETTERS + 1);
	recorder_sync(l->r);
	recorder_stats(l->r, &st);
	assert_true(st.octets <= 6 * FILE_BYTES + (4u << 10));
	assert_true(st.files >= 2);
	uint64_t n = found(l, KEY("192.0.2.7"), 0);
	assert_true(n > 50 && n < LETTERS / 2);
	assert_int_equal(found(l, KEY("Q1999"), 0), 1);
	assert_int_equal(found(l, KEY("Q1"), 0), 0);
	/* Nothing but the last file is young enough: KIT_TIME is long ago, or far away. */
	recorder_limits(l->r, 1u << 30, 1);
	accept_some(l->s, LETTERS + 1, LETTERS + 2);
	recorder_sync(l->r);
	accept_some(l->s, LETTERS + 2, LETTERS + 3);
	recorder_sync(l->r);
	recorder_stats(l->r, &st);
	uint64_t now = (uint64_t)time(NULL) * 1000;
	assert_true(now < KIT_TIME || st.files == 1);
}

/* --- notes --- */

static void
notes_are_found(void **state)
{
	struct lab *l = *state;
	char id[14], rcpts[128];
	lab_open(l, 1u << 30);
	accept_some(l->s, 0, 10);
	id_format(id, id_of(4));
	snprintf(rcpts, sizeof(rcpts), "3 1 %s 17\n", id);
	struct store_dom q = store_dom_queue(0);
	struct store_batch *b = store_batch_new(l->s, &q);
	store_note(b, &(struct store_note){ .kind = STORE_NOTE_MAILBOX,
			  .session = 9,
			  .time_ms = KIT_TIME + 50,
			  .peer = STR("198.51.100.1"),
			  .rcpts = str_of(rcpts),
			  .octets = STR("seen\n") });
	store_note(b, &(struct store_note){ .kind = STORE_NOTE_ATTEMPT,
			  .letter = id_of(4),
			  .time_ms = KIT_TIME + 60,
			  .rcpts = STR("elsewhere@example.com\n"),
			  .octets = STR("+1ms c: EHLO\n") });
	assert_int_equal(kit_commit(l->s, b).rc, 0);
	for (int i = 0; i < 2; i++, recorder_sync(l->r)) {
		static struct seen s;
		struct trace_search *t = NULL;
		s = (struct seen){ 0 };
		struct trace_query query = { .key = str_of(id) };
		assert_int_equal(trace_search_new(&t, l->dir, &query), 0);
		trace_search_letter(t, id_of(4));
		while (trace_search_step(t, on_found, &s) == 1)
			;
		trace_search_free(t);
		assert_int_equal(s.kinds,
		    1u << STORE_NOTE_LETTER | 1u << STORE_NOTE_MAILBOX | 1u << STORE_NOTE_ATTEMPT);
		assert_int_equal(found(l, KEY("198.51.100.1"), 0), 1);
		assert_int_equal(found(l, KEY("elsewhere@example.com"), 0), 1);
	}
}

/* --- segments are freed only when they were followed --- */

static void
follows_while_it_looks(void **state)
{
	struct lab *l = *state;
	static struct seen s;
	uint64_t lsn = 0, before;
	lab_open(l, 1u << 30);
	accept_some(l->s, 0, 10);
	assert_int_equal(trace_follow(l->dir, 0, UINT64_MAX, on_found, &s, &lsn), 0);
	assert_int_equal(s.n, 0);
	assert_true(lsn > 0);
	accept_some(l->s, 10, LETTERS);
	for (before = 0; before != lsn;) {
		before = lsn;
		assert_int_equal(trace_follow(l->dir, lsn, 1u << 20, on_found, &s, &lsn), 0);
	}
	assert_int_equal(s.n, LETTERS - 10);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(finds_by_everything, set_up, tear_down),
		cmocka_unit_test_setup_teardown(goes_on_after_a_start, set_up, tear_down),
		cmocka_unit_test_setup_teardown(repairs_a_torn_tail, set_up, tear_down),
		cmocka_unit_test_setup_teardown(makes_tables_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(survives_damage, set_up, tear_down),
		cmocka_unit_test_setup_teardown(begins_anew, set_up, tear_down),
		cmocka_unit_test_setup_teardown(keeps_its_limits, set_up, tear_down),
		cmocka_unit_test_setup_teardown(notes_are_found, set_up, tear_down),
		cmocka_unit_test_setup_teardown(follows_while_it_looks, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
