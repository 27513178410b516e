/* FETCH: HEADER.FIELDS and HEADER.FIELDS.NOT (RFC 9051 6.4.5.1). */
#include "imap/fetch_priv.h"

/* The octets of the field at the front of h, its continuation lines with it. */
static size_t
field_len(struct str h)
{
	size_t at = 0;
	do {
		const char *nl = memchr(h.p + at, '\n', h.len - at);
		if (!nl)
			return h.len;
		at = (size_t)(nl - h.p) + 1;
	} while (at < h.len && (h.p[at] == ' ' || h.p[at] == '\t'));
	return at;
}

static bool
listed(const struct fetch_item *i, struct str name)
{
	for (size_t k = 0; k < i->n_fields; k++)
		if (name.len == i->fields[k].len && str_ieq(name, i->fields[k]))
			return true;
	return false;
}

static bool
empty_line(struct str field)
{
	return str_eq(field, STR("\r\n")) || str_eq(field, STR("\n"));
}

void
fetch_fields_filter(const struct fetch_item *i, struct str header, struct buf *out)
{
	bool unlisted = i->section == FETCH_FIELDS_NOT;
	size_t from = out->len;
	bool blank = false;
	while (header.len) {
		struct str field = str_first(header, field_len(header));
		header = str_skip(header, field.len);
		blank = empty_line(field);
		if (blank)
			break;
		size_t colon = str_find(field, ':');
		/* A line without a colon is no field: it is not listed. */
		bool is = colon < field.len && listed(i, str_rtrim(str_first(field, colon)));
		if (is != unlisted)
			buf_puts(out, field);
	}
	/* The header may end in the middle of a line. */
	if (out->len > from && out->p[out->len - 1] != '\n')
		buf_put(out, "\r\n", 2);
	/* RFC 9051 6.4.5.1: the empty line is shown where there is one. */
	if (blank)
		buf_put(out, "\r\n", 2);
}
