/*
 * pack: letters on their way from the command line into a mailbox, many in one sealed memfd.
 *
 * Head: "PPAK", version octet (1). Then one letter after another: u32 length and the octets
 * (CRLF lines), u64 internal date in ms, u32 flags, u32 octets that are header; the letter's
 * mark (store/mailbox.h): u8 length of its key inside the job and the key (16 octets, or none:
 * the job's own mark), u8 1: must be there, string it must hold, string it becomes; string
 * where the letter was found, for its history.
 *
 * The receiver maps it with memfd_map(), which checks the seals: what is checked once stays so.
 */
#pragma once

#include "base/buf.h"
#include "base/wire.h"

#include <stdbool.h>
#include <stdint.h>

#define PACK_LETTER_MAX (1u << 30)          /* octets of a letter */
#define PACK_BYTES_MAX ((size_t)2 << 30)    /* of a pack */
#define PACK_KEY_LEN 16
#define PACK_MARK_MAX 256
#define PACK_WHERE_MAX 4096
#define PACK_FLAGS_MAX 0xffffu              /* system flags only */
#define PACK_TIME_MAX 253402300799999ull    /* the end of the year 9999 */

struct pack_letter {
	struct str octets;
	uint64_t time_ms;
	uint32_t flags, header_len;
	struct str key;   /* empty: the job's own mark */
	bool there;       /* the mark must hold `was`; else it must be absent */
	struct str was, value;
	struct str where;
};

void pack_begin(struct buf *b);
/* A letter: the caller appends its octets in between; pack_end ignores l->octets. */
size_t pack_letter_begin(struct buf *b);
void pack_letter_end(struct buf *b, size_t at, const struct pack_letter *l);

/* False: this is no pack. Views live in it. */
bool pack_open(struct str pack, struct wire *ret);
/* The next letter, checked; false at the end, and with w->bad set where it is malformed. */
bool pack_next(struct wire *w, struct pack_letter *ret);
