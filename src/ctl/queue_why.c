/* queue why: what was tried of an entry, what the other side said and means, what happens next. */
#include "ctl/queue_priv.h"

#include "base/check.h"
#include "base/utf8.h"
#include "explain/explain.h"

#include <inttypes.h>

#define TEXT_MAX ((size_t)16 << 20)
#define FIELD QUEUE_FIELD
#define NUMBER QUEUE_NUMBER
#define RCPTS_SHOWN 8

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
	{ "damaged", "reading the letter, which is damaged where it is stored" },
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

void
queue_why_json(json_t *o, const struct msg_row *e)
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
	queue_put_raw("Means", hit.meaning);
	queue_put_raw("Causes", hit.causes);
	queue_put_raw("To act", hit.who);
	queue_put_raw("Advice", hit.next);
}

static void
put_tried(const struct msg_row *e, uint64_t now)
{
	struct buf b = BUF_INIT(TEXT_MAX);
	uint64_t tries = NUMBER(e, Q_ATTEMPTS), last = NUMBER(e, Q_LAST);
	const char *words = trouble_words(FIELD(e, Q_TROUBLE));
	if (tries == 0 || last == 0) {
		queue_put("Tried", STR("not yet"));
		return;
	}
	buf_putf(&b, "%" PRIu64 " %s ended ", tries,
	    tries == 1 ? "time, which" : "times, the last");
	queue_put_when(&b, last, now);
	if (FIELD(e, Q_MTA).len) {
		buf_putz(&b, " at ");
		utf8_escape(&b, FIELD(e, Q_MTA));
	}
	if (words)
		buf_putf(&b, "; the trouble: %s", words);
	queue_put_buf("Tried", &b);
	queue_put_reply(&b, FIELD(e, Q_CODE), FIELD(e, Q_STATUS), FIELD(e, Q_TEXT));
	queue_put_buf(NUMBER(e, Q_CODE) ? "They said" : "We say", &b);
	buf_done(&b);
	put_meaning(e);
}

static void
put_target(const struct msg_row *t, uint64_t now)
{
	struct buf b = BUF_INIT(TEXT_MAX);
	queue_put_target(&b, FIELD(t, T_ROUTE), FIELD(t, T_TARGET));
	if (str_ends(FIELD(t, T_TARGET), STR(":"))) { /* nobody connects there: hold:, turn: */
		queue_put_buf("Route", &b);
		buf_done(&b);
		return;
	}
	buf_putf(&b, ": %" PRIu64 " wait, %" PRIu64 " of %" PRIu64 " connections in use",
	    NUMBER(t, T_WAITING), NUMBER(t, T_CONNECTIONS), NUMBER(t, T_WINDOW));
	if (NUMBER(t, T_RETRY) > now) {
		buf_putz(&b, "; nothing is sent there before ");
		queue_put_when(&b, NUMBER(t, T_RETRY), now);
		if (FIELD(t, T_TEXT).len) {
			buf_putz(&b, ", because of: ");
			utf8_escape_again(&b, FIELD(t, T_TEXT));
		}
	}
	queue_put_buf("Route", &b);
	buf_done(&b);
}

static bool
by_administrator(const struct msg_row *e)
{
	return str_starts(FIELD(e, Q_HELD_BY), STR("administrator"));
}

/* Also by a route, then its line says so; a letter that is damaged is told of in the last. */
static void
put_held(const struct msg_row *e)
{
	struct buf b = BUF_INIT(TEXT_MAX);
	bool administrator = by_administrator(e);
	if (administrator)
		buf_putz(&b, "by an administrator");
	if (administrator && FIELD(e, Q_REASON).len) {
		buf_putz(&b, ": ");
		utf8_escape(&b, FIELD(e, Q_REASON));
	}
	queue_put_buf("Held", &b);
	buf_done(&b);
}

/* --- what happens next --- */

static void
next_waiting(struct buf *b, const struct queue_shown *e, uint64_t now)
{
	uint64_t at = MAX(NUMBER(&e->e.row, Q_NEXT), NUMBER(&e->target.row, T_RETRY));
	if (at <= now) {
		buf_putz(b, "it is due now");
		return;
	}
	buf_putz(b, "it is tried again ");
	queue_put_when(b, at, now);
}

static void
next_ready(struct buf *b, const struct queue_shown *e, uint64_t now)
{
	if (NUMBER(&e->target.row, T_RETRY) > now)
		next_waiting(b, e, now);
	else
		buf_putz(b,
		    "it is due, and goes as soon as a connection to its destination is free");
}

static void
next_active(struct buf *b, const struct queue_shown *e, uint64_t now)
{
	const char *wish = queue_wish_words(&e->e.row, 1 + Q_WISH);
	buf_putz(b, "it is on its way now");
	if (FIELD(&e->e.row, Q_STAGE).len) {
		buf_putf(b, " (" STR_FMT, STR_ARG(FIELD(&e->e.row, Q_STAGE)));
		if (FIELD(&e->e.row, Q_WHERE).len) {
			buf_putz(b, ", ");
			utf8_escape(b, FIELD(&e->e.row, Q_WHERE));
		}
		buf_putz(b, ")");
	}
	if (wish)
		buf_putf(b, "; if it is still here then, it is %s", wish);
}

