/* The first octets say what to read, the rest is read: never past the end, bad stays bad. */
#include "base/check.h"
#include "base/wire.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static uint64_t
read_number(struct wire *w, uint8_t op)
{
	switch (op % 8) {
	case 0:
		return get_u8(w);
	case 1:
		return get_u16(w);
	case 2:
		return get_u32(w);
	case 3:
		return get_u64(w);
	default:
		return get_bool(w);
	}
}

static struct str
read_one(struct wire *w, uint8_t op)
{
	if (op == 255)
		return get_rest(w);
	if (op % 8 == 5)
		return get_str(w, op);
	if (op % 8 == 6)
		return get_bytes(w, op);
	if (op % 8 == 7)
		return get_str(w, SIZE_MAX);
	check(read_number(w, op) == 0 || !w->bad);
	return STR_NULL;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	size_t ops = n ? MIN((size_t)data[0], n - 1) : 0;
	struct str in = n ? str_n(data + 1 + ops, n - 1 - ops) : STR_NULL;
	struct wire w = wire_of(in);
	size_t left = w.left;
	for (size_t i = 0; i < ops; i++) {
		bool was_bad = w.bad;
		struct str got = read_one(&w, data[1 + i]);
		check(w.left <= left && (!was_bad || w.bad));
		check(got.len == 0 ||
		      (!w.bad && got.p >= in.p && got.p + got.len == (const char *)w.p));
		check(w.p == (const unsigned char *)in.p + (in.len - w.left));
		left = w.left;
	}
	check(!wire_done(&w) || (!w.bad && w.left == 0));
	return 0;
}
