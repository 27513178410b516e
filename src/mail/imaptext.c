#include "mail/imaptext.h"

#include "base/check.h"

#include <endian.h>
#include <stdint.h>

#define ESCAPES_MAX 4 /* in a quoted string; with more a literal is shorter */
#define DEPTH_MAX 256 /* of lists that are read */

#define VEC 16
typedef signed char vec __attribute__((vector_size(VEC)));

size_t
imaptext_plain(struct str s)
{
	size_t n = 0;
	for (; n + VEC <= s.len; n += VEC) {
		uint64_t stop[2];
		vec v, other;
		memcpy(&v, s.p + n, VEC);
		other = (v < ' ') | (v == '"') | (v == '\\');
		memcpy(stop, &other, VEC);
		if (stop[0])
			return n + (size_t)__builtin_ctzll(le64toh(stop[0])) / 8;
		if (stop[1])
			return n + 8 + (size_t)__builtin_ctzll(le64toh(stop[1])) / 8;
	}
	while (n < s.len && (signed char)s.p[n] >= ' ' && s.p[n] != '"' && s.p[n] != '\\')
		n++;
	return n;
}

/* May it stand in quotes? With how many escapes? */
static bool
is_quotable(struct str s, unsigned *ret_escapes)
{
	unsigned escapes = 0;
	for (size_t i = imaptext_plain(s); i < s.len; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (c >= 0x80 || c == '\r' || c == '\n' || c == '\0')
			return false;
		escapes += c == '"' || c == '\\';
	}
	*ret_escapes = escapes;
	return escapes <= ESCAPES_MAX;
}

static void
put_quoted(struct buf *out, struct str s, unsigned escapes)
{
	if (!buf_reserve(out, s.len + escapes + 2))
		return;
	char *o = out->p + out->len;
	*o++ = '"';
	if (escapes == 0 && s.len) {
		memcpy(o, s.p, s.len);
		o += s.len;
	}
	for (size_t i = 0; i < s.len && escapes; i++) {
		if (s.p[i] == '"' || s.p[i] == '\\')
			*o++ = '\\';
		*o++ = s.p[i];
	}
	*o = '"';
	out->len += s.len + escapes + 2;
}

static void
put_literal(struct buf *out, struct str s)
{
	size_t nuls = 0;
	for (size_t i = str_find(s, '\0'); i < s.len; i++)
		nuls += s.p[i] == '\0';
	buf_putf(out, "{%zu}\r\n", s.len + nuls * 2);
	while (s.len) {
		size_t n = str_find(s, '\0');
		buf_puts(out, str_first(s, n));
		if (n < s.len)
			buf_puts(out, STR("\xef\xbf\xbd"));
		s = str_skip(s, n + 1);
	}
}

void
imaptext_string(struct buf *out, struct str s)
{
	unsigned escapes;
	if (is_quotable(s, &escapes))
		put_quoted(out, s, escapes);
	else
		put_literal(out, s);
}

static bool
is_eol(char c)
{
	return c == '\r' || c == '\n';
}

/* Line ends vanish; a blank takes their place where none follows. */
static void
put_unfolded(struct buf *out, struct str s)
{
	for (size_t i = 0; i < s.len; i++) {
		bool last = i + 1 == s.len;
		if (!is_eol(s.p[i]))
			buf_putc(out, s.p[i]);
		else if (!last && !is_eol(s.p[i + 1]) && s.p[i + 1] != ' ' && s.p[i + 1] != '\t')
			buf_putc(out, ' ');
	}
}

void
imaptext_value(struct buf *out, struct str s)
{
	unsigned escapes;
	if (!s.p) {
		buf_puts(out, STR("NIL"));
		return;
	}
	if (is_quotable(s, &escapes)) {
		put_quoted(out, s, escapes);
		return;
	}
	struct buf flat = BUF_INIT(s.len);
	put_unfolded(&flat, s);
	out->failed |= flat.failed;
	imaptext_string(out, buf_str(&flat));
	buf_done(&flat);
}

static bool
is_white(char c)
{
	return c == ' ' || c == '\t' || is_eol(c);
}

/* A string that comes out as it is, in quotes. */
static bool
is_plain(struct str s)
{
	bool blank = true;
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (c >= 0x80 || c == '\0' || c == '"' || c == '\\' ||
		    (is_white(s.p[i]) && (blank || c != ' ')))
			return false;
		blank = c == ' ';
	}
	return s.len == 0 || !blank;
}

