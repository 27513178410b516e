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
#include <unistd.h>

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
	reader_fronts_writer_away(r);
	reader_spool_ask_writer(r);
}

static void
writer_frame(void *arg, struct chan *c, const struct ipc_frame *m)
{
	struct reader *r = arg;
	if (m->fd >= 0)
		close(m->fd);
	if (m->fd >= 0 || m->type != IPC_SYNCED) {
		writer_close(r, "malformed message");
		return;
	}
	reader_jobs_synced(r, m->id);
	reader_fronts_synced(r, m->id);
	reader_spool_synced(r, m->id);
}

static void
writer_gone(void *arg, struct chan *c, const char *why)
{
	writer_close(arg, why);
}

static const struct chan_handler writer_handler = { writer_frame, writer_gone, NULL };

/* --- parent --- */

static bool
on_setup(void *arg, struct ipc_frame *m)
{
	struct reader *r = arg;
	return setup_again(m, ROLE_READER, &r->conf);
}

static bool
on_peer(void *arg, struct ipc_frame *m)
{
	struct reader *r = arg;
	struct msg_peer p;
	if (m->fd < 0 || !msg_peer_get(m->body, &p))
		return false;
	if (p.role == ROLE_FRONT) {
		reader_front_connect(r, p.index, role_take_fd(m));
		return true;
	}
	if (p.role == ROLE_RELAY) {
		reader_relay_connect(r, p.index, role_take_fd(m));
		return true;
	}
	if (p.role != ROLE_STORE)
		return false;
	writer_close(r, "replaced");
	r->stale = true;
	r->writer = chan_new(r->role.loop, role_take_fd(m), &writer_handler, r);
	if (r->writer) {
		reader_jobs_ask_writer(r);
		reader_fronts_ask_writer(r);
		reader_spool_ask_writer(r);
	} else {
		LOG(LOG_ERROR, 0, "store-refused", LOGZ("error", strerror(errno)));
	}
	return true;
}

static bool
on_secret(void *arg, struct ipc_frame *m)
{
	struct reader *r = arg;
	struct msg_secret s;
	return m->fd >= 0 && msg_secret_get(m->body, &s) && s.kind == SECRET_PASSES &&
	       pass_key_read(&r->passes, m->fd);
}

static bool
on_status(void *arg, struct ipc_frame *m)
{
	struct reader *r = arg;
	role_say_status(r->role.parent, m->id, r->role.layers, NULL, 0);
	return true;
}

static const struct role_row from_parent[] = {
	{ IPC_SETUP, on_setup },
	{ IPC_PEER, on_peer },
	{ IPC_SECRET, on_secret },
	{ IPC_STATUS_ASK, on_status },
};

static bool
idle(void *arg)
{
	const struct reader *r = arg;
	return desk_open(r->role.desk) == 0 && !reader_fronts_connected(r) &&
	       !reader_relays_connected(r);
}

/* Who still waits is told. */
static void
last_words(void *arg)
{
	reader_jobs_done(arg);
}

/* --- start and end --- */

static int
live(struct reader *r)
{
	r->role.rows = from_parent;
	r->role.n = ARRAY_LEN(from_parent);
	r->role.arg = r;
	r->role.idle = idle;
	r->role.end = last_words;
	r->role.desk = desk_new(r->role.loop, ROLE_READER, reader_ops, r);
	reader_fronts_init(r);
	reader_spool_init(r);
	int status = role_run(&r->role, SPAWN_FD);
	reader_fronts_done(r);
	reader_spool_done(r);
	desk_free(r->role.desk);
	chan_free(r->writer);
	pass_key_done(&r->passes);
	return status;
}

static int
begin(void *arg, struct conf *conf, const struct msg_setup *m, struct buf *err)
{
	struct reader *r = arg;
	char dir[CONF_TEXT_MAX + 16];
	snprintf(dir, sizeof(dir), "%s/store", conf->data_dir);
	struct sandbox box = {
		.role = "reader",
		.sets = SANDBOX_FDPASS | SANDBOX_FILES_RO | SANDBOX_MEMFD,
		.dir = dir,
		.chroot_empty = true,
		.uid = m->uid,
		.gid = m->gid,
	};
	r->conf = conf;
	r->role.loop = loop_new();
	r->role.layers = sandbox_apply(&box);
	r->dir = sandbox_dir(&box, r->role.layers);
	int status = live(r);
	loop_free(r->role.loop);
	if (r->store)
		store_close(r->store);
	conf_free(r->conf);
	return status;
}

int
reader_main(void)
{
	static struct reader r;
	list_init(&r.jobs);
	return setup_main(ROLE_READER, begin, &r);
}
