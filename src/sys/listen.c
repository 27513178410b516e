#include "sys/listen.h"

#include "base/check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#define BACKLOG 1024

static int
set_on(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) < 0 ? -errno : 0;
}

static int
bind_listen(int fd, const struct sys_addr *a, bool v6_socket, bool dual, unsigned flags)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(a->port) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(a->port) };
	memcpy(&v4.sin_addr, a->ip + 12, 4);
	memcpy(&v6.sin6_addr, a->ip, 16);
	const struct sockaddr *sa = v6_socket ? (const void *)&v6 : (const void *)&v4;
	socklen_t len = v6_socket ? sizeof(v6) : sizeof(v4);

	int r = set_on(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (r == 0 && (flags & LISTEN_REUSEPORT))
		r = set_on(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	if (r == 0 && v6_socket)
		r = set_on(fd, IPPROTO_IPV6, IPV6_V6ONLY, !dual);
	if (r == 0 && (bind(fd, sa, len) < 0 || listen(fd, BACKLOG) < 0))
		r = -errno;
	return r;
}

static int
listen_on(const struct sys_addr *a, bool dual, unsigned flags, int *ret_fd)
{
	bool v6 = dual || !a->is_v4;
	int fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	int r = bind_listen(fd, a, v6, dual, flags);
	if (r < 0) {
		close(fd);
		return r;
	}
	*ret_fd = fd;
	return 0;
}

int
listen_tcp(const char *address, uint16_t port, unsigned flags, int *ret_fd)
{
	struct sys_addr a;
	bool any = strcmp(address, "*") == 0;
	if (!sys_addr_parse(any ? "::" : address, &a))
		return -EINVAL;
	a.port = port;
	int r = listen_on(&a, any, flags, ret_fd);
	if (!any || (r != -EAFNOSUPPORT && r != -EADDRNOTAVAIL))
		return r;
	check(sys_addr_parse("0.0.0.0", &a));
	a.port = port;
	return listen_on(&a, false, flags, ret_fd);
}
