#include "sys/spawn.h"

#include "base/check.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define REPORT_FD (SPAWN_FD + 1) /* errno of a failed exec; closed by a good one */
#define ABOVE_ALL 16

/* From here to exec only what is safe in the child of a fork. */

static void
close_from(int first)
{
	if (close_range((unsigned)first, ~0u, 0) == 0)
		return;
	struct rlimit lim;
	int last = 65536;
	if (getrlimit(RLIMIT_NOFILE, &lim) == 0 && lim.rlim_cur < (rlim_t)last)
		last = (int)lim.rlim_cur;
	for (int fd = first; fd < last; fd++)
		close(fd);
}

/* A ^C, a closed terminal and a signal to the whole group reach every process; parent alone
 * decides then how the others end. */
static const int ignored[] = { SIGPIPE, SIGINT, SIGTERM, SIGHUP };

static void
signals_reset(void)
{
	sigset_t none;
	for (int s = 1; s < NSIG; s++)
		signal(s, SIG_DFL); /* SIGKILL refuses, which is fine */
	for (size_t i = 0; i < ARRAY_LEN(ignored); i++)
		signal(ignored[i], SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Both descriptors first go where nothing of ours is, then to their places. */
static int
place(int channel, int report)
{
	int c = fcntl(channel, F_DUPFD, ABOVE_ALL);
	int r = fcntl(report, F_DUPFD, ABOVE_ALL);
	if (c < 0 || r < 0 || dup2(c, SPAWN_FD) < 0 || dup3(r, REPORT_FD, O_CLOEXEC) < 0)
		return -errno;
	int null = open("/dev/null", O_RDWR);
	if (null < 0 || dup2(null, STDIN_FILENO) < 0)
		return -errno;
	for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && dup2(null, fd) < 0)
			return -errno;
	close_from(REPORT_FD + 1);
	return 0;
}

static _Noreturn void
child(char *const argv[], int channel, int report)
{
	signals_reset();
	int r = place(channel, report);
	if (r == 0) {
		execv("/proc/self/exe", argv);
		/* Without /proc the name we were started under has to do. */
		execv((const char *)getauxval(AT_EXECFN), argv);
		r = -errno;
		report = REPORT_FD;
	}
	ssize_t n = write(report, &r, sizeof(r));
	_exit(n == sizeof(r) ? 127 : 126);
}

/* What the child reports: nothing once it runs, else why not. */
static int
outcome(int fd, pid_t pid)
{
	int r = 0;
	ssize_t n;
	do
		n = read(fd, &r, sizeof(r));
	while (n < 0 && errno == EINTR);
	if (n == 0)
		return 0;
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return n == sizeof(r) && r < 0 ? r : -EIO;
}

pid_t
spawn_self(char *const argv[], int channel)
{
	int report[2];
	sigset_t all, before;
	if (pipe2(report, O_CLOEXEC) < 0)
		return -errno;
	/* No handler of ours may run in the child. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	pid_t pid = fork();
	if (pid == 0)
		child(argv, channel, report[1]);
	int r = pid < 0 ? -errno : 0;
	sigprocmask(SIG_SETMASK, &before, NULL);
	close(report[1]);
	if (r == 0)
		r = outcome(report[0], pid);
	close(report[0]);
	return r < 0 ? r : pid;
}

pid_t
spawn_reap(int *ret_status)
{
	int status;
	pid_t pid;
	do
		pid = waitpid(-1, &status, WNOHANG);
	while (pid < 0 && errno == EINTR);
	if (pid <= 0)
		return 0;
	*ret_status = status;
	return pid;
}

const char *
spawn_status_text(int status, char buf[64])
{
	if (WIFEXITED(status))
		snprintf(buf, 64, "exit code %d", WEXITSTATUS(status));
	else if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
		snprintf(buf, 64, "forbidden system call (SIGSYS)");
	else if (WIFSIGNALED(status))
		snprintf(buf, 64, "signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		snprintf(buf, 64, "status %#x", (unsigned)status);
	return buf;
}
