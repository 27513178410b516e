/*
 * front: the life of the process. It is handed everything: configuration, listening sockets, a
 * channel to store, the directory. After front_main has dropped its rights it can open nothing.
 */
#include "roles/front/front.h"

#include "conf/setup.h"
#include "ipc/role.h"
#include "mail/charset.h"
#include "roles/front/visit_priv.h"
#include "roles/front/smtp_priv.h"
#include "sys/clock.h"
#include "sys/file.h"
#include "sys/sandbox.h"
#include "sys/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define SWEEP_MS 250
#define ID_SEQ_MAX 0xfffu

void
front_clock(struct front *f)
{
	int64_t wall = sys_wall_ms() / 1000;
	f->clock.now = loop_now(f->loop);
	if (wall != f->clock.wall) {
		f->clock.wall = wall;
		f->clock.zone = sys_zone_minutes(wall);
	}
}

uint64_t
front_next_id(struct front *f)
{
	uint64_t ms = (uint64_t)sys_wall_ms();
	/* A clock that stands still or steps back must not repeat an id. */
	if (ms > f->id_ms) {
		f->id_ms = ms;
		f->id_seq = 0;
	} else if (++f->id_seq > ID_SEQ_MAX) {
		f->id_ms++;
		f->id_seq = 0;
	}
	return f->id_ms << 22 | (uint64_t)f->index << 12 | f->id_seq;
}

/* --- messages from parent --- */

/* A listener of old goes on under the number that the new configuration has for its place. */
static void
reseat_all(struct front *f, const struct settings *old, const struct settings *new)
{
	uint16_t seat_of[LISTENER_MAX];
	for (size_t i = 0; i < LISTENER_MAX; i++)
		seat_of[i] = TALLY_NOWHERE;
	for (size_t i = 0; i < old->n; i++)
		for (size_t k = 0; k < new->n; k++)
			if (conf_same_place(&old->conf->listeners[i], &new->conf->listeners[k]))
				seat_of[i] = (uint16_t)k;
	list_each(n, &f->conns) conn_reseat(list_entry(n, struct conn, node), seat_of);
	proxy_reseat(f, seat_of);
}

static bool
on_setup(struct front *f, const struct ipc_frame *m)
{
	struct str text;
	struct buf err = BUF_INIT(64u << 10);
	if (m->fd < 0 || memfd_map(m->fd, DIRECTORY_MAX, &text) < 0)
		return false;
	struct conf *conf = conf_undump(text, &err);
	memfd_unmap(text);
	struct settings *s = conf ? settings_new(conf, f->charsets, &err) : NULL;
	if (!s) {
		LOG(LOG_ERROR, 0, "setup-refused", LOGF("error", buf_str(&err)));
	} else {
		if (f->settings)
			reseat_all(f, f->settings, s);
		list_add_tail(&f->generations, &s->node);
		secure_equip(f, s);
		settings_unref(f->settings);
		f->settings = s;
		self_take(&f->self, s->conf);
		log_set_level(setup_log_level(s->conf));
		/* Doors follow under their new numbers. */
		for (size_t i = 0; i < LISTENER_MAX; i++)
			f->door[i] = door_close(f->door[i]);
	}
	buf_done(&err);
	return s != NULL;
}

static bool
on_listener(struct front *f, const struct ipc_frame *m)
{
	uint16_t index;
	if (m->fd < 0 || !msg_u16_get(m->body, (uint16_t)f->settings->n, &index))
		return false;
	door_close(f->door[index]);
	f->door[index] = door_open(f, index, fcntl(m->fd, F_DUPFD_CLOEXEC, 0));
	return f->door[index] != NULL;
}

static bool
on_unlisten(struct front *f, const struct ipc_frame *m)
{
	uint16_t index;
	if (!msg_u16_get(m->body, LISTENER_MAX, &index))
		return false;
	f->door[index] = door_close(f->door[index]);
	return true;
}

static const struct chan_handler store_handler;

static void
store_away(struct front *f)
{
	if (!f->store)
		return;
	f->store = chan_free(f->store);
	f->store_gone_at = f->clock.now;
	letter_store_gone(f);
	room_store_gone(f);
	etrn_store_gone(f);
	list_each(n, &f->conns)
	{
		struct conn *c = list_entry(n, struct conn, node);
		if (c->protocol->store_gone)
			c->protocol->store_gone(c);
	}
	visit_store_gone(f);
	list_each(n, &f->conns) conn_release(list_entry(n, struct conn, node));
}

