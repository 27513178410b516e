#include "mail/imaptext.h"

#include "base/check.h"
#include "mail/lex.h"

/* What is known of the address at hand; what is not `has` is NIL. */
enum { HAS_NAME = 1, HAS_ROUTE = 2, HAS_MAILBOX = 4, HAS_HOST = 8 };

struct list {
	struct imaptext_addrs *x;
	struct lex lex;
	struct buf *out;
	unsigned has;
	size_t n;
};

static void
put_part(struct list *l, unsigned bit, struct buf *b)
{
	imaptext_value(l->out, l->has & bit ? (b->len ? buf_str(b) : STR("")) : STR_NULL);
}

/* Writes the address at hand and begins another. */
static void
put_address(struct list *l)
{
	struct imaptext_addrs *x = l->x;
	buf_putz(l->out, l->n++ ? "(" : "((");
	if (l->has & HAS_NAME)
		imaptext_words(l->out, buf_str(&x->name));
	else
		buf_puts(l->out, STR("NIL"));
	buf_putc(l->out, ' ');
	put_part(l, HAS_ROUTE, &x->route);
	buf_putc(l->out, ' ');
	put_part(l, HAS_MAILBOX, &x->mailbox);
	buf_putc(l->out, ' ');
	put_part(l, HAS_HOST, &x->host);
	buf_putc(l->out, ')');
	l->has = 0;
}

static void
set(struct list *l, unsigned bit, struct buf *b, struct str s)
{
	buf_reset(b);
	buf_puts(b, s);
	l->has |= bit;
}

static void
put_mailbox(struct list *l)
{
	if (!(l->has & HAS_MAILBOX))
		set(l, HAS_MAILBOX, &l->x->mailbox, STR("MISSING_MAILBOX"));
	if (!(l->has & HAS_HOST))
		set(l, HAS_HOST, &l->x->host, STR("MISSING_DOMAIN"));
	put_address(l);
}

/* Atoms with any number of dots before, between and behind them. */
static enum lex_next
dotted(struct lex *x, struct buf *out)
{
	enum lex_next next = LEX_BAD;
	do {
		while (lex_at(x, '.')) {
			buf_putc(out, '.');
			x->p++;
			next = LEX_MORE;
		}
		if (x->p == x->end)
			return next == LEX_BAD ? LEX_BAD : LEX_END;
		if (*x->p == '@')
			return next;
		next = lex_atom(x, out);
	} while (next == LEX_MORE && *x->p == '.');
	return next;
}

static enum lex_next
local_part(struct list *l)
{
	struct buf *t = &l->x->text;
	buf_reset(t);
	enum lex_next next = lex_at(&l->lex, '"') ? lex_quoted(&l->lex, t) : dotted(&l->lex, t);
	if (next != LEX_BAD)
		set(l, HAS_MAILBOX, &l->x->mailbox, buf_str(t));
	return next;
}

static enum lex_next
domain(struct list *l)
{
	struct buf *t = &l->x->text;
	buf_reset(t);
	enum lex_next next = lex_domain(&l->lex, t);
	if (next != LEX_BAD)
		set(l, HAS_HOST, &l->x->host, buf_str(t));
	return next;
}

/* "@a,@b" of RFC 5322 4.4, up to the colon. */
static enum lex_next
route(struct list *l)
{
	struct buf *t = &l->x->text;
	buf_reset(t);
	while (lex_at(&l->lex, '@')) {
		if (t->len)
			buf_putc(t, ',');
		buf_putc(t, '@');
		enum lex_next next = lex_domain(&l->lex, t);
		if (next != LEX_MORE)
			return next;
		while (lex_skip(&l->lex) == LEX_MORE && *l->lex.p == ',')
			l->lex.p++;
	}
	if (l->lex.p == l->lex.end)
		return LEX_END;
	set(l, HAS_ROUTE, &l->x->route, buf_str(t));
	return LEX_MORE;
}

/* At a '<'. */
static enum lex_next
angle_addr(struct list *l)
{
	struct lex *x = &l->lex;
	x->p++;
	if (lex_skip(x) != LEX_MORE)
		return LEX_BAD;
	if (*x->p == '@') {
		if (route(l) == LEX_MORE && lex_at(x, ':'))
			x->p++;
		else
			set(l, HAS_ROUTE, &l->x->route, STR("INVALID_ROUTE"));
		if (lex_skip(x) != LEX_MORE)
			return LEX_BAD;
	}
	if (*x->p != '>') {
		if (local_part(l) != LEX_MORE)
			return LEX_BAD;
		if (*x->p == '@' && domain(l) != LEX_MORE)
			return LEX_BAD;
	}
	if (*x->p != '>')
		return LEX_BAD;
	x->p++;
	return lex_skip(x);
}

