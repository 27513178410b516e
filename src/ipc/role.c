#include "ipc/role.h"

#include "log/log.h"

#include <unistd.h>

int
role_take_fd(struct ipc_frame *m)
{
	int fd = m->fd;
	m->fd = -1;
	return fd;
}

void
role_say_ready(struct chan *parent, uint32_t layers)
{
	struct msg_ready m = { .layers = layers, .uid = (uint32_t)getuid() };
	struct buf b = BUF_INIT(64);
	msg_ready_put(&b, &m);
	chan_send(parent, IPC_READY, 0, buf_str(&b), -1);
	buf_done(&b);
}

static void
count(struct msg_status *s, enum status_key key, uint64_t value)
{
	s->value[key] = value;
	s->have |= 1u << key;
}

void
role_say_status(struct chan *parent, uint64_t id, uint32_t layers, const struct role_count *counts,
    size_t n)
{
	struct msg_status s = { .layers = layers, .uid = (uint32_t)getuid() };
	struct buf b = BUF_INIT(4096);
	count(&s, STATUS_LOG_DROPPED, log_dropped());
	for (size_t i = 0; i < n; i++)
		count(&s, counts[i].key, counts[i].value);
	msg_status_put(&b, &s);
	chan_send(parent, IPC_STATUS, id, buf_str(&b), -1);
	buf_done(&b);
}

bool
role_take_log(struct ipc_frame *m)
{
	if (m->fd < 0)
		return false;
	int fd = role_take_fd(m);
	log_redirect(fd);
	close(fd);
	return true;
}
