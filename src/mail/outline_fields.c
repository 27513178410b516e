#include "base/check.h"
#include "mail/lex.h"
#include "mail/outline_priv.h"

/* --- message ids --- */

uint64_t
outline_id_hash(struct str id)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);
	for (size_t i = 0; i < id.len; i++) {
		char c = id.p[i];
		if (c == '<' || c == '>' || c == '"' || (unsigned char)c <= ' ')
			continue;
		h = (h ^ (unsigned char)c) * UINT64_C(0x100000001b3);
	}
	return h ? h : 1;
}

/* The next "<...>"; false: no more. */
static bool
next_id(struct str *s, struct str *ret)
{
	*s = str_skip(*s, str_find(*s, '<'));
	size_t end = str_find(*s, '>');
	if (end == s->len)
		return false;
	*ret = str_first(*s, end + 1);
	*s = str_skip(*s, end + 1);
	return true;
}

static uint64_t
first_id(struct str s)
{
	struct str id;
	return next_id(&s, &id) ? outline_id_hash(id) : 0;
}

static void
take_refs(struct outline_builder *b, struct str s)
{
	struct str id;
	b->n_refs = 0;
	while (next_id(&s, &id)) {
		if (b->n_refs == OUTLINE_REFS_MAX) /* the first one stays */
			memmove(b->refs + 1, b->refs + 2, --b->n_refs * sizeof(b->refs[0]) - 8);
		b->refs[b->n_refs++] = outline_id_hash(id);
	}
}

/* --- fields --- */

static struct str
keep(struct outline_builder *b)
{
	struct str s = STR_NULL;
	if (!b->wire.failed)
		s = arena_str(&b->texts, buf_str(&b->wire));
	if (!s.p && !b->wide)
		b->failed = true;
	buf_reset(&b->wire);
	return s;
}

/* Blanks behind the colon are passed over, where the first line has something else. */
static struct str
value_of(const struct mime_field *f)
{
	struct str v = f->value;
	size_t n = 0;
	while (n < v.len && (v.p[n] == ' ' || v.p[n] == '\t'))
		n++;
	if (n < v.len && v.p[n] != '\r' && v.p[n] != '\n')
		v = str_skip(v, n);
	return v.p ? v : STR("");
}

static struct str
as_value(struct outline_builder *b, struct str v)
{
	imaptext_value(&b->wire, v);
	return keep(b);
}

static struct str
as_words(struct outline_builder *b, struct str v)
{
	imaptext_words(&b->wire, v);
	return keep(b);
}

/* A second field of the same name goes on where the first ended. */
static struct str
as_addrs(struct outline_builder *b, struct str before, struct str v)
{
	struct buf *w = &b->wire;
	if (before.p)
		buf_puts(w, str_first(before, before.len - 1));
	size_t at = w->len;
	imaptext_addrs(&b->addrs, w, v);
	if (str_eq(str_skip(buf_str(w), at), STR("NIL"))) {
		buf_reset(w);
		return before;
	}
	if (w->failed && b->wide) {
		buf_reset(w);
		return before;
	}
	if (before.p && !w->failed) { /* ")" and "(" between them go */
		memmove(w->p + at, w->p + at + 1, w->len - at - 1);
		w->len--;
	}
	return keep(b);
}

#define NAME(lit)                                                                                  \
	{                                                                                          \
		lit, sizeof(lit) - 1                                                               \
	}
static const struct {
	struct str name;
	bool addrs;
} items[OUTLINE_ITEMS] = {
	[OUTLINE_DATE] = { NAME("Date"), false },
	[OUTLINE_SUBJECT] = { NAME("Subject"), false },
	[OUTLINE_FROM] = { NAME("From"), true },
	[OUTLINE_SENDER] = { NAME("Sender"), true },
	[OUTLINE_REPLY_TO] = { NAME("Reply-To"), true },
	[OUTLINE_TO] = { NAME("To"), true },
	[OUTLINE_CC] = { NAME("Cc"), true },
	[OUTLINE_BCC] = { NAME("Bcc"), true },
	[OUTLINE_IN_REPLY_TO] = { NAME("In-Reply-To"), false },
	[OUTLINE_MESSAGE_ID] = { NAME("Message-ID"), false },
};

static bool
is_name(struct str name, struct str as)
{
	return name.len == as.len && (name.p[0] | 0x20) == (as.p[0] | 0x20) && str_ieq(name, as);
}

int
outline_item_of(struct str name)
{
	for (int i = 0; i < OUTLINE_ITEMS; i++)
		if (is_name(name, items[i].name))
			return i;
	return -1;
}

/* What the letter's own header says beside the envelope. */
static void
root_field(struct outline_builder *b, int item, struct str name, struct str v)
{
	if (item == OUTLINE_DATE)
		b->date = arena_str(&b->texts, str_first(v, 128));
	else if (item == OUTLINE_MESSAGE_ID)
		b->msgid = first_id(v);
	else if (item == OUTLINE_IN_REPLY_TO)
		b->reply_to = first_id(v);
	else if (is_name(name, STR("References")))
		take_refs(b, v);
}

