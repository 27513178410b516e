#include "ctl/queue_priv.h"

#include "base/check.h"
#include "base/date.h"
#include "base/utf8.h"
#include "sys/clock.h"

#include <inttypes.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define TEXT_MAX ((size_t)16 << 20)
#define LABEL 10

struct field {
	const char *name;
	enum out_kind kind;
};

static const struct field fields[Q_FIELDS] = {
	[Q_ID] = { "id", OUT_TEXT },
	[Q_QID] = { "qid", OUT_TEXT },
	[Q_STATE] = { "state", OUT_TEXT },
	[Q_CREATED] = { "created", OUT_TIME },
	[Q_NEXT] = { "next", OUT_TIME },
	[Q_LAST] = { "last", OUT_TIME },
	[Q_SIZE] = { "size", OUT_NUMBER },
	[Q_ATTEMPTS] = { "attempts", OUT_NUMBER },
	[Q_PRIORITY] = { "priority", OUT_NUMBER },
	[Q_FROM] = { "from", OUT_TEXT },
	[Q_DOMAIN] = { "domain", OUT_TEXT },
	[Q_RCPTS] = { "rcpts", OUT_LINES },
	[Q_TROUBLE] = { "trouble", OUT_TEXT },
	[Q_MTA] = { "mta", OUT_TEXT },
	[Q_CODE] = { "code", OUT_NUMBER },
	[Q_STATUS] = { "status", OUT_TEXT },
	[Q_TEXT] = { "text", OUT_TEXT },
	[Q_TARGET] = { "target", OUT_TEXT },
	[Q_ACCOUNT] = { "account", OUT_TEXT },
	[Q_PEER] = { "peer", OUT_TEXT },
	[Q_SESSION] = { "session", OUT_TEXT },
	[Q_MESSAGE_ID] = { "message_id", OUT_TEXT },
	[Q_SENDER] = { "sender", OUT_TEXT },
	[Q_ENVID] = { "envid", OUT_TEXT },
	[Q_RET] = { "ret", OUT_TEXT },
	[Q_FLAGS] = { "flags", OUT_TEXT },
	[Q_HOLD_UNTIL] = { "hold_until", OUT_TIME },
	[Q_BY] = { "by", OUT_TIME },
	[Q_EXPIRES] = { "expires", OUT_TIME },
	[Q_WARNED] = { "warned", OUT_NUMBER },
	[Q_STAGE] = { "stage", OUT_TEXT },
	[Q_WHERE] = { "where", OUT_TEXT },
	[Q_WISH] = { "wish", OUT_TEXT },
	[Q_REASON] = { "reason", OUT_TEXT },
	[Q_HELD_BY] = { "held_by", OUT_TEXT },
};

static const struct field target_fields[T_FIELDS] = {
	[T_TARGET] = { "target", OUT_TEXT },
	[T_STATE] = { "state", OUT_TEXT },
	[T_WAITING] = { "waiting", OUT_NUMBER },
	[T_ACTIVE] = { "active", OUT_NUMBER },
	[T_HELD] = { "held", OUT_NUMBER },
	[T_CONNECTIONS] = { "connections", OUT_NUMBER },
	[T_WINDOW] = { "window", OUT_NUMBER },
	[T_RETRY] = { "retry", OUT_TIME },
	[T_TROUBLE] = { "trouble", OUT_TEXT },
	[T_TEXT] = { "text", OUT_TEXT },
	[T_SENT] = { "sent", OUT_NUMBER },
	[T_LATER] = { "later", OUT_NUMBER },
	[T_REFUSED] = { "refused", OUT_NUMBER },
	[T_OLDEST] = { "oldest", OUT_TIME },
	[T_ROUTE] = { "route", OUT_TEXT },
};

/* A moment that never comes, or that nobody has said, is null. */
static json_t *
cell(enum out_kind kind, struct str v)
{
	if (kind == OUT_TIME && str_eq(v, STR("0")))
		return json_null();
	if (kind == OUT_NUMBER && v.len > 1 && v.p[0] == '-') {
		json_t *j = out_json_cell(kind, str_skip(v, 1));
		json_t *minus = json_integer(-json_integer_value(j));
		json_decref(j);
		return minus;
	}
	return out_json_cell(kind, v);
}

static json_t *
json_of(const struct field *f, size_t n, const struct msg_row *row, size_t first)
{
	json_t *o = json_object();
	check(o);
	for (size_t i = 0; i < n; i++)
		json_object_set_new(o, f[i].name, cell(f[i].kind, row_field(row, first + i)));
	return o;
}

