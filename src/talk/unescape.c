#include "talk/unescape.h"

#include "base/check.h"
#include "base/num.h"

static const struct {
	char key, value;
} escapes[] = {
	{ 'r', '\r' },
	{ 'n', '\n' },
	{ 't', '\t' },
	{ '0', '\0' },
	{ '\\', '\\' },
	{ '"', '"' },
};

static bool
put_hex(struct str two, struct buf *out)
{
	uint64_t v;
	if (two.len != 2 || !num_hex(two, &v))
		return false;
	buf_putc(out, (char)v);
	return true;
}

/* s: behind the backslash. Octets used; 0: none that is known. */
static size_t
put_escape(struct str s, struct buf *out)
{
	if (s.len && s.p[0] == 'x')
		return put_hex(str_first(str_skip(s, 1), 2), out) ? 3 : 0;
	for (size_t i = 0; s.len && i < ARRAY_LEN(escapes); i++) {
		if (s.p[0] == escapes[i].key) {
			buf_putc(out, escapes[i].value);
			return 1;
		}
	}
	return 0;
}

static const char *
quoted(struct str s, struct buf *out)
{
	while (s.len && s.p[0] != '"') {
		size_t used = 1;
		if (s.p[0] != '\\') {
			buf_putc(out, s.p[0]);
		} else {
			used = put_escape(str_skip(s, 1), out);
			if (used == 0)
				return "behind \\ stands one of r n t 0 \\ \" xHH";
			used++;
		}
		s = str_skip(s, used);
	}
	if (s.len == 0)
		return "the closing quote is missing";
	return str_trim(str_skip(s, 1)).len ? "something follows the closing quote" : NULL;
}

const char *
octets_read(struct str text, struct buf *out)
{
	text = str_trim(text);
	if (text.len == 0)
		return "give octets as hexadecimal digits, or a text in quotes";
	if (text.p[0] == '"')
		return quoted(str_skip(text, 1), out);
	while (text.len) {
		if (!put_hex(str_first(text, 2), out))
			return "these are no pairs of hexadecimal digits; a text stands in quotes";
		text = str_ltrim(str_skip(text, 2));
	}
	return NULL;
}
