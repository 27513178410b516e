/*
 * The life of the writer: set up, opened inside its sandbox, told of fronts and readers by
 * parent, and ended by parent, by a drain, or by a sync that failed.
 */
#include "roles/store/store_role.h"

#include "conf/setup.h"
#include "ipc/role.h"
#include "log/log.h"
#include "metrics/metrics.h"
#include "roles/store/store_priv.h"
#include "store/mail.h"
#include "sys/clock.h"
#include "sys/file.h"
#include "sys/spawn.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#define TICK_MS 1000
#define SPACE_STEP_MIN (256u << 10) /* octets between two looks at the disk */
#define SPACE_BESIDE 2048           /* of a letter's history and places */

/* A sync has failed, or something as bad: nobody gets another answer. */
_Noreturn static void
die(const char *why)
{
	LOG(LOG_ERROR, 0, "store-stops", LOGZ("why", why),
	    LOGZ("then", "it is started again and recovers what is durable"));
	_exit(1);
}

void
writer_check(int rc)
{
	if (rc == -EIO)
		die("writing to the disk failed");
}

static uint64_t
trace_keep_ms(const struct conf *c)
{
	return c->trace_days * RECORDER_DAY_MS;
}

/* --- parent --- */

static bool
on_setup(void *arg, struct ipc_frame *m)
{
	struct store_role *r = arg;
	if (!setup_again(m, ROLE_STORE, &r->conf))
		return false;
	writer_usage_forget(r);
	r->directory_reloads++;
	(void)writer_directory_publish(r);
	writer_queue_conf(r);
	/* On or off takes a start. */
	if (r->recorder && r->conf->trace_size)
		recorder_limits(r->recorder, r->conf->trace_size, trace_keep_ms(r->conf));
	return true;
}

static bool
on_peer(void *arg, struct ipc_frame *m)
{
	struct store_role *r = arg;
	struct msg_peer p;
	if (m->fd < 0 || !msg_peer_get(m->body, &p))
		return false;
	if (p.role == ROLE_FRONT && p.index < FRONT_MAX) {
		writer_front_connect(&r->front[p.index], role_take_fd(m));
	} else if (p.role == ROLE_READER && p.index < STORE_READERS_MAX) {
		writer_reader_connect(&r->reader[p.index], role_take_fd(m));
	} else if (p.role == ROLE_FETCH) {
		writer_fetch_connect(r, role_take_fd(m));
	} else if (p.role == ROLE_RELAY && p.index < RELAY_MAX) {
		writer_relay_connect(r, p.index, role_take_fd(m));
	} else {
		return false;
	}
	return true;
}

static bool
on_secret(void *arg, struct ipc_frame *m)
{
	struct store_role *r = arg;
	struct msg_secret s;
	return m->fd >= 0 && msg_secret_get(m->body, &s) && s.kind == SECRET_PASSES &&
	       pass_key_read(&r->passes, m->fd);
}

static bool
on_status(void *arg, struct ipc_frame *m)
{
	struct store_role *r = arg;
	struct store_stats st;
	store_stats(r->store, &st);
	const struct role_count rows[] = {
		{ STATUS_LETTERS, r->n_letters },
		{ STATUS_DIRECTORY, r->directory_version },
		{ STATUS_GROUPS, st.groups },
		{ STATUS_GROUP_LETTERS, st.group_letters },
		{ STATUS_DURABLE_LSN, st.durable_lsn },
		{ STATUS_APPLIED_LSN, st.applied_lsn },
		{ STATUS_SEGMENTS, st.segments },
		{ STATUS_SPACE_FREE, r->space_free },
		{ STATUS_ACCOUNTS, r->n_accounts },
		{ STATUS_BODY_MEMORY, r->body_memory },
		{ STATUS_INDEX_COMMITS, st.index_commits },
		{ STATUS_LOG_SIZE, st.bytes_log },
		{ STATUS_LOG_LIVE, st.bytes_live },
		{ STATUS_COMPACTIONS, st.compactions },
		{ STATUS_CHECKPOINTS, st.checkpoints },
		{ STATUS_RESERVE, st.reserve },
		{ STATUS_QUEUE, writer_queue_entries(r) },
	};
	role_say_status(r->life.parent, m->id, r->life.layers, rows, ARRAY_LEN(rows));
	return true;
}

