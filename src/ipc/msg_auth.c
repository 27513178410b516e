#include "ipc/msg_priv.h"
#include "tls/tls.h"

#define FILE_NAME_MAX 1024
#define SERVICE_MAX 8
#define MECH_MAX 32
#define SASL_TEXT_MAX 12288
#define PREFIX_LEN 16
#define IDENTITY_MAX 512
#define PROMPT_MAX 256
#define ACCOUNT_NAME_MAX 511
#define FORM_MAX (32u << 10)
#define FETCHED_BODY_MAX (256u << 10)

void
msg_secret_put(struct buf *b, const struct msg_secret *m)
{
	put_u8(b, m->kind);
	msg_put_capped(b, m->name, FILE_NAME_MAX);
}

bool
msg_secret_get(struct str body, struct msg_secret *ret)
{
	struct wire w = wire_of(body);
	struct msg_secret m = { 0 };
	m.kind = get_u8(&w);
	m.name = msg_get_line(&w, FILE_NAME_MAX);
	if (!wire_done(&w) || m.kind >= SECRET_KIND_COUNT)
		return false;
	*ret = m;
	return true;
}

void
msg_sign_put(struct buf *b, const struct msg_sign *m)
{
	if (m->key.len != TLS_KEY_NAME)
		b->failed = true;
	buf_puts(b, m->key);
	put_u8(b, m->alg);
	msg_put_capped(b, m->tbs, TLS_SIGN_MAX);
}

bool
msg_sign_get(struct str body, struct msg_sign *ret)
{
	struct wire w = wire_of(body);
	struct msg_sign m = { 0 };
	m.key = get_bytes(&w, TLS_KEY_NAME);
	m.alg = get_u8(&w);
	m.tbs = get_str(&w, TLS_SIGN_MAX);
	if (!wire_done(&w) || m.alg >= TLS_SIGN_ALG_COUNT)
		return false;
	*ret = m;
	return true;
}

void
msg_sasl_start_put(struct buf *b, const struct msg_sasl_start *m)
{
	msg_put_capped(b, m->service, SERVICE_MAX);
	msg_put_capped(b, m->mech, MECH_MAX);
	put_u8(b, m->has_initial);
	msg_put_capped(b, m->initial, SASL_TEXT_MAX);
	put_u8(b, m->tls);
	put_u16(b, m->listener);
	msg_put_capped(b, m->peer, PEER_TEXT_MAX);
	msg_put_capped(b, m->prefix, PREFIX_LEN);
	msg_put_capped(b, m->external, IDENTITY_MAX);
	msg_put_capped(b, m->exporter, TLS_BINDING_MAX);
	msg_put_capped(b, m->endpoint, TLS_BINDING_MAX);
	msg_put_capped(b, m->unique, TLS_BINDING_MAX);
	msg_put_capped(b, m->user_prompt, PROMPT_MAX);
	msg_put_capped(b, m->pass_prompt, PROMPT_MAX);
}

bool
msg_sasl_start_get(struct str body, struct msg_sasl_start *ret)
{
	struct wire w = wire_of(body);
	struct msg_sasl_start m = { 0 };
	m.service = msg_get_line(&w, SERVICE_MAX);
	m.mech = get_str(&w, MECH_MAX);
	m.has_initial = get_bool(&w);
	m.initial = get_str(&w, SASL_TEXT_MAX);
	m.tls = get_bool(&w);
	m.listener = get_u16(&w);
	m.peer = msg_get_line(&w, PEER_TEXT_MAX);
	m.prefix = get_str(&w, PREFIX_LEN);
	m.external = get_str(&w, IDENTITY_MAX);
	m.exporter = get_str(&w, TLS_BINDING_MAX);
	m.endpoint = get_str(&w, TLS_BINDING_MAX);
	m.unique = get_str(&w, TLS_BINDING_MAX);
	m.user_prompt = get_str(&w, PROMPT_MAX);
	m.pass_prompt = get_str(&w, PROMPT_MAX);
	if (!wire_done(&w) || m.listener >= LISTENER_MAX)
		return false;
	if (m.initial.len && !m.has_initial)
		return false;
	if (m.prefix.len && m.prefix.len != PREFIX_LEN)
		return false;
	*ret = m;
	return true;
}

void
msg_sasl_put(struct buf *b, const struct msg_sasl *m)
{
	put_u8(b, m->verdict);
	msg_put_capped(b, m->text, SASL_TEXT_MAX);
	msg_put_capped(b, m->account, IDENTITY_MAX);
	msg_put_capped(b, m->authzid, IDENTITY_MAX);
	put_str(b, str_first(m->why, WHY_MAX));
	put_u64(b, m->ticket_ms);
	msg_put_capped(b, m->ticket, MSG_MAC_LEN);
}

bool
msg_sasl_get(struct str body, struct msg_sasl *ret)
{
	struct wire w = wire_of(body);
	struct msg_sasl m = { 0 };
	m.verdict = get_u8(&w);
	m.text = get_str(&w, SASL_TEXT_MAX);
	m.account = msg_get_line(&w, IDENTITY_MAX);
	m.authzid = get_str(&w, IDENTITY_MAX);
	m.why = get_str(&w, WHY_MAX);
	m.ticket_ms = get_u64(&w);
	m.ticket = get_str(&w, MSG_MAC_LEN);
	if (!wire_done(&w) || m.verdict >= SASL_V_COUNT)
		return false;
	if (m.ticket.len && (m.ticket.len != MSG_MAC_LEN || m.verdict != SASL_V_OK))
		return false;
	if (m.verdict == SASL_V_OK && m.account.len == 0)
		return false;
	*ret = m;
	return true;
}

void
msg_fetch_put(struct buf *b, const struct msg_fetch *m)
{
	put_u8(b, m->what);
	msg_put_capped(b, m->form, FORM_MAX);
}

bool
msg_fetch_get(struct str body, struct msg_fetch *ret)
{
	struct wire w = wire_of(body);
	struct msg_fetch m = { 0 };
	m.what = get_u8(&w);
	m.form = get_str(&w, FORM_MAX);
	if (!wire_done(&w) || m.what >= FETCH_WHAT_COUNT)
		return false;
	*ret = m;
	return true;
}

void
msg_fetched_put(struct buf *b, const struct msg_fetched *m)
{
	put_u16(b, m->status);
	msg_put_capped(b, m->body, FETCHED_BODY_MAX);
	put_str(b, str_first(m->error, WHY_MAX));
}

bool
msg_fetched_get(struct str body, struct msg_fetched *ret)
{
	struct wire w = wire_of(body);
	struct msg_fetched m = { 0 };
	m.status = get_u16(&w);
	m.body = get_str(&w, FETCHED_BODY_MAX);
	m.error = get_str(&w, WHY_MAX);
	if (!wire_done(&w) || (m.status && (m.status < 100 || m.status > 999)))
		return false;
	*ret = m;
	return true;
}

void
msg_account_put(struct buf *b, const struct msg_account *m)
{
	put_u8(b, m->pop);
	put_u32(b, m->delay);
	msg_put_capped(b, m->name, ACCOUNT_NAME_MAX);
}

bool
msg_account_get(struct str body, struct msg_account *ret)
{
	struct wire w = wire_of(body);
	struct msg_account m = { 0 };
	m.pop = get_bool(&w);
	m.delay = get_u32(&w);
	m.name = msg_get_line(&w, ACCOUNT_NAME_MAX);
	if (!wire_done(&w) || m.name.len == 0)
		return false;
	*ret = m;
	return true;
}
