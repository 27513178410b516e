#include "lab/ask.h"

#include "base/check.h"
#include "ipc/chan.h"
#include "ipc/ops.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define ASK_BODY_MAX (1u << 20)

static int
knock(const struct ask *a)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct timeval tv = { .tv_sec = a->timeout_ms / 1000,
		.tv_usec = a->timeout_ms % 1000 * 1000 };
	int len = snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/ctl.sock", a->dir);

	if (len < 0 || (size_t)len >= sizeof(sun.sun_path))
		return -ENAMETOOLONG;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) == 0 &&
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)) == 0 &&
	    connect(fd, (const struct sockaddr *)&sun, sizeof(sun)) == 0)
		return fd;
	int error = -errno;
	close(fd);
	return error;
}

/* Asks parent for the role, then the role the question. */
static int
send_question(const struct ask *a, const struct ipc_op *op, int fd, struct buf *store)
{
	struct msg_ask m = { .op = str_of(a->op), .n = (uint16_t)a->n_args };
	struct buf body = BUF_INIT(ASK_BODY_MAX);
	struct ipc_frame f;

	msg_u8_put(&body, (uint8_t)op->role);
	int error = chan_sync_send(fd, IPC_CTL_TO, 0, buf_str(&body), -1);
	if (error == 0)
		error = chan_sync_recv(fd, &f, store);
	if (error == 0 && f.fd >= 0)
		close(f.fd);
	if (error == 0 && f.type != IPC_CTL_OK)
		error = -EPROTO;
	buf_reset(&body);
	for (size_t i = 0; i < a->n_args; i++)
		m.arg[i] = a->args[i];
	msg_ask_put(&body, &m);
	if (error == 0)
		error =
		    body.failed ? -EMSGSIZE : chan_sync_send(fd, IPC_ASK, 1, buf_str(&body), -1);
	buf_done(&body);
	return error;
}

/* Rows until the end of the answer. */
static int
receive_answer(const struct ask *a, int fd, struct buf *store, struct msg_done *ret)
{
	struct ipc_frame f;
	struct msg_row row;

	for (;;) {
		int error = chan_sync_recv(fd, &f, store);
		if (error < 0)
			return error;
		if (f.fd >= 0)
			close(f.fd);
		if (f.type == IPC_DONE)
			return msg_done_get(f.body, ret) ? 0 : -EPROTO;
		if (f.type != IPC_ROW || !msg_row_get(f.body, &row))
			return -EPROTO;
		if (a->row)
			a->row(a->arg, &row);
	}
}

bool
ask_server(const struct ask *a, struct buf *why)
{
	const struct ipc_op *op = ipc_op_find(str_of(a->op));
	struct buf store = BUF_INIT(IPC_BODY_MAX + 64);
	struct msg_done done = { .code = CTL_FAILED };

	check(op && a->n_args <= ASK_ARGS_MAX);
	int fd = knock(a);
	int error = fd < 0 ? fd : send_question(a, op, fd, &store);
	if (error == 0)
		error = receive_answer(a, fd, &store, &done);
	if (error < 0)
		buf_putf(why, "%s: the server in %s does not answer: %s", a->op, a->dir,
		    error == -EAGAIN ? "it took too long" : strerror(-error));
	else if (done.code != CTL_OK)
		buf_putf(why, "%s: " STR_FMT, a->op, STR_ARG(done.text));
	if (fd >= 0)
		close(fd);
	buf_done(&store);
	return error == 0 && done.code == CTL_OK;
}
