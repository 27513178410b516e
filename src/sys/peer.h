/* peer: who is at the other end of a unix socket, as the kernel noted when it connected. */
#pragma once

#include <sys/types.h>

struct sys_peer {
	pid_t pid;
	uid_t uid;
	gid_t gid;
};
int sys_peer_get(int sock, struct sys_peer *ret); /* 0 or -errno */
