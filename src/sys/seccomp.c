/*
 * The seccomp layer: an allow-list. What is not on it kills the process (SIGSYS). To find out
 * which call it was: parent logs the death, and the kernel's audit log has the number
 * (`journalctl -k --grep type=1326` or `ausearch -m SECCOMP`, field syscall=; then
 * `scmp_sys_resolver NUMBER`). `strace -f` shows the last call, too.
 *
 * Rules on arguments leave the kernel's fast path, so they stand only where no letter passes.
 * A rule without conditions would silently override the conditional ones for the same call.
 */
#include "base/check.h"
#include "base/str.h"
#include "sys/sandbox_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define BASE 0u
#define FILES_ANY (SANDBOX_FILES | SANDBOX_FILES_RO)
#define NET_ANY (SANDBOX_TCP | SANDBOX_UDP)
#define TYPE_ARG 0xfu       /* of socket(), without its flags */
#define INT_ARG 0xffffffffu /* the kernel looks at the low half only */
#define ANY_ARG 0xffffffffffffffffu

struct plain {
	unsigned sets; /* any of these; BASE: always */
	const char *names;
};

static const struct plain plain_rules[] = {
	{ BASE, "read write readv writev close lseek dup3 "
		"epoll_wait epoll_pwait epoll_pwait2 epoll_ctl poll ppoll "
		"futex brk munmap mremap madvise sysinfo "
		"clock_gettime clock_getres gettimeofday time clock_nanosleep nanosleep getrandom "
		"rt_sigaction rt_sigprocmask rt_sigreturn restart_syscall sigaltstack "
		"getpid getppid gettid getuid geteuid getgid getegid "
		"exit exit_group rseq set_robust_list membarrier sched_yield "
		"sched_getaffinity getcpu" },
	{ SANDBOX_ACCEPT, "accept4 recvfrom sendto getsockname getpeername" },
	{ SANDBOX_FDPASS, "sendmsg recvmsg" },
	{ FILES_ANY, "newfstatat fstat statx statfs fstatfs access faccessat faccessat2 "
		     "pread64 preadv preadv2 getdents64 fadvise64 uname" },
	{ SANDBOX_FILES, "openat pwrite64 pwritev pwritev2 fsync fdatasync sync_file_range msync "
			 "ftruncate fallocate rename renameat renameat2 unlink unlinkat rmdir "
			 "mkdir mkdirat fchmod flock" },
	{ SANDBOX_MEMFD, "memfd_create" },
	{ SANDBOX_THREADS | SANDBOX_FILES_RO, "eventfd2" }, /* a store is opened with one */
	{ NET_ANY, "connect bind recvfrom sendto sendmmsg getsockname getpeername getsockopt "
		   "setsockopt shutdown select pselect6" },
	{ SANDBOX_UDP, "epoll_create1 pipe2 uname" }, /* the resolver's thread has its own loop */
};

struct arg {
	unsigned index;
	uint64_t mask, value;
};

struct conditional {
	unsigned sets;   /* any of these; BASE: always */
	unsigned unless; /* none of these */
	const char *name;
	int err; /* 0: allowed; else what the call answers */
	unsigned n;
	struct arg arg[2];
};

#define FCNTL(sets, cmd)                                                                           \
	{                                                                                          \
		sets, 0, "fcntl", 0, 1,                                                            \
		{                                                                                  \
			{                                                                          \
				1, INT_ARG, cmd                                                    \
			}                                                                          \
		}                                                                                  \
	}
#define SOCKOPT(level, opt)                                                                        \
	{                                                                                          \
		SANDBOX_ACCEPT, 0, "setsockopt", 0, 2,                                             \
		{                                                                                  \
			{ 1, INT_ARG, level },                                                     \
			{                                                                          \
				2, INT_ARG, opt                                                    \
			}                                                                          \
		}                                                                                  \
	}
/* err 0: allowed */
#define SOCKET(sets, unless, family, type, err)                                                    \
	{                                                                                          \
		sets, unless, "socket", err, 2,                                                    \
		{                                                                                  \
			{ 0, INT_ARG, family },                                                    \
			{                                                                          \
				1, TYPE_ARG, type                                                  \
			}                                                                          \
		}                                                                                  \
	}
#define THREAD_FLAGS                                                                               \
	(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM)
#define NAMESPACE_FLAGS                                                                            \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |             \
	    CLONE_NEWPID | CLONE_NEWNET)

