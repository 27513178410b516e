#include "base/check.h"
#include "base/utf8.h"
#include "base/wire.h"
#include "mail/outline_priv.h"
#include "mail/utf.h"

#define NESTING_MAX (8 * (MIME_DEPTH_MAX + 4)) /* of parentheses */

/* --- numbers --- */

static uint64_t
get_long_num(struct wire *w)
{
	uint64_t v = 0;
	for (unsigned shift = 0; shift < 64; shift += 7) {
		uint8_t c = get_u8(w);
		if (shift == 63 && c > 1)
			break;
		v |= (uint64_t)(c & 0x7f) << shift;
		if (!(c & 0x80))
			return v;
	}
	w->bad = true;
	return 0;
}

/* Most are of one octet. */
static uint64_t
get_num(struct wire *w)
{
	if (w->bad || w->left == 0 || *w->p >= 0x80)
		return get_long_num(w);
	w->left--;
	return *w->p++;
}

static struct str
get_octets(struct wire *w)
{
	uint64_t n = get_num(w);
	if (n > w->left)
		w->bad = true;
	return w->bad ? STR_NULL : get_bytes(w, (size_t)n);
}

/* --- is a text what IMAP may see? --- */

/* The length of the quoted string at the start of s; 0: there is none. */
static size_t
quoted_len(struct str s)
{
	for (size_t n = 1;;) {
		n += imaptext_plain(str_n(s.p + n, s.len - n));
		if (n == s.len)
			return 0;
		if (s.p[n] == '"')
			return n + 1;
		n += s.p[n] == '\\' && n + 1 < s.len;
		unsigned char c = (unsigned char)s.p[n++];
		if (c >= 0x80 || c == '\r' || c == '\n' || c == '\0')
			return 0;
	}
}

static size_t
literal_len(struct str s)
{
	uint64_t octets = 0;
	size_t n = 1;
	for (; n < s.len && n < 12 && s.p[n] >= '0' && s.p[n] <= '9'; n++)
		octets = octets * 10 + (uint64_t)(s.p[n] - '0');
	if (n == 1 || !str_starts(str_skip(s, n), STR("}\r\n")) || octets > s.len - n - 3)
		return 0;
	struct str text = str_first(str_skip(s, n + 3), (size_t)octets);
	return str_find(text, '\0') == text.len ? n + 3 + text.len : 0;
}

/* The length of the token at the start of s: a parenthesis, blanks, a string, NIL, a number. 0:
 * it is none of these. */
static size_t
token_len(struct str s)
{
	size_t n = 0;
	switch (s.p[0]) {
	case '(':
	case ')':
	case ' ':
		return 1;
	case '"':
		return quoted_len(s);
	case 'N':
		return s.len >= 3 && s.p[1] == 'I' && s.p[2] == 'L' ? 3 : 0;
	case '{':
		return literal_len(s);
	default:
		while (n < s.len && s.p[n] >= '0' && s.p[n] <= '9')
			n++;
		return n;
	}
}

/* Cuts are taken off as they are passed: each must hold whole lists or none of their brackets. */
struct cuts {
	struct wire w;
	uint64_t left;   /* how many */
	size_t from, to; /* the next one; from SIZE_MAX: no more */
	size_t depth;
	bool inside;
};

static void
next_cut(struct cuts *c)
{
	if (c->left == 0) {
		c->from = SIZE_MAX;
		return;
	}
	c->left--;
	uint64_t gap = get_num(&c->w), len = get_num(&c->w);
	if (len == 0 || gap > SIZE_MAX / 4 || len > SIZE_MAX / 4)
		c->w.bad = true;
	c->from = c->to + (size_t)gap;
	c->to = c->from + (size_t)len;
}

static struct cuts
cuts_of(struct str octets, uint64_t n)
{
	struct cuts c = { .w = wire_of(octets), .left = n };
	next_cut(&c);
	return c;
}

/* At octet `at` between two tokens, inside `depth` lists. */
static bool
pass_cut(struct cuts *c, size_t at, size_t depth)
{
	if (c->inside && at == c->to) {
		if (depth != c->depth)
			return false;
		c->inside = false;
		next_cut(c);
	}
	if (!c->inside && at == c->from) {
		c->inside = true;
		c->depth = depth;
	}
	return !c->w.bad && (!c->inside || (depth >= c->depth && at < c->to)) &&
	       (c->inside || at < c->from);
}

