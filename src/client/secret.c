#include "client/secret.h"

#include "base/num.h"
#include "client/exit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define SECRET_MAX (64u << 10)

static int fail(struct buf *err, int status, const char *fmt, ...) PRINTF(3, 4);

static int
fail(struct buf *err, int status, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	buf_vputf(err, fmt, ap);
	va_end(ap);
	return status;
}

/* The first line of fd, read octet by octet: what follows is somebody else's. 0 or an errno. */
static int
first_line(int fd, const volatile sig_atomic_t *stop, struct buf *ret)
{
	char c;
	ssize_t n;

	while ((n = read(fd, &c, 1)) != 0) {
		if (n < 0 && errno == EINTR && !(stop && *stop))
			continue;
		if (n < 0)
			return errno;
		if (c == '\n')
			break;
		buf_putc(ret, c);
		if (ret->failed)
			return E2BIG;
	}
	if (ret->len && ret->p[ret->len - 1] == '\r')
		buf_trunc(ret, ret->len - 1);
	return 0;
}

static int
failed_by(int error)
{
	return error == EINTR ? CLIENT_INTERRUPTED : CLIENT_IO;
}

static int
from_file(const struct secret_from *from, struct buf *ret, struct buf *err)
{
	const char *path = from->file;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return fail(err, CLIENT_IO, "%s: %s", path, strerror(errno));
	int error = first_line(fd, from->stop, ret);
	close(fd);
	return error ? fail(err, failed_by(error), "%s: %s", path, strerror(error)) : CLIENT_OK;
}

static int
from_fd(const struct secret_from *from, struct buf *ret, struct buf *err)
{
	const char *text = from->fd;
	uint64_t fd;

	if (!num_u64(str_of(text), 65535, &fd))
		return fail(err, CLIENT_USAGE, "--password-fd wants a number, not %s", text);
	int error = first_line((int)fd, from->stop, ret);
	return error ? fail(err, failed_by(error), "--password-fd %s: %s", text, strerror(error))
	             : CLIENT_OK;
}

static int
from_command(const struct secret_from *from, struct buf *ret, struct buf *err)
{
	const char *command = from->command;
	FILE *p = popen(command, "r");

	if (!p)
		return fail(err, CLIENT_IO, "--token-cmd: %s", strerror(errno));
	int error = first_line(fileno(p), from->stop, ret);
	int status = pclose(p);
	if (error)
		return fail(err, failed_by(error), "--token-cmd: %s", strerror(error));
	/* A command that writes more than one line may be killed by the pipe's end. */
	bool fine = WIFEXITED(status) ? WEXITSTATUS(status) == 0 : ret->len > 0;
	if (!fine)
		return fail(err, CLIENT_IO, "--token-cmd failed: `%s` ended with status %d",
		    command, WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
	return CLIENT_OK;
}

/* --- the terminal ------------------------------------------------------------------------- */

static bool
told_to_stop(void)
{
	sigset_t pending;

	return sigpending(&pending) == 0 &&
	       (sigismember(&pending, SIGINT) == 1 || sigismember(&pending, SIGTERM) == 1 ||
		   sigismember(&pending, SIGHUP) == 1);
}

/* Back over one character of UTF-8. */
static void
rub_out(struct buf *b)
{
	while (b->len && ((unsigned char)b->p[b->len - 1] & 0xc0) == 0x80)
		buf_trunc(b, b->len - 1);
	if (b->len)
		buf_trunc(b, b->len - 1);
}

/* One key; false: the line is done, *ret_status says how. */
static bool
take_key(struct buf *ret, char c, int *ret_status)
{
	switch (c) {
	case '\r':
	case '\n':
		return false;
	case 3: /* ^C */
		*ret_status = CLIENT_INTERRUPTED;
		return false;
	case 4: /* ^D */
		if (ret->len == 0)
			*ret_status = CLIENT_INTERRUPTED;
		return false;
	case 8:
	case 127:
		rub_out(ret);
		return true;
	case 21: /* ^U */
		buf_wipe(ret);
		return true;
	default:
		buf_putc(ret, c);
		return true;
	}
}

static int
read_keys(int fd, struct buf *ret)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int status = CLIENT_OK;
	char c;

	for (;;) {
		if (told_to_stop())
			return CLIENT_INTERRUPTED;
		if (poll(&p, 1, 200) <= 0)
			continue;
		ssize_t n = read(fd, &c, 1);
		if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN))
			return CLIENT_INTERRUPTED; /* the terminal is gone */
		if (n == 1 && !take_key(ret, c, &status))
			return status;
	}
}

/* Signals wait until the terminal is as it was. */
static int
from_terminal(int fd, const char *prompt, struct buf *ret, struct buf *err)
{
	struct termios was, quiet;
	sigset_t block, before;

	if (tcgetattr(fd, &was) < 0)
		return fail(err, CLIENT_IO, "the terminal: %s", strerror(errno));
	sigemptyset(&block);
	sigaddset(&block, SIGINT);
	sigaddset(&block, SIGTERM);
	sigaddset(&block, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &block, &before);
	quiet = was;
	quiet.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL | ICANON | ISIG | IEXTEN);
	quiet.c_cc[VMIN] = 1;
	quiet.c_cc[VTIME] = 0;
	int status = CLIENT_IO;
	if (tcsetattr(fd, TCSAFLUSH, &quiet) < 0) {
		fail(err, 0, "the terminal: %s", strerror(errno));
	} else {
		ssize_t n = write(fd, prompt, strlen(prompt));
		status = read_keys(fd, ret);
		tcsetattr(fd, TCSAFLUSH, &was);
		n = write(fd, "\n", 1);
		(void)n;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (status == CLIENT_INTERRUPTED)
		buf_putz(err, "interrupted");
	return status;
}

static int
from_prompt(const char *prompt, struct buf *ret, struct buf *err)
{
	int fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);

	if (fd < 0)
		return fail(err, CLIENT_USAGE,
		    "there is no terminal to ask for the password; use --password-file FILE, "
		    "--password-fd N, --token-cmd COMMAND or $PENNYPOST_PASSWORD");
	int status = from_terminal(fd, prompt, ret, err);
	close(fd);
	return status;
}

int
secret_get(const struct secret_from *from, struct buf *ret, struct buf *err)
{
	const char *env = getenv("PENNYPOST_PASSWORD");
	struct buf got = BUF_INIT(SECRET_MAX);
	int status = CLIENT_OK;

	buf_reserve(&got, 4096); /* what grows leaves copies behind */
	if (from->file)
		status = from_file(from, &got, err);
	else if (from->fd)
		status = from_fd(from, &got, err);
	else if (from->command)
		status = from_command(from, &got, err);
	else if (env && *env)
		buf_putz(&got, env);
	else
		status = from_prompt(from->prompt ? from->prompt : "Password: ", &got, err);
	if (status == CLIENT_OK && got.failed)
		status = fail(err, CLIENT_USAGE, "the password is too long");
	else if (status == CLIENT_OK && got.len == 0)
		status = fail(err, CLIENT_USAGE, "the password is empty");
	else if (status == CLIENT_OK && memchr(got.p, '\0', got.len))
		status = fail(err, CLIENT_USAGE, "the password has a NUL octet in it");
	else if (status == CLIENT_OK && str_find_any(buf_str(&got), "\r\n") < got.len)
		status = fail(err, CLIENT_USAGE, "the password has a line end in it");
	if (status == CLIENT_OK)
		buf_puts(ret, buf_str(&got));
	buf_wipe(&got);
	buf_done(&got);
	return status;
}
