#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/check.h"
#include "ipc/msg.h"
#include "roles/front/front.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define REFUSED 42
#define ALLOWED 43
#define NOT_LOCKED 44

static int a_socket;

static int
try_open(void)
{
	return open("/etc/passwd", O_RDONLY);
}

static int
try_openat(void)
{
	return openat(AT_FDCWD, "x", O_CREAT | O_RDWR, 0600);
}

static int
try_socket(void)
{
	return socket(AF_INET, SOCK_STREAM, 0);
}

static int
try_connect(void)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(25) };
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return connect(a_socket, (struct sockaddr *)&to, sizeof(to));
}

static int
try_execve(void)
{
	char *argv[] = { (char[]){ "true" }, NULL }, *env[] = { NULL };
	return execve("/bin/true", argv, env);
}

static int
try_fork(void)
{
	return fork();
}

/* Not the profile of a test, but front's own. */
static void
child(int (*attempt)(void))
{
	bool root = geteuid() == 0;
	struct sandbox s = front_sandbox(100, root ? 61999 : 0, root ? 61999 : 0);
	uint32_t layers = sandbox_apply(&s);
	if (!(layers & (LAYER_SECCOMP | LAYER_SECCOMP_RELAXED)) || !(layers & LAYER_NO_NEW_PRIVS) ||
	    (root && !(layers & LAYER_CHROOT)) || (root && !(layers & LAYER_UID)))
		_exit(NOT_LOCKED);
	int r = attempt();
	_exit(r < 0 && (errno == EPERM || errno == EACCES) ? REFUSED : ALLOWED);
}

static void
front_can_open_nothing(void **state)
{
	static const struct {
		const char *name;
		int (*attempt)(void);
	} rows[] = {
		{ "open", try_open },
		{ "openat", try_openat },
		{ "socket", try_socket },
		{ "connect", try_connect },
		{ "execve", try_execve },
		{ "fork", try_fork },
	};
	a_socket = socket(AF_INET, SOCK_STREAM, 0);
	assert_true(a_socket >= 0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int status;
		pid_t pid = fork();
		assert_true(pid >= 0);
		if (pid == 0)
			child(rows[i].attempt);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS;
		if (!killed && !(WIFEXITED(status) && WEXITSTATUS(status) == REFUSED))
			fail_msg("%s: status %#x", rows[i].name, (unsigned)status);
	}
	close(a_socket);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(front_can_open_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
