/* guest: who is at the door: by its socket or by its proxy's word. */
#include "roles/front/front_priv.h"

#include "sys/peer.h"

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
