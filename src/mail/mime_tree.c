#include "base/arena.h"
#include "base/check.h"
#include "mail/mime_priv.h"

/* --- parts --- */

struct mime_part *
mime_part_push(struct mime_walk *w, uint64_t off, uint64_t line)
{
	struct mime_part *p = w->spare, *parent = w->part;
	if (p)
		w->spare = p->parent;
	else
		p = xalloc(sizeof(*p));
	*p = (struct mime_part){
		.parent = parent, .index = w->parts++, .header_off = off, .header_line = line
	};
	if (parent) {
		p->number = ++parent->children;
		p->depth = parent->depth + 1;
	}
	p->envelope = !parent || parent->kind == MIME_MESSAGE;
	p->mime = parent && parent->kind == MIME_MULTIPART;
	w->part = p;
	if (w->parts >= MIME_PARTS_MAX) /* the last one: all that follows belongs to it */
		w->n_bounds = 0;
	if (w->sink->begin)
		w->sink->begin(w->arg, p);
	return p;
}

static void
note_bounds(struct mime_walk *w)
{
	memset(w->first, 0, sizeof(w->first));
	for (uint32_t i = 0; i < w->n_bounds; i++) {
		const struct mime_part *p = w->bounds[i];
		unsigned char c = (unsigned char)p->boundary[0];
		if (p->boundary_len)
			w->first[c >> 6] |= UINT64_C(1) << (c & 63);
		else
			memset(w->first, 0xff, sizeof(w->first));
	}
}

void
mime_part_pop(struct mime_walk *w, uint64_t end, uint64_t line)
{
	struct mime_part *p = w->part;
	p->end = end;
	p->end_line = line;
	if (w->sink->end)
		w->sink->end(w->arg, p);
	if (w->n_bounds && w->bounds[w->n_bounds - 1] == p)
		w->n_bounds--;
	w->part = p->parent;
	p->parent = w->spare;
	w->spare = p;
}

/* --- boundary lines --- */

/* The innermost open boundary that the line begins with, the longest if there are several; one
 * that is the whole line beats it. long_line: its end is not in view. */
static struct mime_part *
boundary_of(const struct mime_walk *w, struct str text, bool long_line)
{
	unsigned char c = text.len ? (unsigned char)text.p[0] : 0;
	bool dashes = !long_line && text.len >= 2 && text.p[text.len - 1] == '-' &&
	              text.p[text.len - 2] == '-';
	struct mime_part *best = NULL;
	if (!(w->first[c >> 6] >> (c & 63) & 1))
		return NULL;
	for (uint32_t i = w->n_bounds; i-- > 0;) {
		struct mime_part *p = w->bounds[i];
		size_t n = p->boundary_len;
		if (n > text.len || (best && best->boundary_len >= n) ||
		    memcmp(p->boundary, text.p, n) != 0)
			continue;
		best = p;
		if (!long_line && (n == text.len || (dashes && n == text.len - 2)))
			break;
	}
	return best;
}

/* What the line is that begins with head; KIND_MORE: more octets are needed, which `last` denies.
 */
enum kind
mime_line_kind(const struct mime_walk *w, struct str head, bool last, struct mime_part **ret,
    bool *ret_closing)
{
	char c = head.p[0];
	if (c == '\n')
		return KIND_EMPTY;
	if (c == ' ' || c == '\t')
		return KIND_FOLD;
	if (c == '\r' && head.len > 1)
		return head.p[1] == '\n' ? KIND_EMPTY : KIND_OTHER;
	if (c == '\r')
		return last ? KIND_OTHER : KIND_MORE;
	if (c != '-' || w->n_bounds == 0 || (head.len > 1 && head.p[1] != '-'))
		return KIND_OTHER;
	size_t lf = str_find(head, '\n');
	if (lf == head.len && head.len < HEAD_MAX && !last)
		return KIND_MORE;
	if (head.len < 2)
		return KIND_OTHER;
	struct str text = str_first(head, lf);
	if (lf < head.len && text.p[text.len - 1] == '\r')
		text.len--;
	text = str_skip(text, 2);
	struct mime_part *p = boundary_of(w, text, lf == head.len);
	if (!p)
		return KIND_OTHER;
	text = str_skip(text, p->boundary_len);
	*ret_closing = str_starts(text, STR("--"));
	*ret = p;
	return KIND_BOUNDARY;
}

/* --- header --- */

static void
take_type(struct mime_part *p, const struct mime_value *v)
{
	p->typed = true;
	p->broken = v->broken;
	if (str_ieq(v->word, STR("message")) &&
	    (str_ieq(v->sub, STR("rfc822")) || str_ieq(v->sub, STR("global")))) {
		p->kind = MIME_MESSAGE;
	} else if (str_ieq(v->word, STR("text"))) {
		p->kind = MIME_TEXT;
	} else if (str_ieq(v->word, STR("multipart"))) {
		struct str b = mime_param(v, "boundary");
		p->kind = MIME_MULTIPART;
		p->digest = str_ieq(v->sub, STR("digest"));
		p->bounded = b.p != NULL;
		p->boundary_len = (uint8_t)MIN(b.len, MIME_BOUNDARY_MAX);
		if (p->boundary_len)
			memcpy(p->boundary, b.p, p->boundary_len);
	}
}

static void
tell_field(struct mime_walk *w, const struct mime_field *f)
{
	if (w->sink->field)
		w->sink->field(w->arg, w->part, f);
}

