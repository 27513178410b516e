/*
 * str: a borrowed view of octets. It owns nothing and need not end in NUL; it lives as
 * long as the buffer it points into, and is never stored past the call that received it
 * unless the header of the keeper says so. p may be NULL when len is 0.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#ifdef LACKS_EXPLICIT_BZERO /* some systems do */
static inline void
explicit_bzero(void *p, size_t n)
{
	for (volatile unsigned char *at = p; n > 0; n--)
		*at++ = 0;
}
#endif

struct str {
	const char *p;
	size_t len;
};

#define STR(lit) ((struct str){ "" lit, sizeof(lit) - 1 })
#define STR_NULL ((struct str){ NULL, 0 })
#define STR_FMT "%.*s" /* printf("..." STR_FMT, STR_ARG(s)) */
#define STR_ARG(s) (int)(s).len, (s).p ? (s).p : ""

static inline struct str
str_of(const char *c)
{
	return (struct str){ c, c ? strlen(c) : 0 };
}

static inline struct str
str_n(const void *p, size_t n)
{
	return (struct str){ p, n };
}

bool str_eq(struct str a, struct str b);
bool str_ieq(struct str a, struct str b); /* ASCII case only */
int str_cmp(struct str a, struct str b);  /* octet order, shorter first */
bool str_starts(struct str s, struct str prefix);
bool str_istarts(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);
bool str_iends(struct str s, struct str suffix);

/* Offset of the first c (or any octet of set), or s.len. */
size_t str_find(struct str s, char c);
size_t str_find_any(struct str s, const char *set);
size_t str_rfind(struct str s, char c);            /* the last c, or s.len */
size_t str_find_str(struct str s, struct str what); /* or s.len */

/* Without its first n octets (or all). */
static inline struct str
str_skip(struct str s, size_t n)
{
	n = n < s.len ? n : s.len;
	return (struct str){ s.p ? s.p + n : NULL, s.len - n };
}

/* Its first n octets (or all). */
static inline struct str
str_first(struct str s, size_t n)
{
	return (struct str){ s.p, n < s.len ? n : s.len };
}

struct str str_trim(struct str s);             /* without blanks, tabs, CR, LF at both ends */
struct str str_ltrim(struct str s);
struct str str_rtrim(struct str s);

/* Cut *s at the first sep: returns what stands before it, leaves what follows. At the end
 * *s becomes STR_NULL; loop `while (s.p)` with s.p NULL meaning: nothing followed. */
struct str str_cut(struct str *s, char sep);
/* The next run of octets that are neither blank nor tab; len 0 at the end. */
struct str str_word(struct str *s);

/* Heap copy that ends in NUL; free() it. NUL octets inside are kept. */
char *str_dup(struct str s);
/* Copy into dst of size n with NUL at the end; false (and dst empty) if it does not fit. */
bool str_copy(char *dst, size_t n, struct str s);
