#include "mail/address.h"

#include "base/check.h"
#include "base/utf8.h"

#include <arpa/inet.h>

#define LABEL_MAX 63
#define BRACKETS 2 /* RFC 5321 4.5.3.1.3 counts the punctuation of a path */

static bool
is_alnum(unsigned char c)
{
	return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

/* RFC 5322 3.2.3, with RFC 6531 3.3. */
static bool
is_atext(unsigned char c)
{
	return is_alnum(c) || c > 0x7f || (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", c));
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* C0, DEL, and C1 as UTF-8 writes it. */
static bool
has_control(struct str s)
{
	unsigned char was = 0, c;
	for (size_t i = 0; i < s.len; i++, was = c) {
		c = (unsigned char)s.p[i];
		if (c < 0x20 || c == 0x7f || (was == 0xc2 && c < 0xa0))
			return true;
	}
	return false;
}

/* Octets of the quoted string at the start of s, or 0 (RFC 5321 4.1.2). */
static size_t
quoted_len(struct str s)
{
	if (s.len == 0 || s.p[0] != '"')
		return 0;
	for (size_t i = 1; i < s.len; i++) {
		if (s.p[i] == '"')
			return i + 1;
		if (s.p[i] == '\\')
			i++;
	}
	return 0;
}

/* Offset of the first octet of set outside quoted strings, or s.len. */
static size_t
find_bare(struct str s, const char *set)
{
	for (size_t i = 0; i < s.len; i++) {
		size_t quoted = quoted_len(str_skip(s, i));
		if (quoted) {
			i += quoted - 1;
			continue;
		}
		if (s.p[i] == '"') /* never closed, so no later one opens */
			return i + str_find_any(str_skip(s, i), set);
		if (s.p[i] != '\0' && strchr(set, s.p[i]))
			return i;
	}
	return s.len;
}

static bool
is_dot_atom(struct str s)
{
	bool dot = true;
	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] == '.' && dot)
			return false;
		dot = s.p[i] == '.';
		if (!dot && !is_atext((unsigned char)s.p[i]))
			return false;
	}
	return !dot;
}

/* The next octet that a local part means, quotes and backslashes taken off. */
static bool
next_meant(struct str *local, bool quoted, char *ret)
{
	size_t skip = quoted && local->len > 1 && local->p[0] == '\\' ? 1 : 0;
	if (local->len == 0)
		return false;
	*ret = local->p[skip];
	*local = str_skip(*local, skip + 1);
	return true;
}

/* What stands between the quotes. */
static struct str
inside(const struct addr *a)
{
	return a->quoted ? str_first(str_skip(a->local, 1), a->local.len - 2) : a->local;
}

/* Text that old systems took for a program, a file, an include or a command line. */
static bool
is_bait(const struct addr *a)
{
	struct str s = inside(a);
	char was = '\0', c;
	for (bool first = true; next_meant(&s, a->quoted, &c); first = false, was = c) {
		if (first && (c == '|' || c == '/' || c == ':'))
			return true;
		if (c == '`' || (was == '$' && (c == '(' || c == '{')))
			return true;
	}
	return false;
}

/* RFC 6531 3.3 lets UTF-8 into a quoted string, but not behind a backslash. */
static bool
is_quotable(struct str s)
{
	for (size_t i = 0; i + 1 < s.len; i++)
		if (s.p[i] == '\\' && (unsigned char)s.p[++i] > 0x7f)
			return false;
	return true;
}

static enum addr_verdict
local_check(const struct addr *a)
{
	if (a->local.len == 0)
		return ADDR_BAD;
	if (is_bait(a))
		return ADDR_BAIT;
	if (a->local.len > ADDR_LOCAL_MAX)
		return ADDR_LONG;
	if (a->quoted)
		return is_quotable(inside(a)) ? ADDR_OK : ADDR_BAD;
	if (!is_dot_atom(a->local))
		return ADDR_BAD;
	return str_find_any(a->local, "%!") < a->local.len ? ADDR_ROUTE : ADDR_OK;
}

static enum addr_verdict
label_check(struct str label)
{
	if (label.len == 0 || label.p[0] == '-' || label.p[label.len - 1] == '-')
		return ADDR_BAD;
	for (size_t i = 0; i < label.len; i++) {
		unsigned char c = (unsigned char)label.p[i];
		if (!is_alnum(c) && c != '-' && c <= 0x7f)
			return ADDR_BAD;
	}
	return label.len > LABEL_MAX ? ADDR_LONG : ADDR_OK;
}

static enum addr_verdict
domain_check(struct str domain)
{
	enum addr_verdict worst = domain.len > ADDR_DOMAIN_MAX ? ADDR_LONG : ADDR_OK;
	do {
		enum addr_verdict v = label_check(str_cut(&domain, '.'));
		if (v == ADDR_BAD)
			return ADDR_BAD;
		if (v != ADDR_OK)
			worst = v;
	} while (domain.p);
	return worst;
}

/* RFC 5321 4.1.3: IPv4 and tagged IPv6; no other tag has ever been registered. */
static bool
is_literal(struct str s)
{
	char text[INET6_ADDRSTRLEN];
	unsigned char ip[16];
	if (s.len < 2 || s.p[0] != '[' || s.p[s.len - 1] != ']')
		return false;
	s = str_first(str_skip(s, 1), s.len - 2);
	int family = AF_INET;
	if (str_istarts(s, STR("IPv6:"))) {
		family = AF_INET6;
		s = str_skip(s, 5);
	}
	return str_copy(text, sizeof(text), s) && inet_pton(family, text, ip) == 1;
}

