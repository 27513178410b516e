#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/check.h"
#include "sys/file.h"
#include "sys/listen.h"
#include "sys/peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static bool
have_v6(void)
{
	int fd;
	if (listen_tcp("::1", 0, 0, &fd) < 0)
		return false;
	close(fd);
	return true;
}

static int
reach(const char *address, uint16_t port)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	bool is4 = inet_pton(AF_INET, address, &v4.sin_addr) == 1;
	if (!is4)
		check(inet_pton(AF_INET6, address, &v6.sin6_addr) == 1);
	int fd = socket(is4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int r = is4 ? connect(fd, (struct sockaddr *)&v4, sizeof(v4))
	            : connect(fd, (struct sockaddr *)&v6, sizeof(v6));
	if (r == 0)
		return fd;
	close(fd);
	return -1;
}

struct row {
	const char *address, *from, *seen; /* seen NULL: not reached */
	bool v6;
};

static const struct row rows[] = {
	{ "127.0.0.1", "127.0.0.1", "127.0.0.1", false },
	{ "127.0.0.2", "127.0.0.1", NULL, false },
	{ "0.0.0.0", "127.0.0.3", "127.0.0.1", false },
	{ "*", "127.0.0.1", "127.0.0.1", false },
	{ "*", "::1", "::1", true },
	{ "::1", "::1", "::1", true },
	{ "::", "::1", "::1", true },
	{ "::", "127.0.0.1", NULL, true },
};

static void
test_tcp(void **state)
{
	bool v6 = have_v6();
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct row *r = &rows[i];
		int fd, conn;
		struct sys_addr here, peer;
		struct sockaddr_storage from;
		socklen_t len = sizeof(from);
		if (r->v6 && !v6)
			continue;
		assert_int_equal(listen_tcp(r->address, 0, 0, &fd), 0);
		assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
		assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
		assert_int_equal(sys_addr_here(fd, &here), 0);
		int c = reach(r->from, here.port);
		assert_int_equal(c >= 0, r->seen != NULL);
		if (c >= 0) {
			struct pollfd p = { fd, POLLIN, 0 };
			poll(&p, 1, 1000);
			conn = accept4(fd, (struct sockaddr *)&from, &len, SOCK_CLOEXEC);
			assert_true(conn >= 0);
			assert_true(sys_addr_of((struct sockaddr *)&from, len, &peer));
			assert_string_equal(peer.text, r->seen);
			assert_int_equal(peer.is_v4, strchr(r->seen, ':') == NULL);
			assert_int_equal(sys_addr_here(conn, &here), 0);
			assert_string_equal(here.text, r->from);
			close(conn);
			close(c);
		}
		close(fd);
	}
}

static void
test_tcp_refusals(void **state)
{
	int fd, again, third;
	struct sys_addr here;
	assert_int_equal(listen_tcp("localhost", 0, 0, &fd), -EINVAL);
	assert_int_equal(listen_tcp("", 0, 0, &fd), -EINVAL);
	assert_int_equal(listen_tcp("192.0.2.1", 0, 0, &fd), -EADDRNOTAVAIL);
	assert_int_equal(listen_tcp("127.0.0.1", 0, 0, &fd), 0);
	assert_int_equal(sys_addr_here(fd, &here), 0);
	assert_int_equal(listen_tcp("127.0.0.1", here.port, 0, &again), -EADDRINUSE);
	close(fd);
	assert_int_equal(listen_tcp("127.0.0.1", 0, LISTEN_REUSEPORT, &fd), 0);
	assert_int_equal(sys_addr_here(fd, &here), 0);
	assert_int_equal(listen_tcp("127.0.0.1", here.port, LISTEN_REUSEPORT, &again), 0);
	assert_int_equal(listen_tcp("127.0.0.1", here.port, 0, &third), -EADDRINUSE);
	close(fd);
	close(again);
}

static void
test_addr_text(void **state)
{
	static const struct {
		const char *in, *out; /* out NULL: not an address */
		bool v4;
	} addrs[] = {
		{ "127.0.0.1", "127.0.0.1", true },
		{ "::1", "::1", false },
		{ "::ffff:192.0.2.7", "192.0.2.7", true },
		{ "2001:DB8:0:0:0:0:0:1", "2001:db8::1", false },
		{ "127.1", NULL, false },
		{ "1.2.3.4.5", NULL, false },
		{ "fe80::1%lo", NULL, false },
		{ "[::1]", NULL, false },
		{ "", NULL, false },
		{ "1.2.3.4 ", NULL, false },
	};
	for (size_t i = 0; i < ARRAY_LEN(addrs); i++) {
		struct sys_addr a;
		assert_int_equal(sys_addr_parse(addrs[i].in, &a), addrs[i].out != NULL);
		if (addrs[i].out) {
			assert_string_equal(a.text, addrs[i].out);
			assert_int_equal(a.is_v4, addrs[i].v4);
		}
	}
	char out[INET6_ADDRSTRLEN];
	struct sockaddr_in6 mapped = { .sin6_family = AF_INET6, .sin6_port = htons(7) };
	struct sys_addr a;
	inet_pton(AF_INET6, "::ffff:10.1.2.3", &mapped.sin6_addr);
	struct sockaddr *sa = (struct sockaddr *)&mapped;
	assert_string_equal(sys_addr_text(sa, sizeof(mapped), out), "10.1.2.3");
	assert_true(sys_addr_of(sa, sizeof(mapped), &a));
	assert_int_equal(a.port, 7);
	assert_false(sys_addr_of(sa, 8, &a));
	assert_false(sys_addr_of(sa, 0, &a));
	assert_string_equal(sys_addr_text(sa, 1, out), "unknown");
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	assert_string_equal(sys_addr_text((struct sockaddr *)&un, sizeof(un), out), "local");
}

