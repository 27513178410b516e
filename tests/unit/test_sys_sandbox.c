/* A child gives up its rights as a role does and then tries what it must not be able to do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/check.h"
#include "ipc/msg.h"
#include "sys/clock.h"
#include "sys/file.h"
#include "sys/listen.h"
#include "sys/random.h"
#include "sys/sandbox.h"
#include "sys/spawn.h"
#include "sys/thread.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define UNUSED_ID 61999

/* What a try comes to; a child's exit code. */
enum { DONE = 0, REFUSED = 42, WRONG = 43 };

static char dir[64];   /* a directory for the roles that have one; holds "there" */
static char other[80]; /* a file outside it */
static int listener, target, talk[2], sealed;
static bool guards_ports; /* Landlock does, from version 4 on */

static int
refused_if(long r)
{
	return r < 0 ? REFUSED : DONE;
}

static const struct sandbox front = {
	.role = "front",
	.sets = SANDBOX_ACCEPT | SANDBOX_FDPASS,
	.chroot_empty = true,
	.uid = UNUSED_ID,
	.gid = UNUSED_ID,
	.max_fds = 256,
};
static const struct sandbox store = {
	.role = "store",
	.sets = SANDBOX_FDPASS | SANDBOX_FILES | SANDBOX_THREADS | SANDBOX_MEMFD,
	.dir = dir,
	.chroot_empty = true,
	.uid = UNUSED_ID,
	.gid = UNUSED_ID,
};
static const struct sandbox reader = {
	.role = "reader",
	.sets = SANDBOX_FDPASS | SANDBOX_FILES_RO,
	.dir = dir,
	.chroot_empty = true,
	.uid = UNUSED_ID,
	.gid = UNUSED_ID,
};
static const struct sandbox hasher = {
	.role = "hasher",
	.sets = SANDBOX_FDPASS | SANDBOX_THREADS,
	.chroot_empty = true,
	.uid = UNUSED_ID,
	.gid = UNUSED_ID,
};

static const struct sandbox resolver = {
	.role = "resolver",
	.sets = SANDBOX_FDPASS | SANDBOX_THREADS | SANDBOX_TCP | SANDBOX_UDP,
	.chroot_empty = true,
	.uid = UNUSED_ID,
	.gid = UNUSED_ID,
};
static const struct sandbox fetcher = {
	.role = "fetcher",
	.sets = SANDBOX_FDPASS | SANDBOX_TCP,
	.chroot_empty = true,
	.uid = UNUSED_ID,
	.gid = UNUSED_ID,
};

static const struct sandbox library = {
	.role = "library",
	.sets = SANDBOX_FDPASS | SANDBOX_FILES | SANDBOX_THREADS | SANDBOX_NO_NET,
	.dir = dir,
	.chroot_empty = true,
	.uid = UNUSED_ID,
	.gid = UNUSED_ID,
};

static char inside[128]; /* the role's name for its directory */

/* Wait status of a child that applied s and then ran fn. */
static int
status_of(const struct sandbox *s, void (*before)(void), int (*fn)(void))
{
	fflush(NULL);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (before)
			before();
		uint32_t layers = sandbox_apply(s);
		const char *d = sandbox_dir(s, layers);
		snprintf(inside, sizeof(inside), "%s", d ? d : "");
		_exit(fn());
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

/* Forbidden attempts. */

static int
try_open(void)
{
	return refused_if(syscall(SYS_open, "/etc/passwd", O_RDONLY));
}

static int
try_openat(void)
{
	return refused_if(openat(AT_FDCWD, "/", O_RDONLY | O_DIRECTORY));
}

static int
try_socket(void)
{
	return refused_if(socket(AF_INET, SOCK_STREAM, 0));
}

static int
try_socketpair(void)
{
	int fd[2];
	return refused_if(socketpair(AF_UNIX, SOCK_STREAM, 0, fd));
}

static int
try_connect(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(9) };
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	long r = connect(listener, (struct sockaddr *)&a, sizeof(a));
	return r < 0 && errno != EPERM && errno != EACCES ? WRONG : refused_if(r);
}

