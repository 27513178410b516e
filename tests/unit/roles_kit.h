/*
 * roles_kit: runs a role in a child, as parent would, and talks to it over socket pairs.
 * Included by the tests of the roles; everything is static.
 */
#pragma once

#include "base/check.h"
#include "conf/conf.h"
#include "ipc/chan.h"
#include "ipc/desk.h"
#include "ipc/msg.h"
#include "sys/file.h"
#include "sys/spawn.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define KIT_PATIENCE_MS 20000

struct kit {
	pid_t pid;
	int sock; /* to the role, as its parent */
};

static char kit_dir[64];

__attribute__((unused)) static void
kit_make_dir(void)
{
	static const char *const parts[] = { "store", "auth" };
	snprintf(kit_dir, sizeof(kit_dir), "/tmp/penny-roles-XXXXXX");
	assert_non_null(mkdtemp(kit_dir));
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		char path[96];
		snprintf(path, sizeof(path), "%s/%s", kit_dir, parts[i]);
		assert_int_equal(mkdir(path, 0700), 0);
	}
}

__attribute__((unused)) static void
kit_drop_dir(void)
{
	char cmd[96];
	snprintf(cmd, sizeof(cmd), "rm -rf %s", kit_dir);
	if (system(cmd) != 0)
		fprintf(stderr, "# %s stays\n", kit_dir);
}

__attribute__((unused)) static struct conf *
kit_conf(const char *const *sets)
{
	struct buf err = BUF_INIT(4096);
	struct conf *c = conf_new();
	free(c->data_dir);
	c->data_dir = xstrdup(kit_dir);
	free(c->log_level);
	c->log_level = xstrdup("error");
	c->store_segment_bytes = 4u << 20;
	for (; sets && *sets; sets++)
		if (!conf_set(c, str_of(*sets), &err))
			fail_msg("%s: %s", *sets, buf_cstr(&err));
	buf_done(&err);
	return c;
}

static void
kit_send_conf(int sock, const struct conf *c, enum ipc_role role, uint32_t uid)
{
	struct buf text = BUF_INIT(4u << 20), body = BUF_INIT(64);
	conf_dump(c, &text);
	int fd = memfd_sealed("conf", buf_str(&text));
	assert_true(fd >= 0);
	struct msg_setup m = { .role = (uint8_t)role, .count = 1, .uid = uid, .gid = uid };
	msg_setup_put(&body, &m);
	assert_int_equal(chan_sync_send(sock, IPC_SETUP, 0, buf_str(&body), fd), 0);
	close(fd);
	buf_done(&text);
	buf_done(&body);
}

static bool
kit_readable(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int r;
	do
		r = poll(&p, 1, ms);
	while (r < 0 && errno == EINTR);
	return r == 1;
}

/* The next frame; *store holds its body. */
static int
kit_recv(int fd, struct ipc_frame *f, struct buf *store)
{
	if (!kit_readable(fd, KIT_PATIENCE_MS))
		fail_msg("no answer within %d ms", KIT_PATIENCE_MS);
	return chan_sync_recv(fd, f, store);
}

/* The next frame must be of this type; its descriptor is closed. */
__attribute__((unused)) static uint64_t
kit_expect(int fd, uint16_t type, struct buf *store)
{
	struct ipc_frame f;
	int rc = kit_recv(fd, &f, store);
	assert_int_equal(rc, 0);
	if (f.fd >= 0)
		close(f.fd);
	assert_int_equal(f.type, type);
	return f.id;
}

/* True when the role closes its end. */
__attribute__((unused)) static bool
kit_closed(int fd)
{
	struct ipc_frame f;
	struct buf store = BUF_INIT(IPC_BODY_MAX + 64);
	int rc;
	while ((rc = kit_recv(fd, &f, &store)) == 0)
		if (f.fd >= 0)
			close(f.fd);
	buf_done(&store);
	return rc == -EPIPE || rc == -ECONNRESET;
}

static void
kit_spawn(struct kit *k, int (*run)(void), const struct conf *c, enum ipc_role role, uint32_t uid)
{
	int pair[2];
	assert_int_equal(chan_pair(pair), 0);
	fflush(stdout);
	fflush(stderr);
	k->pid = fork();
	assert_true(k->pid >= 0);
	if (k->pid == 0) {
		if (dup2(pair[1], SPAWN_FD) < 0 || close_range(SPAWN_FD + 1, ~0u, 0) < 0)
			_exit(99);
		for (int n = 1; n < NSIG; n++) /* cmocka's handlers are not for the role */
			signal(n, n == SIGPIPE ? SIG_IGN : SIG_DFL);
		alarm(100); /* a test that failed leaves nobody behind */
		_exit(run());
	}
	close(pair[1]);
	k->sock = pair[0];
	kit_send_conf(k->sock, c, role, uid);
}

