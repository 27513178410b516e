/*
 * map: a hash table from octet strings to pointers. Keys are copied, values are the
 * caller's. The hash is keyed (SipHash-2-4, Aumasson and Bernstein 2012) with a
 * random key per process, so a peer cannot choose colliding keys. Order of map_next() is
 * arbitrary; removing the entry at hand while walking is allowed, adding is not.
 */
#pragma once

#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct map_slot;

struct map {
	struct map_slot *slots;
	size_t cap;  /* power of two, or 0 */
	size_t used; /* live entries */
	size_t dead; /* removed, still in the way */
};

#define MAP_NULL ((struct map){ 0 })

void map_done(struct map *m); /* frees keys and table, not the values */
void *map_get(const struct map *m, struct str key);
/* Puts value (not NULL) under key; returns the value that stood there, or NULL. */
void *map_put(struct map *m, struct str key, void *value);
void *map_del(struct map *m, struct str key); /* returns the value, or NULL */
/* Walk: start with *pos = 0; false at the end. ret_key is valid until the map changes. */
bool map_next(const struct map *m, size_t *pos, struct str *ret_key, void **ret_value);

/* SipHash-2-4 of s under a 16-octet key. */
uint64_t siphash(const unsigned char key[16], struct str s);
