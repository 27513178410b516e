/* Letters and their records, for people and for programs. */
#include "ctl/ctl_priv.h"

#include "base/check.h"
#include "base/date.h"
#include "base/utf8.h"

#include <string.h>

#define LINE_MAX_OCTETS (8u << 20)

static const struct {
	const char *title, *json;
	enum out_kind kind;
} fields[] = {
	[TRACE_LETTER] = { "Letter", "letter", OUT_TEXT },
	[TRACE_SESSION] = { "Session", "session", OUT_TEXT },
	[TRACE_TIME] = { "Time", "time", OUT_TIME },
	[TRACE_KIND] = { NULL, "kind", OUT_TEXT },
	[TRACE_QID] = { "Queue id", "qid", OUT_TEXT },
	[TRACE_FROM] = { "From", "from", OUT_TEXT },
	[TRACE_RCPTS] = { "To", "rcpts", OUT_LINES },
	[TRACE_MESSAGE_ID] = { "Message-ID", "message_id", OUT_TEXT },
	[TRACE_PEER] = { "Peer", "peer", OUT_TEXT },
	[TRACE_LSN] = { NULL, NULL, OUT_NUMBER },
	[TRACE_HISTORY] = { "History", "history", OUT_LINES },
};

static bool
is_kind(const struct msg_row *row, const char *kind)
{
	return str_eq(row_field(row, TRACE_KIND), str_of(kind));
}

/* Takes "account mailbox address" apart; of a recipient elsewhere account is 0. */
static bool
next_rcpt(struct str *lines, struct str *account, struct str *mailbox, struct str *address)
{
	if (!lines->p || !lines->len)
		return false;
	struct str line = str_cut(lines, '\n'), rest = line;
	*account = str_word(&rest);
	*mailbox = str_word(&rest);
	*address = str_trim(rest);
	if (!mailbox->len) {
		*account = STR("0");
		*mailbox = STR("0");
		*address = str_trim(line);
	}
	return true;
}

static void
time_put(struct buf *b, const struct msg_row *row)
{
	date_rfc3339(b, (int64_t)MIN(row_number(row, TRACE_TIME), (uint64_t)INT64_MAX));
}

/* --- for people --- */

static void
put_rcpts(struct str lines)
{
	struct str account, mailbox, address;
	const char *title = "To:        ";
	for (; next_rcpt(&lines, &account, &mailbox, &address); title = "           ") {
		struct buf b = BUF_INIT(64u << 10);
		utf8_escape(&b, address);
		if (!str_eq(account, STR("0")))
			buf_putf(&b, "%saccount " STR_FMT ", mailbox " STR_FMT "%s",
			    address.len ? " (" : "", STR_ARG(account), STR_ARG(mailbox),
			    address.len ? ")" : "");
		printf("%s%s\n", title, buf_cstr(&b));
		buf_done(&b);
	}
}

static void
put_lines(struct str lines)
{
	while (lines.p && lines.len) {
		struct buf b = BUF_INIT(LINE_MAX_OCTETS);
		utf8_escape_again(&b, str_trim(str_cut(&lines, '\n')));
		printf("    %s\n", b.len ? buf_cstr(&b) : "");
		buf_done(&b);
	}
}

/* Of a letter that came without an envelope: it was imported, or appended by IMAP. */
static bool
is_missing(size_t i, const struct msg_row *row)
{
	struct str v = row_field(row, i);
	if (i == TRACE_MESSAGE_ID || i == TRACE_PEER)
		return v.len == 0;
	return row_field(row, TRACE_QID).len == 0 &&
	       (i == TRACE_QID || i == TRACE_FROM ||
		   (i == TRACE_SESSION && str_eq(v, STR("0000000000000"))));
}

static void
put_field(size_t i, const struct msg_row *row)
{
	struct buf b = BUF_INIT(LINE_MAX_OCTETS);
	struct str v = row_field(row, i);
	if (i == TRACE_RCPTS) {
		put_rcpts(v);
	} else if (i == TRACE_HISTORY) {
		printf("%s:\n", fields[i].title);
		put_lines(v);
	} else {
		if (i == TRACE_TIME)
			time_put(&b, row);
		else
			utf8_escape(&b, v);
		printf("%s:%*s%s\n", fields[i].title, MAX(10 - (int)strlen(fields[i].title), 1), "",
		    b.len ? buf_cstr(&b) : "<>");
	}
	buf_done(&b);
}

/* What came behind the letter: its kind, when, and to or by whom. */
static void
put_event(struct trace_shown *t, const struct msg_row *row)
{
	static const struct {
		const char *kind, *title;
	} titles[] = {
		{ "attempt", "Attempt" },
		{ "report", "Report" },
		{ "queue", "Queue" },
		{ "mailbox", "Mailbox" },
	};
	struct buf b = BUF_INIT(LINE_MAX_OCTETS);
	for (size_t i = 0; i < ARRAY_LEN(titles); i++)
		if (is_kind(row, titles[i].kind))
			buf_putz(&b, titles[i].title);
	bool attempt = is_kind(row, "attempt");
	if (t && attempt) /* who looks on has not seen the others */
		buf_putf(&b, " %zu", ++t->attempts);
	buf_putz(&b, attempt ? ", ended at " : " at ");
	time_put(&b, row);
	struct str lines = row_field(row, TRACE_RCPTS), account, mailbox, address;
	const char *between = ", for ";
	while (!is_kind(row, "mailbox") && next_rcpt(&lines, &account, &mailbox, &address)) {
		buf_putz(&b, between);
		utf8_escape(&b, address);
		between = ", ";
	}
	printf("%s:\n", buf_cstr(&b));
	put_lines(row_field(row, TRACE_HISTORY));
	buf_done(&b);
}

