/*
 * wire: typed, big-endian put and get for IPC messages, log records and index values.
 *
 * Writing goes to a struct buf (sticky failure there). Reading walks a borrowed view; a
 * get past the end returns zero and sets `bad`, as does every get after it, so a decoder
 * reads all its fields and checks wire_done() once. Nothing is copied: wire_get_str()
 * returns a view into the input.
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"

#include <stdint.h>

struct wire {
	const unsigned char *p;
	size_t left;
	bool bad;
};

void put_str(struct buf *b, struct str s); /* u32 length, octets */

struct wire wire_of(struct str s);
bool get_bool(struct wire *w); /* anything but 0 and 1 is bad */
struct str get_rest(struct wire *w);
bool wire_done(const struct wire *w); /* all read, nothing bad, nothing left over */

/* Numbers in fixed places in memory. */
static inline void
be16_put(unsigned char *p, uint16_t v)
{
	v = __builtin_bswap16(v);
	__builtin_memcpy(p, &v, 2);
}

static inline void
be32_put(unsigned char *p, uint32_t v)
{
	v = __builtin_bswap32(v);
	__builtin_memcpy(p, &v, 4);
}

static inline void
be64_put(unsigned char *p, uint64_t v)
{
	v = __builtin_bswap64(v);
	__builtin_memcpy(p, &v, 8);
}

static inline uint16_t
be16_get(const unsigned char *p)
{
	uint16_t v;
	__builtin_memcpy(&v, p, 2);
	return __builtin_bswap16(v);
}

static inline uint32_t
be32_get(const unsigned char *p)
{
	uint32_t v;
	__builtin_memcpy(&v, p, 4);
	return __builtin_bswap32(v);
}

static inline uint64_t
be64_get(const unsigned char *p)
{
	uint64_t v;
	__builtin_memcpy(&v, p, 8);
	return __builtin_bswap64(v);
}

/* Records and messages are rows of such numbers, so these are inline. n octets more at the end of
 * b, to be filled; NULL: there is no room. */
static inline unsigned char *
wire_room(struct buf *b, size_t n)
{
	if ((b->failed || n > b->cap - b->len) && !buf_reserve(b, n))
		return NULL;
	b->len += n;
	return (unsigned char *)b->p + b->len - n;
}

static inline void
put_u8(struct buf *b, uint8_t v)
{
	unsigned char *p = wire_room(b, 1);
	if (p)
		*p = v;
}

static inline void
put_u16(struct buf *b, uint16_t v)
{
	unsigned char *p = wire_room(b, 2);
	if (p)
		be16_put(p, v);
}

static inline void
put_u32(struct buf *b, uint32_t v)
{
	unsigned char *p = wire_room(b, 4);
	if (p)
		be32_put(p, v);
}

static inline void
put_u64(struct buf *b, uint64_t v)
{
	unsigned char *p = wire_room(b, 8);
	if (p)
		be64_put(p, v);
}

/* The next n octets; NULL: they are not there, and w is bad. */
static inline const unsigned char *
wire_next(struct wire *w, size_t n)
{
	if (w->bad || n > w->left) {
		w->bad = true;
		return NULL;
	}
	w->p += n;
	w->left -= n;
	return w->p - n;
}

static inline uint8_t
get_u8(struct wire *w)
{
	const unsigned char *p = wire_next(w, 1);
	return p ? *p : 0;
}

static inline uint16_t
get_u16(struct wire *w)
{
	const unsigned char *p = wire_next(w, 2);
	return p ? be16_get(p) : 0;
}

static inline uint32_t
get_u32(struct wire *w)
{
	const unsigned char *p = wire_next(w, 4);
	return p ? be32_get(p) : 0;
}

static inline uint64_t
get_u64(struct wire *w)
{
	const unsigned char *p = wire_next(w, 8);
	return p ? be64_get(p) : 0;
}

/* Exactly n octets, no length in front. */
static inline struct str
get_bytes(struct wire *w, size_t n)
{
	const unsigned char *p = wire_next(w, n);
	return p ? (struct str){ (const char *)p, n } : STR_NULL;
}

/* Longer than max is bad. */
static inline struct str
get_str(struct wire *w, size_t max)
{
	uint32_t n = get_u32(w);
	w->bad |= n > max;
	return get_bytes(w, n);
}