/* One reader is ours; parent hands out all. */
static bool
is_my_reader(const struct front *f, uint16_t index)
{
	return index == f->index % MAX(f->settings->conf->readers, 1u);
}

static bool
on_peer(struct front *f, const struct ipc_frame *m)
{
	struct msg_peer p;
	if (m->fd < 0 || !msg_peer_get(m->body, &p))
		return false;
	if (p.role == ROLE_READER && !is_my_reader(f, p.index))
		return true;
	if (p.role == ROLE_RELAY)
		return turn_relay(f, p.index, m->fd);
	if (p.role != ROLE_STORE)
		return peers_take(f, (enum ipc_role)p.role, m->fd);
	store_away(f);
	f->store = chan_new(f->loop, fcntl(m->fd, F_DUPFD_CLOEXEC, 0), &store_handler, f);
	if (!f->store)
		return false;
	letter_store_back(f);
	watch_store_back(f);
	conn_unpark(f);
	return true;
}

static bool
on_tally(struct front *f, const struct ipc_frame *m)
{
	uint16_t who;
	return m->fd >= 0 && msg_u16_get(m->body, FRONT_MAX, &who) && tables_take(f, who, m->fd);
}

static bool
on_status(struct front *f, const struct ipc_frame *m)
{
	uint64_t refused = f->n_refused, smtp = 0, imap = 0, pop3 = 0;
	for (struct list *n = f->conns.next; n != &f->conns; n = n->next) {
		const struct conn *c = list_entry(n, struct conn, node);
		refused += c->smtp ? c->smtp->session.refused : 0;
		smtp += c->smtp != NULL;
		imap += c->imap != NULL;
		pop3 += c->pop3 != NULL;
	}
	const struct role_count rows[] = {
		{ STATUS_CONNECTIONS, f->n_conns },
		{ STATUS_CONNECTIONS_SMTP, smtp },
		{ STATUS_CONNECTIONS_IMAP, imap },
		{ STATUS_CONNECTIONS_POP3, pop3 },
		{ STATUS_CONNECTIONS_ALL, f->n_conns_all },
		{ STATUS_LETTERS, f->n_letters },
		{ STATUS_REFUSED, refused },
		{ STATUS_TLS, f->n_tls },
		{ STATUS_TLS_HANDSHAKES, f->n_handshakes },
		{ STATUS_DIRECTORY, f->directory.block.len ? directory_version(&f->directory) : 0 },
	};
	role_say_status(f->parent, m->id, f->layers, rows, ARRAY_LEN(rows));
	return true;
}

static bool
on_log(struct front *f, const struct ipc_frame *m)
{
	if (m->fd < 0)
		return false;
	log_redirect(m->fd);
	return true;
}

static void
shutdown_all(struct front *f, bool late)
{
	list_each(n, &f->conns) conn_shutdown(list_entry(n, struct conn, node), late);
}

static void
drain(struct front *f, uint32_t ms)
{
	f->draining = true;
	f->drain_until = f->clock.now + ms;
	for (size_t i = 0; i < LISTENER_MAX; i++)
		f->door[i] = door_close(f->door[i]);
	proxy_close_all(f);
	shutdown_all(f, false);
}

static bool
on_drain(struct front *f, const struct ipc_frame *m)
{
	uint32_t ms;
	if (!msg_u32_get(m->body, &ms))
		return false;
	drain(f, ms);
	return true;
}

/* --- messages from store --- */

static bool
on_accepted(struct front *f, const struct ipc_frame *m)
{
	uint8_t status;
	if (!msg_u8_get(m->body, ACCEPT_COUNT, &status))
		return false;
	letter_answered(f, m->id, (enum accept_status)status);
	return true;
}

static bool
on_directory(struct front *f, const struct ipc_frame *m)
{
	struct str map;
	if (m->fd < 0 || memfd_map(m->fd, DIRECTORY_MAX, &map) < 0)
		return false;
	struct directory d;
	if (!directory_open(&d, map)) {
		memfd_unmap(map);
		return false;
	}
	if (f->directory_map.p)
		memfd_unmap(f->directory_map);
	f->directory = d;
	f->directory_map = map;
	conn_unpark(f);
	return true;
}

