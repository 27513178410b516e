/* Disks that fail or are full, and how often the log is synced. The system calls of this
 * program pass through here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "store_kit.h"
#include "sys/clock.h"

#include <errno.h>
#include <poll.h>
#include <sys/syscall.h>

/* --- the disk --- */

static struct {
	int seg_syncs, blob_syncs;
	int fail_sync;  /* the next sync of a segment fails with this */
	int fail_write; /* every write of more than one page to a segment fails with this */
	int fail_new;   /* making a segment fails with this */
	int stall_ms;   /* each sync takes this long */
} disk;

static bool
fd_is(int fd, const char *what)
{
	char link[64], path[512];
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, path, sizeof(path) - 1);
	path[n > 0 ? n : 0] = '\0';
	return strstr(path, what) != NULL;
}

#define GET(x) __atomic_load_n(&disk.x, __ATOMIC_SEQ_CST)
#define SET(x, v) __atomic_store_n(&disk.x, v, __ATOMIC_SEQ_CST)

int
fdatasync(int fd)
{
	if (fd_is(fd, "/blob/"))
		__atomic_add_fetch(&disk.blob_syncs, 1, __ATOMIC_SEQ_CST);
	if (fd_is(fd, ".seg")) {
		__atomic_add_fetch(&disk.seg_syncs, 1, __ATOMIC_SEQ_CST);
		if (GET(stall_ms))
			usleep((useconds_t)GET(stall_ms) * 1000);
		if (GET(fail_sync)) {
			errno = GET(fail_sync);
			return -1;
		}
	}
	return (int)syscall(SYS_fdatasync, fd);
}

ssize_t
pwrite(int fd, const void *p, size_t n, off_t off)
{
	int e = fd_is(fd, ".seg.new") ? GET(fail_new) : fd_is(fd, ".seg") ? GET(fail_write) : 0;
	if (e) {
		errno = e;
		return -1;
	}
	return syscall(SYS_pwrite64, fd, p, n, off);
}

static int
set_up(void **state)
{
	memset(&disk, 0, sizeof(disk));
	*state = kit_dir();
	return 0;
}

static int
tear_down(void **state)
{
	memset(&disk, 0, sizeof(disk));
	kit_dir_done(*state);
	return 0;
}

static struct kit_letter
letter(uint64_t id)
{
	return (struct kit_letter){ .id = id, .first = 1, .count = 1, .n = 4096 };
}

/* --- counts --- */

static void
one_sync_per_group(void **state)
{
	struct store *s = kit_open(*state);
	struct store_stats st;
	SET(seg_syncs, 0);
	for (uint64_t i = 1; i <= 20; i++)
		assert_int_equal(kit_accept(s, letter(i)), 0);
	assert_int_equal(GET(seg_syncs), 20);
	/* While a sync is under way the others gather. */
	SET(stall_ms, 20);
	SET(seg_syncs, 0);
	for (uint64_t i = 100; i < 150; i++)
		kit_accept_async(s, letter(i), NULL, NULL);
	store_wait(s);
	assert_in_range(GET(seg_syncs), 1, 3);
	store_stats(s, &st);
	assert_int_equal(st.groups, 20 + GET(seg_syncs));
	assert_int_equal(st.group_letters, 70);
	assert_int_equal(GET(blob_syncs), 0);
	/* What writes nothing syncs nothing. */
	SET(stall_ms, 0);
	SET(seg_syncs, 0);
	assert_int_equal(kit_accept(s, letter(1)), 0);
	struct store_dom d = store_dom_account(1);
	struct store_batch *b = store_batch_new(s, &d);
	store_expect(b, STR("k"), STR("v"));
	assert_int_equal(kit_commit(s, b).rc, -EAGAIN);
	assert_int_equal(GET(seg_syncs), 0);
	/* A large one: its file, then the log. */
	struct kit_letter large = letter(200);
	large.n = STORE_INLINE_MAX + 1;
	assert_int_equal(kit_accept(s, large), 0);
	assert_int_equal(GET(seg_syncs), 1);
	assert_int_equal(GET(blob_syncs), 1);
	store_close(s);
}

static void
group_limits(void **state)
{
	char *uri = NULL;
	struct store_options o = kit_options();
	o.group_letters = 10;
	check(asprintf(&uri, "emb:%s", (char *)*state) > 0);
	struct store *s = kit_open_with(uri, o);
	SET(stall_ms, 20);
	SET(seg_syncs, 0);
	for (uint64_t i = 1; i <= 100; i++)
		kit_accept_async(s, letter(i), NULL, NULL);
	store_wait(s);
	assert_in_range(GET(seg_syncs), 10, 11);
	store_close(s);
	free(uri);
}

