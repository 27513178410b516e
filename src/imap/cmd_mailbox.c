/* CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE (RFC 9051 6.3.4 to 6.3.8; RFC 6154). */
#include "imap/imap_priv.h"

struct names {
	struct str given[2], name[2];
	unsigned attrs;
};

void
imap_put_mailbox_id(struct buf *out, uint32_t mailbox, uint32_t uidvalidity)
{
	buf_putf(out, "M%x-%x", mailbox, uidvalidity);
}

/* The special uses that may be asked for. */
static unsigned
use_of(struct str word)
{
	static const struct {
		const char *name;
		unsigned attr;
	} uses[] = {
		{ "\\Archive", ACCESS_ARCHIVE },
		{ "\\Drafts", ACCESS_DRAFTS },
		{ "\\Junk", ACCESS_JUNK },
		{ "\\Sent", ACCESS_SENT },
		{ "\\Trash", ACCESS_TRASH },
	};
	for (size_t i = 0; i < ARRAY_LEN(uses); i++)
		if (str_ieq(word, str_of(uses[i].name)))
			return uses[i].attr;
	return 0;
}

/* SP "(USE (\Sent ...))"; false also where one of them cannot be: then x is not bad. */
static bool
use_param(struct imap_lex *x, unsigned *ret)
{
	struct str word;
	bool known = true;
	(void)imap_lex_char(x, '(');
	if (!str_ieq(imap_lex_atom(x), STR("USE")))
		return imap_lex_fail(x, "there is no such parameter");
	(void)imap_lex_sp(x);
	(void)imap_lex_char(x, '(');
	if (!imap_lex_try(x, ')')) {
		do {
			if (!imap_lex_flag(x, &word))
				return false;
			known = known && use_of(word);
			*ret |= use_of(word);
		} while (imap_lex_try(x, ' '));
		(void)imap_lex_char(x, ')');
	}
	return imap_lex_char(x, ')') && known;
}

/* Name arguments: n of them; false: *ret_run says why. */
static bool
names(struct imap_session *s, size_t n, struct names *ret, enum imap_run *ret_run)
{
	struct imap_lex *x = &s->cmd->lex;
	for (size_t i = 0; i < n; i++) {
		(void)imap_lex_sp(x);
		ret->given[i] = imap_lex_astring(x, &s->cmd->arena);
	}
	bool create = s->cmd->row->run == imap_cmd_create, known = true;
	if (create && imap_lex_try(x, ' '))
		known = use_param(x, &ret->attrs);
	if (!imap_lex_end(x)) {
		*ret_run = imap_bad(s, "%s: %s", s->cmd->row->name, x->why);
		return false;
	}
	if (!known) {
		*ret_run = imap_no(s, "USEATTR", "a mailbox cannot have this use"); /* RFC 6154 3 */
		return false;
	}
	for (size_t i = 0; i < n; i++)
		if (!imap_name(s, ret->given[i], &ret->name[i], ret_run))
			return false;
	return true;
}

static enum imap_run
changed(struct imap_session *s, const struct imap_answer *a)
{
	if (a->status != ACCESS_OK)
		return imap_refuse(s, a->status, false);
	return imap_ok(s, NULL, NULL);
}

/* RFC 9051 7.3.1: under which name it is known now. */
static void
put_old_name(struct imap_session *s, struct str name, struct str old)
{
	struct buf *out = s->cmd->out;
	buf_putf(out, "* LIST () \"%c\" ", s->conf->separator);
	imap_put_name(s, name);
	buf_putz(out, " (\"OLDNAME\" (");
	imap_put_string(out, old, true);
	buf_putz(out, "))\r\n");
}

static void
say_old_name(struct imap_session *s, struct str name, struct str given)
{
	struct buf wire = BUF_INIT(8 * ACCESS_NAME_MAX);
	if (given.len && given.p[given.len - 1] == s->conf->separator)
		given.len--;
	name_to_wire(name, s->conf->separator, true, &wire);
	if ((s->enabled & IMAP_REV2) && !str_eq(buf_str(&wire), given))
		put_old_name(s, name, given);
	buf_done(&wire);
}

static enum imap_run
created(struct imap_session *s, const struct imap_answer *a)
{
	const struct names *n = s->cmd->data;
	struct access_changed c;
	if (a->status != ACCESS_OK || !access_changed_get(a->octets, &c))
		return imap_refuse(s, a->status, false);
	struct buf code = BUF_INIT(128);
	buf_putz(&code, "MAILBOXID ("); /* RFC 8474 4.1 */
	imap_put_mailbox_id(&code, c.mailbox, c.uidvalidity);
	buf_putz(&code, ")");
	say_old_name(s, n->name[0], n->given[0]);
	enum imap_run run = imap_ok(s, buf_cstr(&code), NULL);
	buf_done(&code);
	return run;
}

static enum imap_run
renamed(struct imap_session *s, const struct imap_answer *a)
{
	const struct names *n = s->cmd->data;
	if (a->status != ACCESS_OK)
		return imap_refuse(s, a->status, false);
	if ((s->enabled & IMAP_REV2) && !str_eq(n->name[0], STR("INBOX")))
		put_old_name(s, n->name[1], n->given[0]);
	return imap_ok(s, NULL, NULL);
}

static enum imap_run
change(struct imap_session *s, enum access_change_kind kind, size_t n_names,
    enum imap_run (*done)(struct imap_session *, const struct imap_answer *))
{
	struct names *n = s->cmd->data = arena_alloc(&s->cmd->arena, sizeof(*n));
	enum imap_run run;
	check(n);
	if (!names(s, n_names, n, &run))
		return run;
	s->change = (struct access_change){
		.kind = (uint8_t)kind, .name = n->name[0], .to = n->name[1], .attrs = n->attrs
	};
	return imap_change(s, done);
}

enum imap_run
imap_cmd_create(struct imap_session *s)
{
	return change(s, ACCESS_CREATE, 1, created);
}

enum imap_run
imap_cmd_delete(struct imap_session *s)
{
	return change(s, ACCESS_DELETE, 1, changed);
}

enum imap_run
imap_cmd_rename(struct imap_session *s)
{
	return change(s, ACCESS_RENAME, 2, renamed);
}

enum imap_run
imap_cmd_subscribe(struct imap_session *s)
{
	return change(s, ACCESS_SUBSCRIBE, 1, changed);
}

enum imap_run
imap_cmd_unsubscribe(struct imap_session *s)
{
	return change(s, ACCESS_UNSUBSCRIBE, 1, changed);
}
