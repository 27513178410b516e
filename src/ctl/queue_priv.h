/* queue_priv: what the files of `pennypost queue` share: the fields of a row, and how they look. */
#pragma once

#include "ctl/ctl_priv.h"

/* Fields of queue.list in their order (ipc/ops.h); those of queue.show stand behind its kind. */
enum queue_field {
	Q_ID,
	Q_QID,
	Q_STATE,
	Q_CREATED,
	Q_NEXT,
	Q_LAST,
	Q_SIZE,
	Q_ATTEMPTS,
	Q_PRIORITY,
	Q_FROM,
	Q_DOMAIN,
	Q_RCPTS,
	Q_TROUBLE,
	Q_MTA,
	Q_CODE,
	Q_STATUS,
	Q_TEXT,
	Q_TARGET,
	Q_WISH,
	Q_ACCOUNT,
	Q_PEER,
	Q_SESSION,
	Q_MESSAGE_ID,
	Q_SENDER,
	Q_ENVID,
	Q_RET,
	Q_FLAGS,
	Q_HOLD_UNTIL,
	Q_BY,
	Q_EXPIRES,
	Q_WARNED,
	Q_STAGE,
	Q_WHERE,
	Q_REASON,
	Q_HELD_BY,
	Q_FIELDS
};
#define Q_LISTED (Q_WISH + 1)

/* Fields of queue.targets. */
enum queue_target_field {
	T_TARGET,
	T_STATE,
	T_WAITING,
	T_ACTIVE,
	T_HELD,
	T_CONNECTIONS,
	T_WINDOW,
	T_RETRY,
	T_TROUBLE,
	T_TEXT,
	T_SENT,
	T_LATER,
	T_REFUSED,
	T_OLDEST,
	T_ROUTE,
	T_FIELDS
};

/* queue_args.c: the options as arguments of a question. Owns what it made. */
struct queue_args {
	struct str v[ASK_ARGS_MAX];
	size_t n;
	char *made[ASK_ARGS_MAX];
};
enum { QUEUE_ANY, QUEUE_CHOSEN /* says which, or --all */ };
/* Exit status; not EXIT_DONE: a message was printed. */
int queue_args_get(struct queue_args *a, const struct ctl_call *call, int choice);
void queue_args_ids(struct queue_args *a, const struct ctl_call *call); /* only the ids */
void queue_args_done(struct queue_args *a);

/* queue_ids.c: is each id that was written in the queue? Exit status; not EXIT_DONE: it was said
 * which is not. */
int queue_ids_known(struct ctl_call *call);

/* A row that outlives its frame. */
struct queue_kept {
	struct msg_row row;
	char *text[ROW_FIELDS_MAX];
};
/* An entry, its recipients, and of `why` its destination. Rows as queue.show has them. */
struct queue_shown {
	struct queue_kept e, target;
	struct queue_kept *rcpt;
	size_t n;
};
#define QUEUE_FIELD(row, i) row_field(row, 1 + (i))
#define QUEUE_NUMBER(row, i) row_number(row, 1 + (i))

/* queue_show.c */
int queue_show(struct ctl_call *call);
int queue_why(struct ctl_call *call);
void queue_put_letter(const struct msg_row *e, uint64_t now);
void queue_put_rcpts(const struct queue_shown *e, size_t most);

/* queue_why.c */
void queue_why_put(const struct queue_shown *e, uint64_t now);
void queue_why_json(json_t *o, const struct msg_row *e);

/* queue_top.c */
int queue_top(struct ctl_call *call);

/* queue_out.c */
json_t *queue_json(const struct msg_row *row, size_t first, size_t n); /* fields by their names */
json_t *queue_target_json(const struct msg_row *row, size_t first);
void queue_json_line(json_t *o); /* prints and releases */
void queue_put_span(struct buf *b, uint64_t ms);  /* "2h 5m" */
void queue_put_short(struct buf *b, uint64_t ms); /* "2h", at most four characters below 1000 days */
uint64_t queue_now_ms(void);
/* "<alice@example.com>"; "<>" */
void queue_put_path(struct buf *b, struct str address);
/* "mx:example.net"; "*.lan via smtp:hub.lan:25" */
void queue_put_target(struct buf *b, struct str route, struct str target);
/* The reply as a server said it: "550 5.1.1 no such user"; escaped. */
void queue_put_reply(struct buf *b, struct str code, struct str status, struct str text);
/* What happens to it when its attempt is over: "deleted"; NULL: nothing. */
const char *queue_wish_words(const struct msg_row *row, size_t field);
/* Columns of the terminal, 80 where there is none. */
size_t queue_page_width(void);
/* A label, and text in lines behind it. The text is safe already; _raw makes it so. _buf empties b.
 */
void queue_put(const char *label, struct str text);
void queue_put_lines(size_t indent, struct str text); /* without one, behind blanks */
void queue_put_buf(const char *label, struct buf *b);
void queue_put_raw(const char *label, struct str text);
/* "2026-11-22T17:00:00Z (35m ago)", "(in 2h 5m)" */
void queue_put_when(struct buf *b, uint64_t ms, uint64_t now);
