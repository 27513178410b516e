#include "mail/lint.h"

#include "base/buf.h"
#include "base/check.h"

#define LINE_MAX 998u /* RFC 5322 2.1.1 */
#define BOUNDARIES_MAX 20

const char *const lint_rule_name[LINT_COUNT] = {
	[LINT_NO_DATE] = "no-date",
	[LINT_NO_FROM] = "no-from",
	[LINT_NO_MESSAGE_ID] = "no-message-id",
	[LINT_TWICE] = "field-twice",
	[LINT_FROM_DIFFERS] = "from-differs",
	[LINT_BCC] = "bcc",
	[LINT_FIELD_IN_BODY] = "field-in-body",
	[LINT_NO_BLANK] = "no-blank-line",
	[LINT_NOT_FOLDED] = "not-folded",
	[LINT_NO_FIELD] = "no-field",
	[LINT_EMPTY] = "empty",
	[LINT_LONG_LINE] = "long-line",
	[LINT_BARE_CR] = "bare-cr",
	[LINT_MIXED_ENDS] = "mixed-line-ends",
	[LINT_NUL] = "nul",
	[LINT_8BIT] = "8bit",
	[LINT_8BIT_HEADER] = "8bit-header",
	[LINT_NO_MIME_VERSION] = "no-mime-version",
	[LINT_NO_BOUNDARY] = "no-boundary",
	[LINT_BOUNDARY_MISSING] = "boundary-missing",
	[LINT_BOUNDARY_OPEN] = "boundary-open",
	[LINT_BLANK_BEFORE_COLON] = "blank-before-colon",
	[LINT_FROM_LINE] = "from-line",
};

static const struct {
	const char *what, *remedy;
	bool error;
} texts[LINT_COUNT] = {
	[LINT_NO_DATE] = { "there is no Date field", "add one (RFC 5322 3.6.1)", false },
	[LINT_NO_FROM] = { "there is no From field", "add one (RFC 5322 3.6.2)", true },
	[LINT_NO_MESSAGE_ID] = { "there is no Message-ID field", "add one (RFC 5322 3.6.4)",
	    false },
	[LINT_TWICE] = { "this field stands in the header twice",
	    "keep one; many servers refuse two "
	    "From fields",
	    true },
	[LINT_FROM_DIFFERS] = { "the From field differs from the sender of the envelope",
	    "that is allowed, but looks like a forgery to SPF and DMARC", false },
	[LINT_BCC] = { "a Bcc field tells everybody who was meant to be hidden",
	    "take it out; --to is enough", false },
	[LINT_FIELD_IN_BODY] = { "is after the blank line, so it is body text",
	    "take the blank line in front of it out", true },
	[LINT_NO_BLANK] = { "no blank line parts the header from the body",
	    "put one behind the last field", true },
	[LINT_NOT_FOLDED] = { "this line looks like a part of the field before it, but is not "
			      "indented",
	    "begin it with a blank (RFC 5322 2.2.3)", true },
	[LINT_NO_FIELD] = { "this line of the header is no field",
	    "give it a name and a colon, or put "
	    "a blank line in front of it",
	    true },
	[LINT_EMPTY] = { "the letter is empty", "give it a header at least", true },
	[LINT_LONG_LINE] = { "the line has more than 998 octets",
	    "break it, or encode the part as quoted-printable or base64", true },
	[LINT_BARE_CR] = { "a CR without LF stands in the line",
	    "take it out; servers differ in whether a line ends there", true },
	[LINT_MIXED_ENDS] = { "some lines end in LF alone and others in CRLF",
	    "use one; all are sent as CRLF", false },
	[LINT_NUL] = { "a NUL octet stands in the line", "encode the part as base64", true },
	[LINT_8BIT] = { "octets above 127, and the letter does not go as 8BITMIME",
	    "use --body 8bit, or encode the part as quoted-printable", false },
	[LINT_8BIT_HEADER] = { "octets above 127 in the header",
	    "write encoded words (RFC 2047), or use --smtputf8", true },
	[LINT_NO_MIME_VERSION] = { "Content-Type without MIME-Version",
	    "add \"MIME-Version: 1.0\"; some readers show the source otherwise", false },
	[LINT_NO_BOUNDARY] = { "multipart without a boundary", "add boundary=\"...\"", true },
	[LINT_BOUNDARY_MISSING] = { "the boundary that the header names is nowhere in the body",
	    "compare both, with their two hyphens", true },
	[LINT_BOUNDARY_OPEN] = { "the last boundary is missing: the one with two hyphens behind it",
	    "end the letter with it", false },
	[LINT_BLANK_BEFORE_COLON] = { "a blank stands in front of the colon",
	    "take it out (RFC 5322 2.2)", true },
	[LINT_FROM_LINE] = { "\"From \" without a colon is the first line of an mbox, and no field",
	    "take the line out", true },
};