void
imaptext_words(struct buf *out, struct str s)
{
	struct buf flat = BUF_INIT(s.len);
	if (is_plain(s) || str_trim(s).len == 0) {
		buf_putc(out, '"');
		buf_puts(out, str_trim(s));
		buf_putc(out, '"');
		return;
	}
	for (size_t i = 0; i < s.len; i++) {
		bool white = is_white(s.p[i]);
		if (!white || (flat.len && !is_white(s.p[i - 1])))
			buf_putc(&flat, white ? ' ' : s.p[i]);
	}
	if (flat.len && flat.p[flat.len - 1] == ' ')
		flat.len--;
	out->failed |= flat.failed;
	put_literal(out, buf_str(&flat));
	buf_done(&flat);
}

/* --- reading --- */

/* Octets of the quoted string at the start of s with its quotes; 0: it has no end. */
static size_t
quoted_len(struct str s)
{
	for (size_t i = 1; i < s.len; i++) {
		if (s.p[i] == '"')
			return i + 1;
		i += s.p[i] == '\\';
	}
	return 0;
}

/* "{5}CRLF": its length; ret_octets: how many follow. */
static size_t
literal_head(struct str s, size_t *ret_octets)
{
	size_t n = 0, i = 1;
	for (; i < s.len && s.p[i] >= '0' && s.p[i] <= '9'; i++) {
		n = n * 10 + (size_t)(s.p[i] - '0');
		if (n > s.len)
			return 0;
	}
	if (i == 1 || !str_starts(str_skip(s, i), STR("}\r\n")) || n > s.len - i - 3)
		return 0;
	*ret_octets = n;
	return i + 3;
}

/* Octets of the list at the start of s with its parentheses; 0: it has no end. */
static size_t
list_len(struct str s)
{
	size_t depth = 0;
	for (size_t i = 0, n, octets; i < s.len; i += n) {
		struct str rest = str_skip(s, i);
		n = 1;
		if (rest.p[0] == '(' && ++depth > DEPTH_MAX)
			return 0;
		if (rest.p[0] == ')' && --depth == 0)
			return i + 1;
		if (rest.p[0] == '"') {
			n = quoted_len(rest);
		} else if (rest.p[0] == '{') {
			n = literal_head(rest, &octets);
			n += n ? octets : 0;
		}
		if (n == 0)
			return 0;
	}
	return 0;
}

static bool
atom_next(struct str *s, enum imaptext_kind *ret_kind, struct str *ret)
{
	size_t n = str_find_any(*s, " ()");
	struct str atom = str_first(*s, n);
	bool nil = str_ieq(atom, STR("NIL"));
	for (size_t i = 0; i < n && !nil; i++)
		if (atom.p[i] < '0' || atom.p[i] > '9')
			return false;
	if (n == 0)
		return false;
	*ret_kind = nil ? IMAPTEXT_NIL : IMAPTEXT_NUMBER;
	*ret = atom;
	*s = str_skip(*s, n);
	return true;
}

bool
imaptext_next(struct str *s, enum imaptext_kind *ret_kind, struct str *ret)
{
	size_t n, octets = 0;
	while (s->len && s->p[0] == ' ')
		*s = str_skip(*s, 1);
	if (s->len == 0)
		return false;
	switch (s->p[0]) {
	case '"':
		n = quoted_len(*s);
		*ret_kind = IMAPTEXT_QUOTED;
		break;
	case '(':
		n = list_len(*s);
		*ret_kind = IMAPTEXT_LIST;
		break;
	case '{':
		n = literal_head(*s, &octets);
		*ret_kind = IMAPTEXT_LITERAL;
		break;
	default:
		return atom_next(s, ret_kind, ret);
	}
	if (n == 0)
		return false;
	if (*ret_kind == IMAPTEXT_LITERAL)
		*ret = str_first(str_skip(*s, n), octets);
	else
		*ret = str_n(s->p + 1, n - 2);
	*s = str_skip(*s, n + octets);
	return true;
}

void
imaptext_unquote(struct buf *out, enum imaptext_kind kind, struct str s)
{
	while (kind == IMAPTEXT_QUOTED && s.len) {
		size_t n = str_find(s, '\\');
		buf_puts(out, str_first(s, n));
		s = str_skip(s, n);
		if (s.len > 1)
			buf_putc(out, s.p[1]);
		s = str_skip(s, 2);
	}
	if (kind == IMAPTEXT_LITERAL || kind == IMAPTEXT_NUMBER)
		buf_puts(out, s);
}
