#include "client/csv.h"

void
csv_init(struct csv *c, char sep)
{
	memset(c, 0, sizeof(*c));
	c->sep = sep;
	/* What is fed at once, behind a row that is not whole. */
	buf_init(&c->in, 2 * CSV_ROW_MAX);
	buf_init(&c->text, CSV_ROW_MAX);
}

void
csv_done(struct csv *c)
{
	buf_done(&c->in);
	buf_done(&c->text);
}

void
csv_feed(struct csv *c, struct str octets)
{
	buf_puts(&c->in, octets);
}

void
csv_end(struct csv *c)
{
	c->ended = true;
}

struct str
csv_field(const struct csv *c, size_t i)
{
	if (i >= c->n)
		return STR("");
	size_t from = i ? c->end[i - 1] : 0;
	return str_n(c->text.p ? c->text.p + from : "", c->end[i] - from);
}

/* Length of the first row without its end, and how long that is; false: it is not whole yet. */
static bool
row_length(const struct csv *c, size_t *ret_len, size_t *ret_end)
{
	struct str in = buf_str(&c->in);
	bool quoted = false;
	for (size_t i = 0; i < in.len; i++) {
		if (in.p[i] == '"')
			quoted = !quoted;
		if (quoted || (in.p[i] != '\n' && in.p[i] != '\r'))
			continue;
		if (in.p[i] == '\r' && i + 1 == in.len && !c->ended)
			return false; /* LF may follow */
		*ret_len = i;
		*ret_end = in.p[i] == '\r' && i + 1 < in.len && in.p[i + 1] == '\n' ? 2 : 1;
		return true;
	}
	*ret_len = in.len;
	*ret_end = 0;
	return c->ended;
}

static char
find_separator(struct str row)
{
	static const char known[] = { ',', ';', '\t' };
	for (size_t i = 0; i < sizeof(known); i++)
		if (str_find(row, known[i]) < row.len)
			return known[i];
	return ',';
}

/* One field off *row, and its separator; *ret_more: another follows. */
static bool
take_field(struct csv *c, struct str *row, bool *ret_more)
{
	size_t n;
	if (row->len && row->p[0] == '"') {
		*row = str_skip(*row, 1);
		for (;;) {
			n = str_find(*row, '"');
			if (n == row->len) {
				c->why = "a quote is not closed";
				return false;
			}
			buf_puts(&c->text, str_first(*row, n));
			*row = str_skip(*row, n + 1);
			if (row->len == 0 || row->p[0] != '"')
				break;
			buf_putc(&c->text, '"');
			*row = str_skip(*row, 1);
		}
		if (row->len && row->p[0] != c->sep) {
			c->why = "text stands behind a closing quote";
			return false;
		}
	} else {
		n = str_find(*row, c->sep);
		struct str text = str_first(*row, n);
		if (str_find(text, '"') < text.len) {
			c->why = "a quote stands inside a field that does not begin with one";
			return false;
		}
		buf_puts(&c->text, text);
		*row = str_skip(*row, n);
	}
	*ret_more = row->len > 0;
	*row = str_skip(*row, 1);
	return true;
}

static enum csv_status
take_row(struct csv *c, struct str row)
{
	bool more = true;
	buf_reset(&c->text);
	c->n = 0;
	if (c->sep == 0)
		c->sep = find_separator(row);
	while (more) {
		if (c->n == CSV_FIELDS_MAX) {
			c->why = "it has more than 1000 fields";
			return CSV_WRONG;
		}
		if (!take_field(c, &row, &more))
			return CSV_WRONG;
		c->end[c->n++] = c->text.len;
	}
	if (c->text.failed) {
		c->why = "it is longer than 256 KiB; is a quote not closed?";
		return CSV_WRONG;
	}
	return CSV_ROW;
}

enum csv_status
csv_next(struct csv *c)
{
	size_t len, end;
	if (c->why)
		return CSV_WRONG;
	if (!c->begun && (c->in.len >= 3 || c->ended)) {
		c->begun = true;
		if (str_starts(buf_str(&c->in), STR("\xef\xbb\xbf")))
			buf_drop(&c->in, 3);
	}
	if (!c->begun)
		return CSV_MORE;
	for (;;) {
		if (c->in.len == 0)
			return c->ended ? CSV_END : CSV_MORE;
		bool whole = row_length(c, &len, &end);
		if (!whole && c->in.len <= CSV_ROW_MAX && !c->in.failed)
			return CSV_MORE;
		c->row++;
		if (!whole || len > CSV_ROW_MAX || c->in.failed) {
			c->why = "it is longer than 256 KiB; is a quote not closed?";
			return CSV_WRONG;
		}
		if (len)
			break;
		buf_drop(&c->in, end);
	}
	enum csv_status status = take_row(c, str_first(buf_str(&c->in), len));
	buf_drop(&c->in, len + end);
	return status;
}
