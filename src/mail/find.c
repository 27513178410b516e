#include "mail/find.h"

#include "base/arena.h"
#include "base/check.h"
#include "mail/mime.h"
#include "mail/words.h"

#include <stdlib.h>

#define SLICE 16384            /* octets decoded at a time */
#define VALUE_MAX (256u << 10) /* of a field, decoded */

struct ask {
	struct find_ask ask;
	bool found;
	struct searcher searcher; /* of the body at hand */
};

struct find {
	const struct charsets *cs;
	struct mime_walk *walk;
	bool header_over; /* the letter's own */
	bool bodies;      /* somebody asks for them */
	size_t open;      /* asks not found yet */
	/* the part at hand */
	const struct mime_part *part;
	enum mime_encoding encoding;
	char charset[CHARSET_NAME_MAX + 1];
	bool message; /* message/delivery-status and its kin: fields that people read */
	struct mime_decoder decoder;
	struct charset *conv;
	struct buf octets, utf8, value;
	size_t n;
	struct ask asks[];
};

static void
found(struct find *f, struct ask *a)
{
	if (!a->found)
		f->open--;
	a->found = true;
}

/* --- headers --- */

static void
look_at_field(struct find *f, bool own, const struct mime_field *field)
{
	struct str text = buf_str(&f->value);
	struct str value = str_skip(text, field->name.len + 2);
	for (size_t i = 0; i < f->n; i++) {
		struct ask *a = &f->asks[i];
		bool named = own && str_ieq(a->ask.field, field->name);
		/* BODY matches no header fields (RFC 9051 6.4.4), those of parts neither. */
		if (a->found || a->ask.where == FIND_BODY)
			continue;
		if (a->ask.where == FIND_TEXT ? needle_in(a->ask.needle, text)
					      : named && needle_in(a->ask.needle, value))
			found(f, a);
	}
}

static bool
is_wanted(const struct find *f, bool own, struct str name)
{
	if (f->bodies)
		return true;
	for (size_t i = 0; i < f->n && own; i++)
		if (!f->asks[i].found && str_ieq(f->asks[i].ask.field, name))
			return true;
	return false;
}

static void
take_charset(struct find *f, struct str value)
{
	struct arena a;
	struct mime_value v;
	arena_init(&a, value.len * 4 + (64u << 10));
	(void)mime_type_parse(value, &a, &v);
	f->message = str_ieq(v.word, STR("message"));
	if (!str_copy(f->charset, sizeof(f->charset), mime_param(&v, "charset")))
		f->charset[0] = '\0';
	arena_done(&a);
}

static void
take_encoding(struct find *f, struct str value)
{
	struct arena a;
	struct mime_value v;
	arena_init(&a, value.len * 4 + (64u << 10));
	if (mime_token_parse(value, &a, &v) && !v.broken)
		f->encoding = mime_encoding_of(v.word);
	arena_done(&a);
}

static void
on_begin(void *arg, struct mime_part *p)
{
	struct find *f = arg;
	f->encoding = MIME_7BIT;
	f->charset[0] = '\0';
	f->message = false;
}

static void
on_field(void *arg, struct mime_part *p, const struct mime_field *field)
{
	struct find *f = arg;
	bool own = !p->parent;
	if (str_ieq(field->name, STR("Content-Type")))
		take_charset(f, field->value);
	else if (str_ieq(field->name, STR("Content-Transfer-Encoding")))
		take_encoding(f, field->value);
	if (f->open == 0 || !is_wanted(f, own, field->name))
		return;
	buf_reset(&f->value);
	buf_puts(&f->value, field->name);
	buf_puts(&f->value, STR(": "));
	words_decode(f->cs, str_ltrim(field->value), &f->value);
	look_at_field(f, own, field);
}

/* --- bodies --- */