struct lint {
	const struct lint_conf *conf;
	lint_fn *fn;
	void *arg;
	size_t found, errors;
	size_t told[LINT_COUNT]; /* rules that would repeat themselves are told a few times only */
	size_t line;
	/* header */
	bool in_header, any_field, mime_version, content_type;
	size_t type_line;
	size_t seen[16];  /* lines of the fields that may stand there once */
	struct buf value; /* of the field at hand */
	struct str name;
	size_t field_line;
	/* body */
	struct buf boundaries[BOUNDARIES_MAX];
	bool opened[BOUNDARIES_MAX], closed[BOUNDARIES_MAX];
	size_t boundary_line[BOUNDARIES_MAX], n_boundaries;
	bool part_header; /* behind a boundary */
	size_t crlf, lf;
};

static void
find(struct lint *l, enum lint_rule rule, size_t line, struct str about)
{
	l->found++;
	l->errors += texts[rule].error;
	if (l->found > LINT_MAX || l->told[rule]++ >= 5)
		return;
	const struct lint_finding f = { .rule = rule,
		.line = line,
		.error = texts[rule].error,
		.what = texts[rule].what,
		.remedy = texts[rule].remedy,
		.about = about };
	l->fn(l->arg, &f);
}

/* Those that may stand there once (RFC 5322 3.6). */
static const char *const once[] = { "from", "sender", "reply-to", "to", "cc", "bcc", "date",
	"message-id", "in-reply-to", "references", "subject", "mime-version", "content-type",
	"content-transfer-encoding" };

static int
once_index(struct str name)
{
	for (size_t i = 0; i < ARRAY_LEN(once); i++)
		if (str_ieq(name, str_of(once[i])))
			return (int)i;
	return -1;
}

/* Names that tell that a line was meant as a field. */
static bool
is_known(struct str name)
{
	static const char *const more[] = { "received", "return-path", "content-disposition",
		"content-id", "content-description", "list-unsubscribe", "list-id",
		"dkim-signature", "x-mailer", "user-agent", "organization", "priority",
		"importance" };
	if (once_index(name) >= 0)
		return true;
	for (size_t i = 0; i < ARRAY_LEN(more); i++)
		if (str_ieq(name, str_of(more[i])))
			return true;
	return false;
}

/* The name of the field that this line begins; p NULL: it is none. */
static struct str
name_of(struct str line)
{
	size_t n = 0;
	while (n < line.len && line.p[n] > ' ' && line.p[n] < 0x7f && line.p[n] != ':')
		n++;
	struct str rest = str_ltrim(str_skip(line, n));
	return n > 0 && rest.len > 0 && rest.p[0] == ':' ? str_first(line, n) : STR_NULL;
}

/* --- fields --- */

static void
boundary_add(struct lint *l, struct str value, size_t line)
{
	size_t at = 0;
	struct str left = value;
	bool found = false;
	for (; !found && left.p; at++) {
		struct str word = str_trim(str_cut(&left, ';'));
		found = at > 0 && str_istarts(word, STR("boundary=")) && word.len > 9;
		if (found)
			left = str_skip(word, 9);
	}
	if (found && left.p[0] == '"') {
		left = str_skip(left, 1);
		left = str_first(left, str_find(left, '"'));
	}
	if (!found || left.len == 0) {
		find(l, LINT_NO_BOUNDARY, line, STR_NULL);
		return;
	}
	if (l->n_boundaries == BOUNDARIES_MAX)
		return;
	struct buf *b = &l->boundaries[l->n_boundaries];
	*b = BUF_INIT(2000);
	buf_putz(b, "--");
	buf_puts(b, left);
	l->boundary_line[l->n_boundaries++] = line;
}

