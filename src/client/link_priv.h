/* link_priv: what the files of the link share. */
#pragma once

#include "client/link.h"
#include "client/resolve.h"

#include <poll.h>

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0 /* SO_NOSIGPIPE does it there */
#endif

enum link_wait { LINK_WAIT_OK, LINK_WAIT_TIME, LINK_WAIT_STOP };

bool link_stopped(const struct link *l);
/* Until the descriptor is ready for `events` (0 and fd -1: only time passes), the deadline (of
 * sys_mono_ms()), or `stop`. */
enum link_wait link_wait(const struct link *l, int fd, short events, int64_t deadline);
/* The sentence in l->why; returns status. */
int link_fail(struct link *l, int status, const char *fmt, ...) PRINTF(3, 4);
void link_tell_close(struct link *l, int status, const char *text);
/* link_first.c: the PROXY header and telnet's words, where they are wanted. An exit status. */
int link_say_first(struct link *l);

/* link_deflate.c. What was read to l->in behind `from` is inflated, as far as there is room. */
enum link_status link_deflate_take_in(struct link *l, size_t from);
bool link_deflate_waits(const struct link *l); /* there is more that no poll() will tell about */
/* Replaces the octets by what goes for them. */
bool link_deflate_pack(struct link *l, struct str *octets);
void link_deflate_close(struct link *l);

/* The path of unix:/path, or NULL. */
static inline const char *
link_path(const struct link_conf *c)
{
	return c->host && strncmp(c->host, "unix:/", 6) == 0 ? c->host + 5 : NULL;
}

static inline enum link_wait
resolve_wait(const struct link *l, const struct resolve *r, int64_t deadline)
{
	return link_wait(l, resolve_fd(r), POLLIN, deadline);
}
