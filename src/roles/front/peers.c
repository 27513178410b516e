/* peers: the channels to the reader, auth, gssapi and dns; each may go away and come back. */
#include "roles/front/visit_priv.h"

#include "ipc/certs.h"

#include <fcntl.h>
#include <unistd.h>

struct peer_row {
	enum ipc_type type;
	bool (*handle)(struct front *f, const struct ipc_frame *m); /* false: a breach */
};

static bool
on_signed(struct front *f, const struct ipc_frame *m)
{
	return certs_signed(m);
}

static const struct peer_row from_auth[] = {
	{ IPC_SIGNED, on_signed },
	{ IPC_SASL, login_answered },
	{ IPC_CERTS, secure_certs },
	{ IPC_SRS, srs_answered },
	{ IPC_TICKETS, secure_tickets },
	{ 0, NULL },
};

static const struct peer_row from_gssapi[] = {
	{ IPC_SASL, login_answered },
	{ 0, NULL },
};

static const struct peer_row from_dns[] = {
	{ IPC_NAME, names_answered },
	{ 0, NULL },
};

static const struct peer_row from_reader[] = {
	{ IPC_SLOTS, slots_take },
	{ IPC_ENTERED, visit_entered },
	{ IPC_READ_DONE, slots_answered },
	{ 0, NULL },
};

static void
auth_away(struct front *f)
{
	certs_signer_gone();
	login_auth_gone(f, false);
	srs_auth_gone(f);
}

static void
gssapi_away(struct front *f)
{
	login_auth_gone(f, true);
}

/* A role that is a peer: where its channel stands, what it says, what its end means. */
static const struct peer {
	enum ipc_role role;
	size_t slot;
	const struct peer_row *rows;
	void (*away)(struct front *f);
} peers[] = {
	{ ROLE_READER, offsetof(struct front, reader), from_reader, slots_reader_gone },
	{ ROLE_AUTH, offsetof(struct front, auth), from_auth, auth_away },
	{ ROLE_GSSAPI, offsetof(struct front, gssapi), from_gssapi, gssapi_away },
	{ ROLE_DNS, offsetof(struct front, dns), from_dns, names_dns_gone },
};

static struct chan **
slot(struct front *f, const struct peer *p)
{
	return (struct chan **)((char *)f + p->slot);
}

static void
away(struct front *f, const struct peer *p)
{
	struct chan **at = slot(f, p);
	if (!*at)
		return;
	*at = chan_free(*at);
	p->away(f);
}

static const struct peer *
peer_of(struct front *f, const struct chan *c)
{
	for (size_t i = 0; i < ARRAY_LEN(peers); i++)
		if (*slot(f, &peers[i]) == c)
			return &peers[i];
	check_failed("a channel belongs to a peer", __FILE__, __LINE__);
}

static void
peer_gone(void *arg, struct chan *c, const char *why)
{
	struct front *f = arg;
	const struct peer *p = peer_of(f, c);
	LOG(LOG_WARN, 0, "peer-away", LOGZ("role", ipc_role_name[p->role]),
	    LOGZ("why", why ? why : "closed"));
	front_clock(f);
	away(f, p);
}

static void
peer_frame(void *arg, struct chan *c, const struct ipc_frame *m)
{
	struct front *f = arg;
	const struct peer *p = peer_of(f, c);
	bool ok = false;
	front_clock(f);
	for (const struct peer_row *r = p->rows; r->handle; r++)
		if (r->type == m->type)
			ok = r->handle(f, m);
	if (m->fd >= 0)
		close(m->fd);
	if (ok)
		return;
	LOG(LOG_ERROR, 0, "ipc-breach", LOGN("type", m->type));
	peer_gone(f, c, "breach");
}

static const struct chan_handler peer_handler = { peer_frame, peer_gone, NULL };

bool
peers_take(struct front *f, enum ipc_role role, int fd)
{
	for (size_t i = 0; i < ARRAY_LEN(peers); i++) {
		const struct peer *p = &peers[i];
		if (p->role != role)
			continue;
		away(f, p);
		*slot(f, p) = chan_new(f->loop, fcntl(fd, F_DUPFD_CLOEXEC, 0), &peer_handler, f);
		conn_unpark(f);
		return *slot(f, p) != NULL;
	}
	return false;
}

void
peers_close(struct front *f)
{
	for (size_t i = 0; i < ARRAY_LEN(peers); i++)
		away(f, &peers[i]);
}