__attribute__((unused)) static void
kit_start(struct kit *k, int (*run)(void), const struct conf *c, enum ipc_role role, uint32_t uid)
{
	struct buf store = BUF_INIT(IPC_BODY_MAX + 64);
	kit_spawn(k, run, c, role, uid);
	kit_expect(k->sock, IPC_READY, &store);
	buf_done(&store);
}

static int
kit_wait(struct kit *k)
{
	int status = -1;
	assert_int_equal(waitpid(k->pid, &status, 0), k->pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* Closes its channel; its exit status, or minus the signal that ended it. */
__attribute__((unused)) static int
kit_stop(struct kit *k)
{
	close(k->sock);
	return kit_wait(k);
}

__attribute__((unused)) static int
kit_drain(struct kit *k, uint32_t ms)
{
	struct buf body = BUF_INIT(16);
	msg_u32_put(&body, ms);
	assert_int_equal(chan_sync_send(k->sock, IPC_DRAIN, 0, buf_str(&body), -1), 0);
	buf_done(&body);
	int status = kit_wait(k);
	close(k->sock);
	return status;
}

__attribute__((unused)) static int
kit_kill(struct kit *k)
{
	kill(k->pid, SIGKILL);
	return kit_stop(k);
}

/* Hands one end of a new pair over as a peer; the other end. */
__attribute__((unused)) static int
kit_peer(struct kit *k, enum ipc_role role, uint16_t index)
{
	int pair[2];
	struct buf body = BUF_INIT(16);
	struct msg_peer m = { .role = (uint8_t)role, .index = index };
	assert_int_equal(chan_pair(pair), 0);
	msg_peer_put(&body, &m);
	assert_int_equal(chan_sync_send(k->sock, IPC_PEER, 0, buf_str(&body), pair[1]), 0);
	close(pair[1]);
	buf_done(&body);
	return pair[0];
}

/* Connects two roles with one another. */
__attribute__((unused)) static void
kit_join(struct kit *a, enum ipc_role role_a, struct kit *b, enum ipc_role role_b)
{
	int fd = kit_peer(a, role_b, 0);
	struct buf body = BUF_INIT(16);
	struct msg_peer m = { .role = (uint8_t)role_a };
	msg_peer_put(&body, &m);
	assert_int_equal(chan_sync_send(b->sock, IPC_PEER, 0, buf_str(&body), fd), 0);
	close(fd);
	buf_done(&body);
}

__attribute__((unused)) static int
kit_ctl(struct kit *k)
{
	int pair[2];
	assert_int_equal(chan_pair(pair), 0);
	assert_int_equal(chan_sync_send(k->sock, IPC_CTL, 0, STR_NULL, pair[1]), 0);
	close(pair[1]);
	return pair[0];
}

__attribute__((unused)) static void
kit_send_ask(int fd, const char *const *words)
{
	struct buf body = BUF_INIT(IPC_BODY_MAX);
	struct msg_ask m = { .op = str_of(words[0]) };
	while (words[1 + m.n]) {
		m.arg[m.n] = str_of(words[1 + m.n]);
		m.n++;
	}
	msg_ask_put(&body, &m);
	assert_int_equal(chan_sync_send(fd, IPC_ASK, 7, buf_str(&body), -1), 0);
	buf_done(&body);
}

/* Appends the rows, fields parted by '|' and rows by '\n', to out, and the text of DONE behind
 * a '!' when there is one; its code. */
__attribute__((unused)) static int
kit_answer(int fd, struct buf *out)
{
	struct buf store = BUF_INIT(IPC_BODY_MAX + 64);
	struct msg_done done = { .code = CTL_CODE_COUNT };
	while (done.code == CTL_CODE_COUNT) {
		struct ipc_frame f;
		struct msg_row row;
		assert_int_equal(kit_recv(fd, &f, &store), 0);
		assert_int_equal(f.id, 7);
		if (f.type == IPC_DONE) {
			assert_true(msg_done_get(f.body, &done));
			if (done.text.len) {
				buf_putc(out, '!');
				buf_puts(out, done.text);
			}
			break;
		}
		assert_int_equal(f.type, IPC_ROW);
		assert_true(msg_row_get(f.body, &row));
		for (size_t i = 0; i < row.n; i++) {
			if (i)
				buf_putc(out, '|');
			buf_puts(out, row.field[i]);
		}
		buf_putc(out, '\n');
	}
	buf_done(&store);
	return done.code;
}

#define KIT_ASK(k, out, ...) kit_ask(k, out, (const char *const[]){ __VA_ARGS__, NULL })
__attribute__((unused)) static int
kit_ask(struct kit *k, struct buf *out, const char *const *words)
{
	int fd = kit_ctl(k);
	buf_reset(out);
	kit_send_ask(fd, words);
	int code = kit_answer(fd, out);
	close(fd);
	return code;
}
