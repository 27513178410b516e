/*
 * queue show and queue why. Both get an entry's row, rows of its recipients, and for `why` one of
 * its destination; a queue id may lead to several entries.
 */
#include "ctl/queue_priv.h"

#include "base/check.h"
#include "base/date.h"
#include "base/utf8.h"
#include "explain/explain.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define TEXT_MAX ((size_t)16 << 20)
#define FIELD(row, i) row_field(row, 1 + (i))
#define NUMBER(row, i) row_number(row, 1 + (i))
#define LABEL 10
#define RCPTS_SHOWN 8

/* A row that outlives its frame. */
struct kept {
	struct msg_row row;
	char *text[ROW_FIELDS_MAX];
};

struct entry {
	struct kept e, target;
	struct kept *rcpt;
	size_t n;
};

struct showing {
	struct entry *entry;
	size_t n;
};

static void
keep(struct kept *k, const struct msg_row *row)
{
	k->row.n = row->n;
	for (size_t i = 0; i < row->n; i++) {
		k->text[i] = str_dup(row->field[i]);
		k->row.field[i] = str_n(k->text[i], row->field[i].len);
	}
}

static void
forget(struct kept *k)
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
		s->entry[s->n] = (struct entry){ 0 };
		keep(&s->entry[s->n++].e, row);
	}
	if (s->n == 0)
		return;
	struct entry *e = &s->entry[s->n - 1];
	if (str_eq(kind, STR("R"))) {
		e->rcpt = xrealloc(e->rcpt, (e->n + 1) * sizeof(*e->rcpt));
		e->rcpt[e->n] = (struct kept){ 0 };
		keep(&e->rcpt[e->n++], row);
	} else if (str_eq(kind, STR("T")) && e->target.row.n == 0) {
		keep(&e->target, row);
	}
}

