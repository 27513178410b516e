#include "mail/mbox.h"

#include "base/check.h"
#include "base/num.h"
#include "mail/when.h"

#define FROM STR("From ")

void
mbox_split_init(struct mbox_split *m, enum mbox_format format, uint64_t max)
{
	*m = (struct mbox_split){ .format = format, .max = max };
}

/* --- lines --- */

/* The line at `at` with its end; len 0: it is not there yet. */
static struct str
line_at(struct str view, size_t at, bool eof)
{
	struct str rest = str_skip(view, at);
	const char *lf = rest.len ? memchr(rest.p, '\n', rest.len) : NULL;
	if (lf)
		return str_first(rest, (size_t)(lf - rest.p) + 1);
	return eof ? rest : STR_NULL;
}

static bool
is_empty(struct str line)
{
	return str_eq(line, STR("\n")) || str_eq(line, STR("\r\n"));
}

static struct str
without_end(struct str line)
{
	if (line.len && line.p[line.len - 1] == '\n')
		line.len--;
	if (line.len && line.p[line.len - 1] == '\r')
		line.len--;
	return line;
}

/* "Name:", as a letter's first line begins. */
static bool
begins_field(struct str line)
{
	size_t n = 0;
	while (n < line.len && line.p[n] > 0x20 && line.p[n] < 0x7f && line.p[n] != ':')
		n++;
	return n > 0 && n < line.len && line.p[n] == ':';
}

static bool
follows_empty_line(struct str view, size_t at)
{
	if (at == 0 || view.p[at - 1] != '\n')
		return at == 0;
	at--;
	if (at && view.p[at - 1] == '\r')
		at--;
	return at == 0 || view.p[at - 1] == '\n';
}

enum answer { NO, YES, UNKNOWN };

/* Does a From_ line stand at `at`, the start of a line? */
static enum answer
from_line_at(const struct mbox_split *m, struct str view, size_t at, bool eof)
{
	struct str rest = str_skip(view, at);
	int64_t t;
	if (!str_starts(rest, str_first(FROM, rest.len)))
		return NO;
	if (rest.len < FROM.len)
		return eof ? NO : UNKNOWN;
	struct str line = line_at(view, at, eof);
	if (line.len == 0 && rest.len <= MBOX_FROM_LINE_MAX)
		return UNKNOWN;
	if (line.len == 0 || line.len > MBOX_FROM_LINE_MAX)
		return NO;
	if (when_from_line(str_skip(line, FROM.len), &t))
		return YES;
	if (!m->dateless || !follows_empty_line(view, at))
		return NO;
	struct str next = line_at(view, at + line.len, eof);
	if (next.len == 0)
		return eof ? YES : view.len - at - line.len <= MBOX_FROM_LINE_MAX ? UNKNOWN : NO;
	return begins_field(next) ? YES : NO;
}

/* --- Content-Length --- */

static void
learn_length(struct mbox_split *m, struct str line)
{
	struct str name = STR("Content-Length:");
	uint64_t v;
	if (!str_istarts(line, name))
		return;
	/* Two of them, or none that is a number: there is none. */
	if (m->length || !num_u64(str_trim(str_skip(line, name.len)), m->max, &v) || v == 0)
		m->no_length = true;
	else
		m->length = v;
}

/* Is what stands behind so many octets of body the end of a letter? */
static enum answer
length_is_right(const struct mbox_split *m, struct str view, bool eof)
{
	if (m->no_length || m->length == 0 || m->format == MBOX_RD || m->format == MBOX_O)
		return NO;
	uint64_t end = m->body + m->length;
	if (end > m->max)
		return NO;
	if (view.len < end)
		return eof ? NO : UNKNOWN;
	size_t at = (size_t)end;
	for (int i = 0; i < 2; i++) {
		struct str line = line_at(view, at, eof);
		if (line.len == 0)
			break;
		at += is_empty(line) ? line.len : 0;
	}
	if (at == view.len)
		return eof ? YES : UNKNOWN;
	/* Half a line end must not pass for text. */
	if (!eof && view.len - at < FROM.len)
		return UNKNOWN;
	return at > end || view.p[end - 1] == '\n' ? from_line_at(m, view, at, eof) : NO;
}

static void
end_by_length(struct mbox_split *m, struct str view, struct mbox_letter *ret)
{
	size_t end = m->body + (size_t)m->length, next = end;
	struct str body = str_n(view.p + m->body - 1, (size_t)m->length + 1);
	for (int i = 0; i < 2; i++) {
		struct str line = line_at(view, next, true);
		next += is_empty(line) ? line.len : 0;
	}
	ret->text = str_n(view.p + m->text, end - m->text);
	if (m->format == MBOX_AUTO && str_find_str(body, STR("\nFrom ")) < body.len)
		ret->quoted = false;
	ret->size = next;
}

/* --- splitting --- */

static void
end_letter(struct mbox_split *m)
{
	m->passing = m->no_length = false;
	m->seen = m->text = m->body = 0;
	m->length = 0;
}

