#include "ipc/desk.h"

#include "base/list.h"
#include "ipc/chan.h"
#include "log/log.h"
#include "loop/loop.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DONE_TEXT_MAX 4096

struct desk_chan {
	struct list node;
	struct desk *desk;
	struct chan *chan;
	uint64_t number;
	struct desk_ask *ask; /* the open question, or NULL */
};

struct desk_ask {
	struct desk *desk;      /* NULL: the desk is gone */
	struct desk_chan *from; /* NULL: the asker is gone */
	struct list node;       /* desk->asks */
	uint64_t id;
	int fd; /* that came with it, or -1 */
	void (*room)(void *arg);
	void *room_arg;
};

struct desk {
	struct loop *loop;
	enum ipc_role role;
	const struct desk_op *ops;
	void *arg;
	struct list chans, asks;
	size_t n_chans, n_asks;
	uint64_t last_number;
};

struct desk *
desk_new(struct loop *l, enum ipc_role role, const struct desk_op *ops, void *arg)
{
	struct desk *d = xalloc(sizeof(*d));
	*d = (struct desk){ .loop = l, .role = role, .ops = ops, .arg = arg };
	list_init(&d->chans);
	list_init(&d->asks);
	return d;
}

static void
call_room(struct desk_ask *a)
{
	void (*fn)(void *) = a->room;
	a->room = NULL;
	if (fn)
		fn(a->room_arg);
}

static void
close_chan(struct desk_chan *dc)
{
	struct desk_ask *a = dc->ask;
	list_del(&dc->node);
	dc->desk->n_chans--;
	chan_free(dc->chan);
	free(dc);
	if (a) {
		a->from = NULL;
		call_room(a);
	}
}

struct desk *
desk_free(struct desk *d)
{
	if (!d)
		return NULL;
	list_each(n, &d->asks)
	{
		struct desk_ask *a = list_entry(n, struct desk_ask, node);
		list_del(&a->node);
		a->desk = NULL;
	}
	/* No call into a handler from here: its role is being taken apart. */
	list_each(m, &d->chans)
	{
		struct desk_chan *dc = list_entry(m, struct desk_chan, node);
		if (dc->ask)
			dc->ask->from = NULL;
		dc->ask = NULL;
		close_chan(dc);
	}
	free(d);
	return NULL;
}

size_t
desk_open(const struct desk *d)
{
	return d->n_asks;
}

void
desk_flush(struct desk *d)
{
	list_each(n, &d->chans) chan_flush(list_entry(n, struct desk_chan, node)->chan);
}

static const struct desk_op *
find_op(const struct desk *d, struct str name)
{
	for (const struct desk_op *op = d->ops; op->name; op++)
		if (str_eq(name, str_of(op->name)))
			return op;
	return NULL;
}

/* The octets belong to the channel's receive buffer, which nobody reads after this frame. */
static void
wipe(struct str s)
{
	if (s.len)
		explicit_bzero((void *)(uintptr_t)s.p, s.len);
}

static void
breach(struct desk_chan *dc, const char *why)
{
	LOG(LOG_WARN, 0, "command-breach", LOGZ("why", why));
	close_chan(dc);
}

/* What is wrong with a question, or NULL. */
static const char *
fault_of(const struct desk *d, const struct desk_op *op, const struct msg_ask *m, bool with_fd)
{
	const struct ipc_op *known = ipc_op_find(m->op);
	if (!op || !known || known->role != d->role)
		return "is not answered here; this command and the server may be of different "
		       "versions";
	if (known->fd != with_fd)
		return with_fd ? "takes no descriptor" : "needs a descriptor";
	if (m->n < known->min_args || m->n > known->max_args)
		return "takes another number of arguments";
	for (size_t i = 0; i < m->n; i++)
		if (m->arg[i].len && memchr(m->arg[i].p, 0, m->arg[i].len))
			return "takes no argument with a NUL in it";
	return NULL;
}

static struct desk_ask *
ask_new(struct desk_chan *dc, uint64_t id, int fd)
{
	struct desk *d = dc->desk;
	struct desk_ask *a = xalloc(sizeof(*a));
	*a = (struct desk_ask){ .desk = d, .from = dc, .id = id, .fd = fd };
	list_add_tail(&d->asks, &a->node);
	d->n_asks++;
	dc->ask = a;
	return a;
}

