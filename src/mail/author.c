#include "mail/author.h"

#include "base/buf.h"

#define HIDDEN '\x01' /* an '@' inside quotes is nobody's address */

struct reader {
	struct str in;
	struct buf word;  /* of the entry at hand: what stands outside brackets */
	struct buf angle; /* what stands inside */
	bool angles;      /* the entry has some */
	unsigned n;
	enum author_verdict verdict;
	author_fn *fn;
	void *arg;
};

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void
bad(struct reader *r)
{
	if (r->verdict == AUTHOR_OK)
		r->verdict = AUTHOR_BAD;
	r->in = STR_NULL;
}

static void
tell(struct reader *r, struct str addr)
{
	if (r->verdict != AUTHOR_OK)
		return;
	if (addr.len == 0 || ++r->n > AUTHOR_ADDRS_MAX) {
		bad(r);
	} else if (!r->fn(r->arg, addr)) {
		r->verdict = AUTHOR_REFUSED;
		r->in = STR_NULL;
	}
}

static char
take(struct reader *r)
{
	char c = r->in.p[0];
	r->in = str_skip(r->in, 1);
	return c;
}

/* Behind its opening quote, up to and with the closing one. */
static void
quoted(struct reader *r, struct buf *out)
{
	buf_putc(out, '"');
	while (r->in.len) {
		char c = take(r);
		buf_putc(out, c == '@' ? HIDDEN : c);
		if (c == '"')
			return;
		if (c == '\\' && r->in.len) {
			c = take(r);
			buf_putc(out, c == '@' ? HIDDEN : c);
		}
	}
	bad(r);
}

static void
comment(struct reader *r)
{
	size_t depth = 1;
	while (r->in.len) {
		char c = take(r);
		if (c == '\\' && r->in.len)
			take(r);
		else if (c == '(')
			depth++;
		else if (c == ')' && --depth == 0)
			return;
	}
	bad(r);
}

/* "[192.0.2.1]": a colon or comma in it parts nothing. */
static void
literal(struct reader *r, struct buf *out)
{
	buf_putc(out, '[');
	while (r->in.len) {
		char c = take(r);
		if (!is_blank(c))
			buf_putc(out, c);
		if (c == ']')
			return;
	}
	bad(r);
}

static void
brackets(struct reader *r)
{
	buf_reset(&r->angle);
	r->angles = true;
	while (r->in.len) {
		char c = take(r);
		if (c == '>') {
			struct str a = buf_str(&r->angle);
			if (a.len && a.p[0] == '@') /* a route: RFC 5322 4.4 */
				a = str_skip(a, str_find(a, ':') + 1);
			tell(r, a);
			return;
		}
		if (c == '"')
			quoted(r, &r->angle);
		else if (c == '(')
			comment(r);
		else if (c == '[')
			literal(r, &r->angle);
		else if (!is_blank(c))
			buf_putc(&r->angle, c);
	}
	bad(r);
}

/* An address without brackets: blanks and comments may stand in it (RFC 5322 4.4). */
static void
alone(struct reader *r)
{
	struct str all = str_trim(buf_str(&r->word)), word;
	buf_reset(&r->angle);
	while ((word = str_word(&all)).len)
		buf_puts(&r->angle, word);
	if (r->angle.len)
		tell(r, buf_str(&r->angle));
}

static void
beside(struct reader *r)
{
	struct str all = buf_str(&r->word), word;
	while ((word = str_word(&all)).len)
		if (str_find(word, '@') < word.len)
			tell(r, word);
}

static void
end_entry(struct reader *r)
{
	if (r->angles)
		beside(r);
	else
		alone(r);
	buf_reset(&r->word);
	r->angles = false;
}

/* The name of a group ends here; what it says is for people, but an address is an address. */
static void
end_group_name(struct reader *r)
{
	beside(r);
	buf_reset(&r->word);
}

static void
value(struct reader *r, struct str v)
{
	r->in = v;
	while (r->in.len) {
		char c = take(r);
		if (c == '"')
			quoted(r, &r->word);
		else if (c == '(')
			comment(r);
		else if (c == '<')
			brackets(r);
		else if (c == '[')
			literal(r, &r->word);
		else if (c == ',' || c == ';')
			end_entry(r);
		else if (c == ':')
			end_group_name(r);
		else
			buf_putc(&r->word, is_blank(c) ? ' ' : c);
	}
	end_entry(r);
	if (r->word.failed || r->angle.failed)
		bad(r);
}

/* The next field with its folded lines. */
static struct str
next_field(struct str *text)
{
	size_t end = 0;
	do
		end += str_find(str_skip(*text, end), '\n') + 1;
	while (end < text->len && (text->p[end] == ' ' || text->p[end] == '\t'));
	struct str field = str_first(*text, end);
	*text = str_skip(*text, end);
	return field;
}

enum author_verdict
author_each(struct str text, author_fn *fn, void *arg)
{
	struct reader r = { .word = BUF_INIT(AUTHOR_TEXT_MAX),
		.angle = BUF_INIT(AUTHOR_TEXT_MAX),
		.verdict = AUTHOR_OK,
		.fn = fn,
		.arg = arg };
	if (text.len == 0)
		return AUTHOR_NONE;
	if (text.len > AUTHOR_TEXT_MAX)
		return AUTHOR_BAD;
	while (text.len && r.verdict == AUTHOR_OK) {
		unsigned before = r.n;
		struct str field = next_field(&text);
		value(&r, str_skip(field, str_find(field, ':') + 1));
		if (r.n == before)
			bad(&r);
	}
	buf_done(&r.word);
	buf_done(&r.angle);
	return r.verdict;
}
