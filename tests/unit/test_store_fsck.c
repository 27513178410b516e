/* fsck says nothing about a healthy store, also beside a running one, and finds each kind of
 * planted damage. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/wire.h"
#include "store/fsck.h"
#include "store/index.h"
#include "store/record.h"
#include "store/resolve.h"
#include "store/segment.h"
#include "store_kit.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

#define LETTERS 40
#define LARGE 300000

static struct store *
open_small(const char *dir)
{
	char *uri = NULL;
	struct store_options o = kit_options();
	o.segment_bytes = 128u << 10;
	check(asprintf(&uri, "emb:%s", dir) > 0);
	struct store *s = kit_open_with(uri, o);
	free(uri);
	return s;
}

static void
fill(const char *dir)
{
	struct store *s = open_small(dir);
	struct store_res r = { .rc = 1 };
	check(s != NULL);
	account_create(s, STR("alice@example.com"), kit_take, &r);
	store_wait(s);
	account_create(s, STR("bob@example.com"), kit_take, &r);
	store_wait(s);
	account_create(s, STR("gone@example.com"), kit_take, &r);
	store_wait(s);
	check(r.rc == 0 && r.slot[0] == 3);
	for (uint64_t i = 1; i <= LETTERS; i++)
		check(kit_accept(s,
			  (struct kit_letter){ .id = i, .first = 1, .count = 3, .n = 6000 }) == 0);
	check(kit_accept(s, (struct kit_letter){
				.id = LETTERS + 1, .first = 1, .count = 2, .n = LARGE }) == 0);
	account_remove(s, STR("gone@example.com"), kit_take, &r);
	store_wait(s);
	check(r.rc == 0);
	/* A letter that was under way to it. */
	check(kit_accept(s, (struct kit_letter){ .id = 99, .first = 3, .count = 1, .n = 100 }) ==
	      0);
	store_close(s);
}

struct lab {
	char *dir, *healthy;
};

static int
group_set_up(void **state)
{
	struct lab *l = xalloc(sizeof(*l));
	l->healthy = kit_dir();
	fill(l->healthy);
	l->dir = kit_path(l->healthy, "../damaged");
	*state = l;
	return 0;
}

static int
group_tear_down(void **state)
{
	struct lab *l = *state;
	kit_remove(l->dir);
	kit_dir_done(l->healthy);
	free(l->dir);
	free(l);
	return 0;
}

static int
set_up(void **state)
{
	struct lab *l = *state;
	kit_remove(l->dir);
	kit_copy(l->healthy, l->dir);
	return 0;
}

static void
count_progress(void *arg, uint64_t done, uint64_t all)
{
	uint64_t *last = arg;
	check(done >= *last && done <= all);
	*last = done;
}

/* Problems that fsck finds; the text must hold what (if given). */
static uint64_t
problems(const char *dir, const char *what)
{
	struct fsck_report r;
	uint64_t last = 0;
	assert_int_equal(fsck_run(dir, &r, count_progress, &last), 0);
	if (what && str_find_str(buf_str(&r.text), str_of(what)) == r.text.len)
		print_message("expected \"%s\", got:\n%.*s", what, (int)r.text.len,
		    r.text.p ? r.text.p : "");
	if (what)
		assert_true(str_find_str(buf_str(&r.text), str_of(what)) < r.text.len);
	if (!what && r.problems)
		print_message("%.*s", (int)r.text.len, r.text.p);
	uint64_t n = r.problems;
	assert_int_equal(n > 0, r.text.len > 0);
	fsck_report_done(&r);
	return n;
}

static void
healthy(void **state)
{
	struct lab *l = *state;
	struct fsck_report r;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(fsck_run(l->dir, &r, NULL, NULL), 0);
		if (r.problems)
			print_message("%.*s", (int)r.text.len, r.text.p);
		assert_int_equal(r.problems, 0);
		assert_int_equal(r.text.len, 0);
		assert_int_equal(r.letters, 2 * (LETTERS + 1));
		assert_int_equal(r.mailboxes, 12);
		assert_true(r.segments >= 3 && r.frames > LETTERS * 6);
		/* Each inline body, and the blob. */
		assert_int_equal(r.bodies_checked, LETTERS + 2);
		assert_true(r.bytes > LETTERS * 6000 + LARGE);
		fsck_report_done(&r);
	}
	assert_int_equal(fsck_run("/nowhere/at/all", &r, NULL, NULL), -ENOENT);
	fsck_report_done(&r);
}

