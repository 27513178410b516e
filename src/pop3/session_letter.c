/*
 * RETR and TOP. A letter comes in windows, which are copied, since they are only lent to us. For
 * who fetches one letter after another those behind it come along, as many as one window holds:
 * then most commands need nobody's answer. Commands that wait in the input are counted, and all
 * that they may want is asked for at once: the next window is then asked for with the words that
 * its host expects, who may have it already.
 */
#include "base/num.h"
#include "pop3/session_priv.h"

#define CHUNK (16u << 10) /* octets that are put out before out is looked at */
#define ROW_OVERHEAD 128  /* octets of a row beside the letter's, and more */
#define HEADER_GUESS 4096 /* octets of a header, where only headers are wanted */
#define TOP_BASE 8192     /* octets of a letter to ask for with TOP: header, and lines */
#define TOP_LINE 128
#define TOP_LINES_MAX (1u << 30)
#define TRIES_MAX 8
#define COMMANDS_LOOK 4096 /* octets of input that are looked at for commands */

_Static_assert(2 * CHUNK <= POP3_OUT_OVER, "a chunk grows to twice its size at most");

/* What is known of the window behind it stays. */
static void
window_empty(struct pop3_window *w)
{
	buf_done(&w->octets);
	w->rows = wire_of(STR_NULL);
	w->row = (struct access_letter){ 0 };
	w->used = 0;
}

void
pop3_window_free(struct pop3_window *w)
{
	window_empty(w);
	w->head = (struct access_head){ 0 };
	w->part = ACCESS_PART_COUNT;
}

/* The next row is the row at hand. False: there is none, or it is not one. */
static bool
window_next(struct pop3_window *w)
{
	w->used = 0;
	w->row.uid = 0;
	if (w->rows.left == 0)
		return false;
	if (access_letter_get(&w->rows, &w->row))
		return true;
	w->row.uid = 0;
	w->head.more = false;
	return false;
}

/* The row at hand is the one of uid, from `at` on. Rows in front of it are passed over. */
static bool
window_seek(struct pop3_window *w, uint32_t uid, uint64_t at)
{
	while (w->row.uid == 0 || w->row.uid < uid)
		if (!window_next(w))
			return false;
	return w->row.uid == uid && w->used == 0 && w->row.at == at;
}

static bool
window_take(struct pop3_window *w, struct str octets)
{
	struct str none = STR_NULL;
	w->rows = wire_of(none);
	w->row = (struct access_letter){ 0 };
	w->used = 0;
	buf_reset(&w->octets);
	buf_puts(&w->octets, octets);
	w->rows = wire_of(buf_str(&w->octets));
	return !w->octets.failed && access_head_get(&w->rows, &w->head);
}

/* --- asking --- */

/* How many letters from p->at on are wanted: those that fit into one window, and those that as many
 * commands as wait name when each names the next; one at least, none that is deleted. */
static uint32_t
letters_ahead(const struct pop3_private *p, struct str in)
{
	uint64_t room = ACCESS_WINDOW;
	size_t commands = 1;
	uint32_t i = p->at;
	in = str_first(in, COMMANDS_LOOK);
	for (size_t at; (at = str_find(in, '\n')) < in.len; commands++)
		in = str_skip(in, at + 1);
	for (; i < p->n && !p->letters[i].deleted; i++) {
		uint64_t octets = MIN(p->letters[i].size, p->want);
		if (p->top && p->lines == 0)
			octets = MIN(octets, HEADER_GUESS);
		bool fits = octets <= room && room - octets >= ROW_OVERHEAD;
		room = fits ? room - octets - ROW_OVERHEAD : 0;
		if (!fits && i - p->at >= commands)
			break;
	}
	return MAX(i - p->at, 1);
}

/* As many letters as the range says; from: a later window. */
static void
ask(struct pop3_turn *t, const struct access_from *from)
{
	struct pop3_session *s = t->s;
	struct pop3_private *p = s->priv;
	struct pop3_window *w = &p->window;
	s->read = (struct access_ask){ .kind = ACCESS_LETTERS,
		.mailbox = p->mailbox,
		.what = ACCESS_META | ACCESS_OCTETS,
		.part = w->part,
		.len = w->len,
		.uids = str_n(p->range, sizeof(p->range)) };
	if (from)
		s->read.from = (struct access_from){ .uid = from->uid, .n = from->n };
	pop3_ask(t, POP3_ASK_READ);
}

