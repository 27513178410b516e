#include "smtp/session_priv.h"

static void
refuse(struct smtp_turn *t, enum smtp_situation say)
{
	t->s->flags |= F_REFUSED;
	smtp_reply(t, say, NULL);
}

enum smtp_situation
smtp_no_rcpt(const struct smtp_txn *txn)
{
	if (txn->n_rcpt)
		return SMTP_NONE;
	return txn->n_rcpt_tried ? SMTP_DATA_NORCPT_VALID : SMTP_DATA_NORCPT;
}

static enum smtp_situation
data_objection(const struct smtp_txn *txn, struct str arg)
{
	if (!txn)
		return SMTP_DATA_NOMAIL;
	if (txn->merge)
		return SMTP_IPMM_DATA_IN_MERGE;
	if (arg.len)
		return SMTP_DATA_ARGS;
	if (txn->bdat)
		return SMTP_BDAT_OPEN; /* RFC 3030 2 */
	if (txn->body == BODY_BINARYMIME)
		return SMTP_DATA_BINARY; /* RFC 3030 3 */
	return smtp_no_rcpt(txn);
}

void
smtp_data(struct smtp_turn *t, struct str arg)
{
	enum smtp_situation no = data_objection(t->s->txn, arg);
	if (no == SMTP_NONE)
		smtp_ask(t, SMTP_ASK_DATA);
	else
		refuse(t, no);
}

bool
smtp_over_size(const struct smtp_session *s, uint64_t more)
{
	uint64_t total;
	return __builtin_add_overflow(s->txn->scan.size, more, &total) || total > s->conf->max_size;
}

static enum smtp_situation
bdat_objection(const struct smtp_session *s, enum bdat_verdict v, const struct bdat *b)
{
	if (v != BDAT_GOOD)
		return SMTP_BDAT_SYNTAX;
	if (!s->txn)
		return SMTP_DATA_NOMAIL;
	if (s->txn->merge)
		return SMTP_IPMM_DATA_IN_MERGE;
	if (smtp_no_rcpt(s->txn) != SMTP_NONE)
		return smtp_no_rcpt(s->txn);
	return smtp_over_size(s, b->size) ? SMTP_DATA_TOOBIG : SMTP_NONE;
}

/* RFC 2033 4.3: LAST has a reply for each recipient that was accepted, and none when there is
 * none, also where an earlier chunk has ended the transaction. */
static void
chunk_say(struct smtp_turn *t, enum smtp_situation say, const struct smtp_vars *vars, bool last)
{
	struct smtp_session *s = t->s;
	uint64_t n = s->txn ? s->txn->n_rcpt : s->owed;
	if (s->conf->lmtp)
		s->owed = last ? 0 : n;
	if (!s->conf->lmtp || !last)
		smtp_reply(t, say, vars);
	else if (s->txn && n > 0)
		smtp_reply_letter(t, say, vars);
	else
		while (n-- > 0 && s->phase != PHASE_CLOSED)
			smtp_reply(t, say, vars);
}

/*
 * RFC 3030 2 and R-PIPE: the octets of a refused chunk are eaten. The transaction ends with it:
 * chunks that follow in the pipeline would else be taken for the whole letter.
 */
static void
bdat_refuse(struct smtp_turn *t, enum bdat_verdict v, enum smtp_situation say, bool counted)
{
	struct smtp_session *s = t->s;
	if (v == BDAT_UNKNOWN)
		s->flags |= F_REFUSED;
	chunk_say(t, say, NULL, v == BDAT_GOOD && smtp_priv(s)->bdat.last);
	if (say != SMTP_IPMM_DATA_IN_MERGE)
		smtp_txn_end(t);
	if (s->phase == PHASE_CLOSED)
		return;
	if (v != BDAT_UNKNOWN)
		smtp_phase_set(t, PHASE_BDAT_SKIP);
	else if (counted)
		smtp_close(t); /* octets will come, and nobody knows how many */
}

