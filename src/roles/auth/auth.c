/* The life of auth. */
#include "roles/auth/auth.h"

#include "conf/setup.h"
#include "ipc/role.h"
#include "log/log.h"
#include "roles/auth/auth_priv.h"
#include "roles/auth/oauth.h"
#include "roles/auth/outgoing.h"
#include "roles/auth/recent.h"
#include "sasl/client.h"
#include "sys/random.h"
#include "sys/sandbox.h"
#include "sys/spawn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ERR_MAX (64u << 10)
#define HASH_THREADS 2
#define HASH_QUEUE_MAX 256

static bool
on_setup(struct auth *au, struct ipc_frame *m)
{
	struct buf err = BUF_INIT(ERR_MAX);
	struct msg_setup setup;
	struct conf *c = setup_take(m, ROLE_AUTH, &setup, &err);
	if (c) {
		conf_free(au->conf);
		au->conf = c;
		accounts_hostname(&au->accounts, c->hostname);
		au->oauth = oauth_reconf(au->oauth, c);
		log_set_level(setup_log_level(c));
	} else {
		LOG(LOG_ERROR, 0, "setup-refused", LOGF("error", str_trim(buf_str(&err))));
	}
	buf_done(&err);
	return c != NULL;
}

static bool
on_peer(struct auth *au, struct ipc_frame *m)
{
	struct msg_peer p;
	if (m->fd < 0 || !msg_peer_get(m->body, &p))
		return false;
	if (p.role == ROLE_FRONT)
		fronts_take(au, p.index, role_take_fd(m));
	else if (p.role == ROLE_FETCH)
		return fetch_peer(au, role_take_fd(m));
	else if (p.role == ROLE_GSSAPI)
		return confirm_peer(au, role_take_fd(m));
	else if (p.role == ROLE_RELAY)
		return outgoing_take(au, p.index, role_take_fd(m));
	return p.role == ROLE_FRONT;
}

static bool
on_ctl(struct auth *au, struct ipc_frame *m)
{
	if (m->fd < 0)
		return false;
	desk_take(au->desk, role_take_fd(m));
	return true;
}

static bool
on_status(struct auth *au, struct ipc_frame *m)
{
	const struct role_count rows[] = {
		{ STATUS_ACCOUNTS, passwd_count(&au->accounts.passwd) },
		{ STATUS_LOGINS, au->n_logins },
		{ STATUS_LOGINS_FAILED, au->n_failed },
		{ STATUS_SIGNATURES, au->n_signatures },
	};
	role_say_status(au->parent, m->id, au->layers, rows, ARRAY_LEN(rows));
	return true;
}

static bool
on_log(struct auth *au, struct ipc_frame *m)
{
	return role_take_log(m);
}

static bool
on_drain(struct auth *au, struct ipc_frame *m)
{
	uint32_t ms;
	if (!msg_u32_get(m->body, &ms))
		return false;
	au->draining = true;
	loop_timer_set(au->drain, ms, 0);
	return true;
}

static const struct {
	enum ipc_type type;
	bool (*handle)(struct auth *au, struct ipc_frame *m); /* false: a breach */
} from_parent[] = {
	{ IPC_SETUP, on_setup },
	{ IPC_PEER, on_peer },
	{ IPC_SECRET, secrets_take },
	{ IPC_CTL, on_ctl },
	{ IPC_STATUS_ASK, on_status },
	{ IPC_DRAIN, on_drain },
	{ IPC_LOG, on_log },
};

static void
parent_frame(void *arg, struct chan *c, const struct ipc_frame *frame)
{
	struct auth *au = arg;
	struct ipc_frame m = *frame;
	bool ok = false;
	for (size_t i = 0; i < ARRAY_LEN(from_parent); i++)
		if (from_parent[i].type == m.type)
			ok = from_parent[i].handle(au, &m);
	if (m.fd >= 0)
		close(m.fd);
	if (ok)
		return;
	LOG(LOG_ERROR, 0, "parent-breach", LOGN("type", m.type));
	au->exit_status = 1;
	loop_stop(au->loop);
}

static void
parent_gone(void *arg, struct chan *c, const char *why)
{
	struct auth *au = arg;
	if (why)
		LOG(LOG_ERROR, 0, "parent-breach", LOGZ("why", why));
	au->exit_status = why ? 1 : 0;
	loop_stop(au->loop);
}

static const struct chan_handler parent_handler = { parent_frame, parent_gone, NULL };

static void
drain_over(void *arg)
{
	struct auth *au = arg;
	if (au->draining)
		loop_stop(au->loop);
	au->draining = false;
}

static void
on_turn(void *arg)
{
	struct auth *au = arg;
	if (au->draining && desk_open(au->desk) == 0 && au->n_exchanges == 0 && au->n_signs == 0 &&
	    au->n_outgoing == 0)
		drain_over(au);
}

