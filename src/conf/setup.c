#include "conf/setup.h"

#include "crypt/crypt.h"
#include "sys/file.h"
#include "sys/spawn.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define CONF_DUMP_MAX (256u << 20) /* alias files are in it */
#define ERR_MAX (64u << 10)

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

/* Closes the frame's descriptor (fd is -1 then). */
static struct conf *
take(struct ipc_frame *f, enum ipc_role role, struct msg_setup *ret, struct buf *err)
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

static struct conf *
receive(int sock, enum ipc_role role, struct msg_setup *ret, struct buf *err)
{
	struct ipc_frame f;
	struct buf store = BUF_INIT(IPC_BODY_MAX + 64);
	struct conf *c = NULL;
	int rc = chan_sync_recv(sock, &f, &store);
	if (rc < 0)
		buf_putf(err, "no setup came from parent: %s", strerror(-rc));
	else
		c = take(&f, role, ret, err);
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

bool
setup_again(struct ipc_frame *f, enum ipc_role role, struct conf **conf)
{
	struct buf err = BUF_INIT(ERR_MAX);
	struct msg_setup m;
	struct conf *c = take(f, role, &m, &err);
	if (c) {
		conf_free(*conf);
		*conf = c;
		log_set_level(setup_log_level(c));
	} else {
		LOG(LOG_ERROR, 0, "setup-refused", LOGF("error", str_trim(buf_str(&err))));
	}
	buf_done(&err);
	return c != NULL;
}

/* "dns", or "reader.1" where there may be several. */
static void
name_of(char out[24], enum ipc_role role, unsigned index)
{
	if (role == ROLE_READER || role == ROLE_RELAY)
		snprintf(out, 24, "%s.%u", ipc_role_name[role], index);
	else
		snprintf(out, 24, "%s", ipc_role_name[role]);
}

int
setup_main(enum ipc_role role, setup_fn *fn, void *arg)
{
	static char name[24];
	char failed[32];
	struct msg_setup m;
	struct buf err = BUF_INIT(ERR_MAX);
	int status = 1;
	log_init(ipc_role_name[role], STDERR_FILENO, LOG_INFO);
	struct conf *c = receive(SPAWN_FD, role, &m, &err);
	if (c) {
		name_of(name, role, m.index);
		log_init(name, STDERR_FILENO, setup_log_level(c));
		crypt_init();
		status = fn(arg, c, &m, &err);
	}
	snprintf(failed, sizeof(failed), "%s-failed", ipc_role_name[role]);
	if (err.len)
		LOG(LOG_ERROR, 0, failed, LOGF("error", str_trim(buf_str(&err))));
	buf_done(&err);
	return status;
}