/* --- the log --- */

static void
edit(const char *dir, const char *file, uint64_t at, const void *p, size_t n)
{
	char *path = kit_path(dir, file);
	int fd = open(path, O_WRONLY);
	assert_true(fd >= 0);
	assert_int_equal(pwrite_all(fd, p, n, at), 0);
	close(fd);
	free(path);
}

static void
flip(const char *dir, const char *file, uint64_t at)
{
	char *path = kit_path(dir, file), c;
	int fd = open(path, O_RDONLY);
	assert_true(fd >= 0);
	assert_int_equal(pread_all(fd, &c, 1, at), 0);
	close(fd);
	free(path);
	c ^= 4;
	edit(dir, file, at, &c, 1);
}

/* The position in segment 1 of the n-th frame of a type. */
static uint64_t
frame_at(const char *dir, enum frame_type type, int n)
{
	static char seg[128u << 10];
	char *path = kit_path(dir, "log/00000001.seg");
	struct seg_head h;
	struct frame f;
	int fd = open(path, O_RDONLY);
	assert_int_equal(pread_all(fd, seg, sizeof(seg), 0), 0);
	close(fd);
	free(path);
	assert_int_equal(seg_head_get((unsigned char *)seg, &h), 0);
	for (uint64_t off = SEG_HEAD; off < sizeof(seg); off += frame_size(f.len)) {
		assert_int_equal(frame_head_get(seg + off, lsn_of(1, off), sizeof(seg) - off, h.id,
				     &f),
		    FRAME_OK);
		if (f.type == type && n-- == 0)
			return off;
	}
	fail();
	return 0;
}

static void
damaged_frames(void **state)
{
	struct lab *l = *state;
	static const struct {
		enum frame_type type;
		int n, off;
		const char *what;
	} rows[] = {
		{ FRAME_BODY, 3, FRAME_HEAD + 100, "the body at octet" },
		{ FRAME_TRACE, 2, FRAME_HEAD + 9, "the history at octet" },
		{ FRAME_INTENT, 4, FRAME_HEAD + 9, "the intent at octet" },
		{ FRAME_BATCH, 5, FRAME_HEAD + 30, "the batch at octet" },
		{ FRAME_DONE, 1, FRAME_HEAD + 20, "the done mark at octet" },
		{ FRAME_BODY, 0, 0, "damaged at octet" },   /* magic */
		{ FRAME_BATCH, 9, 17, "damaged at octet" }, /* lsn */
		{ FRAME_END, 0, 37, "damaged at octet" },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		set_up(state);
		flip(l->dir, "log/00000001.seg",
		    frame_at(l->dir, rows[i].type, rows[i].n) + (uint64_t)rows[i].off);
		assert_in_range(problems(l->dir, rows[i].what), 1, 3);
	}
}

static void
damaged_without_an_index(void **state)
{
	struct lab *l = *state;
	char *index = kit_path(l->dir, "index");
	flip(l->dir, "log/00000001.seg", frame_at(l->dir, FRAME_BODY, 2) + FRAME_HEAD);
	kit_remove(index);
	assert_int_equal(problems(l->dir, "the body at octet"), 2);
	free(index);
}

static void
damaged_segments(void **state)
{
	struct lab *l = *state;
	flip(l->dir, "log/00000002.seg", 20);
	problems(l->dir, "log/00000002.seg: its header is damaged");
	set_up(state);
	char *path = kit_path(l->dir, "log/00000002.seg");
	assert_int_equal(truncate(path, 5000), 0);
	problems(l->dir, "log/00000002.seg: its header is damaged");
	assert_int_equal(unlink(path), 0);
	problems(l->dir, "log/00000002.seg: it is missing");
	free(path);
	set_up(state);
	/* A newer format, with a right checksum; and another store's segment. */
	unsigned char head[SEG_HEAD];
	struct seg_head h = { .seq = 2, .size = 128u << 10 };
	seg_head_put(head, &h);
	edit(l->dir, "log/00000002.seg", 0, head, sizeof(head));
	problems(l->dir, "belongs to another store");
	char *log = kit_path(l->dir, "log");
	kit_remove(log);
	assert_int_equal(mkdir(log, 0700), 0);
	problems(l->dir, "there is no segment");
	free(log);
}

