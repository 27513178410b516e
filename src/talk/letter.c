#include "talk/letter.h"

#include "base/check.h"

void
letter_init(struct letter *l)
{
	*l = (struct letter){ .text = BUF_INIT(LETTER_MAX) };
}

void
letter_done(struct letter *l)
{
	buf_done(&l->text);
	letter_init(l);
}

void
letter_reset(struct letter *l)
{
	buf_reset(&l->text);
	l->lines = l->attached = 0;
}

void
letter_put_line(struct letter *l, struct str line)
{
	if (l->text.len + line.len + 2 > LETTER_MAX)
		l->text.failed = true;
	buf_puts(&l->text, line);
	buf_putz(&l->text, "\r\n");
	l->lines++;
}

static const struct {
	char key;
	enum letter_line what;
} tildes[] = {
	{ 'e', LETTER_EDIT },
	{ 'v', LETTER_EDIT },
	{ 'r', LETTER_READ },
	{ 'a', LETTER_ATTACH },
	{ 'h', LETTER_HEADERS },
	{ 'q', LETTER_QUIT },
	{ 'p', LETTER_PRINT },
	{ '?', LETTER_HELP },
};

static enum letter_line
tilde(struct letter *l, struct str line, struct str *ret_arg)
{
	if (str_starts(line, STR("~~"))) { /* as in mail(1): a line that begins with one */
		letter_put_line(l, str_skip(line, 1));
		return l->text.failed ? LETTER_FULL : LETTER_KEPT;
	}
	*ret_arg = str_trim(str_skip(line, 2));
	bool alone = line.len == 2 || (line.len > 2 && (line.p[2] == ' ' || line.p[2] == '\t'));
	for (size_t i = 0; alone && i < ARRAY_LEN(tildes); i++)
		if (line.p[1] == tildes[i].key)
			return tildes[i].what;
	return LETTER_UNKNOWN;
}

enum letter_line
letter_typed(struct letter *l, struct str line, bool plain, struct str *ret_arg)
{
	*ret_arg = STR_NULL;
	if (str_eq(line, STR(".")))
		return LETTER_END;
	if (!plain && str_starts(line, STR(".")) && str_rtrim(line).len == 1)
		return LETTER_DOT_BLANK;
	if (!plain && str_starts(line, STR("~")))
		return tilde(l, line, ret_arg);
	letter_put_line(l, line);
	return l->text.failed ? LETTER_FULL : LETTER_KEPT;
}

bool
letter_put_text(struct letter *l, struct str text)
{
	while (text.len) {
		size_t n = str_find_any(text, "\r\n");
		letter_put_line(l, str_first(text, n));
		text = str_skip(text, n);
		text = str_skip(text, str_starts(text, STR("\r\n")) ? 2 : 1);
	}
	return !l->text.failed;
}

bool
letter_set(struct letter *l, struct str text)
{
	struct letter made;
	letter_init(&made);
	made.attached = l->attached;
	if (!letter_put_text(&made, text)) {
		letter_done(&made);
		return false;
	}
	letter_done(l);
	*l = made;
	return true;
}

/* --- the header --- */

static size_t
name_len(struct str line)
{
	size_t n = 0;
	while (n < line.len && line.p[n] > ' ' && line.p[n] < 0x7f && line.p[n] != ':')
		n++;
	return n > 0 && n < line.len && line.p[n] == ':' ? n : 0;
}

/* The next line with its end. */
static struct str
next_line(struct str *s)
{
	size_t n = str_find(*s, '\n');
	struct str line = str_first(*s, n + 1);
	*s = str_skip(*s, n + 1);
	return line;
}

bool
letter_has_header(const struct letter *l)
{
	struct str rest = buf_str(&l->text);
	return name_len(next_line(&rest)) > 0;
}

/* Where the field stands, folded lines included; len 0: it is not there. */
static struct str
find_field(const struct letter *l, struct str name)
{
	struct str rest = buf_str(&l->text);
	while (rest.len) {
		struct str line = next_line(&rest);
		size_t n = name_len(line);
		if (n == 0)
			break;
		const char *begin = line.p, *end = line.p + line.len;
		while (rest.len && (rest.p[0] == ' ' || rest.p[0] == '\t')) {
			line = next_line(&rest);
			end = line.p + line.len;
		}
		if (str_ieq(str_n(begin, n), name))
			return str_n(begin, (size_t)(end - begin));
	}
	return STR_NULL;
}

void
letter_field(const struct letter *l, struct str name, struct buf *ret)
{
	struct str field = find_field(l, name);
	struct str value = str_trim(str_skip(field, field.len ? name.len + 1 : 0));
	for (size_t i = 0; i < value.len; i++)
		if (value.p[i] != '\r' && value.p[i] != '\n')
			buf_putc(ret, value.p[i]);
}

bool
letter_field_set(struct letter *l, struct str name, struct str value)
{
	struct buf made = BUF_INIT(LETTER_MAX);
	struct str text = buf_str(&l->text), old = find_field(l, name);
	size_t at = old.len ? (size_t)(old.p - text.p) : 0;
	bool header = letter_has_header(l);
	buf_puts(&made, str_first(text, at));
	buf_puts(&made, name);
	buf_putz(&made, ": ");
	for (size_t i = 0; i < value.len; i++) /* a line end would make another field of it */
		buf_putc(&made, value.p[i] == '\r' || value.p[i] == '\n' ? ' ' : value.p[i]);
	buf_putz(&made, "\r\n");
	if (!header && !str_starts(text, STR("\r\n")))
		buf_putz(&made, "\r\n");
	buf_puts(&made, str_skip(text, at + old.len));
	bool ok = !made.failed && letter_set(l, buf_str(&made));
	buf_done(&made);
	return ok;
}

/* --- the wire --- */

bool
letter_needs_dot(struct str line)
{
	return str_starts(line, STR("."));
}

void
letter_stuff(struct str text, struct buf *out)
{
	while (text.len) {
		struct str line = next_line(&text);
		if (letter_needs_dot(line))
			buf_putc(out, '.');
		buf_puts(out, line);
	}
	buf_putz(out, ".\r\n");
}