void
outline_envelope_field(struct outline_builder *b, struct outline_node *n,
    const struct mime_field *f)
{
	struct str v = value_of(f);
	int i = outline_item_of(f->name);
	if (!n->parent)
		root_field(b, i, f->name, v);
	if (i == OUTLINE_SUBJECT)
		n->item[i] = as_words(b, v);
	else if (i >= 0)
		n->item[i] = items[i].addrs ? as_addrs(b, n->item[i], v) : as_value(b, v);
}

/* --- Content fields --- */

static void
put_params(struct outline_builder *b, const struct mime_value *v)
{
	for (size_t i = 0; i < v->n_params; i++) {
		if (i)
			buf_putc(&b->wire, ' ');
		imaptext_string(&b->wire, v->params[i].name);
		buf_putc(&b->wire, ' ');
		imaptext_string(&b->wire, v->params[i].value);
	}
}

/* The first one counts: of others the walk does not tell the type. */
static void
content_type(struct outline_builder *b, struct outline_node *n, const struct mime_value *v)
{
	imaptext_string(&b->wire, v->word);
	buf_putc(&b->wire, ' ');
	imaptext_string(&b->wire, v->sub);
	n->text = str_ieq(v->word, STR("text"));
	struct str charset = mime_param(v, "charset");
	n->has_charset = charset.p != NULL;
	n->charset = charset.p ? arena_str(&b->texts, charset) : STR_NULL;
	n->fact[FACT_TYPE] = keep(b);
	if (v->n_params) {
		put_params(b, v);
		n->fact[FACT_PARAMS] = keep(b);
	}
}

/* What has more than its name counts where it is decoded, but is not shown. */
static void
content_encoding(struct outline_builder *b, struct outline_node *n, struct str value)
{
	struct lex x = lex_of(value, NULL);
	struct buf word = BUF_INIT(value.len);
	(void)lex_skip(&x);
	enum lex_next next = lex_token(&x, &word);
	n->encoding = mime_encoding_of(buf_str(&word));
	if (next == LEX_END && word.len) {
		imaptext_string(&b->wire, buf_str(&word));
		n->fact[FACT_ENCODING] = keep(b);
	}
	buf_done(&word);
}

/* The first one with parameters wins, else the last one. */
static void
content_disposition(struct outline_builder *b, struct outline_node *n, struct str value)
{
	struct mime_value v;
	if (n->has_params || !mime_token_parse(value, &b->texts, &v) || v.broken)
		return;
	n->has_params = v.n_params > 0;
	buf_putc(&b->wire, '(');
	imaptext_string(&b->wire, v.word);
	buf_putz(&b->wire, v.n_params ? " (" : " NIL");
	put_params(b, &v);
	buf_putz(&b->wire, v.n_params ? "))" : ")");
	n->fact[FACT_DISPOSITION] = keep(b);
}

/* RFC 3282: tags with commas between. */
static void
content_language(struct outline_builder *b, struct outline_node *n, struct str value)
{
	struct lex x = lex_of(value, NULL);
	struct buf tag = BUF_INIT(value.len);
	size_t tags = 0;
	(void)lex_skip(&x);
	while (lex_atom(&x, &tag) != LEX_BAD) {
		buf_putc(&b->wire, tags++ ? ' ' : '(');
		imaptext_string(&b->wire, buf_str(&tag));
		buf_reset(&tag);
		if (!lex_at(&x, ','))
			break;
		x.p++;
		(void)lex_skip(&x);
	}
	buf_done(&tag);
	if (tags) {
		buf_putc(&b->wire, ')');
		n->fact[FACT_LANGUAGE] = keep(b);
	}
}

typedef void content_fn(struct outline_builder *b, struct outline_node *n, struct str value);
static const struct {
	const char *name; /* behind "Content-" */
	enum outline_fact fact;
	content_fn *fn; /* NULL: the value as it stands */
} contents[] = {
	{ "Transfer-Encoding", FACT_ENCODING, content_encoding },
	{ "Disposition", FACT_DISPOSITION, content_disposition },
	{ "Language", FACT_LANGUAGE, content_language },
	{ "ID", FACT_ID, NULL },
	{ "Description", FACT_DESCRIPTION, NULL },
	{ "MD5", FACT_MD5, NULL },
	{ "Location", FACT_LOCATION, NULL },
};

void
outline_content_field(struct outline_builder *b, struct outline_node *n, const struct mime_field *f)
{
	struct str name = str_skip(f->name, 8);
	if (f->type) {
		content_type(b, n, f->type);
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(contents); i++) {
		enum outline_fact fact = contents[i].fact;
		if (!str_ieq(name, str_of(contents[i].name)))
			continue;
		if (n->fact[fact].p && fact != FACT_DISPOSITION)
			return;
		if (contents[i].fn)
			contents[i].fn(b, n, value_of(f));
		else
			n->fact[fact] = as_value(b, value_of(f));
		return;
	}
}
