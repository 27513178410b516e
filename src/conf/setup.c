#include "conf/setup.h"

#include "sys/file.h"

#include <string.h>
#include <unistd.h>

#define CONF_DUMP_MAX (256u << 20) /* alias files are in it */

static struct conf *
take_text(int fd, struct buf *err)
{
	struct str text;
	int rc = memfd_map(fd, CONF_DUMP_MAX, &text);
	if (rc < 0) {
		buf_putf(err, "the configuration cannot be mapped: %s", strerror(-rc));
		return NULL;
	}
	struct conf *c = conf_undump(text, err);
	memfd_unmap(text);
	return c;
}

struct conf *
setup_take(struct ipc_frame *f, enum ipc_role role, struct msg_setup *ret, struct buf *err)
{
	struct conf *c = NULL;
	struct msg_setup m;
	if (f->type != IPC_SETUP || f->fd < 0 || !msg_setup_get(f->body, &m))
		buf_putf(err, "message %u is no setup", f->type);
	else if (m.role != role)
		buf_putf(err, "a setup for role %u reached %s", m.role, ipc_role_name[role]);
	else
		c = take_text(f->fd, err);
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
	if (c)
		*ret = m;
	return c;
}

struct conf *
setup_receive(int sock, enum ipc_role role, struct msg_setup *ret, struct buf *err)
{
	struct ipc_frame f;
	struct buf store = BUF_INIT(IPC_BODY_MAX + 64);
	struct conf *c = NULL;
	int rc = chan_sync_recv(sock, &f, &store);
	if (rc < 0)
		buf_putf(err, "no setup came from parent: %s", strerror(-rc));
	else
		c = setup_take(&f, role, ret, err);
	buf_done(&store);
	return c;
}

enum log_level
setup_log_level(const struct conf *c)
{
	enum log_level level = LOG_INFO;
	(void)log_level_parse(str_of(c->log_level), &level);
	return level;
}