/* The letter ends at `end`; the empty line before it is the file's. */
static void
end_by_line(struct mbox_split *m, struct str view, size_t end, struct mbox_letter *ret)
{
	size_t text_end = end;
	if (text_end > m->text && view.p[text_end - 1] == '\n') {
		size_t at = text_end - 1;
		if (at > m->text && view.p[at - 1] == '\r')
			at--;
		if (at == m->text || view.p[at - 1] == '\n')
			text_end = at;
	}
	ret->text = str_n(view.p + m->text, text_end - m->text);
	ret->size = end;
}

/* Empty lines at the start of the file, then the first From_ line. */
static enum mbox_verdict
begin_file(struct mbox_split *m, struct str view, bool eof, struct mbox_letter *ret)
{
	size_t at = m->seen;
	int64_t t;
	for (;;) {
		struct str line = line_at(view, at, eof);
		if (line.len == 0 && eof) {
			ret->size = at;
			return MBOX_END;
		}
		if (line.len == 0 && view.len - at <= MBOX_FROM_LINE_MAX)
			return MBOX_MORE;
		if (is_empty(line)) {
			m->length++; /* lines, for now */
			at = m->seen = at + line.len;
			continue;
		}
		ret->line = m->length + 1;
		ret->size = at;
		if (line.len == 0 || line.len > MBOX_FROM_LINE_MAX || !str_starts(line, FROM))
			return MBOX_GARBAGE;
		m->begun = true;
		m->dateless = !when_from_line(str_skip(line, FROM.len), &t);
		end_letter(m);
		return MBOX_DROP;
	}
}

/* The From_ line and the header, line by line; false: more is needed, or it ended. */
static bool
read_header(struct mbox_split *m, struct str view, bool eof, enum answer *ret_end)
{
	*ret_end = NO;
	while (!m->body) {
		struct str line = line_at(view, m->seen, eof);
		if (m->text) {
			*ret_end = from_line_at(m, view, m->seen, eof);
			if (*ret_end != NO)
				return false;
		}
		if (line.len == 0) {
			*ret_end = eof ? YES : UNKNOWN;
			return false;
		}
		m->seen += line.len;
		if (!m->text)
			m->text = m->seen;
		else if (is_empty(line))
			m->body = m->seen;
		else
			learn_length(m, line);
	}
	return true;
}

/* From m->seen on, behind the start of a line: the next From_ line; m->seen is there then, or
 * where to go on. */
static enum answer
find_from_line(struct mbox_split *m, struct str view, bool eof)
{
	while (m->seen < view.len) {
		/* The line end in front of it belongs to what is looked for. */
		size_t at = m->seen - 1;
		struct str rest = str_skip(view, at);
		size_t hit = str_find_str(rest, STR("\nFrom "));
		if (hit == rest.len) {
			/* What may be the start of one is kept. */
			size_t keep = MIN(view.len - m->seen, FROM.len);
			m->seen = eof ? view.len : view.len - keep;
			return eof ? YES : UNKNOWN;
		}
		m->seen = at + hit + 1;
		enum answer a = from_line_at(m, view, m->seen, eof);
		if (a != NO)
			return a;
		m->seen++;
	}
	return eof ? YES : UNKNOWN;
}

/* A letter over the limit: what is behind us goes, but for the octets that the next look needs. */
static enum mbox_verdict
pass_over(struct mbox_split *m, struct str view, bool eof, struct mbox_letter *ret)
{
	enum answer a;
	a = find_from_line(m, view, eof);
	if (a == YES) {
		ret->size = m->seen;
		end_letter(m);
		return MBOX_TOO_LARGE;
	}
	/* Two line ends in front tell whether a line is empty. */
	size_t keep = 5;
	if (m->seen <= keep)
		return MBOX_MORE;
	ret->size = m->seen - keep;
	m->seen = keep;
	return MBOX_DROP;
}

static enum mbox_verdict
want_more(struct mbox_split *m, struct str view, struct mbox_letter *ret)
{
	/* What stands behind a letter tells that it ends there. */
	if (view.len <= m->max + 2 * MBOX_FROM_LINE_MAX + 16)
		return MBOX_MORE;
	m->passing = true;
	if (m->seen == 0)
		m->seen = 1; /* a From_ line without an end: it is the letter */
	ret->size = 0;
	return MBOX_DROP;
}

static enum mbox_verdict
found(struct mbox_split *m, struct str view, struct mbox_letter *ret)
{
	bool large = ret->size > m->max;
	struct str line = line_at(view, 0, true);
	ret->from_line = without_end(str_skip(line, MIN(FROM.len, line.len)));
	end_letter(m);
	return large ? MBOX_TOO_LARGE : MBOX_LETTER;
}

