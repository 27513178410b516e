#include "mail/fields.h"

#include <string.h>

enum { AT_START, IN_LINE, OVER };
enum { NOTHING, NAME, GAP, FIELD, NO_FIELD }; /* what a line is so far */

void
fields_init(struct fields *f, const char *const *names)
{
	memset(f, 0, offsetof(struct fields, hold)); /* for each letter: hold is large */
	f->names = names;
	f->which = f->after = FIELDS_OTHER;
}

bool
fields_over(const struct fields *f)
{
	return f->state == OVER;
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static int
shape_with(int shape, char c)
{
	unsigned char u = (unsigned char)c;
	if (shape >= FIELD)
		return shape;
	if (c == ':')
		return shape == NOTHING ? NO_FIELD : FIELD;
	if (is_blank(c) && shape != NOTHING)
		return GAP;
	return shape == GAP || u < 0x21 || u > 0x7e ? NO_FIELD : NAME;
}

/* Is the first line of all a field? Behind it nobody asks any more. */
static void
look(struct fields *f, char c)
{
	if (!f->any && c != '\n')
		f->shape = shape_with(f->shape, c);
}

static void
end_line(struct fields *f)
{
	f->any |= f->shape == FIELD;
	f->state = f->any ? AT_START : OVER;
	f->after = f->which;
	f->shape = NOTHING;
}

static void
let_go(struct fields *f, fields_fn *fn, void *arg)
{
	if (f->held)
		fn(arg, f->which, str_n(f->hold, f->held));
	f->held = f->line = 0;
	f->state = IN_LINE;
}

/* The first n octets of the held line, blanks at their end left out. */
static struct str
name_held(const struct fields *f, size_t n)
{
	while (n && is_blank(f->hold[f->line + n - 1]))
		n--;
	return str_n(f->hold + f->line, n);
}

static int
find(const struct fields *f, struct str name)
{
	for (int i = 0; f->names[i]; i++)
		if (str_ieq(str_of(f->names[i]), name))
			return i;
	return FIELDS_OTHER;
}

static bool
is_empty(struct str line)
{
	return str_eq(line, STR("\n")) || str_eq(line, STR("\r\n"));
}

static bool
may_be_one(const struct fields *f)
{
	struct str name = name_held(f, f->held);
	bool whole = name.len < f->held; /* a blank stands behind it */
	if (f->held == 1 && f->hold[0] == '\r')
		return true;
	for (int i = 0; f->names[i] && f->held < FIELDS_HOLD; i++) {
		if ((f->names[i][0] ^ f->hold[0]) & ~0x20)
			continue;
		struct str n = str_of(f->names[i]);
		if (whole ? str_ieq(n, name) : str_istarts(n, name))
			return true;
	}
	return false;
}

static void
begin_line(struct fields *f, char c, fields_fn *fn, void *arg)
{
	bool fold = f->held == 0 && is_blank(c);
	f->hold[f->held++] = c;
	look(f, c);
	if (fold) {
		let_go(f, fn, arg);
		return;
	}
	if (c == '\n') {
		bool empty = is_empty(str_n(f->hold, f->held));
		f->which = FIELDS_OTHER;
		let_go(f, fn, arg);
		end_line(f);
		if (empty)
			f->state = OVER;
	} else if (c == ':') {
		f->which = find(f, name_held(f, f->held - 1));
		let_go(f, fn, arg);
	} else if (!may_be_one(f)) {
		f->unclear |=
		    f->held == FIELDS_HOLD && find(f, name_held(f, f->held)) != FIELDS_OTHER;
		f->which = FIELDS_OTHER;
		let_go(f, fn, arg);
	}
}

/* The held line is a field: those before it were a damaged part of the one before them. */
static void
end_doubt(struct fields *f, fields_fn *fn, void *arg)
{
	int which = find(f, name_held(f, f->held - 1 - f->line));
	if (f->line) {
		fn(arg, f->after, str_n(f->hold, f->line));
		f->damaged |= 1u << f->after;
	}
	f->which = which;
	fn(arg, which, str_n(f->hold + f->line, f->held - f->line));
	f->held = f->line = 0;
	f->state = IN_LINE;
}

/*
 * A line behind one of our fields: what is neither field nor folded waits until a field shows that
 * it was a damaged part of ours, or an empty line that it was body (scan.h, R-MSG-3).
 */
static void
weigh_line(struct fields *f, char c, fields_fn *fn, void *arg)
{
	bool fold = f->held == 0 && is_blank(c);
	f->hold[f->held++] = c;
	if (fold) {
		f->which = f->after;
		let_go(f, fn, arg);
	} else if (c != '\n') {
		f->shape = shape_with(f->shape, c);
		if (f->shape == FIELD && c == ':')
			end_doubt(f, fn, arg);
	} else if (is_empty(str_n(f->hold + f->line, f->held - f->line))) {
		f->which = FIELDS_OTHER;
		let_go(f, fn, arg);
		f->state = OVER;
	} else {
		f->line = f->held;
		f->shape = NOTHING;
	}
}

/* More than can be held back: whoever asks must not rely on what is told of it. */
static void
give_up(struct fields *f, fields_fn *fn, void *arg)
{
	bool between = f->held == f->line;
	f->unclear = true;
	f->which = f->after = FIELDS_OTHER;
	f->shape = NOTHING;
	let_go(f, fn, arg);
	f->state = between ? AT_START : IN_LINE;
}

/* The rest of a line, as far as it has come; octets that were used. */
static size_t
pass(struct fields *f, struct str rest, fields_fn *fn, void *arg)
{
	size_t lf = str_find(rest, '\n');
	struct str run = str_first(rest, lf + 1);
	for (size_t i = 0; !f->any && f->shape < FIELD && i < run.len; i++)
		look(f, run.p[i]);
	fn(arg, f->which, run);
	if (lf < rest.len)
		end_line(f);
	return run.len;
}

void
fields_feed(struct fields *f, struct str chunk, fields_fn *fn, void *arg)
{
	size_t at = 0;
	while (at < chunk.len && f->state != OVER) {
		if (f->state == IN_LINE)
			at += pass(f, str_skip(chunk, at), fn, arg);
		else if (f->after == FIELDS_OTHER)
			begin_line(f, chunk.p[at++], fn, arg);
		else if (f->held < FIELDS_DOUBT)
			weigh_line(f, chunk.p[at++], fn, arg);
		else
			give_up(f, fn, arg);
	}
	if (at < chunk.len)
		fn(arg, FIELDS_OTHER, str_skip(chunk, at));
}

void
fields_end(struct fields *f, fields_fn *fn, void *arg)
{
	f->which = FIELDS_OTHER;
	let_go(f, fn, arg);
	f->state = OVER;
}
