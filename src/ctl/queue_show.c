/*
 * queue show and queue why. Both get an entry's row, rows of its recipients, and for `why` one of
 * its destination; a queue id may lead to several entries.
 */
#include "ctl/queue_priv.h"

#include "base/check.h"
#include "base/utf8.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX ((size_t)16 << 20)
#define FIELD QUEUE_FIELD
#define NUMBER QUEUE_NUMBER

struct showing {
	struct queue_shown *entry;
	size_t n;
};

static void
keep(struct queue_kept *k, const struct msg_row *row)
{
	k->row.n = row->n;
	for (size_t i = 0; i < row->n; i++) {
		k->text[i] = str_dup(row->field[i]);
		k->row.field[i] = str_n(k->text[i], row->field[i].len);
	}
}

static void
forget(struct queue_kept *k)
{
	for (size_t i = 0; i < k->row.n; i++)
		free(k->text[i]);
}

static void
take_row(void *arg, const struct msg_row *row)
{
	struct showing *s = arg;
	struct str kind = row_field(row, 0);
	if (str_eq(kind, STR("E"))) {
		s->entry = xrealloc(s->entry, (s->n + 1) * sizeof(*s->entry));
		s->entry[s->n] = (struct queue_shown){ 0 };
		keep(&s->entry[s->n++].e, row);
	}
	if (s->n == 0)
		return;
	struct queue_shown *e = &s->entry[s->n - 1];
	if (str_eq(kind, STR("R"))) {
		e->rcpt = xrealloc(e->rcpt, (e->n + 1) * sizeof(*e->rcpt));
		e->rcpt[e->n] = (struct queue_kept){ 0 };
		keep(&e->rcpt[e->n++], row);
	} else if (str_eq(kind, STR("T")) && e->target.row.n == 0) {
		keep(&e->target, row);
	}
}

static void
showing_done(struct showing *s)
{
	for (size_t i = 0; i < s->n; i++) {
		struct queue_shown *e = &s->entry[i];
		forget(&e->e);
		forget(&e->target);
		for (size_t j = 0; j < e->n; j++)
			forget(&e->rcpt[j]);
		free(e->rcpt);
	}
	free(s->entry);
}

/* --- JSON --- */

static json_t *
json_rcpt(const struct msg_row *row)
{
	static const struct {
		const char *name;
		size_t field;
		enum out_kind kind;
	} fields[] = {
		{ "address", Q_RCPTS, OUT_TEXT },
		{ "state", Q_STATE, OUT_TEXT },
		{ "code", Q_CODE, OUT_NUMBER },
		{ "status", Q_STATUS, OUT_TEXT },
		{ "text", Q_TEXT, OUT_TEXT },
		{ "notify", Q_RET, OUT_TEXT },
		{ "orcpt", Q_ENVID, OUT_TEXT },
		{ "via", Q_SENDER, OUT_TEXT },
	};
	json_t *o = json_object();
	check(o);
	for (size_t i = 0; i < ARRAY_LEN(fields); i++)
		json_object_set_new(o, fields[i].name,
		    out_json_cell(fields[i].kind, FIELD(row, fields[i].field)));
	return o;
}

static void
print_json(const struct queue_shown *e, bool why)
{
	json_t *o = queue_json(&e->e.row, 1, Q_FIELDS), *rcpts = json_array();
	check(rcpts);
	for (size_t i = 0; i < e->n; i++)
		json_array_append_new(rcpts, json_rcpt(&e->rcpt[i].row));
	json_object_set_new(o, "rcpts", rcpts);
	if (why) {
		json_object_set_new(o, "destination",
		    e->target.row.n ? queue_target_json(&e->target.row, 1) : json_null());
		queue_why_json(o, &e->e.row);
	}
	queue_json_line(o);
}

/* --- words --- */

void
queue_put_letter(const struct msg_row *e, uint64_t now)
{
	struct buf b = BUF_INIT(TEXT_MAX);
	buf_puts(&b, FIELD(e, Q_ID));
	buf_putz(&b, " (queue id ");
	utf8_escape(&b, FIELD(e, Q_QID));
	buf_putz(&b, "), ");
	out_size(&b, NUMBER(e, Q_SIZE));
	queue_put_buf("Entry", &b);
	queue_put_path(&b, FIELD(e, Q_FROM));
	if (FIELD(e, Q_SENDER).len) {
		buf_putz(&b, " for ");
		queue_put_path(&b, FIELD(e, Q_SENDER));
	}
	queue_put_buf("From", &b);
	if (NUMBER(e, Q_CREATED))
		queue_put_when(&b, NUMBER(e, Q_CREATED), now);
	queue_put_buf("Since", &b);
	buf_done(&b);
}