static char dir[64];

static int
setup(void **state)
{
	snprintf(dir, sizeof(dir), "/tmp/test_listen.XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int
teardown(void **state)
{
	char cmd[128];
	snprintf(cmd, sizeof(cmd), "rm -r '%s'", dir);
	return system(cmd);
}

static void
try_unix(const char *path)
{
	int fd, again, c;
	struct stat st;
	struct sys_peer peer;
	struct sys_addr here;
	assert_int_equal(unix_connect(path, &c), -ENOENT);
	assert_int_equal(listen_unix(path, &fd), 0);
	assert_int_equal(sys_addr_here(fd, &here), -EAFNOSUPPORT);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(listen_unix(path, &again), -EADDRINUSE); /* somebody answers */
	close(fd);
	assert_int_equal(unix_connect(path, &c), -ECONNREFUSED);
	assert_int_equal(listen_unix(path, &fd), 0); /* stale: taken over */
	assert_int_equal(unix_connect(path, &c), 0);
	int conn = accept(fd, NULL, NULL);
	assert_true(conn >= 0);
	assert_int_equal(sys_peer_get(conn, &peer), 0);
	assert_int_equal(peer.pid, getpid());
	assert_int_equal(peer.uid, geteuid());
	assert_int_equal(peer.gid, getegid());
	close(conn);
	close(c);
	close(fd);
}

static void
test_unix(void **state)
{
	char path[512];
	snprintf(path, sizeof(path), "%s/ctl.sock", dir);
	try_unix(path);

	/* Longer than sun_path. */
	char deep[128];
	memset(deep, 'd', 120);
	deep[120] = '\0';
	snprintf(path, sizeof(path), "%s/%s", dir, deep);
	assert_int_equal(dir_make(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/%s/ctl.sock", dir, deep);
	try_unix(path);
	snprintf(path, sizeof(path), "%s/%s/%s", dir, deep, deep);
	int fd;
	assert_int_equal(listen_unix(path, &fd), -ENAMETOOLONG);
}

static void
test_unix_for_others(void **state)
{
	char path[128], other[128];
	struct stat st;
	struct unix_file f, g;
	struct unix_access a = { 0660, (uid_t)-1, (gid_t)-1 };
	int fd, again;
	snprintf(path, sizeof(path), "%s/lmtp", dir);
	snprintf(other, sizeof(other), "%s/other", dir);
	assert_int_equal(unix_file_of(path, &f), -ENOENT);
	assert_int_equal(unix_file_of(dir, &f), -ENOTSOCK);
	mode_t mask = umask(077);
	assert_int_equal(listen_unix_for(path, &a, &fd), 0);
	umask(mask);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0660);
	assert_int_equal(listen_unix_for(path, &a, &again), -EADDRINUSE);
	a = (struct unix_access){ 0606, getuid(), getgid() };
	assert_int_equal(unix_access_set(path, &a), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0606);
	assert_int_equal(unix_access_set(other, &a), -ENOENT);
	/* Another one's socket in our place stays there. */
	assert_int_equal(unix_file_of(path, &f), 0);
	assert_int_equal(rename(path, other), 0);
	assert_int_equal(listen_unix_for(path, &a, &again), 0);
	unix_file_remove(path, &f);
	assert_int_equal(unix_file_of(path, &g), 0);
	unix_file_remove(path, &g);
	assert_int_equal(unix_file_of(path, &g), -ENOENT);
	unix_file_remove(path, &g);
	unix_file_remove(other, &f);
	assert_int_equal(unix_file_of(other, &g), -ENOENT);
	close(fd);
	close(again);
	if (getuid() != 0) {
		a = (struct unix_access){ 0600, 0, 0 };
		assert_int_equal(listen_unix_for(path, &a, &fd), -EPERM);
		assert_int_equal(unix_file_of(path, &g), -ENOENT); /* nothing stays behind */
	}
}

static void
test_unix_never_removes_a_file(void **state)
{
	char path[128];
	int fd;
	struct stat st;
	snprintf(path, sizeof(path), "%s/file", dir);
	assert_int_equal(file_replace(path, STR("precious"), 0600), 0);
	assert_int_equal(listen_unix(path, &fd), -EEXIST);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, 8);
}

static void
test_peer_of_a_stranger(void **state)
{
	struct sys_peer peer;
	int fd;
	assert_int_equal(listen_tcp("127.0.0.1", 0, 0, &fd), 0);
	assert_true(sys_peer_get(fd, &peer) < 0);
	close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tcp),
		cmocka_unit_test(test_tcp_refusals),
		cmocka_unit_test(test_addr_text),
		cmocka_unit_test_setup_teardown(test_unix, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unix_for_others, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unix_never_removes_a_file, setup, teardown),
		cmocka_unit_test(test_peer_of_a_stranger),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
