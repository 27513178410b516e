/* STATUS (RFC 9051 6.3.11; RFC 7162, RFC 7889, RFC 8474): also for LIST RETURN (STATUS (...)). */
#include "imap/imap_priv.h"

enum {
	I_MESSAGES,
	I_RECENT,
	I_UIDNEXT,
	I_UIDVALIDITY,
	I_UNSEEN,
	I_DELETED,
	I_DELETED_STORAGE,
	I_SIZE,
	I_HIGHESTMODSEQ,
	I_APPENDLIMIT,
	I_MAILBOXID,
	I_COUNT
};
static const char *const items[I_COUNT] = {
	[I_MESSAGES] = "MESSAGES",
	[I_RECENT] = "RECENT",
	[I_UIDNEXT] = "UIDNEXT",
	[I_UIDVALIDITY] = "UIDVALIDITY",
	[I_UNSEEN] = "UNSEEN",
	[I_DELETED] = "DELETED",
	[I_DELETED_STORAGE] = "DELETED-STORAGE", /* RFC 9208 4.1.4; in units of 1,024 octets */
	[I_SIZE] = "SIZE",
	[I_HIGHESTMODSEQ] = "HIGHESTMODSEQ",
	[I_APPENDLIMIT] = "APPENDLIMIT",
	[I_MAILBOXID] = "MAILBOXID",
};

bool
imap_lex_status_items(struct imap_session *s, struct imap_lex *x, unsigned *ret)
{
	unsigned set = 0;
	(void)imap_lex_char(x, '(');
	do {
		struct str word = imap_lex_atom(x);
		unsigned i = 0;
		while (i < I_COUNT && !str_ieq(word, str_of(items[i])))
			i++;
		if (i == I_COUNT)
			return imap_lex_fail(x, "there is no such status item");
		set |= 1u << i;
	} while (imap_lex_try(x, ' '));
	/* RFC 7162 3.1: who asks for it wants to hear of it. */
	if (set & (1u << I_HIGHESTMODSEQ))
		s->enabled |= IMAP_CONDSTORE;
	*ret = set;
	return imap_lex_char(x, ')');
}

static void
put_item(struct imap_session *s, struct buf *out, unsigned item, const struct access_mailbox *m)
{
	const uint64_t values[I_COUNT] = {
		[I_MESSAGES] = m->messages,
		[I_UIDNEXT] = m->uidnext,
		[I_UIDVALIDITY] = m->uidvalidity,
		[I_UNSEEN] = m->unseen,
		[I_DELETED] = m->deleted,
		[I_DELETED_STORAGE] = (m->deleted_bytes + 1023) / 1024,
		[I_SIZE] = m->bytes,
		[I_HIGHESTMODSEQ] = MAX(m->modseq, (uint64_t)1),
		[I_APPENDLIMIT] = s->conf->max_size,
	};
	buf_putf(out, "%s ", items[item]);
	if (item == I_MAILBOXID) {
		buf_putc(out, '(');
		imap_put_mailbox_id(out, m->mailbox, m->uidvalidity);
		buf_putc(out, ')');
	} else if (item == I_APPENDLIMIT && values[item] == UINT64_MAX) {
		buf_putz(out, "NIL");
	} else {
		buf_putf(out, "%llu", (unsigned long long)values[item]);
	}
}

void
imap_put_status(struct imap_session *s, const struct access_mailbox *m, unsigned set)
{
	struct buf *out = s->cmd->out;
	const char *blank = "";
	buf_putz(out, "* STATUS ");
	imap_put_name(s, m->name);
	buf_putz(out, " (");
	for (unsigned i = 0; i < I_COUNT; i++) {
		if (!(set & (1u << i)))
			continue;
		buf_putz(out, blank);
		put_item(s, out, i, m);
		blank = " ";
	}
	buf_putz(out, ")\r\n");
}

struct status {
	struct str name;
	unsigned set;
};

static enum imap_run
opened(struct imap_session *s, const struct imap_answer *a)
{
	const struct status *x = s->cmd->data;
	struct wire w;
	struct access_head head;
	struct access_mailbox m;
	if (!imap_answer_get(a, &w, &head) || !access_mailbox_get(&w, &m))
		return imap_refuse(s, imap_answer_status(a), false);
	if (m.mailbox == 0 || (m.attrs & (ACCESS_NOSELECT | ACCESS_NONEXISTENT)))
		return imap_refuse(s, ACCESS_NOT_FOUND, false);
	m.name = x->name;
	imap_put_status(s, &m, x->set);
	return imap_ok(s, NULL, NULL);
}

enum imap_run
imap_cmd_status(struct imap_session *s)
{
	struct imap_lex *x = &s->cmd->lex;
	struct status *status = s->cmd->data = arena_alloc(&s->cmd->arena, sizeof(*status));
	enum imap_run run;
	check(status);
	(void)imap_lex_sp(x);
	struct str wire = imap_lex_astring(x, &s->cmd->arena);
	(void)imap_lex_sp(x);
	(void)(!x->bad && imap_lex_status_items(s, x, &status->set));
	if (!imap_lex_end(x))
		return imap_bad(s, "STATUS mailbox (items): %s", x->why);
	if (!imap_name(s, wire, &status->name, &run))
		return run;
	s->read = (struct access_ask){ .kind = ACCESS_OPEN, .fresh = true, .name = status->name };
	return imap_read(s, opened);
}
