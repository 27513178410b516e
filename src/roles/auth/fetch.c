/* The channel to fetch: what is asked about tokens; or in gssapi to auth, about accounts. */
#include "roles/auth/exchange.h"
#include "roles/auth/oauth.h"

#include "log/log.h"

#include <string.h>
#include <unistd.h>

#define FORM_MAX (32u << 10)

/* Everybody who waits is told that no answer comes. */
static void
nobody_answers(struct auth *au)
{
	size_t pos = 0;
	struct str key;
	void *v;
	while (map_next(&au->fetches, &pos, &key, &v)) {
		struct exchange *ex = v;
		fetch_forget(au, ex->fetch);
		if (au->kerberos)
			exchange_confirmed(ex, false, ACCOUNT_NONE);
		else
			exchange_fetched(ex, NULL);
	}
}

static void
away(struct auth *au)
{
	au->fetch = chan_free(au->fetch);
	nobody_answers(au);
}

static bool
on_fetched(struct auth *au, const struct ipc_frame *m)
{
	struct msg_fetched in;
	if (m->type != IPC_FETCHED || !msg_fetched_get(m->body, &in))
		return false;
	struct exchange *ex = map_del(&au->fetches, id_key(&m->id));
	if (ex)
		exchange_fetched(ex, &in);
	return true;
}

static bool
on_account(struct auth *au, const struct ipc_frame *m)
{
	uint8_t v;
	if (m->type != IPC_ACCOUNT || !msg_u8_get(m->body, ACCOUNT_VERDICT_COUNT, &v))
		return false;
	struct exchange *ex = map_del(&au->fetches, id_key(&m->id));
	if (ex)
		exchange_confirmed(ex, true, (enum account_verdict)v);
	return true;
}

static void
on_frame(void *arg, struct chan *c, const struct ipc_frame *m)
{
	struct auth *au = arg;
	if (m->fd >= 0)
		close(m->fd);
	else if (au->kerberos ? on_account(au, m) : on_fetched(au, m))
		return;
	LOG(LOG_ERROR, 0, "fetch-breach", LOGN("type", m->type));
	away(au);
}

static void
on_gone(void *arg, struct chan *c, const char *why)
{
	struct auth *au = arg;
	if (why)
		LOG(LOG_ERROR, 0, "fetch-breach", LOGZ("why", why));
	away(au);
}

static const struct chan_handler handler = { on_frame, on_gone, NULL };

bool
fetch_peer(struct auth *au, int fd)
{
	away(au);
	au->fetch = chan_new(au->loop, fd, &handler, au);
	return au->fetch != NULL;
}

static bool
has_room(const struct auth *au)
{
	return au->fetch && au->fetches.used < FETCHES_MAX &&
	       chan_pending(au->fetch) <= IPC_HIGH_WATER;
}

bool
fetch_ask_account(struct auth *au, struct exchange *ex, uint64_t *ret_number)
{
	struct msg_account m = { .name = str_of(ex->who.name) };
	struct buf body = BUF_INIT(1024);
	if (!has_room(au))
		return false;
	auth_delay(au, &ex->start, &m);
	msg_account_put(&body, &m);
	check(!body.failed);
	*ret_number = ++au->last_fetch;
	map_put(&au->fetches, id_key(ret_number), ex);
	chan_send(au->fetch, IPC_ACCOUNT_ASK, *ret_number, buf_str(&body), -1);
	buf_done(&body);
	return true;
}

bool
fetch_ask(struct auth *au, struct exchange *ex, struct str token, uint64_t *ret_number)
{
	struct buf form = BUF_INIT(FORM_MAX), body = BUF_INIT(FORM_MAX + 64);
	if (!has_room(au))
		return false;
	check(buf_reserve(&form, FORM_MAX) && buf_reserve(&body, FORM_MAX + 64));
	oauth_question(token, &form);
	struct msg_fetch m = { .what = FETCH_INTROSPECT, .form = buf_str(&form) };
	bool fits = !form.failed;
	if (fits) {
		msg_fetch_put(&body, &m);
		*ret_number = ++au->last_fetch;
		map_put(&au->fetches, id_key(ret_number), ex);
		chan_send(au->fetch, IPC_FETCH, *ret_number, buf_str(&body), -1);
	}
	buf_wipe(&form);
	buf_wipe(&body);
	buf_done(&form);
	buf_done(&body);
	return fits;
}

void
fetch_forget(struct auth *au, uint64_t number)
{
	map_del(&au->fetches, id_key(&number));
}

void
fetch_done(struct auth *au)
{
	away(au);
	map_done(&au->fetches);
}
