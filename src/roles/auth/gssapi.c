/*
 * The lives of gssapi and gssapi-out. What the library reads late are copies in its own directory,
 * made of what parent opens and taken away at the end; the configuration of Kerberos gets lines in
 * front of it that keep the library from name servers and from modules.
 *
 * gssapi looks at tickets and has no network. gssapi-out gets tickets: it may go out, and holds the
 * one key that is made for that, no accounts and no other keys.
 */
#include "roles/auth/auth.h"

#include "conf/setup.h"
#include "ipc/role.h"
#include "log/log.h"
#include "roles/auth/exchange.h"
#include "roles/auth/outgoing.h"
#include "sasl/client.h"
#include "sys/file.h"
#include "sys/random.h"
#include "sys/sandbox.h"
#include "sys/spawn.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KEYTAB_MAX (1u << 20)
#define KRB5_CONF_MAX (1u << 20)
#define COPY_MODE 0600
#define THREADS 2
#define QUEUE_MAX 256

/* Of each relation the library takes the first. */
#define BEFORE                                                                                     \
	"[libdefaults]\n"                                                                          \
	"\tdns_canonicalize_hostname = false\n"                                                    \
	"\tdns_lookup_kdc = false\n"                                                               \
	"\tdns_lookup_realm = false\n"                                                             \
	"\tqualify_shortname = \"\"\n"                                                             \
	"\trdns = false\n"                                                                         \
	"\tplugin_base_dir = /\n"

static const struct kind {
	const char *name; /* and its directory's */
	enum ipc_role role;
	bool out;
	unsigned sets; /* of the sandbox, besides those of both */
	const char *before;
	const char *keytab; /* the variable that leads to it */
} accepts = { .name = "gssapi",
	.role = ROLE_GSSAPI,
	.sets = SANDBOX_NO_NET,
	/* No principal is of that realm, so each is told with the realm it has (RFC 6761 6.4: such
	 * a name is nobody's). */
	.before = BEFORE "\tdefault_realm = PENNYPOST.INVALID\n",
	.keytab = "KRB5_KTNAME" },
  begins = { .name = "gssapi-out",
	  .role = ROLE_GSSAPI_OUT,
	  .out = true,
	  .sets = SANDBOX_TCP | SANDBOX_UDP,
	  .before = BEFORE,
	  .keytab = "KRB5_CLIENT_KTNAME" };

struct gssapi {
	const struct kind *kind;
	struct auth auth;
	char keytab[CONF_TEXT_MAX + 32], krb5_conf[CONF_TEXT_MAX + 32]; /* in the sandbox */
	char tickets[CONF_TEXT_MAX + 32];                               /* that were got */
	struct buf keys, conf;                                          /* that are coming in */
};

/* --- files --- */

static bool
is_word(struct str line, const char *word)
{
	struct str w = str_of(word);
	return str_starts(line, w) && line.len > w.len && strchr(" \t", line.p[w.len]);
}

/* What leads to other files, none of which is here. */
static bool
leads_away(struct str line)
{
	line = str_ltrim(line);
	return is_word(line, "include") || is_word(line, "includedir") || is_word(line, "module");
}

static void
put_conf(struct buf *out, const char *before, struct str given)
{
	unsigned left_out = 0;
	buf_putz(out, before);
	while (given.len) {
		struct str line = str_cut(&given, '\n');
		if (leads_away(line)) {
			left_out++;
			continue;
		}
		buf_puts(out, line);
		buf_putz(out, "\n");
	}
	if (left_out)
		LOG(LOG_WARN, 0, "krb5-conf-shortened", LOGN("lines", left_out),
		    LOGZ("why", "files that it includes are not read"),
		    LOGZ("remedy", "put what matters into one file; name it gssapi.krb5_conf"));
}