static int
try_bind(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	long r = bind(listener, (struct sockaddr *)&a, sizeof(a));
	return r < 0 && errno != EPERM && errno != EACCES ? WRONG : refused_if(r);
}

/* A listener that listens no more can connect by way of TCP Fast Open. */
static int
try_fast_open(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t n = sizeof(a);
	if (getsockname(target, (struct sockaddr *)&a, &n) < 0)
		return WRONG;
	long r = shutdown(listener, SHUT_RDWR);
	if (r < 0 && errno == EPERM)
		return REFUSED;
	return refused_if(sendto(listener, "x", 1, MSG_FASTOPEN | MSG_NOSIGNAL,
	    (struct sockaddr *)&a, n));
}

static int
try_tcp_option(void)
{
	long r = setsockopt(listener, IPPROTO_TCP, TCP_CONGESTION, "reno", 4);
	return refused_if(r);
}

static int
try_reuse_port(void)
{
	int one = 1;
	return refused_if(setsockopt(listener, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)));
}

static int
try_execve(void)
{
	char *argv[] = { (char[]){ "true" }, NULL };
	long r = execve("/proc/self/exe", argv, NULL);
	return r < 0 && errno == ENOENT ? WRONG : REFUSED;
}

static int
try_fork(void)
{
	pid_t pid = fork();
	if (pid == 0)
		_exit(0);
	return refused_if(pid);
}

static int
try_vfork(void)
{
	return refused_if(syscall(SYS_vfork));
}

static int
try_unshare(void)
{
	return refused_if(syscall(SYS_unshare, 0x10000000 /* CLONE_NEWUSER */));
}

