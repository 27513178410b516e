#include "mail/fields.h"

enum { AT_START, IN_LINE, OVER };
enum { NOTHING, NAME, GAP, FIELD, NO_FIELD }; /* what the first line is so far */

void
fields_init(struct fields *f, const char *const *names)
{
	*f = (struct fields){ .names = names, .which = FIELDS_OTHER };
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

/* Is the first line of all a field? Behind it nobody asks any more. */
static void
look(struct fields *f, char c)
{
	unsigned char u = (unsigned char)c;
	if (f->any || f->shape >= FIELD || c == '\n')
		return;
	if (c == ':')
		f->shape = f->shape == NOTHING ? NO_FIELD : FIELD;
	else if (is_blank(c) && f->shape != NOTHING)
		f->shape = GAP;
	else
		f->shape = f->shape == GAP || u < 0x21 || u > 0x7e ? NO_FIELD : NAME;
}

static void
end_line(struct fields *f)
{
	f->any |= f->shape == FIELD;
	f->state = f->any ? AT_START : OVER;
}

static void
let_go(struct fields *f, fields_fn *fn, void *arg)
{
	if (f->held)
		fn(arg, f->which, str_n(f->hold, f->held));
	f->held = 0;
	f->state = IN_LINE;
}

/* Octets of the held line that are its name, blanks behind it left out. */
static struct str
name_held(const struct fields *f, size_t n)
{
	while (n && is_blank(f->hold[n - 1]))
		n--;
	return str_n(f->hold, n);
}

static int
find(const struct fields *f)
{
	struct str name = name_held(f, f->held - 1);
	for (int i = 0; f->names[i]; i++)
		if (str_ieq(str_of(f->names[i]), name))
			return i;
	return FIELDS_OTHER;
}

static bool
may_be_one(const struct fields *f)
{
	struct str name = name_held(f, f->held);
	bool whole = name.len < f->held; /* a blank stands behind it */
	if (f->held == 1 && f->hold[0] == '\r')
		return true;
	for (int i = 0; f->names[i] && f->held < FIELDS_HOLD; i++) {
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
		bool empty = f->held == 1 || (f->held == 2 && f->hold[0] == '\r');
		f->which = FIELDS_OTHER;
		let_go(f, fn, arg);
		end_line(f);
		if (empty)
			f->state = OVER;
	} else if (c == ':') {
		f->which = find(f);
		let_go(f, fn, arg);
	} else if (!may_be_one(f)) {
		f->which = FIELDS_OTHER;
		let_go(f, fn, arg);
	}
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
		else
			begin_line(f, chunk.p[at++], fn, arg);
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
