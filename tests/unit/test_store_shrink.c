/* An index that has grown and was emptied is copied at the writer's start. It holds the same keys
 * then, also when the process is killed anywhere in between. The system calls that change names or
 * make them durable pass through here, so that a child can end before any of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/wire.h"
#include "store/emb.h"
#include "store_kit.h"

#include <errno.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define SHRINK (512u << 10)
#define NEVER (1ull << 40)
#define KEYS 1500
#define KEPT 20
#define KILLED 9
#define CALLS_MAX 200

/* --- the calls --- */

static int calls_left = -1; /* the child ends before the call that makes it 0 */

static void
count_call(void)
{
	if (calls_left > 0 && __atomic_sub_fetch(&calls_left, 1, __ATOMIC_SEQ_CST) == 0)
		_exit(KILLED);
}

int
renameat(int from_at, const char *from, int to_at, const char *to)
{
	count_call();
	return (int)syscall(SYS_renameat2, from_at, from, to_at, to, 0);
}

int
unlinkat(int at, const char *name, int flags)
{
	count_call();
	return (int)syscall(SYS_unlinkat, at, name, flags);
}

int
mkdirat(int at, const char *name, mode_t mode)
{
	count_call();
	return (int)syscall(SYS_mkdirat, at, name, mode);
}

int
fchmod(int fd, mode_t mode)
{
	count_call();
	return (int)syscall(SYS_fchmod, fd, mode);
}

int
fsync(int fd)
{
	count_call();
	return (int)syscall(SYS_fsync, fd);
}

/* --- a hollow index --- */

static int
set_up(void **state)
{
	*state = kit_dir();
	return 0;
}

static int
tear_down(void **state)
{
	kit_dir_done(*state);
	return 0;
}

static struct store *
open_at(const char *dir, uint64_t shrink)
{
	char *uri = NULL;
	struct store_options o = kit_options();
	o.shrink_bytes = shrink;
	check(asprintf(&uri, "emb:%s", dir) > 0);
	struct store *s = kit_open_with(uri, o);
	free(uri);
	return s;
}

static uint64_t
index_size(const char *dir)
{
	struct stat st;
	char *path = kit_path(dir, "index/data.mdb");
	assert_int_equal(stat(path, &st), 0);
	free(path);
	return (uint64_t)st.st_size;
}

static bool
is_there(const char *dir, const char *name)
{
	char *path = kit_path(dir, name);
	bool there = access(path, F_OK) == 0;
	free(path);
	return there;
}

/* All keys and values of the index, its own record too. */
static struct buf
keys_of(struct store *s)
{
	struct emb *e = s->impl;
	struct buf b = BUF_INIT(SIZE_MAX / 2);
	MDB_txn *txn;
	MDB_cursor *c;
	MDB_val k, v;
	assert_int_equal(applied_wait(e), 0);
	assert_int_equal(mdb_txn_begin(e->ix.env, NULL, MDB_RDONLY, &txn), 0);
	assert_int_equal(mdb_cursor_open(txn, e->ix.dbi, &c), 0);
	while (mdb_cursor_get(c, &k, &v, MDB_NEXT) == 0) {
		put_str(&b, str_n(k.mv_data, k.mv_size));
		put_str(&b, str_n(v.mv_data, v.mv_size));
	}
	mdb_cursor_close(c);
	mdb_txn_abort(txn);
	assert_false(b.failed);
	return b;
}

static void
put_many(struct store *s, const char *value, int from, int to)
{
	struct store_dom d = store_dom_account(1);
	char key[16];
	while (from < to) {
		struct store_batch *b = store_batch_new(s, &d);
		for (int i = 0; i < 100 && from < to; i++, from++) {
			snprintf(key, sizeof(key), "k%d", from);
			if (value)
				store_put(b, str_of(key), str_of(value), 0);
			else
				store_del(b, str_of(key));
		}
		assert_int_equal(kit_commit(s, b).rc, 0);
	}
}

