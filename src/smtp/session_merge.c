#include "smtp/session_priv.h"

#include <stdio.h>

#define ARG_SHOWN_MAX 64 /* octets of an argument that a reply repeats */

bool
smtp_merging_parts(const struct smtp_txn *txn)
{
	return txn->merge->part != NULL;
}

void
smtp_xmrg(struct smtp_turn *t, struct str arg)
{
	const struct smtp_txn *txn = t->s->txn;
	if (txn && txn->merge && smtp_merging_parts(txn))
		smtp_reply(t, SMTP_IPMM_RECEIVING_PARTS, NULL);
	else if (txn)
		smtp_reply(t, SMTP_MAIL_NESTED, NULL);
	else
		smtp_mail_begin(t, arg, true);
}

static enum smtp_situation
define(struct smtp_txn *txn, struct str arg)
{
	if (!txn || !txn->merge)
		return SMTP_IPMM_NOT_IN_MERGE;
	if (smtp_merging_parts(txn))
		return SMTP_IPMM_RECEIVING_PARTS;
	return smtp_merge_define(txn->merge, arg);
}

void
smtp_xdfn(struct smtp_turn *t, struct str arg)
{
	enum smtp_situation no = define(t->s->txn, arg);
	smtp_reply(t, no == SMTP_NONE ? SMTP_XDFN_OK : no, NULL);
}

/* The first refusal that was not said is said now, and it ends the merge. */
static void
say_held(struct smtp_turn *t)
{
	struct smtp_session *s = t->s;
	size_t from = t->out->len;
	buf_puts(t->out, buf_str(&s->txn->merge->held));
	smtp_note_replies(t, from);
	s->refused++;
	s->flags |= F_REFUSED;
	smtp_txn_end(t);
}

static enum smtp_situation
part_objection(struct smtp_txn *txn, struct str arg, struct str *ret_bad)
{
	if (!txn)
		return SMTP_IPMM_NOT_IN_MERGE;
	if (!txn->merge)
		return SMTP_IPMM_XPRT_IN_PLAIN;
	if (txn->body == BODY_BINARYMIME)
		return SMTP_DATA_BINARY; /* RFC 3030 3: not in lines */
	if (!txn->n_rcpt)
		return txn->n_rcpt_tried ? SMTP_DATA_NORCPT_VALID : SMTP_DATA_NORCPT;
	return smtp_merge_xprt(txn->merge, arg, ret_bad);
}

void
smtp_xprt(struct smtp_turn *t, struct str arg)
{
	struct smtp_txn *txn = t->s->txn;
	struct str bad = STR_NULL;
	if (txn && txn->merge && txn->merge->held.len) {
		say_held(t);
		return;
	}
	enum smtp_situation no = part_objection(txn, arg, &bad);
	if (no == SMTP_NONE) {
		smtp_ask(t, smtp_merging_parts(txn) ? SMTP_ASK_PART : SMTP_ASK_DATA);
		return;
	}
	/* As behind DATA: what waits there unasked is a part, not commands (R-PIPE). */
	t->s->flags |= F_REFUSED;
	smtp_reply_arg(t, no, str_first(bad, ARG_SHOWN_MAX));
}

static void
acknowledge(struct smtp_turn *t, struct str arg, unsigned flags, const char *syntax)
{
	if (str_ieq(arg, STR("OFF"))) {
		t->s->flags |= flags;
		smtp_reply(t, SMTP_ACKRCPT_OK, NULL);
	} else if (str_ieq(arg, STR("ON"))) {
		t->s->flags &= ~flags;
		smtp_reply(t, SMTP_ACKRCPT_OK, NULL);
	} else if (arg.len) {
		smtp_reply_arg(t, SMTP_MAIL_BADVALUE, str_first(arg, ARG_SHOWN_MAX));
	} else {
		smtp_reply_arg(t, SMTP_CMD_SYNTAX, str_of(syntax));
	}
}

void
smtp_ackrcpt(struct smtp_turn *t, struct str arg)
{
	acknowledge(t, arg, F_RCPT_QUIET, "XLSMTP-ACKRCPT ON|OFF");
}

void
smtp_xack(struct smtp_turn *t, struct str arg)
{
	acknowledge(t, arg, F_RCPT_QUIET | F_XDFN_QUIET, "XACK ON|OFF");
}

void
smtp_merging_quiet(struct smtp_turn *t, enum smtp_situation s, struct str text)
{
	struct smtp_merge *m = t->s->txn ? t->s->txn->merge : NULL;
	smtp_notef(t, "this reply is not sent:");
	for (struct str rest = text; rest.len;)
		smtp_note(t, "s: ", str_rtrim(str_cut(&rest, '\n')));
	if (m && !m->held.len && smtp_reply_code(t->s->conf->wording, s) >= 400)
		buf_puts(&m->held, text);
}

void
smtp_merging_go(struct smtp_turn *t)
{
	/* What a line of a part is, its place in a letter decides; here only octets count. */
	static const struct scan_limits no_limits = { UINT64_MAX, UINT64_MAX };
	struct smtp_txn *txn = t->s->txn;
	scan_init(&txn->scan, &no_limits);
	smtp_merge_part_begin(txn->merge);
}

bool
smtp_merging_feed(struct smtp_turn *t, struct str octets)
{
	struct smtp_txn *txn = t->s->txn;
	uint64_t max = t->s->conf->max_size, len = txn->scan.size;
	return len <= max && octets.len <= max - len && smtp_merge_part_feed(txn->merge, octets);
}

struct str
smtp_merging_count(const struct smtp_txn *txn, char dst[24])
{
	int len = snprintf(dst, 24, "%llu", (unsigned long long)txn->n_rcpt);
	return str_n(dst, (size_t)len);
}

void
smtp_merging_part(struct smtp_turn *t)
{
	struct smtp_session *s = t->s;
	struct smtp_merge *m = s->txn->merge;
	bool last = m->now_last;
	smtp_merge_part_end(m);
	enum smtp_situation no = smtp_verdict(s);
	if (no != SMTP_NONE) {
		smtp_reply(t, no, NULL);
		smtp_txn_end(t);
	} else if (!last) {
		smtp_reply(t, SMTP_XPRT_OK, NULL);
	} else {
		smtp_merge_seal(m, s->txn->from.whole, t->clock->wall, t->clock->zone);
		smtp_ask(t, SMTP_ASK_COMMIT);
	}
}