json_t *
queue_json(const struct msg_row *row, size_t first, size_t n)
{
	return json_of(fields, n, row, first);
}

json_t *
queue_target_json(const struct msg_row *row, size_t first)
{
	return json_of(target_fields, T_FIELDS, row, first);
}

void
queue_json_line(json_t *o)
{
	json_dumpf(o, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(o);
}

/* --- times and names --- */

uint64_t
queue_now_ms(void)
{
	return (uint64_t)sys_wall_ms();
}

static const struct {
	uint64_t ms;
	char letter;
} units[] = { { 86400000, 'd' }, { 3600000, 'h' }, { 60000, 'm' }, { 1000, 's' } };

void
queue_put_span(struct buf *b, uint64_t ms)
{
	size_t u = 0;
	while (u + 1 < ARRAY_LEN(units) && ms < units[u].ms)
		u++;
	buf_putf(b, "%" PRIu64 "%c", ms / units[u].ms, units[u].letter);
	uint64_t rest = ms % units[u].ms;
	if (u + 1 < ARRAY_LEN(units) && rest >= units[u + 1].ms)
		buf_putf(b, " %" PRIu64 "%c", rest / units[u + 1].ms, units[u + 1].letter);
}

void
queue_put_short(struct buf *b, uint64_t ms)
{
	size_t u = 0;
	while (u + 1 < ARRAY_LEN(units) && ms < units[u].ms)
		u++;
	buf_putf(b, "%" PRIu64 "%c", ms / units[u].ms, units[u].letter);
}

void
queue_put_path(struct buf *b, struct str address)
{
	buf_putc(b, '<');
	utf8_escape(b, address);
	buf_putc(b, '>');
}

void
queue_put_target(struct buf *b, struct str route, struct str target)
{
	utf8_escape(b, route);
	buf_putz(b, route.len ? " via " : "");
	utf8_escape(b, target);
}

void
queue_put_reply(struct buf *b, struct str code, struct str status, struct str text)
{
	size_t at = b->len;
	if (code.len && !str_eq(code, STR("0")))
		buf_puts(b, code);
	/* What a server says often begins with the code that was read from it. */
	if (status.len && !str_starts(text, status))
		buf_putf(b, "%s" STR_FMT, b->len > at ? " " : "", STR_ARG(status));
	while (text.p && text.len) {
		struct str line = str_trim(str_cut(&text, '\n'));
		if (line.len)
			buf_putz(b, b->len > at ? " " : "");
		utf8_escape_again(b, line);
	}
}

const char *
queue_wish_words(const struct msg_row *row, size_t field)
{
	static const struct {
		const char *wish, *words;
	} wishes[] = { { "hold", "held" }, { "bounce", "given back" }, { "delete", "deleted" } };
	for (size_t i = 0; i < ARRAY_LEN(wishes); i++)
		if (str_eq(row_field(row, field), str_of(wishes[i].wish)))
			return wishes[i].words;
	return NULL;
}

/* --- words on the page --- */

size_t
queue_page_width(void)
{
	struct winsize w;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col >= 40)
		return MIN((size_t)w.ws_col, (size_t)120);
	return 80;
}

static void
put_words(size_t indent, struct str text)
{
	size_t width = queue_page_width(), at = indent;
	bool first = true;
	for (struct str word; (word = str_word(&text)).len; first = false) {
		if (!first && at + 1 + word.len > width) {
			printf("\n%*s", (int)indent, "");
			at = indent;
		} else if (!first) {
			putchar(' ');
			at++;
		}
		fwrite(word.p, 1, word.len, stdout);
		at += word.len;
	}
	putchar('\n');
}

void
queue_put(const char *label, struct str text)
{
	printf("%-*s ", LABEL - 1, label);
	put_words(LABEL, text);
}

void
queue_put_lines(size_t indent, struct str text)
{
	printf("%*s", (int)indent, "");
	put_words(indent, text);
}

void
queue_put_buf(const char *label, struct buf *b)
{
	if (b->len)
		queue_put(label, buf_str(b));
	buf_reset(b);
}

void
queue_put_raw(const char *label, struct str text)
{
	struct buf b = BUF_INIT(TEXT_MAX);
	utf8_escape(&b, text);
	queue_put_buf(label, &b);
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
void
queue_put_when(struct buf *b, uint64_t ms, uint64_t now)
{
	put_moment(b, ms);
	buf_putz(b, ms > now ? " (in " : " (");
	queue_put_span(b, ms > now ? ms - now : now - ms);
	buf_putz(b, ms > now ? ")" : " ago)");
}