/* One list or string that fills the view. */
static bool
is_text(struct str s, struct cuts *c)
{
	size_t depth = 0;
	for (size_t i = 0, n; i < s.len; i += n) {
		if ((c->inside || i >= c->from) && !pass_cut(c, i, depth))
			return false;
		if ((n = token_len(str_n(s.p + i, s.len - i))) == 0)
			return false;
		if (s.p[i] == '(' && ++depth > NESTING_MAX)
			return false;
		if (s.p[i] == ')' && depth-- == 0)
			return false;
		if (depth == 0 && i + n < s.len)
			return false;
	}
	return s.len && depth == 0 && !c->inside && c->left == 0 && c->from == SIZE_MAX &&
	       !c->w.bad && c->w.left == 0;
}

static bool
is_item(struct str s)
{
	struct cuts none = cuts_of(STR_NULL, 0);
	return is_text(s, &none);
}

/* --- parts --- */

static bool
get_part(struct wire *w, uint64_t *header, uint64_t size, struct outline_part *ret)
{
	uint8_t bits = get_u8(w);
	struct outline_part p = { .kind = bits & 3, .encoding = bits >> 2 & 7 };
	uint64_t children = get_num(w), off = get_num(w);
	uint64_t header_len = get_num(w), body_len = get_num(w);
	p.lines = get_num(w);
	if (bits & 1 << 5)
		p.charset = get_octets(w);
	if (w->bad || bits >> 6 || p.encoding > MIME_UNKNOWN || children > MIME_PARTS_MAX ||
	    off > size - *header || header_len > size - *header - off ||
	    body_len > size - *header - off - header_len)
		return false;
	if ((p.kind == MIME_MESSAGE && children != 1) ||
	    ((p.kind == MIME_LEAF || p.kind == MIME_TEXT) && children))
		return false;
	*header += off;
	p.children = (uint32_t)children;
	p.header = (struct outline_range){ *header, header_len };
	p.body = (struct outline_range){ *header + header_len, body_len };
	*ret = p;
	return true;
}

/* The parts are a tree: walking them, each has the children it says, and nothing is left. */
static bool
check_parts(struct str octets, uint32_t n, uint64_t size)
{
	struct wire w = wire_of(octets);
	uint64_t header = 0, open = 1;
	struct outline_part p;
	for (uint32_t i = 0; i < n; i++) {
		if (open == 0 || !get_part(&w, &header, size, &p))
			return false;
		open += p.children - (uint64_t)1;
	}
	return open == 0 && wire_done(&w);
}

/* --- the record --- */

static void
get_items(struct wire *w, struct outline *o)
{
	for (unsigned i = 0; i < OUTLINE_ITEMS; i++) {
		uint64_t n = get_num(w);
		bool sender = i == OUTLINE_SENDER || i == OUTLINE_REPLY_TO;
		if ((n == 0 && !sender) || (n && n - 1 > w->left))
			w->bad = true;
		if (w->bad)
			return;
		if (n == 0)
			o->item[i] = o->item[OUTLINE_FROM];
		else
			o->item[i] = n == 1 ? STR("NIL") : get_bytes(w, (size_t)n - 1);
		w->bad |= n > 1 && !is_item(o->item[i]);
	}
}

static void
get_facts(struct wire *w, struct outline *o)
{
	o->size = get_num(w);
	o->thread = get_u64(w);
	o->msgid = get_u64(w);
	o->has_sent = get_bool(w);
	if (o->has_sent) {
		o->sent = (int64_t)get_u64(w);
		o->sent_day = (int64_t)get_u64(w);
	}
}

static bool
is_utf8(struct str s)
{
	return utf_ascii(s) == s.len || utf8_valid(s);
}

bool
outline_get(struct str record, struct outline *ret)
{
	struct wire w = wire_of(record);
	struct outline o = { 0 };
	uint8_t version = get_u8(&w);
	if (version != OUTLINE_VERSION && version != OUTLINE_VERSION_1)
		return false;
	get_facts(&w, &o);
	get_items(&w, &o);
	o.body = get_octets(&w);
	bool plain = version == OUTLINE_VERSION && o.body.len == 0;
	if (!plain) {
		o.n_cuts = get_num(&w);
		o.cuts = get_octets(&w);
	}
	uint64_t refs = get_num(&w);
	if (w.bad || refs > OUTLINE_REFS_MAX)
		return false;
	o.refs = get_bytes(&w, (size_t)refs * 8);
	o.preview = get_octets(&w);
	uint64_t parts = get_num(&w);
	o.parts = get_rest(&w);
	struct cuts cuts = cuts_of(o.cuts, o.n_cuts);
	if (w.bad || parts == 0 || parts > MIME_PARTS_MAX || !is_utf8(o.preview) ||
	    (!plain && !is_text(o.body, &cuts)) || (plain && parts != 1))
		return false;
	o.n_parts = (uint32_t)parts;
	if (!check_parts(o.parts, o.n_parts, o.size))
		return false;
	*ret = o;
	return true;
}

