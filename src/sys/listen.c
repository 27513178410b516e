#include "sys/listen.h"

#include "base/check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#define BACKLOG 1024

static const unsigned char v4_prefix[12] = { [10] = 0xff, [11] = 0xff };

static void
name(struct sys_addr *a)
{
	a->is_v4 = memcmp(a->ip, v4_prefix, sizeof(v4_prefix)) == 0;
	if (a->is_v4)
		check(inet_ntop(AF_INET, a->ip + 12, a->text, sizeof(a->text)) != NULL);
	else
		check(inet_ntop(AF_INET6, a->ip, a->text, sizeof(a->text)) != NULL);
}

bool
sys_addr_of(const struct sockaddr *sa, socklen_t len, struct sys_addr *ret)
{
	struct sys_addr a = { .port = 0 };
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	if (len < sizeof(sa->sa_family))
		return false;
	if (sa->sa_family == AF_INET && len >= sizeof(v4)) {
		memcpy(&v4, sa, sizeof(v4));
		memcpy(a.ip, v4_prefix, sizeof(v4_prefix));
		memcpy(a.ip + 12, &v4.sin_addr, 4);
		a.port = ntohs(v4.sin_port);
	} else if (sa->sa_family == AF_INET6 && len >= sizeof(v6)) {
		memcpy(&v6, sa, sizeof(v6));
		memcpy(a.ip, &v6.sin6_addr, 16);
		a.port = ntohs(v6.sin6_port);
	} else {
		return false;
	}
	name(&a);
	*ret = a;
	return true;
}

bool
sys_addr_parse(const char *text, struct sys_addr *ret)
{
	struct sys_addr a = { .port = 0 };
	if (inet_pton(AF_INET, text, a.ip + 12) == 1)
		memcpy(a.ip, v4_prefix, sizeof(v4_prefix));
	else if (inet_pton(AF_INET6, text, a.ip) != 1)
		return false;
	name(&a);
	*ret = a;
	return true;
}

const char *
sys_addr_text(const struct sockaddr *sa, socklen_t len, char out[INET6_ADDRSTRLEN])
{
	struct sys_addr a;
	const char *z = "unknown";
	if (sys_addr_of(sa, len, &a))
		z = a.text;
	else if (len >= sizeof(sa->sa_family) && sa->sa_family == AF_UNIX)
		z = "local";
	return memcpy(out, z, strlen(z) + 1);
}

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

int
listen_port(int fd, uint16_t *ret)
{
	struct sockaddr_storage ss;
	struct sys_addr a;
	socklen_t len = sizeof(ss);
	if (getsockname(fd, (struct sockaddr *)&ss, &len) < 0)
		return -errno;
	if (!sys_addr_of((struct sockaddr *)&ss, len, &a))
		return -EAFNOSUPPORT;
	*ret = a.port;
	return 0;
}

int
listen_accept(int fd, int *ret_fd, struct sys_addr *ret_peer)
{
	struct sockaddr_storage ss;
	struct sys_addr a;
	socklen_t len = sizeof(ss);
	int conn;
	do
		conn = accept4(fd, (struct sockaddr *)&ss, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
	while (conn < 0 && errno == EINTR);
	if (conn < 0)
		return -errno;
	if (!sys_addr_of((struct sockaddr *)&ss, MIN(len, (socklen_t)sizeof(ss)), &a)) {
		close(conn);
		return -ECONNABORTED;
	}
	*ret_fd = conn;
	*ret_peer = a;
	return 0;
}
