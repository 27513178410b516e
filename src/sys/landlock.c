/*
 * The Landlock layer. The kernel's interface grows by versions of its ABI, so the structs and
 * bits stand here: the headers of the build machine say nothing about the kernel we meet.
 */
#include "base/check.h"
#include "sys/sandbox_priv.h"

#include <errno.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule 445
#define SYS_landlock_restrict_self 446
#endif

#define CREATE_RULESET_VERSION 1u
#define RULE_PATH_BENEATH 1
#define RULE_NET_PORT 2

enum {
	FS_EXECUTE = 1u << 0,
	FS_WRITE_FILE = 1u << 1,
	FS_READ_FILE = 1u << 2,
	FS_READ_DIR = 1u << 3,
	FS_REMOVE_DIR = 1u << 4,
	FS_REMOVE_FILE = 1u << 5,
	FS_MAKE_DIR = 1u << 7,
	FS_MAKE_REG = 1u << 8,
	FS_REFER = 1u << 13,
	FS_TRUNCATE = 1u << 14,
};

struct ruleset {
	uint64_t fs, net, scoped;
};

enum {
	NET_BIND_TCP = 1u << 0,
	NET_CONNECT_TCP = 1u << 1,
};

struct path_beneath {
	uint64_t allowed;
	int32_t fd;
} __attribute__((packed));

struct net_port {
	uint64_t allowed, port;
};

/* What each version can forbid; later ones add to the last row what we do not know. */
static const struct {
	struct ruleset all;
	size_t size;
} abis[] = {
	{ { 0x1fff, 0, 0 }, 8 },
	{ { 0x3fff, 0, 0 }, 8 },
	{ { 0x7fff, 0, 0 }, 8 },
	{ { 0x7fff, 3, 0 }, 16 },
	{ { 0xffff, 3, 0 }, 16 },
	{ { 0xffff, 3, 3 }, 24 },
};

static uint64_t
rights_in_dir(unsigned sets)
{
	if (sets & SANDBOX_FILES)
		return FS_WRITE_FILE | FS_READ_FILE | FS_READ_DIR | FS_REMOVE_DIR | FS_REMOVE_FILE |
		       FS_MAKE_DIR | FS_MAKE_REG | FS_REFER | FS_TRUNCATE;
	if (sets & SANDBOX_FILES_RO) /* a reader of LMDB writes itself down in the lock file */
		return FS_READ_FILE | FS_READ_DIR | FS_WRITE_FILE;
	return 0;
}

/* Who connects may choose an address of ours to come from: bind() to it, at any port the kernel
 * likes, and at none that somebody may know us by. */
static void
allow_sources(const struct sandbox *s, int rules, const struct ruleset *all)
{
	const struct net_port any = { NET_BIND_TCP, 0 };
	if ((s->sets & SANDBOX_TCP) && (all->net & NET_BIND_TCP) &&
	    syscall(SYS_landlock_add_rule, rules, RULE_NET_PORT, &any, 0u) < 0)
		sandbox_die(s, "landlock rule", errno);
}

static bool
absent(long r)
{
	return r < 0 && (errno == ENOSYS || errno == EOPNOTSUPP || errno == EPERM);
}

uint32_t
sandbox_landlock(const struct sandbox *s, int dir_fd)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, (size_t)0, CREATE_RULESET_VERSION);
	if (absent(abi))
		return 0;
	if (abi < 1)
		sandbox_die(s, "landlock version", errno);
	size_t row = MIN((size_t)abi, ARRAY_LEN(abis)) - 1;
	struct ruleset all = abis[row].all;
	if (s->sets & SANDBOX_TCP)
		all.net &= ~(uint64_t)NET_CONNECT_TCP;
	int rules = (int)syscall(SYS_landlock_create_ruleset, &all, abis[row].size, 0u);
	if (rules < 0)
		sandbox_die(s, "landlock ruleset", errno);

	struct path_beneath beneath = { rights_in_dir(s->sets) & all.fs, dir_fd };
	if (dir_fd >= 0 && beneath.allowed &&
	    syscall(SYS_landlock_add_rule, rules, RULE_PATH_BENEATH, &beneath, 0u) < 0)
		sandbox_die(s, "landlock rule", errno);
	allow_sources(s, rules, &all);
	if (syscall(SYS_landlock_restrict_self, rules, 0u) < 0)
		sandbox_die(s, "landlock", errno);
	close(rules);
	return HAVE_LANDLOCK;
}
