#include "ipc/msg_priv.h"

void
msg_piece_put(struct buf *b, const struct msg_piece *m)
{
	put_u8(b, m->literal);
	if (m->literal) {
		msg_put_capped(b, m->text, VIEW_MAX);
		return;
	}
	put_u64(b, m->off);
	put_u64(b, m->len);
}

bool
msg_piece_get(struct wire *w, struct msg_piece *ret)
{
	struct msg_piece m = { 0 };
	m.literal = get_bool(w);
	if (m.literal) {
		m.text = get_str(w, VIEW_MAX);
	} else {
		m.off = get_u64(w);
		m.len = get_u64(w);
		if (m.len > UINT64_MAX - m.off)
			w->bad = true;
	}
	if (w->bad)
		return false;
	*ret = m;
	return true;
}

static bool
pieces_valid(const struct msg_view *m)
{
	struct wire w = wire_of(m->pieces);
	struct msg_piece piece;
	uint64_t left = m->size;
	for (uint16_t i = 0; i < m->n_pieces; i++) {
		if (!msg_piece_get(&w, &piece))
			return false;
		uint64_t n = piece.literal ? piece.text.len : piece.len;
		if (n > left)
			return false;
		left -= n;
	}
	return wire_done(&w) && left == 0;
}

/* Whom the view is for: a mailbox, or somebody elsewhere; never both. */
static void
whom_put(struct buf *b, const struct msg_view *m)
{
	msg_rcpt_put(b, &m->rcpt);
	if (m->rcpt.account)
		return;
	msg_onward_put(b, &m->onward);
	msg_facts_put(b, &m->facts);
	put_u64(b, m->session);
	put_u64(b, m->time_ms);
	msg_put_capped(b, m->from, ADDRESS_MAX);
	msg_put_capped(b, m->envid, ENVID_MAX);
	msg_put_capped(b, m->ret, RET_MAX);
	msg_put_capped(b, m->qid, QID_MAX);
	msg_put_capped(b, m->peer, PEER_TEXT_MAX);
}

static bool
whom_get(struct wire *w, struct msg_view *m)
{
	if (!msg_rcpt_get(w, &m->rcpt))
		return false;
	if (m->rcpt.account)
		return true;
	if (m->rcpt.rcpt.len + m->rcpt.notify.len + m->rcpt.orcpt.len > 0 ||
	    !msg_onward_get(w, &m->onward) || !msg_facts_get(w, &m->facts))
		return false;
	m->session = get_u64(w);
	m->time_ms = get_u64(w);
	m->from = msg_get_line(w, ADDRESS_MAX);
	m->envid = msg_get_line(w, ENVID_MAX);
	m->ret = msg_get_line(w, RET_MAX);
	m->qid = msg_get_line(w, QID_MAX);
	m->peer = msg_get_line(w, PEER_TEXT_MAX);
	return !w->bad;
}

void
msg_view_put(struct buf *b, const struct msg_view *m)
{
	size_t before = b->len;
	whom_put(b, m);
	put_u64(b, m->size);
	put_u32(b, m->header_len);
	put_u8(b, m->insert_blank);
	put_u16(b, m->n_pieces);
	put_str(b, m->pieces);
	if (b->len - before > VIEW_MAX || m->n_pieces > VIEW_PIECES_MAX)
		b->failed = true;
}

bool
msg_view_get(struct wire *w, struct msg_view *ret)
{
	struct msg_view m = { 0 };
	size_t before = w->left;
	if (!whom_get(w, &m)) {
		w->bad = true;
		return false;
	}
	m.size = get_u64(w);
	m.header_len = get_u32(w);
	m.insert_blank = get_bool(w);
	m.n_pieces = get_u16(w);
	m.pieces = get_str(w, VIEW_MAX);
	if (w->bad || before - w->left > VIEW_MAX || m.n_pieces > VIEW_PIECES_MAX ||
	    m.header_len > m.size || !pieces_valid(&m)) {
		w->bad = true;
		return false;
	}
	*ret = m;
	return true;
}
