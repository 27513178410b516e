/* The life of a reader. */
#include "conf/setup.h"
#include "ipc/role.h"
#include "log/log.h"
#include "roles/store/reader_priv.h"
#include "roles/store/store_role.h"
#include "sys/sandbox.h"
#include "sys/spawn.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define ERR_MAX (64u << 10)

/* --- the store --- */

bool
reader_open_store(struct reader *r, struct buf *err)
{
	struct store_options o = STORE_OPTIONS_DEFAULT;
	char uri[CONF_TEXT_MAX + 16];
	if (r->store && !r->stale)
		return true;
	/* Never two at once: the locks of an index belong to the process. */
	if (r->store)
		r->store = store_close(r->store);
	o.read_only = true;
	o.create = false;
	snprintf(uri, sizeof(uri), "emb:%s", r->dir);
	if (store_open(&r->store, uri, &o, err) < 0) {
		r->store = NULL;
		return false;
	}
	r->stale = false;
	return true;
}

/* --- the writer --- */

static void
writer_close(struct reader *r, const char *why)
{
	if (!r->writer)
		return;
	LOG(LOG_WARN, 0, "store-away", LOGZ("why", why ? why : "closed"));
	r->writer = chan_free(r->writer);
	reader_jobs_writer_away(r);
}

static void
writer_frame(void *arg, struct chan *c, const struct ipc_frame *m)
{
	struct reader *r = arg;
	if (m->fd >= 0)
		close(m->fd);
	if (m->fd >= 0 || m->type != IPC_SYNCED)
		writer_close(r, "malformed message");
	else
		reader_jobs_synced(r, m->id);
}

static void
writer_gone(void *arg, struct chan *c, const char *why)
{
	writer_close(arg, why);
}

static const struct chan_handler writer_handler = { writer_frame, writer_gone, NULL };

/* --- parent --- */

static bool
on_setup(struct reader *r, struct ipc_frame *m)
{
	struct buf err = BUF_INIT(ERR_MAX);
	struct msg_setup setup;
	struct conf *c = setup_take(m, ROLE_READER, &setup, &err);
	if (c) {
		conf_free(r->conf);
		r->conf = c;
		log_set_level(setup_log_level(c));
	} else {
		LOG(LOG_ERROR, 0, "setup-refused", LOGF("error", str_trim(buf_str(&err))));
	}
	buf_done(&err);
	return c != NULL;
}

static bool
on_peer(struct reader *r, struct ipc_frame *m)
{
	struct msg_peer p;
	if (m->fd < 0 || !msg_peer_get(m->body, &p) || p.role != ROLE_STORE)
		return false;
	writer_close(r, "replaced");
	r->stale = true;
	r->writer = chan_new(r->loop, role_take_fd(m), &writer_handler, r);
	if (r->writer)
		reader_jobs_ask_writer(r);
	else
		LOG(LOG_ERROR, 0, "store-refused", LOGZ("error", strerror(errno)));
	return true;
}

static bool
on_ctl(struct reader *r, struct ipc_frame *m)
{
	if (m->fd < 0)
		return false;
	desk_take(r->desk, role_take_fd(m));
	return true;
}

static bool
on_status(struct reader *r, struct ipc_frame *m)
{
	role_say_status(r->parent, m->id, r->layers, NULL, 0);
	return true;
}

static bool
on_log(struct reader *r, struct ipc_frame *m)
{
	return role_take_log(m);
}

static bool
on_drain(struct reader *r, struct ipc_frame *m)
{
	uint32_t ms;
	if (!msg_u32_get(m->body, &ms))
		return false;
	r->draining = true;
	loop_timer_set(r->drain, ms, 0);
	return true;
}

static const struct {
	enum ipc_type type;
	bool (*handle)(struct reader *r, struct ipc_frame *m); /* false: a breach */
} from_parent[] = {
	{ IPC_SETUP, on_setup },
	{ IPC_PEER, on_peer },
	{ IPC_CTL, on_ctl },
	{ IPC_STATUS_ASK, on_status },
	{ IPC_DRAIN, on_drain },
	{ IPC_LOG, on_log },
};

static void
parent_frame(void *arg, struct chan *c, const struct ipc_frame *frame)
{
	struct reader *r = arg;
	struct ipc_frame m = *frame;
	bool ok = false;
	for (size_t i = 0; i < ARRAY_LEN(from_parent); i++)
		if (from_parent[i].type == m.type)
			ok = from_parent[i].handle(r, &m);
	if (m.fd >= 0)
		close(m.fd);
	if (ok)
		return;
	LOG(LOG_ERROR, 0, "parent-breach", LOGN("type", m.type));
	r->exit_status = 1;
	loop_stop(r->loop);
}

static void
parent_gone(void *arg, struct chan *c, const char *why)
{
	struct reader *r = arg;
	if (why)
		LOG(LOG_ERROR, 0, "parent-breach", LOGZ("why", why));
	r->exit_status = why ? 1 : 0;
	loop_stop(r->loop);
}

static const struct chan_handler parent_handler = { parent_frame, parent_gone, NULL };

static void
drain_over(void *arg)
{
	struct reader *r = arg;
	if (r->draining)
		loop_stop(r->loop);
	r->draining = false;
}

static void
on_turn(void *arg)
{
	struct reader *r = arg;
	if (r->draining && desk_open(r->desk) == 0)
		drain_over(r);
}

/* --- start and end --- */

static void
run(struct reader *r)
{
	r->desk = desk_new(r->loop, ROLE_READER, reader_ops, r);
	r->parent = chan_new(r->loop, SPAWN_FD, &parent_handler, r);
	check(r->parent != NULL);
	r->drain = loop_timer_new(r->loop, drain_over, r);
	loop_on_turn(r->loop, on_turn, r);
	role_say_ready(r->parent, r->layers);
	loop_run(r->loop);
	reader_jobs_done(r);
	desk_flush(r->desk);
	desk_free(r->desk);
	loop_timer_free(r->drain);
	chan_free(r->writer);
	chan_free(r->parent);
}

int
reader_main(void)
{
	static char who[24];
	struct reader r = { 0 };
	struct msg_setup setup;
	struct buf err = BUF_INIT(ERR_MAX);
	list_init(&r.jobs);
	log_init("reader", STDERR_FILENO, LOG_INFO);
	r.conf = setup_receive(SPAWN_FD, ROLE_READER, &setup, &err);
	r.exit_status = 1;
	if (r.conf) {
		char dir[CONF_TEXT_MAX + 16];
		snprintf(who, sizeof(who), "reader.%u", setup.index);
		snprintf(dir, sizeof(dir), "%s/store", r.conf->data_dir);
		log_init(who, STDERR_FILENO, setup_log_level(r.conf));
		struct sandbox box = {
			.role = "reader",
			.sets = SANDBOX_FDPASS | SANDBOX_FILES_RO,
			.dir = dir,
			.chroot_empty = true,
			.uid = setup.uid,
			.gid = setup.gid,
		};
		r.exit_status = 0;
		r.loop = loop_new();
		r.layers = sandbox_apply(&box);
		r.dir = sandbox_dir(&box, r.layers);
		run(&r);
		loop_free(r.loop);
		if (r.store)
			store_close(r.store);
		conf_free(r.conf);
	}
	if (err.len)
		LOG(LOG_ERROR, 0, "reader-failed", LOGF("error", str_trim(buf_str(&err))));
	buf_done(&err);
	return r.exit_status;
}
