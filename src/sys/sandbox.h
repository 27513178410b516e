/*
 * sandbox: what a role gives up before it looks at its first message. Applied once, in this
 * order: resource limits, chroot or directory, uid, no_new_privs, no dumps, Landlock, seccomp.
 *
 * A layer that the kernel or the rights at start do not allow is left out and missing in the
 * returned mask; `status` prints the mask. A layer that should work and fails ends the process.
 * In sanitizer builds seccomp answers EPERM instead of killing (LAYER_SECCOMP_RELAXED) and mmap
 * is not restricted.
 *
 * Make the loop, open what stays open and load what libraries load before the call; start threads
 * after it (Landlock binds only the calling thread and what it starts). Allowed afterwards, in
 * every role: what is in seccomp.c, and no more: memory never executable, shutdown() only of the
 * writing half, socket options only those of the table there.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Sets of system calls beyond the base set (reading and writing what is open, memory, clock,
 * polling, signals, threads' futexes, exit). */
enum {
	SANDBOX_ACCEPT = 1u << 0,  /* accept4 on listeners handed in, socket options, peer names */
	SANDBOX_FDPASS = 1u << 1,  /* sendmsg/recvmsg with descriptors (all roles need it) */
	SANDBOX_FILES = 1u << 2,   /* openat and friends below the role's directory */
	SANDBOX_FILES_RO = 1u << 3, /* openat read-only */
	SANDBOX_THREADS = 1u << 4, /* create threads after the start */
	SANDBOX_MEMFD = 1u << 5,   /* memfd_create and seals */
	SANDBOX_TCP = 1u << 6,     /* connect by TCP, from and to any address, never from a port of its
	                            * choice; never with ACCEPT */
	SANDBOX_UDP = 1u << 7,     /* datagrams to anywhere, from any port; the same */
	SANDBOX_NO_NET = 1u << 8,  /* socket is refused and no death: a library may try */
};

struct sandbox {
	const char *role;
	unsigned sets;
	const char *dir;       /* the one directory the role may use, or NULL: nothing */
	bool chroot_empty;     /* as root: chroot to dir, or to an empty one if it is NULL */
	uid_t uid;             /* 0: stay */
	gid_t gid;
	uint64_t max_fds;      /* RLIMIT_NOFILE, 0: leave */
};

/* Returns the mask of enum sandbox_layer (ipc/msg.h has the same values); does not return when
 * a layer that should work fails. With chroot, paths below dir must be opened as "." afterwards:
 * sandbox_dir() gives the right name. */
uint32_t sandbox_apply(const struct sandbox *s);
/* "/" after a chroot into dir, else dir. */
const char *sandbox_dir(const struct sandbox *s, uint32_t layers);
