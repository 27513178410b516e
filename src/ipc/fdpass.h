/* fdpass: one sendmsg or recvmsg on a stream socket, with descriptors (SCM_RIGHTS). */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#define FDPASS_MAX 16 /* received and not yet claimed by a frame */

/* Octets sent, or -errno. fd -1: none; else it rides on the first octet. Never SIGPIPE. */
ssize_t fdpass_send(int sock, const void *p, size_t n, int fd, int flags);
/* Octets received (0: the peer closed), or -errno; descriptors are appended to fds, which has
 * room for FDPASS_MAX. -EPROTO when there is no room for them (those already in stay). */
ssize_t fdpass_recv(int sock, void *p, size_t n, int flags, int fds[FDPASS_MAX], size_t *n_fds);
