#include "base/str.h"

#include "base/check.h"

#include <stdint.h>

static unsigned char
lower(char c)
{
	unsigned char u = (unsigned char)c;
	return u >= 'A' && u <= 'Z' ? u | 0x20 : u;
}

static bool
same(const char *a, const char *b, size_t n, bool fold)
{
	if (n == 0)
		return true;
	if (!fold)
		return memcmp(a, b, n) == 0;
	for (size_t i = 0; i < n; i++)
		if (lower(a[i]) != lower(b[i]))
			return false;
	return true;
}

bool
str_eq(struct str a, struct str b)
{
	return a.len == b.len && same(a.p, b.p, a.len, false);
}

bool
str_ieq(struct str a, struct str b)
{
	return a.len == b.len && same(a.p, b.p, a.len, true);
}

int
str_cmp(struct str a, struct str b)
{
	size_t n = MIN(a.len, b.len);
	int c = n ? memcmp(a.p, b.p, n) : 0;
	if (c != 0)
		return c;
	return a.len < b.len ? -1 : a.len > b.len;
}

bool
str_starts(struct str s, struct str prefix)
{
	return s.len >= prefix.len && same(s.p, prefix.p, prefix.len, false);
}

bool
str_istarts(struct str s, struct str prefix)
{
	return s.len >= prefix.len && same(s.p, prefix.p, prefix.len, true);
}

bool
str_ends(struct str s, struct str suffix)
{
	return s.len >= suffix.len && same(s.p + (s.len - suffix.len), suffix.p, suffix.len, false);
}

bool
str_iends(struct str s, struct str suffix)
{
	return s.len >= suffix.len && same(s.p + (s.len - suffix.len), suffix.p, suffix.len, true);
}

size_t
str_find(struct str s, char c)
{
	const char *hit = s.len ? memchr(s.p, c, s.len) : NULL;
	return hit ? (size_t)(hit - s.p) : s.len;
}

size_t
str_find_any(struct str s, const char *set)
{
	uint64_t in[4] = { 0 };
	size_t i = 0;
	for (; *set; set++)
		in[(unsigned char)*set >> 6] |= UINT64_C(1) << (*set & 63);
	while (i < s.len && !(in[(unsigned char)s.p[i] >> 6] >> (s.p[i] & 63) & 1))
		i++;
	return i;
}

size_t
str_rfind(struct str s, char c)
{
	for (size_t i = s.len; i > 0; i--)
		if (s.p[i - 1] == c)
			return i - 1;
	return s.len;
}

size_t
str_find_str(struct str s, struct str what)
{
	if (what.len == 0)
		return 0;
	const char *hit = s.len ? memmem(s.p, s.len, what.p, what.len) : NULL;
	return hit ? (size_t)(hit - s.p) : s.len;
}

static bool
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct str
str_ltrim(struct str s)
{
	while (s.len && is_space(s.p[0]))
		s = str_skip(s, 1);
	return s;
}

struct str
str_rtrim(struct str s)
{
	while (s.len && is_space(s.p[s.len - 1]))
		s.len--;
	return s;
}

struct str
str_trim(struct str s)
{
	return str_rtrim(str_ltrim(s));
}

struct str
str_cut(struct str *s, char sep)
{
	size_t at = str_find(*s, sep);
	struct str head = str_first(*s, at);
	*s = at < s->len ? str_skip(*s, at + 1) : STR_NULL;
	return head;
}

struct str
str_word(struct str *s)
{
	size_t i = 0;
	while (i < s->len && (s->p[i] == ' ' || s->p[i] == '\t'))
		i++;
	size_t start = i;
	while (i < s->len && s->p[i] != ' ' && s->p[i] != '\t')
		i++;
	struct str word = { s->p ? s->p + start : NULL, i - start };
	*s = str_skip(*s, i);
	return word;
}

char *
str_dup(struct str s)
{
	char *p = xalloc(s.len + 1);
	if (s.len)
		memcpy(p, s.p, s.len);
	return p;
}

bool
str_copy(char *dst, size_t n, struct str s)
{
	check(n > 0);
	dst[0] = '\0';
	if (s.len >= n)
		return false;
	if (s.len)
		memcpy(dst, s.p, s.len);
	dst[s.len] = '\0';
	return true;
}
