#include "ipc/chan.h"
#include "ipc/msg_priv.h"

#define TLSA_DATA_MAX 4096
#define STS_ID_MAX 32
#define STS_TEXT_MAX (64u << 10) /* STS_POLICY_MAX of smtp/sts.h */
#define RUA_MAX 1024

void
msg_mx_ask_put(struct buf *b, const struct msg_mx_ask *m)
{
	put_u8(b, m->mx);
	put_u8(b, m->tlsa);
	put_u16(b, m->port);
	msg_put_capped(b, m->name, DOMAIN_MAX);
}

bool
msg_mx_ask_get(struct str body, struct msg_mx_ask *ret)
{
	struct wire w = wire_of(body);
	struct msg_mx_ask m = { 0 };
	m.mx = get_bool(&w);
	m.tlsa = get_bool(&w);
	m.port = get_u16(&w);
	m.name = msg_get_domain(&w);
	if (!wire_done(&w))
		return false;
	*ret = m;
	return true;
}

void
msg_mx_tlsa_put(struct buf *b, const struct msg_mx_tlsa *m)
{
	put_u8(b, m->usage);
	put_u8(b, m->selector);
	put_u8(b, m->matching);
	msg_put_capped(b, m->data, TLSA_DATA_MAX);
}

bool
msg_mx_tlsa_get(struct wire *w, struct msg_mx_tlsa *ret)
{
	struct msg_mx_tlsa m = { 0 };
	m.usage = get_u8(w);
	m.selector = get_u8(w);
	m.matching = get_u8(w);
	m.data = get_str(w, TLSA_DATA_MAX);
	if (w->bad)
		return false;
	*ret = m;
	return true;
}

void
msg_mx_host_put(struct buf *b, const struct msg_mx_host *m)
{
	put_u16(b, m->preference);
	msg_put_capped(b, m->name, DOMAIN_MAX);
	msg_put_capped(b, m->tlsa_base, DOMAIN_MAX);
	put_u8(b, m->secure);
	put_u8(b, m->tlsa);
	put_u16(b, m->n_addrs);
	put_u16(b, m->n_tlsa);
	put_str(b, m->addrs);
	put_str(b, m->tlsas);
}

static bool
tlsas_valid(struct str tlsas, uint16_t n)
{
	struct wire w = wire_of(tlsas);
	struct msg_mx_tlsa tlsa;
	for (uint16_t i = 0; i < n; i++)
		if (!msg_mx_tlsa_get(&w, &tlsa))
			return false;
	return wire_done(&w);
}

bool
msg_mx_host_get(struct wire *w, struct msg_mx_host *ret)
{
	struct msg_mx_host m = { 0 };
	m.preference = get_u16(w);
	m.name = msg_get_line(w, DOMAIN_MAX);
	m.tlsa_base = msg_get_line(w, DOMAIN_MAX);
	m.secure = get_bool(w);
	m.tlsa = get_u8(w);
	m.n_addrs = get_u16(w);
	m.n_tlsa = get_u16(w);
	m.addrs = get_str(w, 16 * MX_ADDRS_MAX);
	m.tlsas = get_str(w, IPC_BODY_MAX);
	w->bad |= m.name.len == 0 || m.tlsa >= TLSA_VERDICT_COUNT || m.n_tlsa > MX_TLSA_MAX ||
	          m.addrs.len != 16 * (size_t)m.n_addrs || !tlsas_valid(m.tlsas, m.n_tlsa);
	if (w->bad)
		return false;
	*ret = m;
	return true;
}

void
msg_mx_put(struct buf *b, const struct msg_mx *m)
{
	put_u8(b, m->verdict);
	put_u8(b, m->secure);
	put_u8(b, m->implicit);
	put_u32(b, m->ttl);
	msg_put_capped(b, m->canonical, DOMAIN_MAX);
	msg_put_capped(b, m->sts_id, STS_ID_MAX);
	msg_put_capped(b, m->rua, RUA_MAX);
	msg_put_words(b, m->why, WHY_MAX);
	put_u16(b, m->n);
	buf_puts(b, m->hosts);
}