static const struct conditional conditional_rules[] = {
	FCNTL(BASE, F_GETFL),
	FCNTL(BASE, F_SETFL),
	FCNTL(BASE, F_GETFD),
	FCNTL(BASE, F_SETFD),
	FCNTL(BASE, F_GET_SEALS),
	FCNTL(SANDBOX_FDPASS, F_DUPFD_CLOEXEC),
	FCNTL(SANDBOX_MEMFD, F_ADD_SEALS),
	FCNTL(FILES_ANY, F_GETLK),
	FCNTL(FILES_ANY, F_SETLK),
	FCNTL(FILES_ANY, F_SETLKW),
	FCNTL(FILES_ANY, F_OFD_SETLK),
	FCNTL(FILES_ANY, F_OFD_SETLKW),
	{ BASE, 0, "ioctl", 0, 1, { { 1, INT_ARG, FIONBIO } } },
	{ BASE, 0, "ioctl", ENOTTY, 1, { { 1, INT_ARG, TCGETS } } }, /* stdio asks */
	SOCKOPT(SOL_SOCKET, SO_LINGER),
	SOCKOPT(SOL_SOCKET, SO_KEEPALIVE),
	SOCKOPT(SOL_SOCKET, SO_SNDBUF),
	SOCKOPT(SOL_SOCKET, SO_RCVBUF),
	SOCKOPT(IPPROTO_TCP, TCP_NODELAY),
	SOCKOPT(IPPROTO_TCP, TCP_CORK),
	SOCKOPT(IPPROTO_TCP, TCP_QUICKACK),
	SOCKOPT(IPPROTO_TCP, TCP_USER_TIMEOUT),
	SOCKOPT(IPPROTO_TCP, TCP_KEEPIDLE),
	SOCKOPT(IPPROTO_TCP, TCP_KEEPINTVL),
	SOCKOPT(IPPROTO_TCP, TCP_KEEPCNT),
	/* Not SHUT_RD: it turns a listener into an idle socket, and from that one sendto() with
	 * MSG_FASTOPEN connects anywhere, without connect() and past Landlock. */
	{ SANDBOX_ACCEPT, 0, "shutdown", 0, 1, { { 1, INT_ARG, SHUT_WR } } },
	{ SANDBOX_ACCEPT, 0, "getsockopt", 0, 1, { { 1, INT_ARG, SOL_SOCKET } } },
	{ SANDBOX_ACCEPT, 0, "getsockopt", 0, 1, { { 1, INT_ARG, IPPROTO_TCP } } },
	SOCKET(SANDBOX_TCP, 0, AF_INET, SOCK_STREAM, 0),
	SOCKET(SANDBOX_TCP, 0, AF_INET6, SOCK_STREAM, 0),
	/* The two ends of a turned connection (RFC 2645). */
	{ SANDBOX_TCP, 0, "socketpair", 0, 1, { { 0, INT_ARG, AF_UNIX } } },
	SOCKET(SANDBOX_UDP, 0, AF_INET, SOCK_DGRAM, 0),
	SOCKET(SANDBOX_UDP, 0, AF_INET6, SOCK_DGRAM, 0),
	/* Reading, and writing without truncation to what exists: LMDB's lock file. */
	{ SANDBOX_FILES_RO, SANDBOX_FILES, "openat", 0, 1,
	    { { 2, O_TRUNC | (O_TMPFILE & ~O_DIRECTORY), 0 } } },
	{ SANDBOX_FILES_RO, SANDBOX_FILES, "ftruncate", EACCES, 0, { { 0 } } },
	{ SANDBOX_THREADS, 0, "clone", 0, 1,
	    { { 0, THREAD_FLAGS | NAMESPACE_FLAGS, THREAD_FLAGS } } },
	/* Its flags are in memory, out of sight: libc falls back to clone. */
	{ SANDBOX_THREADS, 0, "clone3", ENOSYS, 0, { { 0 } } },
	{ SANDBOX_THREADS, 0, "prctl", 0, 1, { { 0, INT_ARG, PR_SET_NAME } } },
	/* A thread in the background steps back: its own priority, nobody else's. */
	{ SANDBOX_THREADS, 0, "setpriority", 0, 2,
	    { { 0, INT_ARG, PRIO_PROCESS }, { 1, INT_ARG, 0 } } },
	{ SANDBOX_THREADS, 0, "prlimit64", 0, 2, { { 0, INT_ARG, 0 }, { 2, ANY_ARG, 0 } } },
	/* Refused, but not worth dying for: probes of the C library that has a way without. */
	/* malloc, shrinking an arena; stdio; later versions of libuv. */
	{ SANDBOX_THREADS | NET_ANY, FILES_ANY, "openat", EACCES, 0, { { 0 } } },
	/* Whether there is IPv6, and which addresses of our own. */
	SOCKET(SANDBOX_TCP, SANDBOX_UDP, AF_INET6, SOCK_DGRAM, EACCES),
	SOCKET(NET_ANY, 0, AF_NETLINK, SOCK_RAW, EACCES),
	SOCKET(NET_ANY, 0, AF_UNIX, SOCK_STREAM, EACCES), /* a cache of names (nscd) */
	{ BASE, FILES_ANY, "newfstatat", EACCES, 0, { { 0 } } },
	{ SANDBOX_NO_NET, 0, "socket", EACCES, 0, { { 0 } } },
	{ BASE, 0, "io_uring_setup", ENOSYS, 0, { { 0 } } },
};