static void
from_check(struct lint *l)
{
	struct str sender = l->conf->sender, value = buf_str(&l->value);
	if (sender.len == 0)
		return; /* nobody, in a bounce */
	/* Lenient: whatever form the field has, the address must be in it. */
	for (size_t i = 0; i + sender.len <= value.len; i++)
		if (str_ieq(str_n(value.p + i, sender.len), sender))
			return;
	find(l, LINT_FROM_DIFFERS, l->field_line, str_trim(value));
}

static void
field_end(struct lint *l)
{
	struct str name = l->name, value = buf_str(&l->value);
	if (name.len == 0)
		return;
	if (str_ieq(name, STR("From")))
		from_check(l);
	else if (str_ieq(name, STR("Bcc")))
		find(l, LINT_BCC, l->field_line, STR_NULL);
	else if (str_ieq(name, STR("MIME-Version")))
		l->mime_version = true;
	else if (str_ieq(name, STR("Content-Type")) &&
		 str_istarts(str_ltrim(value), STR("multipart/")))
		boundary_add(l, value, l->field_line);
	if (str_ieq(name, STR("Content-Type")) && !l->content_type) {
		l->content_type = true;
		l->type_line = l->field_line;
	}
	l->name = STR_NULL;
}

static void
field_begin(struct lint *l, struct str name, struct str line)
{
	field_end(l);
	l->name = name;
	l->field_line = l->line;
	buf_reset(&l->value);
	size_t colon = str_find(line, ':');
	buf_puts(&l->value, str_first(str_skip(line, colon + 1), 4000));
	if (colon > name.len)
		find(l, LINT_BLANK_BEFORE_COLON, l->line, name);
}

static void
header_over(struct lint *l)
{
	field_end(l);
	l->in_header = false;
	if (!l->seen[once_index(STR("from"))])
		find(l, LINT_NO_FROM, 0, STR_NULL);
	if (!l->seen[once_index(STR("date"))])
		find(l, LINT_NO_DATE, 0, STR_NULL);
	if (!l->seen[once_index(STR("message-id"))])
		find(l, LINT_NO_MESSAGE_ID, 0, STR_NULL);
	if (l->content_type && !l->mime_version)
		find(l, LINT_NO_MIME_VERSION, l->type_line, STR_NULL);
}

/* A line of the header that is neither a field nor folded: what was meant? letter: from it on. */
static void
header_odd(struct lint *l, struct str line, struct str rest)
{
	bool more = false;
	struct str left = rest;
	str_cut(&left, '\n');
	/* If a field or the blank line comes soon, it belonged to the field before it. */
	for (int i = 0; i < 20 && left.p && !more; i++) {
		struct str next = str_rtrim(str_cut(&left, '\n'));
		if (next.len == 0 && i == 0)
			break;
		struct str name = name_of(next);
		more = name.p && is_known(name);
		if (next.len == 0)
			break;
	}
	if (l->line == 1 && str_starts(line, STR("From "))) {
		find(l, LINT_FROM_LINE, l->line, STR_NULL);
		return;
	}
	if (more) {
		find(l, l->any_field ? LINT_NOT_FOLDED : LINT_NO_FIELD, l->line, line);
		return;
	}
	find(l, l->any_field ? LINT_NO_BLANK : LINT_NO_FIELD, l->line, line);
	header_over(l);
}

static void
header_line(struct lint *l, struct str line, struct str rest)
{
	if (line.len == 0) {
		header_over(l);
		return;
	}
	if ((line.p[0] == ' ' || line.p[0] == '\t') && l->any_field) {
		if (l->value.len < 8000)
			buf_puts(&l->value, str_first(line, 4000));
		return;
	}
	struct str name = name_of(line);
	if (!name.p) {
		header_odd(l, line, rest);
		return;
	}
	l->any_field = true;
	field_begin(l, name, line);
	int i = once_index(name);
	if (i >= 0 && l->seen[i])
		find(l, LINT_TWICE, l->line, name);
	if (i >= 0 && !l->seen[i])
		l->seen[i] = l->line;
}