static int
try_ptrace(void)
{
	return refused_if(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
}

static int
try_kill_parent(void)
{
	return refused_if(kill(getppid(), 0));
}

static int
try_tgkill_parent(void)
{
	pid_t p = getppid();
	return refused_if(syscall(SYS_tgkill, p, p, 0));
}

static int
try_mprotect_exec(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return p == MAP_FAILED ? WRONG : refused_if(mprotect(p, 4096, PROT_READ | PROT_EXEC));
}

static int
try_mmap_exec(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return p == MAP_FAILED ? REFUSED : DONE;
}

static int
try_io_uring(void)
{
	char params[120] = { 0 };
	return refused_if(syscall(SYS_io_uring_setup, 1, params));
}

static int
try_memfd(void)
{
	return refused_if(memfd_create("x", 0));
}

static int
try_process_vm(void)
{
	return refused_if(syscall(SYS_process_vm_readv, getppid(), NULL, 0, NULL, 0, 0));
}

static int
try_bpf(void)
{
	return refused_if(syscall(SYS_bpf, 0, NULL, 0));
}

static int
try_keyctl(void)
{
	return refused_if(syscall(SYS_keyctl, 0, -3, 0));
}

static int
try_tiocsti(void)
{
	long r = syscall(SYS_ioctl, talk[0], 0x5412, "x");
	return r < 0 && errno == ENOTTY ? WRONG : refused_if(r);
}

static int
try_setuid(void)
{
	return refused_if(setuid(0));
}

static int
try_chmod(void)
{
	return refused_if(chmod("/", 0777));
}

static int
try_prctl(void)
{
	return refused_if(prctl(PR_SET_DUMPABLE, 1));
}

static int
try_outside(void)
{
	return refused_if(open(other, O_RDONLY));
}

static int
try_proc(void)
{
	return refused_if(open("/proc/self/mem", O_RDWR));
}

static int
try_dotdot(void)
{
	char path[256];
	snprintf(path, sizeof(path), "%s/../%s", inside, strrchr(other, '/') + 1);
	return refused_if(open(path, O_RDONLY));
}

static int
try_make_fifo(void)
{
	char path[256];
	snprintf(path, sizeof(path), "%s/fifo", inside);
	return refused_if(mkfifo(path, 0600));
}

static int
try_symlink(void)
{
	char path[256];
	snprintf(path, sizeof(path), "%s/link", inside);
	return refused_if(symlink("/etc/passwd", path));
}

static int
try_create(void)
{
	char path[256];
	snprintf(path, sizeof(path), "%s/new", inside);
	return refused_if(open(path, O_WRONLY | O_CREAT, 0600));
}

static int
try_truncate(void)
{
	char path[256];
	snprintf(path, sizeof(path), "%s/there", inside);
	return refused_if(open(path, O_WRONLY | O_TRUNC));
}

static int
try_unlink(void)
{
	char path[256];
	snprintf(path, sizeof(path), "%s/there", inside);
	return refused_if(unlink(path));
}

static int
try_socket_of(int family, int type)
{
	return refused_if(socket(family, type, 0));
}

static int
try_unix_socket(void)
{
	return try_socket_of(AF_UNIX, SOCK_STREAM);
}

static int
try_raw_socket(void)
{
	return try_socket_of(AF_INET, SOCK_RAW);
}

static int
try_datagram(void)
{
	return try_socket_of(AF_INET, SOCK_DGRAM);
}

static int
try_listen(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	return fd < 0 ? WRONG : refused_if(listen(fd, 1));
}

static int
try_bind_port(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(58725) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	return guards_ports ? refused_if(bind(fd, (struct sockaddr *)&a, sizeof(a))) : REFUSED;
}

static int
try_accept(void)
{
	long r = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
	return r < 0 && errno == EAGAIN ? DONE : refused_if(r);
}

struct attempt {
	const char *name;
	const struct sandbox *sandbox;
	int (*fn)(void);
	bool soft;           /* answered with an error, not with death, in every build */
	bool needs_landlock; /* the layer that forbids it */
	bool strict_only;    /* sanitizer builds must allow it */
};

static const struct attempt attempts[] = {
	{ "open", &front, try_open },
	{ "openat", &front, try_openat },
	{ "socket", &front, try_socket },
	{ "socketpair", &front, try_socketpair },
	{ "connect", &front, try_connect },
	{ "bind", &front, try_bind },
	{ "TCP Fast Open", &front, try_fast_open },
	{ "setsockopt TCP_CONGESTION", &front, try_tcp_option },
	{ "setsockopt SO_REUSEPORT", &front, try_reuse_port },
	{ "execve", &front, try_execve },
	{ "fork", &front, try_fork },
	{ "vfork", &front, try_vfork },
	{ "unshare", &front, try_unshare },
	{ "ptrace", &front, try_ptrace },
	{ "kill of parent", &front, try_kill_parent },
	{ "tgkill of parent", &front, try_tgkill_parent },
	{ "mprotect exec", &front, try_mprotect_exec, .strict_only = true },
	{ "mmap exec", &front, try_mmap_exec, .strict_only = true },
	{ "io_uring_setup", &front, try_io_uring, .soft = true },
	{ "memfd_create", &front, try_memfd },
	{ "process_vm_readv", &front, try_process_vm },
	{ "bpf", &front, try_bpf },
	{ "keyctl", &front, try_keyctl },
	{ "ioctl TIOCSTI", &front, try_tiocsti },
	{ "setuid", &front, try_setuid },
	{ "chmod", &front, try_chmod },
	{ "prctl", &front, try_prctl },
	{ "store: socket", &store, try_socket },
	{ "store: execve", &store, try_execve },
	{ "store: fork", &store, try_fork },
	{ "store: file outside", &store, try_outside, .soft = true, .needs_landlock = true },
	{ "store: dot-dot", &store, try_dotdot, .soft = true, .needs_landlock = true },
	{ "store: /proc", &store, try_proc, .soft = true, .needs_landlock = true },
	{ "store: fifo", &store, try_make_fifo },
	{ "store: symlink", &store, try_symlink },
	{ "reader: create", &reader, try_create, .soft = true, .needs_landlock = true },
	{ "reader: truncate", &reader, try_truncate },
	{ "reader: unlink", &reader, try_unlink },
	{ "reader: file outside", &reader, try_outside, .soft = true, .needs_landlock = true },
	{ "reader: memfd", &reader, try_memfd },
	{ "hasher: fork", &hasher, try_fork },
	{ "hasher: open", &hasher, try_openat, .soft = true },
	{ "resolver: open", &resolver, try_openat, .soft = true },
	{ "resolver: fork", &resolver, try_fork },
	{ "resolver: execve", &resolver, try_execve },
	{ "resolver: unix socket", &resolver, try_unix_socket, .soft = true },
	{ "resolver: raw socket", &resolver, try_raw_socket },
	{ "resolver: listen", &resolver, try_listen },
	{ "resolver: bind to a port", &resolver, try_bind_port, .soft = true,
	    .needs_landlock = true },
	{ "resolver: accept", &resolver, try_accept },
	{ "fetcher: open", &fetcher, try_openat, .soft = true },
	{ "fetcher: fork", &fetcher, try_fork },
	{ "fetcher: unix socket", &fetcher, try_unix_socket, .soft = true },
	{ "fetcher: datagram", &fetcher, try_datagram },
	{ "fetcher: listen", &fetcher, try_listen },
	{ "fetcher: accept", &fetcher, try_accept },
	{ "library: socket", &library, try_socket, .soft = true },
	{ "library: execve", &library, try_execve },
};

static uint32_t layers_seen;

static int
tell_layers(void)
{
	return write(talk[1], &layers_seen, sizeof(layers_seen)) == sizeof(layers_seen) ? DONE
	                                                                                : WRONG;
}

/* The mask that sandbox_apply() gave in a child with this profile. */
static uint32_t
layers_of(const struct sandbox *s, void (*before)(void))
{
	fflush(NULL);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (before)
			before();
		layers_seen = sandbox_apply(s);
		_exit(tell_layers());
	}
	int status;
	uint32_t layers;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(read(talk[0], &layers, sizeof(layers)), sizeof(layers));
	return layers;
}