void
smtp_bdat(struct smtp_turn *t, struct str arg)
{
	struct smtp_session *s = t->s;
	struct bdat b = { 0 };
	enum bdat_verdict v = bdat_parse(arg, &b);
	enum smtp_situation no = bdat_objection(s, v, &b);
	smtp_priv(s)->bdat = b;
	if (no != SMTP_NONE) {
		bdat_refuse(t, v, no, arg.len > 0);
	} else if (s->txn->bdat) {
		smtp_phase_set(t, PHASE_BDAT);
	} else {
		s->txn->bdat = true;
		smtp_ask(t, SMTP_ASK_DATA);
	}
}

void
smtp_answer_data(struct smtp_turn *t, const struct smtp_answer *a)
{
	struct smtp_session *s = t->s;
	struct smtp_private *p = smtp_priv(s);
	bool chunks = s->txn->bdat;
	if (a->situation != SMTP_NONE && s->arg.p) {
		smtp_burl_refuse(t, a->situation, a);
		return;
	}
	if (a->situation != SMTP_NONE) {
		struct smtp_vars vars = smtp_answer_vars(a);
		if (chunks)
			chunk_say(t, a->situation, &vars, p->bdat.last);
		else
			smtp_reply(t, a->situation, &vars);
		if (chunks)
			smtp_txn_end(t);
		if (s->phase == PHASE_CLOSED)
			return;
		if (chunks)
			smtp_phase_set(t, PHASE_BDAT_SKIP);
		else
			s->flags |= F_REFUSED;
		return;
	}
	p->qid = a->qid.len ? arena_str(&s->txn->arena, a->qid) : STR_NULL;
	p->body_octets = 0;
	s->flags |= F_BODY_OPEN;
	if (s->txn->merge)
		smtp_merging_go(t);
	if (!chunks) {
		dot_init(&p->dot, s->eol == EOL_LF, s->conf->dot_space_end);
		smtp_reply(t, s->txn->merge ? SMTP_XPRT_GO : SMTP_DATA_GO, NULL);
	}
	if (s->arg.p)
		smtp_ask(t, SMTP_ASK_BURL);
	else if (s->phase != PHASE_CLOSED)
		smtp_phase_set(t, chunks ? PHASE_BDAT : PHASE_DATA);
}

/* One pass: the scanner sees what the host gets. Past a limit the host gets nothing more. */
static enum smtp_step
chunk(struct smtp_turn *t, struct str octets)
{
	struct smtp_session *s = t->s;
	struct smtp_txn *txn = s->txn;
	if (s->flags & F_SWALLOW)
		return SMTP_MORE;
	txn->too_big = txn->merge ? !smtp_merging_feed(t, octets) : smtp_over_size(s, octets.len);
	if (!txn->too_big)
		scan_feed(&txn->scan, octets);
	if (txn->too_big || (!txn->merge && txn->scan.header_too_big)) {
		s->flags |= F_SWALLOW | F_DROP;
		return SMTP_MORE;
	}
	s->chunk = octets;
	return SMTP_BODY;
}

/* Lines end in CRLF, and NUL has no place, unless the letter is binary (R-EOL, RFC 3030 3). */
enum smtp_situation
smtp_verdict(const struct smtp_session *s)
{
	const struct smtp_txn *txn = s->txn;
	const struct scan *scan = &txn->scan;
	bool binary = txn->body == BODY_BINARYMIME;
	if (txn->too_big)
		return txn->merge ? SMTP_XPRT_TOOBIG : SMTP_DATA_TOOBIG;
	if (!txn->merge && scan->header_too_big)
		return SMTP_DATA_HEADERTOOBIG;
	if (!binary && (scan->bare_cr || scan->bare_lf))
		return SMTP_DATA_BARELF;
	if (!binary && scan->nul)
		return SMTP_DATA_NUL;
	if (txn->merge)
		return SMTP_NONE; /* each letter has its own header */
	if (scan->count[SCAN_RECEIVED] > s->conf->hops)
		return SMTP_DATA_HOPS;
	if (scan->count[SCAN_FROM] > 1 && !s->conf->two_from_ok)
		return SMTP_DATA_TWOFROM;
	return SMTP_NONE;
}

