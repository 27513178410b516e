#include "talk/child.h"

#include "base/check.h"
#include "sys/file.h"

#include <errno.h>
#include <stdio.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static _Noreturn void
exec_child(const char *const *argv)
{
	struct sigaction sa = { .sa_handler = SIG_DFL };
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGQUIT, &sa, NULL);
	sigaction(SIGTSTP, &sa, NULL);
	sigaction(SIGPIPE, &sa, NULL);
	execvp(argv[0], (char *const *)(uintptr_t)argv);
	_exit(127);
}

int
child_run(const char *const *argv)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN }, old_int, old_quit, old_stop;
	int status = 0;
	sigaction(SIGINT, &ignore, &old_int);
	sigaction(SIGQUIT, &ignore, &old_quit);
	sigaction(SIGTSTP, &ignore, &old_stop);
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0)
		exec_child(argv);
	int error = errno;
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	sigaction(SIGINT, &old_int, NULL);
	sigaction(SIGQUIT, &old_quit, NULL);
	sigaction(SIGTSTP, &old_stop, NULL);
	if (pid < 0)
		return -error;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static const char *
editor_name(void)
{
	const char *visual = getenv("VISUAL"), *editor = getenv("EDITOR");
	return visual && *visual ? visual : editor && *editor ? editor : "vi";
}

bool
child_edit(struct buf *text, size_t max, struct buf *err)
{
	const char *dir = getenv("TMPDIR");
	struct buf path = BUF_INIT(4096), command = BUF_INIT(8192), edited = BUF_INIT(max);
	bool ok = false;
	buf_putf(&path, "%s/pennypost.XXXXXX", dir && *dir == '/' ? dir : "/tmp");
	buf_cstr(&path);
	int fd = path.failed ? -1 : mkstemp(path.p);
	if (fd < 0) {
		buf_putf(err, STR_FMT ": %s", STR_ARG(buf_str(&path)), strerror(errno));
		goto out;
	}
	int error = file_write_all(fd, buf_str(text));
	close(fd);
	buf_putf(&command, "%s \"$1\"", editor_name());
	const char *const argv[] = { "sh", "-c", buf_cstr(&command), "sh", path.p, NULL };
	int status = error < 0 ? error : child_run(argv);
	if (status == 0)
		status = file_read_all(path.p, max, &edited);
	unlink(path.p);
	ok = status == 0;
	if (ok) {
		buf_reset(text);
		buf_puts(text, buf_str(&edited));
	} else if (status < 0) {
		buf_putf(err, "%s: %s", path.p, strerror(-status));
	} else {
		buf_putf(err, "%s ended with status %d; set $VISUAL or $EDITOR to another.",
		    editor_name(), status);
	}
out:
	buf_done(&path);
	buf_done(&command);
	buf_done(&edited);
	return ok;
}

char *
child_path(struct str path)
{
	const char *home = getenv("HOME");
	struct buf b = BUF_INIT(64u << 10);
	if (str_starts(path, STR("~/")) && home) {
		buf_putz(&b, home);
		path = str_skip(path, 1);
	}
	buf_puts(&b, path);
	char *ret = str_dup(buf_str(&b));
	buf_done(&b);
	return ret;
}
