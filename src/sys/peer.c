#include "sys/peer.h"

#include <errno.h>
#include <sys/socket.h>

int
sys_peer_get(int sock, struct sys_peer *ret)
{
	struct ucred c;
	socklen_t n = sizeof(c);
	if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &c, &n) < 0)
		return -errno;
	if (n != sizeof(c) || c.pid == 0)
		return -ENOTCONN;
	*ret = (struct sys_peer){ c.pid, c.uid, c.gid };
	return 0;
}
