/* The life of fetch. */
#include "roles/fetch/fetch.h"

#include "conf/setup.h"
#include "log/log.h"
#include "roles/fetch/fetch_priv.h"
#include "sys/file.h"
#include "sys/sandbox.h"
#include "sys/spawn.h"
#include "tls/tls.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* --- channels to auth and dns --- */

static void
auth_close(struct fetch *f, const char *why)
{
	if (why)
		LOG(LOG_WARN, 0, "auth-away", LOGZ("why", why));
	f->auth = chan_free(f->auth);
	fetch_drop_all(f);
}

static void
auth_frame(void *arg, struct chan *c, const struct ipc_frame *m)
{
	struct fetch *f = arg;
	struct msg_fetch ask;
	bool ok = m->fd < 0 && m->type == IPC_FETCH && msg_fetch_get(m->body, &ask);
	if (m->fd >= 0)
		close(m->fd);
	if (ok)
		fetch_request_begin(f, m->id, ask.form);
	else
		auth_close(f, "malformed message");
}

static void
auth_gone(void *arg, struct chan *c, const char *why)
{
	auth_close(arg, why);
}

static void
dns_close(struct fetch *f, const char *why)
{
	if (why)
		LOG(LOG_WARN, 0, "dns-away", LOGZ("why", why));
	f->dns = chan_free(f->dns);
	fetch_no_dns(f);
}

static void
dns_frame(void *arg, struct chan *c, const struct ipc_frame *m)
{
	struct fetch *f = arg;
	bool ok = m->fd < 0 && m->type == IPC_ADDR && m->body.len % 16 == 0;
	if (m->fd >= 0)
		close(m->fd);
	if (ok)
		fetch_addresses(f, m->id, m->body);
	else
		dns_close(f, "malformed message");
}

static void
dns_gone(void *arg, struct chan *c, const char *why)
{
	dns_close(arg, why);
}

/* --- relays and store --- */

static void
relay_close(struct relay_peer *p, const char *why)
{
	if (why)
		LOG(LOG_WARN, 0, "relay-away", LOGZ("why", why));
	p->chan = chan_free(p->chan);
	policies_orphan(p->fetch->policies, p);
}

static void
relay_frame(void *arg, struct chan *c, const struct ipc_frame *m)
{
	struct relay_peer *p = arg;
	struct msg_sts_ask ask;
	bool ok = m->fd < 0 && m->type == IPC_STS_ASK && msg_sts_ask_get(m->body, &ask);
	if (m->fd >= 0)
		close(m->fd);
	if (ok)
		policies_ask(p->fetch->policies, p, m->id, &ask);
	if (ok && chan_pending(c) > IPC_HIGH_WATER)
		relay_close(p, "it does not read its answers");
	else if (!ok)
		relay_close(p, "malformed message");
}

static void
relay_gone(void *arg, struct chan *c, const char *why)
{
	relay_close(arg, why);
}

static void
store_close(struct fetch *f, const char *why)
{
	if (why)
		LOG(LOG_WARN, 0, "store-away", LOGZ("why", why));
	f->store = chan_free(f->store);
	fetch_posts_drop(f);
}

static void
store_frame(void *arg, struct chan *c, const struct ipc_frame *m)
{
	struct fetch *f = arg;
	struct msg_keep kept;
	struct msg_post post;
	bool ok = m->fd < 0;
	if (m->fd >= 0)
		close(m->fd);
	else if (m->type == IPC_KEPT && (ok = msg_keep_get(m->body, &kept)))
		policies_kept(f->policies, &kept);
	else if (m->type == IPC_POST && (ok = msg_post_get(m->body, &post)))
		fetch_post_begin(f, m->id, &post);
	else
		ok = false;
	if (!ok)
		store_close(f, "malformed message");
}

static void
store_gone(void *arg, struct chan *c, const char *why)
{
	store_close(arg, why);
}

static const struct chan_handler relay_handler = { relay_frame, relay_gone, NULL };
static const struct chan_handler store_handler = { store_frame, store_gone, NULL };
static const struct chan_handler auth_handler = { auth_frame, auth_gone, NULL };
static const struct chan_handler dns_handler = { dns_frame, dns_gone, NULL };

/* --- messages from parent --- */

static void
take_url(struct fetch *f)
{
	const char *url = f->conf->oauth_introspect_url;
	if (!*url || !web_host(url, f->host, &f->literal))
		f->host[0] = '\0';
}

static bool
on_setup(void *arg, struct ipc_frame *m)
{
	struct fetch *f = arg;
	if (!setup_again(m, ROLE_FETCH, &f->conf))
		return false;
	take_url(f);
	return true;
}

static bool
on_peer(void *arg, struct ipc_frame *m)
{
	struct fetch *f = arg;
	struct msg_peer who;
	if (m->fd < 0 || !msg_peer_get(m->body, &who))
		return false;
	if (who.role == ROLE_AUTH) {
		auth_close(f, NULL);
		f->auth = chan_new(f->role.loop, role_take_fd(m), &auth_handler, f);
	} else if (who.role == ROLE_DNS) {
		dns_close(f, NULL);
		f->dns = chan_new(f->role.loop, role_take_fd(m), &dns_handler, f);
	} else if (who.role == ROLE_STORE) {
		store_close(f, NULL);
		f->store = chan_new(f->role.loop, role_take_fd(m), &store_handler, f);
	} else if (who.role == ROLE_RELAY && who.index < RELAY_MAX) {
		struct relay_peer *p = &f->relay[who.index];
		relay_close(p, NULL);
		p->chan = chan_new(f->role.loop, role_take_fd(m), &relay_handler, p);
	} else {
		return false;
	}
	return true;
}

