#include "roles/parent/parent_priv.h"

#include "policy/shared.h"
#include "sys/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Which roles have a channel to each other. */
static const struct {
	enum ipc_role a, b;
} peers[] = {
	{ ROLE_STORE, ROLE_FRONT },
	{ ROLE_STORE, ROLE_READER },
	{ ROLE_STORE, ROLE_FETCH },
	{ ROLE_FRONT, ROLE_READER },
	{ ROLE_FRONT, ROLE_AUTH },
	{ ROLE_FRONT, ROLE_DNS },
	{ ROLE_FRONT, ROLE_GSSAPI },
	{ ROLE_FRONT, ROLE_RELAY },
	{ ROLE_AUTH, ROLE_FETCH },
	{ ROLE_AUTH, ROLE_GSSAPI },
	{ ROLE_AUTH, ROLE_RELAY },
	{ ROLE_GSSAPI_OUT, ROLE_RELAY },
	{ ROLE_STORE, ROLE_RELAY },
	{ ROLE_READER, ROLE_RELAY },
	{ ROLE_FETCH, ROLE_DNS },
	{ ROLE_DNS, ROLE_RELAY },
	{ ROLE_FETCH, ROLE_RELAY },
};

int
handout_seal(const struct conf *c)
{
	struct buf text = BUF_INIT(256u << 20);
	conf_dump(c, &text);
	int fd = text.failed ? -EFBIG : memfd_sealed("pennypost-conf", buf_str(&text));
	buf_done(&text);
	return fd;
}

static void
give(struct child *c, uint16_t type, struct buf *body, int fd)
{
	if (c->chan)
		chan_send(c->chan, type, 0, buf_str(body), fd);
	buf_done(body);
}

static struct identity
identity_of(const struct child *c)
{
	const struct uids *u = &c->parent->uids;
	const struct identity *who[ROLE_COUNT] = {
		[ROLE_FRONT] = &u->front,
		[ROLE_AUTH] = &u->auth,
		[ROLE_STORE] = &u->store,
		[ROLE_READER] = &u->store,
		[ROLE_DNS] = &u->dns,
		[ROLE_FETCH] = &u->fetch,
		[ROLE_GSSAPI] = &u->gssapi,
		[ROLE_GSSAPI_OUT] = &u->gssapi_out,
		[ROLE_RELAY] = &u->relay,
	};
	check(who[c->role]);
	return *who[c->role];
}

static unsigned
count_of(const struct parent *p, enum ipc_role role)
{
	return role == ROLE_FRONT    ? p->n_fronts
	       : role == ROLE_READER ? p->n_readers
	       : role == ROLE_RELAY  ? p->n_relays
	                             : 1;
}

void
handout_setup(struct child *c)
{
	struct parent *p = c->parent;
	struct identity who = identity_of(c);
	struct msg_setup m = { .role = (uint8_t)c->role,
		.index = (uint16_t)c->index,
		.count = (uint16_t)count_of(p, c->role),
		.uid = who.uid,
		.gid = who.gid };
	struct buf b = BUF_INIT(64);
	msg_setup_put(&b, &m);
	give(c, IPC_SETUP, &b, p->conf_fd);
}

static void
give_peer(struct child *c, const struct child *other, int fd)
{
	struct msg_peer m = { .role = (uint8_t)other->role, .index = (uint16_t)other->index };
	struct buf b = BUF_INIT(16);
	msg_peer_put(&b, &m);
	give(c, IPC_PEER, &b, fd);
}

static bool
are_peers(enum ipc_role a, enum ipc_role b)
{
	for (size_t i = 0; i < ARRAY_LEN(peers); i++)
		if ((peers[i].a == a && peers[i].b == b) || (peers[i].a == b && peers[i].b == a))
			return true;
	return false;
}

static int
connect_peers(struct child *c)
{
	struct parent *p = c->parent;
	for (unsigned i = 0; i < p->n_children; i++) {
		struct child *o = &p->children[i];
		int pair[2];
		if (o == c || !o->chan || !are_peers(c->role, o->role))
			continue;
		int r = chan_pair(pair);
		if (r < 0)
			return r;
		give_peer(c, o, pair[0]);
		give_peer(o, c, pair[1]);
		close(pair[0]);
		close(pair[1]);
	}
	return 0;
}

/* Counters for one front: of fixed size, zeroed, so that nobody who maps them can be hurt by
 * their owner shrinking them. */
static int
counters_new(void)
{
	int fd = memfd_create("pennypost-tally", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)policy_shared_size()) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) < 0) {
		int r = -errno;
		close(fd);
		return r;
	}
	return fd;
}

static int
read_only(int fd)
{
	char path[40];
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	int ro = open(path, O_RDONLY | O_CLOEXEC);
	return ro < 0 ? -errno : ro;
}

static void
give_counters(struct child *c, const struct child *of, int fd)
{
	struct buf b = BUF_INIT(16);
	msg_u16_put(&b, (uint16_t)of->index);
	give(c, IPC_TALLY, &b, fd);
}

/* The new front's counters to all fronts, those of the others to it. */
static int
share_counters(struct child *c)
{
	struct parent *p = c->parent;
	int fd = counters_new();
	if (fd < 0)
		return fd;
	if (c->tally >= 0)
		close(c->tally);
	c->tally = fd;
	give_counters(c, c, fd);
	int ro = read_only(fd);
	for (unsigned i = 0; ro >= 0 && i < p->n_children; i++) {
		struct child *o = &p->children[i];
		if (o == c || o->role != ROLE_FRONT || o->tally < 0)
			continue;
		if (o->chan)
			give_counters(o, c, ro);
		int theirs = read_only(o->tally);
		if (theirs < 0) {
			close(ro);
			return theirs;
		}
		give_counters(c, o, theirs);
		close(theirs);
	}
	if (ro < 0)
		return ro;
	close(ro);
	return 0;
}

void
handout_new(struct child *c)
{
	handout_setup(c);
	handout_secrets(c);
	int r = c->role == ROLE_FRONT ? share_counters(c) : 0;
	if (r == 0)
		r = connect_peers(c);
	if (r < 0) {
		char why[128];
		snprintf(why, sizeof(why), "cannot be given its descriptors: %s", strerror(-r));
		child_kill(c, why);
	}
}

void
handout_listeners(struct child *c)
{
	const struct listeners *ls = &c->parent->listeners;
	for (size_t i = 0; i < ls->n; i++) {
		struct buf b = BUF_INIT(16);
		msg_u16_put(&b, (uint16_t)i);
		give(c, IPC_LISTENER, &b, ls->row[i].sock[c->index]);
	}
	c->has_listeners = true;
}

void
handout_unlisten(struct parent *p, size_t index)
{
	for (unsigned i = 0; i < p->n_children; i++) {
		struct buf b = BUF_INIT(16);
		if (p->children[i].role != ROLE_FRONT || !p->children[i].has_listeners)
			continue;
		msg_u16_put(&b, (uint16_t)index);
		give(&p->children[i], IPC_UNLISTEN, &b, -1);
	}
}

void
handout_log(struct parent *p)
{
	for (unsigned i = 0; i < p->n_children; i++)
		if (p->children[i].chan && p->children[i].state != CHILD_ENDING)
			chan_send(p->children[i].chan, IPC_LOG, 0, STR_NULL, STDERR_FILENO);
}