static void
showing_done(struct showing *s)
{
	for (size_t i = 0; i < s->n; i++) {
		struct entry *e = &s->entry[i];
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

static void explain_json(json_t *o, const struct msg_row *e);

static void
print_json(const struct entry *e, bool why)
{
	json_t *o = queue_json(&e->e.row, 1, Q_FIELDS), *rcpts = json_array();
	check(rcpts);
	for (size_t i = 0; i < e->n; i++)
		json_array_append_new(rcpts, json_rcpt(&e->rcpt[i].row));
	json_object_set_new(o, "rcpts", rcpts);
	if (why) {
		json_object_set_new(o, "destination",
		    e->target.row.n ? queue_target_json(&e->target.row, 1) : json_null());
		explain_json(o, &e->e.row);
	}
	queue_json_line(o);
}

/* --- words on the page --- */

static size_t
page_width(void)
{
	struct winsize w;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col >= 40)
		return MIN((size_t)w.ws_col, (size_t)120);
	return 80;
}

/* A label, and text in lines behind it. The text is safe already. */
static void
put(const char *label, struct str text)
{
	size_t width = page_width(), at = LABEL;
	bool first = true;
	printf("%-*s", LABEL, label);
	for (struct str word; (word = str_word(&text)).len; first = false) {
		if (!first && at + 1 + word.len > width) {
			printf("\n%*s", LABEL, "");
			at = LABEL;
		} else if (!first) {
			putchar(' ');
			at++;
		}
		fwrite(word.p, 1, word.len, stdout);
		at += word.len;
	}
	putchar('\n');
}

static void
put_buf(const char *label, struct buf *b)
{
	if (b->len)
		put(label, buf_str(b));
	buf_reset(b);
}

static void
put_raw(const char *label, struct str text)
{
	struct buf b = BUF_INIT(TEXT_MAX);
	utf8_escape(&b, text);
	put_buf(label, &b);
	buf_done(&b);
}

static void
put_moment(struct buf *b, uint64_t ms)
{
	date_rfc3339(b, (int64_t)(ms - ms % 1000));
	if (b->len > 5 && str_ends(buf_str(b), STR(".000Z"))) {
		buf_trunc(b, b->len - 5);
		buf_putc(b, 'Z');
	}
}

/* "2026-11-22T17:00:00Z (35m ago)", "(in 2h 5m)" */
static void
put_when(struct buf *b, uint64_t ms, uint64_t now)
{
	put_moment(b, ms);
	buf_putz(b, ms > now ? " (in " : " (");
	queue_put_span(b, ms > now ? ms - now : now - ms);
	buf_putz(b, ms > now ? ")" : " ago)");
}

static void
put_letter(const struct msg_row *e, uint64_t now)
{
	struct buf b = BUF_INIT(TEXT_MAX);
	buf_puts(&b, FIELD(e, Q_ID));
	buf_putz(&b, " (queue id ");
	utf8_escape(&b, FIELD(e, Q_QID));
	buf_putz(&b, "), ");
	out_size(&b, NUMBER(e, Q_SIZE));
	put_buf("Entry", &b);
	queue_put_path(&b, FIELD(e, Q_FROM));
	if (FIELD(e, Q_SENDER).len) {
		buf_putz(&b, " for ");
		queue_put_path(&b, FIELD(e, Q_SENDER));
	}
	put_buf("From", &b);
	put_when(&b, NUMBER(e, Q_CREATED), now);
	put_buf("Since", &b);
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
	put_buf(label, &b);
	buf_done(&said);
	buf_done(&b);
}

static void
put_rcpts(const struct entry *e, size_t most)
{
	for (size_t i = 0; i < e->n && i < most; i++)
		put_rcpt(i == 0 ? "To" : "", &e->rcpt[i].row);
	if (e->n > most) {
		struct buf b = BUF_INIT(64);
		buf_putf(&b, "and %zu more; `queue show` has them all", e->n - most);
		put_buf("", &b);
		buf_done(&b);
	}
}

/* --- what it means --- */

static const struct {
	const char *trouble, *words;
} troubles[] = {
	{ "name", "looking up the domain" },
	{ "connect", "connecting" },
	{ "tls", "securing the connection" },
	{ "login", "logging in" },
	{ "greeting", "being greeted" },
	{ "sender", "the sender's address" },
	{ "rcpt", "the recipient's address" },
	{ "letter", "the letter itself" },
	{ "closed", "the connection, which was closed" },
	{ "policy", "what the policy of the destination asks for" },
};

static const char *
trouble_words(struct str trouble)
{
	for (size_t i = 0; i < ARRAY_LEN(troubles); i++)
		if (str_eq(trouble, str_of(troubles[i].trouble)))
			return troubles[i].words;
	return NULL;
}

/* What explain knows of the last reply; of our own words it knows what errors mean. */
static bool
meaning(const struct msg_row *e, struct explain_hit *ret)
{
	struct buf b = BUF_INIT(TEXT_MAX);
	bool code = NUMBER(e, Q_CODE) > 0;
	queue_put_reply(&b, FIELD(e, Q_CODE), FIELD(e, Q_STATUS), FIELD(e, Q_TEXT));
	bool known =
	    b.len > 0 && explain_reply_of(code ? EXPLAIN_SMTP : EXPLAIN_ANY, buf_str(&b), ret);
	/* Its code and the like are views of b. */
	ret->code = ret->enhanced = STR_NULL;
	buf_done(&b);
	return known && ret->match != EXPLAIN_BY_CLASS;
}

static void
explain_json(json_t *o, const struct msg_row *e)
{
	struct explain_hit hit;
	if (!meaning(e, &hit)) {
		json_object_set_new(o, "meaning", json_null());
		return;
	}
	json_object_set_new(o, "meaning", out_json_text(hit.meaning));
	json_object_set_new(o, "who_acts", out_json_text(hit.who));
	json_object_set_new(o, "advice", out_json_text(hit.next));
}

static void
put_meaning(const struct msg_row *e)
{
	struct explain_hit hit;
	if (!meaning(e, &hit))
		return;
	put_raw("Means", hit.meaning);
	put_raw("Causes", hit.causes);
	put_raw("To act", hit.who);
	put_raw("Advice", hit.next);
}

static void
put_tried(const struct msg_row *e, uint64_t now)
{
	struct buf b = BUF_INIT(TEXT_MAX);
	uint64_t tries = NUMBER(e, Q_ATTEMPTS), last = NUMBER(e, Q_LAST);
	const char *words = trouble_words(FIELD(e, Q_TROUBLE));
	if (tries == 0 || last == 0) {
		put("Tried", STR("not yet"));
		return;
	}
	buf_putf(&b, "%" PRIu64 " time%s, last ", tries, tries == 1 ? "" : "s");
	put_when(&b, last, now);
	if (FIELD(e, Q_MTA).len) {
		buf_putz(&b, " at ");
		utf8_escape(&b, FIELD(e, Q_MTA));
	}
	if (words)
		buf_putf(&b, "; the trouble: %s", words);
	put_buf("Tried", &b);
	queue_put_reply(&b, FIELD(e, Q_CODE), FIELD(e, Q_STATUS), FIELD(e, Q_TEXT));
	put_buf(NUMBER(e, Q_CODE) ? "They said" : "We say", &b);
	buf_done(&b);
	put_meaning(e);
}

static void
put_target(const struct msg_row *t, uint64_t now)
{
	struct buf b = BUF_INIT(TEXT_MAX);
	utf8_escape(&b, FIELD(t, T_TARGET));
	buf_putf(&b, ": %" PRIu64 " wait, %" PRIu64 " of %" PRIu64 " connections in use",
	    NUMBER(t, T_WAITING), NUMBER(t, T_CONNECTIONS), NUMBER(t, T_WINDOW));
	if (NUMBER(t, T_RETRY) > now) {
		buf_putz(&b, "; nothing is sent there before ");
		put_when(&b, NUMBER(t, T_RETRY), now);
		if (FIELD(t, T_TEXT).len) {
			buf_putz(&b, ", because of: ");
			utf8_escape(&b, FIELD(t, T_TEXT));
		}
	}
	put_buf("Route", &b);
	buf_done(&b);
}

/* --- what happens next --- */

static void
next_waiting(struct buf *b, const struct entry *e, uint64_t now)
{
	uint64_t at = MAX(NUMBER(&e->e.row, Q_NEXT), NUMBER(&e->target.row, T_RETRY));
	if (at <= now) {
		buf_putz(b, "it is due now");
		return;
	}
	buf_putz(b, "it is tried again ");
	put_when(b, at, now);
}

static void
next_ready(struct buf *b, const struct entry *e, uint64_t now)
{
	if (NUMBER(&e->target.row, T_RETRY) > now)
		next_waiting(b, e, now);
	else
		buf_putz(b,
		    "it is due, and goes as soon as a connection to its destination is free");
}

static void
next_active(struct buf *b, const struct entry *e, uint64_t now)
{
	buf_putz(b, "it is on its way now");
	if (FIELD(&e->e.row, Q_STAGE).len) {
		buf_putf(b, " (" STR_FMT, STR_ARG(FIELD(&e->e.row, Q_STAGE)));
		if (FIELD(&e->e.row, Q_WHERE).len) {
			buf_putz(b, ", ");
			utf8_escape(b, FIELD(&e->e.row, Q_WHERE));
		}
		buf_putz(b, ")");
	}
}

static void
next_held(struct buf *b, const struct entry *e, uint64_t now)
{
	buf_putf(b, "nothing, until `pennypost queue release " STR_FMT "`",
	    STR_ARG(FIELD(&e->e.row, Q_ID)));
}

static void
next_later(struct buf *b, const struct entry *e, uint64_t now)
{
	buf_putz(b, "its sender wants it to leave ");
	put_when(b, MAX(NUMBER(&e->e.row, Q_HOLD_UNTIL), NUMBER(&e->e.row, Q_NEXT)), now);
}

static void
next_turn(struct buf *b, const struct entry *e, uint64_t now)
{
	buf_putz(b, "it waits until its destination fetches it by ATRN");
}

static const struct {
	const char *state;
	void (*put)(struct buf *b, const struct entry *e, uint64_t now);
} nexts[] = {
	{ "waiting", next_waiting },
	{ "ready", next_ready },
	{ "active", next_active },
	{ "held", next_held },
	{ "later", next_later },
	{ "turn", next_turn },
};

static void
put_next(const struct entry *e, uint64_t now)
{
	struct buf b = BUF_INIT(TEXT_MAX);
	const struct msg_row *row = &e->e.row;
	uint64_t expires = NUMBER(row, Q_EXPIRES);
	for (size_t i = 0; i < ARRAY_LEN(nexts); i++)
		if (str_eq(FIELD(row, Q_STATE), str_of(nexts[i].state)))
			nexts[i].put(&b, e, now);
	put_buf("Next", &b);
	if (expires) {
		put_when(&b, expires, now);
		bool nobody = FIELD(row, Q_FROM).len == 0;
		buf_putz(&b, nobody ? ", and nobody is told: its sender is <>"
				    : "; then its sender gets a report");
		put_buf("Given up", &b);
	}
	buf_done(&b);
}

static void
put_why(const struct entry *e, uint64_t now)
{
	put_letter(&e->e.row, now);
	put_rcpts(e, RCPTS_SHOWN);
	put_tried(&e->e.row, now);
	if (e->target.row.n)
		put_target(&e->target.row, now);
	put_next(e, now);
	struct buf b = BUF_INIT(TEXT_MAX);
	buf_putz(&b, "`pennypost trace ");
	utf8_escape(&b, FIELD(&e->e.row, Q_QID));
	buf_putf(&b, "` shows the conversations; `pennypost queue retry " STR_FMT "` tries now",
	    STR_ARG(FIELD(&e->e.row, Q_ID)));
	put_buf("See", &b);
	buf_done(&b);
}

/* --- show --- */

static void
put_time(const char *label, uint64_t ms, uint64_t now)
{
	struct buf b = BUF_INIT(128);
	if (ms)
		put_when(&b, ms, now);
	put_buf(label, &b);
	buf_done(&b);
}

static void
put_show(const struct entry *e, uint64_t now)
{
	static const struct {
		const char *label;
		size_t field;
		bool time;
	} rows[] = {
		{ "State", Q_STATE, false },
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
	put_letter(&e->e.row, now);
	put_rcpts(e, SIZE_MAX);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].time)
			put_time(rows[i].label, NUMBER(&e->e.row, rows[i].field), now);
		else
			put_raw(rows[i].label, FIELD(&e->e.row, rows[i].field));
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
			put_why(&s.entry[i], now);
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