static void
damaged_blobs(void **state)
{
	struct lab *l = *state;
	static const char blob[] = "blob/0000000000000001";
	char *path = kit_path(l->dir, blob);
	flip(l->dir, blob, 1000);
	assert_int_equal(problems(l->dir, "blob/0000000000000001: wrong checksum"), 1);
	assert_int_equal(truncate(path, 1000), 0);
	assert_int_equal(problems(l->dir, "it has 1000 octets"), 1);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(problems(l->dir, "blob/0000000000000001: No such file"), 1);
	free(path);
}

/* --- the index --- */

static void
index_edit(const char *dir, struct store_dom d, struct str key, struct str value)
{
	struct index ix;
	struct index_meta m;
	char full[16 + STORE_KEY_MAX], *path = kit_path(dir, "index");
	MDB_txn *txn;
	assert_int_equal(index_open(&ix, path, KIT_MAP, false, &m), 0);
	assert_int_equal(mdb_txn_begin(ix.env, NULL, 0, &txn), 0);
	memcpy(full, d.b, 16);
	if (key.len)
		memcpy(full + 16, key.p, key.len);
	MDB_val k = { 16 + key.len, full }, v = { value.len, (void *)(uintptr_t)value.p };
	if (value.p)
		assert_int_equal(mdb_put(txn, ix.dbi, &k, &v, 0), 0);
	else
		assert_int_equal(mdb_del(txn, ix.dbi, &k, NULL), 0);
	assert_int_equal(mdb_txn_commit(txn), 0);
	index_close(&ix);
	free(path);
}

static void
damaged_records(void **state)
{
	struct lab *l = *state;
	const char *dir = l->dir;
	struct store_dom box = store_dom_mailbox(1, MAILBOX_INBOX);
	struct mailbox_head h = {
		.uidvalidity = 1, .uidnext = LETTERS + 2, .modseq = 1000, .messages = 7, .bytes = 9
	};
	struct buf b = BUF_INIT(1024);
	mailbox_head_put(&b, &h);
	index_edit(dir, box, STR("H"), buf_str(&b));
	problems(dir, "its header counts 7 letters");
	set_up(state);
	h = (struct mailbox_head){
		.uidvalidity = 1, .uidnext = 5, .modseq = 1000, .messages = LETTERS + 1
	};
	buf_reset(&b);
	mailbox_head_put(&b, &h);
	index_edit(dir, box, STR("H"), buf_str(&b));
	problems(dir, "is not below uidnext");
	set_up(state);
	index_edit(dir, box, STR("H"), STR_NULL);
	problems(dir, "it has letters but no header");
	set_up(state);
	index_edit(dir, box, STR("H"), STR("junk"));
	problems(dir, "a record of kind H does not decode");
	set_up(state);
	index_edit(dir, box, STR("R|\0\0\0\5"), STR_NULL);
	assert_true(problems(dir, "which is not there") >= 3);
	set_up(state);
	index_edit(dir, box, STR("R|\0\0\0\5"), STR("junk"));
	problems(dir, "a record of kind R does not decode");
	set_up(state);
	char key[15];
	index_edit(dir, box, str_n(key, change_key(key, MAILBOX_MODSEQ_MIN + 5, 5)), STR_NULL);
	problems(dir, "41 letters, but 40 changes");
	set_up(state);
	index_edit(dir, box, str_n(key, change_key(key, 900, 5)), STR(""));
	problems(dir, "change 900 names letter 5, which has another");
	set_up(state);
	char dedup[DEDUP_KEY_MAX];
	index_edit(dir, box, str_n(dedup, dedup_key(dedup, 12345, STR("x"))), STR("\0\0\0\5"));
	problems(dir, "the mark of letter 0000000000c1p names 5");
	set_up(state);
	index_edit(dir, box, STR("?what"), STR("x"));
	problems(dir, "a record of unknown kind 0x3f");
	buf_done(&b);
}