static void
put_route_holds(struct buf *b, const struct queue_shown *e)
{
	buf_putz(b, "nothing, until its route is another than hold: (`pennypost reload`)");
	if (by_administrator(&e->e.row))
		buf_putf(b, ", and `pennypost queue release " STR_FMT "`",
		    STR_ARG(FIELD(&e->e.row, Q_ID)));
}

static void
next_held(struct buf *b, const struct queue_shown *e, uint64_t now)
{
	struct str id = FIELD(&e->e.row, Q_ID);
	if (str_starts(FIELD(&e->e.row, Q_TARGET), STR("hold:")))
		put_route_holds(b, e);
	else if (str_eq(FIELD(&e->e.row, Q_TROUBLE), STR("damaged")))
		buf_putf(b,
		    "nothing: `pennypost fsck` tells what is damaged; when that is restored, "
		    "`pennypost queue release " STR_FMT "`; else `pennypost queue bounce " STR_FMT
		    "`",
		    STR_ARG(id), STR_ARG(id));
	else
		buf_putf(b, "nothing, until `pennypost queue release " STR_FMT "`", STR_ARG(id));
}

static void
next_damaged(struct buf *b, const struct queue_shown *e, uint64_t now)
{
	struct str id = FIELD(&e->e.row, Q_ID);
	buf_putf(b,
	    "nothing. Stop the server, `pennypost fsck --rebuild-index`, and start it: the log has "
	    "it "
	    "still. If it is damaged there too, `pennypost queue delete " STR_FMT "`",
	    STR_ARG(id));
}

static void
next_later(struct buf *b, const struct queue_shown *e, uint64_t now)
{
	buf_putz(b, "its sender wants it to leave ");
	queue_put_when(b, MAX(NUMBER(&e->e.row, Q_HOLD_UNTIL), NUMBER(&e->e.row, Q_NEXT)), now);
	buf_putf(b, "; `pennypost queue release " STR_FMT "` lets it go now",
	    STR_ARG(FIELD(&e->e.row, Q_ID)));
}

static void
next_turn(struct buf *b, const struct queue_shown *e, uint64_t now)
{
	buf_putz(b, "it waits until its destination fetches it by ATRN");
}

static const struct {
	const char *state;
	void (*put)(struct buf *b, const struct queue_shown *e, uint64_t now);
} nexts[] = {
	{ "waiting", next_waiting },
	{ "ready", next_ready },
	{ "active", next_active },
	{ "held", next_held },
	{ "later", next_later },
	{ "turn", next_turn },
	{ "damaged", next_damaged },
};

static void
put_next(const struct queue_shown *e, uint64_t now)
{
	struct buf b = BUF_INIT(TEXT_MAX);
	const struct msg_row *row = &e->e.row;
	/* What is held is not given up while it is. */
	uint64_t expires = str_eq(FIELD(row, Q_STATE), STR("held")) ? 0 : NUMBER(row, Q_EXPIRES);
	for (size_t i = 0; i < ARRAY_LEN(nexts); i++)
		if (str_eq(FIELD(row, Q_STATE), str_of(nexts[i].state)))
			nexts[i].put(&b, e, now);
	queue_put_buf("Next", &b);
	if (expires) {
		queue_put_when(&b, expires, now);
		bool nobody = FIELD(row, Q_FROM).len == 0;
		buf_putz(&b, nobody ? ", and nobody is told: its sender is <>"
				    : "; then its sender gets a report");
		queue_put_buf("Given up", &b);
	}
	buf_done(&b);
}

void
queue_why_put(const struct queue_shown *e, uint64_t now)
{
	struct str state = FIELD(&e->e.row, Q_STATE);
	bool waits = str_eq(state, STR("waiting")) || str_eq(state, STR("ready"));
	queue_put_letter(&e->e.row, now);
	queue_put_rcpts(e, RCPTS_SHOWN);
	if (str_eq(state, STR("damaged"))) {
		queue_put_raw("Damaged", FIELD(&e->e.row, Q_TEXT));
		put_next(e, now);
		return;
	}
	put_tried(&e->e.row, now);
	if (e->target.row.n)
		put_target(&e->target.row, now);
	put_held(&e->e.row);
	put_next(e, now);
	struct buf b = BUF_INIT(TEXT_MAX);
	buf_putz(&b, "`pennypost trace ");
	utf8_escape(&b, FIELD(&e->e.row, Q_QID));
	buf_putz(&b, "` shows the conversations");
	if (waits)
		buf_putf(&b, "; `pennypost queue retry " STR_FMT "` tries now",
		    STR_ARG(FIELD(&e->e.row, Q_ID)));
	queue_put_buf("See", &b);
	buf_done(&b);
}
