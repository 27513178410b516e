#include "mail/report.h"

#include "base/check.h"

#define LINE_LOOKED_AT 2048

static struct str
next_line(struct str *rest)
{
	struct str line = str_cut(rest, '\n');
	return str_rtrim(str_first(line, LINE_LOOKED_AT));
}

/* The value of a field by its name; "rfc822;" and "dns;" in front are left out. */
static bool
field(struct str line, const char *name, struct str *ret)
{
	struct str n = str_of(name);
	if (!str_istarts(line, n) || line.len <= n.len || line.p[n.len] != ':')
		return false;
	struct str value = str_trim(str_skip(line, n.len + 1));
	size_t semi = str_find(value, ';');
	if (semi < value.len && semi < 16 && str_find(str_first(value, semi), ' ') == semi)
		value = str_trim(str_skip(value, semi + 1));
	*ret = value;
	return true;
}

bool
report_is_recipient(struct str line)
{
	struct str value;
	return field(line, "Final-Recipient", &value);
}

static struct str *
take_field(struct report_seen *s, struct str line)
{
	const struct {
		const char *name;
		struct str *to;
	} rows[] = {
		{ "Original-Recipient", &s->orcpt },
		{ "Final-Recipient", &s->final },
		{ "Action", &s->action },
		{ "Status", &s->status },
		{ "Remote-MTA", &s->mta },
		{ "Diagnostic-Code", &s->diag },
		{ "Last-Attempt-Date", &s->last_attempt },
		{ "Will-Retry-Until", &s->retry_until },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (field(line, rows[i].name, rows[i].to))
			return rows[i].to;
	return NULL;
}

static bool
complete(const struct report_seen *s)
{
	return s->final.len > 0 && (s->action.len || s->status.len || s->diag.len > 0);
}

void
report_read_begin(struct report_reader *r, struct str text)
{
	r->rest = text.len ? text : STR_NULL;
}

/* A folded line goes on with the value of diag, which it stands right behind. */
static void
unfold(struct str *value, struct str line)
{
	if (value->p && line.p)
		value->len = (size_t)(line.p + line.len - value->p);
}

bool
report_read(struct report_reader *r, struct report_seen *ret)
{
	struct report_seen s = { 0 };
	struct str *last = NULL;
	while (r->rest.p) {
		struct str before = r->rest, line = next_line(&r->rest);
		if (line.len > 0 && (line.p[0] == ' ' || line.p[0] == '\t')) {
			if (last == &s.diag)
				unfold(last, line);
			continue;
		}
		bool again = s.final.len > 0 && report_is_recipient(line);
		if (line.len > 0 && !again) {
			last = take_field(&s, line);
			continue;
		}
		if (again)
			r->rest = before;
		if (complete(&s)) {
			*ret = s;
			return true;
		}
		s = (struct report_seen){ 0 };
		last = NULL;
	}
	*ret = s;
	return complete(&s);
}
