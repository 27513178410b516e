#include "ipc/fdpass.h"

#include "base/check.h"

#include <errno.h>
#include <stdint.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

ssize_t
fdpass_send(int sock, const void *p, size_t n, int fd, int flags)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
	struct iovec iov = { (void *)(uintptr_t)p, n };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	if (fd >= 0) {
		memset(control, 0, sizeof(control));
		m.msg_control = control;
		m.msg_controllen = sizeof(control);
		struct cmsghdr *h = CMSG_FIRSTHDR(&m);
		h->cmsg_level = SOL_SOCKET;
		h->cmsg_type = SCM_RIGHTS;
		h->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(h), &fd, sizeof(fd));
	}
	ssize_t r;
	do
		r = sendmsg(sock, &m, flags | MSG_NOSIGNAL);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : r;
}

/* Takes the descriptors of one control message; false when they do not all fit. */
static bool
take(struct cmsghdr *h, int fds[FDPASS_MAX], size_t *n_fds)
{
	bool fit = true;
	if (h->cmsg_len < CMSG_LEN(0))
		return false;
	size_t n = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	for (size_t i = 0; i < n; i++) {
		int fd;
		memcpy(&fd, CMSG_DATA(h) + i * sizeof(fd), sizeof(fd));
		if (*n_fds < FDPASS_MAX) {
			fds[(*n_fds)++] = fd;
		} else {
			close(fd);
			fit = false;
		}
	}
	return fit;
}

ssize_t
fdpass_recv(int sock, void *p, size_t n, int flags, int fds[FDPASS_MAX], size_t *n_fds)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(FDPASS_MAX * sizeof(int))];
	struct iovec iov = { p, n };
	struct msghdr m = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control) };
	ssize_t r;
	do
		r = recvmsg(sock, &m, flags | MSG_CMSG_CLOEXEC);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return -errno;
	bool fit = !(m.msg_flags & MSG_CTRUNC);
	for (struct cmsghdr *h = CMSG_FIRSTHDR(&m); h; h = CMSG_NXTHDR(&m, h))
		if (h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_RIGHTS)
			fit = take(h, fds, n_fds) && fit;
	return fit ? r : -EPROTO;
}