static bool
write_copy(const char *path, struct str content)
{
	int r = file_replace(path, content, COPY_MODE);
	if (r < 0)
		LOG(LOG_ERROR, 0, "file-not-written", LOGZ("file", path),
		    LOGZ("why", strerror(-r)));
	return r == 0;
}

static void
take_end(struct gssapi *g)
{
	struct buf text = BUF_INIT(2 * KRB5_CONF_MAX);
	put_conf(&text, g->kind->before, buf_str(&g->conf));
	bool good = g->keys.len > 0 && !text.failed && write_copy(g->krb5_conf, buf_str(&text)) &&
	            write_copy(g->keytab, buf_str(&g->keys));
	if (!good)
		unlink(g->keytab);
	unlink(g->tickets); /* they may be another principal's */
	g->auth.has_keytab = good;
	buf_done(&text);
	buf_wipe(&g->keys);
	buf_reset(&g->conf);
	LOG(good ? LOG_INFO : LOG_ERROR, 0, "keytab", LOGZ("usable", good ? "yes" : "no"));
}

/* --- messages from parent --- */

static void
take_file(struct str name, int fd, size_t max, struct buf *out)
{
	buf_wipe(out);
	check(buf_reserve(out, max)); /* so that it never moves and leaves a copy */
	int r = file_read_fd(fd, max, out);
	if (r == 0)
		return;
	buf_wipe(out);
	LOG(LOG_ERROR, 0, "file-not-read", LOGF("file", name), LOGZ("why", strerror(-r)));
}

static bool
on_secret(void *arg, struct ipc_frame *m)
{
	struct gssapi *g = arg;
	struct msg_secret s;
	if (m->fd < 0 || !msg_secret_get(m->body, &s))
		return false;
	if (s.kind == SECRET_KEYTAB)
		take_file(s.name, m->fd, KEYTAB_MAX, &g->keys);
	else if (s.kind == SECRET_KRB5_CONF)
		take_file(s.name, m->fd, KRB5_CONF_MAX, &g->conf);
	else if (s.kind == SECRET_PASSES && !g->kind->out)
		return pass_key_read(&g->auth.passes, m->fd);
	else if (s.kind == SECRET_END)
		take_end(g);
	else
		return false;
	return true;
}

static bool
on_setup(void *arg, struct ipc_frame *m)
{
	struct gssapi *g = arg;
	if (!setup_again(m, g->kind->role, &g->auth.conf))
		return false;
	accounts_hostname(&g->auth.accounts, g->auth.conf->hostname);
	return true;
}

static bool
on_peer(void *arg, struct ipc_frame *m)
{
	struct gssapi *g = arg;
	struct msg_peer p;
	if (m->fd < 0 || !msg_peer_get(m->body, &p))
		return false;
	if (g->kind->out)
		return p.role == ROLE_RELAY && outgoing_take(&g->auth, p.index, role_take_fd(m));
	if (p.role == ROLE_AUTH)
		return fetch_peer(&g->auth, role_take_fd(m));
	if (p.role == ROLE_FRONT)
		fronts_take(&g->auth, p.index, role_take_fd(m));
	return p.role == ROLE_FRONT;
}

static bool
on_status(void *arg, struct ipc_frame *m)
{
	const struct gssapi *g = arg;
	const struct role_count rows[] = {
		{ STATUS_LOGINS, g->auth.n_logins },
		{ STATUS_LOGINS_FAILED, g->auth.n_failed },
	};
	role_say_status(g->auth.life.parent, m->id, g->auth.life.layers, rows,
	    g->kind->out ? 0 : ARRAY_LEN(rows)); /* those are of people who come here */
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
	const struct gssapi *g = arg;
	return g->auth.n_exchanges == 0 && g->auth.n_outgoing == 0;
}

/* --- the life --- */

