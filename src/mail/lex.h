/*
 * lex: the tokens of structured header fields (RFC 5322 3.2, RFC 2045 5.1), read as leniently as
 * letters need it. Octets above 0x7f are part of atoms (RFC 6532).
 *
 * Each reader appends what it read to out and passes over comments and blanks behind it. What it
 * returns says what comes next; LEX_BAD is a token that is none, or has no end.
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"

enum lex_next { LEX_BAD = -1, LEX_END = 0, LEX_MORE = 1 };

struct lex {
	const char *p, *end;
	struct buf *comment; /* the last comment, without its parentheses; or NULL */
};

static inline struct lex
lex_of(struct str s, struct buf *comment)
{
	return (struct lex){ s.p, s.p + s.len, comment };
}

/* Is the next octet c? False at the end. */
static inline bool
lex_at(const struct lex *x, char c)
{
	return x->p < x->end && *x->p == c;
}

enum lex_next lex_skip(struct lex *x); /* comments and blanks */
enum lex_next lex_atom(struct lex *x, struct buf *out);
enum lex_next lex_token(struct lex *x, struct buf *out);    /* of MIME; may be empty */
enum lex_next lex_quoted(struct lex *x, struct buf *out);   /* at a '"' */
enum lex_next lex_phrase(struct lex *x, struct buf *out);   /* words with one blank between */
enum lex_next lex_domain(struct lex *x, struct buf *out);   /* at an '@' */
