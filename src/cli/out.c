#include "base/check.h"
#include "base/num.h"
#include "base/utf8.h"
#include "cli/cli.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool
out_color(FILE *f)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");
	return isatty(fileno(f)) && (no == NULL || *no == '\0') && term &&
	       strcmp(term, "dumb") != 0;
}

void
out_size(struct buf *b, uint64_t octets)
{
	static const char *const units[] = { "kB", "MB", "GB", "TB", "PB" };
	if (octets < 1000) {
		buf_putf(b, "%" PRIu64 " B", octets);
		return;
	}
	double v = (double)octets / 1000;
	size_t u = 0;
	for (; v >= 999.95 && u + 1 < ARRAY_LEN(units); u++)
		v /= 1000;
	buf_putf(b, "%.1f %s", v, units[u]);
}

/* --- JSON --- */

/* Octets at the start of s that are one character, 0: they are none. */
static size_t
character(struct str s)
{
	for (size_t n = 1; n <= 4 && n <= s.len; n++)
		if (utf8_valid(str_first(s, n)))
			return n;
	return 0;
}

json_t *
out_json_text(struct str s)
{
	if (utf8_valid(s))
		return json_stringn(s.len ? s.p : "", s.len);
	struct buf b = BUF_INIT(SIZE_MAX / 2);
	while (s.len) {
		size_t n = character(s);
		buf_puts(&b, n ? str_first(s, n) : STR("\xef\xbf\xbd"));
		s = str_skip(s, n ? n : 1);
	}
	json_t *j = json_stringn(b.p, b.len);
	buf_done(&b);
	return j;
}

json_t *
out_json_number(struct str digits)
{
	uint64_t v;
	if (digits.len == 0)
		return json_null();
	if (!num_u64(digits, INT64_MAX, &v))
		return out_json_text(digits);
	return json_integer((json_int_t)v);
}

void
out_json(json_t *root)
{
	check(root);
	json_dumpf(root, stdout, JSON_INDENT(2) | JSON_ENCODE_ANY);
	putchar('\n');
	json_decref(root);
}