static bool
on_store_state(struct front *f, const struct ipc_frame *m)
{
	struct msg_store_state s;
	if (!msg_store_state_get(m->body, &s))
		return false;
	if (s.low != f->store_state.low)
		LOG(LOG_WARN, 0, s.low ? "space-low" : "space-back");
	f->store_state = s;
	if (s.last_letter >> 22 >= f->id_ms) {
		f->id_ms = s.last_letter >> 22;
		f->id_seq = ID_SEQ_MAX;
	}
	return true;
}

/* --- dispatch --- */

struct front_row {
	enum ipc_type type;
	bool (*handle)(struct front *f, const struct ipc_frame *m); /* false: a breach */
};

static const struct front_row from_parent[] = {
	{ IPC_SETUP, on_setup },
	{ IPC_LISTENER, on_listener },
	{ IPC_UNLISTEN, on_unlisten },
	{ IPC_PEER, on_peer },
	{ IPC_TALLY, on_tally },
	{ IPC_STATUS_ASK, on_status },
	{ IPC_DRAIN, on_drain },
	{ IPC_LOG, on_log },
	{ IPC_FAULT, fault_take },
	{ IPC_FIGURES, metrics_answered },
	{ IPC_FIGURES_ASK, metrics_asked },
};

static const struct front_row from_store[] = {
	{ IPC_ACCEPTED, on_accepted },
	{ IPC_DIRECTORY, on_directory },
	{ IPC_STORE_STATE, on_store_state },
	{ IPC_CHANGE_DONE, visit_changed },
	{ IPC_STIRRED, watch_stirred },
	{ IPC_ROOM, room_answered },
	{ IPC_ETRN_DONE, etrn_answered },
};

static bool
dispatch(struct front *f, const struct front_row *rows, size_t n, const struct ipc_frame *m)
{
	bool ok = false;
	front_clock(f);
	for (size_t i = 0; i < n; i++)
		if (rows[i].type == m->type)
			ok = rows[i].handle(f, m);
	if (m->fd >= 0)
		close(m->fd);
	if (!ok)
		LOG(LOG_ERROR, 0, "ipc-breach", LOGN("type", m->type));
	return ok;
}

static void
parent_frame(void *arg, struct chan *c, const struct ipc_frame *m)
{
	struct front *f = arg;
	if (!dispatch(f, from_parent, ARRAY_LEN(from_parent), m))
		loop_stop(f->loop);
}

static void
parent_gone(void *arg, struct chan *c, const char *why)
{
	struct front *f = arg;
	loop_stop(f->loop);
}

static void
store_gone(void *arg, struct chan *c, const char *why)
{
	struct front *f = arg;
	LOG(LOG_WARN, 0, "store-away", LOGZ("why", why ? why : "closed"));
	front_clock(f);
	store_away(f);
}

static void
store_frame(void *arg, struct chan *c, const struct ipc_frame *m)
{
	struct front *f = arg;
	if (!dispatch(f, from_store, ARRAY_LEN(from_store), m))
		store_gone(f, c, "breach");
}

static void
store_drained(void *arg, struct chan *c)
{
	struct front *f = arg;
	front_clock(f);
	list_each(n, &f->conns)
	{
		struct conn *held = list_entry(n, struct conn, node);
		if (!held->held)
			continue;
		/* To the end of the line, so that next time others come first. */
		list_del(&held->node);
		list_add_tail(&f->conns, &held->node);
		conn_release(held);
		if (chan_pending(c) > IPC_HIGH_WATER)
			return;
	}
}

static const struct chan_handler parent_handler = { parent_frame, parent_gone, NULL };
static const struct chan_handler store_handler = { store_frame, store_gone, store_drained };

static void
sweep_drain(struct front *f)
{
	if (!f->draining)
		return;
	bool late = f->clock.now >= f->drain_until;
	shutdown_all(f, late);
	if (late || list_empty(&f->conns))
		loop_stop(f->loop);
}

