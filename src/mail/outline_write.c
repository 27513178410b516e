#include "base/check.h"
#include "base/wire.h"
#include "mail/outline_priv.h"

#include <inttypes.h>

#define CHARSET_MAX 41 /* more than any name that is known */

/* Numbers of 7 bits per octet, the lowest first. */
static void
put_num(struct buf *b, uint64_t v)
{
	char octets[10];
	size_t n = 0;
	for (; v >= 0x80; v >>= 7)
		octets[n++] = (char)(v | 0x80);
	octets[n++] = (char)v;
	buf_put(b, octets, n);
}

static void
put_octets(struct buf *b, struct str s)
{
	put_num(b, s.len);
	buf_puts(b, s);
}

/* --- BODYSTRUCTURE --- */

/* What BODY leaves out: octets of the text, as pairs of offset and length. */
struct text {
	struct buf *out;
	size_t base; /* where the text begins in out */
	struct buf cuts;
	uint32_t n_cuts;
	size_t cut_end;
};

static size_t
text_at(const struct text *t)
{
	return t->out->len - t->base;
}

static void
cut(struct text *t, size_t from)
{
	put_num(&t->cuts, from - t->cut_end);
	put_num(&t->cuts, text_at(t) - from);
	t->cut_end = text_at(t);
	t->n_cuts++;
}

static void
put_fact(struct text *t, struct str fact)
{
	buf_putc(t->out, ' ');
	buf_puts(t->out, fact.p ? fact : STR("NIL"));
}

static void
put_params(struct text *t, const struct outline_node *n, bool charset)
{
	struct str params = n->fact[FACT_PARAMS];
	if (!params.p && !charset) {
		buf_puts(t->out, STR("NIL"));
		return;
	}
	buf_putc(t->out, '(');
	buf_puts(t->out, params);
	if (charset && !n->has_charset) {
		if (params.p)
			buf_putc(t->out, ' ');
		buf_puts(t->out, STR(OUTLINE_ASCII));
	}
	buf_putc(t->out, ')');
}

static void put_body(struct text *t, const struct outline_node *n);

static void
put_bodies(struct text *t, const struct outline_node *first)
{
	for (const struct outline_node *n = first; n; n = n->next) {
		buf_putc(t->out, '(');
		put_body(t, n);
		buf_putc(t->out, ')');
	}
}

static void
put_last_facts(struct text *t, const struct outline_node *n)
{
	put_fact(t, n->fact[FACT_DISPOSITION]);
	put_fact(t, n->fact[FACT_LANGUAGE]);
	put_fact(t, n->fact[FACT_LOCATION]);
}

static void
put_multipart(struct text *t, const struct outline_node *n)
{
	if (n->child) {
		put_bodies(t, n->child);
	} else { /* RFC 9051 9, body-type-mpart: there is at least one */
		buf_putz(t->out,
		    "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0");
		size_t from = text_at(t);
		buf_putz(t->out, " NIL NIL NIL NIL");
		cut(t, from);
		buf_putc(t->out, ')');
	}
	/* The subtype: what stands behind "multipart" in the type. */
	put_fact(t, str_skip(n->fact[FACT_TYPE], sizeof("\"multipart\"")));
	size_t from = text_at(t);
	buf_putc(t->out, ' ');
	put_params(t, n, false);
	put_last_facts(t, n);
	cut(t, from);
}

static void
put_body(struct text *t, const struct outline_node *n)
{
	if (n->kind == MIME_MULTIPART) {
		put_multipart(t, n);
		return;
	}
	bool plain = !n->fact[FACT_TYPE].p && n->kind != MIME_MESSAGE;
	if (plain)
		buf_puts(t->out, STR(OUTLINE_PLAIN));
	else
		buf_puts(t->out,
		    n->fact[FACT_TYPE].p ? n->fact[FACT_TYPE] : STR("\"message\" \"rfc822\""));
	buf_putc(t->out, ' ');
	bool text = plain || n->text;
	put_params(t, n, text);
	put_fact(t, n->fact[FACT_ID]);
	put_fact(t, n->fact[FACT_DESCRIPTION]);
	put_fact(t, n->fact[FACT_ENCODING].p ? n->fact[FACT_ENCODING] : STR(OUTLINE_7BIT));
	buf_putf(t->out, " %" PRIu64, n->end - n->body_off);
	if (n->kind == MIME_MESSAGE && n->child) {
		buf_puts(t->out, STR(" ("));
		outline_items_write(t->out, n->child->item);
		buf_puts(t->out, STR(") "));
		put_bodies(t, n->child);
	}
	if (text || n->kind == MIME_MESSAGE)
		buf_putf(t->out, " %" PRIu64, n->lines);
	size_t from = text_at(t);
	put_fact(t, n->fact[FACT_MD5]);
	put_last_facts(t, n);
	cut(t, from);
}

