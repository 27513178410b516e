#include "base/check.h"
#include "mail/header.h"
#include "mail/outline_priv.h"
#include "mail/when.h"

#include <stdlib.h>

#define MEMORY_KEPT (16u << 10) /* for values in the making, from letter to letter */

/* --- what the walk tells --- */

static void
on_begin(void *arg, struct mime_part *p)
{
	struct outline_builder *b = arg;
	struct outline_node *parent = p->parent ? p->parent->data : NULL;
	struct outline_node *n = arena_alloc(&b->nodes, sizeof(*n));
	p->data = n;
	if (n && p->envelope)
		n->item = arena_alloc(&b->nodes, OUTLINE_ITEMS * sizeof(*n->item));
	if (!n || (p->envelope && !n->item) || (p->parent && !parent)) {
		p->data = NULL;
		b->failed = true;
		return;
	}
	b->n_parts++;
	n->parent = parent;
	n->header_off = p->header_off;
	if (!parent) {
		b->root = n;
		return;
	}
	if (parent->last)
		parent->last->next = n;
	else
		parent->child = n;
	parent->last = n;
	parent->children++;
}

static void
on_field(void *arg, struct mime_part *p, const struct mime_field *f)
{
	struct outline_builder *b = arg;
	struct outline_node *n = p->data;
	if (b->failed || !n)
		return;
	b->failed |= f->cut && !b->wide;
	if (f->name.len > 8 && (f->name.p[0] | 0x20) == 'c' &&
	    str_istarts(f->name, STR("Content-")))
		outline_content_field(b, n, f);
	else if (n->item)
		outline_envelope_field(b, n, f);
}

/* Content fields say nothing where nothing says that this is MIME. */
static void
forget_content(struct outline_node *n)
{
	memset(n->fact, 0, sizeof(n->fact));
	n->text = n->has_charset = n->has_params = false;
	n->charset = STR_NULL;
	n->encoding = MIME_7BIT;
}

/* RFC 2045 5.2: what has a broken type is read as text. */
static bool
is_text(const struct mime_part *p)
{
	return p->kind == MIME_TEXT || p->broken;
}

static void
on_header_end(void *arg, struct mime_part *p)
{
	struct outline_builder *b = arg;
	struct outline_node *n = p->data;
	if (b->failed || !n)
		return;
	if (!p->mime)
		forget_content(n);
	n->kind = p->kind;
	if (p->opaque)
		n->fact[FACT_TYPE] = STR("\"application\" \"octet-stream\"");
	if (is_text(p) && !b->preview_over) {
		struct str type = n->fact[FACT_TYPE];
		b->preview_of = p;
		preview_begin(&b->preview, n->encoding, n->charset,
		    str_iends(type, STR(" \"html\"")));
	}
}

static void
on_body(void *arg, struct mime_part *p, struct str octets)
{
	struct outline_builder *b = arg;
	if (b->preview_of == p && !preview_feed(&b->preview, octets))
		b->preview_of = NULL;
}

static void
on_end(void *arg, struct mime_part *p)
{
	struct outline_builder *b = arg;
	struct outline_node *n = p->data;
	if (!n)
		return;
	n->header_off = p->header_off;
	n->body_off = p->body_off;
	n->end = p->end;
	n->lines = p->end_line - p->body_line;
	if (is_text(p) && !b->preview_over) {
		preview_end(&b->preview);
		b->preview_of = NULL;
		b->preview_over = b->preview.done;
	}
}

static const struct mime_sink sink = { on_begin, on_field, on_header_end, on_body, on_end };

/* --- the builder --- */

/* Its first block stays when it is rewound. */
static void
start_arena(struct arena *a, size_t max, struct arena_mark *ret)
{
	arena_init(a, max);
	(void)arena_alloc(a, 1);
	*ret = arena_mark(a);
}

