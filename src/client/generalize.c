#include "client/generalize.h"

#include "base/check.h"
#include "base/utf8.h"
#include "client/show_priv.h"

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_alpha(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* What ids are made of. */
static bool
is_token(char c)
{
	return is_digit(c) || is_alpha(c) || (c && strchr("._-@+/=", c));
}

/* --- how dates and times look: 9 a digit, A a letter, _ a blank, the rest itself ----------- */

static const char *const forms[] = {
	"AAA, 99 AAA 9999 99:99:99 +9999",
	"AAA, 9 AAA 9999 99:99:99 +9999",
	"AAA, _9 AAA 9999 99:99:99 +9999",
	"AAA, 99 AAA 9999 99:99:99",
	"AAA, 9 AAA 9999 99:99:99",
	"99-AAA-9999 99:99:99 +9999",
	"9999-99-99T99:99:99",
	"9999-99-99 99:99:99",
	"99:99:99",
};

static bool
fits(char form, char c)
{
	if (form == '9')
		return is_digit(c);
	if (form == 'A')
		return is_alpha(c);
	if (form == '+')
		return c == '+' || c == '-';
	return c == (form == '_' ? ' ' : form);
}

static const char *
date_form(struct str s)
{
	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		size_t n = strlen(forms[i]), k = 0;
		while (k < n && k < s.len && fits(forms[i][k], s.p[k]))
			k++;
		if (k == n)
			return forms[i];
	}
	return NULL;
}

static void
put_literal(struct buf *out, char c)
{
	if (strchr("\\.[]()*+?{}|^$", c))
		buf_putc(out, '\\');
	buf_putc(out, c);
}

/* A day of one digit may have two the next time. */
static size_t
put_date(struct buf *out, const char *form)
{
	const char *p = form;

	while (*p) {
		if (str_starts(str_of(p), STR("99 AAA")) || str_starts(str_of(p), STR("_9 AAA"))) {
			buf_putz(out, "[ 0-9]{1,2}");
			p += 2;
		} else if (str_starts(str_of(p), STR("9 AAA"))) {
			buf_putz(out, "[ 0-9]{1,2}");
			p++;
		} else {
			if (*p == '9')
				buf_putz(out, "[0-9]");
			else if (*p == 'A')
				buf_putz(out, "[A-Za-z]");
			else if (*p == '+')
				buf_putz(out, "[-+]");
			else
				put_literal(out, *p);
			p++;
		}
	}
	return strlen(form);
}

/* --- ids -------------------------------------------------------------------------------- */

static size_t
token_len(struct str s)
{
	size_t n = 0;

	while (n < s.len && is_token(s.p[n]))
		n++;
	/* A full stop ends the sentence. */
	while (n && (s.p[n - 1] == '.' || s.p[n - 1] == '-'))
		n--;
	return n;
}

static unsigned
changes(struct str t)
{
	unsigned n = 0;
	int last = 0;

	for (size_t i = 0; i < t.len; i++) {
		int kind = is_digit(t.p[i]) ? 1 : is_alpha(t.p[i]) ? 2 : 0;
		n += kind && last && kind != last;
		last = kind ? kind : last;
	}
	return n;
}

static size_t
digits(struct str s)
{
	size_t n = 0;

	while (n < s.len && is_digit(s.p[n]))
		n++;
	return n;
}

static bool
follows(struct str before, const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct str w = str_of(words[i]);
		if (before.len >= w.len && str_ieq(str_skip(before, before.len - w.len), w))
			return true;
	}
	return false;
}

/* Is the token one that is new every time? */
static bool
is_id(struct str before, struct str token, struct str after)
{
	static const char *const leads[] = { "queued as ", " id=", " id ", "queue id ", "session ",
		"message ", "internalid=", "uidvalidity ", "ref " };
	static const char *const prompts[] = { "VXNlcm5hbWU6", "UGFzc3dvcmQ6", "VXNlcm5hbWUA" };
	bool has_digit = false;

	for (size_t i = 0; i < token.len; i++)
		has_digit |= is_digit(token.p[i]);
	if (before.len == 0 || !has_digit)
		return before.len && token.len >= 4 && follows(before, leads, 1);
	for (size_t i = 0; i < ARRAY_LEN(prompts); i++)
		if (str_eq(token, str_of(prompts[i])))
			return false;
	if (follows(before, leads, ARRAY_LEN(leads)))
		return true;
	if (before.p[before.len - 1] == '<' && is_digit(token.p[0]) &&
	    str_find(token, '@') < token.len)
		return true; /* RFC 1939 7 */
	if (str_starts(after, STR(" Message accepted")))
		return true;
	if (digits(token) == token.len)
		return token.len >= 9 && !str_ends(before, STR("SIZE "));
	/* Not IMAP4rev1. */
	return changes(token) >= (token.len >= 10 ? 3 : 4);
}

/* [192.0.2.1], (2001:db8::1), [IPv6:::1]: octets of the address inside.
 * Pages have an x for what they keep to themselves. */
static size_t
address_len(struct str s)
{
	size_t n = str_starts(s, STR("IPv6:")) ? 5 : 0, marks = 0, start = n;

	for (; n < s.len && (is_digit(s.p[n]) || (s.p[n] && strchr("abcdefxABCDEFX.:", s.p[n])));
	     n++)
		marks += s.p[n] == '.' || s.p[n] == ':';
	bool closed = n < s.len && (s.p[n] == ']' || s.p[n] == ')');
	return closed && n > start && marks >= 2 ? n : 0;
}

static size_t
put_one(struct buf *out, struct str before, struct str rest, bool utf8)
{
	unsigned char c = (unsigned char)rest.p[0];
	bool fresh = before.len == 0 || !is_token(before.p[before.len - 1]) ||
	             before.p[before.len - 1] == '=';
	const char *form = fresh ? date_form(rest) : NULL;
	uint32_t v;
	size_t n;

	if (form)
		return put_date(out, form);
	if (before.len && (str_ends(before, STR("[")) || str_ends(before, STR("("))) &&
	    (n = address_len(rest)) > 0) {
		buf_putz(out, "[0-9A-Fa-fIPvxX.:]+");
		return n;
	}
	struct str token = str_first(rest, fresh ? token_len(rest) : 0);
	if (token.len && is_id(before, token, str_skip(rest, token.len))) {
		buf_putz(out, digits(token) == token.len ? "[0-9]+" : "[A-Za-z0-9._@+/=-]+");
		return token.len;
	}
	/* Pages have blanks of their own. */
	if (str_starts(rest, STR("\xc2\xa0"))) {
		buf_putz(out, "( |\xc2\xa0)");
		return 2;
	}
	bool blank_at_end = c == ' ' && (before.len == 0 || rest.len == 1);
	if (c < 0x20 || c == 0x7f || (c >= 0x80 && !utf8))
		buf_putc(out, '.');
	else if (blank_at_end)
		buf_putz(out, "[ ]");
	else if (c >= 0x80 && (n = show_character(rest, &v)) > 0) {
		/* What a terminal would obey or hide is not for a file that people read. */
		if (v < 0xa0 || show_is_hidden(v))
			buf_putz(out, ".{1,4}");
		else
			buf_puts(out, str_first(rest, n));
		return n;
	} else
		put_literal(out, (char)c);
	return 1;
}

void
generalize(struct buf *out, struct str line)
{
	bool utf8 = utf8_valid(line);

	for (size_t at = 0; at < line.len;)
		at += put_one(out, str_first(line, at), str_skip(line, at), utf8);
}
