#include "mail/downgrade.h"

#include "base/base64.h"
#include "base/check.h"
#include "mail/header.h"
#include "mail/mime.h"

#include <stdlib.h>
#include <string.h>

#define PARTS_MAX MIME_PARTS_MAX
#define LINE_MAX_OCTETS 998
#define QP_LINE 76
#define B64_OCTETS 57 /* of one line */

const char *const downgrade_text[DOWNGRADE_VERDICTS] = {
	[DOWNGRADE_OK] = "it can be converted",
	[DOWNGRADE_HEADER] = "its header has 8-bit octets or NUL",
	[DOWNGRADE_SIGNED] = "it is signed, and another encoding would break the signature",
	[DOWNGRADE_ENCODED] = "a part of it says that it is encoded, and is not",
	[DOWNGRADE_TOO_MANY] = "it has too many parts",
};

struct part {
	size_t header, body, end;
	size_t parent; /* SIZE_MAX: the letter */
	enum mime_class kind;
	enum mime_encoding encoding;
	bool is_text, mime, version, is_signed; /* version: it has MIME-Version */
	bool bad_header, eight, lines, nul;
	size_t line;
	bool convert;
	bool cut; /* a letter of which only the header stays, as text */
};

struct look {
	struct part *part;
	size_t n;
	bool too_many, report; /* multipart/report */
};

/* --- what there is --- */

static struct part *
part_of(struct look *l, const struct mime_part *p)
{
	return p->index < l->n ? &l->part[p->index] : NULL;
}

static void
on_begin(void *arg, struct mime_part *p)
{
	struct look *l = arg;
	if (p->index >= PARTS_MAX || p->index != l->n) {
		l->too_many = true;
		return;
	}
	if ((l->n & (l->n - 1)) == 0)
		l->part = xrealloc(l->part, MAX(2 * l->n, 1) * sizeof(*l->part));
	l->part[l->n++] = (struct part){ .header = (size_t)p->header_off,
		.parent = p->parent ? p->parent->index : SIZE_MAX,
		.is_text = true };
}

static void
on_field(void *arg, struct mime_part *p, const struct mime_field *f)
{
	struct look *l = arg;
	struct part *q = part_of(l, p);
	if (!q)
		return;
	if (str_ieq(f->name, STR("Content-Transfer-Encoding")))
		q->encoding = mime_encoding_of(str_trim(f->value));
	q->version = q->version || str_ieq(f->name, STR("MIME-Version"));
	if (f->type)
		q->is_text = !f->type->broken && str_ieq(f->type->word, STR("text"));
	if (f->type && str_ieq(f->type->word, STR("multipart"))) {
		q->is_signed = str_ieq(f->type->sub, STR("signed"));
		l->report = l->report || (p->index == 0 && str_ieq(f->type->sub, STR("report")));
	}
}

static void
on_header_end(void *arg, struct mime_part *p)
{
	struct look *l = arg;
	struct part *q = part_of(l, p);
	if (!q)
		return;
	q->kind = p->kind;
	q->mime = p->mime;
	q->body = (size_t)p->body_off;
	if (q->parent != SIZE_MAX && l->part[q->parent].is_signed)
		q->is_signed = true;
}

static void
on_end(void *arg, struct mime_part *p)
{
	struct part *q = part_of(arg, p);
	if (q)
		q->end = (size_t)p->end;
}

static const struct mime_sink sink = {
	.begin = on_begin, .field = on_field, .header_end = on_header_end, .end = on_end
};

/* Its octets are those of its parts. */
static bool
is_box(const struct part *q)
{
	return !q->cut && (q->kind == MIME_MULTIPART || q->kind == MIME_MESSAGE);
}

