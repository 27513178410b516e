/* Logins at other servers, addresses that lead back, and connections that turn round. */
#include "ipc/chan.h"
#include "ipc/msg_priv.h"
#include "tls/tls.h"

#define MECHS_MAX 512
#define MECH_MAX 32
#define OCTETS_MAX 12288
#define TLS_TEXT_MAX 256
#define GUEST_DOMAINS_MAX 4096

void
msg_login_start_put(struct buf *b, const struct msg_login_start *m)
{
	msg_put_capped(b, m->route, DOMAIN_MAX);
	msg_put_capped(b, m->host, DOMAIN_MAX);
	msg_put_capped(b, m->mechs, MECHS_MAX);
	put_u8(b, m->tls);
	put_u8(b, m->verified);
	put_u8(b, m->certified);
	msg_put_capped(b, m->exporter, TLS_BINDING_MAX);
	msg_put_capped(b, m->endpoint, TLS_BINDING_MAX);
	msg_put_capped(b, m->unique, TLS_BINDING_MAX);
}

bool
msg_login_start_get(struct str body, struct msg_login_start *ret)
{
	struct wire w = wire_of(body);
	struct msg_login_start m = { 0 };
	m.route = msg_get_line(&w, DOMAIN_MAX);
	m.host = msg_get_line(&w, DOMAIN_MAX);
	m.mechs = msg_get_line(&w, MECHS_MAX);
	m.tls = get_bool(&w);
	m.verified = get_bool(&w);
	m.certified = get_bool(&w);
	m.exporter = get_str(&w, TLS_BINDING_MAX);
	m.endpoint = get_str(&w, TLS_BINDING_MAX);
	m.unique = get_str(&w, TLS_BINDING_MAX);
	if (!wire_done(&w) || m.route.len == 0)
		return false;
	*ret = m;
	return true;
}

void
msg_login_put(struct buf *b, const struct msg_login *m)
{
	put_u8(b, m->verdict);
	msg_put_capped(b, m->mech, MECH_MAX);
	put_u8(b, m->has_octets);
	msg_put_capped(b, m->octets, OCTETS_MAX);
	msg_put_words(b, m->why, WHY_MAX);
}

bool
msg_login_get(struct str body, struct msg_login *ret)
{
	struct wire w = wire_of(body);
	struct msg_login m = { 0 };
	m.verdict = get_u8(&w);
	m.mech = msg_get_line(&w, MECH_MAX);
	m.has_octets = get_bool(&w);
	m.octets = get_str(&w, OCTETS_MAX);
	m.why = msg_get_words(&w, WHY_MAX);
	if (!wire_done(&w) || m.verdict >= LOGIN_VERDICT_COUNT || (m.octets.len && !m.has_octets))
		return false;
	*ret = m;
	return true;
}

void
msg_srs_ask_put(struct buf *b, const struct msg_srs_ask *m)
{
	put_u8(b, m->reverse);
	msg_put_capped(b, m->addr, ADDRESS_MAX);
	msg_put_capped(b, m->domain, DOMAIN_MAX);
}

bool
msg_srs_ask_get(struct str body, struct msg_srs_ask *ret)
{
	struct wire w = wire_of(body);
	struct msg_srs_ask m = { 0 };
	m.reverse = get_bool(&w);
	m.addr = msg_get_line(&w, ADDRESS_MAX);
	m.domain = msg_get_line(&w, DOMAIN_MAX);
	if (!wire_done(&w) || m.addr.len == 0)
		return false;
	*ret = m;
	return true;
}

void
msg_turn_put(struct buf *b, const struct msg_turn *m)
{
	put_u16(b, m->n);
	put_u8(b, m->tls);
	msg_put_capped(b, m->who, ACCOUNT_TEXT_MAX);
	buf_puts(b, m->domains);
}

bool
msg_turn_get(struct str body, struct msg_turn *ret)
{
	struct wire w = wire_of(body);
	struct msg_turn m = { 0 };
	m.n = get_u16(&w);
	uint8_t tls = get_u8(&w);
	m.tls = tls == 1;
	m.who = msg_get_line(&w, ACCOUNT_TEXT_MAX);
	if (w.bad || tls > 1 || m.n > TURN_DOMAINS_MAX)
		return false;
	m.domains = str_n(w.p, w.left);
	for (uint16_t i = 0; i < m.n; i++)
		msg_get_domain(&w);
	if (!wire_done(&w))
		return false;
	*ret = m;
	return true;
}

void
msg_guest_put(struct buf *b, const struct msg_guest *m)
{
	put_u16(b, m->listener);
	msg_put_capped(b, m->ip, PEER_TEXT_MAX);
	msg_put_words(b, m->tls, TLS_TEXT_MAX);
	msg_put_capped(b, m->domains, GUEST_DOMAINS_MAX);
}

bool
msg_guest_get(struct str body, struct msg_guest *ret)
{
	struct wire w = wire_of(body);
	struct msg_guest m = { 0 };
	m.listener = get_u16(&w);
	m.ip = msg_get_line(&w, PEER_TEXT_MAX);
	m.tls = msg_get_words(&w, TLS_TEXT_MAX);
	m.domains = msg_get_line(&w, GUEST_DOMAINS_MAX);
	if (!wire_done(&w) || m.listener >= LISTENER_MAX)
		return false;
	*ret = m;
	return true;
}
