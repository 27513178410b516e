/*
 * buf: a growable octet buffer with a ceiling and sticky failure.
 *
 * Invariants: len <= cap <= max. A put that would pass max (or finds no memory) changes
 * nothing and sets failed; every later put is then ignored. So append blindly and check
 * `failed` once at the end. One owner; buf_done() may be called twice.
 */
#pragma once

#include "base/check.h"
#include "base/str.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct buf {
	char *p;
	size_t len;
	size_t cap;
	size_t max;
	bool failed;
};

#define BUF_INIT(ceiling) ((struct buf){ .max = (ceiling) })

void buf_init(struct buf *b, size_t max);
void buf_done(struct buf *b);  /* frees; the ceiling stays, so the buffer may be used again */
void buf_reset(struct buf *b); /* empty and not failed, memory kept */

bool buf_reserve(struct buf *b, size_t n); /* room for n more octets at b->p + b->len */
void buf_put(struct buf *b, const void *p, size_t n);
void buf_puts(struct buf *b, struct str s);
void buf_putz(struct buf *b, const char *z);
void buf_putc(struct buf *b, char c);
void buf_putf(struct buf *b, const char *fmt, ...) PRINTF(2, 3);
void buf_vputf(struct buf *b, const char *fmt, va_list ap) PRINTF(2, 0);

void buf_drop(struct buf *b, size_t n);  /* forget the first n octets */
void buf_trunc(struct buf *b, size_t n); /* keep the first n octets */
void buf_wipe(struct buf *b);            /* overwrite what it held, then empty it */

static inline struct str
buf_str(const struct buf *b)
{
	return (struct str){ b->p, b->len };
}
/* NUL-terminated view; NULL only when even one octet more finds no room. */
const char *buf_cstr(struct buf *b);