/* Takes the frame's descriptor over. */
static void
on_ask(struct desk_chan *dc, const struct ipc_frame *f)
{
	struct desk *d = dc->desk;
	struct msg_ask m;
	const char *why = dc->ask ? "a second question before the answer to the first"
	                  : !msg_ask_get(f->body, &m) ? "malformed question"
	                                              : NULL;
	if (why) {
		if (f->fd >= 0)
			close(f->fd);
		return breach(dc, why);
	}
	struct desk_ask *a = ask_new(dc, f->id, f->fd);
	const struct desk_op *op = find_op(d, m.op);
	const char *fault = fault_of(d, op, &m, f->fd >= 0);
	if (fault) {
		desk_done(a, CTL_INVALID, "%s: \"" STR_FMT "\" %s", ipc_role_name[d->role],
		    STR_ARG(str_first(m.op, 32)), fault);
	} else {
		/* What answers in rows only looks. */
		const struct ipc_op *known = ipc_op_find(m.op);
		enum log_level level = known && known->fields[0] ? LOG_DEBUG : LOG_INFO;
		LOG(level, 0, "command", LOGZ("op", op->name),
		    LOGF("on", m.n ? str_first(m.arg[0], 320) : STR_NULL));
		op->run(d->arg, a, &m);
	}
	if (op && op->secret)
		wipe(f->body);
}

static void
on_frame(void *arg, struct chan *c, const struct ipc_frame *f)
{
	struct desk_chan *dc = arg;
	if (f->type == IPC_ASK || f->type == IPC_ASK_FD)
		return on_ask(dc, f);
	if (f->fd >= 0)
		close(f->fd);
	breach(dc, "not a question");
}

static void
on_gone(void *arg, struct chan *c, const char *why)
{
	struct desk_chan *dc = arg;
	if (why)
		return breach(dc, why);
	close_chan(dc);
}

static void
on_drained(void *arg, struct chan *c)
{
	struct desk_chan *dc = arg;
	if (dc->ask)
		call_room(dc->ask);
}

static const struct chan_handler handler = { on_frame, on_gone, on_drained };

void
desk_take(struct desk *d, int fd)
{
	if (d->n_chans >= DESK_CHANNELS_MAX) {
		LOG(LOG_WARN, 0, "command-refused", LOGZ("why", "too many commands at once"));
		close(fd);
		return;
	}
	struct desk_chan *dc = xalloc(sizeof(*dc));
	*dc = (struct desk_chan){ .desk = d, .number = ++d->last_number };
	dc->chan = chan_new(d->loop, fd, &handler, dc);
	if (!dc->chan) {
		LOG(LOG_WARN, 0, "command-refused", LOGZ("why", strerror(errno)));
		free(dc);
		return;
	}
	list_add_tail(&d->chans, &dc->node);
	d->n_chans++;
}

void
desk_row(struct desk_ask *a, const struct str *field, size_t n)
{
	struct msg_row m = { .n = (uint16_t)n };
	struct buf b = BUF_INIT(IPC_BODY_MAX);
	check(n <= ROW_FIELDS_MAX);
	if (!a->from)
		return;
	for (size_t i = 0; i < n; i++)
		m.field[i] = field[i];
	msg_row_put(&b, &m);
	check(!b.failed);
	chan_send(a->from->chan, IPC_ROW, a->id, buf_str(&b), -1);
	buf_done(&b);
}

bool
desk_full(const struct desk_ask *a)
{
	return a->from && chan_pending(a->from->chan) > IPC_HIGH_WATER;
}

void
desk_on_room(struct desk_ask *a, void (*fn)(void *arg), void *arg)
{
	check(!a->room && a->from);
	a->room = fn;
	a->room_arg = arg;
}

bool
desk_gone(const struct desk_ask *a)
{
	return !a->from;
}

uint64_t
desk_asker(const struct desk_ask *a)
{
	return a->from ? a->from->number : 0;
}

bool
desk_asker_here(const struct desk *d, uint64_t asker)
{
	list_each(n, &d->chans)
	{
		if (list_entry(n, struct desk_chan, node)->number == asker)
			return true;
	}
	return false;
}

int
desk_take_fd(struct desk_ask *a)
{
	int fd = a->fd;
	a->fd = -1;
	return fd;
}

void
desk_done(struct desk_ask *a, enum ctl_code code, const char *fmt, ...)
{
	struct buf text = BUF_INIT(DONE_TEXT_MAX), b = BUF_INIT(DONE_TEXT_MAX + 64);
	va_list ap;
	va_start(ap, fmt);
	buf_vputf(&text, fmt, ap);
	va_end(ap);
	if (a->from) {
		struct msg_done m = { .code = (uint8_t)code, .text = buf_str(&text) };
		msg_done_put(&b, &m);
		chan_send(a->from->chan, IPC_DONE, a->id, buf_str(&b), -1);
		a->from->ask = NULL;
	}
	if (a->desk) {
		list_del(&a->node);
		a->desk->n_asks--;
	}
	if (a->fd >= 0)
		close(a->fd);
	buf_done(&text);
	buf_done(&b);
	free(a);
}
