/*
 * logread: walks the frames of one segment in order, through a buffer of its own, so that a
 * bad disk gives -EIO and not a signal. Payloads that nobody asks for are not read.
 */
#pragma once

#include "store/segment.h"

struct logread {
	int fd; /* owned */
	struct seg_head head;
	uint64_t off;       /* of the frame at hand */
	uint64_t base;      /* what buf holds begins here */
	struct buf buf;
};

/* 0 or -errno as seg_open(). Starts at off (0: the first frame). */
int logread_open(struct logread *r, int log, uint64_t seq, uint64_t off);
void logread_close(struct logread *r); /* may be called twice */
/* The header at hand. ret_state tells what stands there; 0 or -errno. */
int logread_head(struct logread *r, struct frame *ret, enum frame_state *ret_state);
/* The payload of the frame whose header is f; -EBADMSG when its checksum is wrong. The view
 * lives until the next call. */
int logread_payload(struct logread *r, const struct frame *f, struct str *ret);
void logread_next(struct logread *r, const struct frame *f);
