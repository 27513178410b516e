/* The parser of .conv files, and what C: and R: lines become. */
#include "play/conv.h"
#include "play/expand.h"

#include <stddef.h>
#include <stdint.h>

#define OUT_MAX (1u << 16)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf err = BUF_INIT(1u << 16);
	struct conv c;

	bool ok = conv_parse(&c, "f.conv", str_n(data, size), &err);
	check(ok == (err.len == 0 && !err.failed));
	for (size_t i = 0; ok && i < c.n_steps; i++) {
		struct buf out = BUF_INIT(OUT_MAX);
		const char *why = NULL;
		check(c.steps[i].line > 0);
		if (c.steps[i].op == CONV_RAW)
			check(unescape(c.steps[i].text, &out, &why));
		else if (c.steps[i].op == CONV_SEND &&
			 !expand(c.steps[i].text, NULL, false, &out, &why))
			check(why);
		buf_done(&out);
	}
	conv_done(&c);
	buf_done(&err);
	return 0;
}
