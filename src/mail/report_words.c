/* The part for people: what happened, to whom, what the other server said, what to do. */
#include "mail/report_priv.h"

#include "base/check.h"
#include "base/date.h"
#include "base/utf8.h"
#include "mail/header.h"
#include "mail/words.h"

#define COLUMNS 76u
#define REPLY_LINES 20u
#define FIELD_MAX 300u

static unsigned
count_of(const struct report *r, enum report_action action)
{
	unsigned n = 0;
	for (size_t i = 0; i < r->n; i++)
		n += r->rcpt[i].action == action;
	return n;
}

const char *
report_subject(const struct report *r)
{
	if (r->copy)
		return "Nobody could be told";
	if (count_of(r, REPORT_FAILED) > 0)
		return "Not delivered";
	if (count_of(r, REPORT_DELAYED) > 0)
		return "Delayed";
	return count_of(r, REPORT_RELAYED) == r->n && r->n > 0 ? "Passed on" : "Delivered";
}

void
report_field_put(struct buf *out, struct str header, struct str name)
{
	struct header_field f;
	while (header_next(&header, &f)) {
		if (!str_ieq(f.name, name))
			continue;
		struct buf text = BUF_INIT(64u << 10);
		words_decode(NULL, str_first(f.value, 4 * FIELD_MAX), &text);
		struct str s = str_trim(buf_str(&text));
		size_t n = MIN(s.len, FIELD_MAX);
		while (n < s.len && n > 0 && ((unsigned char)s.p[n] & 0xc0) == 0x80)
			n--;
		report_clean(out, str_first(s, n), false);
		buf_done(&text);
		return;
	}
}

/* Words with so many blanks in front of each line. */
static void
put_wrapped(struct buf *out, unsigned indent, struct str text)
{
	size_t at = 0;
	for (struct str word = str_word(&text); word.len > 0; word = str_word(&text)) {
		if (at > 0 && at + 1 + word.len > COLUMNS) {
			buf_putz(out, "\r\n");
			at = 0;
		}
		buf_putf(out, "%*s", at > 0 ? 1 : (int)indent, "");
		/* A line of a letter may not be longer (RFC 5322 2.1.1). */
		word = str_first(word, 900);
		report_clean(out, word, false);
		at += (at > 0 ? 1 : indent) + word.len;
	}
	buf_putz(out, "\r\n");
}

static void PRINTF(3, 4) put_words(struct buf *out, unsigned indent, const char *fmt, ...)
{
	struct buf text = BUF_INIT(8192);
	va_list ap;
	va_start(ap, fmt);
	buf_vputf(&text, fmt, ap);
	va_end(ap);
	put_wrapped(out, indent, buf_str(&text));
	buf_done(&text);
}

/* --- what happened --- */

static void
put_whole(struct buf *out, const struct report *r)
{
	unsigned failed = count_of(r, REPORT_FAILED), delayed = count_of(r, REPORT_DELAYED);
	put_words(out, 0, "This is the mail server " STR_FMT ".", STR_ARG(str_first(r->host, 255)));
	buf_putz(out, "\r\n");
	if (r->copy)
		put_words(out, 0,
		    "A letter from <> (a report, or from a program that wants no answer) could not "
		    "be delivered to the recipient%s named below. It will not be tried again, and "
		    "there is no sender to be told; so you are.",
		    failed > 1 ? "s" : "");
	else if (failed > 0)
		put_words(out, 0,
		    "Your letter could not be delivered to the recipient%s named below. It "
		    "will not be tried again: see what is said about each address, and send the "
		    "letter "
		    "again when the reason is gone.",
		    failed > 1 ? "s" : "");
	else if (delayed > 0)
		put_words(out, 0,
		    "Your letter has not been delivered yet to the recipient%s named below. "
		    "This is only a notice: the server goes on trying, and you need not send the "
		    "letter "
		    "again.",
		    delayed > 1 ? "s" : "");
	else
		put_words(out, 0, "Here is what became of your letter, as you asked to be told.");
}

static void
put_fact(struct buf *out, const char *name, struct str value)
{
	if (value.len == 0)
		return;
	buf_putf(out, "    %-9s", name);
	report_clean(out, str_first(value, FIELD_MAX), false);
	buf_putz(out, "\r\n");
}

