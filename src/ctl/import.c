/* mailbox import: what is asked for, and how it ends. */
#include "ctl/import_priv.h"

#include "base/check.h"
#include "base/num.h"
#include "sys/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_DEFAULT (50u << 20)

volatile sig_atomic_t import_signal;

static void
on_signal(int signo)
{
	import_signal = signo;
}

/* Once: a second one ends us at once. */
static void
catch_signals(void)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction a = { .sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND };
	for (size_t i = 0; i < ARRAY_LEN(signals); i++)
		(void)sigaction(signals[i], &a, NULL);
}

bool
import_goes_on(const struct import *i)
{
	return i->status == EXIT_DONE && !import_signal;
}

/* What a letter may have: as much as the server takes by SMTP, if nothing else is said. */
static bool
find_max(struct import *i)
{
	const struct conf *c = i->call->server.conf;
	uint64_t max = 0;
	for (size_t n = 0; n < c->n_listeners; n++)
		max = MAX(max, c->listeners[n].max_size);
	i->max = MIN(max ? max : MAX_DEFAULT, (uint64_t)PACK_LETTER_MAX);
	if (!i->call->max_size)
		return true;
	return num_size(str_of(i->call->max_size), &i->max) && i->max > 0 &&
	       i->max <= PACK_LETTER_MAX;
}

int
import_open(const char *path, int flags)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | flags);
	bool link = fd < 0 && lstat(path, &st) == 0 && S_ISLNK(st.st_mode);
	if (link && (geteuid() != 0 || st.st_uid == 0))
		fd = open(path, O_RDONLY | O_CLOEXEC | flags);
	else if (link)
		complain("%s is somebody's symbolic link; name what it leads to", path);
	return fd < 0 ? -errno : fd;
}

static void
run(struct import *i, const char *path)
{
	const char *mailbox = i->call->mailbox ? i->call->mailbox : "INBOX";
	struct stat st;
	bool is_stdin = strcmp(path, "-") == 0;
	if (!is_stdin && stat(path, &st) < 0) {
		complain("%s: %s", path, strerror(errno));
		i->status = EXIT_IO;
		return;
	}
	if (!is_stdin && S_ISDIR(st.st_mode))
		(void)import_dir(i, path, mailbox);
	else if (i->call->recursive)
		i->status = usage_error(i->call->cmd, "import: --recursive is for a Maildir");
	else
		(void)import_mbox(i, path, mailbox);
}

static void
say_how_to_go_on(const struct import *i, const char *path, bool interrupted)
{
	/* Said once more, --again would forget what it has just brought. */
	bool again = i->call->again && i->sent;
	const char *how =
	    strcmp(path, "-") == 0 ? "standard input cannot be gone on with"
	    : again ? "run the command without --again to go on: with it, what came so far comes "
		      "once more"
		    : "run the same command again to go on";
	if (interrupted)
		complain("interrupted; %s", how);
	else if (again || i->status == EXIT_REACH)
		complain("%s", how);
}

static int
end(struct import *i, const char *path)
{
	if (i->status == EXIT_USAGE || (i->began_ms == 0))
		return i->status;
	bool partly = i->n.letters > 0 || i->status == EXIT_DONE;
	/* A server of our own may get the terminal's ^C as well, and be gone before we are. */
	const struct server *server = &i->call->server;
	bool gone = server->helper > 0 && server->code == CTL_FAILED;
	bool interrupted = import_signal && (i->status == EXIT_DONE || gone);
	if (interrupted)
		i->status = 128 + import_signal;
	if (partly || i->call->json)
		import_show_end(i);
	import_show_clear(i);
	if (i->status != EXIT_DONE)
		say_how_to_go_on(i, path, interrupted);
	return i->status;
}

int
mailbox_import(struct ctl_call *call)
{
	struct import i = { .call = call,
		.address = call->words.v[0],
		.format = call->format,
		.began_ms = sys_mono_ms() };
	if (!find_max(&i))
		return usage_error(call->cmd,
		    "import: --max-size \"%s\" is no size up to 1G; write one such as 100M",
		    call->max_size);
	catch_signals();
	run(&i, call->words.v[1]);
	int status = end(&i, call->words.v[1]);
	buf_done(&i.pack);
	buf_done(&i.position);
	buf_done(&i.keys);
	return status;
}