enum mbox_verdict
mbox_split_next(struct mbox_split *m, struct str view, bool eof, struct mbox_letter *ret)
{
	enum answer end;
	*ret = (struct mbox_letter){ .quoted = m->format != MBOX_CL2,
		.quoted_once = m->format == MBOX_O };
	if (!m->begun)
		return begin_file(m, view, eof, ret);
	if (view.len == 0 && !eof)
		return MBOX_MORE;
	if (m->passing)
		return pass_over(m, view, eof, ret);
	if (view.len == 0)
		return MBOX_END;
	if (!read_header(m, view, eof, &end)) {
		if (end == UNKNOWN)
			return want_more(m, view, ret);
		m->text = m->text ? m->text : m->seen;
		end_by_line(m, view, m->seen, ret);
		return found(m, view, ret);
	}
	end = m->no_length ? NO : length_is_right(m, view, eof);
	if (end == UNKNOWN)
		return want_more(m, view, ret);
	if (end == YES) {
		end_by_length(m, view, ret);
		return found(m, view, ret);
	}
	m->no_length = true;
	if (find_from_line(m, view, eof) == UNKNOWN)
		return want_more(m, view, ret);
	end_by_line(m, view, m->seen, ret);
	return found(m, view, ret);
}

/* --- writing --- */

struct writing {
	struct buf *out;
	const struct mbox_letter *l; /* NULL: a file of its own */
	size_t begin;
	bool in_header, dropping;
	bool x_imap, internal_subject;
	struct mbox_facts *facts;
};

static struct str
unquoted(const struct mbox_letter *l, struct str line)
{
	size_t n = 0;
	if (line.len == 0 || line.p[0] != '>' || !l->quoted)
		return line;
	while (n < line.len && line.p[n] == '>')
		n++;
	if (!str_starts(str_skip(line, n), FROM) || (l->quoted_once && n > 1))
		return line;
	return str_skip(line, 1);
}

static const struct {
	char letter;
	uint32_t flag;
} status_flags[] = { { 'R', MBOX_SEEN } }, x_status_flags[] = { { 'A', MBOX_ANSWERED },
	{ 'F', MBOX_FLAGGED }, { 'D', MBOX_DELETED }, { 'T', MBOX_DRAFT } };

static bool
has(struct str s, char c)
{
	return str_find(s, c) < s.len;
}

/* Status and X-Status: true, and what they say. */
static bool
take_status(struct writing *w, struct str line)
{
	if (str_istarts(line, STR("Status:"))) {
		for (size_t i = 0; i < ARRAY_LEN(status_flags); i++)
			if (has(str_skip(line, 7), status_flags[i].letter))
				w->facts->flags |= status_flags[i].flag;
		return true;
	}
	if (str_istarts(line, STR("X-Status:"))) {
		for (size_t i = 0; i < ARRAY_LEN(x_status_flags); i++)
			if (has(str_skip(line, 9), x_status_flags[i].letter))
				w->facts->flags |= x_status_flags[i].flag;
		return true;
	}
	return false;
}

static void
learn_field(struct writing *w, struct str line)
{
	if (str_istarts(line, STR("Date:")) && !w->facts->has_date)
		w->facts->has_date = when_header(str_skip(line, 5), &w->facts->date);
	else if (str_istarts(line, STR("X-IMAP:")))
		w->x_imap = true;
	else if (str_istarts(line, STR("Subject: DON'T DELETE THIS MESSAGE")))
		w->internal_subject = true;
}

/* True: the line is not to be written. */
static bool
header_line(struct writing *w, struct str line)
{
	bool folded = line.len && (line.p[0] == ' ' || line.p[0] == '\t');
	if (line.len == 0) {
		w->in_header = false;
		w->facts->header_len = w->out->len - w->begin;
		return false;
	}
	if (folded)
		return w->dropping;
	w->dropping = w->l && take_status(w, line);
	if (!w->dropping)
		learn_field(w, line);
	return w->dropping;
}

static void
put_lines(struct writing *w, struct str text)
{
	while (text.len) {
		struct str line = line_at(text, 0, true);
		bool ended = line.p[line.len - 1] == '\n';
		text = str_skip(text, line.len);
		line = ended ? without_end(line) : line;
		if (w->l)
			line = unquoted(w->l, line);
		if (w->in_header && header_line(w, line))
			continue;
		buf_puts(w->out, line);
		if (ended || w->l)
			buf_puts(w->out, STR("\r\n"));
	}
}

static void
put_text(struct buf *out, const struct mbox_letter *l, struct str text, struct mbox_facts *ret)
{
	struct writing w = {
		.out = out, .l = l, .begin = out->len, .in_header = true, .facts = ret
	};
	*ret = (struct mbox_facts){ 0 };
	put_lines(&w, text);
	if (w.in_header)
		ret->header_len = out->len - w.begin;
	ret->internal = w.x_imap && w.internal_subject;
}

void
mbox_letter_put(struct buf *out, const struct mbox_letter *l, struct mbox_facts *ret)
{
	put_text(out, l, l->text, ret);
}

void
mbox_file_put(struct buf *out, struct str text, struct mbox_facts *ret)
{
	put_text(out, NULL, text, ret);
}
