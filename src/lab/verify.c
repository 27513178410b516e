#include "lab/verify.h"

#include "base/check.h"
#include "base/num.h"
#include "base/utf8.h"
#include "mail/header.h"
#include "lab/ask.h"
#include "play/match.h"

#include <string.h>

#define LETTER_MAX (256u << 20)
#define VALUE_MAX (4u << 20)

struct look {
	const struct verify *v;
	const struct conv_step *s;
	struct play_report *r;
};

/* Asks about the address of the step; a failed question is the failure of the step. */
static bool
ask_mailbox(const struct look *l, const char *op, bool inbox,
    void (*row)(void *, const struct msg_row *), void *arg)
{
	struct str args[] = { l->s->addr, STR("INBOX") };
	struct ask a = { .dir = l->v->dir,
		.op = op,
		.args = args,
		.n_args = inbox ? 2 : 1,
		.row = row,
		.arg = arg,
		.timeout_ms = l->v->timeout_ms };
	struct buf why = BUF_INIT(8192);

	bool ok = ask_server(&a, &why);
	if (!ok)
		play_report_fail(l->r, PLAY_FAILED, l->s->text, "%s", buf_cstr(&why) ? why.p : "");
	buf_done(&why);
	return ok;
}

/* --- how many letters ------------------------------------------------------ */

static void
count_row(void *arg, const struct msg_row *row)
{
	uint64_t *sum = arg, n;

	if (row->n >= 2 && num_u64(row->field[1], UINT32_MAX, &n))
		*sum += n;
}

static bool
verify_count(const struct look *l)
{
	uint64_t n = 0;

	if (!ask_mailbox(l, "mailbox.list", false, count_row, &n))
		return false;
	bool ok = l->s->verify == CONV_MAILBOX ? n == l->s->number : n <= l->s->number;
	return ok || play_report_fail(l->r, PLAY_FAILED, l->s->text, "%llu letters",
			 (unsigned long long)n);
}

/* --- the last letter --------------------------------------------------------- */

struct last_letter {
	struct buf octets;
	size_t n;
};

static void
letter_row(void *arg, const struct msg_row *row)
{
	struct last_letter *last = arg;

	if (row->n >= 1 && str_eq(row->field[0], STR("L"))) {
		buf_reset(&last->octets);
		last->n++;
	} else if (row->n >= 2 && str_eq(row->field[0], STR("D"))) {
		buf_puts(&last->octets, row->field[1]);
	}
}

static bool
verify_field(const struct look *l, struct str letter)
{
	struct buf value = BUF_INIT(VALUE_MAX);
	struct header_field f;
	size_t named = 0;
	bool hit = false;

	while (!hit && header_next(&letter, &f)) {
		if (!str_ieq(f.name, l->s->name))
			continue;
		named++;
		buf_reset(&value);
		header_unfold(&value, f.value);
		hit = l->s->verify == CONV_HEADER &&
		      match_whole(l->s->ere, str_trim(buf_str(&value)), NULL) == MATCH_YES;
	}
	struct buf shown = BUF_INIT(VALUE_MAX * 4);
	utf8_escape(&shown, str_first(str_trim(buf_str(&value)), 300));
	bool ok = l->s->verify == CONV_HEADER ? hit : named == 0;
	if (!ok && named == 0)
		play_report_fail(l->r, PLAY_FAILED, l->s->text, "no such field in the last letter");
	else if (!ok)
		play_report_fail(l->r, PLAY_FAILED, l->s->text, "%s",
		    buf_cstr(&shown) ? shown.p : "");
	buf_done(&shown);
	buf_done(&value);
	return ok;
}

static bool
verify_body(const struct look *l, struct str letter)
{
	struct header_field f;
	size_t lines = 0;
	bool hit = false;

	while (header_next(&letter, &f))
		;
	if (str_starts(letter, STR("\r\n")))
		letter = str_skip(letter, 2);
	while (!hit && letter.len) {
		struct str line = str_cut(&letter, '\n');
		if (str_ends(line, STR("\r")))
			line.len--;
		lines++;
		hit = match_part(l->s->ere, line) == MATCH_YES;
	}
	if (hit == (l->s->verify == CONV_BODY))
		return true;
	return play_report_fail(l->r, PLAY_FAILED, l->s->text, "%s line in a body of %zu",
	    hit ? "such a" : "no such", lines);
}

static bool
verify_letter(const struct look *l)
{
	struct last_letter last = { .octets = BUF_INIT(LETTER_MAX) };
	bool field = l->s->verify == CONV_HEADER || l->s->verify == CONV_NOHEADER;

	bool ok = ask_mailbox(l, "mailbox.export", true, letter_row, &last);
	if (ok && last.n == 0)
		ok = play_report_fail(l->r, PLAY_FAILED, l->s->text, "an empty mailbox");
	else if (ok && last.octets.failed)
		ok = play_report_fail(l->r, PLAY_FAILED, l->s->text, "a letter over 256 MiB");
	else if (ok)
		ok = field ? verify_field(l, buf_str(&last.octets))
		           : verify_body(l, buf_str(&last.octets));
	buf_done(&last.octets);
	return ok;
}

