/* This program runs itself again: with arguments it is the child, which looks around. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/check.h"
#include "sys/spawn.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int
fd_count(void)
{
	int n = 0;
	DIR *d = opendir("/proc/self/fd");
	while (readdir(d))
		n++;
	closedir(d);
	return n - 3; /* "." and ".." and the directory itself */
}

/* Where a sanitizer puts handlers of its own before main(). */
static int
is_fault(int s)
{
	return s == SIGSEGV || s == SIGBUS || s == SIGFPE || s == SIGILL || s == SIGTRAP;
}

static int
signals_are_clean(void)
{
	sigset_t now;
	struct sigaction sa;
	if (sigprocmask(SIG_BLOCK, NULL, &now) < 0)
		return 0;
	for (int s = 1; s < 32; s++) {
		if (sigismember(&now, s) == 1 || sigaction(s, NULL, &sa) < 0)
			return 0;
		int ours = s == SIGPIPE || s == SIGINT || s == SIGTERM || s == SIGHUP;
		if (!is_fault(s) && sa.sa_handler != (ours ? SIG_IGN : SIG_DFL))
			return 0;
	}
	return 1;
}

static int
child_main(const char *what)
{
	struct stat st, null;
	if (strcmp(what, "look") == 0) {
		if (fd_count() != 4)
			return 10;
		if (fstat(0, &st) < 0 || stat("/dev/null", &null) < 0 || st.st_rdev != null.st_rdev)
			return 11;
		if (fcntl(SPAWN_FD, F_GETFD) != 0)
			return 12;
		if (!signals_are_clean())
			return 13;
		return write(SPAWN_FD, "here", 4) == 4 ? 0 : 14;
	}
	if (strcmp(what, "seven") == 0)
		return 7;
	if (strcmp(what, "abort") == 0)
		abort();
	return 99;
}

static int
wait_for(pid_t pid)
{
	int status;
	for (int i = 0; i < 5000; i++) {
		struct timespec ts = { 0, 1000000 };
		if (spawn_reap(&status) == pid)
			return status;
		nanosleep(&ts, NULL);
	}
	fail_msg("child did not end");
	return -1;
}

static pid_t
start(const char *what, int channel)
{
	char name[] = "pennypost: test", copy[16];
	snprintf(copy, sizeof(copy), "%s", what);
	char *argv[] = { name, copy, NULL };
	return spawn_self(argv, channel);
}

static void
test_child_sees_only_its_channel(void **state)
{
	int fd[2], status;
	char got[8];
	sigset_t some;
	sigemptyset(&some);
	sigaddset(&some, SIGCHLD);
	sigaddset(&some, SIGUSR1);
	sigprocmask(SIG_BLOCK, &some, NULL);
	signal(SIGHUP, SIG_IGN);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	struct timeval patience = { 20, 0 };
	setsockopt(fd[0], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	int leak = open("/", O_RDONLY); /* not close-on-exec */
	int leak2 = fcntl(leak, F_DUPFD, 700);
	/* The channel may already be where the child wants it, or where the report goes. */
	for (int place = 3; place < 6; place++) {
		int channel = fd[1] == place ? fcntl(fd[1], F_DUPFD_CLOEXEC, 0) : fd[1];
		int saved = fcntl(place, F_DUPFD_CLOEXEC, 100);
		if (saved >= 0 && place != fd[0])
			channel = dup3(fd[1], place, O_CLOEXEC) < 0 ? fd[1] : place;
		pid_t pid = start("look", channel);
		assert_true(pid > 0);
		status = wait_for(pid);
		char text[64];
		if (status != 0)
			fail_msg("%s", spawn_status_text(status, text));
		assert_int_equal(recv(fd[0], got, sizeof(got), 0), 4);
		if (saved >= 0 && place != fd[0] && place != fd[1])
			dup2(saved, place);
		if (saved >= 0)
			close(saved);
	}
	assert_int_equal(spawn_reap(&status), 0);
	sigset_t now;
	sigprocmask(SIG_SETMASK, NULL, &now);
	assert_true(sigismember(&now, SIGUSR1)); /* ours is as it was */
	assert_false(sigismember(&now, SIGTERM));
	close(leak);
	close(leak2);
	close(fd[0]);
}

static void
test_status_text(void **state)
{
	char text[64];
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	assert_string_equal(spawn_status_text(wait_for(start("seven", fd)), text), "exit code 7");
	int status = wait_for(start("abort", fd));
	assert_string_equal(spawn_status_text(status, text), "signal 6 (Aborted)");
	assert_string_equal(spawn_status_text(SIGSYS, text), "forbidden system call (SIGSYS)");
	assert_string_equal(spawn_status_text(SIGSEGV, text), "signal 11 (Segmentation fault)");
	close(fd);
}

static void
test_failures(void **state)
{
	int status;
	assert_int_equal(start("seven", 999), -EBADF);
	/* More arguments than the kernel takes: exec fails, and says so here. */
	size_t n = 200;
	char **argv = xalloc((n + 1) * sizeof(*argv));
	char *big = xalloc(100000);
	memset(big, 'x', 99999);
	for (size_t i = 0; i < n; i++)
		argv[i] = big;
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	assert_int_equal(spawn_self(argv, fd), -E2BIG);
	assert_int_equal(spawn_reap(&status), 0); /* no zombie */
	close(fd);
	free(big);
	free(argv);
}

int
main(int argc, char **argv)
{
	if (argc == 2)
		return child_main(argv[1]);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_child_sees_only_its_channel),
		cmocka_unit_test(test_status_text),
		cmocka_unit_test(test_failures),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