static void
test_refused(void **state)
{
	uint32_t layers = layers_of(&front, NULL);
	bool strict = layers & LAYER_SECCOMP;
	assert_true(layers & (LAYER_SECCOMP | LAYER_SECCOMP_RELAXED));
	for (size_t i = 0; i < ARRAY_LEN(attempts); i++) {
		const struct attempt *a = &attempts[i];
		if ((a->strict_only && !strict) ||
		    (a->needs_landlock && !(layers & LAYER_LANDLOCK)))
			continue;
		int status = status_of(a->sandbox, NULL, a->fn);
		bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS;
		bool answered = WIFEXITED(status) && WEXITSTATUS(status) == REFUSED;
		if (strict && !a->soft ? !killed : !answered) {
			char text[64];
			fail_msg("%s: %s", a->name, spawn_status_text(status, text));
		}
	}
}

/* What roles do all day. Each returns DONE; anything else names the step. */

static int
do_io(void)
{
	char c[4];
	if (write(talk[1], "abc", 3) != 3 || read(talk[0], c, 3) != 3)
		return 1;
	struct iovec v = { c, 3 };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };
	if (sendmsg(talk[1], &m, MSG_NOSIGNAL) != 3 || recvmsg(talk[0], &m, MSG_CMSG_CLOEXEC) != 3)
		return 2;
	if (send(talk[1], c, 3, MSG_NOSIGNAL) != 3 || recv(talk[0], c, 3, 0) != 3)
		return 3;
	if (accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC) >= 0 || errno != EAGAIN)
		return 4;
	if (shutdown(listener, SHUT_WR) < 0 && errno != ENOTCONN)
		return 8;
	int one = 1;
	setsockopt(talk[0], IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	socklen_t n = sizeof(one);
	if (getsockopt(talk[0], SOL_SOCKET, SO_ERROR, &one, &n) < 0)
		return 5;
	struct sockaddr_storage ss;
	n = sizeof(ss);
	if (getsockname(listener, (struct sockaddr *)&ss, &n) < 0)
		return 6;
	int copy = fcntl(talk[0], F_DUPFD_CLOEXEC, 0);
	if (copy < 0 || fcntl(copy, F_SETFL, O_NONBLOCK) < 0 || close(copy) < 0)
		return 7;
	return DONE;
}

static int epoll;

static void
make_epoll(void)
{
	epoll = epoll_create1(EPOLL_CLOEXEC);
}

