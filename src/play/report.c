#include "base/utf8.h"
#include "play/case.h"

#include <jansson.h>
#include <string.h>

#define LOG_LINES_SHOWN 60

/* Each line of text behind an indent; at most the last `most` of them. */
static void
print_lines(FILE *out, struct str text, size_t most)
{
	size_t n = 0;

	for (size_t i = 0; i < text.len; i++)
		n += text.p[i] == '\n';
	if (n > most)
		fprintf(out, "         (%zu lines before)\n", n - most);
	while (text.len) {
		struct str line = str_cut(&text, '\n');
		if (n-- <= most && line.len)
			fprintf(out, "         " STR_FMT "\n", STR_ARG(line));
	}
}

static void
print_failure(FILE *out, const struct conv *c, const struct case_result *r)
{
	const struct play_report *p = &r->play;
	struct buf log = BUF_INIT(8u << 20);

	if (p->line)
		fprintf(out, "     %s:%d: " STR_FMT "\n", c->path, p->line,
		    STR_ARG(buf_str(&p->step)));
	else
		fprintf(out, "     %s\n", c->path);
	fprintf(out, "       expected: " STR_FMT "\n", STR_ARG(buf_str(&p->expected)));
	fprintf(out, "       got:      " STR_FMT "\n", STR_ARG(buf_str(&p->got)));
	if (p->transcript.len) {
		fprintf(out, "       the conversation so far:\n");
		print_lines(out, buf_str(&p->transcript), 200);
	}
	if (r->log.len) {
		fprintf(out, "       the server's log:\n");
		for (struct str rest = buf_str(&r->log); rest.len;) {
			utf8_escape(&log, str_cut(&rest, '\n'));
			buf_putc(&log, '\n');
		}
		print_lines(out, buf_str(&log), LOG_LINES_SHOWN);
	}
	buf_done(&log);
}

void
case_print(FILE *out, const struct conv *c, const struct case_result *r)
{
	bool ok = r->play.result == PLAY_PASSED;
	long long tenths = (long long)((r->ms + 50) / 100);

	fprintf(out, "%-4s " STR_FMT "  " STR_FMT " (%lld.%lld s)\n", ok ? "ok" : "FAIL",
	    STR_ARG(c->id), STR_ARG(c->title), tenths / 10, tenths % 10);
	if (!ok)
		print_failure(out, c, r);
	if (r->dir[0])
		fprintf(out, "     kept: %s\n", r->dir);
}

static json_t *
json_of(struct str s)
{
	json_t *j = json_stringn(s.p ? s.p : "", s.len);

	return j ? j : json_string("");
}

static json_t *
json_lines(struct str text)
{
	json_t *list = json_array();
	struct buf line = BUF_INIT(1u << 20);

	while (text.len) {
		buf_reset(&line);
		utf8_escape(&line, str_cut(&text, '\n'));
		json_array_append_new(list, json_of(buf_str(&line)));
	}
	buf_done(&line);
	return list;
}

/* The transcript is escaped already. */
static json_t *
json_transcript(struct str text)
{
	json_t *list = json_array();

	while (text.len)
		json_array_append_new(list, json_of(str_cut(&text, '\n')));
	return list;
}

void
case_print_json(FILE *out, const struct conv *c, const struct case_result *r)
{
	static const char *const results[] = { "pass", "fail", "error" };
	const struct play_report *p = &r->play;
	json_t *o = json_object();

	json_object_set_new(o, "file", json_of(str_of(c->path)));
	json_object_set_new(o, "id", json_of(c->id));
	json_object_set_new(o, "title", json_of(c->title));
	json_object_set_new(o, "result", json_string(results[p->result]));
	json_object_set_new(o, "ms", json_integer(r->ms));
	json_object_set_new(o, "transcript", json_transcript(buf_str(&p->transcript)));
	if (p->result != PLAY_PASSED) {
		json_object_set_new(o, "line", json_integer(p->line));
		json_object_set_new(o, "step", json_of(buf_str(&p->step)));
		json_object_set_new(o, "expected", json_of(buf_str(&p->expected)));
		json_object_set_new(o, "got", json_of(buf_str(&p->got)));
		json_object_set_new(o, "log", json_lines(buf_str(&r->log)));
	}
	if (r->dir[0])
		json_object_set_new(o, "dir", json_of(str_of(r->dir)));
	json_dumpf(o, out, JSON_COMPACT);
	fputc('\n', out);
	json_decref(o);
}