static int
live(struct gssapi *g)
{
	unsigned char key[16];
	struct auth *au = &g->auth;
	random_bytes(key, sizeof(key));
	au->guard = guard_new(key);
	au->pool = pool_new(au->loop, "kerberos", THREADS, QUEUE_MAX);
	au->life.loop = au->loop;
	au->life.rows = from_parent;
	au->life.n = ARRAY_LEN(from_parent);
	au->life.arg = g;
	au->life.idle = idle;
	int status = role_run(&au->life, SPAWN_FD);
	pool_free(au->pool);
	fronts_done(au);
	outgoing_done(au);
	fetch_done(au);
	guard_free(au->guard);
	unlink(g->keytab);
	unlink(g->krb5_conf);
	unlink(g->tickets);
	explicit_bzero(key, sizeof(key));
	pass_key_done(&au->passes);
	return status;
}

/* Where the library finds what. There is one thread yet. HOME: else it would ask who we are. */
static bool
name_files(struct gssapi *g, const char *dir, struct buf *err)
{
	char cache[CONF_TEXT_MAX + 48];
	const char *at = strcmp(dir, "/") == 0 ? "" : dir;
	snprintf(g->tickets, sizeof(g->tickets), "%s/tickets", at);
	snprintf(g->keytab, sizeof(g->keytab), "%s/keytab", at);
	snprintf(g->krb5_conf, sizeof(g->krb5_conf), "%s/krb5.conf", at);
	snprintf(cache, sizeof(cache), "file2:%s/replays", at);
	if (setenv("KRB5_CONFIG", g->krb5_conf, 1) == 0 && setenv("HOME", dir, 1) == 0 &&
	    setenv(g->kind->keytab, g->keytab, 1) == 0 && setenv("KRB5RCACHENAME", cache, 1) == 0 &&
	    setenv("KRB5CCNAME", g->tickets, 1) == 0 && unsetenv("KRB5_TRACE") == 0)
		return true;
	buf_putf(err, "the environment cannot be set: %s", strerror(errno));
	return false;
}

static bool
open_library(const struct gssapi *g, struct buf *err)
{
	if (!g->kind->out)
		return sasl_library_open(NULL, true, err) == 0;
	sasl_client_preload(true);
	return true;
}

static int
begin(void *arg, struct conf *conf, const struct msg_setup *m, struct buf *err)
{
	struct gssapi *g = arg;
	struct auth *au = &g->auth;
	int status = 1;
	char dir[CONF_TEXT_MAX + 16];
	snprintf(dir, sizeof(dir), "%s/%s", conf->data_dir, g->kind->name);
	struct sandbox box = {
		.role = g->kind->name,
		.sets = SANDBOX_FDPASS | SANDBOX_FILES | SANDBOX_THREADS | g->kind->sets,
		.dir = dir,
		.chroot_empty = true,
		.uid = m->uid,
		.gid = m->gid,
	};
	au->conf = conf;
	if (open_library(g, err)) {
		au->loop = loop_new();
		mutex_init(&au->accounts.lock);
		accounts_hostname(&au->accounts, conf->hostname);
		au->life.layers = sandbox_apply(&box);
		if (name_files(g, sandbox_dir(&box, au->life.layers), err))
			status = live(g);
		mutex_done(&au->accounts.lock);
		loop_free(au->loop);
		if (!g->kind->out)
			sasl_library_close();
	}
	conf_free(au->conf);
	buf_wipe(&g->keys);
	buf_done(&g->keys);
	buf_done(&g->conf);
	return status;
}

static int
run(const struct kind *kind)
{
	static struct gssapi g = { .keys = BUF_INIT(KEYTAB_MAX), .conf = BUF_INIT(KRB5_CONF_MAX) };
	g.kind = kind;
	g.auth.kerberos = true;
	g.auth.certs_fd = -1;
	list_init(&g.auth.fronts);
	list_init(&g.auth.relays);
	return setup_main(kind->role, begin, &g);
}

int
gssapi_main(void)
{
	return run(&accepts);
}

int
gssapi_out_main(void)
{
	return run(&begins);
}