static void
on_header_end(void *arg, struct mime_part *p)
{
	struct find *f = arg;
	if (!p->parent)
		f->header_over = true;
	f->part = NULL;
	bool text = p->kind == MIME_TEXT || p->broken || (p->kind == MIME_LEAF && f->message);
	if (!text || !f->bodies)
		return;
	if (!p->mime) {
		f->encoding = MIME_7BIT;
		f->charset[0] = '\0';
	}
	f->part = p;
	mime_decode_init(&f->decoder, f->encoding);
	f->conv = charset_new(f->cs, str_of(f->charset));
	if (!f->conv) /* an unknown one: what is ASCII in it can be found */
		f->conv = charset_new(NULL, STR("utf-8"));
	for (size_t i = 0; i < f->n; i++)
		searcher_init(&f->asks[i].searcher, f->asks[i].ask.needle);
}

/* What has been decoded. */
static void
look_at_text(struct find *f)
{
	for (size_t i = 0; i < f->n; i++) {
		struct ask *a = &f->asks[i];
		if (!a->found && a->ask.where != FIND_HEADER &&
		    searcher_feed(&a->searcher, buf_str(&f->utf8)))
			found(f, a);
	}
	buf_reset(&f->utf8);
	buf_reset(&f->octets);
}

static void
on_body(void *arg, struct mime_part *p, struct str octets)
{
	struct find *f = arg;
	while (f->part == p && octets.len && f->open) {
		struct str slice = str_first(octets, SLICE);
		octets = str_skip(octets, slice.len);
		bool plain = f->encoding != MIME_QP && f->encoding != MIME_BASE64;
		if (!plain)
			mime_decode(&f->decoder, slice, &f->octets);
		charset_feed(f->conv, plain ? slice : buf_str(&f->octets), &f->utf8);
		look_at_text(f);
	}
}

static void
on_end(void *arg, struct mime_part *p)
{
	struct find *f = arg;
	if (f->part != p)
		return;
	f->part = NULL;
	mime_decode_end(&f->decoder, &f->octets);
	charset_feed(f->conv, buf_str(&f->octets), &f->utf8);
	charset_end(f->conv, &f->utf8);
	f->conv = charset_free(f->conv);
	look_at_text(f);
}

static const struct mime_sink sink = { on_begin, on_field, on_header_end, on_body, on_end };

/* --- the whole --- */

struct find *
find_new(const struct charsets *cs, const struct find_ask *asks, size_t n)
{
	check(n <= FIND_MAX);
	struct find *f = xalloc(sizeof(*f) + n * sizeof(f->asks[0]));
	f->cs = cs;
	f->n = f->open = n;
	for (size_t i = 0; i < n; i++) {
		f->asks[i].ask = asks[i];
		if (asks[i].where == FIND_HEADER)
			continue;
		f->bodies = true;
		if (needle_in(asks[i].needle,
			STR(""))) /* every letter holds it, without text too */
			found(f, &f->asks[i]);
	}
	buf_init(&f->octets, SLICE + 1024);
	buf_init(&f->utf8, 8 * SLICE);
	buf_init(&f->value, VALUE_MAX);
	f->walk = mime_walk_new(&sink, f, MIME_FIELD_MAX);
	return f;
}

struct find *
find_free(struct find *f)
{
	if (!f)
		return NULL;
	mime_walk_free(f->walk);
	charset_free(f->conv);
	buf_done(&f->octets);
	buf_done(&f->utf8);
	buf_done(&f->value);
	free(f);
	return NULL;
}

static bool
is_over(const struct find *f)
{
	return f->open == 0 || (!f->bodies && f->header_over);
}

bool
find_feed(struct find *f, struct str octets)
{
	if (!is_over(f))
		mime_walk_feed(f->walk, octets);
	return is_over(f);
}

void
find_end(struct find *f)
{
	if (!is_over(f))
		mime_walk_end(f->walk);
}

bool
find_found(const struct find *f, size_t i)
{
	check(i < f->n);
	return f->asks[i].found;
}