static bool
hosts_valid(struct str hosts, uint16_t n)
{
	struct wire w = wire_of(hosts);
	struct msg_mx_host host;
	for (uint16_t i = 0; i < n; i++)
		if (!msg_mx_host_get(&w, &host))
			return false;
	return wire_done(&w);
}

bool
msg_mx_get(struct str body, struct msg_mx *ret)
{
	struct wire w = wire_of(body);
	struct msg_mx m = { 0 };
	m.verdict = get_u8(&w);
	m.secure = get_bool(&w);
	m.implicit = get_bool(&w);
	m.ttl = get_u32(&w);
	m.canonical = msg_get_line(&w, DOMAIN_MAX);
	m.sts_id = msg_get_line(&w, STS_ID_MAX);
	m.rua = msg_get_line(&w, RUA_MAX);
	m.why = msg_get_words(&w, WHY_MAX);
	m.n = get_u16(&w);
	m.hosts = get_rest(&w);
	if (!wire_done(&w) || m.verdict >= MX_VERDICT_COUNT || m.n > MX_HOSTS_MAX ||
	    (m.verdict == MX_OK && m.n == 0) || !hosts_valid(m.hosts, m.n))
		return false;
	*ret = m;
	return true;
}

void
msg_sts_ask_put(struct buf *b, const struct msg_sts_ask *m)
{
	msg_put_capped(b, m->domain, DOMAIN_MAX);
	msg_put_capped(b, m->id, STS_ID_MAX);
}

bool
msg_sts_ask_get(struct str body, struct msg_sts_ask *ret)
{
	struct wire w = wire_of(body);
	struct msg_sts_ask m = { 0 };
	m.domain = msg_get_domain(&w);
	m.id = msg_get_line(&w, STS_ID_MAX);
	if (!wire_done(&w))
		return false;
	*ret = m;
	return true;
}

void
msg_sts_put(struct buf *b, const struct msg_sts *m)
{
	put_u8(b, m->status);
	msg_put_capped(b, m->policy, STS_TEXT_MAX);
	msg_put_words(b, m->why, WHY_MAX);
}

bool
msg_sts_get(struct str body, struct msg_sts *ret)
{
	struct wire w = wire_of(body);
	struct msg_sts m = { 0 };
	m.status = get_u8(&w);
	m.policy = get_str(&w, STS_TEXT_MAX);
	m.why = msg_get_words(&w, WHY_MAX);
	if (!wire_done(&w) || m.status > 2 || (m.status != 0 && m.policy.len))
		return false;
	*ret = m;
	return true;
}

#define URL_LEN_MAX 1024

void
msg_post_put(struct buf *b, const struct msg_post *m)
{
	msg_put_capped(b, m->url, URL_LEN_MAX);
	msg_put_capped(b, m->octets, POST_MAX);
}

bool
msg_post_get(struct str body, struct msg_post *ret)
{
	struct wire w = wire_of(body);
	struct msg_post m = { 0 };
	m.url = msg_get_line(&w, URL_LEN_MAX);
	m.octets = get_str(&w, POST_MAX);
	if (!wire_done(&w) || m.url.len == 0)
		return false;
	*ret = m;
	return true;
}

void
msg_keep_put(struct buf *b, const struct msg_keep *m)
{
	msg_put_capped(b, m->key, KEEP_KEY_MAX);
	msg_put_capped(b, m->value, KEEP_VALUE_MAX);
}

bool
msg_keep_get(struct str body, struct msg_keep *ret)
{
	struct wire w = wire_of(body);
	struct msg_keep m = { 0 };
	m.key = msg_get_line(&w, KEEP_KEY_MAX);
	m.value = get_str(&w, KEEP_VALUE_MAX);
	if (!wire_done(&w))
		return false;
	*ret = m;
	return true;
}