/* [phrase] "<" ... ">"; LEX_BAD where there is no '<'. */
static enum lex_next
name_addr(struct list *l)
{
	struct buf *t = &l->x->text;
	buf_reset(t);
	if (lex_phrase(&l->lex, t) != LEX_MORE || *l->lex.p != '<')
		return LEX_BAD;
	if (t->len)
		set(l, HAS_NAME, &l->x->name, buf_str(t));
	if (angle_addr(l) == LEX_BAD)
		set(l, HAS_HOST, &l->x->host, STR("SYNTAX_ERROR"));
	return l->lex.p < l->lex.end ? LEX_MORE : LEX_END;
}

/* A local part alone: a mailbox; with more behind it, or quoted, a name without an address. */
static enum lex_next
lonely(struct list *l, bool quoted)
{
	struct buf *t = &l->x->text;
	buf_putc(t, ' ');
	size_t before = t->len;
	(void)lex_phrase(&l->lex, t);
	if (t->len == before)
		buf_trunc(t, before - 1);
	if (t->len >= before || quoted) {
		l->has &= ~(unsigned)HAS_MAILBOX;
		set(l, HAS_NAME, &l->x->name, buf_str(t));
	}
	return l->lex.p < l->lex.end ? LEX_MORE : LEX_END;
}

/* local@domain, a comment behind it being the name. */
static enum lex_next
addr_spec(struct list *l)
{
	bool at = false, quoted = lex_at(&l->lex, '"');
	buf_reset(&l->x->comment);
	enum lex_next next = local_part(l);
	if (lex_at(&l->lex, '@') && next != LEX_END) {
		at = true;
		enum lex_next then = domain(l);
		if (then != LEX_MORE)
			next = then;
	}
	if (l->x->comment.len)
		set(l, HAS_NAME, &l->x->name, buf_str(&l->x->comment));
	else if (!at && !(quoted && next == LEX_BAD))
		next = lonely(l, quoted);
	return next;
}

static enum lex_next
mailbox(struct list *l)
{
	const char *start = l->lex.p;
	enum lex_next next = name_addr(l);
	if (next == LEX_BAD) {
		l->lex.p = start;
		next = addr_spec(l);
	}
	put_mailbox(l);
	return next;
}

static enum lex_next
group_members(struct list *l)
{
	for (;;) {
		if (mailbox(l) != LEX_MORE)
			return LEX_BAD;
		if (*l->lex.p != ',')
			return LEX_MORE;
		l->lex.p++;
		if (lex_skip(&l->lex) != LEX_MORE)
			return LEX_BAD;
	}
}

/* phrase ":" [members] ";"; LEX_BAD where there is no ':'. */
static enum lex_next
group(struct list *l)
{
	struct buf *t = &l->x->text;
	buf_reset(t);
	if (lex_phrase(&l->lex, t) != LEX_MORE || *l->lex.p != ':')
		return LEX_BAD;
	l->lex.p++;
	enum lex_next next = lex_skip(&l->lex);
	set(l, HAS_MAILBOX, &l->x->mailbox, buf_str(t));
	put_address(l);
	if (next == LEX_MORE && *l->lex.p != ';')
		next = group_members(l);
	if (next != LEX_BAD && lex_at(&l->lex, ';')) {
		l->lex.p++;
		next = lex_skip(&l->lex);
	} else {
		next = LEX_BAD;
	}
	put_address(l);
	return next == LEX_END ? LEX_END : LEX_MORE;
}

static void
addresses(struct list *l)
{
	enum lex_next next;
	do {
		const char *start = l->lex.p;
		next = group(l);
		if (next == LEX_BAD) {
			l->lex.p = start;
			next = mailbox(l);
		}
		if (next == LEX_END || !lex_at(&l->lex, ','))
			return;
		l->lex.p++;
		next = lex_skip(&l->lex);
	} while (next == LEX_MORE);
	if (next == LEX_BAD) /* it ends with garbage */
		put_mailbox(l);
}

void
imaptext_addrs_init(struct imaptext_addrs *x, size_t max)
{
	struct buf b = BUF_INIT(max);
	*x = (struct imaptext_addrs){ b, b, b, b, b, b };
}

void
imaptext_addrs_done(struct imaptext_addrs *x)
{
	buf_done(&x->text);
	buf_done(&x->comment);
	buf_done(&x->name);
	buf_done(&x->route);
	buf_done(&x->mailbox);
	buf_done(&x->host);
}

void
imaptext_addrs(struct imaptext_addrs *x, struct buf *out, struct str value)
{
	struct list l = { .x = x, .lex = lex_of(value, &x->comment), .out = out };
	if (lex_skip(&l.lex) == LEX_MORE)
		addresses(&l);
	buf_putz(out, l.n ? ")" : "NIL");
}
