/* Entries and destinations as rows. */
#include "roles/store/queue_op.h"

#include "base/check.h"
#include "log/log.h"
#include "roles/store/text.h"
#include "sys/clock.h"

#define RCPTS_MAX (1u << 20)
#define LIST_FIELDS 19
#define MORE_FIELDS 16

static struct str
num(char (*room)[TEXT_NUM], uint64_t v)
{
	return text_u64(*room, v);
}

static bool
told_at(struct wire *w, const struct queue_item *it, struct queue_told *ret)
{
	*ret = (struct queue_told){ .state = RCPT_WAITS };
	return it->s.n == 0 || queue_told_get(w, ret);
}

static void
put_waiting(struct buf *b, const struct queue_item *it)
{
	struct wire told = wire_of(it->s.rcpts), rcpts = wire_of(it->v.rcpts);
	struct queue_told t;
	struct queue_rcpt r;
	size_t start = b->len;
	for (uint32_t i = 0; i < it->v.n_rcpts && queue_rcpt_get(&rcpts, &r); i++)
		if (told_at(&told, it, &t) && t.state == RCPT_WAITS)
			buf_putf(b, "%s" STR_FMT, b->len > start ? "\n" : "", STR_ARG(r.addr));
}

uint32_t
queue_waiting_rcpts(const struct queue_item *it)
{
	struct wire w = wire_of(it->s.rcpts);
	struct queue_told t;
	uint32_t n = 0;
	for (uint32_t i = 0; i < it->v.n_rcpts && told_at(&w, it, &t); i++)
		n += t.state == RCPT_WAITS;
	return n;
}

/* The recipient for whom it stands worst: one that waits, of those the one with the highest code.
 */
static struct queue_told
worst(const struct queue_item *it)
{
	struct wire w = wire_of(it->s.rcpts);
	struct queue_told t, ret = { .state = RCPT_SENT };
	for (uint32_t i = 0; i < it->s.n && queue_told_get(&w, &t); i++) {
		bool first = t.state == RCPT_WAITS && ret.state != RCPT_WAITS;
		bool same = (t.state == RCPT_WAITS) == (ret.state == RCPT_WAITS);
		if (first || (same && (t.code > ret.code || ret.text.len == 0)))
			ret = t;
	}
	return ret;
}

/* What happens to it when its attempt is over. */
static struct str
wish_of(const struct sched_entry *e)
{
	static const char *const words[] = {
		[SCHED_WISH_NONE] = "",
		[SCHED_WISH_HOLD] = "hold",
		[SCHED_WISH_BOUNCE] = "bounce",
		[SCHED_WISH_DELETE] = "delete",
	};
	return str_of(e ? words[e->wish] : "");
}

/* What of the fields of queue.list can be told of a damaged entry. */
static void
put_damaged(const struct queue_item *it, struct str *row, char (*room)[TEXT_NUM], struct buf *text)
{
	char id[14];
	id_format(id, it->letter);
	buf_putf(text, "%s.%u", id, it->part);
	size_t at = text->len;
	put_waiting(text, it);
	const struct str fields[LIST_FIELDS] = {
		[0] = str_first(buf_str(text), at),
		[1] = it->v.qid,
		[2] = str_of(queue_state_word(it)),
		[3] = num(room + 0, it->v.created_ms),
		[6] = num(room + 1, it->size),
		[9] = it->v.from,
		[10] = it->v.domain,
		[11] = str_skip(buf_str(text), at),
		[16] = str_of(it->damage),
		[18] = wish_of(it->e),
	};
	memcpy(row, fields, sizeof(fields));
}

/* When it is tried, if the host decides that: not while its destination is spared. 0: at its turn.
 */
static uint64_t
next_of(const struct sched_entry *e, const struct sched_dest_view *dest)
{
	if (e->state != SCHED_WAITS && e->state != SCHED_READY)
		return 0;
	return MAX(e->state == SCHED_WAITS ? e->due_ms : 0, dest->backoff_until_ms);
}

