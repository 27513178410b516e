/* Captures from anywhere: parsed, and each line of a server made a pattern. */
#include "client/generalize.h"
#include "play/capture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf err = BUF_INIT(4096), out = BUF_INIT(16u << 20);
	struct capture c;

	capture_parse(&c, str_n(data, size), &err);
	for (size_t i = 0; i < c.n; i++)
		for (size_t k = 0; k < c.v[i].n; k++)
			if (c.v[i].v[k].op == CAPTURE_CAME)
				generalize(&out, c.v[i].v[k].text);
	capture_done(&c);
	buf_done(&err);
	buf_done(&out);
	return 0;
}
