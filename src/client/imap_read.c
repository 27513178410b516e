#include "client/imap.h"

#include "base/check.h"
#include "base/num.h"

#include <string.h>

const char *const imap_status_name[] = { "", "OK", "NO", "BAD", "PREAUTH", "BYE" };

enum { AT_WORD, AT_TOKEN, IN_ATOM, IN_QUOTED, IN_LITERAL, IN_TEXT };
enum { LIT_NONE, LIT_OPEN, LIT_DIGITS, LIT_PLUS, LIT_CLOSED };

void
imap_reader_init(struct imap_reader *x, size_t arena_max)
{
	*x = (struct imap_reader){ .text_max = IMAP_READER_TEXT, .depth_max = IMAP_READER_DEPTH };
	arena_init(&x->arena, arena_max);
	buf_init(&x->token, SIZE_MAX / 2); /* text_max keeps it small */
	x->done = true;
}

void
imap_reader_done(struct imap_reader *x)
{
	arena_done(&x->arena);
	buf_wipe(&x->token);
	buf_done(&x->token);
}

uint64_t
imap_reader_literal_left(const struct imap_reader *x)
{
	return !x->done && x->state == IN_LITERAL ? x->lit_left : 0;
}

static void
begin(struct imap_reader *x)
{
	arena_reset(&x->arena);
	buf_reset(&x->token);
	x->r = (struct imap_response){ 0 };
	x->token_size = x->depth = x->kept = 0;
	x->words = 0;
	x->open = x->last = NULL;
	x->item = STR_NULL;
	x->section = 0;
	x->lit = LIT_NONE;
	x->done = false;
	x->state = x->sieve ? AT_TOKEN : AT_WORD;
}

static void
put(struct imap_reader *x, struct str octets)
{
	size_t room = x->text_max > x->token.len ? x->text_max - x->token.len : 0;
	buf_puts(&x->token, str_first(octets, room));
	x->token_size += octets.len;
}

static void
put_octet(struct imap_reader *x, char c)
{
	put(x, str_n(&c, 1));
}

/* What was gathered, as a text that lives as long as the response. */
static struct str
take(struct imap_reader *x)
{
	struct str s = arena_str(&x->arena, buf_str(&x->token));
	if (!s.p || x->token_size > x->token.len)
		x->r.cut = true;
	x->token_size = 0;
	buf_reset(&x->token);
	return s;
}

static struct imap_node *
add(struct imap_reader *x, enum imap_node_kind kind)
{
	struct imap_node *n = NULL;
	if (x->depth == x->kept)
		n = arena_alloc(&x->arena, sizeof(*n));
	if (!n) {
		x->r.cut = true;
		return NULL;
	}
	n->kind = kind;
	n->parent = x->open;
	if (x->last)
		x->last->next = n;
	else if (x->open)
		x->open->child = n;
	else
		x->r.data = n;
	x->last = n;
	return n;
}

static void
value(struct imap_reader *x, enum imap_node_kind kind, bool binary)
{
	struct imap_node *n = add(x, kind);
	uint64_t size = x->token_size;
	struct str text = take(x);
	x->item = kind == IMAP_NODE_ATOM ? text : STR_NULL;
	if (!n)
		return;
	n->size = size;
	n->text = text;
	n->binary = binary;
	if (kind == IMAP_NODE_ATOM && str_ieq(text, STR("NIL")))
		n->kind = IMAP_NODE_NIL;
}

static void
list_open(struct imap_reader *x)
{
	struct imap_node *n = x->kept < x->depth_max ? add(x, IMAP_NODE_LIST) : NULL;
	x->r.cut = x->r.cut || !n;
	x->depth++;
	x->item = STR_NULL;
	if (!n)
		return;
	x->kept++;
	x->open = n;
	x->last = NULL;
}

static void
list_close(struct imap_reader *x)
{
	x->item = STR_NULL;
	if (x->depth == 0) {
		x->r.broken = true;
		return;
	}
	if (x->depth == x->kept) {
		x->kept--;
		x->last = x->open;
		x->open = x->open->parent;
	}
	x->depth--;
}

/* --- the head: tag, status or number, name --- */

static enum imap_status
status_of(struct str word)
{
	for (int i = IMAP_OK; i <= IMAP_BYE; i++)
		if (str_ieq(word, str_of(imap_status_name[i])))
			return (enum imap_status)i;
	return IMAP_NONE;
}

static void
strange(struct imap_reader *x, struct str word)
{
	struct str tag = x->r.tag;
	x->r.kind = IMAP_STRANGE;
	x->r.tag = STR_NULL;
	put(x, tag);
	if (word.p) {
		put_octet(x, ' ');
		put(x, word);
	}
	x->state = IN_TEXT;
}