static void
put_rcpt(const char *label, const struct msg_row *r)
{
	struct buf b = BUF_INIT(TEXT_MAX), said = BUF_INIT(TEXT_MAX);
	queue_put_path(&b, FIELD(r, Q_RCPTS));
	buf_putf(&b, " " STR_FMT, STR_ARG(FIELD(r, Q_STATE)));
	queue_put_reply(&said, FIELD(r, Q_CODE), FIELD(r, Q_STATUS), FIELD(r, Q_TEXT));
	if (said.len)
		buf_putf(&b, ": " STR_FMT, STR_ARG(buf_str(&said)));
	queue_put_buf(label, &b);
	buf_done(&said);
	buf_done(&b);
}

void
queue_put_rcpts(const struct queue_shown *e, size_t most)
{
	for (size_t i = 0; i < e->n && i < most; i++)
		put_rcpt(i == 0 ? "To" : "", &e->rcpt[i].row);
	if (e->n > most) {
		struct buf b = BUF_INIT(64);
		buf_putf(&b, "and %zu more; `queue show` has them all", e->n - most);
		queue_put_buf("", &b);
		buf_done(&b);
	}
}

/* --- show --- */

static void
put_time(const char *label, uint64_t ms, uint64_t now)
{
	struct buf b = BUF_INIT(128);
	if (ms)
		queue_put_when(&b, ms, now);
	queue_put_buf(label, &b);
	buf_done(&b);
}

static void
put_wish(const char *label, const struct msg_row *e)
{
	const char *wish = queue_wish_words(e, 1 + Q_WISH);
	struct buf b = BUF_INIT(128);
	if (wish)
		buf_putf(&b, "%s, if it is still here when its attempt is over", wish);
	queue_put_buf(label, &b);
	buf_done(&b);
}

static void
put_show(const struct queue_shown *e, uint64_t now)
{
	static const struct {
		const char *label;
		size_t field;
		bool time;
	} rows[] = {
		{ "State", Q_STATE, false },
		{ "Held by", Q_HELD_BY, false },
		{ "To be", Q_WISH, false },
		{ "Reason", Q_REASON, false },
		{ "Stage", Q_STAGE, false },
		{ "Where", Q_WHERE, false },
		{ "Attempts", Q_ATTEMPTS, false },
		{ "Last", Q_LAST, true },
		{ "Next", Q_NEXT, true },
		{ "Given up", Q_EXPIRES, true },
		{ "Not before", Q_HOLD_UNTIL, true },
		{ "Deadline", Q_BY, true },
		{ "Priority", Q_PRIORITY, false },
		{ "Domain", Q_DOMAIN, false },
		{ "Route", Q_TARGET, false },
		{ "Trouble", Q_TROUBLE, false },
		{ "Server", Q_MTA, false },
		{ "Message-ID", Q_MESSAGE_ID, false },
		{ "Envelope", Q_ENVID, false },
		{ "Return", Q_RET, false },
		{ "Flags", Q_FLAGS, false },
		{ "Account", Q_ACCOUNT, false },
		{ "Peer", Q_PEER, false },
		{ "Session", Q_SESSION, false },
		{ "Warnings", Q_WARNED, false },
	};
	queue_put_letter(&e->e.row, now);
	queue_put_rcpts(e, SIZE_MAX);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].field == Q_WISH)
			put_wish(rows[i].label, &e->e.row);
		else if (rows[i].time)
			put_time(rows[i].label, NUMBER(&e->e.row, rows[i].field), now);
		else
			queue_put_raw(rows[i].label, FIELD(&e->e.row, rows[i].field));
}

static int
ask(struct ctl_call *call, const char *op, bool why)
{
	struct showing s = { 0 };
	struct str arg = str_of(call->words.v[0]);
	uint64_t now = queue_now_ms();
	int status = server_ask(&call->server, op, &arg, 1, take_row, &s);
	for (size_t i = 0; status == EXIT_DONE && i < s.n; i++) {
		if (call->json) {
			print_json(&s.entry[i], why);
			continue;
		}
		if (i)
			putchar('\n');
		if (why)
			queue_why_put(&s.entry[i], now);
		else
			put_show(&s.entry[i], now);
	}
	showing_done(&s);
	return status;
}

int
queue_show(struct ctl_call *call)
{
	return ask(call, "queue.show", false);
}

int
queue_why(struct ctl_call *call)
{
	return ask(call, "queue.why", true);
}