static int
do_wait(void)
{
	struct epoll_event e = { .events = EPOLLIN };
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, talk[0], &e) < 0)
		return 1;
	if (epoll_wait(epoll, &e, 1, 5) != 0 || write(talk[1], "x", 1) != 1 ||
	    epoll_wait(epoll, &e, 1, 5) != 1)
		return 2;
	struct timespec ts = { 0, 1000000 };
	if (nanosleep(&ts, NULL) < 0)
		return 3;
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0 || signal(SIGTERM, SIG_IGN) == SIG_ERR)
		return 4;
	char c;
	return read(talk[0], &c, 1) == 1 ? DONE : 5;
}

static int
by_value(const void *a, const void *b)
{
	uint64_t x, y;
	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return x < y ? -1 : x > y;
}

static int
do_memory(void)
{
	void *p[512];
	for (size_t i = 0; i < ARRAY_LEN(p); i++)
		p[i] = xalloc(i * 977 + 1);
	for (size_t i = 0; i < ARRAY_LEN(p); i++)
		free(p[i]);
	char *big = xalloc(48u << 20);
	big = xrealloc(big, 64u << 20);
	big[(64u << 20) - 1] = 1;
	uint64_t *n = xalloc((1u << 16) * sizeof(*n)); /* large enough for qsort to ask for sizes */
	random_bytes(n, (1u << 16) * sizeof(*n));
	qsort(n, 1u << 16, sizeof(*n), by_value);
	int r = n[0] <= n[65535] ? DONE : 1;
	free(n);
	free(big);
	return r;
}

static int
do_text(void)
{
	char out[256];
	struct tm tm;
	time_t now = (time_t)(sys_wall_ms() / 1000);
	if (snprintf(out, sizeof(out), "%d %.3f %s", 17, 1.5, strerror(ENOENT)) <= 0)
		return 1;
	if (!localtime_r(&now, &tm) || strftime(out, sizeof(out), "%a %e %b %Y %T %z %Z", &tm) == 0)
		return 2;
	if (sys_zone_minutes(now) < -24 * 60 || sys_mono_ms() < 0)
		return 3;
	fprintf(stderr, "%s", "");
	struct str map;
	if (memfd_map(sealed, 64, &map) < 0 || !str_eq(map, STR("sealed")))
		return 4;
	memfd_unmap(map);
	if (getpid() <= 0 || getuid() != geteuid())
		return 5;
	struct rlimit r = { 1, 1 };
	(void)r;
	return DONE;
}

static int
do_abort(void)
{
	abort();
}

static void
thread_body(void *arg)
{
	char *p = xalloc(1u << 20);
	p[0] = 1;
	free(p);
	*(int *)arg = 7;
}

static int
do_threads(void)
{
	int seen[4] = { 0 };
	struct thread t[4];
	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		thread_start(&t[i], "worker", thread_body, &seen[i]);
	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		thread_join(&t[i]);
		if (seen[i] != 7)
			return 1;
	}
	return DONE;
}

static int
do_files(void)
{
	char path[256], again[256];
	struct buf b = BUF_INIT(100);
	snprintf(path, sizeof(path), "%s/a/b/c", inside);
	if (dir_make(path, 0700) < 0 || dir_make(path, 0700) < 0)
		return 1;
	snprintf(path, sizeof(path), "%s/a/b/c/file", inside);
	if (file_replace(path, STR("hello"), 0640) < 0 || file_read_all(path, 100, &b) < 0)
		return 2;
	if (!str_eq(buf_str(&b), STR("hello")))
		return 3;
	buf_done(&b);
	snprintf(again, sizeof(again), "%s/a/file", inside);
	if (rename(path, again) < 0 || unlink(again) < 0)
		return 4;
	int fd;
	if (dir_lock(inside, &fd) < 0)
		return 5;
	if (ftruncate(fd, 4096) < 0 || posix_fallocate(fd, 0, 8192) != 0 || fdatasync(fd) < 0)
		return 6;
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED || msync(p, 4096, MS_SYNC) < 0)
		return 7;
	if (dir_space_free(inside) == 0)
		return 8;
	fd = memfd_sealed("directory", STR("x"));
	return fd >= 0 ? DONE : 9;
}