/* --- the body --- */

static bool
boundary_line(struct lint *l, struct str line)
{
	for (size_t i = l->n_boundaries; i-- > 0;) {
		struct str b = buf_str(&l->boundaries[i]);
		if (!str_starts(line, b))
			continue;
		struct str tail = str_trim(str_skip(line, b.len));
		if (tail.len > 0 && !str_eq(tail, STR("--")))
			continue;
		l->opened[i] = true;
		l->closed[i] = tail.len > 0;
		l->part_header = tail.len == 0;
		return true;
	}
	return false;
}

static void
body_line(struct lint *l, struct str line, bool first)
{
	if (str_starts(line, STR("--")) && boundary_line(l, line)) {
		field_end(l);
		return;
	}
	struct str name = name_of(line);
	if (l->part_header) {
		bool folded = line.len > 0 && (line.p[0] == ' ' || line.p[0] == '\t');
		if (folded && l->value.len < 8000)
			buf_puts(&l->value, str_first(line, 4000));
		else if (name.p)
			field_begin(l, name, line);
		if (line.len == 0) {
			field_end(l);
			l->part_header = false;
		}
		return;
	}
	if (first && name.p && is_known(name))
		find(l, LINT_FIELD_IN_BODY, l->line, name);
}

static void
octets_check(struct lint *l, struct str line)
{
	bool high = false;
	if (line.len > LINE_MAX)
		find(l, LINT_LONG_LINE, l->line, STR_NULL);
	if (str_find(line, '\0') < line.len)
		find(l, LINT_NUL, l->line, STR_NULL);
	if (str_find(line, '\r') < line.len)
		find(l, LINT_BARE_CR, l->line, STR_NULL);
	for (size_t i = 0; i < line.len && !high; i++)
		high = (unsigned char)line.p[i] >= 0x80;
	if (high && l->in_header && !l->conf->utf8)
		find(l, LINT_8BIT_HEADER, l->line, STR_NULL);
	else if (high && !l->in_header && !l->conf->eight_bit)
		find(l, LINT_8BIT, l->line, STR_NULL);
}

static void
letter_over(struct lint *l)
{
	if (l->in_header) {
		if (!l->any_field)
			find(l, LINT_EMPTY, 0, STR_NULL);
		header_over(l);
	}
	if (l->part_header)
		field_end(l);
	if (l->crlf > 0 && l->lf > 0)
		find(l, LINT_MIXED_ENDS, 0, STR_NULL);
	for (size_t i = 0; i < l->n_boundaries; i++) {
		if (!l->opened[i])
			find(l, LINT_BOUNDARY_MISSING, l->boundary_line[i],
			    buf_str(&l->boundaries[i]));
		else if (!l->closed[i])
			find(l, LINT_BOUNDARY_OPEN, l->boundary_line[i],
			    buf_str(&l->boundaries[i]));
		buf_done(&l->boundaries[i]);
	}
	buf_done(&l->value);
}

size_t
lint_letter(struct str letter, const struct lint_conf *conf, lint_fn *fn, void *arg,
    size_t *ret_errors)
{
	struct lint l = {
		.conf = conf, .fn = fn, .arg = arg, .in_header = true, .value = BUF_INIT(16000)
	};
	size_t header_end = 0;
	for (struct str left = letter; left.len > 0;) {
		struct str rest = left;
		size_t nl = str_find(left, '\n');
		struct str line = str_first(left, nl);
		bool crlf = nl < left.len && nl > 0 && left.p[nl - 1] == '\r';
		left = str_skip(left, nl + 1);
		if (crlf)
			line.len--;
		l.line++;
		l.crlf += crlf;
		l.lf += nl < rest.len && !crlf;
		octets_check(&l, line);
		if (l.in_header)
			header_line(&l, line, rest);
		else
			body_line(&l, line,
			    header_end > 0 && l.line - header_end <= 3 &&
				(l.line == header_end + 1 || l.told[LINT_FIELD_IN_BODY] > 0));
		if (!l.in_header && header_end == 0)
			header_end = l.line;
	}
	letter_over(&l);
	if (ret_errors)
		*ret_errors = l.errors;
	return l.found;
}
