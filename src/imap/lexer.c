/* The grammar of RFC 9051 9, over one whole command: tokens and strings. */
#include "imap/imap_priv.h"

#include "base/num.h"
#include "base/utf8.h"

#define KEYWORD_TOO_LONG "a keyword is longer than 128 octets"

/* What octets may be part of. */
enum { C_ATOM = 1u << 0, C_WILD = 1u << 1, C_RESP = 1u << 2 };

/* ATOM-CHAR is any CHAR but atom-specials; '%' and '*' are list-wildcards, ']' is resp-specials. */
static unsigned
class_of(unsigned char c)
{
	if (c == '%' || c == '*')
		return C_WILD;
	if (c == ']')
		return C_RESP;
	if (c <= ' ' || c >= 0x7f || c == '(' || c == ')' || c == '{' || c == '"' || c == '\\')
		return 0;
	return C_ATOM;
}

static bool
fail(struct imap_lex *x, const char *why)
{
	if (!x->bad)
		x->why = why;
	x->bad = true;
	return false;
}

bool
imap_lex_fail(struct imap_lex *x, const char *why)
{
	return fail(x, why);
}

bool
imap_lex_peek(const struct imap_lex *x, char c)
{
	return !x->bad && x->rest.len && x->rest.p[0] == c;
}

/* A client should send one blank where SP stands (RFC 9051 9, rule 2); more mean no more. */
bool
imap_lex_try(struct imap_lex *x, char c)
{
	if (!imap_lex_peek(x, c))
		return false;
	do
		x->rest = str_skip(x->rest, 1);
	while (c == ' ' && imap_lex_peek(x, c));
	return true;
}

bool
imap_lex_char(struct imap_lex *x, char c)
{
	static const struct {
		char c;
		const char *why;
	} whys[] = {
		{ ' ', "a blank is missing" },
		{ '(', "an opening parenthesis is missing" },
		{ ')', "a closing parenthesis is missing" },
		{ '[', "[ is missing" },
		{ ']', "] is missing" },
		{ '<', "< is missing" },
		{ '>', "> is missing" },
		{ '"', "a quotation mark is missing" },
	};
	if (imap_lex_try(x, c))
		return true;
	for (size_t i = 0; i < ARRAY_LEN(whys); i++)
		if (whys[i].c == c)
			return fail(x, whys[i].why);
	return fail(x, "an unexpected character");
}

bool
imap_lex_sp(struct imap_lex *x)
{
	return imap_lex_char(x, ' ');
}

bool
imap_lex_end(struct imap_lex *x)
{
	return !x->bad && (x->rest.len == 0 || fail(x, "more arguments than there should be"));
}

/* The run of octets of these classes; `but`: an octet that ends it all the same, or 0. */
static struct str
run(struct imap_lex *x, unsigned classes, char but, bool eight_bit)
{
	size_t n = 0;
	while (n < x->rest.len) {
		unsigned char c = (unsigned char)x->rest.p[n];
		if (!(class_of(c) & classes) && !(eight_bit && c >= 0x80))
			break;
		if (but && x->rest.p[n] == but)
			break;
		n++;
	}
	struct str s = str_first(x->rest, n);
	x->rest = str_skip(x->rest, n);
	return s;
}

static struct str
token(struct imap_lex *x, unsigned classes, char but, const char *why)
{
	if (x->bad)
		return STR_NULL;
	struct str s = run(x, classes, but, false);
	if (s.len == 0)
		(void)fail(x, why);
	return s.len ? s : STR_NULL;
}

struct str
imap_lex_atom(struct imap_lex *x)
{
	return token(x, C_ATOM, 0, "an atom is missing");
}

struct str
imap_lex_word(struct imap_lex *x)
{
	return token(x, C_ATOM, '[', "a word is missing");
}

static bool
number(struct imap_lex *x, uint64_t max, uint64_t *ret)
{
	size_t n = 0;
	if (x->bad)
		return false;
	while (n < x->rest.len && x->rest.p[n] >= '0' && x->rest.p[n] <= '9')
		n++;
	if (n == 0)
		return fail(x, "a number is missing");
	if (!num_u64(str_first(x->rest, n), max, ret))
		return fail(x, "a number is too large");
	x->rest = str_skip(x->rest, n);
	return true;
}

bool
imap_lex_number(struct imap_lex *x, uint32_t *ret)
{
	uint64_t n;
	if (!number(x, UINT32_MAX, &n))
		return false;
	*ret = (uint32_t)n;
	return true;
}

bool
imap_lex_number64(struct imap_lex *x, uint64_t *ret)
{
	return number(x, INT64_MAX, ret);
}

/* --- strings --- */

/* Where the text of a quoted string ends, whose first octet is at 1; 0: nowhere. */
static size_t
quoted_end(struct imap_lex *x, bool *ret_escapes)
{
	*ret_escapes = false;
	for (size_t i = 1; i < x->rest.len; i++) {
		char c = x->rest.p[i];
		if (c == '"')
			return i;
		if (c == '\r' || c == '\n' || c == '\0')
			break;
		if (c != '\\')
			continue;
		*ret_escapes = true;
		if (++i == x->rest.len || (x->rest.p[i] != '"' && x->rest.p[i] != '\\')) {
			(void)fail(x, "a backslash in quotes escapes only \" and \\");
			return 0;
		}
	}
	(void)fail(x, "a quoted string does not end");
	return 0;
}

