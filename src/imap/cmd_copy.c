/* COPY, MOVE and their UID forms (RFC 9051 6.4.7, 6.4.8, RFC 6851, RFC 4315 3). */
#include "imap/walk_priv.h"

#include "base/check.h"

#define TEXT_MAX IMAP_COMMAND_MAX

struct copy {
	bool uid, move;
	struct str name;
	struct imap_set set;
	struct uidset uids;
	size_t chunk;
	struct buf octets;
	struct buf from, to; /* of COPYUID, in matching order */
	uint32_t uidvalidity;
	enum access_status status;
};

static enum imap_run next(struct imap_session *s);

static void
drop(struct imap_session *s)
{
	struct copy *c = s->cmd->data;
	uidset_done(&c->uids);
	buf_done(&c->octets);
	buf_done(&c->from);
	buf_done(&c->to);
}

/* Ranges in the order they come, which need not ascend. False: they cannot be read. */
static bool
ranges_text(struct str octets, struct buf *out, uint64_t *ret_count)
{
	struct wire w = wire_of(octets);
	while (w.left && !w.bad) {
		uint32_t first = get_u32(&w), last = get_u32(&w);
		if (w.bad || first == 0 || last < first)
			return false;
		*ret_count += (uint64_t)last - first + 1;
		buf_putf(out, first == last ? "%s%u" : "%s%u:%u", out->len ? "," : "", first, last);
	}
	return !w.bad;
}

static bool
copied(struct copy *c, struct str octets)
{
	struct access_changed done;
	uint64_t from = 0, to = 0;
	if (!access_changed_get(octets, &done) || !ranges_text(done.uids, &c->from, &from) ||
	    !ranges_text(done.to_uids, &c->to, &to) || from != to)
		return false;
	c->uidvalidity = done.uidvalidity;
	return true;
}

static const char *
copyuid(struct copy *c, struct buf *out)
{
	if (!c->from.len || c->from.failed || c->to.failed)
		return NULL;
	buf_putf(out, "COPYUID %u ", c->uidvalidity);
	buf_puts(out, buf_str(&c->from));
	buf_putc(out, ' ');
	buf_puts(out, buf_str(&c->to));
	return out->failed ? NULL : buf_cstr(out);
}

static enum imap_run
moved(struct imap_session *s, const struct imap_answer *a)
{
	(void)a;
	struct copy *c = s->cmd->data;
	char code[IMAP_MODSEQ_CODE];
	if (c->status != ACCESS_OK)
		return imap_refuse(s, c->status, true);
	return imap_ok(s, c->from.len ? imap_modseq_code(s, code) : NULL, NULL);
}

/* RFC 6851 4.3: COPYUID goes before the EXPUNGEs. */
static enum imap_run
end(struct imap_session *s)
{
	struct copy *c = s->cmd->data;
	struct buf code = BUF_INIT(2 * TEXT_MAX + 64);
	const char *text = copyuid(c, &code);
	enum imap_run run;
	if (c->move) {
		if (text)
			buf_putf(s->cmd->out, "* OK [%s] Moved UIDs.\r\n", text);
		run = c->from.len ? imap_view_sync(s, &(struct imap_sync){ 0 }, moved)
		                  : moved(s, NULL);
	} else if (c->status != ACCESS_OK) {
		run = imap_refuse(s, c->status, true);
	} else {
		run = imap_ok(s, text, NULL);
	}
	buf_done(&code);
	return run;
}

static enum imap_run
answered(struct imap_session *s, const struct imap_answer *a)
{
	struct copy *c = s->cmd->data;
	c->status = a->status;
	/* A move that a full disk ended tells how far it came. */
	if ((a->status == ACCESS_OK || a->octets.len) && !copied(c, a->octets))
		return imap_refuse(s, a->status == ACCESS_OK ? ACCESS_FAILED : a->status, true);
	return c->status == ACCESS_OK ? next(s) : end(s);
}

static enum imap_run
next(struct imap_session *s)
{
	struct copy *c = s->cmd->data;
	size_t n = MIN(c->uids.n - c->chunk, (size_t)ACCESS_RANGES_MAX);
	if (!n)
		return end(s);
	buf_reset(&c->octets);
	uidset_put(&c->octets, &(struct uidset){ .r = c->uids.r + c->chunk, .n = n });
	c->chunk += n;
	s->change = (struct access_change){
		.kind = c->move ? ACCESS_MOVE : ACCESS_COPY,
		.mailbox = s->view->mailbox,
		.name = c->name,
		.uids = buf_str(&c->octets),
		.unchanged_since = UINT64_MAX,
	};
	return imap_change(s, answered);
}

static enum imap_run
mapped(struct imap_session *s, const struct imap_answer *a)
{
	(void)a;
	struct copy *c = s->cmd->data;
	if (!imap_walk_set(s, &c->set, c->uid, &c->uids))
		return imap_bad(s, "a message with this number does not exist");
	if (c->uids.failed)
		return imap_no(s, "LIMIT", "too many ranges of messages");
	/* Few ranges make one change, and one change is all or nothing. */
	imap_walk_coarsen(s->view->map, &c->uids);
	if (!c->uids.n)
		return imap_ok(s, NULL, "No messages found.");
	return next(s);
}

static enum imap_run
begin(struct imap_session *s, bool uid, bool move)
{
	struct imap_lex *x = &s->cmd->lex;
	struct copy *c = arena_alloc(&s->cmd->arena, sizeof(*c));
	enum imap_run run;
	if (!c)
		return imap_no(s, "LIMIT", "out of memory");
	s->cmd->data = c;
	s->cmd->drop = drop;
	c->uid = uid;
	c->move = move;
	buf_init(&c->octets, ACCESS_RANGES_MAX * 8);
	buf_init(&c->from, TEXT_MAX);
	buf_init(&c->to, TEXT_MAX);
	(void)imap_lex_sp(x);
	(void)imap_lex_set(x, &s->cmd->arena, &c->set);
	(void)imap_lex_sp(x);
	struct str name = imap_lex_astring(x, &s->cmd->arena);
	if (!imap_lex_end(x))
		return imap_bad(s, "%s", x->why);
	if (!imap_name(s, name, &c->name, &run))
		return run;
	if (move && s->view->read_only)
		return imap_no(s, "READ-ONLY", "the mailbox was opened read-only");
	return imap_view_map(s, mapped);
}

enum imap_run
imap_cmd_copy(struct imap_session *s)
{
	return begin(s, false, false);
}

enum imap_run
imap_cmd_uid_copy(struct imap_session *s)
{
	return begin(s, true, false);
}

enum imap_run
imap_cmd_move(struct imap_session *s)
{
	return begin(s, false, true);
}

enum imap_run
imap_cmd_uid_move(struct imap_session *s)
{
	return begin(s, true, true);
}