static bool
on_status(void *arg, struct ipc_frame *m)
{
	struct fetch *f = arg;
	role_say_status(f->role.parent, m->id, f->role.layers, NULL, 0);
	return true;
}

static void
secrets_init(struct secrets *s)
{
	*s = (struct secrets){ .password = BUF_INIT(PASSWORD_MAX),
		.authorities = BUF_INIT(AUTHORITIES_MAX) };
}

static void
secrets_done(struct secrets *s)
{
	buf_wipe(&s->password);
	buf_done(&s->password);
	buf_done(&s->authorities);
}

static void
take_file(int fd, const struct msg_secret *m, size_t max, struct buf *out)
{
	int r;
	buf_wipe(out);
	r = file_read_fd(fd, max, out);
	if (r < 0)
		LOG(LOG_ERROR, 0, "file-not-read", LOGF("file", m->name),
		    LOGZ("why", strerror(-r)));
}

/* The first line, without blanks at its ends. */
static void
take_password(struct secrets *s, int fd, const struct msg_secret *m)
{
	struct buf *b = &s->password;
	take_file(fd, m, PASSWORD_MAX, b);
	struct str all = buf_str(b), line = str_trim(str_cut(&all, '\n'));
	size_t n = line.len;
	s->has_password = n > 0;
	if (n == 0)
		return;
	memmove(b->p, line.p, n);
	explicit_bzero(b->p + n, b->len - n);
	buf_trunc(b, n);
}

static bool
on_secret(void *arg, struct ipc_frame *m)
{
	struct fetch *f = arg;
	struct msg_secret s;
	if (m->fd < 0 || !msg_secret_get(m->body, &s))
		return false;
	if (s.kind == SECRET_CLIENT) {
		take_password(&f->coming, m->fd, &s);
	} else if (s.kind == SECRET_CA) {
		take_file(m->fd, &s, AUTHORITIES_MAX, &f->coming.authorities);
	} else if (s.kind == SECRET_END) {
		secrets_done(&f->secrets);
		f->secrets = f->coming;
		secrets_init(&f->coming);
	} else {
		return false;
	}
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
	const struct fetch *f = arg;
	return f->n_requests == 0 && f->n_posts == 0 && policies_open(f->policies) == 0;
}

static int
live(struct fetch *f)
{
	struct role *r = &f->role;
	r->rows = from_parent;
	r->n = ARRAY_LEN(from_parent);
	r->arg = f;
	r->idle = idle;
	f->policies = policies_new(f);
	int status = role_run(r, SPAWN_FD);
	fetch_drop_all(f);
	fetch_posts_drop(f);
	f->policies = policies_free(f->policies);
	chan_free(f->auth);
	chan_free(f->dns);
	chan_free(f->store);
	for (size_t i = 0; i < RELAY_MAX; i++)
		chan_free(f->relay[i].chan);
	return status;
}

static void
read_authorities(struct fetch *f)
{
	const char *own = f->conf->relay_authorities;
	int r = *own ? file_read_all(own, AUTHORITIES_MAX, &f->vouch) : 0;
	f->own_vouch = *own != '\0';
	if (r < 0)
		LOG(LOG_ERROR, 0, "file-not-read", LOGZ("file", own), LOGZ("why", strerror(-r)),
		    LOGZ("then", "no policy of MTA-STS can be fetched"));
	tls_authorities_read(AUTHORITIES_MAX, &f->system);
}

struct str
fetch_authorities(const struct fetch *f)
{
	return buf_str(f->own_vouch ? &f->vouch : &f->system);
}

static void
give_up_rights(struct fetch *f, const struct msg_setup *m)
{
	struct sandbox box = {
		.role = "fetch",
		.sets = SANDBOX_FDPASS | SANDBOX_TCP,
		.chroot_empty = true,
		.uid = m->uid,
		.gid = m->gid,
	};
	f->role.layers = sandbox_apply(&box);
}

static int
begin(void *arg, struct conf *conf, const struct msg_setup *m, struct buf *err)
{
	struct fetch *f = arg;
	int status = 1;
	f->conf = conf;
	f->role.loop = loop_new();
	f->web = web_new(f->role.loop);
	take_url(f);
	read_authorities(f);
	if (f->web) {
		give_up_rights(f, m);
		status = live(f);
	} else {
		buf_putz(err, "libcurl cannot be set up");
	}
	f->web = web_free(f->web);
	loop_free(f->role.loop);
	secrets_done(&f->secrets);
	secrets_done(&f->coming);
	buf_done(&f->system);
	buf_done(&f->vouch);
	conf_free(f->conf);
	return status;
}

int
fetch_main(void)
{
	static struct fetch f = { .system = BUF_INIT(AUTHORITIES_MAX),
		.vouch = BUF_INIT(AUTHORITIES_MAX) };
	list_init(&f.requests);
	list_init(&f.asks);
	list_init(&f.posts);
	for (size_t i = 0; i < RELAY_MAX; i++)
		f.relay[i].fetch = &f;
	secrets_init(&f.secrets);
	secrets_init(&f.coming);
	return setup_main(ROLE_FETCH, begin, &f);
}
