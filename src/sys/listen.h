/*
 * listen: sockets that wait for connections, and addresses as text. Addresses are numeric
 * everywhere; nothing here asks a resolver. All calls: 0 or -errno; every socket made here is
 * non-blocking (unix_connect's is not) and close-on-exec.
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

/* An address of the internet. IPv4 is kept as ::ffff:a.b.c.d and shown as a.b.c.d. */
struct sys_addr {
	unsigned char ip[16];
	uint16_t port;
	bool is_v4;
	char text[INET6_ADDRSTRLEN];
};
bool sys_addr_of(const struct sockaddr *sa, socklen_t len, struct sys_addr *ret);
bool sys_addr_parse(const char *text, struct sys_addr *ret); /* port 0 */
/* Of this end of a socket. -EAFNOSUPPORT: it is none of the internet. */
int sys_addr_here(int fd, struct sys_addr *ret);
/* The same as text only; "local" for a unix socket, "unknown" for the rest. */
const char *sys_addr_text(const struct sockaddr *sa, socklen_t len, char out[INET6_ADDRSTRLEN]);

enum { LISTEN_REUSEPORT = 1u << 0 }; /* others of ours listen there too; the kernel shares out */

/* address "*": every address, IPv4 and IPv6 (only IPv4 where the host has no IPv6); "::" is
 * IPv6 only. port 0: the kernel picks one, see sys_addr_here(). */
int listen_tcp(const char *address, uint16_t port, unsigned flags, int *ret_fd);

/* A unix stream socket of mode 0600. A socket file in the way is removed when nobody answers
 * there, else -EADDRINUSE. Paths may be longer than sun_path. Parent only: sets the umask for a
 * moment. */
int listen_unix(const char *path, int *ret_fd);

/* Who may connect to a unix socket. uid, gid -1: as the maker's. */
struct unix_access {
	mode_t mode;
	uid_t uid;
	gid_t gid;
};
/* As listen_unix, for others than our own account; nobody can connect before the rights are set. */
int listen_unix_for(const char *path, const struct unix_access *a, int *ret_fd);
int unix_access_set(const char *path, const struct unix_access *a);

/* Which file a socket of ours is, so that nobody else's is removed later. */
struct unix_file {
	dev_t dev;
	ino_t ino;
};
int unix_file_of(const char *path, struct unix_file *ret);
void unix_file_remove(const char *path, const struct unix_file *f); /* if it still is that one */
int unix_connect(const char *path, int *ret_fd); /* blocking */
/* A non-blocking socket, at once; -EAGAIN: nobody accepts there fast enough. */
int unix_connect_now(const char *path, int *ret_fd);