static void
look_at(struct part *q, struct str letter)
{
	struct str header = str_first(str_skip(letter, q->header), q->body - q->header);
	struct str body = str_first(str_skip(letter, q->body), q->end - q->body);
	for (size_t i = 0; i < header.len; i++)
		q->bad_header =
		    q->bad_header || (unsigned char)header.p[i] >= 0x80 || header.p[i] == '\0';
	if (is_box(q))
		return;
	while (body.len) {
		size_t n = str_find(body, '\n');
		struct str line = str_first(body, n);
		q->lines = q->lines || str_rtrim(line).len > LINE_MAX_OCTETS;
		for (size_t i = 0; i < line.len; i++) {
			q->eight = q->eight || (unsigned char)line.p[i] >= 0x80;
			q->nul = q->nul || line.p[i] == '\0';
		}
		body = str_skip(body, n + 1);
	}
}

/* Preambles and epilogues of multiparts belong to nobody; octets there stay, and count. */
static bool
between_is_clean(const struct look *l, struct str letter, bool eight)
{
	size_t at = 0;
	for (size_t i = 0; eight && i <= l->n; i++) {
		size_t to = i < l->n ? l->part[i].header : letter.len;
		if (to < at)
			continue; /* inside what is cut */
		for (; at < to; at++)
			if ((unsigned char)letter.p[at] >= 0x80 || letter.p[at] == '\0')
				return false;
		if (i < l->n)
			at = MAX(at, is_box(&l->part[i]) ? l->part[i].body : l->part[i].end);
	}
	return true;
}

static enum downgrade
judge(struct look *l, struct str letter, bool eight, bool lines)
{
	size_t cut = 0;
	if (l->too_many || l->n == 0)
		return DOWNGRADE_TOO_MANY;
	for (size_t i = 0; i < l->n; i++) {
		struct part *q = &l->part[i];
		q->convert = false;
		if (q->header < cut)
			continue;
		look_at(q, letter);
		if (q->cut)
			cut = q->end;
		if (eight && q->bad_header)
			return DOWNGRADE_HEADER;
		q->convert = q->cut || (eight && (q->eight || q->nul)) || (lines && q->lines);
		if (q->convert && q->is_signed)
			return DOWNGRADE_SIGNED;
		if (q->convert && q->encoding > MIME_BINARY)
			return DOWNGRADE_ENCODED;
	}
	return between_is_clean(l, letter, eight) ? DOWNGRADE_OK : DOWNGRADE_ENCODED;
}

/* A report that cannot go on tells nobody of the failure; the header of the letter in it is enough
 * (RFC 6522 4). False: there is none to cut. */
static bool
cut_enclosed(struct look *l)
{
	bool any = false;
	for (size_t i = 1; l->report && i < l->n; i++) {
		struct part *q = &l->part[i];
		if (q->parent == 0 && q->kind == MIME_MESSAGE)
			any = q->cut = true;
	}
	return any;
}

/* --- what comes of it --- */

static bool
as_base64(const struct part *q)
{
	return !q->cut && (!q->is_text || q->nul);
}

/* What is kept of a part. */
static struct str
body_of(const struct look *l, size_t i, struct str letter)
{
	const struct part *q = &l->part[i], *in = q + 1;
	size_t end = !q->cut ? q->end : i + 1 < l->n && in->parent == i ? in->body : q->body;
	struct str body = str_first(str_skip(letter, q->body), end - q->body);
	return q->cut ? str_rtrim(body) : body;
}

static void
put_base64(struct buf *out, struct str body, bool ends)
{
	while (body.len) {
		base64_enc(out, str_first(body, B64_OCTETS));
		body = str_skip(body, B64_OCTETS);
		if (body.len || ends)
			buf_putz(out, "\r\n");
	}
}

/* RFC 2045 6.7: a line of text, without its end. */
static void
put_qp_line(struct buf *out, struct str line)
{
	static const char hex[] = "0123456789ABCDEF";
	size_t width = 0;
	for (size_t i = 0; i < line.len; i++) {
		unsigned char c = (unsigned char)line.p[i];
		bool last = i + 1 == line.len;
		bool blank = c == ' ' || c == '\t';
		bool plain = (c > ' ' && c < 0x7f && c != '=') || (blank && !last);
		size_t need = plain ? 1 : 3;
		if (width + need > (last ? QP_LINE : QP_LINE - 1)) {
			buf_putz(out, "=\r\n");
			width = 0;
		}
		if (plain)
			buf_putc(out, (char)c);
		else
			buf_put(out, (char[]){ '=', hex[c >> 4], hex[c & 15] }, 3);
		width += need;
	}
}

