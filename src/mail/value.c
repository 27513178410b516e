#include "mail/mime.h"

#include "base/arena.h"
#include "base/check.h"
#include "mail/lex.h"

#include <stdlib.h>

#define INDEX_MAX 100000 /* of a piece of a parameter (RFC 2231 3) */

/* One of the pieces name*0, name*1*, ... or name*. */
struct piece {
	struct str name, value;
	unsigned index;
	bool encoded;
};

struct params {
	struct lex lex;
	struct arena *arena;
	struct buf scratch;
	struct mime_value *v;
	struct piece *piece; /* MIME_PARAMS_MAX of them, once there is one */
	size_t n_pieces;
};

static struct str
keep(struct params *x)
{
	struct str s = arena_str(x->arena, buf_str(&x->scratch));
	buf_reset(&x->scratch);
	return s.p ? s : STR("");
}

/* Workaround for name==?utf-8?b?...?=, which is not quoted as it should be. */
static void
unquoted_word(struct lex *x, struct buf *out)
{
	while (x->p < x->end && !strchr("; \t\r\n", *x->p))
		buf_putc(out, *x->p++);
}

/* Behind a ';': name "=" value. */
static enum lex_next
one_param(struct params *x, struct str *ret_name, struct str *ret_value)
{
	struct lex *l = &x->lex;
	if (l->p == l->end)
		return LEX_END;
	if (*l->p != ';')
		return LEX_BAD;
	l->p++;
	if (lex_skip(l) != LEX_MORE || lex_token(l, &x->scratch) != LEX_MORE || *l->p != '=')
		return LEX_BAD;
	l->p++;
	struct str name = keep(x);
	enum lex_next next = lex_skip(l);
	if (next == LEX_MORE && *l->p == '"')
		next = lex_quoted(l, &x->scratch);
	else if (next == LEX_MORE && *l->p == '=')
		unquoted_word(l, &x->scratch);
	else if (next == LEX_MORE)
		next = lex_token(l, &x->scratch);
	*ret_name = name;
	*ret_value = keep(x);
	return next == LEX_BAD ? LEX_BAD : LEX_MORE;
}

static void
add_param(struct mime_value *v, struct str name, struct str value)
{
	if (v->n_params < MIME_PARAMS_MAX)
		v->params[v->n_params++] = (struct mime_param){ name, value };
}

/* name*, name*N and name*N*; anything else with a star is a name like others. */
static bool
as_piece(struct str name, struct str value, struct piece *ret)
{
	size_t star = str_find(name, '*'), i = star;
	unsigned index = 0;
	if (star == name.len)
		return false;
	if (star + 1 < name.len)
		for (i++; i < name.len && name.p[i] >= '0' && name.p[i] <= '9'; i++) {
			index = index * 10 + (unsigned)(name.p[i] - '0');
			if (index > INDEX_MAX)
				return false;
		}
	bool encoded = i < name.len && name.p[i] == '*';
	if (i + encoded != name.len)
		return false;
	*ret = (struct piece){ str_first(name, star), value, index, encoded };
	return true;
}

static int
piece_cmp(const struct piece *a, const struct piece *b)
{
	int c = str_cmp(a->name, b->name);
	return c ? c : (a->index > b->index) - (a->index < b->index);
}

static void
sort_pieces(struct params *x)
{
	for (size_t i = 1; i < x->n_pieces; i++) {
		struct piece p = x->piece[i];
		size_t j = i;
		for (; j && piece_cmp(&x->piece[j - 1], &p) > 0; j--)
			x->piece[j] = x->piece[j - 1];
		x->piece[j] = p;
	}
}

/* Pieces of which one is missing stand for themselves. */
static void
add_apart(struct params *x, const struct piece *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		buf_puts(&x->scratch, p[i].name);
		buf_putf(&x->scratch, "*%u%s", p[i].index, p[i].encoded ? "*" : "");
		add_param(x->v, keep(x), p[i].value);
	}
}

static void
put_plain(struct buf *out, struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] == '%')
			buf_puts(out, STR("%25"));
		else
			buf_putc(out, s.p[i]);
}

/* Joins the pieces of one parameter; encoded if one of them is (RFC 2231 4.1). */
static void
add_joined(struct params *x, const struct piece *p, size_t n, bool encoded)
{
	if (encoded && !p[0].encoded)
		buf_puts(&x->scratch, STR("''"));
	for (size_t i = 0; i < n; i++) {
		if (encoded && !p[i].encoded)
			put_plain(&x->scratch, p[i].value);
		else
			buf_puts(&x->scratch, p[i].value);
	}
	struct str value = keep(x);
	buf_puts(&x->scratch, p[0].name);
	if (encoded)
		buf_putc(&x->scratch, '*');
	add_param(x->v, keep(x), value);
}

