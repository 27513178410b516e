/* Passwords: read from a descriptor, asked for at the terminal, or made up. Never in argv. */
#include "ctl/ctl_priv.h"

#include "base/check.h"
#include "base/num.h"
#include "sys/random.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#define PASSWORD_MAX 511 /* what crypt(3) takes */

static volatile sig_atomic_t interrupted;

static void
on_signal(int signo)
{
	interrupted = signo;
}

/* Up to the end of the line or file, without the line's end. 0 or -errno. */
static int
read_line(int fd, struct buf *ret)
{
	char c;
	for (;;) {
		ssize_t n = read(fd, &c, 1);
		if (n < 0 && errno == EINTR && !interrupted)
			continue;
		if (n < 0 || interrupted)
			return n < 0 ? -errno : -EINTR;
		if (n == 0 || c == '\n')
			break;
		buf_putc(ret, c);
	}
	if (ret->len && ret->p[ret->len - 1] == '\r')
		buf_trunc(ret, ret->len - 1);
	return ret->failed ? -EMSGSIZE : 0;
}

static int
ask_hidden(int tty, const char *question, const char *address, struct buf *ret)
{
	struct termios shown, hidden;
	if (tcgetattr(tty, &shown) < 0)
		return -errno;
	hidden = shown;
	hidden.c_lflag &= ~(tcflag_t)ECHO;
	hidden.c_lflag |= ECHONL;
	dprintf(tty, "%s %s: ", question, address);
	if (tcsetattr(tty, TCSAFLUSH, &hidden) < 0)
		return -errno;
	int rc = read_line(tty, ret);
	tcsetattr(tty, TCSAFLUSH, &shown);
	return rc;
}

static int
ask_twice(int tty, const char *address, struct buf *ret)
{
	struct buf again = BUF_INIT(PASSWORD_MAX);
	int rc = ask_hidden(tty, "Password for", address, ret);
	if (rc == 0)
		rc = ask_hidden(tty, "Once more for", address, &again);
	if (rc == 0 && !str_eq(buf_str(ret), buf_str(&again)))
		rc = -EINVAL;
	buf_wipe(&again);
	buf_done(&again);
	return rc;
}

/* A signal must not leave the terminal without echo. */
static int
ask_at_terminal(const char *address, struct buf *ret)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	struct sigaction act = { .sa_handler = on_signal }, old[ARRAY_LEN(signals)];
	int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	if (tty < 0)
		return -ENOTTY;
	for (size_t i = 0; i < ARRAY_LEN(signals); i++)
		sigaction(signals[i], &act, &old[i]);
	int rc = ask_twice(tty, address, ret);
	for (size_t i = 0; i < ARRAY_LEN(signals); i++)
		sigaction(signals[i], &old[i], NULL);
	close(tty);
	if (interrupted)
		raise(interrupted);
	return rc;
}

static const struct {
	int rc;
	const char *text;
} faults[] = {
	{ -ENOTTY, "there is no terminal to ask for the password at; use --password-stdin or "
		   "--password-fd N" },
	{ -EINVAL, "the two passwords differ; try again" },
	{ -EMSGSIZE, "the password is longer than 511 octets; use a shorter one" },
	{ -EINTR, "no password was given" },
	{ -EBADF, "the descriptor of --password-fd is not open; open it for reading, as in "
		  "--password-fd 3 3<FILE" },
};

static int
complain_about(int rc)
{
	for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
		if (faults[i].rc == rc) {
			complain("%s", faults[i].text);
			return EXIT_USAGE;
		}
	}
	complain("the password cannot be read: %s", strerror(-rc));
	return EXIT_IO;
}

int
password_get(const struct ctl_call *call, const char *address, struct buf *ret)
{
	uint64_t fd = STDIN_FILENO;
	int rc;
	buf_init(ret, PASSWORD_MAX);
	(void)buf_reserve(ret, PASSWORD_MAX); /* so that it never moves and leaves a copy */
	if (call->password_fd &&
	    (call->password_stdin || !num_u64(str_of(call->password_fd), 1u << 20, &fd)))
		return usage_error(call->cmd, "--password-fd needs the number of a descriptor, and "
					      "goes without --password-stdin");
	if (call->password_fd || call->password_stdin)
		rc = read_line((int)fd, ret);
	else
		rc = ask_at_terminal(address, ret);
	if (rc < 0)
		return complain_about(rc);
	if (ret->len == 0) {
		complain("an empty password lets nobody in; give one");
		return EXIT_USAGE;
	}
	if (str_find(buf_str(ret), '\0') < ret->len) {
		complain("the password holds a NUL octet; use one without");
		return EXIT_USAGE;
	}
	return EXIT_DONE;
}

/* Three syllables and a half, three times: 50 bits that can be read over the telephone. */
void
password_make(char out[24])
{
	static const char shape[] = "cvcvc-cvcvc-cvcvc", consonants[] = "bdfghjklmnprstvz",
			  vowels[] = "aeiou";
	size_t n = 0;
	for (const char *s = shape; *s; s++) {
		if (*s == '-')
			out[n++] = '-';
		else if (*s == 'c')
			out[n++] = consonants[random_u64() % (sizeof consonants - 1)];
		else
			out[n++] = vowels[random_u64() % (sizeof vowels - 1)];
	}
	out[n] = '\0';
}
