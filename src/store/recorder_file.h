/*
 * recorder_file: the files in which histories are kept, DIR/trace/NNNNNNNN.trc, and the table
 * beside each that is full, NNNNNNNN.idx (numbers in hexadecimal; docs/format.md shows every
 * octet).
 *
 * A file begins with TRC_HEAD octets; records follow at multiples of 8. A record is a header, the
 * payload of a history's frame as it stood in the log, and zeros. Its checksum begins with the
 * store's id and its place, so octets that a history carries cannot pass for a record. Nothing in
 * a file is ever changed; what an interrupted write has left behind the last whole record is cut
 * off at the next start. Who reads goes over damage to the next whole record.
 *
 * A table says where in its file a text occurs as a key (recorder_keys.h), and as what: 64-bit
 * digests with places, sorted by digest and then by place, behind a fan-out by the digest's first
 * 12 bits. Behind them stands of which time each block of the file is; times need not ascend, as
 * clocks may be set. A table can be made again from its file.
 */
#pragma once

#include "base/buf.h"
#include "store/frame.h"
#include "store/record.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define TRC_HEAD 64
#define TRC_FORMAT 1
#define TRC_RECORD_HEAD 24
#define TRC_ALIGN 8
#define TRC_AHEAD 4096u /* octets that are read for a record, if it is not longer */
#define TRC_NAME_LEN 20
#define TRC_FILE_MAX (UINT64_C(1) << 31) /* a place is 28 bits of 8 octets each */
#define TRC_PAYLOAD_MAX (64u << 20)
#define TABLE_HEAD 64
#define TABLE_FAN 4096u
#define TABLE_ENTRY 12
#define TABLE_BLOCK 20
#define BLOCK_BYTES (256u << 10)

struct trc_head {
	uint64_t number, made_ms;
	uint64_t lsn; /* what stands in the log from here on is in this file or a later one */
	unsigned char id[STORE_ID_LEN];
};
void trc_name(char out[TRC_NAME_LEN], uint64_t number, const char *suffix); /* "trc" */
void trc_head_put(unsigned char out[TRC_HEAD], const struct trc_head *h);
bool trc_head_get(const unsigned char p[TRC_HEAD], struct trc_head *ret);

struct trc_record {
	uint64_t at;  /* where it stands in its file */
	uint64_t lsn; /* of the frame it was copied from */
	uint32_t len, crc;
};
/* Octets a record with this payload takes. */
static inline uint64_t
trc_size(uint64_t payload)
{
	return (TRC_RECORD_HEAD + payload + TRC_ALIGN - 1) & ~(uint64_t)(TRC_ALIGN - 1);
}
/* Appends a record that will stand at `at`. */
void trc_record_put(struct buf *b, uint64_t at, uint64_t lsn,
    const unsigned char id[STORE_ID_LEN], struct str payload);
/* Its header alone; false: none stands there. room: octets from there to the end of the file. */
bool trc_record_get(const void *p, uint64_t at, uint64_t room,
    const unsigned char id[STORE_ID_LEN], struct trc_record *ret);

/* --- reading a file from its beginning to its end --- */
struct trcread {
	int fd; /* owned */
	struct trc_head head;
	uint64_t size, off, to, base;
	uint64_t end;     /* behind the last whole record so far */
	uint64_t damaged; /* octets that were gone over, but for those behind the last record */
	struct buf buf;
};
#define TRCREAD_NULL ((struct trcread){ .fd = -1 })
/* 0, -ENOENT, -EBADMSG (not such a file) or -errno. */
int trcread_open(struct trcread *r, int dir, uint64_t number);
/* The same without a look at the head, for trcread_at() and trcread_range(): a record's checksum
 * says that it is of the store with this id. */
int trcread_open_of(struct trcread *r, int dir, uint64_t number,
    const unsigned char id[STORE_ID_LEN]);
