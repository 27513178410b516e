/*
 * Numbers that the library would wrap. It reads an integer without L as 32 bits and keeps what
 * is left of a larger one without a word, so a limit of 5000000000 would become 705032704.
 */
#include "conf/load_priv.h"

#include "base/num.h"

#include <ctype.h>

static bool
is_word(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '-' || c == '*' || c == '.';
}

/* Length of what stands at s and holds no numbers: a comment, a text, a word; 0: nothing such. */
static size_t
skip_quiet(struct str s)
{
	size_t n = 0;
	if (s.p[0] == '#' || str_starts(s, STR("//")))
		return str_find(s, '\n');
	if (str_starts(s, STR("/*"))) {
		n = str_find_str(str_skip(s, 2), STR("*/"));
		return MIN(s.len, n + 4);
	}
	if (s.p[0] == '"') {
		for (n = 1; n < s.len && s.p[n] != '"'; n++)
			n += s.p[n] == '\\';
		return MIN(s.len, n + 1);
	}
	if (isalpha((unsigned char)s.p[0]) || s.p[0] == '*' || s.p[0] == '_') {
		while (n < s.len && is_word(s.p[n]))
			n++;
	}
	return n;
}

static bool
fits(struct str word)
{
	uint64_t v;
	size_t digits = word.len;
	while (digits && (word.p[digits - 1] == 'L'))
		digits--;
	bool is_long = digits < word.len;
	struct str d = str_first(word, digits);
	if (str_istarts(d, STR("0x"))) {
		d = str_skip(d, 2);
		return num_hex(d, &v) ? is_long || v <= UINT32_MAX : d.len < 16;
	}
	for (size_t i = 0; i < d.len; i++)
		if (!isdigit((unsigned char)d.p[i]))
			return true; /* no integer: a float, or an error that the library reports */
	return num_u64(d, is_long ? INT64_MAX : INT32_MAX, &v);
}

void
loader_wide_numbers(struct loader *ld, const char *name, struct str text)
{
	unsigned line = 1;
	while (text.len) {
		size_t n = skip_quiet(text);
		if (n == 0 && isdigit((unsigned char)text.p[0])) {
			while (n < text.len && is_word(text.p[n]))
				n++;
			struct str word = str_first(text, n);
			if (!fits(word)) {
				word = str_first(word, 40);
				buf_putf(ld->err,
				    "%s:%u: the number " STR_FMT
				    " is too large as it stands; write it in double quotes\n",
				    name, line, STR_ARG(word));
				ld->mistakes++;
			}
		}
		n = MAX(n, (size_t)1);
		for (size_t i = 0; i < n; i++)
			line += text.p[i] == '\n';
		text = str_skip(text, n);
	}
}
