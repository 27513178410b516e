/* Unix sockets that routes lead to: a relay opens no files, so parent connects for it. */
#include "roles/parent/parent_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Only what the configuration names; a relay that asks for another has not got it from there, or
 * from the one before. */
static bool
is_route(const struct conf *c, struct str path)
{
	for (size_t i = 0; i < c->n_routes; i++) {
		struct str via = str_of(c->routes[i].via);
		if (str_starts(via, STR("lmtp:/")) && str_eq(str_skip(via, 5), path))
			return true;
	}
	return false;
}

bool
onward_socket(struct child *c, const struct ipc_frame *f)
{
	int fd = -1, r = -ENOENT;
	if (c->role != ROLE_RELAY || f->body.len == 0 || memchr(f->body.p, '\0', f->body.len))
		return false;
	char *path = str_dup(f->body);
	if (is_route(c->parent->conf, f->body))
		r = unix_connect_now(path, &fd);
	free(path);
	if (r == 0) {
		chan_send(c->chan, IPC_UNIX, f->id, STR_NULL, fd);
		close(fd);
		return true;
	}
	struct buf b = BUF_INIT(16);
	msg_u32_put(&b, (uint32_t)-r);
	chan_send(c->chan, IPC_UNIX_NO, f->id, buf_str(&b), -1);
	buf_done(&b);
	return true;
}
