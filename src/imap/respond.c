/* What is said: tagged responses, names and strings. */
#include "imap/imap_priv.h"

#include "base/utf8.h"
#include "dialect/access_words.h"

#include <stdlib.h>

#define REASON_MAX 512
#define QUOTED_MAX 4096 /* octets of a quoted string; a longer one is a literal */

static struct str
name_of(const struct imap_session *s)
{
	const struct imap_command *c = s->cmd;
	return c && c->row ? str_of(c->row->name) : STR_NULL;
}

void
imap_vars(const struct imap_session *s, struct str reason, struct smtp_vars *ret)
{
	*ret = (struct smtp_vars){ 0 };
	ret->v[SMTP_VAR_host] = s->conf->host;
	ret->v[SMTP_VAR_cmd] = ret->v[SMTP_VAR_verb] = name_of(s);
	ret->v[SMTP_VAR_user] = str_of(s->user);
	ret->v[SMTP_VAR_reason] = reason;
	ret->v[SMTP_VAR_sp] = STR(" ");
}

/* "OK [code] ", without its code where the words bring one. */
static void
begin(struct buf *out, const char *status, const char *code)
{
	buf_putz(out, status);
	buf_putc(out, ' ');
	if (code)
		buf_putf(out, "[%s] ", code);
}

static void
put_tag(struct imap_session *s, struct buf *out)
{
	buf_putf(out, "%s ", s->cmd->tag[0] ? s->cmd->tag : "*");
}

static struct buf *
out_of(struct imap_session *s)
{
	check(s->cmd && s->cmd->out);
	return s->cmd->out;
}

/* --- the tagged OK, behind what has changed in the selected mailbox --- */

static enum imap_run
ok_said(struct imap_session *s, const struct imap_answer *a)
{
	struct buf *out = out_of(s);
	put_tag(s, out);
	buf_puts(out, buf_str(&s->cmd->last));
	buf_putz(out, "\r\n");
	buf_done(&s->cmd->last);
	return RUN_DONE;
}

static bool
must_sync(const struct imap_session *s)
{
	const struct imap_command *c = s->cmd;
	if (s->state != IMAP_SELECTED || !s->view || !c->row || c->synced)
		return false;
	return (c->row->flags & ROW_SYNC_ALWAYS) ||
	       ((c->row->flags & ROW_SYNC) && (s->view->stirred || s->view->missed));
}

enum imap_run
imap_ok(struct imap_session *s, const char *code, const char *fmt, ...)
{
	struct imap_command *c = s->cmd;
	struct buf *last = &c->last;
	buf_init(last, IMAP_OUT_ROOM);
	begin(last, "OK", code);
	if (fmt) {
		va_list ap;
		va_start(ap, fmt);
		buf_vputf(last, fmt, ap);
		va_end(ap);
	} else {
		struct smtp_vars vars;
		imap_vars(s, STR_NULL, &vars);
		imap_ok_put(last, s->conf->wording, name_of(s), &vars);
	}
	if (last->failed)
		return imap_no(s, "LIMIT", "the answer is too long");
	if (!must_sync(s))
		return ok_said(s, NULL);
	const struct imap_sync how = { .no_expunge = c->row->flags & ROW_NO_EXPUNGE };
	return imap_view_sync(s, &how, ok_said);
}

/* A line break in a text would be a response of its own. */
static void
no_controls(struct buf *out, size_t from)
{
	for (size_t i = from; i < out->len; i++)
		if ((unsigned char)out->p[i] < ' ' || out->p[i] == '\x7f')
			out->p[i] = '?';
}

enum imap_run
imap_no(struct imap_session *s, const char *code, const char *fmt, ...)
{
	struct buf *out = out_of(s);
	va_list ap;
	put_tag(s, out);
	begin(out, "NO", code);
	size_t from = out->len;
	va_start(ap, fmt);
	buf_vputf(out, fmt, ap);
	va_end(ap);
	no_controls(out, from);
	buf_putz(out, "\r\n");
	return RUN_DONE;
}

enum imap_run
imap_no_says(struct imap_session *s, const char *code, int what)
{
	struct buf *out = out_of(s);
	struct smtp_vars vars;
	imap_vars(s, STR_NULL, &vars);
	put_tag(s, out);
	begin(out, "NO", imap_says_code(s->conf->wording, (enum imap_says)what) ? NULL : code);
	imap_says_put(out, s->conf->wording, (enum imap_says)what, &vars);
	buf_putz(out, "\r\n");
	return RUN_DONE;
}

static enum imap_run
bad(struct imap_session *s, enum imap_says what, struct str reason)
{
	struct buf *out = out_of(s);
	struct smtp_vars vars;
	s->bad++;
	imap_vars(s, reason, &vars);
	put_tag(s, out);
	buf_putz(out, "BAD ");
	imap_says_put(out, s->conf->wording, what, &vars);
	buf_putz(out, "\r\n");
	return RUN_DONE;
}

enum imap_run
imap_bad(struct imap_session *s, const char *fmt, ...)
{
	struct buf reason = BUF_INIT(REASON_MAX);
	va_list ap;
	va_start(ap, fmt);
	buf_vputf(&reason, fmt, ap);
	va_end(ap);
	enum imap_run run = bad(s, IMAP_SAYS_BAD_SYNTAX,
	    reason.failed ? STR("an argument is wrong") : buf_str(&reason));
	buf_done(&reason);
	return run;
}

enum imap_run
imap_bad_says(struct imap_session *s, int what)
{
	return bad(s, (enum imap_says)what, STR_NULL);
}

