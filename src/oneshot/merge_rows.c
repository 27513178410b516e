/* The table of a merge: a header with names, and a recipient in each row. */
#include "oneshot/merge_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define READ_AT_ONCE (64u << 10)

void
merge_row_init(struct merge_row *row)
{
	*row = (struct merge_row){ .no = 0 };
	buf_init(&row->xdfn, 512u << 10);
	buf_init(&row->why, 1024);
}

void
merge_row_done(struct merge_row *row)
{
	buf_done(&row->xdfn);
	buf_done(&row->why);
}

/* 1: csv has a row; 0: the end; -1: a sentence in err. */
static int
take(struct merge_rows *r, struct buf *err)
{
	char octets[READ_AT_ONCE];
	for (;;) {
		switch (csv_next(&r->csv)) {
		case CSV_ROW:
			return 1;
		case CSV_END:
			return 0;
		case CSV_WRONG:
			buf_putf(err, "%s, row %llu: %s", r->path, (unsigned long long)r->csv.row,
			    r->csv.why);
			return -1;
		case CSV_MORE:
			break;
		}
		size_t n = fread(octets, 1, sizeof(octets), r->in);
		csv_feed(&r->csv, str_n(octets, n));
		if (n == 0 && ferror(r->in)) {
			buf_putf(err, "%s cannot be read: %s", r->path, strerror(errno));
			return -1;
		}
		if (n == 0)
			csv_end(&r->csv);
	}
}

static bool
is_to(struct str name)
{
	static const char *const known[] = { "*to", "to", "email", "e-mail", "mail", "address",
		"recipient" };
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (str_ieq(name, str_of(known[i])))
			return true;
	return false;
}

static bool
find_to(struct merge_rows *r, const char *to_column, struct buf *err)
{
	for (r->to = 0; r->to < r->n; r->to++)
		if (to_column ? str_ieq(str_of(r->name[r->to]), str_of(to_column))
			      : is_to(str_of(r->name[r->to])))
			return true;
	if (to_column)
		buf_putf(err, "%s has no column \"%s\"; its columns are:", r->path, to_column);
	else
		buf_putf(err,
		    "%s has no column for the address (*TO, to, email, mail, address or "
		    "recipient); "
		    "name it with --to-column; its columns are:",
		    r->path);
	for (size_t i = 0; i < r->n && i < 20; i++)
		buf_putf(err, " %s", r->name[i]);
	return false;
}

static bool
check_names(const struct merge_rows *r, struct buf *err)
{
	for (size_t i = 0; i < r->n; i++) {
		struct str name = str_of(r->name[i]);
		if (name.len == 0)
			continue;
		for (size_t j = 0; j < i; j++)
			if (str_ieq(str_of(r->name[j]), name)) {
				buf_putf(err, "%s has two columns \"%s\"", r->path, r->name[i]);
				return false;
			}
		if (name.p[0] == '*' && i != r->to && !str_ieq(name, STR("*PARTS")) &&
		    !str_ieq(name, STR("*PART")) && !str_ieq(name, STR("*DK"))) {
			buf_putf(err,
			    "%s: the column \"%s\" has a reserved name; only *TO, *PARTS and *DK "
			    "may be "
			    "columns (*FROM is --from, *DATE is now)",
			    r->path, r->name[i]);
			return false;
		}
	}
	return true;
}