/* What a process that was killed had written, but not synced, must not be answered for. */
static void
a_start_syncs_what_it_reads(void **state)
{
	struct store *s = kit_open(*state);
	assert_int_equal(kit_accept(s, letter(1)), 0);
	store_close(s);
	SET(fail_sync, EIO);
	assert_null(kit_open(*state));
	SET(fail_sync, 0);
	SET(seg_syncs, 0);
	s = kit_open(*state);
	assert_non_null(s);
	assert_true(GET(seg_syncs) >= 1);
	assert_int_equal(store_accepted(s, 1), 1);
	store_close(s);
}

/* --- poison --- */

static void
expect_poisoned(struct store *s)
{
	struct store_dom d = store_dom_account(1);
	struct store_snap *sn;
	struct store_res res = { .rc = 1 };
	struct store_stats st;
	SET(fail_sync, 0);
	SET(fail_write, 0);
	assert_int_equal(kit_accept(s, letter(50)), -EIO);
	assert_int_equal(kit_put(s, d, "k", "v").rc, -EIO);
	assert_int_equal(store_snap_open(s, &d, &sn, NULL), -EIO);
	assert_int_equal(store_accepted(s, 1), -EIO);
	store_sync(s, kit_take, &res);
	assert_int_equal(store_wait(s), -EIO);
	assert_int_equal(res.rc, -EIO);
	store_stats(s, &st);
	assert_true(st.poisoned);
}

static void
a_failed_sync_poisons(void **state)
{
	struct store *s = kit_open(*state);
	struct store_res res[30];
	for (uint64_t i = 1; i <= 3; i++)
		assert_int_equal(kit_accept(s, letter(i)), 0);
	SET(stall_ms, 5);
	SET(fail_sync, EIO);
	for (uint64_t i = 0; i < 30; i++)
		kit_accept_async(s, letter(10 + i), kit_take, &res[i]);
	store_wait(s);
	for (size_t i = 0; i < 30; i++)
		assert_int_equal(res[i].rc, -EIO);
	expect_poisoned(s);
	store_close(s);
	s = kit_open(*state);
	assert_non_null(s);
	uint64_t n = kit_letters(s, 1, 4096, NULL);
	assert_true(n >= 3 && n <= 33);
	for (uint64_t i = 0; i < 30; i++) /* each may be asked for, and comes once */
		assert_int_equal(kit_accept(s, letter(10 + i)), 0);
	assert_int_equal(kit_letters(s, 1, 4096, NULL), 33);
	store_close(s);
}

static void
a_failed_write_poisons(void **state)
{
	struct store *s = kit_open(*state);
	assert_int_equal(kit_accept(s, letter(1)), 0);
	SET(fail_write, ENOSPC);
	assert_int_equal(kit_accept(s, letter(2)), -EIO);
	expect_poisoned(s);
	store_close(s);
	s = kit_open(*state);
	assert_int_equal(kit_letters(s, 1, 4096, NULL), 1);
	store_close(s);
}

static void
a_blob_that_cannot_be_synced(void **state)
{
	struct store *s = kit_open(*state);
	struct kit_letter large = letter(1);
	large.n = STORE_INLINE_MAX * 2;
	SET(fail_sync, EIO);
	assert_int_equal(kit_accept(s, large), -EIO);
	expect_poisoned(s);
	store_close(s);
}

/* --- a full disk --- */

static void
fill_up(struct store *s, uint64_t *id)
{
	struct store_res res;
	int rc = 0;
	for (int i = 0; i < 2000 && rc == 0; i++) {
		kit_accept_async(s, letter(++*id), kit_take, &res);
		store_wait(s);
		rc = res.rc;
	}
	assert_int_equal(rc, -ENOSPC);
	--*id;
}

static void
a_full_disk_refuses_letters_and_deletes(void **state)
{
	char *dir = *state;
	struct store *s = kit_open(dir);
	struct store_dom d = store_dom_mailbox(1, MAILBOX_INBOX);
	uint64_t id = 0;
	assert_int_equal(kit_accept(s, letter(++id)), 0);
	char *spare = kit_path(dir, "log/00000002.seg");
	for (int i = 0; i < 1000 && access(spare, F_OK) != 0; i++)
		usleep(5000);
	free(spare);
	SET(fail_new, ENOSPC);
	fill_up(s, &id);
	/* Small batches go on: mail can be deleted. */
	for (int i = 0; i < 20; i++) {
		struct store_batch *b = store_batch_new(s, &d);
		store_del(b, STR("R|\0\0\0\1"));
		assert_int_equal(kit_commit(s, b).rc, 0);
	}
	struct store_stats st;
	store_stats(s, &st);
	assert_false(st.poisoned);
	/* There is room again, and letters are taken without a restart. */
	SET(fail_new, 0);
	int rc = -ENOSPC;
	for (int i = 0; i < 100 && rc == -ENOSPC; i++) {
		usleep(50000);
		rc = kit_accept(s, letter(5000));
	}
	assert_int_equal(rc, 0);
	store_close(s);
	s = kit_open(dir);
	assert_non_null(s);
	assert_int_equal(store_accepted(s, id), 1);
	assert_int_equal(store_accepted(s, id + 1), 0);
	store_close(s);
}

