#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/check.h"
#include "sys/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[64];

static const char *
at(const char *name)
{
	static char path[4][192];
	static unsigned turn;
	char *p = path[turn++ % 4];
	snprintf(p, sizeof(path[0]), "%s/%s", dir, name);
	return p;
}

static int
setup(void **state)
{
	snprintf(dir, sizeof(dir), "/tmp/test_file.XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int
teardown(void **state)
{
	char cmd[128];
	snprintf(cmd, sizeof(cmd), "rm -r '%s'", dir);
	return system(cmd);
}

/* The bounds: of the call, and of the buffer. */
static void
test_read(void **state)
{
	static const struct {
		size_t size, max, ceiling;
		int want;
	} rows[] = {
		{ 0, 0, 0, 0 },
		{ 0, 10, 10, 0 },
		{ 1, 0, 10, -EFBIG },
		{ 10, 10, 10, 0 },
		{ 10, 9, 100, -EFBIG },
		{ 10, 100, 9, -EFBIG },
		{ 100000, 100000, 100000, 0 },
		{ 100001, 100000, 1 << 20, -EFBIG },
		{ 100000, SIZE_MAX, SIZE_MAX / 2, 0 },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char *content = xalloc(rows[i].size);
		memset(content, 'x', rows[i].size);
		struct str s = str_n(content, rows[i].size);
		struct buf b = BUF_INIT(rows[i].ceiling);
		assert_int_equal(file_replace(at("f"), s, 0600), 0);
		assert_int_equal(file_read_all(at("f"), rows[i].max, &b), rows[i].want);
		assert_true(str_eq(buf_str(&b), rows[i].want == 0 ? s : STR_NULL));
		buf_done(&b);
		free(content);
	}
}

static void
test_read_appends_and_leaves(void **state)
{
	struct buf b = BUF_INIT(100);
	buf_putz(&b, "abc");
	assert_int_equal(file_replace(at("f"), STR("def"), 0600), 0);
	assert_int_equal(file_read_all(at("f"), 3, &b), 0);
	assert_int_equal(file_read_all(at("f"), 2, &b), -EFBIG);
	assert_int_equal(file_read_all(at("none"), 2, &b), -ENOENT);
	assert_int_equal(file_read_all(dir, 2, &b), -EISDIR);
	assert_true(str_eq(buf_str(&b), STR("abcdef")));
	buf_done(&b);
}

static void
test_replace(void **state)
{
	struct stat st;
	struct buf b = BUF_INIT(100);
	mode_t was = umask(0077);
	assert_int_equal(file_replace(at("f"), STR("old"), 0644), 0);
	umask(was);
	assert_int_equal(file_replace(at("f"), STR("new"), 0640), 0);
	assert_int_equal(stat(at("f"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_int_equal(file_read_all(at("f"), 100, &b), 0);
	assert_true(str_eq(buf_str(&b), STR("new")));
	buf_done(&b);
	assert_int_equal(file_replace(at("no/f"), STR("x"), 0640), -ENOENT);
	assert_int_equal(mkdir(at("d"), 0700), 0);
	assert_int_equal(mkdir(at("d/e"), 0700), 0);
	assert_int_equal(file_replace(at("d"), STR("x"), 0640),
	    -EISDIR); /* rename fails: no debris */
	char cmd[160];
	snprintf(cmd, sizeof(cmd), "test -z \"$(ls '%s' | grep tmp)\"", dir);
	assert_int_equal(system(cmd), 0);
}

static void
test_dir_make(void **state)
{
	struct stat st;
	assert_int_equal(dir_make(at("a/b//c/"), 0700), 0);
	assert_int_equal(dir_make(at("a/b/c"), 0700), 0);
	assert_int_equal(stat(at("a/b/c"), &st), 0);
	assert_true(S_ISDIR(st.st_mode));
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_int_equal(file_replace(at("f"), STR(""), 0600), 0);
	assert_int_equal(dir_make(at("f"), 0700), -ENOTDIR);
	assert_int_equal(dir_make(at("f/g"), 0700), -ENOTDIR);
	assert_int_equal(dir_make("", 0700), -ENOENT);
	assert_int_equal(dir_make("/", 0700), 0);
	assert_int_equal(dir_make(".", 0700), 0);
	assert_int_equal(dir_sync(at("a")), 0);
	assert_int_equal(dir_sync(at("f")), -ENOTDIR);
	assert_int_equal(dir_sync(at("none")), -ENOENT);
	assert_int_equal(chdir(dir), 0);
	assert_int_equal(dir_make("rel/ative", 0700), 0);
	assert_int_equal(file_replace("here", STR("x"), 0600), 0);
	assert_int_equal(chdir("/"), 0);
	assert_int_equal(stat(at("rel/ative"), &st), 0);
}

/* Held against ourselves and against a child, until the holder's descriptor closes. */
static void
test_lock(void **state)
{
	int fd, other;
	assert_int_equal(dir_lock(at("none"), &fd), -ENOENT);
	assert_int_equal(dir_lock(dir, &fd), 0);
	assert_int_equal(dir_lock(dir, &other), -EWOULDBLOCK);
	int probe = open(at("lock"), O_RDONLY);
	close(probe); /* a POSIX lock would be gone now */
	pid_t pid = fork();
	if (pid == 0) {
		close(fd);
		_exit(dir_lock(dir, &other) == -EWOULDBLOCK ? 0 : 1);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(fd);
	assert_int_equal(dir_lock(dir, &fd), 0);
	close(fd);
}

static void
test_space(void **state)
{
	assert_true(dir_space_free("/tmp") > 0);
	assert_int_equal(dir_space_free(at("none")), 0);
}

static void
test_memfd(void **state)
{
	struct str map;
	int fd = memfd_sealed("test", STR("hello"));
	assert_true(fd >= 0);
	assert_int_equal(memfd_map(fd, 5, &map), 0);
	assert_true(str_eq(map, STR("hello")));
	memfd_unmap(map);
	assert_int_equal(memfd_map(fd, 4, &map), -EFBIG);
	assert_int_equal(write(fd, "x", 1), -1);
	assert_int_equal(ftruncate(fd, 0), -1);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE), -1);
	assert_ptr_equal(mmap(NULL, 5, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
	close(fd);

	fd = memfd_sealed("empty", STR_NULL);
	assert_int_equal(memfd_map(fd, 0, &map), 0);
	assert_int_equal(map.len, 0);
	assert_non_null(map.p);
	memfd_unmap(map);
	close(fd);

	/* What is not sealed, or no memfd at all, could change under us. */
	fd = memfd_create("open", MFD_ALLOW_SEALING);
	assert_int_equal(write(fd, "hello", 5), 5);
	assert_int_equal(memfd_map(fd, 100, &map), -EPERM);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW), 0);
	assert_int_equal(memfd_map(fd, 100, &map), -EPERM);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	assert_int_equal(memfd_map(fd, 100, &map), 0);
	memfd_unmap(map);
	close(fd);
	fd = open("/", O_RDONLY);
	assert_int_equal(memfd_map(fd, 100, &map), -EINVAL);
	close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_read, setup, teardown),
		cmocka_unit_test_setup_teardown(test_read_appends_and_leaves, setup, teardown),
		cmocka_unit_test_setup_teardown(test_replace, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dir_make, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lock, setup, teardown),
		cmocka_unit_test_setup_teardown(test_space, setup, teardown),
		cmocka_unit_test(test_memfd),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