static void
on_sweep(void *arg)
{
	struct front *f = arg;
	front_clock(f);
	list_each(n, &f->conns) conn_sweep(list_entry(n, struct conn, node));
	letter_sweep(f);
	proxy_sweep(f);
	pressure_sweep(f);
	for (size_t i = 0; i < LISTENER_MAX; i++)
		if (f->door[i])
			loop_io_want(f->door[i]->io, LOOP_READ);
	sweep_drain(f);
	/* Parent gives a new channel with every new store. If only the channel broke, none comes.
	 */
	if (!f->store && !f->draining && f->clock.now - f->store_gone_at > STORE_AWAY_MS) {
		LOG(LOG_ERROR, 0, "store-lost",
		    LOGZ("remedy", "this process ends and is started anew"));
		drain(f, LINGER_MS);
	}
}

static void
on_turn(void *arg)
{
	conn_reap(arg);
}

/* --- start --- */

static bool
read_setup(struct front *f, struct msg_setup *setup)
{
	struct ipc_frame m;
	struct buf store = BUF_INIT(IPC_BODY_MAX);
	bool ok = chan_sync_recv(SPAWN_FD, &m, &store) == 0 && m.type == IPC_SETUP &&
	          msg_setup_get(m.body, setup);
	if (ok) {
		static char who[16];
		snprintf(who, sizeof(who), "front.%u", setup->index);
		log_init(who, STDERR_FILENO, LOG_INFO);
		f->index = setup->index;
		f->count = setup->count;
		ok = on_setup(f, &m);
		close(m.fd);
	}
	buf_done(&store);
	return ok;
}

struct sandbox
front_sandbox(uint64_t conns, uid_t uid, gid_t gid)
{
	return (struct sandbox){
		.role = "front",
		.sets = SANDBOX_ACCEPT | SANDBOX_FDPASS,
		.chroot_empty = true,
		.uid = uid,
		.gid = gid,
		.max_fds = MIN(conns, (uint64_t)CONF_CONNS_SANE) + CONF_SPARE_FILES,
	};
}

static void
drop_rights(struct front *f, const struct msg_setup *setup)
{
	struct sandbox s =
	    front_sandbox(f->settings->conf->limit_conns_total, setup->uid, setup->gid);
	f->layers = sandbox_apply(&s);
}

static void
close_all(struct front *f)
{
	for (size_t i = 0; i < LISTENER_MAX; i++)
		door_close(f->door[i]);
	proxy_close_all(f);
	list_each(n, &f->conns) conn_kill(list_entry(n, struct conn, node), "server stops");
	conn_reap(f);
	peers_close(f);
	turn_close(f);
	chan_free(f->store);
	chan_free(f->parent);
	loop_timer_free(f->sweep);
	map_done(&f->letters);
	map_done(&f->logins);
	map_done(&f->names);
	map_done(&f->questions);
	map_done(&f->watches);
	map_done(&f->watch_ids);
	uidmaps_done(&f->uidmaps);
	outline_free(f->outline);
	glance_free(f->glance);
	charsets_close(f->charsets);
	settings_unref(f->settings);
	secure_close(f);
	self_done(&f->self);
}

int
front_main(void)
{
	struct front f = { 0 };
	struct msg_setup setup;
	f.pid = (uint32_t)getpid();
	list_init(&f.conns);
	list_init(&f.parked);
	list_init(&f.dead);
	list_init(&f.generations);
	list_init(&f.knocks);
	list_init(&f.reads);
	f.fault = SMTP_NONE;
	tzset();
	crypt_init();
	tls_init();
	f.charsets = charsets_open();
	self_look(&f.self);
	if (!read_setup(&f, &setup))
		return 1;
	f.loop = loop_new();
	drop_rights(&f, &setup);
	f.parent = chan_new(f.loop, SPAWN_FD, &parent_handler, &f);
	f.sweep = loop_timer_new(f.loop, on_sweep, &f);
	loop_timer_set(f.sweep, SWEEP_MS, SWEEP_MS);
	loop_on_turn(f.loop, on_turn, &f);
	front_clock(&f);
	f.store_gone_at = f.clock.now;
	role_say_ready(f.parent, f.layers);
	loop_run(f.loop);
	close_all(&f);
	return 0;
}
