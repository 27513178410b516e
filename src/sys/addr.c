#include "base/check.h"
#include "sys/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

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

int
sys_addr_here(int fd, struct sys_addr *ret)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	if (getsockname(fd, (struct sockaddr *)&ss, &len) < 0)
		return -errno;
	return sys_addr_of((struct sockaddr *)&ss, len, ret) ? 0 : -EAFNOSUPPORT;
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