static void
second_word(struct imap_reader *x, struct str word)
{
	enum imap_status status = status_of(word);
	bool tagged = x->r.kind == IMAP_TAGGED;
	if (status != IMAP_NONE && !(tagged && status > IMAP_BAD)) {
		x->r.status = status;
		x->state = IN_TEXT;
	} else if (tagged) {
		strange(x, word);
		put_octet(x, ' ');
	} else if (num_u64(word, UINT64_MAX, &x->r.number)) {
		x->r.has_number = true;
	} else {
		x->r.name = word;
		x->state = AT_TOKEN;
	}
}

/* A word of the head has ended. */
static void
word(struct imap_reader *x)
{
	struct str w = take(x);
	unsigned which = x->words++;
	if (which == 1) {
		second_word(x, w);
	} else if (which == 2) {
		x->r.name = w;
		x->state = AT_TOKEN;
	} else if (str_eq(w, STR("+"))) {
		x->r.kind = IMAP_CONTINUE;
		x->state = IN_TEXT;
	} else {
		x->r.kind = str_eq(w, STR("*")) ? IMAP_UNTAGGED : IMAP_TAGGED;
		x->r.tag = w;
	}
}

/* --- the end --- */

/* "[CODE args] text" (RFC 9051 7.1); a quoted string in it may hold a bracket. */
static void
split_code(struct imap_response *r)
{
	struct str s = r->text;
	if (s.len == 0 || s.p[0] != '[')
		return;
	bool quoted = false;
	for (size_t i = 1; i < s.len; i++) {
		if (s.p[i] == '"')
			quoted = !quoted;
		else if (quoted && s.p[i] == '\\')
			i++;
		else if (!quoted && s.p[i] == ']') {
			struct str code = str_n(s.p + 1, i - 1);
			r->code = str_word(&code);
			r->code_args = str_trim(code);
			r->text = str_ltrim(str_skip(s, i + 1));
			return;
		}
	}
}

/* RFC 5804 1.2: OK, NO or BYE, a code in parentheses, a text. */
static void
sieve_status(struct imap_response *r)
{
	const struct imap_node *n = r->data;
	enum imap_status status = n && n->kind == IMAP_NODE_ATOM ? status_of(n->text) : IMAP_NONE;
	if (status != IMAP_OK && status != IMAP_NO && status != IMAP_BYE)
		return;
	r->kind = IMAP_TAGGED;
	r->status = status;
	n = n->next;
	if (n && n->kind == IMAP_NODE_LIST) {
		r->code = imap_node_text(n->child);
		r->code_args = imap_node_text(n->child ? n->child->next : NULL);
		n = n->next;
	}
	r->text = imap_node_text(n);
}

static void
finish(struct imap_reader *x)
{
	struct imap_response *r = &x->r;
	if (x->state == AT_WORD && x->token_size > 0)
		word(x);
	if (x->state == AT_WORD && x->words > 0 && !r->has_number)
		strange(x, STR_NULL); /* a tag and nothing behind it */
	if (x->state == IN_TEXT)
		r->text = str_rtrim(take(x));
	if (r->status != IMAP_NONE)
		split_code(r);
	if (r->has_number && r->name.len == 0)
		r->broken = true;
	r->broken = r->broken || x->depth > 0;
	if (x->sieve)
		sieve_status(r);
	x->done = true;
}

/* --- values --- */

/* Follows "{12}" and "{12+}" at the end of a line, wherever it stands. */
static void
lit_step(struct imap_reader *x, char c)
{
	if (c == '{') {
		x->lit = LIT_OPEN;
		x->lit_at = x->token.len;
		x->lit_size = 0;
	} else if (c >= '0' && c <= '9' && (x->lit == LIT_OPEN || x->lit == LIT_DIGITS) &&
		   x->lit_size <= (INT64_MAX - 9) / 10) {
		x->lit_size = x->lit_size * 10 + (uint64_t)(c - '0');
		x->lit = LIT_DIGITS;
	} else if (c == '+' && x->lit == LIT_DIGITS) {
		x->lit = LIT_PLUS;
	} else if (c == '}' && (x->lit == LIT_DIGITS || x->lit == LIT_PLUS)) {
		x->lit = LIT_CLOSED;
	} else {
		x->lit = LIT_NONE;
	}
}

static void
literal_end(struct imap_reader *x)
{
	if (x->section) {
		x->state = IN_ATOM;
		return;
	}
	value(x, IMAP_NODE_LITERAL, x->lit == LIT_PLUS);
	x->lit = LIT_NONE;
	x->state = AT_TOKEN;
}

/* The line ended in {n}: what stood before it is a value of its own, unless it is the "~" of a
 * literal8 (RFC 3516) or a section that goes on. */