static void
put_letter_facts(struct buf *out, const struct report *r)
{
	struct buf b = BUF_INIT(8192);
	buf_putz(out, "\r\n");
	report_field_put(&b, r->letter, STR("Subject"));
	put_fact(out, "Subject:", buf_str(&b));
	buf_reset(&b);
	report_field_put(&b, r->letter, STR("To"));
	put_fact(out, "To:", buf_str(&b));
	buf_reset(&b);
	if (r->arrived > 0)
		date_rfc5322(&b, r->arrived, r->zone);
	put_fact(out, "Sent:", buf_str(&b));
	put_fact(out, "Number:", r->qid);
	buf_done(&b);
}

/* --- each recipient --- */

static struct str
next_reply_line(struct str *text)
{
	struct str line = STR_NULL;
	while (text->p && line.len == 0)
		line = str_trim(str_cut(text, '\n'));
	return line;
}

static void
put_reply(struct buf *out, const struct report_rcpt *q)
{
	struct str text = q->text;
	for (unsigned i = 0; i < REPLY_LINES; i++) {
		struct str line = next_reply_line(&text);
		if (line.len == 0 && (i > 0 || q->code <= 0))
			return;
		if (q->code > 0)
			put_words(out, 8, "%d " STR_FMT " " STR_FMT, q->code % 1000,
			    STR_ARG(report_said(q)), STR_ARG(line));
		else
			put_wrapped(out, 8, line);
	}
}

static void
put_said(struct buf *out, const struct report_rcpt *q, const char *what)
{
	bool reply = q->code > 0, any = reply || str_trim(q->text).len > 0;
	if (reply && q->mta.len > 0)
		put_words(out, 4, "%s The server " STR_FMT " answered:", what,
		    STR_ARG(str_first(q->mta, 255)));
	else
		put_words(out, 4, "%s%s", what,
		    reply ? " The other server answered:"
		    : any ? " The reason:"
			  : "");
	put_reply(out, q);
}

/* What to do, by the status (RFC 3463); the first row that fits. */
static const struct {
	const char *status; /* "x" fits any class; a shorter one fits what begins so */
	const char *advice;
	bool ours; /* only where no other server said so */
} advices[] = {
	{ "5.1.1",
	    "There is no such mailbox. Check how the address is written, and ask the recipient "
	    "in another way if it has changed." },
	{ "x.1.2",
	    "There is no mail server for the domain behind the @. Check how it is written." },
	{ "x.1.3", "The address is not written as an address must be. Check it." },
	{ "x.1.6", "The mailbox has moved. Ask the recipient for the new address." },
	{ "x.1.7",
	    "The address you send from was refused. Check the account of your mail program." },
	{ "x.1.8", "The domain you send from was refused. Tell your administrator." },
	{ "5.1.10", "This domain takes no mail at all. Ask the recipient for another address." },
	{ "x.1.", "The address was refused. Check how it is written." },
	{ "4.2.1", "The mailbox takes no mail at the moment. Send the letter again later." },
	{ "x.2.1", "The mailbox is switched off. Reach the recipient in another way." },
	{ "x.2.2", "The mailbox is full. Tell the recipient in another way, and try later." },
	{ "x.2.3", "The letter is too large for this mailbox. Send a smaller one, or a link." },
	{ "x.3.4", "The letter is too large for this server. Send a smaller one, or a link." },
	{ "x.3.", "The server of the recipient has a trouble of its own. Try later." },
	{ "5.4.4",
	    "No way to the server of the recipient is known. Check how the address is written." },
	{ "x.4.6", "The letter runs in a circle between servers. Tell the administrator of the "
		   "recipient's domain." },
	{ "x.4.7", "The time in which it had to be there is over." },
	{ "4.4.",
	    "The server of the recipient could not be reached. Nothing is wrong with your letter; "
	    "send it again later, or reach the recipient in another way." },
	{ "x.4.", "The server of the recipient could not be reached." },
	{ "x.6.7",
	    "The server of the recipient cannot take addresses with letters like these (it lacks "
	    "SMTPUTF8). Ask the recipient for an address in ASCII." },
	{ "x.6.", "The server of the recipient cannot take a letter of this form." },
	{ "x.7.4", "You asked for a protection that the way to the recipient does not have." },
	{ "x.7.10", "The way to the recipient is not encrypted as it has to be. Tell your "
		    "administrator." },
	{ "5.7.30",
	    "You asked for an encrypted way, and the server of the recipient does not offer "
	    "it." },
	{ "x.7.",
	    "The server of the recipient refuses the letter by its rules: read its words above, "
	    "and ask its administrator if they do not help." },
	{ "5.", "The words above say why; the administrator of this server knows more.", true },
	{ "5.",
	    "The words above say why; the administrator of the recipient's server knows more." },
};

