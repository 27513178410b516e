/*
 * check: assertions that stay in release builds, and the small macros every room uses.
 *
 * A failed check() is a bug of ours, never an answer to a peer: it prints where it stood
 * and aborts; the supervisor starts the process again. Input from a peer is never check()ed.
 */
#pragma once

#include <stddef.h>

#define check(expr)                                                             \
	do {                                                                    \
		if (__builtin_expect(!(expr), 0))                               \
			check_failed(#expr, __FILE__, __LINE__);                \
	} while (0)

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define container_of(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

#define PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

_Noreturn void check_failed(const char *expr, const char *file, int line);

/* Memory for our own structures, whose size no peer chooses: never NULL, aborts when out. */
void *xalloc(size_t n) __attribute__((malloc, returns_nonnull)); /* zeroed */
void *xrealloc(void *p, size_t n) __attribute__((returns_nonnull));
void *xmemdup(const void *p, size_t n) __attribute__((returns_nonnull));
char *xstrdup(const char *s) __attribute__((returns_nonnull));
