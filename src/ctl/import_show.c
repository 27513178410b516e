/* How far an import is: a line that is written over for people, lines of JSON for programs. */
#include "ctl/import_priv.h"

#include "base/check.h"
#include "base/utf8.h"
#include "sys/clock.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SHOW_MS 200
#define LINE_WIDTH 79

static bool
shows(const struct import *i)
{
	const char *term = getenv("TERM");
	return i->call->json || (isatty(STDERR_FILENO) && term && strcmp(term, "dumb") != 0);
}

static void
put_json(const struct import *i, const char *event)
{
	const struct import_counts *n = &i->n;
	json_t *o = json_object();
	int64_t ms = sys_mono_ms() - i->began_ms;
	json_object_set_new(o, "event", json_string(event));
	json_object_set_new(o, "letters", json_integer((json_int_t)n->letters));
	json_object_set_new(o, "bytes", json_integer((json_int_t)n->octets));
	json_object_set_new(o, "known", json_integer((json_int_t)n->known));
	json_object_set_new(o, "too_large", json_integer((json_int_t)n->too_large));
	json_object_set_new(o, "skipped", json_integer((json_int_t)(n->internal + n->gone)));
	json_object_set_new(o, "read", json_integer((json_int_t)i->seen));
	json_object_set_new(o, "done", json_integer((json_int_t)i->done));
	json_object_set_new(o, "of", json_integer((json_int_t)i->todo));
	json_object_set_new(o, "seconds", json_real((double)ms / 1000));
	json_object_set_new(o, "dry_run", json_boolean(i->call->dry_run));
	if (strcmp(event, "end") == 0)
		json_object_set_new(o, "status", json_integer(i->status));
	json_dumpf(o, stdout, JSON_COMPACT | JSON_REAL_PRECISION(6));
	putchar('\n');
	(void)fflush(stdout);
	json_decref(o);
}

static void
put_left(struct buf *b, uint64_t seconds)
{
	if (seconds >= 3600)
		buf_putf(b, ", %" PRIu64 ":%02" PRIu64 ":%02" PRIu64 " left", seconds / 3600,
		    seconds / 60 % 60, seconds % 60);
	else
		buf_putf(b, ", %" PRIu64 ":%02" PRIu64 " left", seconds / 60, seconds % 60);
}

static void
put_line(struct import *i, int64_t ms)
{
	struct buf b = BUF_INIT(1024);
	buf_putf(&b, "%" PRIu64 " letters, ", i->seen);
	out_size(&b, i->seen_octets);
	if (ms > 0)
		buf_putf(&b, ", %.0f/s", (double)i->seen * 1000 / (double)ms);
	if (i->todo && i->done <= i->todo) {
		buf_putf(&b, ", %.0f %%", (double)i->done * 100 / (double)i->todo);
		if (i->done && ms > 1000)
			put_left(&b, (uint64_t)((double)ms / 1000 * (double)(i->todo - i->done) /
						(double)i->done));
	}
	struct str line = str_first(buf_str(&b), LINE_WIDTH);
	fprintf(stderr, "\r%-*.*s", LINE_WIDTH, (int)line.len, line.p);
	(void)fflush(stderr);
	i->shown = true;
	buf_done(&b);
}

void
import_show(struct import *i, bool now)
{
	int64_t ms = sys_mono_ms();
	if (!shows(i) || (!now && ms - i->shown_ms < (i->call->json ? 1000 : SHOW_MS)))
		return;
	i->shown_ms = ms;
	if (i->call->json)
		put_json(i, "progress");
	else
		put_line(i, ms - i->began_ms);
}

void
import_show_clear(struct import *i)
{
	if (i->shown)
		fprintf(stderr, "\r%*s\r", LINE_WIDTH, "");
	i->shown = false;
}

void
import_note(struct import *i, const char *fmt, ...)
{
	struct buf b = BUF_INIT(16u << 10), safe = BUF_INIT(64u << 10);
	va_list ap;
	va_start(ap, fmt);
	buf_vputf(&b, fmt, ap);
	va_end(ap);
	import_show_clear(i);
	utf8_escape(&safe, buf_str(&b));
	complain(STR_FMT, STR_ARG(buf_str(&safe)));
	buf_done(&b);
	buf_done(&safe);
}

static void
put_count(struct buf *b, uint64_t n, const char *what)
{
	if (n)
		buf_putf(b, "; %" PRIu64 " %s", n, what);
}

void
import_show_end(struct import *i)
{
	const struct import_counts *n = &i->n;
	struct buf b = BUF_INIT(4096);
	if (i->call->json) {
		put_json(i, "end");
		return;
	}
	import_show_clear(i);
	int64_t ms = MAX(sys_mono_ms() - i->began_ms, (int64_t)1);
	buf_putf(&b, "letters %s: %" PRIu64 " (", i->call->dry_run ? "to import" : "imported",
	    n->letters);
	out_size(&b, n->octets);
	buf_putf(&b, ") in %.1f s", (double)ms / 1000);
	put_count(&b, n->known, "were imported before");
	put_count(&b, n->too_large, "skipped: too large (--max-size)");
	put_count(&b, n->internal, "skipped: notes of a mail program, no letters");
	put_count(&b, n->gone, "were moved away meanwhile; run the command again for them");
	complain(STR_FMT, STR_ARG(buf_str(&b)));
	buf_done(&b);
}