static void
literal_begin(struct imap_reader *x)
{
	bool binary = false;
	x->token_size = MIN(x->token_size, x->lit_at);
	buf_trunc(&x->token, MIN(x->token.len, x->lit_at));
	x->lit = LIT_NONE;
	if (!x->section) {
		binary = str_eq(buf_str(&x->token), STR("~"));
		if (binary) {
			buf_reset(&x->token);
			x->token_size = 0;
		} else if (x->token.len > 0) {
			value(x, IMAP_NODE_ATOM, false);
		}
		x->lit = binary ? LIT_PLUS : LIT_NONE; /* kept for literal_end() */
	}
	x->lit_left = x->lit_size;
	x->state = IN_LITERAL;
	if (x->literal && !x->section)
		x->literal(x->arg, x->item, x->lit_size, 0, STR_NULL);
	if (x->lit_left == 0)
		literal_end(x);
}

static void
literal_octets(struct imap_reader *x, struct str *in)
{
	struct str piece = str_first(*in, x->lit_left > in->len ? in->len : (size_t)x->lit_left);
	if (x->literal && !x->section)
		x->literal(x->arg, x->item, x->lit_size, x->lit_size - x->lit_left, piece);
	put(x, piece);
	*in = str_skip(*in, piece.len);
	x->lit_left -= piece.len;
	if (x->lit_left == 0)
		literal_end(x);
}

static void
at_token(struct imap_reader *x, char c)
{
	x->lit = LIT_NONE;
	switch (c) {
	case ' ':
	case '\t':
	case '\r':
		break;
	case '\n':
		finish(x);
		break;
	case '(':
		list_open(x);
		break;
	case ')':
		list_close(x);
		break;
	case '"':
		x->state = IN_QUOTED;
		x->escaped = false;
		break;
	default:
		x->state = IN_ATOM;
		x->section = 0;
		lit_step(x, c);
		put_octet(x, c);
	}
}

static void
atom_end(struct imap_reader *x, char c)
{
	x->section = 0;
	value(x, IMAP_NODE_ATOM, false);
	x->state = AT_TOKEN;
	at_token(x, c);
}

/* "BODY[HEADER.FIELDS (FROM "x]")]<0>" is one word; other atoms may hold brackets, too. */
static bool
in_section(struct imap_reader *x, char c)
{
	struct str so_far = buf_str(&x->token);
	if (x->section == 2) {
		if (c == '"' && !x->escaped)
			x->section = 1;
		x->escaped = c == '\\' && !x->escaped;
		return true;
	}
	if (x->section == 1) {
		x->section = c == '"' ? 2 : c != ']';
		x->escaped = false;
		return true;
	}
	if (c == '[' && (str_istarts(so_far, STR("BODY")) || str_istarts(so_far, STR("BINARY")))) {
		x->section = 1;
		return true;
	}
	return false;
}

static void
in_atom(struct imap_reader *x, char c)
{
	if (c == '\r')
		return;
	if (c == '\n') {
		if (x->lit == LIT_CLOSED) {
			literal_begin(x);
			return;
		}
		x->r.broken = x->r.broken || x->section;
		atom_end(x, c);
		return;
	}
	if (!in_section(x, c) && memchr(" \t()\"", c, 5)) {
		atom_end(x, c);
		return;
	}
	lit_step(x, c);
	put_octet(x, c);
}

static void
in_quoted(struct imap_reader *x, char c)
{
	bool end = c == '"' && !x->escaped;
	if (end || c == '\n') {
		value(x, IMAP_NODE_QUOTED, false);
		x->state = AT_TOKEN;
		if (c == '\n') {
			x->r.broken = true;
			finish(x);
		}
		return;
	}
	bool escape = c == '\\' && !x->escaped;
	if (!escape && c != '\r')
		put_octet(x, c);
	x->escaped = escape;
}

static void
at_word(struct imap_reader *x, char c)
{
	if (c == '\n') {
		finish(x);
	} else if (c == ' ') {
		if (x->token_size > 0)
			word(x);
	} else if (c != '\r') {
		put_octet(x, c);
	}
}

/* Up to the line's end, in one go. */
static void
in_text(struct imap_reader *x, struct str *in)
{
	size_t n = str_find(*in, '\n');
	put(x, str_first(*in, n));
	if (n < in->len) {
		finish(x);
		n++;
	}
	*in = str_skip(*in, n);
}

static void
octet(struct imap_reader *x, char c)
{
	if (x->state == AT_WORD)
		at_word(x, c);
	else if (x->state == AT_TOKEN)
		at_token(x, c);
	else if (x->state == IN_ATOM)
		in_atom(x, c);
	else
		in_quoted(x, c);
}

const struct imap_response *
imap_reader_feed(struct imap_reader *x, struct str *in)
{
	while (in->len > 0) {
		if (x->done)
			begin(x);
		if (x->state == IN_LITERAL) {
			literal_octets(x, in);
		} else if (x->state == IN_TEXT) {
			in_text(x, in);
		} else {
			char c = in->p[0];
			*in = str_skip(*in, 1);
			octet(x, c);
		}
		if (x->done)
			return &x->r;
	}
	return NULL;
}
