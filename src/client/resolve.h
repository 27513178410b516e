/*
 * resolve: addresses of a name, and names of an address, by the system's resolver on a thread of its
 * own, since getaddrinfo() and getnameinfo() wait as long as they like. Who asked waits at a
 * descriptor, and may go away: the thread then ends by itself.
 */
#pragma once

#include <netdb.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct resolve;
/* Begins; NULL: the name is too long, or there is no thread. */
struct resolve *resolve_addrs(const char *host, uint16_t port, int family);
struct resolve *resolve_canonical(const char *host); /* with ai_canonname */
struct resolve *resolve_name(const struct sockaddr *sa, socklen_t len);
int resolve_fd(const struct resolve *r); /* can be read when there is an answer */
bool resolve_wait_ms(const struct resolve *r, int ms);
/* Only behind that. */
int resolve_error(const struct resolve *r); /* 0 or an EAI_ code */
const struct addrinfo *resolve_list(const struct resolve *r);
const char *resolve_text(const struct resolve *r); /* the name */
void resolve_done(struct resolve *r); /* NULL is fine */