static void
damaged_references(void **state)
{
	struct lab *l = *state;
	struct store_dom box = store_dom_mailbox(2, MAILBOX_INBOX);
	static const struct {
		uint32_t uid;
		int64_t lsn, blob, len, crc;
		uint64_t letter;
		const char *what;
	} rows[] = {
		{ 3, 8, 0, 0, 0, 0, "no body stands where it should" },
		{ 3, 3, 0, 0, 0, 0, "its reference is damaged" },
		{ 3, (int64_t)77 << 32, 0, 0, 0, 0, "its segment cannot be read" },
		{ 3, 0, 0, 1, 0, 0, "another length or checksum" },
		{ 3, 0, 0, 0, 1, 0, "another length or checksum" },
		{ 3, 0, 1, 0, 0, 0, "another frame stands" },
		{ 3, 0, 0, 0, 0, 9, "another frame stands" },
		{ LETTERS + 1, 0, 1, 0, 0, 0, "its blob reference says otherwise" },
		{ LETTERS + 1, 0, 0, 0, 7, 0, "its blob reference says otherwise" },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		set_up(state);
		struct store *s = open_small(l->dir);
		struct store_snap *sn;
		struct mailbox_letter m;
		struct buf b = BUF_INIT(1024);
		char key[6];
		assert_int_equal(store_snap_open(s, &box, &sn, NULL), 0);
		assert_int_equal(mailbox_find(sn, rows[i].uid, &m), 0);
		m.ref.lsn += (uint64_t)rows[i].lsn;
		m.ref.blob += (uint64_t)rows[i].blob;
		m.ref.len += (uint64_t)rows[i].len;
		m.size += (uint64_t)rows[i].len;
		m.ref.crc += (uint32_t)rows[i].crc;
		m.letter += rows[i].letter;
		mailbox_letter_put(&b, &m);
		store_snap_close(sn);
		store_close(s);
		letter_key(key, rows[i].uid);
		index_edit(l->dir, box, str_n(key, 6), buf_str(&b));
		problems(l->dir, rows[i].what);
		buf_done(&b);
	}
}

static void
other_domains(void **state)
{
	struct lab *l = *state;
	const char *dir = l->dir;
	struct store_dom g = store_dom_directory(), a = store_dom_account(1),
			 q = store_dom_queue(0);
	struct store_dom odd = { { 'Z' } };
	index_edit(dir, g, STR("u|bob@example.com"), STR_NULL);
	problems(dir, "account 2: it has a domain B, but no address leads to it");
	set_up(state);
	index_edit(dir, a, STR("N|Sent"), STR("\0\0\0\7"));
	problems(dir, "account 1: the name of a mailbox leads nowhere");
	set_up(state);
	index_edit(dir, q, STR("q|\0\0\0\0\0\0\0\7"), STR("junk"));
	problems(dir, "queue: a record of kind q does not decode");
	set_up(state);
	index_edit(dir, odd, STR("k"), STR("v"));
	problems(dir, "a domain of unknown kind 0x5a");
	set_up(state);
	index_edit(dir, a, STR(""), STR_NULL);
	problems(dir, "the log says 1");
	set_up(state);
	char *data = kit_path(dir, "index/data.mdb");
	char junk[8192] = { 1 };
	edit(dir, "index/data.mdb", 0, junk, sizeof(junk));
	problems(dir, "index: it is damaged");
	assert_int_equal(truncate(data, 0), 0);
	problems(dir, "index: it is damaged");
	free(data);
}

/* --- beside a running server --- */

static void
beside_a_running_server(void **state)
{
	struct lab *l = *state;
	int fds[2], status;
	assert_int_equal(pipe(fds), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		close(fds[0]);
		struct store *s = open_small(l->dir);
		check(s != NULL && write(fds[1], "r", 1) == 1);
		for (uint64_t i = 1000;; i++) {
			kit_accept_async(s,
			    (struct kit_letter){
				.id = i, .first = 1, .count = 2, .n = 3000, .spill = i % 16 == 0 },
			    NULL, NULL);
			if (i % 8 == 0)
				store_wait(s);
			store_run(s);
			if (i % 100 == 0)
				usleep(5000);
		}
	}
	close(fds[1]);
	char ready;
	assert_int_equal(read(fds[0], &ready, 1), 1);
	for (int i = 0; i < 5; i++)
		assert_int_equal(problems(l->dir, NULL), 0);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	close(fds[0]);
	/* What a kill leaves is no damage, neither before the next start nor after it. */
	assert_int_equal(problems(l->dir, NULL), 0);
	store_close(open_small(l->dir));
	assert_int_equal(problems(l->dir, NULL), 0);
}

#define TEST(f)                                                                                    \
	{                                                                                          \
#f, f, set_up, NULL, NULL                                                          \
	}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(beside_a_running_server),
		TEST(healthy),
		TEST(damaged_frames),
		TEST(damaged_without_an_index),
		TEST(damaged_segments),
		TEST(damaged_blobs),
		TEST(damaged_records),
		TEST(damaged_references),
		TEST(other_domains),
	};
	return cmocka_run_group_tests(tests, group_set_up, group_tear_down);
}