static void
put_qp(struct buf *out, struct str body)
{
	while (body.len) {
		size_t n = str_find(body, '\n');
		struct str line = str_first(body, n);
		if (n < body.len && line.len && line.p[line.len - 1] == '\r')
			line.len--;
		put_qp_line(out, line);
		if (n < body.len)
			buf_putz(out, "\r\n");
		body = str_skip(body, n + 1);
	}
}

/* The header with another Content-Transfer-Encoding (NULL: as it was), and the empty line behind
 * it. Without MIME-Version in front, readers take what is encoded for plain text. */
static void
put_header(struct buf *out, struct str header, const struct part *q, const char *encoding)
{
	struct header_field f;
	struct str rest = header;
	bool letter = q->parent == SIZE_MAX;
	while (header_next(&rest, &f)) {
		struct str raw = f.raw;
		if (encoding && str_ieq(f.name, STR("Content-Transfer-Encoding")))
			continue;
		if (q->cut && str_ieq(f.name, STR("Content-Type")))
			continue;
		buf_puts(out, raw);
		if (!str_ends(raw, STR("\n")))
			buf_putz(out, "\r\n");
	}
	if (letter && !q->version)
		buf_putz(out, "MIME-Version: 1.0\r\n");
	if (letter && !q->mime)
		buf_putz(out, "Content-Type: text/plain; charset=unknown-8bit\r\n");
	if (q->cut)
		buf_putz(out, "Content-Type: text/rfc822-headers\r\n");
	if (encoding)
		buf_putf(out, "Content-Transfer-Encoding: %s\r\n", encoding);
	buf_puts(out, rest.len ? rest : STR("\r\n")); /* the empty line */
}

static bool
has_converted(const struct look *l, size_t i)
{
	for (size_t k = i + 1; k < l->n && l->part[k].header < l->part[i].end; k++)
		if (l->part[k].convert)
			return true;
	return false;
}

static void
put_letter(const struct look *l, struct str letter, bool eight, struct buf *out)
{
	size_t at = 0;
	for (size_t i = 0; i < l->n; i++) {
		const struct part *q = &l->part[i];
		/* Where only long lines had to go, other parts may have 8-bit octets still. */
		bool named = q->encoding == MIME_BINARY || (eight && q->encoding == MIME_8BIT);
		bool relabel = is_box(q) && named && has_converted(l, i);
		bool bare = i == 0 && !q->version && has_converted(l, i);
		if (!q->convert && !relabel && !bare)
			continue;
		struct str header = str_first(str_skip(letter, q->header), q->body - q->header);
		struct str body = body_of(l, i, letter);
		const char *encoding = relabel        ? eight ? "7bit" : "8bit"
		                       : !q->convert  ? NULL
		                       : as_base64(q) ? "base64"
		                                      : "quoted-printable";
		buf_puts(out, str_first(str_skip(letter, at), q->header - at));
		put_header(out, header, q, encoding);
		at = q->body;
		if (!q->convert)
			continue;
		if (as_base64(q))
			put_base64(out, body, q->end == letter.len);
		else
			put_qp(out, body);
		at = q->end;
	}
	buf_puts(out, str_skip(letter, at));
}

enum downgrade
downgrade_letter(struct str letter, bool eight, bool lines, struct buf *out)
{
	struct look l = { 0 };
	size_t start = out->len;
	struct mime_walk *w = mime_walk_new(&sink, &l, MIME_FIELD_MAX);
	mime_walk_feed(w, letter);
	mime_walk_end(w);
	mime_walk_free(w);
	enum downgrade v = judge(&l, letter, eight, lines);
	if (v != DOWNGRADE_OK && eight && cut_enclosed(&l))
		v = judge(&l, letter, eight, lines);
	if (v == DOWNGRADE_OK)
		put_letter(&l, letter, eight, out);
	if (out->failed)
		v = DOWNGRADE_TOO_MANY;
	if (v != DOWNGRADE_OK)
		buf_trunc(out, start);
	free(l.part);
	return v;
}
