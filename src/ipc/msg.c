#include "ipc/msg.h"

#include "base/check.h"
#include "ipc/msg_priv.h"

const char *const ipc_role_name[ROLE_COUNT] = {
	[ROLE_PARENT] = "parent",
	[ROLE_FRONT] = "front",
	[ROLE_AUTH] = "auth",
	[ROLE_STORE] = "store",
	[ROLE_READER] = "reader",
	[ROLE_DNS] = "dns",
	[ROLE_FETCH] = "fetch",
	[ROLE_GSSAPI] = "gssapi",
	[ROLE_GSSAPI_OUT] = "gssapi-out",
	[ROLE_RELAY] = "relay",
};

const char *const status_key_name[STATUS_KEY_COUNT] = {
	[STATUS_CONNECTIONS] = "connections",
	[STATUS_CONNECTIONS_ALL] = "connections_all",
	[STATUS_LETTERS] = "letters",
	[STATUS_REFUSED] = "refused",
	[STATUS_DIRECTORY] = "directory",
	[STATUS_GROUPS] = "groups",
	[STATUS_GROUP_LETTERS] = "group_letters",
	[STATUS_DURABLE_LSN] = "durable_lsn",
	[STATUS_APPLIED_LSN] = "applied_lsn",
	[STATUS_SEGMENTS] = "segments",
	[STATUS_SPACE_FREE] = "space_free",
	[STATUS_ACCOUNTS] = "accounts",
	[STATUS_BODY_MEMORY] = "body_memory",
	[STATUS_INDEX_COMMITS] = "index_commits",
	[STATUS_LOGINS] = "logins",
	[STATUS_LOGINS_FAILED] = "logins_failed",
	[STATUS_LOG_DROPPED] = "log_dropped",
	[STATUS_CONNECTIONS_MAX] = "connections_max",
	[STATUS_LOG_SIZE] = "log_size",
	[STATUS_LOG_LIVE] = "log_live",
	[STATUS_COMPACTIONS] = "compactions",
	[STATUS_CHECKPOINTS] = "checkpoints",
	[STATUS_RESERVE] = "reserve",
	[STATUS_TLS] = "tls",
	[STATUS_TLS_HANDSHAKES] = "tls_handshakes",
	[STATUS_SIGNATURES] = "signatures",
	[STATUS_LOOKUPS] = "lookups",
	[STATUS_CONNECTIONS_SMTP] = "connections_smtp",
	[STATUS_CONNECTIONS_IMAP] = "connections_imap",
	[STATUS_CONNECTIONS_POP3] = "connections_pop3",
	[STATUS_CONNECTIONS_OUT] = "connections_out",
	[STATUS_SENT] = "sent",
	[STATUS_QUEUE] = "queue",
};

#define LAYERS_ALL (2u * LAYER_NO_DUMP - 1)
#define TEXT_MAX 4096
#define OP_MAX 32
#define FIELD_MAX (1u << 20)

_Static_assert(STATUS_KEY_COUNT < 64, "msg_status.have has a bit for each");

void
msg_put_capped(struct buf *b, struct str s, size_t max)
{
	if (s.len > max)
		b->failed = true;
	put_str(b, s);
}

struct str
msg_get_line(struct wire *w, size_t max)
{
	struct str s = get_str(w, max);
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] == '\0' || s.p[i] == '\r' || s.p[i] == '\n')
			w->bad = true;
	return s;
}

void
msg_setup_put(struct buf *b, const struct msg_setup *m)
{
	put_u8(b, m->role);
	put_u16(b, m->index);
	put_u16(b, m->count);
	put_u32(b, m->uid);
	put_u32(b, m->gid);
}

bool
msg_setup_get(struct str body, struct msg_setup *ret)
{
	struct wire w = wire_of(body);
	struct msg_setup m = { 0 };
	m.role = get_u8(&w);
	m.index = get_u16(&w);
	m.count = get_u16(&w);
	m.uid = get_u32(&w);
	m.gid = get_u32(&w);
	if (!wire_done(&w) || m.role >= ROLE_COUNT || m.index >= m.count)
		return false;
	*ret = m;
	return true;
}

void
msg_peer_put(struct buf *b, const struct msg_peer *m)
{
	put_u8(b, m->role);
	put_u16(b, m->index);
}

bool
msg_peer_get(struct str body, struct msg_peer *ret)
{
	struct wire w = wire_of(body);
	struct msg_peer m = { 0 };
	m.role = get_u8(&w);
	m.index = get_u16(&w);
	if (!wire_done(&w) || m.role >= ROLE_COUNT)
		return false;
	if ((m.role == ROLE_FRONT && m.index >= FRONT_MAX) ||
	    (m.role == ROLE_RELAY && m.index >= RELAY_MAX))
		return false;
	*ret = m;
	return true;
}

void
msg_ready_put(struct buf *b, const struct msg_ready *m)
{
	put_u32(b, m->layers);
	put_u32(b, m->uid);
}

