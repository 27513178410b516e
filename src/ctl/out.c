#include "ctl/ctl_priv.h"

#include "base/check.h"
#include "base/date.h"
#include "base/num.h"
#include "base/utf8.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- JSON --- */

static json_t *
json_time(struct str ms)
{
	uint64_t v;
	struct buf b = BUF_INIT(64);
	if (!num_u64(ms, INT64_MAX, &v))
		return json_null();
	date_rfc3339(&b, (int64_t)v);
	json_t *j = out_json_text(buf_str(&b));
	buf_done(&b);
	return j;
}

static json_t *
json_lines(struct str lines)
{
	json_t *a = json_array();
	while (lines.p && lines.len) {
		struct str line = str_cut(&lines, '\n');
		if (line.len)
			json_array_append_new(a, out_json_text(line));
	}
	return a;
}

json_t *
out_json_cell(enum out_kind kind, struct str v)
{
	switch (kind) {
	case OUT_NUMBER:
		return out_json_number(v);
	case OUT_TIME:
		return json_time(v);
	case OUT_LINES:
		return json_lines(v);
	case OUT_YES:
		return json_boolean(str_eq(v, STR("yes")));
	case OUT_TEXT:
	case OUT_HIDDEN:
		break;
	}
	return out_json_text(v);
}

static void
json_name(const char *title, char out[32])
{
	size_t i = 0;
	for (; title[i] && i < 31; i++)
		out[i] = title[i] == ' ' ? '_' : (char)tolower((unsigned char)title[i]);
	out[i] = '\0';
}

/* --- lists --- */

void
out_list_begin(struct out_list *o, const struct out_column *columns, size_t n, bool json)
{
	*o = (struct out_list){ .columns = columns,
		.n_columns = n,
		.json = json,
		.array = json ? json_array() : NULL };
	check(!json || o->array);
}

static void
cell_text(enum out_kind kind, struct str v, struct buf *b)
{
	uint64_t ms;
	if (kind == OUT_TIME && num_u64(v, INT64_MAX, &ms)) {
		date_rfc3339(b, (int64_t)ms - (int64_t)(ms % 1000));
		if (b->len > 5 &&
		    str_ends(buf_str(b), STR(".000Z"))) { /* people do not need the fraction */
			buf_trunc(b, b->len - 5);
			buf_putc(b, 'Z');
		}
		return;
	}
	for (bool first = true; kind == OUT_LINES && v.p && v.len; first = false) {
		struct str line = str_cut(&v, '\n');
		buf_putz(b, first || line.len == 0 ? "" : ", ");
		utf8_escape(b, line);
	}
	if (kind != OUT_LINES)
		utf8_escape(b, v);
}

static void
cell_add(struct out_list *o, enum out_kind kind, struct str v)
{
	struct buf b = BUF_INIT(8u << 20);
	cell_text(kind, v, &b);
	if (o->n_cells == o->cap) {
		o->cap = o->cap ? o->cap * 2 : 64;
		o->cells = xrealloc(o->cells, o->cap * sizeof *o->cells);
	}
	o->cells[o->n_cells++].text = str_dup(buf_str(&b));
	buf_done(&b);
}

void
out_list_row(void *arg, const struct msg_row *row)
{
	struct out_list *o = arg;
	json_t *object = o->json ? json_object() : NULL;
	for (size_t i = 0; i < o->n_columns; i++) {
		char name[32];
		if (!o->json) {
			cell_add(o, o->columns[i].kind, row_field(row, i));
			continue;
		}
		json_name(o->columns[i].title, name);
		json_object_set_new(object, name,
		    out_json_cell(o->columns[i].kind, row_field(row, i)));
	}
	if (o->json)
		json_array_append_new(o->array, object);
}

/* Characters, counting every one as a column wide. */
static size_t
width(const char *text)
{
	size_t n = 0;
	for (; *text; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

static void
put_cell(struct buf *line, const char *text, size_t wide, bool right)
{
	size_t have = width(text), pad = wide > have ? wide - have : 0;
	buf_putf(line, "%*s%s%*s  ", right ? (int)pad : 0, "", text, right ? 0 : (int)pad, "");
}

static void
put_line(const struct out_list *o, const struct out_cell *cells, const size_t *wide)
{
	struct buf line = BUF_INIT(64u << 20);
	for (size_t i = 0; i < o->n_columns; i++)
		if (o->columns[i].kind != OUT_HIDDEN)
			put_cell(&line, cells ? cells[i].text : o->columns[i].title, wide[i],
			    o->columns[i].kind == OUT_NUMBER);
	struct str text = str_rtrim(buf_str(&line));
	printf(STR_FMT "\n", STR_ARG(text));
	buf_done(&line);
}

static void
put_table(const struct out_list *o)
{
	size_t *wide = xalloc((o->n_columns + 1) * sizeof *wide);
	for (size_t i = 0; i < o->n_columns; i++)
		wide[i] = width(o->columns[i].title);
	for (size_t i = 0; i < o->n_cells; i++)
		wide[i % o->n_columns] =
		    MIN((size_t)200, MAX(wide[i % o->n_columns], width(o->cells[i].text)));
	bool color = out_color(stdout);
	fputs(color ? "\033[1m" : "", stdout);
	put_line(o, NULL, wide);
	fputs(color ? "\033[0m" : "", stdout);
	for (size_t i = 0; i + o->n_columns <= o->n_cells; i += o->n_columns)
		put_line(o, o->cells + i, wide);
	free(wide);
}

void
out_list_end(struct out_list *o, bool print)
{
	if (o->json && print)
		out_json(o->array);
	else if (o->json)
		json_decref(o->array);
	else if (print && o->n_cells)
		put_table(o);
	for (size_t i = 0; i < o->n_cells; i++)
		free(o->cells[i].text);
	free(o->cells);
	*o = (struct out_list){ 0 };
}
