#include "mail/header.h"

/* The line at the start of s with its line end; a bare LF ends one too, as in mail/scan.h. */
static struct str
first_line(struct str s)
{
	size_t lf = str_find(s, '\n');
	return str_first(s, lf < s.len ? lf + 1 : lf);
}

static bool
is_empty(struct str line)
{
	return str_eq(line, STR("\r\n")) || str_eq(line, STR("\n"));
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* R-MSG-3's idea of a field, blanks before the colon allowed (RFC 5322 4.5). */
static bool
is_field(struct str line, struct str *ret_name)
{
	size_t n = 0, colon;
	while (n < line.len && line.p[n] >= 0x21 && line.p[n] <= 0x7e && line.p[n] != ':')
		n++;
	for (colon = n; colon < line.len && is_blank(line.p[colon]);)
		colon++;
	if (n == 0 || colon == line.len || line.p[colon] != ':')
		return false;
	*ret_name = str_first(line, n);
	return true;
}

/* Octets before the next field, if one comes before an empty line; else 0. */
static size_t
damage_len(struct str s)
{
	size_t n = 0;
	struct str name;
	while (n < s.len) {
		struct str line = first_line(str_skip(s, n));
		if (is_field(line, &name))
			return n;
		if (is_empty(line))
			return 0;
		n += line.len;
	}
	return 0;
}

bool
header_next(struct str *block, struct header_field *ret)
{
	struct str name, line = first_line(*block);
	if (!is_field(line, &name))
		return false;
	size_t colon = str_find(line, ':'), n = line.len;
	for (;;) {
		struct str rest = str_skip(*block, n);
		line = first_line(rest);
		size_t more = line.len && is_blank(line.p[0]) ? line.len : damage_len(rest);
		if (more == 0)
			break;
		n += more;
	}
	struct str raw = str_first(*block, n);
	*ret = (struct header_field){ name, str_trim(str_skip(raw, colon + 1)), raw };
	*block = str_skip(*block, n);
	return true;
}

void
header_unfold(struct buf *out, struct str value)
{
	while (value.len) {
		size_t lf = str_find(value, '\n');
		struct str text = str_first(value, lf);
		if (lf == value.len) {
			buf_puts(out, text);
			return;
		}
		if (text.len && text.p[text.len - 1] == '\r')
			text.len--;
		buf_puts(out, text);
		value = str_ltrim(str_skip(value, lf));
		if (value.len)
			buf_putc(out, ' ');
	}
}
