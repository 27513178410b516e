#include "base/arena.h"

#include "base/check.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_SIZE 2048
#define ALIGN 16

struct arena_block {
	struct arena_block *next;
	size_t used, cap;
	_Alignas(ALIGN) char data[];
};

void
arena_init(struct arena *a, size_t max)
{
	*a = (struct arena){ .max = max };
}

struct arena_mark
arena_mark(const struct arena *a)
{
	return (struct arena_mark){ a->blocks, a->blocks ? a->blocks->used : 0, a->used,
		a->failed };
}

void
arena_rewind(struct arena *a, const struct arena_mark *m)
{
	while (a->blocks != m->block) {
		struct arena_block *b = a->blocks;
		check(b != NULL);
		a->blocks = b->next;
		free(b);
	}
	if (a->blocks)
		a->blocks->used = m->block_used;
	a->used = m->used;
	a->failed = m->failed;
}

void
arena_reset(struct arena *a)
{
	arena_rewind(a, &(struct arena_mark){ 0 });
}

void
arena_done(struct arena *a)
{
	arena_reset(a);
}

static struct arena_block *
block_new(struct arena *a, size_t n)
{
	size_t cap = n > BLOCK_SIZE ? n : BLOCK_SIZE;
	struct arena_block *b = malloc(sizeof(*b) + cap);
	if (!b)
		return NULL;
	*b = (struct arena_block){ .next = a->blocks, .cap = cap };
	a->blocks = b;
	return b;
}

void *
arena_alloc(struct arena *a, size_t n)
{
	if (a->failed || n > a->max - a->used) {
		a->failed = true;
		return NULL;
	}
	size_t want = (n + ALIGN - 1) & ~(size_t)(ALIGN - 1);
	struct arena_block *b = a->blocks;
	if (!b || want > b->cap - b->used)
		b = block_new(a, want);
	if (!b) {
		a->failed = true;
		return NULL;
	}
	void *p = b->data + b->used;
	b->used += want;
	a->used += n;
	return memset(p, 0, n);
}

struct str
arena_str(struct arena *a, struct str s)
{
	char *p = s.len < SIZE_MAX ? arena_alloc(a, s.len + 1) : NULL;
	if (!p)
		return STR_NULL;
	if (s.len)
		memcpy(p, s.p, s.len);
	return (struct str){ p, s.len };
}
