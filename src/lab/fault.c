#include "lab/fault.h"

#include "base/check.h"
#include "sys/clock.h"
#include "lab/verify.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define OUTPUT_MAX 4096

static _Noreturn void
become_command(const char *key, const char *dir, int out)
{
	char *name = xstrdup("pennypost"), *word = xstrdup("fault"), *opt = xstrdup("--dir");
	char *const argv[] = { name, word, xstrdup(key), opt, xstrdup(dir), NULL };
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	signal(SIGPIPE, SIG_DFL);
	if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(out, 2) < 0)
		_exit(127);
	execv("/proc/self/exe", argv);
	_exit(127);
}

/* What it says until it ends or time is up. */
static void
hear(int fd, int64_t deadline, struct buf *said)
{
	for (;;) {
		int64_t left = deadline - sys_mono_ms();
		struct pollfd p = { .fd = fd, .events = POLLIN };
		if (left <= 0 || !buf_reserve(said, 1) || poll(&p, 1, (int)MIN(left, 60000)) <= 0)
			return;
		ssize_t n = read(fd, said->p + said->len, said->cap - said->len);
		if (n <= 0)
			return;
		said->len += (size_t)n;
	}
}

/* Its exit status, or -1. */
static int
run_command(const char *key, const struct verify *v, struct buf *said)
{
	int out[2], status;

	if (pipe2(out, O_CLOEXEC) < 0)
		return -1;
	pid_t pid = fork();
	if (pid == 0)
		become_command(key, v->dir, out[1]);
	close(out[1]);
	if (pid > 0) {
		int64_t deadline = sys_mono_ms() + v->timeout_ms;
		hear(out[0], deadline, said);
		if (sys_mono_ms() >= deadline)
			kill(pid, SIGKILL);
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
	}
	close(out[0]);
	return pid > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

bool
fault_set(void *arg, struct str key, struct play_report *r)
{
	const struct verify *v = arg;
	struct buf said = BUF_INIT(OUTPUT_MAX);
	char *name = str_dup(key);
	int status = run_command(name, v, &said);
	struct str text = str_trim(buf_str(&said));

	if (status != 0)
		play_report_fail(r, PLAY_FAILED, STR("a server that can be told to fail"),
		    "`pennypost fault %s` ended with %d: " STR_FMT, name, status, STR_ARG(text));
	free(name);
	buf_done(&said);
	return status == 0;
}
