/* The names as they stand in the C library, both of each pair, without inline checks. */
#undef _FILE_OFFSET_BITS
#undef _FORTIFY_SOURCE
#include "record.h"

#include "base/check.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define TRACE_MAX (1ull << 30)
#define NO_NODE UINT32_MAX

struct area {
	struct rec_shared shared; /* first */
	char trace[];
};

static struct rec_shared *rec; /* NULL: nothing is recorded */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t jitter;

/* --- the trace --- */

static char *
trace_of(struct rec_shared *r)
{
	return (char *)r + offsetof(struct area, trace);
}

const char *
rec_trace(const struct rec_shared *r)
{
	return (const char *)r + offsetof(struct area, trace);
}

struct rec_shared *
rec_new(const char *root)
{
	struct stat st;
	struct area *a = mmap(NULL, sizeof(*a) + TRACE_MAX, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	check(a != MAP_FAILED && stat(root, &st) == 0);
	struct rec_shared *r = &a->shared;
	check((size_t)snprintf(r->root, sizeof(r->root), "%s", root) < sizeof(r->root));
	r->file[0].dev = st.st_dev;
	r->file[0].ino = st.st_ino;
	r->files = 1;
	return r;
}

void
rec_free(struct rec_shared *r)
{
	munmap(r, sizeof(struct area) + TRACE_MAX);
}

/* Under the lock. */
static void
append(struct rec r, const char *name, const char *name2, const void *data)
{
	char *at = trace_of(rec) + rec->tail;
	r.name_len = name ? (uint32_t)strlen(name) : 0;
	r.name2_len = name2 ? (uint32_t)strlen(name2) : 0;
	uint64_t size = rec_size(&r);
	check(rec->tail + size <= TRACE_MAX);
	memcpy(at, &r, sizeof(r));
	at += sizeof(r);
	if (r.name_len)
		memcpy(at, name, r.name_len);
	if (r.name2_len)
		memcpy(at + r.name_len, name2, r.name2_len);
	if (data)
		memcpy(at + r.name_len + r.name2_len, data, r.len);
	rec->tail += size;
	rec->n++;
	if (rec->n == rec->kill_at)
		syscall(SYS_exit_group, 137);
}

void
rec_begin(struct rec_shared *r)
{
	rec = r;
	append((struct rec){ .kind = REC_LIFE }, NULL, NULL, NULL);
}

void
rec_note(uint32_t kind, uint32_t a, uint64_t b)
{
	pthread_mutex_lock(&lock);
	append((struct rec){ .kind = REC_NOTE, .node = kind, .node2 = a, .off = b }, NULL, NULL,
	    NULL);
	pthread_mutex_unlock(&lock);
}

/* --- files --- */

static uint32_t
node_of(const struct stat *st)
{
	for (uint32_t i = rec->files; i-- > 0;)
		if (rec->file[i].ino == st->st_ino && rec->file[i].dev == st->st_dev)
			return i;
	return NO_NODE;
}

static uint32_t
node_new(const struct stat *st)
{
	check(rec->files < REC_FILES_MAX);
	rec->file[rec->files].dev = st->st_dev;
	rec->file[rec->files].ino = st->st_ino;
	return rec->files++;
}

static uint32_t
fd_node(int fd)
{
	struct stat st;
	int saved = errno;
	uint32_t node = rec && fstat(fd, &st) == 0 ? node_of(&st) : NO_NODE;
	errno = saved;
	return node;
}

/* The directory in which path's last part stands, and that part. */
static uint32_t
place_of(int at, const char *path, const char **ret_leaf)
{
	char dir[PATH_MAX];
	struct stat st;
	const char *slash = strrchr(path, '/');
	int saved = errno;
	if (!rec)
		return NO_NODE;
	*ret_leaf = slash ? slash + 1 : path;
	size_t n = slash ? (size_t)(slash - path) : 0;
	if (n >= sizeof(dir))
		return NO_NODE;
	memcpy(dir, path, n);
	dir[n] = '\0';
	int r = !slash ? fstatat(at, ".", &st, 0) : fstatat(at, n ? dir : "/", &st, 0);
	/* at is a directory's descriptor: "." beside it is itself. */
	uint32_t node = r == 0 ? node_of(&st) : NO_NODE;
	errno = saved;
	/* Memory shared between processes, changed past all calls; it means nothing after a crash.
	 */
	return strcmp(*ret_leaf, "lock.mdb") == 0 ? NO_NODE : node;
}

/* Under the lock: is this the call that fails? */
static bool
fails(enum rec_call call, int *ret_errno)
{
	uint64_t n = ++rec->calls[call];
	if (!rec->fail_at || rec->fail_call != call || n < rec->fail_at ||
	    n - rec->fail_at >= rec->fail_for)
		return false;
	rec->failed++;
	*ret_errno = rec->fail_errno;
	return true;
}

/* --- writes --- */

static bool
all_zeros(const char *p, size_t n)
{
	return n == 0 || (p[0] == 0 && memcmp(p, p + 1, n - 1) == 0);
}

static void
wrote(int fd, uint32_t node, const void *p, ssize_t n, off_t off)
{
	if (n <= 0)
		return;
	struct rec r = {
		.kind = REC_WRITE, .node = node, .off = (uint64_t)off, .len = (uint64_t)n
	};
	if (fcntl(fd, F_GETFL) & O_DSYNC)
		r.flags |= REC_DURABLE;
	if (all_zeros(p, (size_t)n))
		r.flags |= REC_ZEROS;
	append(r, NULL, NULL, r.flags & REC_ZEROS ? NULL : p);
}

/* moves: as write(), which goes on where the file stands. Under the lock. */
static ssize_t
write_node(int fd, uint32_t node, const void *p, size_t n, off_t off, bool moves)
{
	int e = -1;
	if (moves)
		off = lseek(fd, 0, SEEK_CUR);
	if (fails(CALL_WRITE, &e) && e > 0) {
		errno = e;
		return -1;
	}
	if (e == 0 && n > 1)
		n /= 2; /* a short write */
	ssize_t put = syscall(SYS_pwrite64, fd, p, n, off);
	if (put > 0 && moves)
		lseek(fd, off + put, SEEK_SET);
	wrote(fd, node, p, put, off);
	return put;
}

static ssize_t
write_at(int fd, const void *p, size_t n, off_t off, bool moves)
{
	pthread_mutex_lock(&lock);
	uint32_t node = fd_node(fd);
	ssize_t put = node == NO_NODE ? -1 : write_node(fd, node, p, n, off, moves);
	pthread_mutex_unlock(&lock);
	if (node == NO_NODE)
		return moves ? syscall(SYS_write, fd, p, n) : syscall(SYS_pwrite64, fd, p, n, off);
	return put;
}

ssize_t
pwrite(int fd, const void *p, size_t n, off_t off)
{
	return write_at(fd, p, n, off, false);
}

ssize_t
pwrite64(int fd, const void *p, size_t n, off_t off)
{
	return write_at(fd, p, n, off, false);
}

ssize_t
write(int fd, const void *p, size_t n)
{
	return write_at(fd, p, n, 0, true);
}

/* Piece by piece; a piece that came out short ends it, as the kernel may. */
static ssize_t
write_pieces(int fd, const struct iovec *v, int n, off_t off, bool moves)
{
	ssize_t all = 0;
	for (int i = 0; i < n; i++) {
		ssize_t put = write_at(fd, v[i].iov_base, v[i].iov_len, off + all, moves);
		if (put < 0)
			return all ? all : -1;
		all += put;
		if ((size_t)put < v[i].iov_len)
			break;
	}
	return all;
}

ssize_t
writev(int fd, const struct iovec *v, int n)
{
	return write_pieces(fd, v, n, 0, true);
}

ssize_t
pwritev(int fd, const struct iovec *v, int n, off_t off)
{
	return write_pieces(fd, v, n, off, false);
}

ssize_t
pwritev64(int fd, const struct iovec *v, int n, off_t off)
{
	return write_pieces(fd, v, n, off, false);
}

/* --- sizes --- */

static int
resize(int fd, long nr, long a, long b, long c, off_t size)
{
	int e = EIO, r;
	pthread_mutex_lock(&lock);
	uint32_t node = fd_node(fd);
	if (node != NO_NODE && fails(CALL_SIZE, &e)) {
		errno = e > 0 ? e : EIO;
		r = -1;
	} else {
		r = (int)syscall(nr, fd, a, b, c);
	}
	if (node != NO_NODE && r == 0)
		append((struct rec){ .kind = REC_SIZE, .node = node, .off = (uint64_t)size }, NULL,
		    NULL, NULL);
	pthread_mutex_unlock(&lock);
	return r;
}

int
ftruncate(int fd, off_t size)
{
	return resize(fd, SYS_ftruncate, size, 0, 0, size);
}

int
ftruncate64(int fd, off_t size)
{
	return resize(fd, SYS_ftruncate, size, 0, 0, size);
}

static int
allocate(int fd, int mode, off_t off, off_t len)
{
	struct stat st;
	/* Holes and moved octets are not in the model. */
	check(!rec || mode == 0 || fd_node(fd) == NO_NODE);
	off_t was = fstat(fd, &st) == 0 ? st.st_size : 0;
	return resize(fd, SYS_fallocate, mode, off, len, was > off + len ? was : off + len);
}

int
fallocate(int fd, int mode, off_t off, off_t len)
{
	return allocate(fd, mode, off, len);
}

int
fallocate64(int fd, int mode, off_t off, off_t len)
{
	return allocate(fd, mode, off, len);
}

int
posix_fallocate(int fd, off_t off, off_t len)
{
	int saved = errno, r = allocate(fd, 0, off, len) < 0 ? errno : 0;
	errno = saved;
	return r;
}

int
posix_fallocate64(int fd, off_t off, off_t len)
{
	return posix_fallocate(fd, off, len);
}

/* --- syncs --- */

static int
sync_fd(int fd, long nr)
{
	int e = EIO;
	pthread_mutex_lock(&lock);
	uint32_t node = fd_node(fd);
	if (node == NO_NODE) {
		pthread_mutex_unlock(&lock);
		return (int)syscall(nr, fd);
	}
	bool bad = fails(CALL_SYNC, &e);
	uint64_t begun = rec->tail;
	append((struct rec){ .kind = REC_SYNC, .node = node }, NULL, NULL, NULL);
	jitter = jitter * 6364136223846793005u + 1442695040888963407u;
	useconds_t us = rec->sync_us ? (useconds_t)((jitter >> 33) % rec->sync_us) : 0;
	pthread_mutex_unlock(&lock);
	if (us)
		usleep(us);
	if (bad || syscall(nr, fd) < 0) {
		errno = e > 0 ? e : EIO;
		return -1;
	}
	pthread_mutex_lock(&lock);
	append((struct rec){ .kind = REC_SYNCED, .node = node, .off = begun }, NULL, NULL, NULL);
	pthread_mutex_unlock(&lock);
	return 0;
}

int
fsync(int fd)
{
	return sync_fd(fd, SYS_fsync);
}

int
fdatasync(int fd)
{
	return sync_fd(fd, SYS_fdatasync);
}

/* --- names --- */

/* Makes a name; call fails as CALL_OPEN. Under the lock. */
static int
make(int at, const char *path, int flags, mode_t mode)
{
	const char *leaf;
	struct stat st;
	uint32_t dir = place_of(at, path, &leaf);
	int e = EIO;
	if (dir == NO_NODE)
		return (int)syscall(SYS_openat, at, path, flags, mode);
	bool was = fstatat(at, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
	if (fails(CALL_OPEN, &e)) {
		errno = e > 0 ? e : EIO;
		return -1;
	}
	int fd = (int)syscall(SYS_openat, at, path, flags, mode);
	if (fd < 0)
		return fd;
	check(fstat(fd, &st) == 0);
	if (!was)
		append((struct rec){ .kind = REC_MAKE, .node = dir, .node2 = node_new(&st) }, leaf,
		    NULL, NULL);
	else if (flags & O_TRUNC)
		append((struct rec){ .kind = REC_SIZE, .node = node_of(&st) }, NULL, NULL, NULL);
	return fd;
}

static int
open_any(int at, const char *path, int flags, mode_t mode)
{
	if (!rec || !(flags & (O_CREAT | O_TRUNC)))
		return (int)syscall(SYS_openat, at, path, flags, mode);
	pthread_mutex_lock(&lock);
	int fd = make(at, path, flags, mode);
	pthread_mutex_unlock(&lock);
	return fd;
}

#define OPEN(name, params, at)                                                                     \
	int name params                                                                            \
	{                                                                                          \
		va_list ap;                                                                        \
		va_start(ap, flags);                                                               \
		mode_t mode = flags & O_CREAT ? (mode_t)va_arg(ap, unsigned) : 0;                  \
		va_end(ap);                                                                        \
		return open_any(at, path, flags, mode);                                            \
	}
OPEN(open, (const char *path, int flags, ...), AT_FDCWD)
OPEN(open64, (const char *path, int flags, ...), AT_FDCWD)
OPEN(openat, (int at, const char *path, int flags, ...), at)
OPEN(openat64, (int at, const char *path, int flags, ...), at)

int
mkdirat(int at, const char *path, mode_t mode)
{
	const char *leaf;
	struct stat st;
	pthread_mutex_lock(&lock);
	uint32_t dir = place_of(at, path, &leaf);
	int r = (int)syscall(SYS_mkdirat, at, path, mode);
	if (r == 0 && dir != NO_NODE) {
		check(fstatat(at, path, &st, 0) == 0);
		append((struct rec){ .kind = REC_MKDIR, .node = dir, .node2 = node_new(&st) }, leaf,
		    NULL, NULL);
	}
	pthread_mutex_unlock(&lock);
	return r;
}

int
mkdir(const char *path, mode_t mode)
{
	return mkdirat(AT_FDCWD, path, mode);
}

int
unlinkat(int at, const char *path, int flags)
{
	const char *leaf;
	int e = EIO, r = -1;
	pthread_mutex_lock(&lock);
	uint32_t dir = place_of(at, path, &leaf);
	if (dir != NO_NODE && fails(CALL_UNLINK, &e))
		errno = e > 0 ? e : EIO;
	else
		r = (int)syscall(SYS_unlinkat, at, path, flags);
	if (r == 0 && dir != NO_NODE)
		append((struct rec){ .kind = REC_UNLINK, .node = dir }, leaf, NULL, NULL);
	pthread_mutex_unlock(&lock);
	return r;
}

int
unlink(const char *path)
{
	return unlinkat(AT_FDCWD, path, 0);
}

int
rmdir(const char *path)
{
	return unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
}

int
renameat2(int at, const char *from, int at2, const char *to, unsigned flags)
{
	const char *leaf, *leaf2;
	int e = EIO, r = -1;
	pthread_mutex_lock(&lock);
	uint32_t dir = place_of(at, from, &leaf), dir2 = place_of(at2, to, &leaf2);
	check((dir == NO_NODE) == (dir2 == NO_NODE) && (dir == NO_NODE || flags == 0));
	if (dir != NO_NODE && fails(CALL_RENAME, &e))
		errno = e > 0 ? e : EIO;
	else
		r = (int)syscall(SYS_renameat2, at, from, at2, to, flags);
	if (r == 0 && dir != NO_NODE)
		append((struct rec){ .kind = REC_RENAME, .node = dir, .node2 = dir2 }, leaf, leaf2,
		    NULL);
	pthread_mutex_unlock(&lock);
	return r;
}

int
renameat(int at, const char *from, int at2, const char *to)
{
	return renameat2(at, from, at2, to, 0);
}

int
rename(const char *from, const char *to)
{
	return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0);
}

int
linkat(int at, const char *from, int at2, const char *to, int flags)
{
	const char *leaf;
	struct stat st;
	pthread_mutex_lock(&lock);
	uint32_t dir = place_of(at2, to, &leaf);
	int r = (int)syscall(SYS_linkat, at, from, at2, to, flags);
	if (r == 0 && dir != NO_NODE) {
		check(fstatat(at2, to, &st, AT_SYMLINK_NOFOLLOW) == 0 && node_of(&st) != NO_NODE);
		append((struct rec){ .kind = REC_LINK, .node = dir, .node2 = node_of(&st) }, leaf,
		    NULL, NULL);
	}
	pthread_mutex_unlock(&lock);
	return r;
}

int
link(const char *from, const char *to)
{
	return linkat(AT_FDCWD, from, AT_FDCWD, to, 0);
}