static bool
on_figures(void *arg, struct ipc_frame *m)
{
	struct store_role *r = arg;
	struct buf rows = BUF_INIT(METRICS_ROWS_MAX);
	writer_figures(r, &rows);
	chan_send(r->life.parent, IPC_FIGURES, m->id, buf_str(&rows), -1);
	buf_done(&rows);
	return m->body.len == 0;
}

static const struct role_row from_parent[] = {
	{ IPC_SETUP, on_setup },
	{ IPC_PEER, on_peer },
	{ IPC_SECRET, on_secret },
	{ IPC_STATUS_ASK, on_status },
	{ IPC_FIGURES_ASK, on_figures },
};

/* --- the loop --- */

/* Fronts may have letters on the way to us as long as they are there. */
static bool
idle(void *arg)
{
	struct store_role *r = arg;
	return !writer_fronts_connected(r) && r->n_accepts == 0 && desk_open(r->life.desk) == 0 &&
	       writer_queue_idle(r);
}

static void
on_store(void *arg, unsigned events)
{
	struct store_role *r = arg;
	store_run(r->store);
}

static void
look_at_space(struct store_role *r)
{
	r->space_free = dir_space_free(r->dir);
	r->space_taken = 0;
	bool low = r->conf->limit_disk_low != CONF_OFF && r->space_free < r->conf->limit_disk_low;
	if (low == r->state.low)
		return;
	LOG(low ? LOG_ERROR : LOG_INFO, 0, low ? "disk-low" : "disk-enough",
	    LOGN("free", r->space_free), LOGN("least", r->conf->limit_disk_low));
	r->state.low = low;
	for (size_t i = 0; i < FRONT_MAX; i++)
		writer_front_state(&r->front[i]);
}

/* Between two ticks much can come: looked at again before half of what there was above the limit
 * can have gone. */
void
writer_space_took(struct store_role *r, uint64_t octets)
{
	uint64_t low = r->conf->limit_disk_low == CONF_OFF ? 0 : r->conf->limit_disk_low;
	r->space_taken += octets + SPACE_BESIDE;
	if (r->space_taken >= SPACE_STEP_MIN && r->space_free >= low &&
	    r->space_taken > (r->space_free - low) / 4)
		look_at_space(r);
}

static void
on_tick(void *arg)
{
	struct store_role *r = arg;
	struct store_stats st;
	store_stats(r->store, &st);
	if (st.poisoned)
		writer_check(-EIO);
	look_at_space(r);
	store_retry(r->store);
	writer_accept_retry(r);
	writer_backups_tick(r);
	writer_queue_tick(r);
	writer_tlsrpt_tick(r);
	log_often_tick(sys_mono_ms());
}

/* --- start and end --- */

static void
on_go(void *arg)
{
	struct store_role *r = arg;
	store_go(r->store);
}

static void
init(struct store_role *r)
{
	*r = (struct store_role){ .directory_fd = -1 };
	for (size_t i = 0; i < SIZE_CLASSES; i++)
		list_init(&r->by_size[i]);
	list_init(&r->listings);
	list_init(&r->imports);
	list_init(&r->backups);
	list_init(&r->deletions);
	list_init(&r->mail);
	list_init(&r->held);
	list_init(&r->stirred);
	writer_changes_init(r);
	writer_peers_init(r);
	loop_defer_init(&r->go, on_go, r);
}

/* Mail goes on without it. */
static void
open_recorder(struct store_role *r)
{
	const struct recorder_options o = { RECORDER_FILE_BYTES, r->conf->trace_size,
		trace_keep_ms(r->conf) };
	struct buf why = BUF_INIT(4096);
	if (recorder_open(&r->recorder, r->store, &o, &why) < 0)
		LOG(LOG_ERROR, 0, "trace-not-recorded", LOGF("why", buf_str(&why)),
		    LOGZ("then", "histories stay in the log only; tried again at the next start"));
	buf_done(&why);
}