static void
letter_whole(struct smtp_turn *t)
{
	struct smtp_session *s = t->s;
	if (!s->txn->merge)
		scan_end(&s->txn->scan);
	smtp_notef(t, "%llu octets of data", (unsigned long long)s->priv->body_octets);
	smtp_phase_set(t, PHASE_COMMAND);
	if (s->txn->merge) {
		smtp_merging_part(t);
		return;
	}
	enum smtp_situation no = smtp_verdict(s);
	if (no == SMTP_NONE) {
		smtp_ask(t, SMTP_ASK_COMMIT);
	} else {
		smtp_reply_letter(t, no, NULL);
		smtp_txn_end(t);
	}
}

/* The host has its letter back, with whatever it answered: nothing is dropped any more. */
void
smtp_answer_commit(struct smtp_turn *t, const struct smtp_answer *a)
{
	struct smtp_session *s = t->s;
	struct smtp_vars vars = smtp_answer_vars(a);
	s->flags &= ~(unsigned)F_BODY_OPEN;
	if (!vars.v[SMTP_VAR_qid].len)
		vars.v[SMTP_VAR_qid] = s->priv->qid;
	if (a->situation == SMTP_NONE) {
		s->delivered++;
		s->last_inject = t->clock->now;
	}
	enum smtp_situation good = s->txn->merge ? SMTP_XPRT_LAST : SMTP_DATA_OK;
	char count[24];
	if (s->txn->merge)
		vars.v[SMTP_VAR_nmsgs] = smtp_merging_count(s->txn, count);
	smtp_reply_letter(t, a->situation == SMTP_NONE ? good : a->situation, &vars);
	smtp_txn_end(t);
}

static void
count(struct smtp_turn *t, size_t before)
{
	t->s->priv->body_octets += before - t->in->len;
	if (before != t->in->len)
		t->s->last_input = t->clock->now;
}

enum smtp_step
smtp_body_dot(struct smtp_turn *t)
{
	struct smtp_session *s = t->s;
	for (;;) {
		struct str octets = STR_NULL;
		size_t before = t->in->len;
		enum dot_step step = dot_feed(&s->priv->dot, t->in, &octets);
		count(t, before);
		if (step == DOT_END)
			letter_whole(t);
		if (step != DOT_CHUNK)
			return SMTP_MORE;
		if (chunk(t, octets) == SMTP_BODY)
			return SMTP_BODY;
		if (s->flags & F_DROP)
			return SMTP_MORE;
	}
}

enum smtp_step
smtp_body_bdat(struct smtp_turn *t)
{
	struct smtp_session *s = t->s;
	struct bdat *b = &s->priv->bdat;
	char size[24];
	if (b->left) {
		size_t before = t->in->len;
		struct str octets = bdat_take(b, t->in);
		count(t, before);
		return octets.len ? chunk(t, octets) : SMTP_MORE;
	}
	if (b->last) {
		letter_whole(t);
		return SMTP_MORE;
	}
	struct buf text = BUF_INIT(sizeof(size));
	buf_putf(&text, "%llu", (unsigned long long)b->size);
	struct smtp_vars vars = { .v = { [SMTP_VAR_size] = buf_str(&text) } };
	bool fetched = s->phase == PHASE_BURL;
	smtp_phase_set(t, PHASE_COMMAND);
	smtp_reply(t, fetched ? SMTP_BURL_OK : SMTP_BDAT_OK, &vars);
	buf_done(&text);
	return SMTP_MORE;
}

enum smtp_step
smtp_body_skip(struct smtp_turn *t)
{
	size_t before = t->in->len;
	bdat_take(&t->s->priv->bdat, t->in);
	count(t, before);
	if (!t->s->priv->bdat.left)
		smtp_phase_set(t, PHASE_COMMAND);
	return SMTP_MORE;
}
