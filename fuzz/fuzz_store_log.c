/* A segment of arbitrary octets: the frame reader walks it as recovery does. The first octet
 * chooses how much is repaired, so that deep frames are reached. */
#include "base/check.h"
#include "base/crc32c.h"
#include "base/wire.h"
#include "store/frame.h"
#include "store/record.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static const unsigned char id[STORE_ID_LEN] = "fuzz";

/* Makes the header at p right, with the length, type and payload that it has. */
static void
repair(unsigned char *p, uint64_t lsn, uint64_t room)
{
	be32_put(p, FRAME_MAGIC);
	p[4] = FRAME_VERSION;
	p[5] = (unsigned char)(p[5] % FRAME_TYPES);
	p[6] = p[7] = 0;
	uint32_t len = be32_get(p + 8) % 4096;
	be32_put(p + 8, len);
	if (frame_size(len) <= room)
		be32_put(p + 12, crc32c(0, p + FRAME_HEAD, len));
	be64_put(p + 16, lsn);
	be32_put(p + 36, crc32c(crc32c(0, id, sizeof(id)), p, 36));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1)
		return 0;
	bool repaired = data[0] & 1;
	size_t n = size - 1;
	unsigned char *seg = malloc(n ? n : 1);
	check(seg != NULL);
	memcpy(seg, data + 1, n);
	for (uint64_t off = 0; off < n;) {
		struct frame f;
		if (n - off < FRAME_HEAD)
			break;
		if (repaired)
			repair(seg + off, lsn_of(1, off), n - off);
		if (frame_head_get(seg + off, lsn_of(1, off), n - off, id, &f) != FRAME_OK)
			break;
		check(frame_size(f.len) <= n - off);
		struct str payload = str_n(seg + off + FRAME_HEAD, f.len);
		if (!frame_payload_ok(&f, payload.p))
			break;
		struct batch_record batch;
		struct intent intent;
		struct trace_payload trace;
		struct blob_record blob;
		uint64_t letter, time_ms;
		batch_record_get(payload, &batch);
		intent_get(payload, &intent);
		trace_payload_get(payload, &trace);
		blob_record_get(payload, &blob);
		struct snap_record snap;
		struct checkpoint_record point;
		struct batch_op op;
		done_get(payload, &letter, &time_ms);
		checkpoint_record_get(payload, &point);
		if (snap_record_get(payload, &snap))
			while (snap_record_next(&snap, &op))
				;
		off += frame_size(f.len);
	}
	free(seg);
	return 0;
}