int
merge_rows_open(struct merge_rows *r, const char *path, const char *separator,
    const char *to_column, struct buf *err)
{
	struct str sep = str_of(separator ? separator : "");
	memset(r, 0, sizeof(*r));
	r->path = path;
	if (str_eq(sep, STR("tab")) || str_eq(sep, STR("\\t")))
		sep = STR("\t");
	if (sep.len > 1 || (sep.len && (sep.p[0] == '"' || sep.p[0] == '\n' || sep.p[0] == '\r'))) {
		buf_putf(err, "--separator %s: write one character, or tab", separator);
		return CLIENT_USAGE;
	}
	csv_init(&r->csv, sep.len ? sep.p[0] : 0);
	r->in = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
	if (!r->in) {
		buf_putf(err, "%s cannot be read: %s", path, strerror(errno));
		return CLIENT_IO;
	}
	int n = take(r, err);
	if (n == 0)
		buf_putf(err, "%s is empty; its first row must hold names", path);
	if (n <= 0)
		return CLIENT_IO;
	r->n = r->csv.n;
	for (size_t i = 0; i < r->n; i++) {
		r->name[i] = str_dup(str_trim(csv_field(&r->csv, i)));
		check(r->name[i]);
	}
	return find_to(r, to_column, err) && check_names(r, err) ? CLIENT_OK : CLIENT_USAGE;
}

void
merge_rows_close(struct merge_rows *r)
{
	if (r->in && r->in != stdin)
		fclose(r->in);
	r->in = NULL;
	csv_done(&r->csv);
	for (size_t i = 0; i < r->n; i++)
		free(r->name[i]);
	r->n = 0;
}

/* name="value", the value as XDFN wants it: "/" in front of a quote and a slash. */
static void
put_pair(struct buf *b, const char *name, struct str value)
{
	bool parts = str_ieq(str_of(name), STR("*PARTS")) || str_ieq(str_of(name), STR("*PART"));
	if (parts) { /* digits only; some systems take no quotes here */
		buf_putf(b, "%s=" STR_FMT, name, STR_ARG(str_trim(value)));
		return;
	}
	buf_putf(b, "%s=\"", name);
	for (size_t i = 0; i < value.len; i++) {
		if (value.p[i] == '"' || value.p[i] == '/')
			buf_putc(b, '/');
		buf_putc(b, value.p[i]);
	}
	buf_putc(b, '"');
}

static bool
put_column(struct merge_rows *r, size_t i, struct merge_row *row, size_t *line_at)
{
	struct str value = csv_field(&r->csv, i);
	struct buf pair = BUF_INIT(2 * CSV_ROW_MAX + 256);
	const char *name = r->name[i];
	if (str_find_any(value, "\r\n") < value.len || str_find(value, '\0') < value.len) {
		buf_putf(&row->why, "the value of \"%s\" has more than one line", name);
		return false;
	}
	if (*name == '\0' || (*name == '*' && (i == r->to || str_trim(value).len == 0)))
		return true;
	put_pair(&pair, name, value);
	bool fits = !pair.failed && pair.len <= MERGE_LINE_MAX;
	if (!fits)
		buf_putf(&row->why,
		    "the value of \"%s\" is longer than a command may be (%d octets)", name,
		    MERGE_LINE_MAX);
	else if (row->xdfn.len == 0)
		;
	else if (row->xdfn.len - *line_at + pair.len >= MERGE_XDFN_LINE) {
		buf_putc(&row->xdfn, '\n');
		*line_at = row->xdfn.len;
	} else {
		buf_putc(&row->xdfn, ' ');
	}
	if (fits)
		buf_puts(&row->xdfn, buf_str(&pair));
	buf_done(&pair);
	return fits;
}

int
merge_rows_next(struct merge_rows *r, struct merge_row *row, struct buf *err)
{
	struct addr a;
	size_t line_at = 0;
	int n = take(r, err);
	if (n <= 0)
		return n;
	row->no = r->csv.row;
	row->to = str_trim(csv_field(&r->csv, r->to));
	buf_reset(&row->xdfn);
	buf_reset(&row->why);
	if (r->csv.n > r->n) {
		buf_putf(&row->why, "it has %zu fields, and the header %zu", r->csv.n, r->n);
		return 1;
	}
	if (addr_mailbox(row->to, ADDR_SMTPUTF8, &a) != ADDR_OK) {
		buf_putz(&row->why, row->to.len ? "this is no address" : "it has no address");
		return 1;
	}
	for (size_t i = 0; i < r->n; i++)
		if (!put_column(r, i, row, &line_at))
			break;
	return 1;
}