/* Without randomness salts (and later nonces) could be guessed; nothing would look wrong. */
static bool
random_works(struct buf *err)
{
	static const unsigned char zeros[32];
	unsigned char a[32] = { 0 }, b[32] = { 0 };
	random_bytes(a, sizeof(a));
	random_bytes(b, sizeof(b));
	if (memcmp(a, zeros, sizeof(a)) != 0 && memcmp(a, b, sizeof(a)) != 0)
		return true;
	buf_putf(err, "the system gives no randomness; passwords cannot be kept safely without it");
	return false;
}

/* --- tickets: keys that live in memory only, a new first one every twelve hours --- */

static void
rotate(void *arg)
{
	struct auth *au = arg;
	memmove(au->tickets + 1, au->tickets, sizeof(au->tickets) - sizeof(au->tickets[0]));
	random_bytes(&au->tickets[0], sizeof(au->tickets[0]));
	fronts_tickets(au);
}

/* --- the life --- */

static void
run(struct auth *au)
{
	unsigned char key[16];
	random_bytes(key, sizeof(key));
	random_bytes(au->tickets, sizeof(au->tickets));
	au->guard = guard_new(key);
	au->pool = pool_new(au->loop, "hash", HASH_THREADS, HASH_QUEUE_MAX);
	au->signers = pool_new(au->loop, "sign", 1, SIGNS_MAX);
	au->desk = desk_new(au->loop, ROLE_AUTH, auth_ops, au);
	au->parent = chan_new(au->loop, SPAWN_FD, &parent_handler, au);
	check(au->parent != NULL);
	au->drain = loop_timer_new(au->loop, drain_over, au);
	au->rotate = loop_timer_new(au->loop, rotate, au);
	loop_timer_set(au->rotate, TICKETS_MS, TICKETS_MS);
	loop_on_turn(au->loop, on_turn, au);
	loop_run(au->loop);
	pool_free(au->signers);
	pool_free(au->pool);
	fronts_done(au);
	outgoing_done(au);
	fetch_done(au);
	confirm_done(au);
	auth_changes_done(au);
	auth_listings_done(au);
	desk_flush(au->desk);
	desk_free(au->desk);
	loop_timer_free(au->rotate);
	loop_timer_free(au->drain);
	chan_free(au->parent);
	guard_free(au->guard);
	recent_free(au->recent);
	explicit_bzero(key, sizeof(key));
}

/* All that libraries read from files, they read here. */
static bool
load_libraries(struct buf *err)
{
	crypt_init();
	tls_init();
	if (!random_works(err) || sasl_library_open(NULL, false, err) < 0)
		return false;
	sasl_client_preload();
	return true;
}

static void
serve(struct auth *au, const struct msg_setup *setup, struct buf *err)
{
	char dir[CONF_TEXT_MAX + 16];
	snprintf(dir, sizeof(dir), "%s/auth", au->conf->data_dir);
	struct sandbox box = {
		.role = "auth",
		/* NO_NET: Cyrus SASL asks for the full name of this host before it knows that
		 * it needs none. */
		.sets = SANDBOX_FDPASS | SANDBOX_FILES | SANDBOX_THREADS | SANDBOX_MEMFD |
		        SANDBOX_NO_NET,
		.dir = dir,
		.chroot_empty = true,
		.uid = setup->uid,
		.gid = setup->gid,
	};
	log_set_level(setup_log_level(au->conf));
	if (!load_libraries(err))
		return;
	au->loop = loop_new();
	au->layers = sandbox_apply(&box);
	const char *root = sandbox_dir(&box, au->layers);
	snprintf(au->path, sizeof(au->path), "%s/passwd", strcmp(root, "/") == 0 ? "" : root);
	if (accounts_init(&au->accounts, root, dir, err)) {
		accounts_hostname(&au->accounts, au->conf->hostname);
		au->exit_status = 0;
		run(au);
	}
	secrets_done(au);
	accounts_done(&au->accounts);
	loop_free(au->loop);
	sasl_library_close();
}

int
auth_main(void)
{
	static struct auth auth;
	struct auth *au = &auth;
	struct msg_setup setup;
	struct buf err = BUF_INIT(ERR_MAX);
	au->certs_fd = -1;
	au->exit_status = 1;
	list_init(&au->changes);
	list_init(&au->listings);
	list_init(&au->fronts);
	list_init(&au->relays);
	log_init("auth", STDERR_FILENO, LOG_INFO);
	au->conf = setup_receive(SPAWN_FD, ROLE_AUTH, &setup, &err);
	if (au->conf)
		serve(au, &setup, &err);
	conf_free(au->conf);
	if (err.len)
		LOG(LOG_ERROR, 0, "auth-failed", LOGF("error", str_trim(buf_str(&err))));
	buf_done(&err);
	return au->exit_status;
}