static bool
applies(const struct sandbox *s, unsigned sets)
{
	return sets == BASE || (s->sets & sets);
}

static void
add(const struct sandbox *s, scmp_filter_ctx c, uint32_t action, const char *name, unsigned n,
    const struct scmp_arg_cmp *args)
{
	int nr = seccomp_syscall_resolve_name(name);
	check(nr != __NR_SCMP_ERROR);
	if (nr < 0) /* known to other architectures only */
		return;
	int r = seccomp_rule_add_array(c, action, nr, n, args);
	if (r < 0)
		sandbox_die(s, name, -r);
}

static void
add_plain(const struct sandbox *s, scmp_filter_ctx c, const struct plain *p)
{
	struct str names = str_of(p->names);
	for (struct str w = str_word(&names); w.len; w = str_word(&names)) {
		char name[32];
		check(str_copy(name, sizeof(name), w));
		add(s, c, SCMP_ACT_ALLOW, name, 0, NULL);
	}
}

static void
add_conditional(const struct sandbox *s, scmp_filter_ctx c, const struct conditional *k)
{
	struct scmp_arg_cmp args[ARRAY_LEN(k->arg)];
	for (unsigned i = 0; i < k->n; i++)
		args[i] =
		    SCMP_CMP(k->arg[i].index, SCMP_CMP_MASKED_EQ, k->arg[i].mask, k->arg[i].value);
	add(s, c, k->err ? SCMP_ACT_ERRNO((uint32_t)k->err) : SCMP_ACT_ALLOW, k->name, k->n, args);
}

/* No memory that is code; abort() may signal us, and us alone. */
static void
add_computed(const struct sandbox *s, scmp_filter_ctx c)
{
	struct scmp_arg_cmp no_exec = SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0);
	struct scmp_arg_cmp self = SCMP_A0(SCMP_CMP_MASKED_EQ, INT_ARG, (scmp_datum_t)getpid());
	unsigned n = SANDBOX_RELAXED ? 0 : 1;
	add(s, c, SCMP_ACT_ALLOW, "mmap", n, &no_exec);
	add(s, c, SCMP_ACT_ALLOW, "mprotect", n, &no_exec);
	add(s, c, SCMP_ACT_ALLOW, "tgkill", 1, &self);
}

uint32_t
sandbox_seccomp(const struct sandbox *s)
{
	if (prctl(PR_GET_SECCOMP, 0, 0, 0, 0) < 0)
		return 0; /* EINVAL: the kernel was built without */
	scmp_filter_ctx c =
	    seccomp_init(SANDBOX_RELAXED ? SCMP_ACT_ERRNO(EPERM) : SCMP_ACT_KILL_PROCESS);
	if (!c)
		sandbox_die(s, "seccomp", ENOMEM);
	check(seccomp_attr_set(c, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS) == 0);
	/* Threads that a library may have started already are bound as well. */
	check(seccomp_attr_set(c, SCMP_FLTATR_CTL_TSYNC, 1) == 0);
	for (size_t i = 0; i < ARRAY_LEN(plain_rules); i++)
		if (applies(s, plain_rules[i].sets))
			add_plain(s, c, &plain_rules[i]);
	for (size_t i = 0; i < ARRAY_LEN(conditional_rules); i++) {
		const struct conditional *k = &conditional_rules[i];
		if (applies(s, k->sets) && !(s->sets & k->unless))
			add_conditional(s, c, k);
	}
	add_computed(s, c);
	int r = seccomp_load(c);
	seccomp_release(c);
	if (r < 0)
		sandbox_die(s, "seccomp", -r);
	return SANDBOX_RELAXED ? HAVE_SECCOMP_RELAXED : HAVE_SECCOMP;
}
