/*
 * A PROXY header from a peer that is trusted to send one: whatever is said of it, it stays so when
 * more octets come, and an accepted one has addresses that can be read.
 */
#include "smtp/proxy.h"

#include "base/check.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum proxy_verdict
parse(const uint8_t *data, size_t size, struct proxy_info *info, size_t *used)
{
	char *block = size ? xmemdup(data, size) : NULL;
	enum proxy_verdict v = proxy_parse(str_n(block, size), info, used);
	free(block);
	return v;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum proxy_verdict before = PROXY_MORE;
	size_t used_before = 0;
	if (size > 2 * PROXY_MAX)
		return 0;
	for (size_t n = 0; n <= size; n++) {
		struct proxy_info info;
		size_t used = 0;
		enum proxy_verdict v = parse(data, n, &info, &used);
		check(before == PROXY_MORE || v == before);
		check(before != PROXY_OK || used == used_before);
		check(v != PROXY_MORE || n < PROXY_MAX);
		if (v == PROXY_OK) {
			check(used > 0 && used <= n && used <= PROXY_MAX);
			check(info.local || (info.from.text[0] && info.to.text[0]));
		}
		before = v;
		used_before = used;
	}
	return 0;
}
