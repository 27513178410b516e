#include "talk/reading.h"

#include "base/arena.h"
#include "base/check.h"
#include "cli/cli.h"
#include "mail/charset.h"
#include "mail/mime.h"
#include "mail/words.h"

#include <stdlib.h>
#include <string.h>

#define FIELD_MAX (64u << 10)
#define HEAD_MAX (64u << 10)

static const char *const shown_fields[] = { "Date", "From", "Sender", "Reply-To", "To", "Cc",
	"Subject", "Message-ID", NULL };

struct leaf {
	uint32_t index;
	struct buf type, charset, name;
	enum mime_encoding encoding;
	bool attached;
};

struct reading {
	struct charsets *cs;
	struct mime_walk *walk;
	struct buf head, parts, text, html; /* text: UTF-8 */
	unsigned n_parts;
	bool has_text, has_html;
	/* The part at hand. */
	struct leaf leaf;
	struct buf *to; /* &text, &html, or NULL: not read */
	struct mime_decoder decoder;
	struct charset *charset;
	struct buf octets;
};

/* --- fields --- */

static void
shown_field(struct reading *r, const struct mime_field *f)
{
	for (const char *const *name = shown_fields; *name; name++) {
		if (!str_ieq(f->name, str_of(*name)))
			continue;
		buf_putf(&r->head, "%s: ", *name);
		words_decode(r->cs, f->value, &r->head);
		buf_putc(&r->head, '\n');
	}
}

static void
set(struct buf *b, struct str s)
{
	buf_reset(b);
	buf_puts(b, str_first(s, 200));
}

static void
content_field(struct reading *r, const struct mime_field *f)
{
	struct arena a;
	struct mime_value v;
	arena_init(&a, FIELD_MAX);
	if (str_ieq(f->name, STR("Content-Type")) && mime_type_parse(f->value, &a, &v)) {
		set(&r->leaf.type, v.word);
		buf_putc(&r->leaf.type, '/');
		buf_puts(&r->leaf.type, str_first(v.sub, 200));
		set(&r->leaf.charset, mime_param(&v, "charset"));
		if (r->leaf.name.len == 0)
			set(&r->leaf.name, mime_param(&v, "name"));
	} else if (str_ieq(f->name, STR("Content-Disposition")) &&
		   mime_token_parse(f->value, &a, &v)) {
		r->leaf.attached = str_ieq(v.word, STR("attachment"));
		if (mime_param(&v, "filename").len)
			set(&r->leaf.name, mime_param(&v, "filename"));
	} else if (str_ieq(f->name, STR("Content-Transfer-Encoding"))) {
		r->leaf.encoding = mime_encoding_of(str_trim(f->value));
	}
	arena_done(&a);
}

/* --- the walk --- */

static void
begin(void *arg, struct mime_part *p)
{
	struct reading *r = arg;
	r->leaf.index = p->index;
	r->leaf.encoding = MIME_7BIT;
	r->leaf.attached = false;
	buf_reset(&r->leaf.type);
	buf_reset(&r->leaf.charset);
	buf_reset(&r->leaf.name);
}

static void
field(void *arg, struct mime_part *p, const struct mime_field *f)
{
	struct reading *r = arg;
	if (p->index == 0)
		shown_field(r, f);
	content_field(r, f);
}

static void
header_end(void *arg, struct mime_part *p)
{
	struct reading *r = arg;
	bool leaf = p->kind == MIME_LEAF || p->kind == MIME_TEXT;
	bool html = str_ieq(buf_str(&r->leaf.type), STR("text/html"));
	bool text = p->kind == MIME_TEXT || r->leaf.type.len == 0;
	r->to = NULL;
	if (!leaf || !text || r->leaf.attached)
		return;
	if (html && !r->has_html)
		r->to = &r->html;
	else if (!html && !r->has_text)
		r->to = &r->text;
	if (!r->to)
		return;
	r->has_html = r->has_html || html;
	r->has_text = r->has_text || !html;
	mime_decode_init(&r->decoder, r->leaf.encoding);
	r->charset = charset_new(r->cs, buf_str(&r->leaf.charset));
	if (!r->charset) /* not known: as UTF-8 where it is */
		r->charset = charset_new(r->cs, STR("utf-8"));
}

static void
take(struct reading *r)
{
	if (r->charset)
		charset_feed(r->charset, buf_str(&r->octets), r->to);
	buf_reset(&r->octets);
}

static void
body(void *arg, struct mime_part *p, struct str octets)
{
	struct reading *r = arg;
	if (!r->to || r->leaf.index != p->index)
		return;
	while (octets.len && !r->to->failed) {
		mime_decode(&r->decoder, str_first(octets, 4096), &r->octets);
		octets = str_skip(octets, 4096);
		take(r);
	}
}