/* The fields of queue.list. */
static void
put_list(struct queue *q, const struct queue_item *it, struct str *row, char (*room)[TEXT_NUM],
    struct buf *text)
{
	const struct sched_entry *e = it->e;
	struct sched_dest_view dest;
	struct queue_told t = worst(it);
	char id[14];
	size_t at[3];
	if (it->damage) {
		put_damaged(it, row, room, text);
		return;
	}
	id_format(id, e->letter);
	sched_dest_of(q->sched, e, &dest);
	buf_putf(text, "%s.%u", id, e->part);
	at[0] = text->len;
	put_waiting(text, it);
	at[1] = text->len;
	if (dest.target.len)
		buf_puts(text, dest.target);
	else
		buf_putf(text, "mx:" STR_FMT, STR_ARG(dest.domain));
	at[2] = text->len;
	if (text->failed)
		at[0] = at[1] = at[2] = 0;
	const struct str fields[LIST_FIELDS] = { str_n(text->p, at[0]), it->v.qid,
		str_of(queue_state_word(it)), num(room + 0, it->v.created_ms),
		num(room + 1, next_of(e, &dest)), num(room + 2, it->s.last_ms),
		num(room + 3, it->size), num(room + 4, e->attempts), STR_NULL, it->v.from,
		it->v.domain, str_n(text->p + at[0], at[1] - at[0]),
		str_of(it->s.trouble < JOB_TROUBLE_COUNT ? queue_trouble_word[it->s.trouble] : ""),
		it->s.mta, t.code ? num(room + 5, t.code) : STR(""), t.status, t.text,
		str_n(text->p + at[1], at[2] - at[1]), wish_of(e) };
	memcpy(row, fields, sizeof(fields));
	int n = snprintf(room[6], TEXT_NUM, "%d", it->v.priority);
	row[8] = str_n(room[6], (size_t)n);
}

void
queue_row_list(struct queue *q, struct desk_ask *a, const struct queue_item *it)
{
	struct str row[LIST_FIELDS];
	char room[LIST_FIELDS][TEXT_NUM];
	struct buf text = BUF_INIT(RCPTS_MAX);
	put_list(q, it, row, room, &text);
	desk_row(a, row, ARRAY_LEN(row));
	buf_done(&text);
}

static void
put_flags(struct buf *b, const struct queue_item *it)
{
	static const struct {
		uint32_t flag;
		const char *word;
	} words[] = { { ONWARD_8BIT, "8bit" }, { ONWARD_BINARY, "binary" }, { ONWARD_UTF8, "utf8" },
		{ ONWARD_REQUIRETLS, "requiretls" }, { ONWARD_BY_RETURN, "by-return" },
		{ ONWARD_BY_TRACE, "by-trace" }, { ONWARD_OURS, "ours" },
		{ ONWARD_SUBMITTED, "submitted" }, { ONWARD_TLS_OPTIONAL, "tls-optional" } };
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (it->v.flags & words[i].flag)
			buf_putf(b, "%s%s", b->len ? " " : "", words[i].word);
}

static struct str
held_by(const struct queue *q, const struct queue_item *it)
{
	static const char *const words[3][2] = { { "", "route" },
		{ "administrator", "administrator route" }, { "damage", "damage route" } };
	struct sched_dest_view dest;
	if (it->damage || it->e->state != SCHED_HELD)
		return STR("");
	sched_dest_of(q->sched, it->e, &dest);
	size_t who = it->e->held ? 1 + (it->s.trouble == JOB_TROUBLE_DAMAGED) : 0;
	return str_of(words[who][dest.holds]);
}

