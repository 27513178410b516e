/* GETQUOTA, GETQUOTAROOT, SETQUOTA (RFC 9208): one root, "", for the whole account. */
#include "imap/imap_priv.h"

#define UNIT 1024u /* RFC 9208 5.1: STORAGE is counted in these */

static enum imap_run
quota_read(struct imap_session *s, const struct imap_answer *a)
{
	struct wire w;
	struct access_head head;
	struct access_quota q;
	const struct str *mailbox = s->cmd->data;
	struct buf *out = s->cmd->out;
	if (!imap_answer_get(a, &w, &head) || !access_quota_get(&w, &q))
		return imap_refuse(s, imap_answer_status(a), false);
	if (mailbox) {
		buf_putz(out, "* QUOTAROOT ");
		imap_put_name(s, *mailbox);
		buf_putz(out, " \"\"\r\n");
	}
	buf_putz(out, "* QUOTA \"\" (");
	if (q.limit)
		buf_putf(out, "STORAGE %llu %llu",
		    (unsigned long long)(q.used / UNIT + (q.used % UNIT != 0)),
		    (unsigned long long)(q.limit / UNIT));
	buf_putz(out, ")\r\n");
	return imap_ok(s, NULL, NULL);
}

static enum imap_run
ask_quota(struct imap_session *s)
{
	s->read = (struct access_ask){ .kind = ACCESS_QUOTA, .fresh = true };
	return imap_read(s, quota_read);
}

enum imap_run
imap_cmd_getquota(struct imap_session *s)
{
	struct imap_lex *x = &s->cmd->lex;
	(void)imap_lex_sp(x);
	struct str root = imap_lex_astring(x, &s->cmd->arena);
	if (!imap_lex_end(x))
		return imap_bad(s, "GETQUOTA root: %s", x->why);
	if (root.len)
		return imap_no(s, "NONEXISTENT", "there is no such quota root");
	return ask_quota(s);
}

static enum imap_run
mailbox_read(struct imap_session *s, const struct imap_answer *a)
{
	struct wire w;
	struct access_head head;
	struct access_mailbox m;
	if (!imap_answer_get(a, &w, &head) || !access_mailbox_get(&w, &m))
		return imap_refuse(s, imap_answer_status(a), false);
	if (m.mailbox == 0)
		return imap_refuse(s, ACCESS_NOT_FOUND, false);
	return ask_quota(s);
}

enum imap_run
imap_cmd_getquotaroot(struct imap_session *s)
{
	struct imap_lex *x = &s->cmd->lex;
	struct str *name = arena_alloc(&s->cmd->arena, sizeof(*name));
	enum imap_run run;
	check(name);
	(void)imap_lex_sp(x);
	struct str wire = imap_lex_astring(x, &s->cmd->arena);
	if (!imap_lex_end(x))
		return imap_bad(s, "GETQUOTAROOT mailbox: %s", x->why);
	if (!imap_name(s, wire, name, &run))
		return run;
	s->cmd->data = name;
	s->read = (struct access_ask){ .kind = ACCESS_OPEN, .fresh = true, .name = *name };
	return imap_read(s, mailbox_read);
}

enum imap_run
imap_cmd_setquota(struct imap_session *s)
{
	return imap_no(s, "NOPERM", "a quota is set by who runs the server");
}
