/* Channels to fronts: what comes from them, and what all of them are told. */
#include "roles/auth/auth_priv.h"

#include "ipc/msg.h"
#include "log/log.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TICKET_KEY 80

static void
front_free(struct front_chan *f)
{
	exchanges_drop(f);
	sign_asker_gone(&f->asker);
	list_del(&f->node);
	chan_free(f->chan);
	free(f);
}

static const struct {
	enum ipc_type type;
	bool sasl;
	bool (*handle)(struct front_chan *f, const struct ipc_frame *m); /* false: a breach */
} from_front[] = {
	{ IPC_SIGN, false, sign_take },
	{ IPC_SRS_ASK, false, srs_take },
	{ IPC_SASL_START, true, exchange_start },
	{ IPC_SASL_STEP, true, exchange_step },
	{ IPC_SASL_DROP, true, exchange_drop },
};

/* A front that breaks the contract loses its channel, and with it logins and handshakes, until it
 * is started anew. */
static void
on_frame(void *arg, struct chan *c, const struct ipc_frame *m)
{
	struct front_chan *f = arg;
	struct str body = m->body;
	bool ok = false;
	if (m->fd >= 0)
		close(m->fd);
	else
		for (size_t i = 0; i < ARRAY_LEN(from_front); i++)
			if (from_front[i].type == m->type &&
			    (from_front[i].sasl || !f->auth->kerberos))
				ok = from_front[i].handle(f, m);
	/* There may be a password in it. The octets are the channel's receive buffer, which lives
	 * on until this returns and which nobody reads again. */
	if (body.p)
		explicit_bzero((void *)(uintptr_t)body.p, body.len);
	if (ok)
		return;
	LOG(LOG_ERROR, 0, "front-breach", LOGN("front", f->index), LOGN("type", m->type));
	front_free(f);
}

static void
on_gone(void *arg, struct chan *c, const char *why)
{
	struct front_chan *f = arg;
	if (why)
		LOG(LOG_ERROR, 0, "front-breach", LOGN("front", f->index), LOGZ("why", why));
	front_free(f);
}

static const struct chan_handler handler = { on_frame, on_gone, NULL };

static void
send_certs(struct front_chan *f)
{
	if (f->auth->certs_fd >= 0)
		chan_send(f->chan, IPC_CERTS, 0, STR_NULL, f->auth->certs_fd);
}

void
fronts_certs(struct auth *au)
{
	list_each(n, &au->fronts) send_certs(list_entry(n, struct front_chan, node));
}

static void
send_tickets(struct front_chan *f)
{
	unsigned char body[TLS_TICKET_KEYS * TICKET_KEY], *p = body;
	for (size_t i = 0; i < TLS_TICKET_KEYS; i++) {
		const struct tls_ticket_key *k = &f->auth->tickets[i];
		p = mempcpy(p, k->name, sizeof(k->name));
		p = mempcpy(p, k->aes, sizeof(k->aes));
		p = mempcpy(p, k->hmac, sizeof(k->hmac));
	}
	check(p == body + sizeof(body));
	chan_send(f->chan, IPC_TICKETS, 0, str_n(body, sizeof(body)), -1);
	explicit_bzero(body, sizeof(body));
}

void
fronts_tickets(struct auth *au)
{
	list_each(n, &au->fronts) send_tickets(list_entry(n, struct front_chan, node));
}

void
fronts_take(struct auth *au, uint16_t index, int fd)
{
	struct front_chan *f = xalloc(sizeof(*f));
	*f = (struct front_chan){ .auth = au, .index = index, .exchanges = MAP_NULL };
	list_init(&f->asker.signings);
	f->chan = chan_new(au->loop, fd, &handler, f);
	if (!f->chan) {
		LOG(LOG_ERROR, 0, "front-not-connected", LOGN("front", index));
		free(f);
		return;
	}
	list_add_tail(&au->fronts, &f->node);
	if (au->kerberos)
		return;
	send_certs(f);
	send_tickets(f);
}

void
fronts_done(struct auth *au)
{
	list_each(n, &au->fronts) front_free(list_entry(n, struct front_chan, node));
}
