#include "base/check.h"
#include "mail/mime_priv.h"

#include <stdlib.h>

#define FIELD_KEPT 4096 /* octets of memory for a field, from letter to letter */

/* --- body --- */

static void
emit(struct mime_walk *w, const char *p, size_t n)
{
	enum mime_class kind = w->part->kind;
	if (n && w->sink->body && kind != MIME_MULTIPART && kind != MIME_MESSAGE)
		w->sink->body(w->arg, w->part, str_n(p, n));
}

/* What was held back is body after all. */
static void
emit_held(struct mime_walk *w)
{
	emit(w, w->eol, w->eol_len);
	emit(w, w->head, w->head_len);
	w->eol_len = w->head_len = 0;
}

/* The same, of a line that goes on: its last octet may be half a line end. */
static void
emit_start(struct mime_walk *w)
{
	bool cr = w->head_len && w->head[w->head_len - 1] == '\r';
	w->head_len -= cr;
	emit_held(w);
	if (cr)
		w->eol[w->eol_len++] = '\r';
}

/* --- feeding --- */

/* What stands at the start of a line: octets held back, then s. */
static struct str
line_head(struct mime_walk *w, struct str s)
{
	if (w->head_len == 0)
		return str_first(s, HEAD_MAX);
	size_t n = MIN(s.len, HEAD_MAX - (size_t)w->head_len);
	memcpy(w->head + w->head_len, s.p, n);
	return str_n(w->head, w->head_len + n);
}

static size_t
hold_head(struct mime_walk *w, struct str head, struct str s)
{
	if (w->head_len == 0)
		memcpy(w->head, head.p, head.len);
	w->head_len = (uint8_t)head.len;
	return s.len;
}

/* Each of these takes octets off s, which stand at w->at, and returns how many. */

static size_t
header_start(struct mime_walk *w, struct str s)
{
	struct str head = line_head(w, s);
	struct mime_part *p = NULL;
	bool closing = false;
	size_t held = w->head_len;
	enum kind kind = mime_line_kind(w, head, false, &p, &closing);
	if (kind == KIND_MORE)
		return hold_head(w, head, s);
	w->head_len = 0;
	w->line_start = false;
	if (kind == KIND_BOUNDARY) {
		mime_boundary_line(w, p, closing, w->at - held, 0);
		return 0;
	}
	if (kind == KIND_EMPTY) {
		w->part->blank = head.p[0] == '\r' ? 2 : 1;
		size_t n = w->part->blank - held;
		w->lfs++;
		mime_header_end(w, w->at + n, w->lfs, true);
		return n;
	}
	mime_field_line(w, kind == KIND_FOLD);
	mime_field_octets(w, str_first(head, held));
	return 0;
}

static size_t
header_line(struct mime_walk *w, struct str s, const char *chunk)
{
	const char *lf = memchr(s.p, '\n', s.len);
	struct str line = lf ? str_n(s.p, (size_t)(lf - s.p) + 1) : s;
	mime_field_octets(w, line);
	if (lf) {
		bool cr = lf > chunk ? lf[-1] == '\r' : w->last_octet == '\r';
		w->last_eol = cr ? 2 : 1;
		w->lfs++;
		w->line_start = true;
	}
	return line.len;
}

static size_t
body_start(struct mime_walk *w, struct str s)
{
	struct str head = line_head(w, s);
	struct mime_part *p = NULL;
	bool closing = false;
	enum kind kind = KIND_OTHER;
	if (head.p[0] == '-')
		kind = mime_line_kind(w, head, false, &p, &closing);
	if (kind == KIND_MORE)
		return hold_head(w, head, s);
	if (kind == KIND_BOUNDARY) {
		mime_boundary_line(w, p, closing, w->at - w->head_len, w->eol_len);
		return 0;
	}
	emit_start(w);
	w->line_start = false;
	return 0;
}

/* A CR was the last octet. */
static size_t
body_cr(struct mime_walk *w, struct str s)
{
	if (s.p[0] != '\n') {
		emit_held(w);
		return 0;
	}
	w->eol[1] = '\n';
	w->eol_len = 2;
	w->lfs++;
	w->line_start = true;
	return 1;
}

/* From the middle of a line to one that may be a boundary, or the end. */
static size_t
body_lines(struct mime_walk *w, struct str s)
{
	const char *end = s.p + s.len, *lf;
	for (const char *p = s.p; (lf = memchr(p, '\n', (size_t)(end - p))); p = lf + 1) {
		struct mime_part *part;
		bool closing;
		w->lfs++;
		struct str rest = str_n(lf + 1, (size_t)(end - lf) - 1);
		if (rest.len && (rest.p[0] != '-' || mime_line_kind(w, str_first(rest, HEAD_MAX),
							 false, &part, &closing) == KIND_OTHER))
			continue;
		w->eol_len = lf > s.p && lf[-1] == '\r' ? 2 : 1;
		memcpy(w->eol, lf + 1 - w->eol_len, w->eol_len);
		w->line_start = true;
		emit(w, s.p, s.len - rest.len - w->eol_len);
		return s.len - rest.len;
	}
	if (end[-1] == '\r')
		w->eol[w->eol_len++] = '\r';
	emit(w, s.p, s.len - w->eol_len);
	return s.len;
}