enum imap_run
imap_bye(struct imap_session *s, struct buf *out, const char *code, const char *fmt, ...)
{
	va_list ap;
	buf_putz(out, "* ");
	begin(out, "BYE", code);
	size_t from = out->len;
	va_start(ap, fmt);
	buf_vputf(out, fmt, ap);
	va_end(ap);
	no_controls(out, from);
	buf_putz(out, "\r\n");
	s->state = IMAP_CLOSED;
	return RUN_DONE;
}

enum imap_run
imap_refuse(struct imap_session *s, enum access_status status, bool into)
{
	static const struct {
		const char *code, *text;
	} rows[ACCESS_STATUS_COUNT] = {
		[ACCESS_OK] = { "SERVERBUG", "an answer cannot be read" },
		[ACCESS_NOT_FOUND] = { "NONEXISTENT", "there is no such mailbox" },
		[ACCESS_EXISTS] = { "ALREADYEXISTS", "there is a mailbox of that name" },
		[ACCESS_CANNOT] = { "CANNOT", "that cannot be done with this mailbox" },
		[ACCESS_DENIED] = { "NOPERM", "permission denied" },
		[ACCESS_OVERQUOTA] = { "OVERQUOTA", "the quota is used up; delete some mail" },
		[ACCESS_FULL] = { "UNAVAILABLE", "no room on the server; try again later" },
		[ACCESS_LIMIT] = { "LIMIT", "a limit is reached" },
		[ACCESS_FAILED] = { "UNAVAILABLE", "it does not work for now; try again later" },
		[ACCESS_BAD] = { "SERVERBUG", "a question cannot be read" },
	};
	if (status >= ACCESS_STATUS_COUNT)
		status = ACCESS_FAILED;
	bool create = into && status == ACCESS_NOT_FOUND; /* RFC 9051 6.3.12 */
	return imap_no(s, create ? "TRYCREATE" : rows[status].code, "%s", rows[status].text);
}

bool
imap_is_full(const struct imap_session *s)
{
	return s->cmd->out->len >= IMAP_OUT_HIGH;
}

/* --- names and strings --- */

static bool
is_quotable(struct str s, bool utf8)
{
	if (s.len > QUOTED_MAX)
		return false;
	bool eight = false;
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (c == '\0' || c == '\r' || c == '\n')
			return false;
		eight = eight || c >= 0x80;
	}
	return !eight || (utf8 && utf8_valid(s));
}

void
imap_put_string(struct buf *out, struct str s, bool utf8)
{
	if (!is_quotable(s, utf8)) {
		buf_putf(out, "{%zu}\r\n", s.len);
		buf_puts(out, s);
		return;
	}
	buf_putc(out, '"');
	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] == '"' || s.p[i] == '\\')
			buf_putc(out, '\\');
		buf_putc(out, s.p[i]);
	}
	buf_putc(out, '"');
}

static bool
is_atom(struct str s)
{
	struct imap_lex x = { .rest = s };
	struct str atom = imap_lex_atom(&x);
	return atom.len == s.len && s.len && !str_ieq(s, STR("NIL"));
}

bool
imap_is_utf8(const struct imap_session *s)
{
	return s->enabled & (IMAP_UTF8 | IMAP_REV2);
}

void
imap_put_name(struct imap_session *s, struct str name)
{
	struct buf wire = BUF_INIT(8 * ACCESS_NAME_MAX);
	name_to_wire(name, s->conf->separator, imap_is_utf8(s), &wire);
	if (is_atom(buf_str(&wire)))
		buf_puts(s->cmd->out, buf_str(&wire));
	else
		imap_put_string(s->cmd->out, buf_str(&wire), imap_is_utf8(s));
	buf_done(&wire);
}

bool
imap_name(struct imap_session *s, struct str wire, struct str *ret, enum imap_run *ret_run)
{
	struct buf name = BUF_INIT(8 * ACCESS_NAME_MAX);
	bool trailing = s->cmd->row && str_eq(name_of(s), STR("CREATE"));
	const char *why =
	    name_from_wire(wire, s->conf->separator, imap_is_utf8(s), trailing, &name);
	struct str kept = why ? STR_NULL : arena_str(&s->cmd->arena, buf_str(&name));
	buf_done(&name);
	if (!why && !kept.p)
		why = "the command is too long";
	if (why)
		*ret_run = imap_no(s, "CANNOT", "%s", why);
	else
		*ret = kept;
	return !why;
}

/* --- asks --- */

static enum imap_run
ask(struct imap_session *s, enum imap_ask what,
    enum imap_run (*resume)(struct imap_session *, const struct imap_answer *))
{
	check(s->ask == IMAP_ASK_NONE && s->cmd);
	s->ask = what;
	s->ask_no++;
	s->cmd->resume = resume;
	return RUN_ASK;
}

enum imap_run
imap_ask(struct imap_session *s, enum imap_ask what,
    enum imap_run (*resume)(struct imap_session *, const struct imap_answer *))
{
	return ask(s, what, resume);
}

enum imap_run
imap_read(struct imap_session *s,
    enum imap_run (*resume)(struct imap_session *, const struct imap_answer *))
{
	return ask(s, IMAP_ASK_READ, resume);
}

enum imap_run
imap_change(struct imap_session *s,
    enum imap_run (*resume)(struct imap_session *, const struct imap_answer *))
{
	return ask(s, IMAP_ASK_CHANGE, resume);
}

enum access_status
imap_answer_status(const struct imap_answer *a)
{
	return a->status == ACCESS_OK ? ACCESS_FAILED : a->status;
}

bool
imap_answer_get(const struct imap_answer *a, struct wire *ret, struct access_head *head)
{
	if (a->status != ACCESS_OK)
		return false;
	*ret = wire_of(a->octets);
	return access_head_get(ret, head);
}