static bool
fits(const char *row, struct str status)
{
	struct str s = str_of(row);
	bool whole = s.p[s.len - 1] != '.';
	if (s.len > status.len || (whole && s.len != status.len))
		return false;
	return (s.p[0] == 'x' || s.p[0] == status.p[0]) &&
	       memcmp(s.p + 1, status.p + 1, s.len - 1) == 0;
}

static void
put_advice(struct buf *out, const struct report_rcpt *q)
{
	for (size_t i = 0; i < ARRAY_LEN(advices); i++)
		if (fits(advices[i].status, q->status) && !(advices[i].ours && q->code > 0)) {
			put_words(out, 4, "%s", advices[i].advice);
			return;
		}
}

static void
put_time_tried(struct buf *out, const struct report *r)
{
	int64_t since = MAX(r->arrived, r->held_until);
	int64_t hours = since > 0 && r->now > since ? (r->now - since) / 3600 : 0;
	if (hours >= 48)
		put_words(out, 4, "This was tried for %lld days.", (long long)hours / 24);
	else if (hours >= 1)
		put_words(out, 4, "This was tried for %lld hour%s.", (long long)hours,
		    hours > 1 ? "s" : "");
}

static void
put_failed(struct buf *out, const struct report *r, const struct report_rcpt *q)
{
	bool tried = q->status.len > 0 && q->status.p[0] == '4';
	put_said(out, q, tried ? "Given up." : "Not delivered.");
	if (tried)
		put_time_tried(out, r);
	if (!r->copy) /* which is for a sender */
		put_advice(out, q);
}

static void
put_delayed(struct buf *out, const struct report *r, const struct report_rcpt *q)
{
	struct buf b = BUF_INIT(100);
	put_said(out, q, "Not yet delivered.");
	if (q->will_retry_until > 0) {
		date_rfc5322(&b, q->will_retry_until, r->zone);
		put_words(out, 4, "It will be tried until " STR_FMT ".", STR_ARG(buf_str(&b)));
	}
	buf_done(&b);
}

static void
put_relayed(struct buf *out, const struct report_rcpt *q)
{
	put_words(out, 4,
	    "Passed on to %s" STR_FMT ", which has taken the letter. You hear nothing more from "
	    "here.",
	    q->mta.len ? "the server " : "another server", STR_ARG(str_first(q->mta, 255)));
}

static void
put_rcpt(struct buf *out, const struct report *r, const struct report_rcpt *q)
{
	buf_putz(out, "\r\n<");
	report_clean(out, str_first(q->final, 900), false);
	buf_putz(out, ">\r\n");
	switch (q->action) {
	case REPORT_FAILED:
		put_failed(out, r, q);
		return;
	case REPORT_DELAYED:
		put_delayed(out, r, q);
		return;
	case REPORT_DELIVERED:
		put_words(out, 4, "Delivered into the mailbox.");
		return;
	case REPORT_RELAYED:
		put_relayed(out, q);
		return;
	case REPORT_EXPANDED:
		put_words(out, 4, "Delivered to a list, which passes it on to its members.");
		return;
	case REPORT_ACTIONS:
		break;
	}
	check(false);
}

void
report_words_put(struct buf *out, const struct report *r)
{
	put_whole(out, r);
	put_letter_facts(out, r);
	for (size_t i = 0; i < r->n; i++)
		put_rcpt(out, r, &r->rcpt[i]);
	if (r->letter.len > 0)
		buf_putf(out, "\r\n%s\r\n",
		    r->full ? "The letter is attached." : "The header of the letter is attached.");
}