struct str
outline_item(const struct outline *o, enum outline_item item)
{
	return o->item[item];
}

void
outline_envelope_put(struct buf *out, const struct outline *o)
{
	buf_putc(out, '(');
	outline_items_write(out, o->item);
	buf_putc(out, ')');
}

static void
put_num(struct buf *out, uint64_t v)
{
	char octets[20];
	size_t at = sizeof(octets);
	do {
		octets[--at] = (char)('0' + v % 10);
	} while (v /= 10);
	buf_put(out, octets + at, sizeof(octets) - at);
}

/* What there is no text of. */
static void
put_plain(struct buf *out, const struct outline *o, bool extended)
{
	struct outline_part p;
	check(outline_part(o, NULL, 0, &p));
	buf_puts(out, STR("(" OUTLINE_PLAIN " (" OUTLINE_ASCII ") NIL NIL " OUTLINE_7BIT " "));
	put_num(out, p.body.len);
	buf_putc(out, ' ');
	put_num(out, p.lines);
	buf_puts(out, extended ? STR(" NIL NIL NIL NIL)") : STR(")"));
}

void
outline_body_put(struct buf *out, const struct outline *o, bool extended)
{
	struct cuts c = cuts_of(o->cuts, o->n_cuts);
	size_t at = 0;
	if (!o->body.len) {
		put_plain(out, o, extended);
		return;
	}
	if (extended) {
		buf_puts(out, o->body);
		return;
	}
	for (; c.from != SIZE_MAX; next_cut(&c)) {
		buf_puts(out, str_first(str_skip(o->body, at), c.from - at));
		at = c.to;
	}
	buf_puts(out, str_skip(o->body, at));
}

uint32_t
outline_refs(const struct outline *o)
{
	return (uint32_t)(o->refs.len / 8);
}

uint64_t
outline_ref(const struct outline *o, uint32_t i)
{
	check(i < outline_refs(o));
	return be64_get((const unsigned char *)o->refs.p + (size_t)i * 8);
}

/* --- sections --- */

/* Where the walk over the parts stands. */
struct cursor {
	const struct outline *o;
	struct wire w;
	uint64_t header;
	struct outline_part p;
};

static void
step(struct cursor *c)
{
	check(get_part(&c->w, &c->header, c->o->size, &c->p));
}

/* Passes over `n` whole subtrees. */
static void
pass_over(struct cursor *c, uint64_t n)
{
	while (n) {
		step(c);
		n += c->p.children - (uint64_t)1;
	}
}

static struct cursor
root_of(const struct outline *o)
{
	struct cursor c = { .o = o, .w = wire_of(o->parts) };
	step(&c);
	return c;
}

/* From a part to the one that `number` names in it (RFC 9051 6.4.5.1): a letter that is no
 * multipart has a part 1, itself, in which there are no more, and a letter's parts are numbered
 * through the part that holds it. */
static bool
descend(struct cursor *c, uint32_t number, bool inner)
{
	bool letter = !inner || c->p.kind == MIME_MESSAGE;
	if (inner && c->p.kind == MIME_MESSAGE)
		step(c);
	if (number == 0 || (!letter && c->p.kind != MIME_MULTIPART))
		return false;
	if (c->p.kind != MIME_MULTIPART)
		return number == 1;
	if (number > c->p.children)
		return false;
	pass_over(c, number - 1);
	step(c);
	return true;
}

static bool
find(const struct outline *o, const uint32_t *path, size_t n, struct cursor *ret)
{
	struct cursor c = root_of(o);
	for (size_t i = 0; i < n; i++)
		if (!descend(&c, path[i], i > 0))
			return false;
	*ret = c;
	return true;
}

bool
outline_part(const struct outline *o, const uint32_t *path, size_t n, struct outline_part *ret)
{
	struct cursor c;
	if (!find(o, path, n, &c))
		return false;
	*ret = c.p;
	return true;
}

bool
outline_section(const struct outline *o, const uint32_t *path, size_t n, enum outline_what what,
    struct outline_range *ret)
{
	struct cursor c;
	if (!find(o, path, n, &c) || (what == OUTLINE_MIME && n == 0))
		return false;
	bool inside = what == OUTLINE_HEADER || what == OUTLINE_TEXT;
	if (n && inside && c.p.kind != MIME_MESSAGE) {
		*ret = (struct outline_range){ c.p.body.off, 0 };
		return true;
	}
	if (n && inside)
		step(&c);
	if (what == OUTLINE_MIME || what == OUTLINE_HEADER)
		*ret = c.p.header;
	else if (n == 0 && what == OUTLINE_PART)
		*ret = (struct outline_range){ 0, o->size };
	else
		*ret = c.p.body;
	return true;
}
