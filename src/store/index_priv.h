/* index_priv: what the files that write the index share. */
#pragma once

#include "store/bundle.h"
#include "store/index.h"

#define HEAD_VALUE_MAX 128 /* a longer header is written at once, each time */
#define MARK_LEN (DONE_KEY_LEN + DONE_VALUE_LEN)
#define LETTER_ID_MS(id) ((id) >> 22)

/* What a domain has come to in this write, put down once at the commit. */
struct dom_change {
	uint64_t ver;
	enum { HEAD_SAME, HEAD_PUT, HEAD_DEL } head;
	size_t head_len;
	char value[HEAD_VALUE_MAX];
	struct bundle outlines;
};

/* indexwrite.c: the intent that waits in memory for its DONE goes to the index. */
int index_put_open_intent(struct index_write *w);
