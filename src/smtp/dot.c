#include "smtp/dot.h"

void
dot_init(struct dot *d, bool lf, bool space_end)
{
	*d = (struct dot){ .state = DOT_BOL, .lf = lf, .space_end = space_end };
}

/* Is octet k of the input the first of a line? What came before the input is in the state. */
static bool
at_bol(const struct dot *d, const char *p, size_t k)
{
	if (k >= 2)
		return p[k - 1] == '\n' && p[k - 2] == '\r';
	if (k == 1)
		return p[0] == '\n' && d->state == DOT_LINE_CR;
	return d->state == DOT_BOL;
}

static enum dot_state
state_behind(const struct dot *d, const char *p, size_t n)
{
	if (at_bol(d, p, n))
		return DOT_BOL;
	return p[n - 1] == '\r' ? DOT_LINE_CR : DOT_LINE;
}

static struct str
take(struct str *in, size_t n)
{
	struct str head = str_first(*in, n);
	*in = str_skip(*in, n);
	return head;
}

/* Everything up to a dot that begins a line. Dots are rarer than line ends: search for them. */
static struct str
run_crlf(struct dot *d, struct str *in)
{
	size_t k = str_find(*in, '.');
	while (k < in->len && !at_bol(d, in->p, k))
		k = k + 1 + str_find(str_skip(*in, k + 1), '.');
	if (k == in->len) {
		d->state = state_behind(d, in->p, k);
		return take(in, k);
	}
	struct str run = take(in, k);
	take(in, 1);
	d->state = DOT_DOT;
	return run;
}

/* A line or a part of one; its LF comes out as CRLF. */
static struct str
run_lf(struct dot *d, struct str *in)
{
	if (d->state == DOT_BOL && in->p[0] == '.') {
		take(in, 1);
		d->state = DOT_DOT;
		return STR_NULL;
	}
	size_t k = str_find(*in, '\n');
	if (k == in->len) {
		d->state = in->p[k - 1] == '\r' ? DOT_LINE_CR : DOT_LINE;
		return take(in, k);
	}
	if (k > 0 ? in->p[k - 1] == '\r' : d->state == DOT_LINE_CR) {
		d->state = DOT_BOL;
		return take(in, k + 1);
	}
	if (k > 0) {
		d->state = DOT_LINE;
		return take(in, k);
	}
	take(in, 1);
	d->state = DOT_BOL;
	return STR("\r\n");
}

/* Behind a dot that began a line: one octet decides more. True: the end mark is complete, or
 * *ret_chunk holds what was held back for nothing (the dot itself is never part of it). */
static bool
held(struct dot *d, struct str *in, struct str *ret_chunk, bool *ret_end)
{
	static const struct {
		enum dot_state on_cr, on_blank; /* 0: not a part of an end mark here */
		bool lf_ends;                   /* in every session, being behind CR */
		enum dot_state back;
		struct str text;
	} row[DOT_STATE_COUNT] = {
		[DOT_DOT] = { DOT_DOT_CR, DOT_DOT_SP, false, DOT_LINE, { "", 0 } },
		[DOT_DOT_CR] = { 0, 0, true, DOT_LINE_CR, { "\r", 1 } },
		[DOT_DOT_SP] = { DOT_DOT_SP_CR, 0, false, DOT_LINE, { " ", 1 } },
		[DOT_DOT_SP_CR] = { 0, 0, true, DOT_LINE_CR, { " \r", 2 } },
	};
	enum dot_state at = d->state, next = 0;
	char c = in->p[0];
	*ret_end = c == '\n' && (d->lf || row[at].lf_ends);
	if (c == '\r')
		next = row[at].on_cr;
	else if (c == ' ' && d->space_end)
		next = row[at].on_blank;
	if (*ret_end || next)
		take(in, 1);
	else
		*ret_chunk = row[at].text;
	d->state = *ret_end ? DOT_BOL : next ? next : row[at].back;
	return *ret_end || !next;
}

enum dot_step
dot_feed(struct dot *d, struct str *in, struct str *ret_chunk)
{
	while (in->len) {
		struct str chunk = STR_NULL;
		bool end = false;
		if (d->state >= DOT_DOT) {
			if (held(d, in, &chunk, &end) && end)
				return DOT_END;
		} else {
			chunk = d->lf ? run_lf(d, in) : run_crlf(d, in);
		}
		if (chunk.len) {
			*ret_chunk = chunk;
			return DOT_CHUNK;
		}
	}
	return DOT_MORE;
}
