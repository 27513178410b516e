#include "sys/sandbox.h"

#include "base/check.h"
#include "sys/clock.h"
#include "sys/sandbox_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

_Noreturn void
sandbox_die(const struct sandbox *s, const char *what, int err)
{
	fprintf(stderr, "pennypost: %s: cannot give up rights: %s: %s\n", s->role, what,
	    strerror(err));
	_exit(1);
}

static void
must(const struct sandbox *s, const char *what, int r)
{
	if (r < 0)
		sandbox_die(s, what, errno);
}

/* What libraries look up in files once, and would look up too late. */
static void
warm_up(const struct sandbox *s)
{
	char name[16];
	tzset();
	sys_zone_minutes(0);
	snprintf(name, sizeof(name), "penny-%s", s->role);
	prctl(PR_SET_NAME, name);
}

static void
limit(const struct sandbox *s, int resource, const char *what, rlim_t most)
{
	struct rlimit was, r = { most, most };
	must(s, what, getrlimit(resource, &was));
	if (setrlimit(resource, &r) == 0)
		return;
	/* EPERM: to go above the hard limit takes a privilege we have not got. */
	r.rlim_cur = r.rlim_max = MIN(most, was.rlim_max);
	must(s, what, setrlimit(resource, &r));
}

/* No RLIMIT_FSIZE: standard error may be a log file, and memfds count too. */
static void
limits(const struct sandbox *s)
{
	limit(s, RLIMIT_CORE, "RLIMIT_CORE", 0);
	if (s->max_fds)
		limit(s, RLIMIT_NOFILE, "RLIMIT_NOFILE", s->max_fds);
}

/* A directory that has been removed: empty, and nothing can ever be made in it. */
static int
open_void(void)
{
	static const char *const places[] = { "/run", "/tmp", "/var/tmp", "/dev/shm" };
	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		char path[64];
		snprintf(path, sizeof(path), "%s/pennypost.XXXXXX", places[i]);
		if (!mkdtemp(path))
			continue;
		int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
		int err = errno;
		rmdir(path);
		if (fd >= 0)
			return fd;
		errno = err;
	}
	return -1;
}

static uint32_t
enter_root(const struct sandbox *s, int dir_fd)
{
	int fd = dir_fd;
	if (!s->chroot_empty || geteuid() != 0)
		return 0;
	if (fd < 0)
		fd = open_void();
	must(s, "an empty directory for chroot", fd);
	must(s, "fchdir", fchdir(fd));
	int r = chroot(".");
	if (r < 0 && errno != EPERM) /* root without CAP_SYS_CHROOT has not got the layer */
		sandbox_die(s, "chroot", errno);
	if (fd != dir_fd)
		close(fd);
	must(s, "chdir", chdir("/"));
	return r == 0 ? HAVE_CHROOT : 0;
}

static uint32_t
drop_uid(const struct sandbox *s)
{
	if (geteuid() != 0 || s->uid == 0)
		return 0;
	check(s->gid != 0);
	must(s, "setgroups", setgroups(0, NULL));
	must(s, "setresgid", setresgid(s->gid, s->gid, s->gid));
	must(s, "setresuid", setresuid(s->uid, s->uid, s->uid));
	check(geteuid() == s->uid && getuid() == s->uid && getegid() == s->gid);
	check(setuid(0) < 0 && setgid(0) < 0);
	return HAVE_UID;
}

static uint32_t
no_dump(const struct sandbox *s)
{
	if (SANDBOX_RELAXED) /* the sanitizers look at themselves */
		return 0;
	must(s, "PR_SET_DUMPABLE", prctl(PR_SET_DUMPABLE, 0, 0, 0, 0));
	/* No process or thread more, for one that needs none. */
	if (!(s->sets & SANDBOX_THREADS))
		limit(s, RLIMIT_NPROC, "RLIMIT_NPROC", 0);
	return HAVE_NO_DUMP;
}

uint32_t
sandbox_apply(const struct sandbox *s)
{
	uint32_t layers = 0;
	int dir_fd = -1;
	if (s->dir) {
		dir_fd = open(s->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
		must(s, s->dir, dir_fd);
	}
	warm_up(s);
	limits(s);
	layers |= enter_root(s, dir_fd);
	layers |= drop_uid(s);
	must(s, "PR_SET_NO_NEW_PRIVS", prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	layers |= HAVE_NO_NEW_PRIVS;
	layers |= no_dump(s);
	layers |= sandbox_landlock(s, dir_fd);
	if (dir_fd >= 0)
		close(dir_fd);
	layers |= sandbox_seccomp(s);
	return layers;
}

const char *
sandbox_dir(const struct sandbox *s, uint32_t layers)
{
	return s->dir && (layers & HAVE_CHROOT) ? "/" : s->dir;
}
