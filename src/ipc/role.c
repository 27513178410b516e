#include "ipc/role.h"

#include "base/check.h"
#include "ipc/desk.h"
#include "log/log.h"

#include <errno.h>
#include <string.h>
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
	s->have |= UINT64_C(1) << key;
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

/* --- a whole life --- */

static bool
on_log(struct role *r, struct ipc_frame *m)
{
	if (m->fd < 0)
		return false;
	log_redirect(m->fd);
	return true;
}

static bool
on_drain(struct role *r, struct ipc_frame *m)
{
	uint32_t ms;
	if (!msg_u32_get(m->body, &ms))
		return false;
	r->draining = true;
	loop_timer_set(r->drain, ms, 0);
	return true;
}

static bool
on_ctl(struct role *r, struct ipc_frame *m)
{
	if (!r->desk || m->fd < 0)
		return false;
	desk_take(r->desk, role_take_fd(m));
	return true;
}

static const struct {
	enum ipc_type type;
	bool (*handle)(struct role *r, struct ipc_frame *m);
} common[] = {
	{ IPC_LOG, on_log },
	{ IPC_DRAIN, on_drain },
	{ IPC_CTL, on_ctl },
};

static void
on_frame(void *arg, struct chan *c, const struct ipc_frame *frame)
{
	struct role *r = arg;
	struct ipc_frame m = *frame;
	bool ok = false;
	for (size_t i = 0; i < ARRAY_LEN(common); i++)
		if (common[i].type == m.type)
			ok = common[i].handle(r, &m);
	for (size_t i = 0; i < r->n; i++)
		if (r->rows[i].type == m.type)
			ok = r->rows[i].handle(r->arg, &m);
	if (m.fd >= 0)
		close(m.fd);
	if (ok)
		return;
	LOG(LOG_ERROR, 0, "parent-breach", LOGN("type", m.type));
	r->exit_status = 1;
	loop_stop(r->loop);
}

static void
on_gone(void *arg, struct chan *c, const char *why)
{
	struct role *r = arg;
	if (why)
		LOG(LOG_ERROR, 0, "parent-breach", LOGZ("why", why));
	r->exit_status = why ? 1 : 0;
	loop_stop(r->loop);
}

static const struct chan_handler handler = { on_frame, on_gone, NULL };

static void
on_late(void *arg)
{
	struct role *r = arg;
	loop_stop(r->loop);
}

static void
on_turn(void *arg)
{
	struct role *r = arg;
	if (r->draining && r->idle(r->arg))
		loop_stop(r->loop);
}

int
role_run(struct role *r, int channel)
{
	r->drain = loop_timer_new(r->loop, on_late, r);
	loop_on_turn(r->loop, on_turn, r);
	r->parent = chan_new(r->loop, channel, &handler, r);
	if (r->parent) {
		if (!r->says_ready)
			role_say_ready(r->parent, r->layers);
		loop_run(r->loop);
		if (r->end)
			r->end(r->arg);
		if (r->desk)
			desk_flush(r->desk);
	} else {
		LOG(LOG_ERROR, 0, "no-channel", LOGZ("error", strerror(errno)));
		r->exit_status = 1;
	}
	r->parent = chan_free(r->parent);
	r->drain = loop_timer_free(r->drain);
	return r->exit_status;
}
