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
#include <string.h>

#define HASH_THREADS 2
#define HASH_QUEUE_MAX 256

static bool
on_setup(void *arg, struct ipc_frame *m)
{
	struct auth *au = arg;
	if (!setup_again(m, ROLE_AUTH, &au->conf))
		return false;
	accounts_hostname(&au->accounts, au->conf->hostname);
	au->oauth = oauth_reconf(au->oauth, au->conf);
	return true;
}

static bool
on_peer(void *arg, struct ipc_frame *m)
{
	struct auth *au = arg;
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
on_secret(void *arg, struct ipc_frame *m)
{
	return secrets_take(arg, m);
}

static bool
on_status(void *arg, struct ipc_frame *m)
{
	struct auth *au = arg;
	const struct role_count rows[] = {
		{ STATUS_ACCOUNTS, passwd_count(&au->accounts.passwd) },
		{ STATUS_LOGINS, au->n_logins },
		{ STATUS_LOGINS_FAILED, au->n_failed },
		{ STATUS_SIGNATURES, au->n_signatures },
	};
	role_say_status(au->life.parent, m->id, au->life.layers, rows, ARRAY_LEN(rows));
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
	const struct auth *au = arg;
	return desk_open(au->life.desk) == 0 && au->n_exchanges == 0 && au->n_signs == 0 &&
	       au->n_outgoing == 0;
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

/* Who still waits is told. */
static void
last_words(void *arg)
{
	struct auth *au = arg;
	pool_free(au->signers);
	pool_free(au->pool);
	fronts_done(au);
	outgoing_done(au);
	fetch_done(au);
	confirm_done(au);
	auth_changes_done(au);
	auth_listings_done(au);
}

static int
live(struct auth *au)
{
	unsigned char key[16];
	random_bytes(key, sizeof(key));
	random_bytes(au->tickets, sizeof(au->tickets));
	au->guard = guard_new(key);
	au->pool = pool_new(au->loop, "hash", HASH_THREADS, HASH_QUEUE_MAX);
	au->signers = pool_new(au->loop, "sign", 1, SIGNS_MAX);
	au->rotate = loop_timer_new(au->loop, rotate, au);
	loop_timer_set(au->rotate, TICKETS_MS, TICKETS_MS);
	au->life.loop = au->loop;
	au->life.desk = desk_new(au->loop, ROLE_AUTH, auth_ops, au);
	au->life.rows = from_parent;
	au->life.n = ARRAY_LEN(from_parent);
	au->life.arg = au;
	au->life.idle = idle;
	au->life.end = last_words;
	au->life.says_ready = true;
	int status = role_run(&au->life, SPAWN_FD);
	desk_free(au->life.desk);
	loop_timer_free(au->rotate);
	guard_free(au->guard);
	recent_free(au->recent);
	explicit_bzero(key, sizeof(key));
	return status;
}

/* All that libraries read from files, they read here. */
static bool
load_libraries(struct buf *err)
{
	tls_init();
	if (!random_works(err) || sasl_library_open(NULL, false, err) < 0)
		return false;
	sasl_client_preload(false);
	return true;
}

static int
serve(struct auth *au, const char *root, const char *dir, struct buf *err)
{
	int status = 1;
	snprintf(au->path, sizeof(au->path), "%s/passwd", strcmp(root, "/") == 0 ? "" : root);
	if (accounts_init(&au->accounts, root, dir, err)) {
		accounts_hostname(&au->accounts, au->conf->hostname);
		status = live(au);
	}
	secrets_done(au);
	accounts_done(&au->accounts);
	return status;
}

static int
begin(void *arg, struct conf *conf, const struct msg_setup *m, struct buf *err)
{
	struct auth *au = arg;
	int status = 1;
	char dir[CONF_TEXT_MAX + 16];
	snprintf(dir, sizeof(dir), "%s/auth", conf->data_dir);
	struct sandbox box = {
		.role = "auth",
		/* NO_NET: Cyrus SASL asks for the full name of this host before it knows that
		 * it needs none. */
		.sets = SANDBOX_FDPASS | SANDBOX_FILES | SANDBOX_THREADS | SANDBOX_MEMFD |
		        SANDBOX_NO_NET,
		.dir = dir,
		.chroot_empty = true,
		.uid = m->uid,
		.gid = m->gid,
	};
	au->conf = conf;
	if (load_libraries(err)) {
		au->loop = loop_new();
		au->life.layers = sandbox_apply(&box);
		status = serve(au, sandbox_dir(&box, au->life.layers), dir, err);
		loop_free(au->loop);
		sasl_library_close();
	}
	conf_free(au->conf);
	return status;
}

int
auth_main(void)
{
	static struct auth au = { .certs_fd = -1 };
	list_init(&au.changes);
	list_init(&au.listings);
	list_init(&au.fronts);
	list_init(&au.relays);
	return setup_main(ROLE_AUTH, begin, &au);
}