static int
do_read_files(void)
{
	char path[256];
	struct buf b = BUF_INIT(100);
	snprintf(path, sizeof(path), "%s/there", inside);
	if (file_read_all(path, 100, &b) < 0 || !str_eq(buf_str(&b), STR("content")))
		return 1;
	buf_done(&b);
	/* As LMDB opens its lock file. */
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	struct flock l = { .l_type = F_RDLCK, .l_whence = SEEK_SET };
	struct stat st;
	if (fd < 0 || fcntl(fd, F_SETLK, &l) < 0 || fstat(fd, &st) < 0 || st.st_size != 7)
		return 2;
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	return p != MAP_FAILED ? DONE : 3;
}

/* To the listener of this test, from an address of our choice. */
static int
do_connect(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET }, own = a;
	socklen_t n = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	own.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1);
	if (fd < 0 || bind(fd, (struct sockaddr *)&own, n) < 0 ||
	    getsockname(target, (struct sockaddr *)&a, &n) < 0)
		return 1;
	return connect(fd, (struct sockaddr *)&a, n) == 0 && close(fd) == 0 ? DONE : 2;
}

static int
do_datagram(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t n = sizeof(a);
	char octet = 0;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, n) < 0 ||
	    getsockname(fd, (struct sockaddr *)&a, &n) < 0)
		return 1;
	if (sendto(fd, "x", 1, 0, (struct sockaddr *)&a, n) != 1)
		return 2;
	return recvfrom(fd, &octet, 1, 0, NULL, NULL) == 1 && octet == 'x' ? DONE : 3;
}

struct allowed {
	const char *name;
	const struct sandbox *sandbox;
	int (*fn)(void);
	void (*before)(void);
};

static const struct allowed alloweds[] = {
	{ "io", &front, do_io },
	{ "waiting", &front, do_wait, make_epoll },
	{ "memory", &front, do_memory },
	{ "text and time", &front, do_text },
	{ "threads", &hasher, do_threads },
	{ "memory with threads", &hasher, do_memory },
	{ "store: threads", &store, do_threads },
	{ "store: text and time", &store, do_text },
	{ "store: files", &store, do_files },
	{ "reader: files", &reader, do_read_files },
	{ "resolver: threads", &resolver, do_threads },
	{ "resolver: datagrams", &resolver, do_datagram },
	{ "resolver: connect", &resolver, do_connect },
	{ "fetcher: connect", &fetcher, do_connect },
};

static void
test_allowed(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(alloweds); i++) {
		int status = status_of(alloweds[i].sandbox, alloweds[i].before, alloweds[i].fn);
		char text[64];
		if (status != 0)
			fail_msg("%s: %s", alloweds[i].name, spawn_status_text(status, text));
	}
}

static void
test_abort_is_an_abort(void **state)
{
	int status = status_of(&front, NULL, do_abort);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGABRT);
	assert_false(WCOREDUMP(status));
}

static void
test_mask(void **state)
{
	uint32_t layers = layers_of(&front, NULL);
	bool root = geteuid() == 0;
	assert_int_equal(layers & LAYER_UID, root ? LAYER_UID : 0);
	assert_int_equal(layers & LAYER_CHROOT, root ? LAYER_CHROOT : 0);
	assert_true(layers & LAYER_NO_NEW_PRIVS);
	bool strict = layers & LAYER_SECCOMP;
	assert_int_equal(!!(layers & LAYER_SECCOMP_RELAXED), !strict);
	assert_int_equal(!!(layers & LAYER_NO_DUMP), strict);
	assert_int_equal(layers & ~(2u * LAYER_NO_DUMP - 1), 0);
	struct sandbox stay = front;
	stay.uid = stay.gid = 0;
	stay.chroot_empty = false;
	assert_int_equal(layers_of(&stay, NULL) & (LAYER_UID | LAYER_CHROOT), 0);
}

/* A kernel without the layer, as far as the process can tell. */

static void
hide(const char *name, int err, bool only_get_seccomp)
{
	scmp_filter_ctx c = seccomp_init(SCMP_ACT_ALLOW);
	struct scmp_arg_cmp get = SCMP_A0(SCMP_CMP_EQ, PR_GET_SECCOMP);
	int nr = seccomp_syscall_resolve_name(name);
	if (!c ||
	    seccomp_rule_add_array(c, SCMP_ACT_ERRNO((uint32_t)err), nr, only_get_seccomp, &get) <
		0 ||
	    seccomp_load(c) < 0)
		_exit(99);
	seccomp_release(c);
}