static void
end(void *arg, struct mime_part *p)
{
	struct reading *r = arg;
	bool leaf = p->kind == MIME_LEAF || p->kind == MIME_TEXT;
	if (r->leaf.index != p->index || !leaf)
		return;
	if (r->to) {
		mime_decode_end(&r->decoder, &r->octets);
		take(r);
		if (r->charset)
			charset_end(r->charset, r->to);
		r->charset = charset_free(r->charset);
	}
	r->to = NULL;
	if (p->parent && r->n_parts++ < READING_PARTS_MAX) {
		bool typed = r->leaf.type.len > 0;
		buf_putf(&r->parts, "[%u] " STR_FMT, r->n_parts,
		    STR_ARG(typed ? buf_str(&r->leaf.type) : STR("text/plain")));
		buf_putc(&r->parts, ' ');
		out_size(&r->parts, p->end > p->body_off ? p->end - p->body_off : 0);
		if (r->leaf.name.len) {
			buf_putc(&r->parts, ' ');
			words_decode(r->cs, buf_str(&r->leaf.name), &r->parts);
		}
		buf_putc(&r->parts, '\n');
	}
}

static const struct mime_sink sink = {
	.begin = begin, .field = field, .header_end = header_end, .body = body, .end = end
};

struct reading *
reading_new(void)
{
	struct reading *r = xalloc(sizeof(*r));
	r->cs = charsets_open();
	r->walk = mime_walk_new(&sink, r, FIELD_MAX);
	buf_init(&r->head, HEAD_MAX);
	buf_init(&r->parts, HEAD_MAX);
	buf_init(&r->text, READING_TEXT_MAX);
	buf_init(&r->html, READING_TEXT_MAX);
	buf_init(&r->octets, 64u << 10);
	buf_init(&r->leaf.type, 1024);
	buf_init(&r->leaf.charset, 1024);
	buf_init(&r->leaf.name, 1024);
	return r;
}

struct reading *
reading_free(struct reading *r)
{
	if (!r)
		return NULL;
	charset_free(r->charset);
	mime_walk_free(r->walk);
	charsets_close(r->cs);
	struct buf *all[] = { &r->head, &r->parts, &r->text, &r->html, &r->octets, &r->leaf.type,
		&r->leaf.charset, &r->leaf.name };
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		buf_done(all[i]);
	free(r);
	return NULL;
}

void
reading_feed(struct reading *r, struct str octets)
{
	mime_walk_feed(r->walk, octets);
}

/* What is between tags; entities stay as they are. */
static void
put_html(struct buf *out, struct str s)
{
	bool blank = true;
	while (s.len) {
		size_t n = str_find(s, '<');
		for (size_t i = 0; i < n; i++) {
			bool white =
			    s.p[i] == ' ' || s.p[i] == '\t' || s.p[i] == '\r' || s.p[i] == '\n';
			if (!white || !blank)
				buf_putc(out, s.p[i] == '\n' ? '\n' : white ? ' ' : s.p[i]);
			blank = white;
		}
		s = str_skip(s, n);
		bool hidden = str_istarts(s, STR("<style")) || str_istarts(s, STR("<script"));
		bool line = str_istarts(s, STR("<br")) || str_istarts(s, STR("<p")) ||
		            str_istarts(s, STR("</p")) || str_istarts(s, STR("</div"));
		s = str_skip(s, str_find(s, '>') + 1);
		if (hidden)
			s = str_skip(s, str_find_str(s, STR("</")));
		if (line && !blank)
			buf_putc(out, '\n');
		blank = blank || line;
	}
}

static void
put_lines(struct buf *out, struct str s)
{
	while (s.p && s.len) {
		struct str line = str_cut(&s, '\n');
		if (line.len && line.p[line.len - 1] == '\r')
			line.len--;
		buf_puts(out, line);
		buf_putc(out, '\n');
	}
}

void
reading_end(struct reading *r, bool cut, struct buf *out)
{
	mime_walk_end(r->walk);
	buf_puts(out, buf_str(&r->head));
	buf_puts(out, buf_str(&r->parts));
	if (r->n_parts > READING_PARTS_MAX)
		buf_putf(out, "and %u parts more\n", r->n_parts - READING_PARTS_MAX);
	buf_putc(out, '\n');
	if (r->has_text) {
		put_lines(out, buf_str(&r->text));
	} else if (r->has_html) {
		struct buf plain = BUF_INIT(READING_TEXT_MAX);
		buf_putz(out, "(HTML, without its tags)\n");
		put_html(&plain, buf_str(&r->html));
		put_lines(out, buf_str(&plain));
		buf_done(&plain);
	} else {
		buf_putz(out, "(no text)\n");
	}
	if (cut || r->text.failed || r->html.failed)
		buf_putz(out, "(cut here: the letter is longer)\n");
}
