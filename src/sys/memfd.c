#include "base/check.h"
#include "sys/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

#define SEALS_WANTED (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

static int
memfd_new(const char *name)
{
	/* Linux before 6.3 does not know MFD_NOEXEC_SEAL. */
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
	if (fd < 0 && errno == EINVAL)
		fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	return fd < 0 ? -errno : fd;
}

int
memfd_sealed(const char *name, struct str content)
{
	int fd = memfd_new(name);
	if (fd < 0)
		return fd;
	int r = file_write_all(fd, content);
	if (r == 0 && fcntl(fd, F_ADD_SEALS, SEALS_WANTED | F_SEAL_SEAL) < 0)
		r = -errno;
	if (r < 0) {
		close(fd);
		return r;
	}
	return fd;
}

int
memfd_map(int fd, size_t max, struct str *ret)
{
	int seals = fcntl(fd, F_GET_SEALS);
	if (seals < 0)
		return -errno;
	if ((seals & SEALS_WANTED) != SEALS_WANTED)
		return -EPERM;
	/* lseek, not fstat: under a sandbox without files glibc's fstat is refused. */
	off_t size = lseek(fd, 0, SEEK_END);
	if (size < 0)
		return -errno;
	if ((uint64_t)size > max)
		return -EFBIG;
	if (size == 0) {
		*ret = STR("");
		return 0;
	}
	/* Private: Linux before 6.7 refuses a shared mapping of a write-sealed file. */
	void *p = mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		return -errno;
	*ret = str_n(p, (size_t)size);
	return 0;
}

void
memfd_unmap(struct str map)
{
	if (map.len == 0)
		return;
	check(munmap((void *)(uintptr_t)map.p, map.len) == 0);
}

/* --- windows --- */

#define WINDOW_SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE)

int
memfd_window_new(const char *name, size_t size, unsigned char **ret)
{
	int fd = memfd_new(name);
	if (fd < 0)
		return fd;
	/* A role that may not truncate files can write an octet at the end. */
	void *map = MAP_FAILED;
	int r = lseek(fd, (off_t)size - 1, SEEK_SET) < 0 || write(fd, "", 1) != 1 ? -errno : 0;
	if (r == 0)
		map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (r == 0 && map == MAP_FAILED)
		r = -errno;
	if (r == 0 && fcntl(fd, F_ADD_SEALS, WINDOW_SEALS | F_SEAL_SEAL) < 0)
		r = -errno;
	if (r < 0) {
		if (map != MAP_FAILED)
			check(munmap(map, size) == 0);
		close(fd);
		return r;
	}
	*ret = map;
	return fd;
}

int
memfd_window_map(int fd, size_t size, const unsigned char **ret)
{
	int seals = fcntl(fd, F_GET_SEALS);
	if (seals < 0)
		return -errno;
	if ((seals & WINDOW_SEALS) != WINDOW_SEALS)
		return -EPERM;
	off_t there = lseek(fd, 0, SEEK_END);
	if (there < 0)
		return -errno;
	if ((uint64_t)there != size)
		return -EFBIG;
	void *map = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	*ret = map;
	return 0;
}

void
memfd_window_unmap(const unsigned char *map, size_t size)
{
	check(munmap((void *)(uintptr_t)map, size) == 0);
}
