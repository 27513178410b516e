/* Replies, errors and bounces of any octets: nothing behind them is read, and it ends. */
#include "base/check.h"
#include "explain/bounce.h"
#include "explain/explain.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static void
look(const struct explain_hit *hits, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct buf b = BUF_INIT(1u << 16);
		check(hits[i].meaning.len > 0 && hits[i].source.len > 0);
		check(hits[i].proto > EXPLAIN_ANY && hits[i].proto < EXPLAIN_PROTO_COUNT);
		explain_short(&hits[i], &b);
		check(b.len > 0 && !b.failed);
		buf_done(&b);
		for (size_t j = 0; j < i; j++)
			check(hits[j].record != hits[i].record);
	}
}

static void
failures(struct str text)
{
	struct bounce b;
	struct bounce_failure f;
	struct explain_hit hits[2];
	size_t n = 0;
	bounce_begin(&b, text);
	for (; bounce_next(&b, &f); n++) {
		check(f.reply.len <= EXPLAIN_TEXT_MAX && f.recipient.len <= text.len);
		if (n < 4)
			look(hits, explain_line(f.reply, hits, ARRAY_LEN(hits)));
	}
	check(n <= text.len + 1);
	check(!bounce_next(&b, &f));
}

int
LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	if (size < 1 || size > 1u << 16)
		return 0;
	enum explain_proto proto = (enum explain_proto)(data[0] % (EXPLAIN_PROTO_COUNT + 1));
	char *exact = malloc(size - 1 ? size - 1 : 1);
	memcpy(exact, data + 1, size - 1);
	struct str text = { exact, size - 1 };
	struct explain_hit hits[EXPLAIN_HITS_MAX];
	if (proto == EXPLAIN_PROTO_COUNT)
		failures(text);
	else
		look(hits, explain_line_of(proto, text, hits, ARRAY_LEN(hits)));
	(void)bounce_looks_so(text);
	free(exact);
	return 0;
}
