/* xclient: a trusted proxy says who its client is, who is the peer from then on. */
#include "roles/front/smtp_priv.h"

#include <arpa/inet.h>

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
	c->smtp->relay = c->smtp->session.ours = g.relay;
	c->local = false;
	memcpy(c->ip, g.ip, sizeof(c->ip));
	return g.refuse;
}

/* Whoever it is, it is not the proxy: the proxy's rights are not his. */
static void
become_unknown(struct conn *c)
{
	c->smtp->relay = c->smtp->session.ours = c->local = false;
	(void)str_copy(c->ip, sizeof(c->ip), STR("unknown"));
}

bool
answer_xclient(struct conn *c, struct smtp_answer *a)
{
	const struct smtp_xclient *x = c->smtp->session.asked;
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
