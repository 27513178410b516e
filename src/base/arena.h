/*
 * arena: memory that is given back all at once: one per transaction, one per command.
 *
 * What comes out lives until arena_reset() or arena_done(). The ceiling counts octets handed
 * out; past it arena_alloc() returns NULL and sets `failed`, which stays until the reset, or
 * until arena_rewind() goes back to a time before it.
 */
#pragma once

#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>

struct arena_block;

struct arena {
	struct arena_block *blocks;
	size_t used;
	size_t max;
	bool failed;
};

void arena_init(struct arena *a, size_t max);
void arena_done(struct arena *a);
void arena_reset(struct arena *a);
void *arena_alloc(struct arena *a, size_t n); /* zeroed, aligned for any type, or NULL */
/* A copy of s in the arena, with a NUL behind it; STR_NULL when the arena is full. */
struct str arena_str(struct arena *a, struct str s);

/* Gives back what was handed out since the mark was taken. Marks are used last first. */
struct arena_mark {
	struct arena_block *block;
	size_t block_used, used;
	bool failed;
};
struct arena_mark arena_mark(const struct arena *a);
void arena_rewind(struct arena *a, const struct arena_mark *m);
