#include "mail/lex.h"

enum { ATEXT = 1, TOKEN = 2 };

/* RFC 5322 3.2.3; RFC 2045 5.1 takes '/', '=' and '?' off and allows the dot. */
static unsigned
class_of(char c)
{
	unsigned char u = (unsigned char)c;
	if (u >= 0x80 || (u >= '0' && u <= '9') || ((u | 0x20) >= 'a' && (u | 0x20) <= 'z'))
		return ATEXT | TOKEN;
	switch (c) {
	case '!':
	case '#':
	case '$':
	case '%':
	case '&':
	case '\'':
	case '*':
	case '+':
	case '-':
	case '^':
	case '_':
	case '`':
	case '{':
	case '|':
	case '}':
	case '~':
		return ATEXT | TOKEN;
	case '/':
	case '=':
	case '?':
		return ATEXT;
	case '.':
		return TOKEN;
	default:
		return 0;
	}
}

static bool
is_atext(char c)
{
	return class_of(c) & ATEXT;
}

static bool
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static enum lex_next
what_next(const struct lex *x)
{
	return x->p < x->end ? LEX_MORE : LEX_END;
}

/* NULs, which nothing that is made of this can hold, become U+FFFD. */
static void
put_text(struct buf *out, struct str s)
{
	while (s.len) {
		size_t n = str_find(s, '\0');
		buf_puts(out, str_first(s, n));
		if (n < s.len)
			buf_puts(out, STR("\xef\xbf\xbd"));
		s = str_skip(s, n + 1);
	}
}

/* What stands between from and a line end, or the next octet: unfolded (RFC 5322 3.2.4). */
static void
put_run(struct buf *out, const char *from, const struct lex *x)
{
	size_t n = (size_t)(x->p - from);
	if (out)
		put_text(out, str_n(from, n && *x->p == '\n' && from[n - 1] == '\r' ? n - 1 : n));
}

/* At a '('. */
static enum lex_next
skip_comment(struct lex *x)
{
	const char *from = ++x->p;
	size_t level = 1;
	if (x->comment)
		buf_reset(x->comment);
	for (; x->p < x->end; x->p++) {
		if (*x->p == '(') {
			level++;
		} else if (*x->p == ')' && --level == 0) {
			put_run(x->comment, from, x);
			x->p++;
			return what_next(x);
		} else if (*x->p == '\n' || *x->p == '\\') {
			put_run(x->comment, from, x);
			from = x->p + 1;
			if (*x->p == '\\' && ++x->p == x->end)
				return LEX_BAD;
		}
	}
	return LEX_BAD;
}

enum lex_next
lex_skip(struct lex *x)
{
	while (x->p < x->end) {
		if (is_space(*x->p))
			x->p++;
		else if (*x->p != '(')
			break;
		else if (skip_comment(x) == LEX_BAD)
			return LEX_BAD;
	}
	return what_next(x);
}

static void
take(struct lex *x, unsigned class, struct buf *out)
{
	const char *from = x->p;
	while (x->p < x->end && (class_of(*x->p) & class))
		x->p++;
	buf_put(out, from, (size_t)(x->p - from));
}

enum lex_next
lex_atom(struct lex *x, struct buf *out)
{
	if (x->p == x->end || !is_atext(*x->p))
		return LEX_BAD;
	take(x, ATEXT, out);
	return lex_skip(x);
}

/* Blanks may stand around the dots. */
static enum lex_next
dot_atom(struct lex *x, struct buf *out)
{
	if (x->p == x->end || !is_atext(*x->p))
		return LEX_BAD;
	for (;;) {
		take(x, ATEXT, out);
		enum lex_next next = lex_skip(x);
		if (next != LEX_MORE || *x->p != '.')
			return next;
		x->p++;
		buf_putc(out, '.');
		if (lex_skip(x) != LEX_MORE)
			return LEX_BAD;
	}
}

enum lex_next
lex_token(struct lex *x, struct buf *out)
{
	take(x, TOKEN, out);
	return lex_skip(x);
}

enum lex_next
lex_quoted(struct lex *x, struct buf *out)
{
	const char *from = ++x->p;
	for (; x->p < x->end; x->p++) {
		if (*x->p == '"') {
			put_run(out, from, x);
			x->p++;
			return lex_skip(x);
		}
		if (*x->p == '\n' || *x->p == '\\') {
			put_run(out, from, x);
			from = x->p + 1;
			if (*x->p == '\\' && ++x->p == x->end)
				return LEX_BAD;
		}
	}
	return LEX_BAD;
}

enum lex_next
lex_phrase(struct lex *x, struct buf *out)
{
	if (x->p == x->end)
		return LEX_END;
	if (*x->p == '.')
		return LEX_BAD;
	for (;;) {
		enum lex_next next;
		if (*x->p == '"') {
			next = lex_quoted(x, out);
		} else {
			const char *from = x->p;
			while (x->p < x->end && (is_atext(*x->p) || *x->p == '.'))
				x->p++;
			buf_put(out, from, (size_t)(x->p - from));
			next = lex_skip(x);
		}
		if (next != LEX_MORE)
			return next;
		if (!is_atext(*x->p) && *x->p != '"' && *x->p != '.')
			return LEX_MORE;
		buf_putc(out, ' ');
	}
}

/* At a '['. */
static enum lex_next
domain_literal(struct lex *x, struct buf *out)
{
	const char *from = x->p;
	for (; x->p < x->end; x->p++) {
		if (*x->p == '\\') {
			if (++x->p == x->end)
				break;
		} else if (*x->p == ']') {
			x->p++;
			buf_put(out, from, (size_t)(x->p - from));
			return lex_skip(x);
		}
	}
	return LEX_BAD;
}

enum lex_next
lex_domain(struct lex *x, struct buf *out)
{
	x->p++;
	if (lex_skip(x) != LEX_MORE)
		return LEX_BAD;
	return *x->p == '[' ? domain_literal(x, out) : dot_atom(x, out);
}
