/* auth_kit: auth as a child, with what parent gives it. Included by its tests. */
#pragma once

#include "roles_kit.h"

#include "roles/auth/auth.h"

#include <fcntl.h>

static void
give_secret(struct kit *k, enum secret_kind kind, const char *path)
{
	struct msg_secret m = { .kind = (uint8_t)kind, .name = str_of(path) };
	struct buf body = BUF_INIT(4096);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	msg_secret_put(&body, &m);
	assert_int_equal(chan_sync_send(k->sock, IPC_SECRET, 0, buf_str(&body), fd), 0);
	close(fd);
	buf_done(&body);
}

/* It is ready when it knows that there are no keys. */
__attribute__((unused)) static void
start(struct kit *k, const struct conf *c)
{
	struct buf store = BUF_INIT(IPC_BODY_MAX + 64);
	kit_spawn(k, auth_main, c, ROLE_AUTH, 0);
	give_secret(k, SECRET_END, "/dev/null");
	kit_expect(k->sock, IPC_READY, &store);
	buf_done(&store);
}
