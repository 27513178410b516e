/* Walking and unfolding any octets as a header: the fields follow one another without gaps. */
#include "base/check.h"
#include "mail/header.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct str block = str_n(data, n);
	const char *at = block.p;
	struct header_field f;
	struct buf text = BUF_INIT(1 << 20);
	while (header_next(&block, &f)) {
		check(f.raw.p == at && f.raw.len > f.name.len && f.name.p == at && f.name.len > 0);
		check(f.value.len == 0 ||
		      (f.value.p > at && f.value.p + f.value.len <= at + f.raw.len));
		at += f.raw.len;
		buf_reset(&text);
		header_unfold(&text, f.value);
		check(!text.failed && text.len <= f.value.len);
		check(str_find(buf_str(&text), '\n') == text.len);
	}
	check(at == block.p || block.len == 0);
	buf_done(&text);
	return 0;
}