/* --- the parts --- */

static void
put_part(struct buf *out, const struct outline_node *n, uint64_t trace, uint64_t *header)
{
	struct str charset = str_first(n->charset, CHARSET_MAX);
	bool has_charset = charset.len > 0;
	uint64_t off = n->header_off + (n->parent ? trace : 0);
	put_u8(out, (uint8_t)(n->kind | n->encoding << 2 | has_charset << 5));
	put_num(out, n->children);
	put_num(out, off - *header);
	put_num(out, n->body_off + trace - off);
	put_num(out, n->end - n->body_off);
	put_num(out, n->lines);
	if (has_charset)
		put_octets(out, charset);
	*header = off;
}

static const struct outline_node *
node_after(const struct outline_node *n)
{
	if (n->child)
		return n->child;
	while (n && !n->next)
		n = n->parent;
	return n ? n->next : NULL;
}

/* --- the record --- */

static const struct str nil = { "NIL", 3 };

static struct str
item_or(const struct str *item, enum outline_item which, enum outline_item instead)
{
	return item[which].p ? item[which] : item[instead].p ? item[instead] : nil;
}

void
outline_items_write(struct buf *out, const struct str *item)
{
	for (unsigned i = 0; i < OUTLINE_ITEMS; i++) {
		bool sender = i == OUTLINE_SENDER || i == OUTLINE_REPLY_TO;
		if (i)
			buf_putc(out, ' ');
		buf_puts(out, item ? item_or(item, i, sender ? OUTLINE_FROM : i) : nil);
	}
}

/* 0: as From; 1: NIL; else one more than the length. */
static void
put_items(struct buf *out, const struct str *item)
{
	for (unsigned i = 0; i < OUTLINE_ITEMS; i++) {
		bool sender = i == OUTLINE_SENDER || i == OUTLINE_REPLY_TO;
		struct str s = item[i];
		put_num(out, s.p ? s.len + 1 : !sender);
		buf_puts(out, s);
	}
}

/* A letter without Content fields, and one that says only what is so without them. */
static bool
is_default(const struct outline_node *n)
{
	struct str type = n->fact[FACT_TYPE], params = n->fact[FACT_PARAMS];
	struct str encoding = n->fact[FACT_ENCODING];
	for (unsigned i = 0; i < FACT_COUNT; i++)
		if (n->fact[i].p && i != FACT_TYPE && i != FACT_PARAMS && i != FACT_ENCODING)
			return false;
	return n->kind == MIME_TEXT && (!type.p || str_eq(type, STR(OUTLINE_PLAIN))) &&
	       (!params.p || str_eq(params, STR(OUTLINE_ASCII))) &&
	       (!encoding.p || str_eq(encoding, STR(OUTLINE_7BIT)));
}

static void
put_body_text(struct buf *out, const struct outline_node *root)
{
	struct buf body = BUF_INIT(out->max);
	struct text t = { .cuts = BUF_INIT(out->max), .out = &body };
	buf_putc(&body, '(');
	put_body(&t, root);
	buf_putc(&body, ')');
	put_octets(out, buf_str(&body));
	put_num(out, t.n_cuts);
	put_octets(out, buf_str(&t.cuts));
	out->failed |= body.failed || t.cuts.failed;
	buf_done(&body);
	buf_done(&t.cuts);
}

void
outline_write(struct buf *out, const struct outline_facts *f)
{
	uint64_t header = 0;
	(void)buf_reserve(out, MIN((size_t)1024, out->max - out->len));
	put_u8(out, OUTLINE_VERSION);
	put_num(out, f->size);
	put_u64(out, f->thread);
	put_u64(out, f->msgid);
	put_u8(out, f->has_sent);
	if (f->has_sent) {
		put_u64(out, (uint64_t)f->sent);
		put_u64(out, (uint64_t)f->sent_day);
	}
	put_items(out, f->root->item);
	if (is_default(f->root))
		put_num(out, 0);
	else
		put_body_text(out, f->root);
	put_num(out, f->n_refs);
	for (uint32_t i = 0; i < f->n_refs; i++)
		put_u64(out, f->refs[i]);
	put_octets(out, f->preview);
	put_num(out, f->n_parts);
	for (const struct outline_node *n = f->root; n; n = node_after(n))
		put_part(out, n, f->trace, &header);
}