#define VEC 16
typedef unsigned char vec __attribute__((vector_size(VEC)));

static uint64_t
count_lfs(struct str s)
{
	uint64_t n = 0;
	size_t i = 0;
	while (i + VEC <= s.len) {
		vec sum = { 0 };
		for (unsigned k = 0; k < 255 && i + VEC <= s.len; k++, i += VEC) {
			vec v;
			memcpy(&v, s.p + i, VEC);
			sum -= (vec)(v == '\n');
		}
		for (unsigned k = 0; k < VEC; k++)
			n += sum[k];
	}
	for (; i < s.len; i++)
		n += s.p[i] == '\n';
	return n;
}

static size_t
body_rest(struct mime_walk *w, struct str s)
{
	w->lfs += count_lfs(s);
	emit(w, s.p, s.len);
	return s.len;
}

static size_t
boundary_rest(struct mime_walk *w, struct str s)
{
	const char *lf = memchr(s.p, '\n', s.len);
	if (!lf)
		return s.len;
	size_t n = (size_t)(lf - s.p) + 1;
	w->lfs++;
	w->line_start = true;
	w->where = IN_BODY;
	if (!w->closing && w->parts < MIME_PARTS_MAX) {
		mime_part_push(w, w->at + n, w->lfs);
		w->where = IN_HEADER;
		w->last_eol = 0;
	}
	return n;
}

static size_t
feed_some(struct mime_walk *w, struct str s, const char *chunk)
{
	if (w->where == IN_BOUNDARY)
		return boundary_rest(w, s);
	if (w->where == IN_HEADER)
		return w->line_start ? header_start(w, s) : header_line(w, s, chunk);
	if (w->n_bounds == 0)
		return body_rest(w, s);
	if (w->line_start)
		return body_start(w, s);
	return w->eol_len ? body_cr(w, s) : body_lines(w, s);
}

void
mime_walk_feed(struct mime_walk *w, struct str octets)
{
	const char *chunk = octets.p;
	while (octets.len) {
		size_t n = feed_some(w, octets, chunk);
		w->at += n;
		octets = str_skip(octets, n);
		if (octets.len == 0)
			w->last_octet = octets.p[-1];
	}
}

/* The octets held back are the start of the last line. */
static void
end_line(struct mime_walk *w)
{
	struct str head = str_n(w->head, w->head_len);
	struct mime_part *p = NULL;
	bool closing = false;
	enum kind kind = mime_line_kind(w, head, true, &p, &closing);
	if (kind == KIND_BOUNDARY) {
		mime_boundary_line(w, p, closing, w->at - head.len, w->eol_len);
	} else if (w->where == IN_HEADER) {
		mime_field_line(w, false);
		mime_field_octets(w, head);
	}
}

void
mime_walk_end(struct mime_walk *w)
{
	if (w->line_start && w->head_len)
		end_line(w);
	if (w->where == IN_HEADER)
		mime_header_end(w, w->at, w->lfs, false);
	if (w->where == IN_BODY)
		emit_held(w);
	while (w->part)
		mime_part_pop(w, w->at, w->lfs);
}

uint64_t
mime_walk_size(const struct mime_walk *w)
{
	return w->at;
}

struct mime_walk *
mime_walk_new(const struct mime_sink *sink, void *arg, size_t field_max)
{
	struct mime_walk *w = xalloc(sizeof(*w));
	w->sink = sink;
	w->arg = arg;
	w->line_start = true;
	buf_init(&w->field, field_max);
	(void)buf_reserve(&w->field, MIN((size_t)1024, field_max));
	mime_part_push(w, 0, 0);
	return w;
}

void
mime_walk_reset(struct mime_walk *w)
{
	struct mime_walk fresh = {
		.sink = w->sink, .arg = w->arg, .line_start = true, .field = w->field
	};
	while (w->part) {
		struct mime_part *p = w->part;
		w->part = p->parent;
		p->parent = w->spare;
		w->spare = p;
	}
	fresh.spare = w->spare;
	buf_reset(&fresh.field);
	if (fresh.field.cap > FIELD_KEPT)
		buf_done(&fresh.field);
	*w = fresh;
	mime_part_push(w, 0, 0);
}

static void
free_parts(struct mime_part *p)
{
	while (p) {
		struct mime_part *next = p->parent;
		free(p);
		p = next;
	}
}

struct mime_walk *
mime_walk_free(struct mime_walk *w)
{
	if (!w)
		return NULL;
	free_parts(w->part);
	free_parts(w->spare);
	buf_done(&w->field);
	free(w);
	return NULL;
}
