/* Patterns: of words, of codes. */
#include "explain/explain_priv.h"

#include "base/num.h"

static bool
blank(char c)
{
	return c == ' ';
}

/* Where the part of the pattern up to the next * (or the end) fits at t; SIZE_MAX: it does not. */
static size_t
fit(const char *pattern, size_t n, struct str t)
{
	size_t at = 0;
	for (size_t i = 0; i < n; i++) {
		if (pattern[i] == '%') {
			size_t from = at;
			while (at < t.len && !blank(t.p[at]) &&
			       !(at > from && i + 1 < n && pattern[i + 1] == t.p[at]))
				at++;
			if (at == from)
				return SIZE_MAX;
		} else if (at >= t.len || t.p[at] != pattern[i]) {
			return SIZE_MAX;
		} else {
			at++;
		}
	}
	return at;
}

static size_t
part_len(const char *pattern)
{
	size_t n = 0;
	while (pattern[n] != '\0' && pattern[n] != '*')
		n++;
	return n;
}

/* The last part must reach the end: the places from the right are tried. */
static bool
fit_end(const char *pattern, size_t n, struct str t)
{
	for (size_t at = t.len + 1; at-- > 0;) {
		size_t used = fit(pattern, n, str_skip(t, at));
		if (used != SIZE_MAX && at + used == t.len)
			return true;
	}
	return false;
}

bool
explain_like(const char *pattern, struct str t)
{
	size_t n = part_len(pattern);
	size_t used = fit(pattern, n, t);
	if (used == SIZE_MAX)
		return false;
	t = str_skip(t, used);
	pattern += n;
	if (*pattern == '\0')
		return t.len == 0;
	while (*pattern == '*') {
		pattern++;
		n = part_len(pattern);
		if (n == 0)
			continue;
		if (pattern[n] == '\0')
			return fit_end(pattern, n, t);
		for (used = SIZE_MAX; t.len > 0; t = str_skip(t, 1)) {
			used = fit(pattern, n, t);
			if (used != SIZE_MAX)
				break;
		}
		if (used == SIZE_MAX)
			return false;
		t = str_skip(t, used);
		pattern += n;
	}
	return true;
}

/* One of the three parts: X and x take any, N-M takes a range. */
static bool
part_like(struct str want, struct str have)
{
	uint64_t n, low, high;
	if (str_ieq(want, STR("x")))
		return true;
	struct str from = str_cut(&want, '-');
	if (!want.p)
		return str_eq(from, have);
	return num_u64(have, 999, &n) && num_u64(from, 999, &low) && num_u64(want, 999, &high) &&
	       n >= low && n <= high;
}

bool
explain_enhanced_like(const char *pattern, struct str have)
{
	struct str want = str_of(pattern);
	if (want.len > 0 && (want.p[0] == '[' || want.p[0] == '('))
		return str_ieq(want, have);
	for (int i = 0; i < 3; i++) {
		struct str a = str_cut(&want, '.'), b = str_cut(&have, '.');
		if (b.len == 0 || !part_like(a, b))
			return false;
	}
	return !want.p && !have.p;
}
