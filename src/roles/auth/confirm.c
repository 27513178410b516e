/* The channel to gssapi: it knows who somebody is, auth knows whether that is an account. */
#include "roles/auth/auth_priv.h"

#include "ipc/msg.h"
#include "log/log.h"

#include <string.h>
#include <unistd.h>

static void
away(struct auth *au)
{
	au->gssapi = chan_free(au->gssapi);
}

static bool
on_ask(struct auth *au, const struct ipc_frame *m)
{
	char name[PASSWD_NAME_MAX];
	struct msg_account in;
	struct account who;
	if (m->fd >= 0 || m->type != IPC_ACCOUNT_ASK || !msg_account_get(m->body, &in) ||
	    !passwd_name(in.name, name) || chan_pending(au->gssapi) > IPC_HIGH_WATER)
		return false;
	accounts_find(&au->accounts, str_of(name), &who);
	bool known = who.known && strcmp(who.name, name) == 0;
	explicit_bzero(&who, sizeof(who));
	in.name = str_of(name);
	uint8_t v = !known                ? ACCOUNT_NONE
	            : auth_again(au, &in) ? ACCOUNT_LETS_IN
	                                  : ACCOUNT_TOO_SOON;
	chan_send(au->gssapi, IPC_ACCOUNT, m->id, str_n(&v, 1), -1);
	return true;
}

static void
on_frame(void *arg, struct chan *c, const struct ipc_frame *m)
{
	struct auth *au = arg;
	bool ok = on_ask(au, m);
	if (m->fd >= 0)
		close(m->fd);
	if (ok)
		return;
	LOG(LOG_ERROR, 0, "gssapi-breach", LOGN("type", m->type));
	away(au);
}

static void
on_gone(void *arg, struct chan *c, const char *why)
{
	struct auth *au = arg;
	if (why)
		LOG(LOG_ERROR, 0, "gssapi-breach", LOGZ("why", why));
	away(au);
}

static const struct chan_handler handler = { on_frame, on_gone, NULL };

bool
confirm_peer(struct auth *au, int fd)
{
	away(au);
	au->gssapi = chan_new(au->loop, fd, &handler, au);
	return au->gssapi != NULL;
}

void
confirm_done(struct auth *au)
{
	away(au);
}
