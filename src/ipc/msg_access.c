#include "ipc/msg_priv.h"

#define IDENTITY_MAX 512
#define PEER_TEXT_MAX 64

static void
put_mac(struct buf *b, struct str mac)
{
	if (mac.len && mac.len != MSG_MAC_LEN)
		b->failed = true;
	put_str(b, mac);
}

/* A mac is whole or, where there may be none, empty. */
static struct str
get_mac(struct wire *w, bool wanted)
{
	struct str mac = get_str(w, MSG_MAC_LEN);
	if (mac.len != (wanted ? MSG_MAC_LEN : 0))
		w->bad = true;
	return mac;
}

static void
put_pass(struct buf *b, const struct msg_pass *m)
{
	put_u64(b, m->account);
	put_mac(b, m->mac);
}

static struct msg_pass
get_pass(struct wire *w)
{
	struct msg_pass m = { 0 };
	m.account = get_u64(w);
	m.mac = get_mac(w, true);
	return m;
}

static uint8_t
get_status(struct wire *w)
{
	uint8_t status = get_u8(w);
	if (status >= MSG_ACCESS_STATUS_MAX)
		w->bad = true;
	return status;
}

void
msg_enter_put(struct buf *b, const struct msg_enter *m)
{
	msg_put_capped(b, m->address, IDENTITY_MAX);
	put_u64(b, m->time_ms);
	put_mac(b, m->mac);
}

bool
msg_enter_get(struct str body, struct msg_enter *ret)
{
	struct wire w = wire_of(body);
	struct msg_enter m = { 0 };
	m.address = msg_get_line(&w, IDENTITY_MAX);
	m.time_ms = get_u64(&w);
	m.mac = get_mac(&w, true);
	if (!wire_done(&w) || m.address.len == 0)
		return false;
	*ret = m;
	return true;
}

void
msg_entered_put(struct buf *b, const struct msg_entered *m)
{
	put_u8(b, m->status);
	put_u64(b, m->account);
	put_mac(b, m->mac);
}

bool
msg_entered_get(struct str body, struct msg_entered *ret)
{
	struct wire w = wire_of(body);
	struct msg_entered m = { 0 };
	m.status = get_status(&w);
	m.account = get_u64(&w);
	m.mac = get_mac(&w, m.status == 0);
	if (!wire_done(&w))
		return false;
	*ret = m;
	return true;
}

void
msg_read_put(struct buf *b, const struct msg_read *m)
{
	put_u16(b, m->slot);
	put_pass(b, &m->pass);
	msg_put_capped(b, m->ask, MSG_ASK_MAX);
}

bool
msg_read_get(struct str body, struct msg_read *ret)
{
	struct wire w = wire_of(body);
	struct msg_read m = { 0 };
	m.slot = get_u16(&w);
	m.pass = get_pass(&w);
	m.ask = get_str(&w, MSG_ASK_MAX);
	if (!wire_done(&w) || m.slot >= READ_SLOTS)
		return false;
	*ret = m;
	return true;
}

void
msg_read_done_put(struct buf *b, const struct msg_read_done *m)
{
	put_u8(b, m->status);
	put_u32(b, m->len);
}

bool
msg_read_done_get(struct str body, struct msg_read_done *ret)
{
	struct wire w = wire_of(body);
	struct msg_read_done m = { 0 };
	m.status = get_status(&w);
	m.len = get_u32(&w);
	if (!wire_done(&w) || m.len > READ_SLOT_SIZE || (m.status && m.len))
		return false;
	*ret = m;
	return true;
}

void
msg_access_change_put(struct buf *b, const struct msg_access_change *m)
{
	put_pass(b, &m->pass);
	put_u64(b, m->session);
	msg_put_capped(b, m->address, IDENTITY_MAX);
	msg_put_capped(b, m->change, MSG_CHANGE_MAX);
	msg_put_capped(b, m->peer, PEER_TEXT_MAX);
}

bool
msg_access_change_get(struct str body, struct msg_access_change *ret)
{
	struct wire w = wire_of(body);
	struct msg_access_change m = { 0 };
	m.pass = get_pass(&w);
	m.session = get_u64(&w);
	m.address = get_str(&w, IDENTITY_MAX);
	m.change = get_str(&w, MSG_CHANGE_MAX);
	m.peer = msg_get_line(&w, PEER_TEXT_MAX);
	if (!wire_done(&w))
		return false;
	*ret = m;
	return true;
}

void
msg_access_done_put(struct buf *b, const struct msg_access_done *m)
{
	put_u8(b, m->status);
	msg_put_capped(b, m->octets, MSG_CHANGE_MAX);
}

bool
msg_access_done_get(struct str body, struct msg_access_done *ret)
{
	struct wire w = wire_of(body);
	struct msg_access_done m = { 0 };
	m.status = get_status(&w);
	m.octets = get_str(&w, MSG_CHANGE_MAX);
	if (!wire_done(&w))
		return false;
	*ret = m;
	return true;
}

void
msg_watch_put(struct buf *b, const struct msg_watch *m)
{
	put_pass(b, &m->pass);
	put_u32(b, m->mailbox);
	put_u64(b, m->since);
}

bool
msg_watch_get(struct str body, struct msg_watch *ret)
{
	struct wire w = wire_of(body);
	struct msg_watch m = { 0 };
	m.pass = get_pass(&w);
	m.mailbox = get_u32(&w);
	m.since = get_u64(&w);
	if (!wire_done(&w))
		return false;
	*ret = m;
	return true;
}

void
msg_room_put(struct buf *b, const struct msg_room *m)
{
	put_u64(b, m->account);
	put_u64(b, m->octets);
}

bool
msg_room_get(struct str body, struct msg_room *ret)
{
	struct wire w = wire_of(body);
	struct msg_room m = { 0 };
	m.account = get_u64(&w);
	m.octets = get_u64(&w);
	if (!wire_done(&w))
		return false;
	*ret = m;
	return true;
}
