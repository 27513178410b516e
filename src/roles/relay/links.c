/* Channels to the roles of which there is one each: store, dns, fetch, auth, gssapi-out. */
#include "roles/relay/relay_priv.h"

#include "ipc/certs.h"
#include "log/log.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

struct row {
	enum ipc_type type;
	bool (*handle)(struct relay *r, const struct ipc_frame *m); /* false: a breach */
};

static const struct row from_store[] = {
	{ IPC_SPOOL, spool_early },
	{ IPC_JOB, relay_job_take },
	{ IPC_JOB_CANCEL, relay_job_cancel },
	{ IPC_JOB_TAKEN, relay_job_taken },
	{ IPC_TURN_COUNT, turn_counted },
};
static const struct row from_dns[] = { { IPC_MX, look_mx } };
static const struct row from_fetch[] = { { IPC_STS, look_sts } };
static const struct row from_auth[] = {
	{ IPC_LOGIN, relay_login_answer },
	{ IPC_CERTS, relay_secure_certs },
	{ IPC_SIGNED, relay_secure_signed },
};
static const struct row from_gssapi[] = { { IPC_LOGIN, relay_login_answer } };

static void
store_lost(struct relay *r)
{
	r->store_left = loop_now(r->role.loop);
	turns_store_gone(r);
	relay_jobs_store_gone(r);
}

static void
auth_lost(struct relay *r)
{
	certs_signer_gone();
	relay_logins_gone(r, false);
}

static void
gssapi_lost(struct relay *r)
{
	relay_logins_gone(r, true);
}

static const struct link_kind {
	enum ipc_role role;
	size_t at;          /* of its channel in struct relay */
	const char *away;   /* what the log says */
	const char *closed; /* why, when it has just closed; NULL: that is not worth a line */
	const struct row *rows;
	size_t n;
	void (*lost)(struct relay *r); /* or NULL */
	void (*here)(struct relay *r); /* or NULL */
} kinds[ROLE_LINKS] = {
	{ ROLE_STORE, offsetof(struct relay, store), "store-away", "it closed", from_store,
	    ARRAY_LEN(from_store), store_lost, relay_jobs_store_here },
	{ ROLE_DNS, offsetof(struct relay, dns), "dns-away", NULL, from_dns, ARRAY_LEN(from_dns),
	    NULL, look_dns_here },
	{ ROLE_FETCH, offsetof(struct relay, fetch), "fetch-away", NULL, from_fetch,
	    ARRAY_LEN(from_fetch), NULL, look_fetch_here },
	{ ROLE_AUTH, offsetof(struct relay, auth), "auth-away", NULL, from_auth,
	    ARRAY_LEN(from_auth), auth_lost, NULL },
	{ ROLE_GSSAPI_OUT, offsetof(struct relay, gssapi), "gssapi-away", NULL, from_gssapi,
	    ARRAY_LEN(from_gssapi), gssapi_lost, NULL },
};

static struct chan **
chan_of(const struct role_link *l)
{
	return (struct chan **)(void *)((char *)l->relay + l->kind->at);
}

static void
link_close(struct role_link *l, const char *why)
{
	struct chan **c = chan_of(l);
	if (!*c)
		return;
	if (why)
		LOG(LOG_WARN, 0, l->kind->away, LOGZ("why", why));
	*c = chan_free(*c);
	if (l->kind->lost)
		l->kind->lost(l->relay);
}

static void
on_frame(void *arg, struct chan *c, const struct ipc_frame *m)
{
	struct role_link *l = arg;
	bool ok = false;
	for (size_t i = 0; i < l->kind->n; i++)
		if (l->kind->rows[i].type == m->type)
			ok = l->kind->rows[i].handle(l->relay, m);
	if (m->fd >= 0)
		close(m->fd);
	if (!ok)
		link_close(l, "malformed message");
}

static void
on_gone(void *arg, struct chan *c, const char *why)
{
	struct role_link *l = arg;
	link_close(l, why ? why : l->kind->closed);
}

static const struct chan_handler handler = { on_frame, on_gone, NULL };

static void
connect_to(struct role_link *l, int fd)
{
	struct chan **c = chan_of(l);
	link_close(l, NULL);
	*c = chan_new(l->relay->role.loop, fd, &handler, l);
	if (!*c)
		LOG(LOG_ERROR, 0, l->kind->away, LOGZ("why", strerror(errno)));
	else if (l->kind->here)
		l->kind->here(l->relay);
}

bool
links_take(struct relay *r, enum ipc_role role, struct ipc_frame *m)
{
	for (size_t i = 0; i < ROLE_LINKS; i++) {
		if (kinds[i].role != role)
			continue;
		r->link[i] = (struct role_link){ r, &kinds[i] };
		connect_to(&r->link[i], role_take_fd(m));
		return true;
	}
	return false;
}

void
links_close(struct relay *r)
{
	for (size_t i = 0; i < ROLE_LINKS; i++)
		if (r->link[i].relay)
			chan_free(*chan_of(&r->link[i]));
}
