#include "roles/parent/parent_priv.h"

#include "ipc/frame.h"
#include "log/log.h"
#include "sys/listen.h"
#include "sys/peer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define DOOR_PATH_MAX 4096
#define DOOR_PAUSE_MS 100

/* The first frame, IPC_CTL_TO, always has the same length: head, one octet, padding. It is read
 * here to the octet and not by a chan, so that nothing behind it is swallowed: the socket goes
 * on to another process. */
#define FIRST_LEN 24

struct door {
	struct list node; /* doors.waiting */
	struct parent *parent;
	int fd;
	struct loop_io *io;
	struct loop_timer *timer;
	char in[FIRST_LEN];
	size_t n_in;
};

static void
door_free(struct door *d)
{
	loop_io_free(d->io);
	loop_timer_free(d->timer);
	if (d->fd >= 0)
		close(d->fd);
	list_del(&d->node);
	d->parent->doors.n_waiting--;
	free(d);
}

static void
refuse(struct door *d, uint64_t id, enum ctl_code code, const char *text)
{
	struct msg_done m = { .code = (uint8_t)code, .text = str_of(text) };
	struct buf b = BUF_INIT(4096 + 64);
	msg_done_put(&b, &m);
	/* The socket's buffer is empty, so this does not block; if the asker is gone, so be it. */
	(void)chan_sync_send(d->fd, IPC_DONE, id, buf_str(&b), -1);
	buf_done(&b);
	door_free(d);
}

static void
say_down(struct door *d, uint64_t id, enum ipc_role role)
{
	const struct parent *p = d->parent;
	char text[256] = "the server has no such part";

	for (unsigned i = 0; i < p->n_children; i++) {
		const struct child *c = &p->children[i];
		if (c->role == role)
			snprintf(text, sizeof(text),
			    "%s is not running (%s); `pennypost status` "
			    "shows the server's parts, its log says why",
			    c->name, c->last[0] ? c->last : "ending");
	}
	refuse(d, id, CTL_FAILED, text);
}

static void
pass_on(struct door *d, uint64_t id, enum ipc_role role)
{
	struct child *c = NULL;

	if (role == ROLE_FRONT) {
		refuse(d, id, CTL_REFUSED, "front takes no commands");
		return;
	}
	if (role != ROLE_PARENT) {
		c = child_of(d->parent, role);
		if (!c) {
			say_down(d, id, role);
			return;
		}
	}
	if (chan_sync_send(d->fd, IPC_CTL_OK, id, STR_NULL, -1) == 0) {
		if (c) {
			chan_send(c->chan, IPC_CTL, 0, STR_NULL, d->fd);
		} else {
			d->io = loop_io_free(d->io);
			desk_take(d->parent->desk, d->fd);
			d->fd = -1;
		}
	}
	door_free(d);
}

static void
on_first_frame(struct door *d)
{
	struct frame_head h = { 0 };
	struct str body;
	size_t size;
	const char *why;
	uint8_t role;
	char more;

	if (ipc_frame_get(str_n(d->in, FIRST_LEN), &h, &body, &size, &why) != FRAME_OK ||
	    size != FIRST_LEN || h.type != IPC_CTL_TO || !msg_u8_get(body, ROLE_COUNT, &role)) {
		refuse(d, h.id, CTL_INVALID,
		    "the command line and the server are of different "
		    "versions; use the one the server was started with, or restart the server");
		return;
	}
	if (recv(d->fd, &more, 1, MSG_PEEK | MSG_DONTWAIT) > 0) {
		refuse(d, h.id, CTL_INVALID, "a question came before the connection was made");
		return;
	}
	pass_on(d, h.id, (enum ipc_role)role);
}

static void
on_readable(void *arg, unsigned events)
{
	struct door *d = arg;
	ssize_t n = recv(d->fd, d->in + d->n_in, FIRST_LEN - d->n_in, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		door_free(d);
		return;
	}
	d->n_in += (size_t)n;
	if (d->n_in == FIRST_LEN)
		on_first_frame(d);
}

static void
on_silence(void *arg)
{
	door_free(arg);
}

/* Root or the uid the server was started with: nobody else can even reach the socket, but a
 * descriptor may have travelled. */
static bool
authorised(int fd)
{
	struct sys_peer who;
	if (sys_peer_get(fd, &who) < 0)
		return false;
	if (who.uid == 0 || who.uid == geteuid())
		return true;
	LOG(LOG_WARN, 0, "command-refused", LOGN("uid", who.uid), LOGN("pid", who.pid));
	return false;
}

static void
door_new(struct parent *p, int fd)
{
	struct door *d = xalloc(sizeof(*d));
	*d = (struct door){ .parent = p, .fd = fd };
	list_add_tail(&p->doors.waiting, &d->node);
	p->doors.n_waiting++;
	if (!authorised(fd)) {
		refuse(d, 0, CTL_REFUSED,
		    "only root and the user who started the server may ask it");
		return;
	}
	if (p->doors.n_waiting > DOOR_WAITING_MAX) {
		refuse(d, 0, CTL_FAILED, "too many commands wait at once; try again");
		return;
	}
	d->io = loop_io_new(p->loop, fd, on_readable, d);
	if (!d->io) {
		door_free(d);
		return;
	}
	d->timer = loop_timer_new(p->loop, on_silence, d);
	loop_timer_set(d->timer, DOOR_FRAME_MS, 0);
	loop_io_want(d->io, LOOP_READ);
}

static void
on_accept(void *arg, unsigned events)
{
	struct parent *p = arg;
	int fd = accept4(p->doors.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd >= 0) {
		door_new(p, fd);
		return;
	}
	if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
		LOG(LOG_WARN, 0, "command-refused", LOGZ("why", strerror(errno)));
		loop_io_want(p->doors.io, 0);
		loop_timer_set(p->doors.pause, DOOR_PAUSE_MS, 0);
	}
}

static void
on_pause_over(void *arg)
{
	struct parent *p = arg;
	loop_io_want(p->doors.io, LOOP_READ);
}

static bool
door_path(const struct parent *p, char out[DOOR_PATH_MAX])
{
	return snprintf(out, DOOR_PATH_MAX, "%s/ctl.sock", p->conf->data_dir) < DOOR_PATH_MAX;
}

bool
doors_open(struct parent *p, struct buf *err)
{
	struct doors *ds = &p->doors;
	char path[DOOR_PATH_MAX];
	int r = door_path(p, path) ? listen_unix(path, &ds->fd) : -ENAMETOOLONG;

	if (r == 0) {
		ds->io = loop_io_new(p->loop, ds->fd, on_accept, p);
		r = ds->io ? 0 : -errno;
	}
	if (r < 0) {
		buf_putf(err,
		    "%s/ctl.sock: cannot open the door for commands: %s; data_dir must "
		    "be on a file system that has sockets\n",
		    p->conf->data_dir, strerror(-r));
		return false;
	}
	ds->pause = loop_timer_new(p->loop, on_pause_over, p);
	loop_io_want(ds->io, LOOP_READ);
	return true;
}

void
doors_close(struct parent *p)
{
	struct doors *ds = &p->doors;
	char path[DOOR_PATH_MAX];

	list_each(n, &ds->waiting) door_free(list_entry(n, struct door, node));
	ds->io = loop_io_free(ds->io);
	ds->pause = loop_timer_free(ds->pause);
	if (ds->fd < 0)
		return;
	close(ds->fd);
	ds->fd = -1;
	if (door_path(p, path))
		unlink(path);
}
