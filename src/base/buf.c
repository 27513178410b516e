#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAP 64

void
buf_init(struct buf *b, size_t max)
{
	*b = BUF_INIT(max);
}

void
buf_done(struct buf *b)
{
	free(b->p);
	*b = BUF_INIT(b->max);
}

void
buf_reset(struct buf *b)
{
	b->len = 0;
	b->failed = false;
}

/* Memory for n octets more, which are not there yet. */
static bool
grow(struct buf *b, size_t n)
{
	if (b->failed)
		return false;
	if (n > b->max - b->len) {
		b->failed = true;
		return false;
	}
	size_t want = MAX(b->len + n, b->cap > b->max / 2 ? b->max : b->cap * 2);
	want = MIN(MAX(want, FIRST_CAP), b->max);
	char *p = realloc(b->p, want);
	if (!p) {
		b->failed = true;
		return false;
	}
	b->p = p;
	b->cap = want;
	return true;
}

static inline bool
has_room(struct buf *b, size_t n)
{
	return (n <= b->cap - b->len && !b->failed) || grow(b, n);
}

static inline void
put(struct buf *b, const void *p, size_t n)
{
	if (n == 0 || !has_room(b, n))
		return;
	memcpy(b->p + b->len, p, n);
	b->len += n;
}

bool
buf_reserve(struct buf *b, size_t n)
{
	return has_room(b, n);
}

void
buf_put(struct buf *b, const void *p, size_t n)
{
	put(b, p, n);
}

void
buf_puts(struct buf *b, struct str s)
{
	put(b, s.p, s.len);
}

void
buf_putz(struct buf *b, const char *z)
{
	put(b, z, strlen(z));
}

void
buf_putc(struct buf *b, char c)
{
	if (has_room(b, 1))
		b->p[b->len++] = c;
}

void
buf_vputf(struct buf *b, const char *fmt, va_list ap)
{
	va_list again;
	va_copy(again, ap);
	char small[256];
	int n = vsnprintf(small, sizeof(small), fmt, ap);
	check(n >= 0);
	if ((size_t)n < sizeof(small)) {
		buf_put(b, small, (size_t)n);
	} else {
		char *big = xalloc((size_t)n + 1);
		vsnprintf(big, (size_t)n + 1, fmt, again);
		buf_put(b, big, (size_t)n);
		free(big);
	}
	va_end(again);
}

void
buf_putf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	buf_vputf(b, fmt, ap);
	va_end(ap);
}

void
buf_drop(struct buf *b, size_t n)
{
	check(n <= b->len);
	if (n == 0)
		return;
	memmove(b->p, b->p + n, b->len - n);
	b->len -= n;
}

void
buf_trunc(struct buf *b, size_t n)
{
	check(n <= b->len);
	b->len = n;
}

void
buf_wipe(struct buf *b)
{
	if (b->p)
		explicit_bzero(b->p, b->cap);
	b->len = 0;
}

const char *
buf_cstr(struct buf *b)
{
	if (b->len == b->cap && !buf_reserve(b, 1))
		return NULL;
	b->p[b->len] = '\0';
	return b->p;
}