/* Opened inside the sandbox, so that everything in the directory is ours from the first file on. */
static bool
open_store(struct store_role *r, struct buf *err)
{
	struct store_options o = STORE_OPTIONS_DEFAULT;
	char uri[CONF_TEXT_MAX + 16];
	o.segment_bytes = r->conf->store_segment_bytes;
	o.gather = true;
	o.followed = r->conf->trace_size > 0;
	o.group_letters = (uint32_t)MIN(r->conf->store_group_letters, UINT32_MAX);
	o.group_bytes = r->conf->store_group_bytes;
	snprintf(uri, sizeof(uri), "emb:%s", r->dir);
	if (store_open(&r->store, uri, &o, err) < 0)
		return false;
	if (o.followed)
		open_recorder(r);
	r->watch = loop_io_new(r->loop, store_fd(r->store), on_store, r);
	if (!r->watch) {
		buf_putf(err, "the store cannot be watched: %s", strerror(errno));
		return false;
	}
	loop_io_want(r->watch, LOOP_READ);
	int rc = store_last_letter(r->store, &r->state.last_letter);
	if (rc < 0) {
		buf_putf(err, "the last letter's id cannot be read: %s", strerror(-rc));
		return false;
	}
	return writer_directory_publish(r);
}

/* Copies and deletions that the end of a former life of ours interrupted. */
static void
on_mail_swept(void *arg, const struct mail_result *res)
{
	writer_check(res->rc);
	if (res->rc < 0)
		LOG(LOG_WARN, 0, "sweep-failed", LOGZ("error", strerror(-res->rc)),
		    LOGZ("then", "what was interrupted stays so until the next start"));
	writer_mail_swept(arg);
}

/* And removals. */
static void
on_swept(void *arg, const struct store_res *res)
{
	struct store_role *r = arg;
	writer_check(res->rc);
	if (res->rc < 0)
		LOG(LOG_WARN, 0, "sweep-failed", LOGZ("error", strerror(-res->rc)),
		    LOGZ("then", "mail of removed users takes room until the next start"));
	mail_sweep(r->store, on_mail_swept, r);
}

/* What was asked of the engine becomes durable, and who is still there is told. */
static void
settle(void *arg)
{
	struct store_role *r = arg;
	r->settling = true;
	writer_queue_settle(r);
	writer_tlsrpt_settle(r);
	if (store_wait(r->store) < 0)
		die("what was under way did not become durable");
	store_run(r->store);
	writer_changes_done(r);
	writer_listings_done(r);
	writer_imports_done(r);
	writer_queue_ops_done(r);
	writer_deletions_done(r);
	writer_backups_done(r);
	writer_mail_done(r);
	writer_peers_flush(r);
}

static int
live(struct store_role *r)
{
	r->life.loop = r->loop;
	r->life.rows = from_parent;
	r->life.n = ARRAY_LEN(from_parent);
	r->life.arg = r;
	r->life.idle = idle;
	r->life.end = settle;
	r->life.desk = desk_new(r->loop, ROLE_STORE, writer_ops, r);
	r->tick = loop_timer_new(r->loop, on_tick, r);
	loop_timer_set(r->tick, TICK_MS, TICK_MS);
	look_at_space(r);
	writer_watches_init(r);
	writer_queue_begin(r);
	r->sweeping = true;
	account_sweep(r->store, on_swept, r);
	return role_run(&r->life, SPAWN_FD);
}

static void
finish(struct store_role *r)
{
	writer_peers_done(r);
	writer_queue_done(r);
	writer_tlsrpt_done(r);
	writer_fetch_done(r);
	writer_watches_done(r);
	desk_free(r->life.desk);
	writer_accepts_done(r);
	writer_directory_done(r);
	writer_usage_forget(r);
	entries_done(&r->entries);
	pass_key_done(&r->passes);
	loop_timer_free(r->tick);
	loop_io_free(r->watch);
	recorder_close(r->recorder);
	if (r->store)
		store_close(r->store);
	loop_free(r->loop);
	conf_free(r->conf);
}

static int
begin(void *arg, struct conf *conf, const struct msg_setup *m, struct buf *err)
{
	struct store_role *r = arg;
	int status = 1;
	char dir[CONF_TEXT_MAX + 16];
	snprintf(dir, sizeof(dir), "%s/store", conf->data_dir);
	struct sandbox box = {
		.role = "store",
		.sets = SANDBOX_FDPASS | SANDBOX_FILES | SANDBOX_THREADS | SANDBOX_MEMFD,
		.dir = dir,
		.chroot_empty = true,
		.uid = m->uid,
		.gid = m->gid,
	};
	r->conf = conf;
	r->loop = loop_new();
	r->life.layers = sandbox_apply(&box);
	r->dir = sandbox_dir(&box, r->life.layers);
	if (open_store(r, err))
		status = live(r);
	finish(r);
	return status;
}

int
store_main(void)
{
	static struct store_role role;
	init(&role);
	return setup_main(ROLE_STORE, begin, &role);
}