static void
join_pieces(struct params *x)
{
	sort_pieces(x);
	for (size_t i = 0, n; i < x->n_pieces; i += n) {
		const struct piece *p = x->piece + i;
		bool whole = true, encoded = false;
		for (n = 0; i + n < x->n_pieces && str_ieq(p[n].name, p[0].name); n++) {
			whole &= p[n].index == n;
			encoded |= p[n].encoded;
		}
		if (whole)
			add_joined(x, p, n, encoded);
		else
			add_apart(x, p, n);
	}
}

static void
add_piece(struct params *x, const struct piece *p)
{
	if (!x->piece)
		x->piece = xalloc(MIME_PARAMS_MAX * sizeof(*x->piece));
	x->piece[x->n_pieces++] = *p;
}

static void
all_params(struct params *x)
{
	struct str name, value;
	enum lex_next next;
	while ((next = one_param(x, &name, &value)) != LEX_END) {
		buf_reset(&x->scratch);
		if (next == LEX_BAD) { /* go on behind what is wrong */
			if (x->lex.p == x->lex.end)
				break;
			x->lex.p++;
			continue;
		}
		struct piece p;
		if (x->n_pieces < MIME_PARAMS_MAX && as_piece(name, value, &p))
			add_piece(x, &p);
		else
			add_param(x->v, name, value);
	}
	join_pieces(x);
}

/* word ["/" word], then nothing or parameters. */
static bool
type_words(struct params *x)
{
	struct lex *l = &x->lex;
	if (lex_skip(l) != LEX_MORE)
		return false;
	enum lex_next next = lex_token(l, &x->scratch);
	x->v->word = keep(x);
	if (x->v->word.len == 0 || next != LEX_MORE)
		return x->v->word.len && next == LEX_END;
	if (*l->p != '/')
		return false;
	l->p++;
	if (lex_skip(l) != LEX_MORE)
		return false;
	next = lex_token(l, &x->scratch);
	x->v->sub = keep(x);
	return x->v->sub.len && (next == LEX_END || (next == LEX_MORE && *l->p == ';'));
}

/* A type that cannot be read is an empty one; "multipart" alone holds nothing that has parts. */
static void
settle_type(struct mime_value *v)
{
	if (v->broken) {
		v->word = v->sub = STR("");
	} else if (v->sub.len == 0 && str_ieq(v->word, STR("multipart"))) {
		v->word = STR("application");
		v->sub = STR("octet-stream");
	}
}

static bool
parse(struct str value, struct arena *a, bool type, struct mime_value *ret)
{
	struct params x = { .lex = lex_of(value, NULL), .arena = a, .v = ret };
	buf_init(&x.scratch, value.len * 3 + 64);
	ret->word = ret->sub = STR("");
	ret->broken = false;
	ret->n_params = 0; /* those behind it are not looked at */
	if (type) {
		ret->broken = !type_words(&x);
		settle_type(ret);
	} else {
		(void)lex_skip(&x.lex);
		ret->broken = lex_token(&x.lex, &x.scratch) == LEX_BAD;
		ret->word = keep(&x);
	}
	if (!ret->broken)
		all_params(&x);
	buf_done(&x.scratch);
	free(x.piece);
	return !a->failed;
}

bool
mime_type_parse(struct str value, struct arena *a, struct mime_value *ret)
{
	return parse(value, a, true, ret);
}

bool
mime_token_parse(struct str value, struct arena *a, struct mime_value *ret)
{
	return parse(value, a, false, ret);
}

struct str
mime_param(const struct mime_value *v, const char *name)
{
	for (size_t i = 0; i < v->n_params; i++)
		if (str_ieq(v->params[i].name, str_of(name)))
			return v->params[i].value;
	return STR_NULL;
}

enum mime_encoding
mime_encoding_of(struct str name)
{
	static const struct {
		const char *name;
		enum mime_encoding encoding;
	} rows[] = { { "7bit", MIME_7BIT }, { "8bit", MIME_8BIT }, { "binary", MIME_BINARY },
		{ "quoted-printable", MIME_QP }, { "base64", MIME_BASE64 } };
	if (name.len == 0)
		return MIME_7BIT;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (str_ieq(name, str_of(rows[i].name)))
			return rows[i].encoding;
	return MIME_UNKNOWN;
}
