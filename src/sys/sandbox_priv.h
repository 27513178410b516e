/* sandbox_priv: the layers of sandbox_apply(), one file each. All end the process on failure. */
#pragma once

#include "sys/sandbox.h"

#include <stdbool.h>
#include <stdint.h>

/* The same values as enum sandbox_layer in ipc/msg.h, a room below (compared in a test). */
enum {
	HAVE_UID = 1u << 0,
	HAVE_CHROOT = 1u << 1,
	HAVE_NO_NEW_PRIVS = 1u << 2,
	HAVE_SECCOMP = 1u << 3,
	HAVE_SECCOMP_RELAXED = 1u << 4,
	HAVE_LANDLOCK = 1u << 5,
	HAVE_NO_DUMP = 1u << 6,
};

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANDBOX_RELAXED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
    __has_feature(memory_sanitizer)
#define SANDBOX_RELAXED 1
#endif
#endif
#ifndef SANDBOX_RELAXED
#define SANDBOX_RELAXED 0
#endif

_Noreturn void sandbox_die(const struct sandbox *s, const char *what, int err);
/* dir_fd: the role's directory (O_PATH), or -1. Returns the layer's bits, or 0: not to be had. */
uint32_t sandbox_landlock(const struct sandbox *s, int dir_fd);
uint32_t sandbox_seccomp(const struct sandbox *s);