static void
range_set(struct pop3_private *p, uint32_t n)
{
	be32_put(p->range, p->letters[p->at].uid);
	be32_put(p->range + 4, p->letters[p->at + n - 1].uid);
}

static uint8_t
part_wanted(const struct pop3_private *p)
{
	return p->top && p->lines == 0 ? ACCESS_PART_HEADER : ACCESS_PART_ALL;
}

static bool
is_as_wanted(const struct pop3_private *p)
{
	return p->window.part == part_wanted(p) && p->window.len == p->want;
}

/* Does the window hold all that is wanted of the letter? */
static bool
in_window(struct pop3_private *p)
{
	struct pop3_window *w = &p->window;
	bool whole = w->part == ACCESS_PART_ALL && w->len == UINT64_MAX;
	return (whole || is_as_wanted(p)) && window_seek(w, p->letters[p->at].uid, 0) &&
	       w->row.octets.len == w->row.part_len;
}

/* Does the next window of what was asked for begin with it? */
static bool
in_next_window(const struct pop3_private *p)
{
	const struct access_head *h = &p->window.head;
	uint32_t uid = p->letters[p->at].uid;
	return is_as_wanted(p) && h->more && h->next.uid == uid && h->next.n == 0 &&
	       uid <= be32_get(p->range + 4);
}

static void
fetch(struct pop3_turn *t, uint32_t at)
{
	struct pop3_private *p = t->s->priv;
	struct pop3_window *w = &p->window;
	bool ahead = t->in->len || (at > 0 && at == p->next);
	p->run = RUN_LETTER;
	p->at = at;
	p->next = at + 1;
	p->begun = false;
	p->sent = 0;
	p->tries = 0;
	stuff_init(&p->stuff);
	if (in_window(p))
		return;
	if (in_next_window(p)) {
		ask(t, &w->head.next);
		return;
	}
	pop3_window_free(w);
	w->part = part_wanted(p);
	w->len = p->want;
	range_set(p, ahead ? letters_ahead(p, *t->in) : 1);
	ask(t, NULL);
}

void
pop3_retr(struct pop3_turn *t, struct str args)
{
	struct pop3_private *p = t->s->priv;
	uint32_t at;
	if (!pop3_number_arg(t, &args, &at))
		return;
	if (str_word(&args).len) {
		pop3_bad(t, "RETR has one message number");
		return;
	}
	p->top = false;
	p->want = UINT64_MAX;
	fetch(t, at);
}

void
pop3_top(struct pop3_turn *t, struct str args)
{
	struct pop3_private *p = t->s->priv;
	uint64_t lines;
	uint32_t at;
	struct str rest = args;
	(void)str_word(&rest);
	if (!num_u64(str_trim(rest), UINT64_MAX, &lines)) {
		pop3_bad(t, "TOP has a message number and a number of lines");
		return;
	}
	if (!pop3_number_arg(t, &args, &at))
		return;
	p->top = true;
	p->lines = lines;
	p->want = UINT64_MAX;
	if (lines > 0 && lines < TOP_LINES_MAX)
		p->want = TOP_BASE + lines * TOP_LINE;
	fetch(t, at);
}

/* --- putting it out --- */

/* Nothing more of this letter can be had. */
static void
letter_fail(struct pop3_turn *t, const char *code, const char *why)
{
	struct pop3_private *p = t->s->priv;
	bool begun = p->begun;
	p->run = RUN_NONE;
	pop3_window_free(&p->window);
	if (begun)
		pop3_close(t); /* rather than let half a letter pass for a whole one */
	else
		pop3_err(t, code, "message %u %s", p->at + 1, why);
}

static void
letter_begin(struct pop3_turn *t)
{
	struct pop3_private *p = t->s->priv;
	char size[24];
	struct smtp_vars v = { 0 };
	v.v[SMTP_VAR_size] = pop3_number(size, p->letters[p->at].size);
	pop3_ok(t, p->top ? "TOP" : "RETR", &v);
	p->begun = true;
}

static void
letter_end(struct pop3_turn *t)
{
	struct pop3_private *p = t->s->priv;
	stuff_end(&p->stuff, t->out);
	p->run = RUN_NONE;
	/* A row of which not all was wanted is passed over by the next seek. */
	p->window.used = MAX(p->window.used, 1);
	if (p->window.rows.left == 0)
		window_empty(&p->window);
}

