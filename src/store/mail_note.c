/* What a change of mail leaves in the histories of its letters. */
#include "store/mail_priv.h"

#define NOTED_MAX (256u << 10)

void
mail_note_letter(struct mail_op *op, uint32_t mailbox, uint64_t letter, uint32_t uid)
{
	struct buf *b = &op->out.noted;
	if (!op->by.who.len)
		return;
	b->max = NOTED_MAX;
	store_note_line(b, op->account, mailbox, letter, uid);
}

static const char *
verb_of(const struct mail_op *op)
{
	bool seen = op->out.noted_flags & MAILBOX_SEEN,
	     gone = op->out.noted_flags & MAILBOX_DELETED;
	switch (op->kind) {
	case MAIL_FLAGS:
		return seen && gone ? "seen and marked as deleted"
		       : gone       ? "marked as deleted"
		                    : "seen";
	case MAIL_EXPUNGE:
		return "expunged";
	case MAIL_COPY:
		return op->move ? "moved" : "copied";
	case MAIL_OUTLINES:
	case MAIL_KINDS:
		break;
	}
	return "changed";
}

bool
mail_note_put(const struct mail_op *op, struct buf *out)
{
	struct buf text = BUF_INIT(MAIL_WHO_MAX + 64);
	/* Without its note a change is made all the same. */
	if (!op->out.noted.len || op->out.noted.failed)
		return false;
	buf_putf(&text, "%s " STR_FMT "\n", verb_of(op), STR_ARG(op->by.who));
	trace_payload_put_note(out, &(struct store_note){ .kind = STORE_NOTE_MAILBOX,
					.session = op->by.session,
					.time_ms = op->by.now_ms,
					.rcpts = buf_str(&op->out.noted),
					.peer = op->by.peer,
					.octets = buf_str(&text) });
	buf_done(&text);
	return true;
}