static struct outline_builder *
builder_new(const struct charsets *cs, bool wide)
{
	struct outline_builder *b = xalloc(sizeof(*b));
	size_t memory = wide ? OUTLINE_WIDE_MEMORY : OUTLINE_MEMORY;
	size_t node = sizeof(struct outline_node) + OUTLINE_ITEMS * sizeof(struct str) + 64;
	b->wide = wide;
	start_arena(&b->nodes, wide ? MIME_PARTS_MAX * node : memory, &b->nodes_start);
	start_arena(&b->texts, memory, &b->texts_start);
	buf_init(&b->wire, memory);
	imaptext_addrs_init(&b->addrs, memory);
	preview_init(&b->preview, cs);
	b->walk = mime_walk_new(&sink, b, wide ? OUTLINE_WIDE_FIELD : MIME_FIELD_MAX);
	return b;
}

struct outline_builder *
outline_new(const struct charsets *cs)
{
	return builder_new(cs, false);
}

struct outline_builder *
outline_new_wide(const struct charsets *cs)
{
	return builder_new(cs, true);
}

static void
release(struct outline_builder *b)
{
	b->walk = mime_walk_free(b->walk);
	arena_done(&b->nodes);
	arena_done(&b->texts);
	buf_done(&b->wire);
	imaptext_addrs_done(&b->addrs);
	preview_done(&b->preview);
}

struct outline_builder *
outline_free(struct outline_builder *b)
{
	if (b)
		release(b);
	free(b);
	return NULL;
}

static size_t
memory_of(const struct outline_builder *b)
{
	const struct imaptext_addrs *x = &b->addrs;
	return b->wire.cap + x->text.cap + x->comment.cap + x->name.cap + x->route.cap +
	       x->mailbox.cap + x->host.cap;
}

struct outline_builder *
outline_again(struct outline_builder *b)
{
	if (!b || b->failed || b->wide || memory_of(b) > MEMORY_KEPT)
		return outline_free(b);
	arena_rewind(&b->nodes, &b->nodes_start);
	arena_rewind(&b->texts, &b->texts_start);
	buf_reset(&b->wire);
	preview_again(&b->preview);
	b->preview_of = NULL;
	b->preview_over = false;
	b->root = NULL;
	b->n_parts = b->n_refs = 0;
	b->date = STR_NULL;
	b->msgid = b->reply_to = 0;
	mime_walk_reset(b->walk);
	return b;
}

void
outline_feed(struct outline_builder *b, struct str octets)
{
	if (b->failed)
		return;
	mime_walk_feed(b->walk, octets);
	if (b->failed)
		release(b); /* what is not to be needs no memory */
}

/* Fields in front of the letter count where it has none of their kind. */
static void
take_trace(struct outline_builder *b, struct str trace)
{
	struct header_field f;
	while (header_next(&trace, &f)) {
		int i = outline_item_of(f.name);
		struct mime_field field = { .name = f.name, .value = f.value };
		if (i >= 0 && !b->root->item[i].p)
			outline_envelope_field(b, b->root, &field);
	}
}

static uint64_t
thread_of(const struct outline_builder *b)
{
	if (b->n_refs)
		return b->refs[0];
	return b->reply_to ? b->reply_to : b->msgid;
}

bool
outline_end(struct outline_builder *b, struct str trace, struct buf *out)
{
	size_t before = out->len;
	if (b->failed || out->failed)
		return false;
	mime_walk_end(b->walk);
	if (!b->failed)
		take_trace(b, trace);
	if (b->failed)
		return false;
	struct outline_facts f = { .root = b->root,
		.n_parts = b->n_parts,
		.trace = trace.len,
		.size = mime_walk_size(b->walk) + trace.len,
		.thread = thread_of(b),
		.msgid = b->msgid,
		.preview = str_n(b->preview.text, b->preview.len),
		.refs = b->refs,
		.n_refs = b->n_refs };
	if (b->n_refs == 0 && b->reply_to) {
		f.refs = &b->reply_to;
		f.n_refs = 1;
	}
	f.has_sent = when_header_day(b->date, &f.sent, &f.sent_day);
	outline_write(out, &f);
	if (!out->failed)
		return true;
	out->failed = false;
	buf_trunc(out, before);
	return false;
}
