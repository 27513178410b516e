#include "ctl/ctl_priv.h"

#include "base/check.h"
#include "base/date.h"
#include "base/utf8.h"

static const struct {
	const char *title, *json;
	enum out_kind kind;
} fields[] = {
	{ "Letter", "letter", OUT_TEXT },
	{ "Session", "session", OUT_TEXT },
	{ "Time", "time", OUT_TIME },
	{ "Queue id", "qid", OUT_TEXT },
	{ "From", "from", OUT_TEXT },
	{ "To", "rcpts", OUT_LINES },
	{ "History", "history", OUT_LINES },
};

#define FIELD_SESSION 1
#define FIELD_QID 3
#define FIELD_FROM 4
#define FIELD_RCPTS 5

struct tracing {
	json_t *array;
	size_t n;
};

/* Takes "account mailbox address" apart. */
static bool
next_rcpt(struct str *lines, struct str *account, struct str *mailbox, struct str *address)
{
	if (!lines->p || !lines->len)
		return false;
	struct str line = str_cut(lines, '\n');
	*account = str_word(&line);
	*mailbox = str_word(&line);
	*address = str_trim(line);
	return true;
}

static void
put_rcpts(struct str lines)
{
	struct str account, mailbox, address;
	const char *title = "To:        ";
	for (; next_rcpt(&lines, &account, &mailbox, &address); title = "           ") {
		struct buf b = BUF_INIT(64u << 10);
		utf8_escape(&b, address);
		buf_putf(&b, "%saccount " STR_FMT ", mailbox " STR_FMT "%s",
		    address.len ? " (" : "", STR_ARG(account), STR_ARG(mailbox),
		    address.len ? ")" : "");
		printf("%s%s\n", title, buf_cstr(&b));
		buf_done(&b);
	}
}

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

static void
put_lines(const char *title, struct str lines)
{
	printf("%s:\n", title);
	while (lines.p && lines.len) {
		struct buf b = BUF_INIT(8u << 20);
		utf8_escape(&b, str_trim(str_cut(&lines, '\n')));
		printf("    %s\n", b.len ? buf_cstr(&b) : "");
		buf_done(&b);
	}
}

/* Of a letter that came without an envelope: it was imported, or appended by IMAP. */
static bool
is_missing(size_t i, const struct msg_row *row)
{
	return row_field(row, FIELD_QID).len == 0 &&
	       (i == FIELD_QID || i == FIELD_FROM ||
		   (i == FIELD_SESSION && str_eq(row_field(row, i), STR("0000000000000"))));
}

static void
put_field(size_t i, struct str v)
{
	struct buf b = BUF_INIT(8u << 20);
	uint64_t ms = 0;
	if (i == FIELD_RCPTS) {
		put_rcpts(v);
	} else if (fields[i].kind == OUT_LINES) {
		put_lines(fields[i].title, v);
	} else {
		if (fields[i].kind == OUT_TIME) {
			struct msg_row row = { .n = 1, .field = { v } };
			ms = row_number(&row, 0);
			date_rfc3339(&b, (int64_t)MIN(ms, (uint64_t)INT64_MAX));
		} else {
			utf8_escape(&b, v);
		}
		printf("%s:%*s%s\n", fields[i].title, 10 - (int)strlen(fields[i].title), "",
		    b.len ? buf_cstr(&b) : "<>");
	}
	buf_done(&b);
}

static void
trace_row(void *arg, const struct msg_row *row)
{
	struct tracing *t = arg;
	if (t->array) {
		json_t *o = json_object();
		for (size_t i = 0; i < ARRAY_LEN(fields); i++)
			json_object_set_new(o, fields[i].json,
			    i == FIELD_RCPTS ? json_rcpts(row_field(row, i))
					     : out_json_cell(fields[i].kind, row_field(row, i)));
		json_array_append_new(t->array, o);
	} else {
		if (t->n)
			putchar('\n');
		for (size_t i = 0; i < ARRAY_LEN(fields); i++)
			if (!is_missing(i, row))
				put_field(i, row_field(row, i));
	}
	t->n++;
}

static int
trace(struct ctl_call *call)
{
	struct tracing t = { .array = call->json ? json_array() : NULL };
	struct str id = str_of(call->words.v[0]);
	int status = server_ask(&call->server, "trace", &id, 1, trace_row, &t);
	if (t.array && status == EXIT_DONE)
		out_json(t.array);
	else
		json_decref(t.array);
	return status;
}

static int
run(int argc, char **argv)
{
	static const struct ctl_sub sub = { "", 1, 1, 0, trace };
	return ctl_sub_run(cli_cmd_find("trace"), &sub, argc, argv);
}

const struct cli_cmd cmd_trace = {
	.name = "trace",
	.summary = "Show what happened to a letter: its conversation, times and decisions",
	.usage = "ID [--json]",
	.help =
	    "ID is a queue id as the server said it when it took the letter (and as it stands in\n"
	    "the letter's Received field), a letter's id (as `mailbox show` or IMAP's EMAILID has\n"
	    "it), or a session's id from the log.\n"
	    "Passwords are masked.\n\n"
	    "  --json         print JSON\n"
	    "  --config FILE  the server that FILE configures\n"
	    "  --dir DIR      the server in DIR\n",
	.words = "--json --config=FILE --dir=DIR",
	.run = run,
};
