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

void put_u8(struct buf *b, uint8_t v);
void put_u16(struct buf *b, uint16_t v);
void put_u32(struct buf *b, uint32_t v);
void put_u64(struct buf *b, uint64_t v);
void put_str(struct buf *b, struct str s); /* u32 length, octets */

struct wire wire_of(struct str s);
uint8_t get_u8(struct wire *w);
uint16_t get_u16(struct wire *w);
uint32_t get_u32(struct wire *w);
uint64_t get_u64(struct wire *w);
bool get_bool(struct wire *w); /* anything but 0 and 1 is bad */
struct str get_str(struct wire *w, size_t max);   /* longer than max is bad */
struct str get_bytes(struct wire *w, size_t n);   /* exactly n octets, no length in front */
struct str get_rest(struct wire *w);
bool wire_done(const struct wire *w); /* all read, nothing bad, nothing left over */

/* The same for fixed places in memory. */
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