static struct str
unescaped(struct imap_lex *x, struct arena *a, struct str s)
{
	char *p = arena_alloc(a, s.len + 1);
	size_t n = 0;
	if (!p) {
		(void)fail(x, "the command is too long");
		return STR_NULL;
	}
	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] == '\\')
			i++;
		p[n++] = s.p[i];
	}
	return str_n(p, n);
}

static struct str
quoted(struct imap_lex *x, struct arena *a)
{
	bool escapes;
	size_t end = quoted_end(x, &escapes);
	if (end == 0)
		return STR_NULL;
	struct str s = str_n(x->rest.p + 1, end - 1);
	x->rest = str_skip(x->rest, end + 1);
	if (x->utf8 && !utf8_valid(s)) {
		(void)fail(x, "a quoted string is not UTF-8");
		return STR_NULL;
	}
	return escapes ? unescaped(x, a, s) : s;
}

/* "{n}" or "{n+}", "~" in front, at the beginning of s and with the line end behind it. */
bool
imap_lex_literal_head(struct str s, struct imap_literal *ret)
{
	struct imap_literal l = { .eight = s.len && s.p[0] == '~' };
	if (l.eight)
		s = str_skip(s, 1);
	size_t close = str_find(s, '}');
	if (s.len < 3 || s.p[0] != '{' || close == s.len)
		return false;
	struct str digits = str_n(s.p + 1, close - 1);
	l.plus = str_ends(digits, STR("+"));
	if (l.plus)
		digits.len--;
	if (digits.len == 0 || digits.len > 20)
		return false;
	for (size_t i = 0; i < digits.len; i++)
		if (digits.p[i] < '0' || digits.p[i] > '9')
			return false;
	if (!num_u64(digits, UINT64_MAX, &l.size))
		l.size = UINT64_MAX;
	l.head = l.eight + close + 1;
	*ret = l;
	return true;
}

static struct str
literal(struct imap_lex *x)
{
	struct imap_literal l;
	if (!imap_lex_literal_head(x->rest, &l) || l.eight) {
		(void)fail(x, "a string is missing");
		return STR_NULL;
	}
	struct str s = str_skip(x->rest, l.head);
	if (!str_starts(s, STR("\r\n")) || s.len - 2 < l.size) {
		(void)fail(x, "a literal stands at the end of a line");
		return STR_NULL;
	}
	x->rest = str_skip(s, 2 + (size_t)l.size);
	s = str_first(str_skip(s, 2), (size_t)l.size);
	if (str_find(s, '\0') < s.len) {
		(void)fail(x, "a NUL in a literal");
		return STR_NULL;
	}
	return s;
}

static struct str
string(struct imap_lex *x, struct arena *a)
{
	struct str s = imap_lex_peek(x, '"') ? quoted(x, a) : literal(x);
	/* Empty is not missing. */
	return x->bad ? STR_NULL : s.p ? s : STR("");
}

struct str
imap_lex_string(struct imap_lex *x, struct arena *a)
{
	if (x->bad)
		return STR_NULL;
	if (x->rest.len && (x->rest.p[0] == '"' || x->rest.p[0] == '{'))
		return string(x, a);
	(void)fail(x, "a string is missing");
	return STR_NULL;
}

/* An atom that may hold more, or a string. Raw octets above 0x7f are for those who judge the text:
 * old clients send mailbox names so. */
static struct str
atom_or_string(struct imap_lex *x, struct arena *a, unsigned classes)
{
	if (x->bad)
		return STR_NULL;
	if (x->rest.len && (x->rest.p[0] == '"' || x->rest.p[0] == '{'))
		return string(x, a);
	struct str s = run(x, classes, 0, true);
	if (s.len == 0)
		(void)fail(x, "an argument is missing");
	return s.len ? s : STR_NULL;
}

struct str
imap_lex_astring(struct imap_lex *x, struct arena *a)
{
	return atom_or_string(x, a, C_ATOM | C_RESP);
}

struct str
imap_lex_list_mailbox(struct imap_lex *x, struct arena *a)
{
	return atom_or_string(x, a, C_ATOM | C_RESP | C_WILD);
}

bool
imap_lex_nstring(struct imap_lex *x, struct arena *a, struct str *ret)
{
	if (x->bad)
		return false;
	if (str_istarts(x->rest, STR("NIL"))) {
		x->rest = str_skip(x->rest, 3);
		*ret = STR_NULL;
		return true;
	}
	struct str s = imap_lex_string(x, a);
	if (x->bad)
		return false;
	*ret = s;
	return true;
}

bool
imap_lex_flag(struct imap_lex *x, struct str *ret)
{
	struct str from = x->rest;
	bool system = imap_lex_try(x, '\\');
	struct str atom = imap_lex_atom(x);
	if (x->bad)
		return false;
	if (!system && atom.len > ACCESS_KEYWORD_MAX)
		return fail(x, KEYWORD_TOO_LONG);
	*ret = str_n(from.p, atom.len + system);
	return true;
}
