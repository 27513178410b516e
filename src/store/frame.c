#include "store/frame.h"

#include "base/check.h"
#include "base/crc32c.h"
#include "base/wire.h"

#include <string.h>

/* Header: magic 4, version 1, type 1, zero 2, len 4, payload crc 4, lsn 8, id 8, group 4, crc 4. */
#define CRC_AT 36

static uint32_t
head_crc(const unsigned char *p, const unsigned char store_id[STORE_ID_LEN])
{
	return crc32c(crc32c(0, store_id, STORE_ID_LEN), p, CRC_AT);
}

size_t
frame_begin(struct buf *b)
{
	static const char zeros[FRAME_HEAD];
	size_t begin = b->len;
	buf_put(b, zeros, sizeof(zeros));
	return begin;
}

void
frame_end(struct buf *b, size_t begin, enum frame_type type, uint64_t id, uint64_t base_lsn,
    const unsigned char store_id[STORE_ID_LEN])
{
	static const char zeros[FRAME_ALIGN];
	if (b->failed)
		return;
	size_t len = b->len - begin - FRAME_HEAD;
	check(len <= UINT32_MAX && begin % FRAME_ALIGN == 0);
	buf_put(b, zeros, frame_size(len) - FRAME_HEAD - len);
	if (b->failed)
		return;
	unsigned char *p = (unsigned char *)b->p + begin;
	be32_put(p, FRAME_MAGIC);
	p[4] = FRAME_VERSION;
	p[5] = (unsigned char)type;
	p[6] = p[7] = 0;
	be32_put(p + 8, (uint32_t)len);
	be32_put(p + 12, crc32c(0, p + FRAME_HEAD, len));
	be64_put(p + 16, base_lsn + begin);
	be64_put(p + 24, id);
	be32_put(p + 32, (uint32_t)lsn_off(base_lsn));
	be32_put(p + CRC_AT, head_crc(p, store_id));
}

enum frame_state
frame_head_get(const void *at, uint64_t lsn, uint64_t room,
    const unsigned char store_id[STORE_ID_LEN], struct frame *ret)
{
	static const unsigned char zeros[FRAME_HEAD];
	const unsigned char *p = at;
	if (room < FRAME_HEAD)
		return FRAME_BAD;
	if (memcmp(p, zeros, sizeof(zeros)) == 0)
		return FRAME_NONE;
	if (be32_get(p) != FRAME_MAGIC || p[4] != FRAME_VERSION || p[5] < FRAME_BODY ||
	    p[5] >= FRAME_TYPES || p[6] || p[7] || be64_get(p + 16) != lsn)
		return FRAME_BAD;
	if (be32_get(p + CRC_AT) != head_crc(p, store_id))
		return FRAME_BAD;
	struct frame f = { .type = (enum frame_type)p[5],
		.len = be32_get(p + 8),
		.crc = be32_get(p + 12),
		.group = be32_get(p + 32),
		.lsn = lsn,
		.id = be64_get(p + 24) };
	if (frame_size(f.len) > room)
		return FRAME_BAD;
	*ret = f;
	return FRAME_OK;
}

bool
frame_payload_ok(const struct frame *f, const void *payload)
{
	return crc32c(0, payload, f->len) == f->crc;
}