bool
msg_ready_get(struct str body, struct msg_ready *ret)
{
	struct wire w = wire_of(body);
	struct msg_ready m = { 0 };
	m.layers = get_u32(&w);
	m.uid = get_u32(&w);
	if (!wire_done(&w) || (m.layers & ~LAYERS_ALL))
		return false;
	*ret = m;
	return true;
}

void
msg_status_put(struct buf *b, const struct msg_status *m)
{
	put_u32(b, m->layers);
	put_u32(b, m->uid);
	put_u64(b, m->have);
	for (size_t i = 0; i < STATUS_KEY_COUNT; i++)
		put_u64(b, m->value[i]);
}

bool
msg_status_get(struct str body, struct msg_status *ret)
{
	struct wire w = wire_of(body);
	struct msg_status m = { 0 };
	m.layers = get_u32(&w);
	m.uid = get_u32(&w);
	m.have = get_u64(&w);
	for (size_t i = 0; i < STATUS_KEY_COUNT; i++)
		m.value[i] = get_u64(&w);
	if (!wire_done(&w) || (m.layers & ~LAYERS_ALL) || m.have >> STATUS_KEY_COUNT)
		return false;
	*ret = m;
	return true;
}

void
msg_store_state_put(struct buf *b, const struct msg_store_state *m)
{
	put_u8(b, m->low);
	put_u64(b, m->queue_messages);
	put_u64(b, m->queue_bytes);
	put_u64(b, m->last_letter);
}

bool
msg_store_state_get(struct str body, struct msg_store_state *ret)
{
	struct wire w = wire_of(body);
	struct msg_store_state m = { 0 };
	m.low = get_bool(&w);
	m.queue_messages = get_u64(&w);
	m.queue_bytes = get_u64(&w);
	m.last_letter = get_u64(&w);
	if (!wire_done(&w))
		return false;
	*ret = m;
	return true;
}

static void
put_list(struct buf *b, const struct str *list, uint16_t n, uint16_t most)
{
	check(n <= most);
	put_u16(b, n);
	for (uint16_t i = 0; i < n; i++)
		msg_put_capped(b, list[i], FIELD_MAX);
}

/* Fills list, which holds `most`; all of w must be used up. */
static bool
get_list(struct wire *w, struct str *list, uint16_t most, uint16_t *ret_n)
{
	uint16_t n = get_u16(w);
	if (n > most)
		return false;
	for (uint16_t i = 0; i < n; i++)
		list[i] = get_str(w, FIELD_MAX);
	*ret_n = n;
	return wire_done(w);
}

void
msg_ask_put(struct buf *b, const struct msg_ask *m)
{
	msg_put_capped(b, m->op, OP_MAX);
	put_list(b, m->arg, m->n, ASK_ARGS_MAX);
}

bool
msg_ask_get(struct str body, struct msg_ask *ret)
{
	struct wire w = wire_of(body);
	struct msg_ask m = { 0 };
	m.op = get_str(&w, OP_MAX);
	if (!get_list(&w, m.arg, ASK_ARGS_MAX, &m.n) || m.op.len == 0)
		return false;
	*ret = m;
	return true;
}

void
msg_row_put(struct buf *b, const struct msg_row *m)
{
	put_list(b, m->field, m->n, ROW_FIELDS_MAX);
}

bool
msg_row_get(struct str body, struct msg_row *ret)
{
	struct wire w = wire_of(body);
	struct msg_row m = { 0 };
	if (!get_list(&w, m.field, ROW_FIELDS_MAX, &m.n))
		return false;
	*ret = m;
	return true;
}

void
msg_done_put(struct buf *b, const struct msg_done *m)
{
	put_u8(b, m->code);
	put_str(b, str_first(m->text, TEXT_MAX));
}

bool
msg_done_get(struct str body, struct msg_done *ret)
{
	struct wire w = wire_of(body);
	struct msg_done m = { 0 };
	m.code = get_u8(&w);
	m.text = get_str(&w, TEXT_MAX);
	if (!wire_done(&w) || m.code >= CTL_CODE_COUNT)
		return false;
	*ret = m;
	return true;
}

void
msg_u8_put(struct buf *b, uint8_t v)
{
	put_u8(b, v);
}

bool
msg_u8_get(struct str body, uint8_t limit, uint8_t *ret)
{
	struct wire w = wire_of(body);
	uint8_t v = get_u8(&w);
	if (!wire_done(&w) || v >= limit)
		return false;
	*ret = v;
	return true;
}

void
msg_u16_put(struct buf *b, uint16_t v)
{
	put_u16(b, v);
}

bool
msg_u16_get(struct str body, uint16_t limit, uint16_t *ret)
{
	struct wire w = wire_of(body);
	uint16_t v = get_u16(&w);
	if (!wire_done(&w) || v >= limit)
		return false;
	*ret = v;
	return true;
}

void
msg_u32_put(struct buf *b, uint32_t v)
{
	put_u32(b, v);
}

bool
msg_u32_get(struct str body, uint32_t *ret)
{
	struct wire w = wire_of(body);
	uint32_t v = get_u32(&w);
	if (!wire_done(&w))
		return false;
	*ret = v;
	return true;
}