/* "2026-11-22T17:50:00Z  letter  <sender> -> recipient and 2 more", which mostly fits on a screen.
 */
static void
put_brief(const struct msg_row *row)
{
	struct buf b = BUF_INIT(LINE_MAX_OCTETS);
	struct str lines = row_field(row, TRACE_RCPTS), account, mailbox, address = STR_NULL, more;
	size_t n = 0;
	time_put(&b, row);
	buf_trunc(&b, strlen("2026-11-22T17:50:00"));
	buf_putf(&b, "Z  " STR_FMT "  ", STR_ARG(row_field(row, TRACE_LETTER)));
	size_t head = b.len;
	buf_putz(&b, "<");
	utf8_escape(&b, row_field(row, TRACE_FROM));
	buf_putz(&b, "> -> ");
	for (; next_rcpt(&lines, &account, &mailbox, &more); n++)
		if (n == 0)
			address = more;
	utf8_escape(&b, address);
	if (n > 1)
		buf_putf(&b, " and %zu more", n - 1);
	/* Nothing but what became of it in mailboxes is known. */
	if (n == 0 && row_field(row, TRACE_QID).len == 0) {
		buf_trunc(&b, head);
		buf_putz(&b, "(how it came is not kept any more)");
	}
	puts(buf_cstr(&b));
	buf_done(&b);
}

/* --- for programs --- */

static json_t *
json_rcpts(struct str lines)
{
	json_t *list = json_array();
	struct str account, mailbox, address;
	while (next_rcpt(&lines, &account, &mailbox, &address)) {
		json_t *o = json_object();
		json_object_set_new(o, "address", out_json_cell(OUT_TEXT, address));
		json_object_set_new(o, "account", out_json_cell(OUT_NUMBER, account));
		json_object_set_new(o, "mailbox", out_json_cell(OUT_NUMBER, mailbox));
		json_array_append_new(list, o);
	}
	return list;
}

static json_t *
json_record(const struct msg_row *row, bool kind)
{
	json_t *o = json_object();
	for (size_t i = 0; i < ARRAY_LEN(fields); i++)
		if (fields[i].json && (kind || i != TRACE_KIND) &&
		    (i != TRACE_HISTORY || !is_kind(row, "brief")))
			json_object_set_new(o, fields[i].json,
			    i == TRACE_RCPTS && !is_kind(row, "mailbox")
				? json_rcpts(row_field(row, i))
				: out_json_cell(fields[i].kind, row_field(row, i)));
	return o;
}

/* A letter is its first record and "events". */
static void
add_json(struct trace_shown *t, const struct msg_row *row, bool first)
{
	json_t *last = first ? NULL : json_array_get(t->array, json_array_size(t->array) - 1);
	if (last) {
		json_array_append_new(json_object_get(last, "events"), json_record(row, true));
		return;
	}
	bool letter = is_kind(row, "letter") || is_kind(row, "brief");
	json_t *o = json_record(row, false), *events = json_array();
	/* How it came is not kept any more: there are only events. */
	if (!letter) {
		json_decref(o);
		o = json_object();
		json_object_set_new(o, "letter",
		    out_json_cell(OUT_TEXT, row_field(row, TRACE_LETTER)));
		json_array_append_new(events, json_record(row, true));
	}
	json_object_set_new(o, "events", events);
	json_array_append_new(t->array, o);
}

/* --- */

void
trace_show_row(void *arg, const struct msg_row *row)
{
	struct trace_shown *t = arg;
	bool first = !str_eq(row_field(row, TRACE_LETTER), str_of(t->letter)), whole = first;
	(void)str_copy(t->letter, sizeof(t->letter), row_field(row, TRACE_LETTER));
	if (t->array) {
		add_json(t, row, first);
		return;
	}
	if (is_kind(row, "brief")) {
		put_brief(row);
		return;
	}
	if (first && t->letters++)
		putchar('\n');
	if (first)
		t->attempts = 0;
	if (first && !is_kind(row, "letter")) {
		printf("Letter:    %s\n", t->letter);
		whole = false;
	}
	for (size_t i = 0; whole && i < ARRAY_LEN(fields); i++)
		if (fields[i].title && !is_missing(i, row))
			put_field(i, row);
	if (!whole)
		put_event(t, row);
}

void
trace_show_live(const struct msg_row *row, bool json)
{
	if (json) {
		json_t *o = json_record(row, true);
		char *text = json_dumps(o, JSON_COMPACT);
		if (text)
			puts(text);
		free(text);
		json_decref(o);
		return;
	}
	if (is_kind(row, "letter")) {
		put_brief(row);
		put_lines(row_field(row, TRACE_HISTORY));
	} else {
		printf(STR_FMT "  ", STR_ARG(row_field(row, TRACE_LETTER)));
		put_event(NULL, row);
	}
}