/* How much of s TOP still wants; counts its lines. */
static size_t
top_part(struct pop3_private *p, struct str s)
{
	uint64_t header = p->window.row.header_len;
	size_t at = 0;
	if (p->sent < header)
		at = (size_t)MIN(header - p->sent, (uint64_t)s.len);
	while (at < s.len && p->lines > 0) {
		const char *lf = memchr(s.p + at, '\n', s.len - at);
		at = lf ? (size_t)(lf - s.p) + 1 : s.len;
		p->lines -= lf != NULL;
	}
	return at;
}

/* Is there enough of the letter in what was sent? */
static bool
letter_enough(const struct pop3_private *p)
{
	const struct access_letter *row = &p->window.row;
	return p->top && p->lines == 0 && p->sent >= row->header_len;
}

/* A piece of the row at hand. */
static void
letter_piece(struct pop3_turn *t)
{
	struct pop3_private *p = t->s->priv;
	struct pop3_window *w = &p->window;
	struct str piece = str_first(str_skip(w->row.octets, w->used), CHUNK);
	if (p->top)
		piece = str_first(piece, top_part(p, piece));
	stuff_feed(&p->stuff, piece, t->out);
	p->sent += piece.len;
	w->used += piece.len;
}

/* The row at hand is used up, or not the one: what next? */
static void
letter_go_on(struct pop3_turn *t)
{
	struct pop3_private *p = t->s->priv;
	struct pop3_window *w = &p->window;
	bool here = w->row.uid == p->letters[p->at].uid;
	bool whole = here && p->sent >= w->row.part_len;
	if (whole && (w->row.part_len < w->len || p->sent >= p->letters[p->at].size)) {
		letter_end(t);
	} else if (whole) {
		/* TOP has guessed too low. */
		struct access_from from = { .uid = w->row.uid, .n = p->sent };
		p->want = p->want > UINT64_MAX / 4 ? UINT64_MAX : p->want * 4;
		range_set(p, 1);
		w->len = p->want;
		ask(t, &from);
	} else if (here && w->rows.left == 0 && w->head.more) {
		ask(t, &w->head.next);
	} else {
		letter_fail(t, "SYS/TEMP", "cannot be read");
	}
}

void
pop3_letter_run(struct pop3_turn *t)
{
	struct pop3_private *p = t->s->priv;
	struct pop3_window *w = &p->window;
	while (p->run == RUN_LETTER && t->s->ask == POP3_ASK_NONE && t->out->len <= POP3_OUT_HIGH &&
	       !t->out->failed) {
		bool here = w->row.uid == p->letters[p->at].uid;
		if (here && w->row.damaged)
			letter_fail(t, "SYS/PERM", "cannot be read");
		else if (here && !p->begun)
			letter_begin(t);
		else if (here && letter_enough(p))
			letter_end(t);
		else if (here && w->used < w->row.octets.len)
			letter_piece(t);
		else
			letter_go_on(t);
	}
}

void
pop3_letter_answer(struct pop3_turn *t, const struct pop3_answer *a)
{
	struct pop3_private *p = t->s->priv;
	struct pop3_window *w = &p->window;
	uint32_t uid = p->letters[p->at].uid;
	bool lasting = a->status == ACCESS_NOT_FOUND || a->status == ACCESS_DENIED;
	if (a->status != ACCESS_OK || !window_take(w, a->octets)) {
		letter_fail(t, lasting ? "SYS/PERM" : "SYS/TEMP", "cannot be read");
		return;
	}
	bool seen = window_seek(w, uid, p->sent);
	/* Its octets were being moved, say: then it is still to come. */
	bool comes = w->row.uid == 0 && w->head.more && w->head.next.uid <= uid;
	if (!seen && comes && p->tries++ < TRIES_MAX)
		ask(t, &w->head.next);
	else if (!seen && comes)
		letter_fail(t, "SYS/TEMP", "cannot be read");
	else if (!seen)
		letter_fail(t, NULL, "is not there any more");
	else if (w->row.octets.len == 0 && w->row.part_len > p->sent && !w->row.damaged)
		letter_fail(t, "SYS/TEMP", "cannot be read"); /* it would go on so for ever */
}
