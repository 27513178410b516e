#include "oneshot/say.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void
say_table_init(struct say_table *t, size_t columns)
{
	check(columns > 0 && columns <= SAY_COLUMNS_MAX);
	*t = (struct say_table){ .columns = columns };
}

void
say_cell(struct say_table *t, const char *fmt, ...)
{
	struct buf b = BUF_INIT(SAY_CELL_MAX);
	va_list ap;
	va_start(ap, fmt);
	buf_vputf(&b, fmt, ap);
	va_end(ap);
	t->cell = xrealloc(t->cell, (t->n + 1) * sizeof(*t->cell));
	t->cell[t->n++] = str_dup(buf_str(&b));
	buf_done(&b);
}

/* Characters, not octets: what continues one has no width. */
static size_t
width(const char *s)
{
	size_t n = 0;
	for (; *s; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

/* Nothing but empty cells behind this one? */
static bool
is_last(const struct say_table *t, size_t i)
{
	for (i++; i < t->n && i % t->columns != 0; i++)
		if (*t->cell[i])
			return false;
	return true;
}

void
say_table_print(struct say_table *t, FILE *to)
{
	size_t wide[SAY_COLUMNS_MAX] = { 0 };
	for (size_t i = 0; i < t->n; i++)
		if (width(t->cell[i]) <= SAY_WIDE_MAX)
			wide[i % t->columns] = MAX(wide[i % t->columns], width(t->cell[i]));
	for (size_t i = 0; to && i < t->n; i++) {
		size_t column = i % t->columns;
		fputs(t->cell[i], to);
		if (column + 1 == t->columns)
			fputc('\n', to);
		else if (!is_last(t, i))
			fprintf(to, "%*s",
			    (int)(MAX(wide[column], width(t->cell[i])) - width(t->cell[i]) + 2),
			    "");
	}
	for (size_t i = 0; i < t->n; i++)
		free(t->cell[i]);
	free(t->cell);
	*t = (struct say_table){ .columns = t->columns };
}

void
say_json(json_t *root)
{
	check(root);
	/* A terminal might obey what other people's names hold. */
	size_t flags = isatty(STDOUT_FILENO) ? JSON_ENSURE_ASCII : 0;
	json_dumpf(root, stdout, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(6) | flags);
	putchar('\n');
	(void)fflush(stdout);
	json_decref(root);
}

const char *
say_color(const struct client_options *o, enum say_mood mood)
{
	static const char *const sgr[] = { [SAY_PLAIN] = "",
		[SAY_GOOD] = "\x1b[32m",
		[SAY_BAD] = "\x1b[31m",
		[SAY_UNSURE] = "\x1b[33m",
		[SAY_GREY] = "\x1b[90m" };
	return o->show.color ? sgr[mood] : "";
}

const char *
say_plain(const struct client_options *o)
{
	return o->show.color ? "\x1b[0m" : "";
}

static void
say_lines(const struct client_options *o, enum say_mood mood, struct str lines)
{
	while (lines.len) {
		struct buf b = BUF_INIT(SAY_CELL_MAX);
		show_escape(&b, str_cut(&lines, '\n'));
		printf("%s#  " STR_FMT "%s\n", say_color(o, mood), STR_ARG(buf_str(&b)),
		    say_plain(o));
		buf_done(&b);
	}
}

void
say_note(const struct client_options *o, struct str lines)
{
	say_lines(o, SAY_GREY, lines);
}

void
say_warn(const struct client_options *o, struct str lines)
{
	say_lines(o, SAY_UNSURE, lines);
}

json_t *
say_policy(const struct sts_found *f)
{
	json_t *mx = json_array();

	for (size_t i = 0; i < f->policy.n; i++)
		json_array_append_new(mx, out_json_text(f->policy.mx[i]));
	return json_pack("{sssssssIso}", "domain", f->domain, "id", f->id, "mode",
	    sts_mode_name[f->policy.mode], "max_age", (json_int_t)f->policy.max_age, "mx", mx);
}

void
say_error(struct str lines)
{
	while (lines.len) {
		struct buf b = BUF_INIT(4 * SAY_CELL_MAX);
		show_escape(&b, str_first(str_cut(&lines, '\n'), SAY_CELL_MAX));
		complain_lines(buf_str(&b));
		buf_done(&b);
	}
}

void
say_setup(struct client_options *o)
{
	size_t n = 0;
	o->show.out = stderr;
	for (size_t i = 0; i < o->events.n; i++)
		if (o->show.verbose ||
		    (o->events.sinks[i].fn != show_event && o->events.sinks[i].arg != o))
			o->events.sinks[n++] = o->events.sinks[i];
	o->events.n = n;
}