static void
show_entry(struct queue *q, struct desk_ask *a, const struct queue_item *it)
{
	static const char *const stages[JOB_STAGE_COUNT] = {
		[JOB_LOOKING] = "looking",
		[JOB_CONNECTING] = "connecting",
		[JOB_TALKING] = "talking",
		[JOB_ENDING] = "ending",
	};
	struct str row[1 + LIST_FIELDS + MORE_FIELDS] = { STR("E") };
	char room[LIST_FIELDS][TEXT_NUM], more[8][TEXT_NUM], session[14];
	struct buf text = BUF_INIT(RCPTS_MAX), flags = BUF_INIT(1024);
	const struct lease *l = queue_lease_of(q, it->letter, it->part);
	const struct queue_entry *v = &it->v;
	put_list(q, it, row + 1, room, &text);
	put_flags(&flags, it);
	id_format(session, v->session);
	const struct str rest[MORE_FIELDS] = { v->account, v->peer, str_of(session), v->message_id,
		v->sender, v->envid, v->ret, buf_str(&flags), num(&more[0], v->hold_until_ms),
		num(&more[1], v->by_ms),
		num(&more[2],
		    it->damage ? 0 : it->e->created_ms + q->role->conf->queue_lifetime * 1000),
		num(&more[3], it->s.warned),
		str_of(l && l->stage < JOB_STAGE_COUNT ? stages[l->stage] : ""),
		str_of(l && l->where ? l->where : ""), it->s.reason, held_by(q, it) };
	memcpy(row + 1 + LIST_FIELDS, rest, sizeof(rest));
	desk_row(a, row, ARRAY_LEN(row));
	buf_done(&text);
	buf_done(&flags);
}

static void
show_rcpts(struct desk_ask *a, const struct queue_item *it)
{
	static const char *const words[RCPT_STATES] = {
		[RCPT_WAITS] = "waits",
		[RCPT_SENT] = "sent",
		[RCPT_FAILED] = "failed",
	};
	struct wire told = wire_of(it->s.rcpts), rcpts = wire_of(it->v.rcpts);
	struct queue_told t;
	struct queue_rcpt r;
	char code[TEXT_NUM];
	for (uint32_t i = 0; i < it->v.n_rcpts && queue_rcpt_get(&rcpts, &r); i++) {
		struct str row[1 + LIST_FIELDS + MORE_FIELDS] = { STR("R") };
		if (!told_at(&told, it, &t))
			return;
		row[3] = str_of(words[t.state]);
		row[12] = r.addr;
		row[15] = t.code ? text_u64(code, t.code) : STR("");
		row[16] = t.status;
		row[17] = t.text;
		row[24] = r.via;    /* sender */
		row[25] = r.orcpt;  /* envid */
		row[26] = r.notify; /* ret */
		desk_row(a, row, ARRAY_LEN(row));
	}
}

void
queue_row_target(struct desk_ask *a, const struct sched_dest_view *v, bool why, uint64_t now)
{
	struct str row[1 + LIST_FIELDS + MORE_FIELDS] = { STR("T") };
	char room[10][TEXT_NUM], target[300];
	struct str name = v->target;
	if (name.len == 0) {
		int n = snprintf(target, sizeof(target), "mx:" STR_FMT, STR_ARG(v->domain));
		name = str_n(target, (size_t)n);
	}
	const char *state = v->backoff_until_ms > now                ? "backoff"
	                    : v->entries == 0                        ? "idle"
	                    : v->active >= v->window && v->ready > 0 ? "busy"
	                    : v->ready + v->active > 0               ? "ready"
	                                                             : "idle";
	const struct str fields[15] = { name, str_of(state), num(&room[0], v->ready + v->waiting),
		num(&room[1], v->active), num(&room[2], v->held),
		num(&room[3], MIN(v->active, v->window)), num(&room[4], v->window),
		num(&room[5], v->backoff_until_ms),
		str_of(v->trouble < JOB_TROUBLE_COUNT ? queue_trouble_word[v->trouble] : ""),
		v->text, num(&room[6], v->sent), num(&room[7], v->later), num(&room[8], v->refused),
		num(&room[9], v->oldest_ms), v->route };
	memcpy(row + 1, fields, sizeof(fields));
	if (why)
		desk_row(a, row, ARRAY_LEN(row));
	else
		desk_row(a, row + 1, ARRAY_LEN(fields));
}

void
queue_row_show(struct queue *q, struct desk_ask *a, const struct queue_item *it, bool why)
{
	struct sched_dest_view v;
	show_entry(q, a, it);
	show_rcpts(a, it);
	if (!why || it->damage)
		return;
	sched_dest_of(q->sched, it->e, &v);
	queue_row_target(a, &v, true, (uint64_t)sys_wall_ms());
}
