#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Noreturn void
check_failed(const char *expr, const char *file, int line)
{
	fprintf(stderr, "pennypost: bug: %s:%d: %s\n", file, line, expr);
	abort();
}

void *
xalloc(size_t n)
{
	void *p = calloc(1, n ? n : 1);
	check(p != NULL);
	return p;
}

void *
xrealloc(void *p, size_t n)
{
	p = realloc(p, n ? n : 1);
	check(p != NULL);
	return p;
}

void *
xmemdup(const void *p, size_t n)
{
	void *q = xalloc(n);
	if (n)
		memcpy(q, p, n);
	return q;
}

char *
xstrdup(const char *s)
{
	return xmemdup(s, strlen(s) + 1);
}
