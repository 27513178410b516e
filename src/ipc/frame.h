/*
 * frame: the form of a frame (see chan.h) and what each type may carry. Pure: octets in, a
 * head and a body out.
 */
#pragma once

#include "ipc/chan.h"
#include "ipc/msg.h"

#define FRAME_HEAD 16u
#define FRAME_FD 1u /* flag: a descriptor rides along */

struct frame_type {
	const char *name;  /* NULL: no such type */
	uint32_t body_max;
	bool fd;           /* carries a descriptor, always; else never */
	bool secret;       /* may hold a password or a key: nothing of it stays behind */
};
/* NULL when there is no such type. */
const struct frame_type *frame_type(uint16_t type);

enum frame_verdict {
	FRAME_OK,   /* the head (and all of the frame, where that was asked) is there */
	FRAME_MORE, /* good so far */
	FRAME_BAD,  /* a breach; *ret_why says which */
};

struct frame_head {
	uint32_t len; /* of the body */
	uint16_t type;
	bool fd;
	uint64_t id;
};

size_t frame_size(uint32_t body_len); /* head, body, padding */
void frame_head_put(unsigned char out[FRAME_HEAD], const struct frame_head *h);
enum frame_verdict ipc_frame_head_get(struct str in, struct frame_head *ret, const char **ret_why);
/* The first frame of in, with its body; ret_size: how many octets it takes. */
enum frame_verdict ipc_frame_get(struct str in, struct frame_head *ret, struct str *ret_body,
    size_t *ret_size, const char **ret_why);
