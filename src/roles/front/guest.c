/* guest: who is at the door: by its socket, by its proxy's word, or by XCLIENT. */
#include "roles/front/front_priv.h"

#include "sys/peer.h"

#include <arpa/inet.h>
#include <stdio.h>

/* LMTP has no login and is not for strangers: by a unix socket the kernel says who may come, over
 * TCP this machine and our own networks may. */
static bool
may_speak_lmtp(const struct guest *g)
{
	return g->local || g->relay || str_starts(str_of(g->ip), STR("127.")) ||
	       strcmp(g->ip, "::1") == 0;
}

static enum smtp_situation
count(struct front *f, const struct conf_listener *l, const struct guest *g)
{
	const struct conf *c = f->settings->conf;
	struct tally_limits limits = { c->limit_conns_total, l->limit_conns_listener,
		g->local ? CONF_OFF : c->limit_conns_per_ip };
	switch (tally_enter(&f->tally, &g->key, g->listener, &limits)) {
	case TALLY_TOTAL:
		return SMTP_CONN_LIMIT_TOTAL;
	case TALLY_LISTENER:
		return SMTP_CONN_LIMIT_LISTENER;
	case TALLY_ADDRESS:
		return SMTP_CONN_LIMIT_HOST;
	case TALLY_OK:
		break;
	}
	return SMTP_NONE;
}

void
guest_judge(struct front *f, struct guest *g)
{
	const struct conf_listener *l = &f->settings->conf->listeners[g->listener];
	if (l->service_disabled && l->service_disabled[0])
		g->refuse = SMTP_CONN_DISABLED;
	else if (conf_is_lmtp(l) && !may_speak_lmtp(g))
		g->refuse = SMTP_GREETING_REJECT;
	else
		g->refuse = count(f, l, g);
	/* What comes by LMTP has been through a mail server: nothing is added to it. */
	g->relay = g->relay && !conf_is_lmtp(l);
}

void
guest_introduce(struct front *f, struct guest *g)
{
	const struct sockaddr *from = (const struct sockaddr *)&g->from;
	struct cidr_list *peers = f->settings->peers[g->listener];
	struct sys_peer who;
	g->key = tally_key_of(from);
	if (from->sa_family == AF_UNIX) {
		g->local = true;
		if (sys_peer_get(g->fd, &who) == 0)
			snprintf(g->ip, sizeof(g->ip), "unix:%u", (unsigned)who.uid);
		else
			(void)str_copy(g->ip, sizeof(g->ip), STR("unix"));
		return;
	}
	sys_addr_text(from, sizeof(struct sockaddr_storage), g->ip);
	g->relay = cidr_list_match(&peers[PEERS_RELAY], from);
	g->xclient = cidr_list_match(&peers[PEERS_XCLIENT], from);
	g->xforward = cidr_list_match(&peers[PEERS_XFORWARD], from);
}

/* --- XCLIENT --- */

static bool
read_address(const char *text, struct sockaddr_storage *ret)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
	*ret = (struct sockaddr_storage){ 0 };
	if (inet_pton(AF_INET, text, &in.sin_addr) == 1) {
		memcpy(ret, &in, sizeof(in));
		return true;
	}
	if (inet_pton(AF_INET6, text, &in6.sin6_addr) != 1)
		return false;
	memcpy(ret, &in6, sizeof(in6));
	return true;
}

/* Somebody with an account here, as the directory writes it. */
static bool
is_account(const struct front *f, struct str login)
{
	struct addr a;
	struct route_result r = { 0 };
	if (f->directory.block.len == 0 || addr_mailbox(login, ADDR_SMTPUTF8, &a) != ADDR_OK)
		return false;
	route_resolve(&f->directory, &a, &r);
	bool ok = r.verdict == ROUTE_LOCAL && !r.is_alias;
	route_result_done(&r);
	return ok;
}

/* From here on the client counts where it comes from, and has the rights it has there. A reload
 * may have taken its listener away; then the old seat stays. */
static enum smtp_situation
become(struct conn *c, const struct sockaddr_storage *from)
{
	struct front *f = c->front;
	struct guest g = { .fd = -1, .listener = c->seat, .from = *from };
	if (c->seat >= f->settings->n)
		return SMTP_CONN_LIMIT_LISTENER;
	guest_introduce(f, &g);
	conn_leave(c);
	guest_judge(f, &g);
	c->counted = g.refuse == SMTP_NONE;
	c->key = g.key;
	c->relay = g.relay;
	c->local = false;
	memcpy(c->ip, g.ip, sizeof(c->ip));
	return g.refuse;
}

/* Whoever it is, it is not the proxy: the proxy's rights are not his. */
static void
become_unknown(struct conn *c)
{
	c->relay = c->local = false;
	(void)str_copy(c->ip, sizeof(c->ip), STR("unknown"));
}

bool
answer_xclient(struct conn *c, struct smtp_answer *a)
{
	const struct smtp_xclient *x = c->session.asked;
	struct sockaddr_storage from;
	LOG(LOG_INFO, c->id, "xclient", LOGZ("peer", c->ip), LOGF("addr", str_of(x->addr)),
	    LOGF("name", str_of(x->name)), LOGF("login", str_of(x->login)));
	if (x->addr[0] && read_address(x->addr, &from))
		a->situation = become(c, &from);
	else if (x->said & 1u << XATTR_ADDR)
		become_unknown(c);
	if (x->login[0] && is_account(c->front, str_of(x->login)))
		a->user = str_of(x->login);
	return true;
}