static enum addr_verdict
parts_check(const struct addr *a)
{
	enum addr_verdict v = local_check(a);
	if (v != ADDR_OK)
		return v;
	if (a->literal)
		return is_literal(a->domain) ? ADDR_OK : ADDR_BAD;
	return domain_check(a->domain);
}

static enum addr_verdict
octets_check(struct str s, unsigned flags, bool *ret_utf8)
{
	*ret_utf8 = !utf8_is_ascii(s);
	if (has_control(s) || !utf8_valid(s))
		return ADDR_BAD;
	return *ret_utf8 && !(flags & ADDR_SMTPUTF8) ? ADDR_UTF8 : ADDR_OK;
}

/* local@domain with nothing around it. */
static enum addr_verdict
mailbox(struct str s, unsigned flags, struct addr *ret)
{
	struct addr a = { .whole = s };
	enum addr_verdict v = octets_check(s, flags, &a.utf8);
	if (v != ADDR_OK)
		return v;
	if (s.len && s.p[0] == '@') /* RFC 5321 appendix C */
		return ADDR_ROUTE;
	size_t quoted = quoted_len(s), at = quoted ? quoted : str_find(s, '@');
	a.quoted = quoted != 0;
	a.local = str_first(s, at);
	a.domain = str_skip(s, at + 1);
	a.literal = a.domain.len && a.domain.p[0] == '[';
	if (quoted && at < s.len && s.p[at] != '@')
		return ADDR_BAD;
	if (str_find(a.domain, '@') < a.domain.len)
		return ADDR_ROUTE;
	if (at < s.len || !(flags & ADDR_BARE_POSTMASTER) || !str_ieq(s, STR("postmaster")))
		v = parts_check(&a);
	if (v == ADDR_OK && s.len + BRACKETS > ADDR_PATH_MAX)
		v = ADDR_LONG;
	if (v == ADDR_OK)
		*ret = a;
	return v;
}

/* Cuts the path off s: what stands between the brackets, and what follows them. */
static enum addr_verdict
cut_path(struct str *s, unsigned flags, struct str *ret)
{
	bool bracket = s->len && s->p[0] == '<';
	if (!bracket && !(flags & ADDR_LOOSE))
		return ADDR_SYNTAX;
	struct str rest = bracket ? str_skip(*s, 1) : *s;
	size_t end = find_bare(rest, bracket ? ">" : " \t<>");
	*ret = str_first(rest, end);
	rest = str_skip(rest, end);
	if (bracket ? rest.len == 0 : end == 0)
		return ADDR_SYNTAX;
	if (bracket)
		rest = str_skip(rest, 1);
	if (rest.len && !is_blank(rest.p[0]))
		return ADDR_SYNTAX;
	*s = rest;
	return ADDR_OK;
}

enum addr_verdict
addr_path(struct str *in, unsigned flags, struct addr *ret)
{
	struct str s = *in, path;
	while (s.len && is_blank(s.p[0]))
		s = str_skip(s, 1);
	enum addr_verdict v = cut_path(&s, flags, &path);
	if (v != ADDR_OK)
		return v;
	if (path.len == 0 && (flags & ADDR_NULL))
		*ret = (struct addr){ .whole = path, .local = path, .domain = path, .null = true };
	else
		v = mailbox(path, flags, ret);
	if (v == ADDR_OK)
		*in = s;
	return v;
}

enum addr_verdict
addr_mailbox(struct str in, unsigned flags, struct addr *ret)
{
	if (in.len == 0 && (flags & ADDR_NULL)) {
		*ret = (struct addr){ .whole = in, .local = in, .domain = in, .null = true };
		return ADDR_OK;
	}
	return in.len ? mailbox(in, flags, ret) : ADDR_SYNTAX;
}

enum addr_verdict
addr_domain(struct str in, unsigned flags)
{
	bool utf8;
	if (in.len == 0)
		return ADDR_SYNTAX;
	enum addr_verdict v = octets_check(in, flags, &utf8);
	return v == ADDR_OK ? domain_check(in) : v;
}

static char
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

struct sink {
	char *p;
	size_t n, used;
};

static void
sink_put(struct sink *k, char c)
{
	if (k->used < k->n)
		k->p[k->used] = c;
	k->used++;
}

bool
addr_fold(const struct addr *a, char *dst, size_t n)
{
	check(n > 0);
	struct sink k = { dst, n, 0 };
	char plain[ADDR_PATH_MAX], c;
	size_t len = 0;
	dst[0] = '\0';
	for (struct str s = inside(a); len < sizeof(plain) && next_meant(&s, a->quoted, &c);)
		plain[len++] = lower(c);
	bool quote = a->quoted && !is_dot_atom(str_n(plain, len));
	if (quote)
		sink_put(&k, '"');
	for (size_t i = 0; i < len; i++) {
		if (quote && (plain[i] == '"' || plain[i] == '\\'))
			sink_put(&k, '\\');
		sink_put(&k, plain[i]);
	}
	if (quote)
		sink_put(&k, '"');
	if (a->domain.len)
		sink_put(&k, '@');
	for (size_t i = 0; i < a->domain.len; i++)
		sink_put(&k, lower(a->domain.p[i]));
	sink_put(&k, '\0');
	if (k.used > n)
		dst[0] = '\0';
	return k.used <= n;
}
