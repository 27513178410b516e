/*
 * Mailbox names: octet 0 chooses encoding and separator. A name that is taken keeps the rules, and
 * goes to the wire and back unchanged, in either encoding. A pattern (up to the first LF) and a
 * name (behind it) match as a matcher says that tries everything.
 */
#include "access/access.h"
#include "access/name.h"
#include "base/check.h"

#include <stdint.h>

#define NAIVE_MAX 12

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
check_name(struct str wire, char separator, bool utf8, bool trailing)
{
	struct buf name = BUF_INIT(8192), back = BUF_INIT(8192), again = BUF_INIT(8192);
	const char *why = name_from_wire(wire, separator, utf8, trailing, &name);
	if (why) {
		check(name.len == 0 && why[0]);
	} else {
		check(name.len <= NAME_STORED_MAX && !name_check(buf_str(&name)));
		for (int form = 0; form < 2; form++) {
			buf_reset(&back);
			buf_reset(&again);
			name_to_wire(buf_str(&name), separator, form, &back);
			/* A name with the octet that is the separator is seen, not given. */
			if (separator != '/' && str_find(buf_str(&back), '/') < back.len)
				continue;
			check(!name_from_wire(buf_str(&back), separator, form, false, &again));
			check(str_eq(buf_str(&name), buf_str(&again)));
		}
		check(name_matches(buf_str(&name), STR("*")));
	}
	buf_done(&name);
	buf_done(&back);
	buf_done(&again);
}

static bool
is_inbox(struct str name)
{
	return str_istarts(name, STR("INBOX")) && (name.len == 5 || name.p[5] == '/');
}

static bool
naive(struct str name, size_t at, struct str pattern, bool inbox)
{
	if (pattern.len == 0)
		return at == name.len;
	char c = pattern.p[0];
	if (c == '*' || c == '%') {
		if (naive(name, at, str_skip(pattern, 1), inbox))
			return true;
		return at < name.len && (c == '*' || name.p[at] != '/') &&
		       naive(name, at + 1, pattern, inbox);
	}
	if (at == name.len)
		return false;
	bool same =
	    inbox && at < 5 ? str_ieq(str_n(&c, 1), str_n(name.p + at, 1)) : c == name.p[at];
	return same && naive(name, at + 1, str_skip(pattern, 1), inbox);
}

static void
check_pattern(struct str in, char separator, bool utf8)
{
	struct buf pattern = BUF_INIT(8192);
	struct str wire = str_cut(&in, '\n');
	bool good = name_pattern_from_wire(wire, separator, utf8, &pattern);
	check(good || pattern.len == 0);
	bool matches = name_matches(in, good ? buf_str(&pattern) : wire);
	if (good && pattern.len <= NAIVE_MAX && in.len <= NAIVE_MAX)
		check(matches == naive(in, 0, buf_str(&pattern), is_inbox(in)));
	buf_done(&pattern);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	if (n == 0)
		return 0;
	struct str in = str_n(data + 1, n - 1);
	char separator = data[0] & 1 ? '.' : '/';
	check_name(in, separator, data[0] & 2, data[0] & 4);
	check_pattern(in, separator, data[0] & 2);
	return 0;
}
