/* names: the verified reverse name of each newcomer, when dns knows it. Nobody waits for it. */
#include "roles/front/smtp_priv.h"

#define NAME_MAX_OCTETS 253 /* RFC 1035 2.3.4, as text */

static struct str
key_of(const uint64_t *id)
{
	return str_n(id, sizeof(*id));
}

static bool
address_of(const struct sockaddr_storage *from, unsigned char ret[16])
{
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	if (from->ss_family == AF_INET) {
		memcpy(&in, from, sizeof(in));
		memset(ret, 0, 16);
		memset(ret + 10, 0xff, 2);
		memcpy(ret + 12, &in.sin_addr, 4);
		return true;
	}
	if (from->ss_family != AF_INET6)
		return false;
	memcpy(&in6, from, sizeof(in6));
	memcpy(ret, &in6.sin6_addr, 16);
	return true;
}

void
names_ask(struct conn *c, const struct guest *g)
{
	struct front *f = c->front;
	const struct conf_listener *l = &c->settings->conf->listeners[c->listener];
	unsigned char ip[16];
	bool told = (l->client_name && l->client_name[0]) || (l->client_ip && l->client_ip[0]);
	if (!f->dns || told || f->names.used >= NAMES_MAX || !address_of(&g->from, ip) ||
	    chan_pending(f->dns) > IPC_HIGH_WATER)
		return;
	c->named = true;
	map_put(&f->names, key_of(&c->id), c);
	chan_send(f->dns, IPC_NAME_ASK, c->id, str_n(ip, sizeof(ip)), -1);
}

void
names_drop(struct conn *c)
{
	if (c->named)
		map_del(&c->front->names, key_of(&c->id));
	c->named = false;
}

/* A name as a host has it, whatever a server of names may have said. */
static bool
is_name(struct str s)
{
	for (size_t i = 0; i < s.len; i++) {
		char c = s.p[i];
		bool alnum =
		    (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
		if (!alnum && c != '-' && c != '_' && c != '.')
			return false;
	}
	return s.len <= NAME_MAX_OCTETS;
}

bool
names_answered(struct front *f, const struct ipc_frame *m)
{
	struct conn *c = map_get(&f->names, key_of(&m->id));
	if (!is_name(m->body))
		return false;
	if (!c)
		return true;
	names_drop(c);
	/* Behind XCLIENT the client is another one. */
	if (m->body.len && !c->smtp->session.xclient)
		smtp_session_peer_name(&c->smtp->session, m->body);
	return true;
}

void
names_dns_gone(struct front *f)
{
	list_each(n, &f->conns) names_drop(list_entry(n, struct conn, node));
}