/* What the index holds afterwards. */
static struct buf
make_hollow(const char *dir)
{
	static char value[6000]; /* pages of their own, as large values have */
	struct store *s = open_at(dir, NEVER);
	assert_non_null(s);
	memset(value, 'v', sizeof(value) - 1);
	put_many(s, value, 0, KEYS / 3);
	value[900] = '\0';
	put_many(s, value, KEYS / 3, KEYS);
	assert_int_equal(kit_accept(s,
			     (struct kit_letter){ .id = 1, .first = 1, .count = 2, .n = 900 }),
	    0);
	free(keys_of(s).p); /* applied: the next is a commit of its own */
	put_many(s, NULL, KEPT, KEYS);
	struct buf keys = keys_of(s);
	store_close(s);
	assert_true(index_size(dir) > 2 * SHRINK);
	return keys;
}

static void
holds(struct store *s, const struct buf *keys)
{
	assert_non_null(s);
	struct buf now = keys_of(s);
	assert_true(str_eq(buf_str(&now), buf_str(keys)));
	buf_done(&now);
	assert_int_equal(kit_letters(s, 2, 900, NULL), 1);
}

/* --- tests --- */

static void
shrinks_at_the_next_start(void **state)
{
	const char *dir = *state;
	struct buf keys = make_hollow(dir);
	uint64_t size = index_size(dir);
	struct store *s = open_at(dir, NEVER);
	holds(s, &keys);
	store_close(s);
	assert_int_equal(index_size(dir), size);
	s = open_at(dir, SHRINK);
	holds(s, &keys);
	assert_true(index_size(dir) < size / 4);
	assert_false(is_there(dir, "index.new"));
	/* It can be written to, and is small now: no second copy. */
	put_many(s, "new", 0, 5);
	assert_string_equal(kit_get(s, store_dom_account(1), "k4"), "new");
	struct buf more = keys_of(s);
	store_close(s);
	size = index_size(dir);
	s = open_at(dir, SHRINK);
	holds(s, &more);
	assert_int_equal(index_size(dir), size);
	store_close(s);
	buf_done(&keys);
	buf_done(&more);
}

static void
full_index_is_left(void **state)
{
	const char *dir = *state;
	static char value[900];
	memset(value, 'v', sizeof(value) - 1);
	struct store *s = open_at(dir, NEVER);
	put_many(s, value, 0, KEYS);
	struct buf keys = keys_of(s);
	store_close(s);
	uint64_t size = index_size(dir);
	assert_true(size > SHRINK);
	s = open_at(dir, SHRINK);
	struct buf now = keys_of(s);
	assert_true(str_eq(buf_str(&now), buf_str(&keys)));
	store_close(s);
	assert_int_equal(index_size(dir), size);
	buf_done(&keys);
	buf_done(&now);
}

static void
waits_for_readers(void **state)
{
	const char *dir = *state;
	struct buf keys = make_hollow(dir);
	char *path = kit_path(dir, "readers");
	struct flock shared = { .l_type = F_RDLCK, .l_whence = SEEK_SET };
	uint64_t size = index_size(dir);
	int fd = open(path, O_RDWR);
	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_OFD_SETLK, &shared), 0);
	struct store *s = open_at(dir, SHRINK);
	holds(s, &keys);
	store_close(s);
	assert_int_equal(index_size(dir), size);
	close(fd);
	s = open_at(dir, SHRINK);
	holds(s, &keys);
	store_close(s);
	assert_true(index_size(dir) < size / 4);
	free(path);
	buf_done(&keys);
}

static int
reader_child(const char *dir, int ask, int answer)
{
	struct store_options o = kit_options();
	char *uri = NULL, go;
	o.read_only = true;
	check(asprintf(&uri, "emb:%s", dir) > 0);
	if (read(ask, &go, 1) != 1)
		return 1;
	struct store *s = kit_open_with(uri, o);
	free(uri);
	while (s && write(answer, "r", 1) == 1 && read(ask, &go, 1) == 1)
		if (kit_letters(s, 2, 900, NULL) != 1)
			return 2;
	return s && !store_close(s) ? 0 : 3;
}