static void
tell_type(struct mime_walk *w, struct mime_field *f)
{
	struct arena arena;
	struct mime_value v;
	arena_init(&arena, f->value.len * 4 + (64u << 10));
	(void)mime_type_parse(f->value, &arena, &v);
	take_type(w->part, &v);
	f->type = &v;
	tell_field(w, f);
	arena_done(&arena);
}

static void
field_end(struct mime_walk *w)
{
	struct str raw = buf_str(&w->field);
	struct mime_part *p = w->part;
	if (!w->field_open)
		return;
	w->field_open = false;
	if (str_ends(raw, STR("\n")))
		raw.len--;
	if (str_ends(raw, STR("\r")))
		raw.len--;
	size_t lf = str_find(raw, '\n'), colon = str_find(str_first(raw, lf), ':');
	bool has_colon = colon < lf;
	struct mime_field f = { .cut = w->cut };
	f.value = has_colon ? str_skip(raw, colon + 1) : STR_NULL;
	f.name = str_first(raw, has_colon ? colon : lf);
	while (f.name.len && (f.name.p[f.name.len - 1] == ' ' || f.name.p[f.name.len - 1] == '\t'))
		f.name.len--;
	if (f.value.len && (f.value.p[0] == ' ' || f.value.p[0] == '\t'))
		f.value = str_skip(f.value, 1);
	bool long_enough = f.name.len == sizeof("Content-Type") - 1; /* and of Mime-Version */
	if (long_enough && str_ieq(f.name, STR("Mime-Version")))
		p->mime = true;
	bool type = long_enough && str_ieq(f.name, STR("Content-Type"));
	p->mime |= type;
	if (type && !p->typed)
		tell_type(w, &f);
	else
		tell_field(w, &f);
	buf_reset(&w->field);
}

void
mime_header_end(struct mime_walk *w, uint64_t off, uint64_t line, bool whole)
{
	struct mime_part *p = w->part;
	field_end(w);
	if (!p->mime || !p->typed) {
		bool letter = p->parent && p->parent->digest;
		p->kind = letter ? MIME_MESSAGE : MIME_TEXT;
		p->bounded = p->broken = false;
	}
	bool deep = p->depth + 1 >= MIME_DEPTH_MAX || w->parts >= MIME_PARTS_MAX;
	if (deep && (p->kind == MIME_MULTIPART || p->kind == MIME_MESSAGE)) {
		p->kind = MIME_LEAF;
		p->opaque = true;
		p->bounded = false;
	}
	p->body_off = off;
	p->body_line = line;
	if (w->sink->header_end)
		w->sink->header_end(w->arg, p);
	if (p->kind == MIME_MULTIPART && p->bounded && whole) {
		w->bounds[w->n_bounds++] = p;
		note_bounds(w);
	}
	w->where = IN_BODY;
	w->line_start = true;
	w->last_eol = 0;
	if (p->kind != MIME_MESSAGE)
		return;
	mime_part_push(w, off, line);
	w->where = IN_HEADER;
	if (!whole)
		mime_header_end(w, off, line, false);
}

void
mime_field_octets(struct mime_walk *w, struct str s)
{
	size_t room = w->field.max - w->field.len;
	w->cut |= s.len > room;
	buf_puts(&w->field, str_first(s, room));
}

void
mime_field_line(struct mime_walk *w, bool fold)
{
	if (fold && w->field_open)
		return;
	field_end(w);
	w->field_open = true;
	w->cut = false;
}

/* --- boundaries --- */

/*
 * A boundary ends a part inside its header, or right behind the empty line: the line end in front
 * of it is the boundary's (RFC 2046 5.1.1), so the header is that much shorter, and there is no
 * body. Returns the part that is cut, or NULL; ret_eol: the octets cut off.
 */
static struct mime_part *
cut_header(struct mime_walk *w, uint64_t off, size_t *ret_eol)
{
	struct mime_part *p = w->part, *up = p->parent;
	bool first = p->header_off == off;
	if (w->where == IN_HEADER && !(first && up && up->kind == MIME_MESSAGE && up->blank)) {
		*ret_eol = w->last_eol;
		mime_header_end(w, off - w->last_eol, w->lfs - (w->last_eol > 0), false);
		return p;
	}
	if (w->where == IN_HEADER) { /* nothing of a letter in a part, whose header ended */
		mime_header_end(w, off, w->lfs, false);
		p->header_off = p->body_off = off - up->blank;
		p->body_line--;
		p = up;
	} else if (p->body_off != off || !p->blank) {
		return NULL;
	}
	*ret_eol = p->blank;
	p->body_off = off - p->blank;
	p->body_line--;
	return p;
}

/* The line that begins at off, behind a line end of eol octets, is a boundary of p. What is around
 * a part that was cut keeps the line end. */
void
mime_boundary_line(struct mime_walk *w, struct mime_part *p, bool closing, uint64_t off, size_t eol)
{
	struct mime_part *cut = p == w->part ? NULL : cut_header(w, off, &eol);
	while (w->part != p) {
		bool last = w->part == cut;
		mime_part_pop(w, off - eol, w->lfs - (eol > 0));
		if (last)
			eol = 0;
	}
	if (w->parts >= MIME_PARTS_MAX)
		w->n_bounds = 0;
	else if (closing)
		w->n_bounds--;
	note_bounds(w);
	w->where = IN_BOUNDARY;
	w->closing = closing;
	w->eol_len = w->head_len = 0;
	w->line_start = false;
}
