/* One line for people in the middle of a conversation. */
#include "explain/explain.h"

static struct str
first_sentence(struct str s)
{
	size_t n = str_find_str(s, STR(". "));
	s = str_first(s, n);
	return str_ends(s, STR(".")) ? str_first(s, s.len - 1) : s;
}

static const char *
side_of(const struct explain_hit *hit)
{
	if (hit->proto > EXPLAIN_SIEVE || hit->kind < EXPLAIN_TEMPORARY)
		return "";
	switch (hit->actor) {
	case EXPLAIN_SENDER:
	case EXPLAIN_SENDER_ADMIN:
	case EXPLAIN_CLIENT:
		return ", sender's side";
	case EXPLAIN_NOBODY:
	case EXPLAIN_RECIPIENT:
	case EXPLAIN_RECIPIENT_ADMIN:
	case EXPLAIN_LIST_OWNER:
	case EXPLAIN_PROVIDER:
		return ", server side";
	case EXPLAIN_WHO_COUNT:
		break;
	}
	return "";
}

static const char *
kind_in_words(const struct explain_hit *hit)
{
	if (hit->kind != EXPLAIN_NEUTRAL || hit->proto != EXPLAIN_SMTP)
		return explain_kind_name[hit->kind];
	return hit->enhanced.len ? "of any class" : "without a code";
}

static void
put_advice(const struct explain_hit *hit, struct buf *out)
{
	if (hit->kind == EXPLAIN_TEMPORARY)
		buf_putz(out,
		    hit->proto == EXPLAIN_SMTP ? " Sender should retry." : " Try again later.");
	else if (hit->kind == EXPLAIN_PERMANENT && hit->actor != EXPLAIN_NOBODY)
		buf_putf(out, " To act: " STR_FMT ".", STR_ARG(hit->who));
}

void
explain_short(const struct explain_hit *hit, struct buf *out)
{
	if (hit->code.len)
		buf_putf(out, STR_FMT " ", STR_ARG(hit->code));
	if (hit->enhanced.len)
		buf_putf(out, STR_FMT " ", STR_ARG(hit->enhanced));
	buf_putf(out, "%s%s (" STR_FMT ").", kind_in_words(hit), side_of(hit),
	    STR_ARG(first_sentence(hit->meaning)));
	put_advice(hit, out);
}
