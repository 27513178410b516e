/*
 * frame: the unit of the log. Pure.
 *
 * A frame is a header of FRAME_HEAD octets, the payload, and zeros up to the next multiple of
 * 8. It is valid only if magic, version, type, its own position (lsn) and both checksums are
 * right. The header's checksum begins with the store's random id, so octets that a letter
 * carries cannot pass for a frame. `group` is the offset of the first frame that was written
 * and synced together with this one: a frame of a later group proves that all earlier ones
 * were durable, which tells damage from a torn tail.
 *
 * lsn: segment number << 32 | offset in the segment.
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

#define FRAME_HEAD 40
#define FRAME_MAGIC 0x50504652u /* "PPFR" */
#define FRAME_VERSION 1
#define FRAME_ALIGN 8
#define STORE_ID_LEN 16

enum frame_type {
	FRAME_BODY = 1, /* trace header and octets of the letter as received */
	FRAME_BLOB,     /* the same, with the octets in a blob file */
	FRAME_TRACE,    /* the letter's history */
	FRAME_INTENT,   /* the letter and all its mailboxes */
	FRAME_BATCH,    /* a domain's puts and deletes */
	FRAME_DONE,     /* the letter is in all its mailboxes */
	FRAME_END,      /* the log goes on in the next segment */
	FRAME_SNAP,     /* what stands in a range of a domain's keys, at this place in the log */
	FRAME_CHECKPOINT, /* all domains were snapped since a place in the log */
	FRAME_TYPES,
};

struct frame {
	enum frame_type type;
	uint32_t len;   /* octets of payload */
	uint32_t crc;   /* of the payload */
	uint32_t group;
	uint64_t lsn;
	uint64_t id;    /* the letter, or 0 */
};

enum frame_state {
	FRAME_OK,
	FRAME_NONE, /* zeros: nothing was written here */
	FRAME_BAD,
};

static inline uint64_t
lsn_of(uint64_t seq, uint64_t off)
{
	return seq << 32 | off;
}
static inline uint64_t
lsn_seq(uint64_t lsn)
{
	return lsn >> 32;
}
static inline uint64_t
lsn_off(uint64_t lsn)
{
	return lsn & 0xffffffffu;
}

/* Octets a frame with this payload takes. */
static inline uint64_t
frame_size(uint64_t payload)
{
	return (FRAME_HEAD + payload + FRAME_ALIGN - 1) & ~(uint64_t)(FRAME_ALIGN - 1);
}

/* Appends room for a header; returns where it is. Then append the payload, then frame_end(). */
size_t frame_begin(struct buf *b);
/* base_lsn: the position of b's first octet, which is also the group's. */
void frame_end(struct buf *b, size_t begin, enum frame_type type, uint64_t id, uint64_t base_lsn,
    const unsigned char store_id[STORE_ID_LEN]);

/* Checks the header at p (FRAME_HEAD octets) that should stand at lsn, with room octets from
 * there to the end of the segment. The payload is not looked at. */
enum frame_state frame_head_get(const void *p, uint64_t lsn, uint64_t room,
    const unsigned char store_id[STORE_ID_LEN], struct frame *ret);
bool frame_payload_ok(const struct frame *f, const void *payload);
