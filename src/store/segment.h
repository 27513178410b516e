/*
 * segment: the files of the log, DIR/log/NNNNNNNN.seg (hexadecimal number).
 *
 * A segment is written full of zeros once, synced, and given its name only then, so every
 * segment found is whole. It begins with SEG_HEAD octets: magic, format, number, size, the
 * store's id, checksum. Frames follow and never cross into the next segment; room for one
 * FRAME_END is always kept.
 */
#pragma once

#include "store/frame.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define SEG_HEAD 64
/* 1 is read: it has no SNAP and no CHECKPOINT; 2: it has no merges; 3: it has narrow flags */
#define SEG_FORMAT 5
#define SEG_SIZE_MIN (64u << 10)
#define SEG_SIZE_MAX (1u << 31)
#define SEG_NAME_LEN 16

struct seg_head {
	uint64_t seq, size;
	unsigned char id[STORE_ID_LEN];
	uint32_t format; /* as read */
};

void seg_name(char out[SEG_NAME_LEN], uint64_t seq);
void seg_head_put(unsigned char out[SEG_HEAD], const struct seg_head *h);
/* 0, -EBADMSG (damaged) or -EPROTONOSUPPORT (a newer format). */
int seg_head_get(const unsigned char p[SEG_HEAD], struct seg_head *ret);

/* Makes a segment durable under its name. log: fd of the directory. */
int seg_create(int log, const struct seg_head *h);
/* Takes a segment out of the log: from now on the file has a name that nobody looks for. */
int seg_retire(int log, uint64_t seq);
/* Makes the retired segment `old` the segment h, whole, as seg_create() would. A reader that has
 * it open sees another number in its header before anything else changes. */
int seg_reuse(int log, uint64_t old, const struct seg_head *h);
/* Removes a retired segment; its space is free even if somebody has it open. */
int seg_drop(int log, uint64_t old);
/* Removes what crashes have left. */
int seg_sweep(int log);
/* Writes the header again, in the format of today. */
int seg_upgrade(int log, uint64_t seq);

/* Its fd, or -errno as seg_head_get(); -EBADMSG also when number or file size do not agree. */
int seg_open(int log, uint64_t seq, int flags, struct seg_head *ret);
/* The numbers of all segments, ascending, on the heap; left-overs of a crash are skipped. */
int seg_list(int log, uint64_t **ret, size_t *ret_n);

/* Whole reads: -EIO when the file ends early. */
int pread_all(int fd, void *dst, size_t n, uint64_t off);
int pwrite_all(int fd, const void *src, size_t n, uint64_t off);