static void
a_broken_disk_while_preparing(void **state)
{
	struct store *s = kit_open(*state);
	SET(fail_new, EIO);
	int rc = 0;
	for (uint64_t i = 1; i < 3000 && rc == 0; i++)
		rc = kit_accept(s, letter(i));
	assert_int_equal(rc, -EIO);
	expect_poisoned(s);
	store_close(s);
}

/* The index's map is full: letters go on for a while, then are refused; nothing is lost. */
static void
a_full_index(void **state)
{
	char *uri = NULL, *dir = *state;
	struct store_options o = kit_options();
	o.map_bytes = 256u << 10;
	check(asprintf(&uri, "emb:%s", dir) > 0);
	struct store *s = kit_open_with(uri, o);
	struct store_stats st;
	uint64_t done = 0;
	int rc = 0;
	for (uint64_t i = 1; i <= 20000 && rc == 0; i += 100) {
		struct store_res res[100];
		for (uint64_t k = 0; k < 100; k++)
			kit_accept_async(s,
			    (struct kit_letter){ .id = i + k, .first = 1, .count = 1, .n = 50 },
			    kit_take, &res[k]);
		store_wait(s);
		for (size_t k = 0; k < 100; k++) {
			if (res[k].rc == 0)
				done++;
			else
				rc = res[k].rc;
		}
	}
	assert_int_equal(rc, -ENOSPC);
	assert_true(done > 100);
	store_stats(s, &st);
	assert_false(st.poisoned);
	struct store_dom d = store_dom_mailbox(1, MAILBOX_INBOX);
	struct store_snap *sn;
	assert_int_equal(store_snap_open(s, &d, &sn, NULL), -ENOSPC);
	store_close(s);
	free(uri);
	s = kit_open(dir); /* with a larger map */
	assert_non_null(s);
	assert_int_equal(kit_letters(s, 1, 50, NULL), done);
	store_close(s);
}

/* Who waited for it hears what is durable, not what the index could not show: nobody does it again.
 */
static void
a_full_index_tells_no_lies(void **state)
{
	char *uri = NULL, *dir = *state;
	struct store_options o = kit_options();
	struct store_dom d = store_dom_mailbox(1, MAILBOX_INBOX);
	o.map_bytes = 256u << 10;
	check(asprintf(&uri, "emb:%s", dir) > 0);
	struct store *s = kit_open_with(uri, o);
	uint64_t done = 0, refused = 0;
	for (uint64_t i = 1; i <= 40000 && refused == 0; i += 100) {
		struct store_res res[100];
		for (uint64_t k = 0; k < 100; k++) {
			struct mailbox_append a = { .account = 1,
				.mailbox = MAILBOX_INBOX,
				.letter = i + k,
				.time_ms = KIT_TIME };
			struct store_body *b = store_body_new(s, i + k);
			assert_int_equal(store_body_write(b, STR("a letter")), 0);
			mailbox_append(s, b, &a, STORE_APPLIED, kit_take, &res[k]);
		}
		store_wait(s);
		for (size_t k = 0; k < 100; k++) {
			assert_true(res[k].rc == 0 || res[k].rc == -ENOSPC);
			done += res[k].rc == 0;
			refused += res[k].rc < 0;
		}
	}
	assert_true(done > 100 && refused > 0);
	store_close(s);
	free(uri);
	s = kit_open(dir);
	assert_non_null(s);
	struct store_snap *sn;
	struct mailbox_head h;
	assert_int_equal(store_snap_open(s, &d, &sn, NULL), 0);
	assert_int_equal(mailbox_head_read(sn, &h), 0);
	assert_int_equal(h.messages, done);
	store_snap_close(sn);
	store_close(s);
}

#define TEST(f)                                                                                    \
	{                                                                                          \
#f, f, set_up, tear_down, NULL                                                     \
	}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(one_sync_per_group),
		TEST(group_limits),
		TEST(a_start_syncs_what_it_reads),
		TEST(a_failed_sync_poisons),
		TEST(a_failed_write_poisons),
		TEST(a_blob_that_cannot_be_synced),
		TEST(a_full_disk_refuses_letters_and_deletes),
		TEST(a_broken_disk_while_preparing),
		TEST(a_full_index),
		TEST(a_full_index_tells_no_lies),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