static void
hide_landlock(void)
{
	hide("landlock_create_ruleset", ENOSYS, false);
}

static void
disable_landlock(void)
{
	hide("landlock_create_ruleset", EOPNOTSUPP, false);
}

static void
hide_seccomp(void)
{
	hide("prctl", EINVAL, true);
}

static void
test_missing_layers(void **state)
{
	uint32_t all = layers_of(&front, NULL);
	uint32_t seccomp = LAYER_SECCOMP | LAYER_SECCOMP_RELAXED;
	assert_int_equal(layers_of(&front, hide_landlock), all & ~(uint32_t)LAYER_LANDLOCK);
	assert_int_equal(layers_of(&front, disable_landlock), all & ~(uint32_t)LAYER_LANDLOCK);
	assert_int_equal(layers_of(&front, hide_seccomp), all & ~seccomp);

	int status = status_of(&front, hide_landlock, try_openat);
	assert_true(status != DONE);
	if (all & LAYER_LANDLOCK) { /* alone it still keeps files away */
		status = status_of(&front, hide_seccomp, try_openat);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), REFUSED);
		status = status_of(&store, hide_seccomp, try_outside);
		assert_int_equal(WEXITSTATUS(status), REFUSED);
		status = status_of(&reader, hide_seccomp, try_unlink);
		assert_int_equal(WEXITSTATUS(status), REFUSED);
		status = status_of(&reader, hide_seccomp, do_read_files);
		assert_int_equal(status, 0);
	}
}

static int
tell_limits(void)
{
	struct rlimit r;
	if (getrlimit(RLIMIT_CORE, &r) < 0 || r.rlim_max != 0)
		return 1;
	if (getrlimit(RLIMIT_NOFILE, &r) < 0 || r.rlim_max != 256 || r.rlim_cur != 256)
		return 2;
	return DONE;
}

static void
test_limits(void **state)
{
	/* With THREADS a process may ask for its own limits. */
	struct sandbox s = hasher;
	s.max_fds = 256;
	assert_int_equal(status_of(&s, NULL, tell_limits), 0);
}

static int
tell_dir(void)
{
	return strcmp(inside, geteuid() == UNUSED_ID ? "/" : dir) == 0 ? DONE : 1;
}

static void
test_dir_name(void **state)
{
	assert_int_equal(status_of(&store, NULL, tell_dir), 0);
	assert_null(sandbox_dir(&front, LAYER_CHROOT));
}

static int
never(void)
{
	return DONE;
}

static void
test_bad_dir_ends(void **state)
{
	struct sandbox s = store;
	s.dir = "/nonexistent/pennypost";
	int status = status_of(&s, NULL, never);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 1);
}

static int
setup(void **state)
{
	snprintf(dir, sizeof(dir), "/tmp/test_sandbox.XXXXXX");
	if (!mkdtemp(dir) || chmod(dir, 0777) < 0)
		return -1;
	char there[80];
	snprintf(there, sizeof(there), "%s/there", dir);
	snprintf(other, sizeof(other), "%s.other", dir);
	if (file_replace(there, STR("content"), 0666) < 0 ||
	    file_replace(other, STR("secret"), 0666) < 0)
		return -1;
	if (listen_tcp("127.0.0.1", 0, 0, &listener) < 0 ||
	    listen_tcp("127.0.0.1", 0, 0, &target) < 0)
		return -1;
	sealed = memfd_sealed("test", STR("sealed"));
	guards_ports = syscall(SYS_landlock_create_ruleset, NULL, (size_t)0, 1u) >= 4;
	return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, talk);
}

static int
teardown(void **state)
{
	static const char *const names[] = { "there", "lock", "a/b/c", "a/b", "a", "" };
	char path[128];
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		remove(path);
	}
	unlink(other);
	close(listener);
	close(target);
	close(sealed);
	close(talk[0]);
	close(talk[1]);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mask),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_allowed),
		cmocka_unit_test(test_abort_is_an_abort),
		cmocka_unit_test(test_missing_layers),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_dir_name),
		cmocka_unit_test(test_bad_dir_ends),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
