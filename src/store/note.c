/* Histories: of letters, and notes that are written with a batch. */
#include "store/record.h"
#include "store/store_priv.h"

#include "base/check.h"
#include "log/log.h"

#include <errno.h>

#define TRACE_VERSION 2            /* 1 had no kind, message-id and peer */
#define NOTES_BYTES_MAX (8u << 20) /* of a batch */

void
trace_payload_put(struct buf *b, const struct store_letter *l)
{
	put_u8(b, TRACE_VERSION);
	put_u8(b, STORE_NOTE_LETTER);
	put_u64(b, l->letter);
	put_u64(b, l->session);
	put_u64(b, l->time_ms);
	put_str(b, l->qid);
	put_str(b, l->from);
	put_str(b, l->envid);
	put_str(b, l->ret);
	size_t at = b->len;
	put_u32(b, 0);
	for (size_t i = 0; i < l->n_rcpt; i++) {
		const struct store_rcpt *r = &l->rcpt[i];
		buf_putf(b, "%llu %u ", (unsigned long long)r->account, r->mailbox);
		buf_puts(b, r->rcpt);
		buf_putc(b, '\n');
	}
	buf_puts(b, l->onward);
	if (!b->failed)
		be32_put((unsigned char *)b->p + at, (uint32_t)(b->len - at - 4));
	put_str(b, l->message_id);
	put_str(b, l->peer);
	put_str(b, l->history);
}

void
trace_payload_put_note(struct buf *b, const struct store_note *n)
{
	put_u8(b, TRACE_VERSION);
	put_u8(b, n->kind);
	put_u64(b, n->letter);
	put_u64(b, n->session);
	put_u64(b, n->time_ms);
	put_str(b, n->qid);
	put_str(b, n->from);
	put_str(b, STR_NULL);
	put_str(b, STR_NULL);
	put_str(b, n->rcpts);
	put_str(b, n->message_id);
	put_str(b, n->peer);
	put_str(b, n->octets);
}

bool
trace_payload_get(struct str payload, struct trace_payload *ret)
{
	struct wire w = wire_of(payload);
	struct trace_payload t = { 0 };
	uint8_t version = get_u8(&w);
	if (version != 1)
		t.kind = get_u8(&w);
	t.letter = get_u64(&w);
	t.session = get_u64(&w);
	t.time_ms = get_u64(&w);
	t.qid = get_str(&w, RECORD_TEXT_MAX);
	t.from = get_str(&w, RECORD_TEXT_MAX);
	t.envid = get_str(&w, RECORD_TEXT_MAX);
	t.ret = get_str(&w, RECORD_TEXT_MAX);
	t.rcpts = get_str(&w, payload.len);
	if (version != 1) {
		t.message_id = get_str(&w, RECORD_TEXT_MAX);
		t.peer = get_str(&w, RECORD_TEXT_MAX);
	}
	t.history = get_str(&w, RECORD_HISTORY_MAX);
	if (!wire_done(&w) || version == 0 || version > TRACE_VERSION || t.kind >= STORE_NOTE_KINDS)
		return false;
	*ret = t;
	return true;
}

void
store_note_line(struct buf *rcpts, uint64_t account, uint32_t mailbox, uint64_t letter,
    uint32_t uid)
{
	char id[14];
	id_format(id, letter);
	buf_putf(rcpts, "%llu %u %s %u\n", (unsigned long long)account, mailbox, id, uid);
}

static bool
fits(const struct store_note *n)
{
	return n->kind < STORE_NOTE_KINDS && n->qid.len <= RECORD_TEXT_MAX &&
	       n->from.len <= RECORD_TEXT_MAX && n->message_id.len <= RECORD_TEXT_MAX &&
	       n->peer.len <= RECORD_TEXT_MAX && n->rcpts.len <= STORE_NOTE_MAX &&
	       n->octets.len <= STORE_NOTE_MAX;
}

void
store_note(struct store_batch *b, const struct store_note *n)
{
	if (!fits(n))
		return batch_refuse(b, n->kind < STORE_NOTE_KINDS ? -E2BIG : -EINVAL);
	if (b->rc < 0)
		return; /* what is refused needs none */
	b->notes.max = NOTES_BYTES_MAX;
	put_u64(&b->notes, n->letter);
	size_t at = b->notes.len;
	put_u32(&b->notes, 0);
	trace_payload_put_note(&b->notes, n);
	if (b->notes.failed)
		return batch_refuse(b, -E2BIG);
	be32_put((unsigned char *)b->notes.p + at, (uint32_t)(b->notes.len - at - 4));
}

bool
note_next(struct wire *notes, uint64_t *ret_letter, struct str *ret_payload)
{
	if (notes->left == 0)
		return false;
	*ret_letter = get_u64(notes);
	*ret_payload = get_str(notes, NOTES_BYTES_MAX);
	check(!notes->bad);
	return true;
}