/* --- letters for elsewhere ------------------------------------------------------ */

struct sought {
	struct str addr;
	size_t n; /* found */
};

static void
any_row(void *arg, const struct msg_row *row)
{
	struct sought *s = arg;
	s->n++;
}

/* A row of `trace`: did that letter leave, or was it to leave, for this address? Recipients
 * elsewhere have no account and no mailbox. */
static void
onward_row(void *arg, const struct msg_row *row)
{
	enum { RCPTS = 6 };
	struct sought *s = arg;
	struct str rest = row->n > RCPTS ? row->field[RCPTS] : STR_NULL;
	while (rest.p && rest.len) {
		struct str line = str_cut(&rest, '\n');
		if (str_starts(line, STR("0 0 ")) && str_ieq(str_skip(line, 4), s->addr)) {
			s->n++;
			return;
		}
	}
}

/* Rows of an answer about letters for the address of the step; -1: a failure that is reported. */
static long
letters_for(const struct look *l, const char *op, void (*row)(void *arg, const struct msg_row *row))
{
	struct buf to = BUF_INIT(2048), why = BUF_INIT(8192);
	struct sought s = { .addr = l->s->addr };
	buf_putf(&to, "to=" STR_FMT, STR_ARG(l->s->addr));
	struct str args[] = { buf_str(&to) };
	struct ask a = { .dir = l->v->dir,
		.op = op,
		.args = args,
		.n_args = 1,
		.row = row,
		.arg = &s,
		.timeout_ms = l->v->timeout_ms };
	bool ok = ask_server(&a, &why);
	if (!ok)
		play_report_fail(l->r, PLAY_FAILED, l->s->text, "%s", buf_cstr(&why) ? why.p : "");
	buf_done(&to);
	buf_done(&why);
	return ok ? (long)s.n : -1;
}

/* It waits, or it was here and is on its way or delivered already, which the traces tell. */
static bool
verify_queued(const struct look *l)
{
	long n = letters_for(l, "queue.list", any_row);
	if (n == 0)
		n = letters_for(l, "trace", onward_row);
	return n > 0 || (n == 0 && play_report_fail(l->r, PLAY_FAILED, l->s->text,
				       "no letter for it is in the queue or in a trace"));
}

/* What `who` ("c: ", "s: ") said in a line of the transcript, where with more than one
 * connection the name of the connection stands in front; STR_NULL when it was not them. */
static struct str
said(struct str line, struct str who)
{
	size_t blank = str_find(line, ' ');

	if (blank < line.len && str_find(str_first(line, blank), ':') == blank)
		line = str_skip(line, blank + 1);
	return str_starts(line, who) ? str_skip(line, who.len) : STR_NULL;
}

static bool
names_recipient(struct str said, struct str addr)
{
	if (!str_istarts(said, STR("rcpt ")))
		return false;
	for (; said.len >= addr.len && said.len; said = str_skip(said, 1))
		if (str_ieq(str_first(said, addr.len), addr))
			return true;
	return false;
}

/* Letters for elsewhere are only ever taken in by a 2xx to RCPT. */
static bool
verify_notqueued(const struct look *l)
{
	struct str rest = buf_str(&l->r->transcript);
	bool asked = false;

	while (rest.p) {
		struct str line = str_cut(&rest, '\n');
		struct str reply = said(line, STR("s: "));
		if (names_recipient(said(line, STR("c: ")), l->s->addr))
			asked = true;
		else if (asked && str_starts(reply, STR("2")))
			return play_report_fail(l->r, PLAY_FAILED, l->s->text,
			    "it was accepted: " STR_FMT, STR_ARG(str_first(reply, 300)));
		else if (reply.p)
			asked = false;
	}
	long n = letters_for(l, "queue.list", any_row);
	return n == 0 || (n > 0 && play_report_fail(l->r, PLAY_FAILED, l->s->text,
				       "%ld such letters are in the queue", n));
}

static bool (*const verifies[])(const struct look *l) = {
	[CONV_MAILBOX] = verify_count,
	[CONV_MAXCOUNT] = verify_count,
	[CONV_HEADER] = verify_letter,
	[CONV_NOHEADER] = verify_letter,
	[CONV_BODY] = verify_letter,
	[CONV_NOBODY] = verify_letter,
	[CONV_QUEUED] = verify_queued,
	[CONV_NOTQUEUED] = verify_notqueued,
};

bool
verify_step(void *arg, const struct conv_step *s, struct play_report *r)
{
	struct look l = { .v = arg, .s = s, .r = r };

	return verifies[s->verify](&l);
}
