/*
 * A letter that was converted has no octet that was to go, no line that was too long in a body that
 * was converted, and is not converted again. The first octet says what is asked for.
 */
#include "base/check.h"
#include "mail/downgrade.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	if (n == 0)
		return 0;
	bool eight = data[0] & 1, lines = data[0] & 2;
	struct str letter = str_n(data + 1, n - 1);
	struct buf out = BUF_INIT(16u << 20), again = BUF_INIT(16u << 20);
	if (downgrade_letter(letter, eight, lines, &out) == DOWNGRADE_OK) {
		for (size_t i = 0; eight && i < out.len; i++)
			check((unsigned char)out.p[i] < 0x80 && out.p[i] != '\0');
		if (downgrade_letter(buf_str(&out), eight, lines, &again) == DOWNGRADE_OK)
			check(str_eq(buf_str(&out), buf_str(&again)));
	} else {
		check(out.len == 0);
	}
	buf_done(&out);
	buf_done(&again);
	return 0;
}