void trcread_close(struct trcread *r); /* may be called twice */
/* Octets that will be read soon are fetched meanwhile. */
void trcread_ahead(const struct trcread *r, uint64_t at, uint64_t n);
/* From here on the records that begin below `to`. */
void trcread_range(struct trcread *r, uint64_t from, uint64_t to);
/* 1 and the next whole record, whose payload lives until the next call; 0: there is no more; or
 * -errno. */
int trcread_next(struct trcread *r, struct trc_record *ret, struct str *ret_payload);
/* The one at that place: 1; 0: there is none, or it is damaged; or -errno. */
int trcread_at(struct trcread *r, uint64_t at, struct trc_record *ret, struct str *ret_payload);

/* --- tables --- */
struct digest {
	uint64_t hash;
	uint32_t at; /* place of the record / 8, then 4 bits enum trace_key_kind */
};
struct block {
	uint64_t at; /* of its first record; it ends where the next one begins */
	uint64_t first_ms, last_ms;
};
/* What a table will say. */
struct contents {
	struct digest *digest;
	size_t n, cap;
	struct block *block;
	size_t n_blocks, cap_blocks;
};
struct table_head {
	uint64_t number, size; /* of its file */
	uint64_t first_ms, last_ms; /* of the records' times; first > last: there are none */
	uint64_t lsn; /* what stands in the log below it is in this file or an earlier one */
	uint32_t n, n_blocks;
	unsigned char id[STORE_ID_LEN]; /* in memory only: of the file */
};
/* A record stands behind those that were added before. h: its times; its id makes the digests. */
void contents_add(struct contents *c, struct table_head *h, uint64_t at,
    const struct trace_payload *t);
/* Reads a file from its beginning to its end. h: number and id are given, what a table would say is
 * filled in. *ret_damaged: octets that were gone over. 0, -ENOENT, -EBADMSG (not a file of this
 * store) or -errno. */
int contents_of_file(int dir, struct table_head *h, struct contents *c, uint64_t *ret_damaged);
void contents_reset(struct contents *c); /* memory is kept */
void contents_done(struct contents *c);
/* Sorts c, counts it in h, and writes the table durably. 0 or -errno. */
int table_write(int dir, struct table_head *h, struct contents *c);
uint64_t table_octets(const struct table_head *h); /* that the table takes */

/* --- reading tables --- */
struct table {
	int fd;
	uint64_t number;
	bool kinds; /* else it is of format 1, which had neither kinds nor blocks */
	struct table_head head;
	uint32_t fan[TABLE_FAN + 1];
};
struct places {
	uint32_t *p; /* / 8 */
	size_t n, cap;
};
void places_add(struct places *p, uint32_t place);
/* Opens it; what table_load() needs is fetched meanwhile. 0, -ENOENT or -errno. */
int table_open(struct table *t, int dir, uint64_t number);
int table_load(struct table *t); /* 0, -EBADMSG or -errno */
void table_close(struct table *t);
/* What table_places() needs is fetched meanwhile. */
void table_ahead(const struct table *t, uint64_t hash);
/* Appends the places of a digest of this kind, ascending. 0, -EBADMSG or -errno. */
int table_places(const struct table *t, uint64_t hash, unsigned kind, struct places *ret);
/* All blocks, on the heap. 0 or -errno. */
int table_blocks(const struct table *t, struct block **ret);
/* Reads all of it; c: what it should say, or NULL. 0, -EBADMSG or -errno. */
int table_verify(const struct table *t, struct contents *c);

/* The numbers of all files .trc, ascending, on the heap. 0 or -errno. */
int trc_list(int dir, uint64_t **ret, size_t *ret_n);

/* --- how far the log is followed: DIR/trace/followed --- */
struct trc_place {
	uint64_t number, size; /* true when this file has at least so many octets */
	uint64_t lsn;
};
#define TRC_PLACE_LEN 36
void trc_place_put(unsigned char out[TRC_PLACE_LEN], const struct trc_place *p);
bool trc_place_get(const unsigned char p[TRC_PLACE_LEN], struct trc_place *ret);
/* 0, -ENOENT (also of one that was only made yet), -EBADMSG or -errno */
int trc_place_read(int dir, struct trc_place *ret);