/* Another process reads all the while; the writer that starts leaves it its index. */
static void
a_reader_keeps_its_index(void **state)
{
	const char *dir = *state;
	int ask[2], answer[2], status;
	char c;
	assert_int_equal(pipe(ask) | pipe(answer), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		close(ask[1]);
		close(answer[0]);
		_exit(reader_child(dir, ask[0], answer[1]));
	}
	close(ask[0]);
	close(answer[1]);
	struct buf keys = make_hollow(dir);
	uint64_t size = index_size(dir);
	assert_int_equal(write(ask[1], "g", 1), 1);
	assert_int_equal(read(answer[0], &c, 1), 1);
	struct store *s = open_at(dir, SHRINK);
	holds(s, &keys);
	assert_int_equal(index_size(dir), size);
	assert_int_equal(write(ask[1], "g", 1), 1);
	assert_int_equal(read(answer[0], &c, 1), 1);
	close(ask[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	store_close(s);
	close(answer[0]);
	buf_done(&keys);
}

/* Before each call in turn, until there are no more. */
static void
killed_anywhere(void **state)
{
	const char *dir = *state;
	char *image = kit_path(dir, "../image"), *data = kit_path(image, "index/data.mdb");
	struct buf keys = make_hollow(dir);
	uint64_t size = index_size(dir);
	unsigned large = 0, small = 0, left = 0;
	int n = 1, status = 0;
	for (; n < CALLS_MAX; n++) {
		kit_copy(dir, image);
		pid_t pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			calls_left = n;
			struct emb *e = open_at(image, SHRINK)->impl;
			/* The threads go on as they like; what is looked at is over. */
			_exit(e->ix.env && calls_left > 0 ? 0 : KILLED);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status));
		if (WEXITSTATUS(status) == 0)
			break;
		assert_int_equal(WEXITSTATUS(status), KILLED);
		*(index_size(image) < size / 4 ? &small : &large) += 1;
		left += is_there(image, "index.new");
		/* As it is, without another copy; then with one, if need be. */
		for (int again = 0; again < 2; again++) {
			struct store *s = open_at(image, again ? SHRINK : NEVER);
			holds(s, &keys);
			store_close(s);
			assert_false(is_there(image, "index.new"));
		}
		assert_true(index_size(image) < size / 4);
		kit_remove(image);
	}
	assert_true(n < CALLS_MAX);
	assert_true(large > 0 && small > 0 && left > 0);
	free(data);
	free(image);
	buf_done(&keys);
}

/* What a copy that was interrupted has left is no obstacle, and goes. */
static void
half_a_copy_is_no_index(void **state)
{
	const char *dir = *state;
	struct buf keys = make_hollow(dir);
	char *new = kit_path(dir, "index.new"), *half = kit_path(dir, "index.new/data.mdb"),
	     *lock = kit_path(dir, "index.new/lock.mdb");
	for (int round = 0; round < 3; round++) {
		assert_int_equal(mkdir(new, 0700), 0);
		const char *files[] = { half, lock };
		for (int i = 0; i < round; i++) {
			int fd = open(files[i], O_WRONLY | O_CREAT, 0600);
			assert_int_equal(write(fd, "half", 4), 4);
			close(fd);
		}
		struct store *s = open_at(dir, round == 1 ? SHRINK : NEVER);
		holds(s, &keys);
		store_close(s);
		assert_false(is_there(dir, "index.new"));
	}
	free(new);
	free(half);
	free(lock);
	buf_done(&keys);
}

/* A copy that cannot be made leaves the index that there is. */
static void
a_failed_copy_harms_nothing(void **state)
{
	const char *dir = *state;
	struct buf keys = make_hollow(dir);
	uint64_t size = index_size(dir);
	char *in_the_way = kit_path(dir, "index.new/x"), *new = kit_path(dir, "index.new");
	struct index ix;
	struct index_meta m;
	char *path = kit_path(dir, "index");
	int at = open(dir, O_RDONLY | O_DIRECTORY);
	assert_int_equal(index_open(&ix, path, KIT_MAP, false, &m), 0);
	assert_true(index_is_hollow(&ix, SHRINK));
	assert_int_equal(mkdir(new, 0700) | mkdir(in_the_way, 0700), 0);
	assert_true(index_shrink(&ix, at, dir) < 0);
	assert_null(ix.env);
	assert_int_equal(index_size(dir), size);
	close(at);
	kit_remove(new);
	struct store *s = open_at(dir, NEVER);
	holds(s, &keys);
	store_close(s);
	free(in_the_way);
	free(new);
	free(path);
	buf_done(&keys);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(a_reader_keeps_its_index), /* first: it forks, and there is no thread yet */
		TEST(killed_anywhere),
		TEST(shrinks_at_the_next_start),
		TEST(full_index_is_left),
		TEST(waits_for_readers),
		TEST(half_a_copy_is_no_index),
		TEST(a_failed_copy_harms_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
