/* FETCH: "[section]<first.count>" (RFC 9051 6.4.5.1), and how the answer repeats it. */
#include "imap/fetch_priv.h"

#include "base/check.h"
#include "base/num.h"

#define ECHO_MAX (64u << 10)

static const struct {
	const char *name;
	bool path; /* only with part numbers in front */
	bool fields;
} sections[FETCH_SECTIONS] = {
	[FETCH_ALL] = { "", false, false },
	[FETCH_HEADER] = { "HEADER", false, false },
	[FETCH_TEXT] = { "TEXT", false, false },
	[FETCH_MIME] = { "MIME", true, false },
	[FETCH_FIELDS] = { "HEADER.FIELDS", false, true },
	[FETCH_FIELDS_NOT] = { "HEADER.FIELDS.NOT", false, true },
};

/* "1.2." off the front of *text. */
static bool
path_parse(struct imap_lex *x, struct arena *arena, struct fetch_item *i, struct str *text)
{
	uint32_t path[FETCH_PATH_MAX];
	while (text->len && text->p[0] >= '0' && text->p[0] <= '9') {
		size_t dot = str_find(*text, '.');
		uint64_t n;
		if (!num_u64(str_first(*text, dot), UINT32_MAX, &n) || n == 0)
			return imap_lex_fail(x, "a section that is not one");
		if (i->n_path == FETCH_PATH_MAX)
			return imap_lex_fail(x, "a section that is nested too deep");
		path[i->n_path++] = (uint32_t)n;
		if (dot + 1 == text->len)
			return imap_lex_fail(x, "a section that is not one");
		*text = str_skip(*text, dot + 1);
	}
	if (!i->n_path)
		return true;
	i->path = arena_alloc(arena, i->n_path * sizeof(path[0]));
	if (!i->path)
		return imap_lex_fail(x, "the command is too long");
	memcpy(i->path, path, i->n_path * sizeof(path[0]));
	return true;
}

static struct str
upper(struct arena *a, struct str in)
{
	char *p = arena_alloc(a, in.len + 1);
	if (!p)
		return STR_NULL;
	for (size_t k = 0; k < in.len; k++)
		p[k] = in.p[k] >= 'a' && in.p[k] <= 'z' ? (char)(in.p[k] - 'a' + 'A') : in.p[k];
	return str_n(p, in.len);
}

/* The names are repeated in capitals, quoted where they came so. */
static bool
fields_parse(struct imap_lex *x, struct arena *arena, struct fetch_item *i, struct buf *echo)
{
	struct str fields[FETCH_FIELDS_MAX];
	(void)imap_lex_sp(x);
	(void)imap_lex_char(x, '(');
	buf_putz(echo, " (");
	do {
		bool string = imap_lex_peek(x, '"') || imap_lex_peek(x, '{');
		struct str name = imap_lex_astring(x, arena);
		if (x->bad)
			return false;
		if (i->n_fields == FETCH_FIELDS_MAX)
			return imap_lex_fail(x, "too many header fields");
		name = upper(arena, name);
		if (!name.p)
			return imap_lex_fail(x, "the command is too long");
		if (i->n_fields)
			buf_putc(echo, ' ');
		if (string)
			imap_put_string(echo, name, x->utf8);
		else
			buf_puts(echo, name);
		fields[i->n_fields++] = name;
	} while (imap_lex_try(x, ' '));
	buf_putc(echo, ')');
	if (!imap_lex_char(x, ')'))
		return false;
	i->fields = arena_alloc(arena, i->n_fields * sizeof(fields[0]));
	if (!i->fields)
		return imap_lex_fail(x, "the command is too long");
	memcpy(i->fields, fields, i->n_fields * sizeof(fields[0]));
	return true;
}

bool
fetch_section_read(struct imap_lex *x, struct arena *arena, struct fetch_item *i, struct buf *echo)
{
	struct str text = imap_lex_peek(x, ']') ? STR("") : imap_lex_atom(x);
	if (x->bad || !path_parse(x, arena, i, &text))
		return false;
	size_t k = 0;
	while (k < FETCH_SECTIONS && !str_ieq(text, str_of(sections[k].name)))
		k++;
	bool binary = i->form != FETCH_BODY;
	if (k == FETCH_SECTIONS || (sections[k].path && !i->n_path) || (binary && k != FETCH_ALL))
		return imap_lex_fail(x, "a section that is not one");
	i->section = (enum fetch_section)k;
	for (size_t n = 0; n < i->n_path; n++)
		buf_putf(echo, "%s%u", n ? "." : "", i->path[n]);
	if (i->n_path && k != FETCH_ALL)
		buf_putc(echo, '.');
	buf_putz(echo, sections[k].name);
	return !sections[k].fields || fields_parse(x, arena, i, echo);
}

/* "<first.count>"; the answer has "<first>". */
static bool
partial_parse(struct imap_session *s, struct fetch_item *i, struct buf *echo)
{
	struct imap_lex *x = &s->cmd->lex;
	if (i->form == FETCH_BINARY_SIZE || !imap_lex_try(x, '<'))
		return true;
	if (!imap_lex_number64(x, &i->off) || !imap_lex_char(x, '.') ||
	    !imap_lex_number64(x, &i->len) || !imap_lex_char(x, '>'))
		return false;
	i->partial = true;
	buf_putf(echo, "<%llu>", (unsigned long long)i->off);
	return true;
}

bool
fetch_section_parse(struct imap_session *s, struct fetch_item *i, const char *name)
{
	struct imap_lex *x = &s->cmd->lex;
	struct buf echo = BUF_INIT(ECHO_MAX);
	buf_putz(&echo, name);
	buf_putc(&echo, '[');
	bool ok = imap_lex_char(x, '[') && fetch_section_read(x, &s->cmd->arena, i, &echo) &&
	          imap_lex_char(x, ']');
	buf_putc(&echo, ']');
	ok = ok && partial_parse(s, i, &echo);
	i->echo = ok && !echo.failed ? arena_str(&s->cmd->arena, buf_str(&echo)) : STR_NULL;
	buf_done(&echo);
	return i->echo.p || imap_lex_fail(x, "the command is too long");
}
