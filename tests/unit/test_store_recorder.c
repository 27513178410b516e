/* The recorder: what is in the log is found in the files, whatever happened to them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "store_kit.h"

#include "base/crc32c.h"
#include "base/wire.h"
#include "log/log.h"
#include "store/fsck.h"
#include "store/recorder.h"
#include "store/recorder_file.h"

#include <sys/wait.h>
#include <time.h>

#define FILE_BYTES (64u << 10)
#define LETTERS 2000u

struct lab {
	char *dir;
	struct store *s;
	struct recorder *r;
	uint64_t file_bytes, keep_ms;
};

static void
lab_open(struct lab *l, uint64_t size)
{
	char *uri = NULL;
	struct store_options o = kit_options();
	struct recorder_options ro = { l->file_bytes, size, l->keep_ms };
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
	l->file_bytes = FILE_BYTES;
	l->keep_ms = 36500 * RECORDER_DAY_MS;
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

/* Every tenth letter, all at once. */
static uint64_t
letters_found(const struct lab *l, bool arrival)
{
	static struct seen s;
	uint64_t letters[LETTERS / 10];
	struct trace_search *t = NULL;
	s = (struct seen){ 0 };
	for (size_t i = 0; i < ARRAY_LEN(letters); i++)
		letters[i] = id_of(i * 10 + 3);
	assert_int_equal(trace_search_letters(&t, l->dir, letters, ARRAY_LEN(letters), arrival), 0);
	int rc;
	while ((rc = trace_search_step(t, on_found, &s)) == 1)
		;
	assert_int_equal(rc, 0);
	trace_search_free(t);
	for (size_t i = 0; i < ARRAY_LEN(letters); i++)
		assert_int_equal(s.is[i * 10 + 3], 1);
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
	assert_int_equal(found(l,
			     (struct trace_query){
				 .from = STR("sender42@example.net"),
				 .to = STR("user0@example.org"),
			     },
			     0),
	    3); /* 42, 742, 1442 */
	assert_int_equal(found(l, (struct trace_query){ .message_id = STR("Q1234") }, 0), 0);
	assert_int_equal(letters_found(l, true), LETTERS / 10);
	assert_int_equal(letters_found(l, false), LETTERS / 10);
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

/* The clock goes back by a year and on again: what is asked for by time is found all the same. */
static void
finds_what_clocks_did(void **state)
{
	struct lab *l = *state;
	const uint64_t year = 365 * RECORDER_DAY_MS;
	char rcpts[64];
	l->file_bytes = 2 * BLOCK_BYTES;
	lab_open(l, 1u << 30);
	for (uint64_t i = 0; i < 3000; i++) {
		struct store_dom q = store_dom_queue(0);
		struct store_batch *b = store_batch_new(l->s, &q);
		snprintf(rcpts, sizeof(rcpts), "user%llu@example.com\n",
		    (unsigned long long)(i % 10));
		store_note(b, &(struct store_note){ .kind = STORE_NOTE_ATTEMPT,
				  .letter = id_of(i),
				  .time_ms = KIT_TIME + i - (i / 100 % 2 ? year : 0),
				  .rcpts = str_of(rcpts),
				  .octets = STR("+1ms c: EHLO some.host.example.net\n") });
		store_commit(b, STORE_DURABLE, NULL, NULL);
	}
	store_wait(l->s);
	recorder_sync(l->r);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(found(l, (struct trace_query){ .until_ms = KIT_TIME - 1 }, 0),
		    1500);
		assert_int_equal(found(l, (struct trace_query){ .since_ms = KIT_TIME }, 0), 1500);
		assert_int_equal(found(l,
				     (struct trace_query){ .since_ms = KIT_TIME + 950 - year,
					 .until_ms = KIT_TIME + 970 - year },
				     0),
		    20);
		assert_int_equal(found(l,
				     (struct trace_query){ .to = STR("user3@example.com"),
					 .since_ms = KIT_TIME + 850,
					 .until_ms = KIT_TIME + 900 },
				     0),
		    5);
		if (i == 0)
			lab_close(l);
	}
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

static bool
table_is_whole(const struct lab *l, uint64_t number)
{
	struct table *t = xalloc(sizeof(*t));
	char *dir = kit_path(l->dir, "trace");
	int at = open(dir, O_RDONLY | O_DIRECTORY);
	assert_int_equal(table_open(t, at, number), 0);
	bool whole = table_load(t) == 0 && t->kinds && table_verify(t, NULL) == 0;
	table_close(t);
	close(at);
	free(dir);
	free(t);
	return whole;
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
	for (uint64_t n = 3; n < 5; n++)
		assert_true(table_is_whole(l, n));
	free(idx);
	free(bad);
}

/* A table as the format had it before: no kinds, no blocks. */
static void
make_old(const struct lab *l, uint64_t number)
{
	char *path = trace_file(l, number, "idx");
	struct buf b = BUF_INIT(64u << 20);
	struct stat st;
	int fd = open(path, O_RDWR);
	assert_int_equal(fstat(fd, &st), 0);
	check(buf_reserve(&b, (size_t)st.st_size));
	assert_int_equal(pread(fd, b.p, (size_t)st.st_size, 0), st.st_size);
	unsigned char *p = (unsigned char *)b.p;
	uint32_t n = be32_get(p + 12);
	size_t end = TABLE_HEAD + TABLE_FAN * 4 + (size_t)n * TABLE_ENTRY;
	for (size_t at = end - (size_t)n * TABLE_ENTRY; at < end; at += TABLE_ENTRY)
		be32_put(p + at + 8, be32_get(p + at + 8) >> 4);
	be32_put(p + 8, 1);
	be32_put(p + 56, crc32c(0, p + TABLE_HEAD, end - TABLE_HEAD));
	be32_put(p + 60, crc32c(0, p, 60));
	assert_int_equal(pwrite(fd, p, end, 0), end);
	assert_int_equal(ftruncate(fd, (off_t)end), 0);
	close(fd);
	buf_done(&b);
	free(path);
}

static void
reads_old_tables(void **state)
{
	struct lab *l = *state;
	fill(l);
	for (uint64_t n = 1; n < last_file(l); n += 2)
		make_old(l, n);
	all_is_found(l);
	mend(l);
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

/* After a power loss a part in the middle of the last file may lack: the log has it. */
static void
fills_a_gap(void **state)
{
	struct lab *l = *state;
	static const char zeros[1000];
	struct stat st;
	fill(l);
	mend(l);
	char *path = trace_file(l, last_file(l), "trc");
	int fd = open(path, O_WRONLY);
	assert_int_equal(fstat(fd, &st), 0);
	assert_true(st.st_size > 5000);
	assert_int_equal(pwrite(fd, zeros, sizeof(zeros), st.st_size - 3000), sizeof(zeros));
	close(fd);
	free(path);
	assert_true(found(l, KEY("192.0.2.7"), 0) < LETTERS);
	mend(l);
}

/* Damage far from the end is none of a power loss, and what stands behind it stays. */
static void
leaves_other_gaps(void **state)
{
	struct lab *l = *state;
	l->file_bytes = RECORDER_FILE_BYTES;
	fill(l);
	mend(l);
	char *path = trace_file(l, 1, "trc");
	int fd = open(path, O_WRONLY);
	assert_int_equal(pwrite(fd, "xxxxxxxxxxxxxxxx", 16, 5000), 16);
	close(fd);
	free(path);
	lab_open(l, 1u << 30);
	lab_close(l);
	assert_int_equal(found(l, KEY("192.0.2.7"), 0), LETTERS - 1);
}

/* A file and its table that came from another store, and would say that our log is followed. */
static void
sets_strangers_aside(void **state)
{
	struct lab *l = *state,
		   other = { .dir = kit_dir(), .file_bytes = FILE_BYTES, .keep_ms = l->keep_ms };
	fill(&other);
	fill(l);
	for (int i = 0; i < 2; i++) {
		char *from = trace_file(&other, 2, i ? "trc" : "idx");
		char *to = trace_file(l, 2, i ? "trc" : "idx");
		assert_int_equal(rename(from, to), 0);
		free(from);
		free(to);
	}
	lab_open(l, 1u << 30);
	lab_close(l);
	char *bad = trace_file(l, 2, "bad");
	assert_int_equal(access(bad, F_OK), 0);
	free(bad);
	kit_dir_done(other.dir);
}

/* What fsck says of the histories of a store: an exit status. */
static int
run_fsck(const char *dir)
{
	struct fsck_report r = { 0 };
	bool good = fsck_run(dir, &r, NULL, NULL) == 0 &&
	            str_find_str(buf_str(&r.text), STR("trace/")) == r.text.len;
	if (!good)
		fprintf(stderr, STR_FMT, STR_ARG(buf_str(&r.text)));
	fsck_report_done(&r);
	return !good;
}

/* It may be beside us, so it is a process of its own, and a new program: of ours the other threads
 * may hold locks. */
static void
fsck_is_content(const struct lab *l)
{
	int status = 0;
	pid_t pid = fork();
	if (pid == 0) {
		(void)execl("/proc/self/exe", "test_store_recorder", l->dir, NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* Tables without files, and one of its file as it was before. */
static void
distrusts_old_tables(void **state)
{
	struct lab *l = *state;
	fill(l);
	uint64_t last = last_file(l);
	for (uint64_t n = 1; n <= last; n++) {
		char *path = trace_file(l, n, "trc");
		assert_int_equal(unlink(path), 0);
		free(path);
	}
	char *place = kit_path(l->dir, "trace/followed");
	assert_int_equal(unlink(place), 0);
	mend(l);
	free(place);
	char *file = trace_file(l, 2, "trc");
	struct stat st;
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(truncate(file, st.st_size / 2), 0);
	lab_open(l, 1u << 30);
	lab_close(l);
	fsck_is_content(l);
	free(file);
}

/* fsck beside a recorder that ends files all the time. */
static void
fsck_beside_it(void **state)
{
	struct lab *l = *state;
	lab_open(l, 1u << 30);
	for (uint64_t i = 0; i < 20; i++) {
		for (uint64_t k = i * LETTERS / 20; k < (i + 1) * LETTERS / 20; k++)
			accept_one(l->s, k);
		fsck_is_content(l);
		store_wait(l->s);
	}
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
}

static void
await_files(const struct lab *l, uint64_t n)
{
	struct recorder_stats st = { 0 };
	for (int i = 0; i < 6000; i++) {
		recorder_stats(l->r, &st);
		if (st.files == n)
			return;
		(void)usleep(10000);
	}
	assert_int_equal(st.files, n);
}

static void
note_at(struct store *s, uint64_t i, uint64_t ms)
{
	struct store_dom q = store_dom_queue(0);
	struct store_batch *b = store_batch_new(s, &q);
	store_note(b, &(struct store_note){ .kind = STORE_NOTE_ATTEMPT,
			  .letter = id_of(i),
			  .time_ms = ms,
			  .rcpts = STR("user@example.com\n"),
			  .octets = STR("+1ms c: EHLO some.host.example.net\n") });
	assert_int_equal(kit_commit(s, b).rc, 0);
}

static uint64_t
now_ms(void)
{
	return (uint64_t)time(NULL) * 1000;
}

/* What is too old goes though no file is full, and does not come again out of the log. */
static void
nothing_outlives_its_time(void **state)
{
	struct lab *l = *state;
	char *first = trace_file(l, 1, "trc"), *second = trace_file(l, 2, "trc");
	l->keep_ms = 10 * RECORDER_DAY_MS;
	lab_open(l, 1u << 30);
	note_at(l->s, 1, now_ms() - 11 * RECORDER_DAY_MS);
	recorder_sync(l->r);
	await_files(l, 0);
	assert_int_equal(found(l, KEY("user@example.com"), 0), 0);
	lab_close(l);
	lab_open(l, 1u << 30);
	note_at(l->s, 2, now_ms());
	recorder_sync(l->r);
	await_files(l, 1);
	assert_int_equal(found(l, KEY("user@example.com"), 0), 1);
	assert_int_equal(access(first, F_OK), -1);
	assert_int_equal(access(second, F_OK), 0);
	/* Young enough to stay, but no longer joined by others. */
	note_at(l->s, 3, now_ms() - 2 * RECORDER_DAY_MS);
	recorder_sync(l->r);
	note_at(l->s, 4, now_ms());
	recorder_sync(l->r);
	await_files(l, 2);
	assert_int_equal(found(l, KEY("user@example.com"), 0), 3);
	free(first);
	free(second);
}

/* The clock was a century ahead for a moment. */
static void
nothing_waits_for_the_future(void **state)
{
	struct lab *l = *state;
	uint64_t now = now_ms();
	l->keep_ms = 10 * RECORDER_DAY_MS;
	lab_open(l, 1u << 30);
	note_at(l->s, 1, now + 36500 * RECORDER_DAY_MS);
	note_at(l->s, 2, now - 9 * RECORDER_DAY_MS);
	recorder_sync(l->r);
	note_at(l->s, 3, now - 9 * RECORDER_DAY_MS);
	recorder_sync(l->r);
	note_at(l->s, 4, now);
	recorder_sync(l->r);
	await_files(l, 3);
	recorder_limits(l->r, 1u << 30, 8 * RECORDER_DAY_MS);
	await_files(l, 1);
}

/* A small limit is not overrun by a file that is still written to. */
static void
keeps_a_small_limit(void **state)
{
	struct lab *l = *state;
	struct recorder_stats st;
	l->file_bytes = RECORDER_FILE_BYTES;
	lab_open(l, 1u << 20);
	accept_some(l->s, 0, LETTERS);
	recorder_sync(l->r);
	accept_some(l->s, LETTERS, LETTERS + 1);
	recorder_sync(l->r);
	recorder_stats(l->r, &st);
	assert_true(st.files > 5);
	assert_true(st.octets <= 1u << 20);
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
		uint64_t letter = id_of(4);
		assert_int_equal(trace_search_letters(&t, l->dir, &letter, 1, false), 0);
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
main(int argc, char **argv)
{
	if (argc == 2)
		return run_fsck(argv[1]);
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(finds_by_everything, set_up, tear_down),
		cmocka_unit_test_setup_teardown(finds_what_clocks_did, set_up, tear_down),
		cmocka_unit_test_setup_teardown(reads_old_tables, set_up, tear_down),
		cmocka_unit_test_setup_teardown(goes_on_after_a_start, set_up, tear_down),
		cmocka_unit_test_setup_teardown(repairs_a_torn_tail, set_up, tear_down),
		cmocka_unit_test_setup_teardown(makes_tables_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(survives_damage, set_up, tear_down),
		cmocka_unit_test_setup_teardown(fills_a_gap, set_up, tear_down),
		cmocka_unit_test_setup_teardown(leaves_other_gaps, set_up, tear_down),
		cmocka_unit_test_setup_teardown(sets_strangers_aside, set_up, tear_down),
		cmocka_unit_test_setup_teardown(distrusts_old_tables, set_up, tear_down),
		cmocka_unit_test_setup_teardown(fsck_beside_it, set_up, tear_down),
		cmocka_unit_test_setup_teardown(begins_anew, set_up, tear_down),
		cmocka_unit_test_setup_teardown(keeps_its_limits, set_up, tear_down),
		cmocka_unit_test_setup_teardown(keeps_a_small_limit, set_up, tear_down),
		cmocka_unit_test_setup_teardown(nothing_outlives_its_time, set_up, tear_down),
		cmocka_unit_test_setup_teardown(nothing_waits_for_the_future, set_up, tear_down),
		cmocka_unit_test_setup_teardown(notes_are_found, set_up, tear_down),
		cmocka_unit_test_setup_teardown(follows_while_it_looks, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
